"""Run the worked studies and write their page: `python docs/studies.py gait doses`.

Each study records, analyzes, draws `docs/studies/<name>.svg` and keeps its numbers in
`docs/studies/<name>.json`; `docs/studies.md` is made from these files, by `study_pages.py`.
"""

from __future__ import annotations

import json
import os
import pathlib
import platform
import sys
import time
from importlib import metadata
from typing import Any

import jax
import numpy as np
import study_pages
import tyro

import mimic_envs
from mimic_envs import controllers, rollouts
from mimic_envs.analysis import (
    decoding,
    dose,
    gait,
    inverse,
    muscles,
    result,
    variability,
)
from mimic_envs.env import Environment
from mimic_envs.mdp import rotations
from mimic_envs.mdp.soles import Soles
from mimic_envs.rollouts import Manipulation
from mimic_envs.scoring import policies

FOLDER = pathlib.Path(__file__).parent / "studies"
NEAR = 0.005
"""A foot of a clip stands if it is nearer to the floor than this, body lengths."""


def of_numbers(value: Any) -> Any:
    """JSON types with 4 significant digits; NaN as null."""
    if isinstance(value, dict):
        return {str(k): of_numbers(v) for k, v in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [of_numbers(v) for v in value]
    if isinstance(value, float | np.floating):
        return float(f"{value:.4g}") if np.isfinite(value) else None
    return value.item() if isinstance(value, np.generic) else value


def reference_contacts(env: Environment, qpos: np.ndarray) -> np.ndarray:
    """Which feet of recorded poses, (T, nq), are on the floor, (T, feet) bool."""
    body, soles = env.body, Soles(env.body)
    names = list(body.body_names)
    feet = [names.index(f) for f in body.feet]
    heights = np.full((len(qpos), len(feet)), np.inf)
    from mimic_envs.clips import kinematics

    poses = np.zeros((len(qpos), len(names), 3)), np.zeros((len(qpos), len(names), 4))
    kinematics.forward(body.model, np.ascontiguousarray(qpos, np.float64), poses)
    turn = jax.vmap(jax.vmap(rotations.matrix))(np.float32(poses[1]))
    lowest = np.asarray(jax.vmap(soles.lowest)(np.float32(poses[0]), turn)[0])
    for point, owner in enumerate(soles.owners):
        part = int(owner)
        while part not in feet:  # a foot with all that it carries
            part = int(body.model.body_parentid[part])
        foot = feet.index(part)
        heights[:, foot] = np.minimum(heights[:, foot], lowest[:, point])
    return heights < NEAR * body.body_length


def walks(env: Environment, most: int | None = None) -> list[str]:
    """Names of the trials that are walks or turns, evenly spaced if there are more than so many."""
    clips = env.clips
    moving = [
        name
        for name, (chosen, _) in env.task.command.trials.items()
        if clips.labels[clips.index(chosen["clip"])] in ("walk", "turn")
    ]
    at = np.linspace(0, len(moving) - 1, min(most or len(moving), len(moving)))
    return [moving[round(i)] for i in at]


def one_gait(name: str) -> tuple[dict[str, Any], Any]:
    """Gait of a body that `balance` drives, and of its clips, for each walk."""
    env = mimic_envs.make(name, clips="generated/train", terminate=False)
    what = "metrics,kinematics,contacts,reference,inverse"
    ds = rollouts.record(env, controllers.make("balance", env), walks(env), what)
    contact, qpos = ds.contact.to_numpy().astype(bool), ds.reference_qpos.to_numpy()
    recorded, rows = reference_contacts(env, qpos), ds.trial.to_numpy()
    hz = float(ds.attrs["control_hz"])
    groups = [[list(env.body.feet).index(f) for f in g] for g in env.body.gait_groups.values()]
    speed = ds.root_velocity_heading.to_numpy()[:, 0]
    table = []
    for i, trial in enumerate(ds.trial_name.to_numpy()):
        own = rows == i
        both = [gait.measure(c[own], hz) for c in (contact, recorded)]
        if min(found["strides"].min() for found in both) < 2:
            continue
        row: dict[str, Any] = {"trial": str(trial), "speed": float(speed[own].mean())}
        for kind, found, c in zip(("model", "clip"), both, (contact, recorded), strict=True):
            row[kind] = {
                "stride_hz": float(found["stride_hz"].mean()),
                "duty": float(found["duty"].mean()),
                "tripod": gait.tripod_strength(c[own], groups),
                "phase": found["phase"],
            }
        wrong = (row["model"]["phase"] - row["clip"]["phase"] + 0.5) % 1.0 - 0.5
        row["largest_phase_error"] = float(np.abs(wrong).max())
        table.append(row)
    found = gait.gait(ds)
    joints = sorted(found.numbers["joints"].values(), key=lambda r: -r["locked_share"])
    numbers = {"walks": table, "joints": joints[:3], "score": float(ds.score.mean())}
    numbers |= {"trials": int(ds.sizes["trials"]), "replay_error": ds.attrs["replay_error"]}
    return numbers | {"unit": env.body.length_unit}, found


def study_gait(policy: pathlib.Path | None) -> tuple[dict[str, Any], Any]:
    """Gait against speed, model beside clip."""
    figure, axes = result.new_figure(180, 105, 2, 4)
    numbers = {}
    for row, name in zip(axes, ("stick_insect", "fly"), strict=True):
        numbers[name], found = one_gait(name)
        walks, unit = numbers[name]["walks"], numbers[name]["unit"]
        speed = [w["speed"] for w in walks]
        labels = ("stride frequency (Hz)", "duty factor", "tripod strength")
        for axis, key, label in zip(row, ("stride_hz", "duty", "tripod"), labels, strict=False):
            clip, model = ([w[k][key] for w in walks] for k in ("clip", "model"))
            axis.plot(speed, clip, "o", ms=5, mfc="none", mec="0.4", label="clip")
            axis.plot(speed, model, "o", ms=2.5, color=result.COLORS[1], label="model")
            axis.set_xlabel(f"speed ({unit}/s)")
            axis.set_ylabel(label)
        row[0].set_title(f"{name.replace('_', ' ')}, n = {len(walks)} walks")
        table = found.tables["joint_bands"]
        joint = numbers[name]["joints"][0]["joint"]
        own = table[table.joint == joint]
        for kind, color in (("reference", "0.4"), ("model", result.COLORS[1])):
            mean, sd = own[f"{kind}_mean"], own[f"{kind}_sd"]
            row[3].plot(own.phase, mean, color=color)
            row[3].fill_between(own.phase, mean - sd, mean + sd, color=color, alpha=0.25, lw=0)
        row[3].set_xlabel("phase (cycles)")
        row[3].set_ylabel(f"{joint} (rad)")
        row[3].set_title(f"n = {numbers[name]['joints'][0]['strides']} strides")
    result.legend_below(figure, axes[0, 0], 2)
    return numbers, figure


def study_doses(policy: pathlib.Path | None) -> tuple[dict[str, Any], Any]:
    """Pushes, weak legs and lost legs."""
    numbers, curves = {}, {}
    leg = {"stick_insect": "middle_left", "fly": "T2_left"}
    for name in ("stick_insect", "fly"):
        env = mimic_envs.make(name, clips="generated/train", terminate=False)
        chosen = walks(env, 8)
        own = tuple(a for a in env.body.actuator_names if a.endswith(leg[name]))
        foot = next(f for f in env.body.feet if f.endswith(leg[name]))
        hip = _hip(env, foot)
        table = [
            Manipulation("push", size=(0.003, 0.006, 0.012, 0.025), at_s=0.5, direction="left"),
            Manipulation("lesion", own, (0.5, 0.8, 0.9, 1.0)),
            Manipulation("amputate", (hip,)),
        ]
        ds = rollouts.experiment(
            env, controllers.make("balance", env), table, trials=chosen, what="metrics"
        )
        found = dose.dose_response(ds)
        curve = found.tables["dose"]
        labels = {f"lesion {' '.join(own)}": f"lesion of leg {leg[name]}"}
        curve = curve.assign(manipulation=curve.manipulation.replace(labels))
        curves[name] = curve
        numbers[name] = {
            "curves": curve.to_dict("records"),
            "fits": {labels.get(k, k): v for k, v in found.numbers.items()},
            "trials": len(chosen),
            "leg": leg[name],
            "replay_error": ds.attrs["replay_error"],
        }
    figure, axes = result.new_figure(180, 65, columns=4)
    panels = [(n, k) for n in curves for k in ("push", f"lesion of leg {leg[n]}")]
    for axis, (name, kind) in zip(axes[0], panels, strict=True):
        own = curves[name][curves[name].manipulation == kind]
        bars = [own.share - own.low, own.high - own.share]
        axis.errorbar(
            own.dose, own.share, bars, fmt="o-", ms=3, color=result.COLORS[0], label="no failure"
        )
        axis.plot(own.dose, own.score, "s--", ms=3, color=result.COLORS[1], label="score")
        axis.set_ylim(-0.03, 1.05)
        unit = "body weight x s" if kind == "push" else "share of controls lost"
        axis.set_xlabel(f"{kind.split(' ')[0]} ({unit})")
        axis.set_title(f"{name.replace('_', ' ')}, n = {own.trials.iloc[0]} per dose")
    axes[0, 0].set_ylabel("share of trials; mean score")
    result.legend_below(figure, axes[0, 0], 2)
    return numbers, figure


def _hip(env: Environment, foot: str) -> str:
    """The segment next to the trunk of the leg that ends in a foot."""
    model, names = env.body.model, env.body.body_names
    part = names.index(foot)
    while int(model.body_parentid[part]) not in _trunk(env):
        part = int(model.body_parentid[part])
    return names[part]


def _trunk(env: Environment) -> set[int]:
    """Bodies that carry more than one foot."""
    model, names = env.body.model, env.body.body_names
    carried = [0] * model.nbody
    for foot in env.body.feet:
        part = names.index(foot)
        while part:
            carried[part] += 1
            part = int(model.body_parentid[part])
    return {i for i, count in enumerate(carried) if count > 1} | {0}


def mouse(policy: pathlib.Path | None) -> tuple[Environment, Any]:
    """The mouse arm and its trained policy.

    Raises:
        SystemExit: No policy was given.
    """
    if policy is None:
        raise SystemExit(
            f"this study needs a policy: {study_pages.TRAIN}\nand then --policy runs/mouse/policy"
        )
    env = mimic_envs.make("mouse_arm", clips="generated/test", terminate=False)
    return env, policies.load(policy, env)


def trained(policy: pathlib.Path | None) -> int | None:
    """Steps that a policy was trained for, as its folder says."""
    path = pathlib.Path(policy or ".") / "training.json"
    return json.loads(path.read_text())["steps"] if path.is_file() else None


def study_muscles(policy: pathlib.Path | None) -> tuple[dict[str, Any], Any]:
    """Muscles of the mouse arm in reaching."""
    env, actor = mouse(policy)
    ds = rollouts.record(env, actor, what="all")
    found, wanted = muscles.muscles(ds), inverse.inverse_dynamics(ds)
    numbers = {
        "muscles": {k: v for k, v in found.numbers.items() if isinstance(v, dict)},
        "co_contraction": found.numbers["co_contraction"],
        "vaf": found.numbers["vaf"],
        "static_optimization": wanted.numbers["static_optimization"],
        "score": float(ds.score.mean()),
        "trained_steps": trained(policy),
        "trials": int(ds.sizes["trials"]),
        "replay_error": ds.attrs["replay_error"],
    }
    return numbers, found.figure


def study_latents(policy: pathlib.Path | None) -> tuple[dict[str, Any], Any]:
    """Study what the layers of an intention network encode, with controls."""
    env, actor = mouse(policy)
    ds = rollouts.record(env, actor, what="metrics,network,observations,kinematics,torques")
    found = decoding.decoding(ds)
    numbers = {
        "decoding": found.tables["decoding"].to_dict("records"),
        "score": float(ds.score.mean()),
        "trials": int(ds.sizes["trials"]),
        "frames": int(ds.sizes["time"]),
        "replay_error": ds.attrs["replay_error"],
    }
    return numbers, found.figure


def study_variability(policy: pathlib.Path | None) -> tuple[dict[str, Any], Any]:
    """Noise of the latent and of the motors, and what of it reaches the hand."""
    env, actor = mouse(policy)
    repeats, steps = 8, 60
    table = [
        Manipulation("encoder_noise", size=(1.0, 3.0), repeats=repeats),
        Manipulation("motor_noise", size=(0.1, 0.3), repeats=repeats),
    ]
    names = [n for i, n in enumerate(env.task.command.trials) if i in (0, 3, 4)]
    trials = {n: (env.task.command.trials[n][0], steps) for n in names}
    ds = rollouts.experiment(env, actor, table, trials=trials, what="metrics,kinematics")
    found = variability.variability(ds)
    numbers = {
        "conditions": {k: v for k, v in found.numbers.items() if v["dose"] > 0},
        "untouched_score": found.numbers.get("untouched", {}).get("score"),
        "trials": len(names),
        "repeats": repeats,
        "steps": steps,
        "replay_error": ds.attrs["replay_error"],
    }
    return numbers, found.figure


STUDIES = {
    "gait": study_gait,
    "doses": study_doses,
    "muscles": study_muscles,
    "latents": study_latents,
    "variability": study_variability,
}


def main(
    names: tyro.conf.Positional[tuple[str, ...]] = (), policy: pathlib.Path | None = None
) -> None:
    """Run studies, and write the page.

    Args:
        names: Studies; only the page is written if there are none.
        policy: Folder of the mouse arm's policy.
    """
    import matplotlib

    for name in names:
        if name not in STUDIES:
            raise SystemExit(f"no study {name!r}; there are {', '.join(STUDIES)}")
        began, cpu = time.time(), time.process_time()
        with matplotlib.rc_context(result.style()):
            numbers, figure = STUDIES[name](policy)
            FOLDER.mkdir(exist_ok=True)
            figure.savefig(FOLDER / f"{name}.svg", metadata={"Date": None}, dpi=150)
        versions = {n: metadata.version(n) for n in ("mimic_envs", "mujoco", "jax")}
        made = {"cpu_s": round(time.process_time() - cpu), "wall_s": round(time.time() - began)}
        made |= {"cores": os.cpu_count(), "python": platform.python_version(), **versions}
        text = json.dumps(of_numbers({"numbers": numbers, "made": made, "seed": 0}), indent=1)
        (FOLDER / f"{name}.json").write_text(text + "\n", encoding="utf-8")
        print(f"{name}: {made['cpu_s']} CPU s")
    study_pages.write(FOLDER)


if __name__ == "__main__":
    sys.exit(tyro.cli(main))
