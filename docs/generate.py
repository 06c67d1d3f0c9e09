"""Write the pages that are made from the code: `python docs/generate.py`.

With `--pictures` also the pictures of the bodies.
"""

from __future__ import annotations

import json
import pathlib
import sys
from collections.abc import Iterable

import numpy as np

import mimic_envs
from mimic_envs import bodies
from mimic_envs import clips as clips_
from mimic_envs.clips import published
from mimic_envs.scoring import statistics
from mimic_envs.tasks import rewards

DOCS = pathlib.Path(__file__).parent
VERIFIED = DOCS.parent / "leaderboard" / "verified" / "mimic-1"
POLICIES = DOCS.parent / "baselines" / "policies"
SUBMISSIONS = DOCS.parent / "leaderboard" / "submissions" / "mimic-1"
_UNITS = {
    "root_position": "{length}",
    "root_rotation": "rad",
    "joints": "rad",
    "joint_velocities": "rad/s",
    "bodies": "{length}",
    "end_effectors": "{length}",
}


def table(header: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """A Markdown table."""
    lines = [list(header), *([str(cell) for cell in row] for row in rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def body_page(env_id: str, body: bodies.Body) -> str:
    """The documentation page of a body."""
    model = body.model
    env = mimic_envs.make(body, clips="builtin/tiny")
    sections = [
        f"# {env_id}",
        f"*{body.species}*. {body.source}.",
        "<!-- made by docs/generate.py, do not edit -->",
        f"![{body.name}]({body.name}.png)",
        _about(body),
        _sizes(body),
        "## Actions",
        f"`Box(-1, 1, ({model.nu},), float32)`, mapped linearly to each actuator's control range.",
        _actuators(body),
        "## Observation",
        f"Flat `Box`, {list(env.observation_layout().values())[-1][0].stop} float32. "
        "Everything is in the frame of the root body, so nothing changes when the animal and its "
        "reference are moved along the floor or turned together.",
        _observation(env),
        "## Reward",
        "Sum of `weight * exp(-d**2 / (2 sigma**2))` over the tracking terms, minus the costs. "
        "A diverged step is worth 0.",
        _reward(body),
        "## End of an episode",
        _ends(body),
        "## Tracked parts",
        _parts(body),
        "## Joints",
        _joints(body),
        "## Built-in clips",
        _clips(body),
    ]
    return "\n\n".join(sections) + "\n"


def _about(body: bodies.Body) -> str:
    """What the body's module says of it, without the headline."""
    module = sys.modules[body.build_spec.__module__]
    return (module.__doc__ or "").split("\n", 1)[1].strip()


def _sizes(body: bodies.Body) -> str:
    model = body.model
    return table(
        ("quantity", "value"),
        [
            ("degrees of freedom", model.nv),
            ("joints besides the root", len(body.hinge_names)),
            ("actuators", model.nu),
            ("mass", f"{model.body_mass.sum():.4g} (in the model's mass unit)"),
            ("length unit", body.length_unit),
            ("body length (errors are divided by it)", f"{body.body_length:g}"),
            ("physics step", f"{1000 * model.opt.timestep:g} ms"),
            ("control step", f"{1000 * body.control_timestep_s:g} ms"),
        ],
    )


def _actuators(body: bodies.Body) -> str:
    import mujoco

    model, rows = body.model, []
    for i, name in enumerate(body.actuator_names):
        kind = mujoco.mjtTrn(int(model.actuator_trntype[i]))
        objects = model.joint if kind == mujoco.mjtTrn.mjTRN_JOINT else model.tendon
        low, high = model.actuator_ctrlrange[i]
        muscle = model.actuator_gaintype[i] == mujoco.mjtGain.mjGAIN_MUSCLE
        # of a muscle the first gain parameter is a length, the third its peak force
        strength = model.actuator_gainprm[i, 2 if muscle else 0] * model.actuator_gear[i, 0]
        target = objects(int(model.actuator_trnid[i, 0])).name
        rows.append(
            (
                i,
                name,
                kind.name[6:].lower() + f" {target}",
                f"[{low:g}, {high:g}]",
                f"{strength:.4g}",
                f"{1000 * model.actuator_dynprm[i, 0]:g}" if model.actuator_dyntype[i] else "-",
            )
        )
    head = ("index", "actuator", "acts on", "control range", "gear x gain", "time constant (ms)")
    return table(head, rows)


def _observation(env: mimic_envs.env.FunctionalEnv) -> str:
    from mimic_envs.tasks import observations

    meaning = {
        f"{group}/{row.function.__name__}": (row.function.__doc__ or "").strip().rstrip(".")
        for group, rows in observations.GROUPS.items()
        for row in rows
    }
    return table(
        ("entries", "name", "shape", "meaning"),
        [
            (f"{where.start} to {where.stop - 1}", f"`{name}`", shape, meaning[name])
            for name, (where, shape, _) in env.observation_layout().items()
        ],
    ) + (
        f"\n\nReference frames: {len(env.task.offsets)}, "
        f"{1000 * env.body.control_timestep_s * env.body.reference_stride:g} ms apart. "
        "Letters: H joints, J tracked joints, B tracked bodies, E end effectors, "
        "K reference frames."
    )


def _reward(body: bodies.Body) -> str:
    rows = []
    for name, term in body.tracking.items():
        meaning = (rewards.TRACKING[name].__doc__ or "").strip()
        unit = _UNITS[name].format(length=body.length_unit)
        rows.append((name, f"{term.weight:g}", f"{term.sigma:g} {unit}", meaning))
    for name, weight in body.costs.items():
        rows.append((name, f"-{weight:g}", "", (rewards.COSTS[name].__doc__ or "").strip()))
    return table(("term", "weight", "sigma", "d"), rows)


def _ends(body: bodies.Body) -> str:
    limits, unit = body.limits, body.length_unit
    rows = [
        ("root farther from its reference than", f"{limits.root_distance} {unit}"),
        ("root turned from its reference by more than", f"{limits.root_angle_deg} degrees"),
        ("L2 norm of tracked joints' errors above", f"{limits.joint_distance_rad} rad"),
        ("root height outside", f"{limits.healthy_height} {unit}"),
    ]
    return (
        "Terminated, that is failed:\n\n"
        + table(("condition", "limit"), [r for r in rows if "None" not in r[1]])
        + "\n\nand whenever the simulation diverges. Truncated at the clip's last frame. "
        "`terminate=False` turns the limits off, not the check for divergence."
    )


def _parts(body: bodies.Body) -> str:
    listed = {
        "root body": (body.root_body,),
        "tracked bodies": body.tracked_bodies,
        "end effectors": body.end_effectors,
        "tracked joints": body.tracked_joints,
        "keypoints": tuple(body.keypoints),
    }
    return table(
        ("what", "number", "names"), [(k, len(v), ", ".join(v)) for k, v in listed.items()]
    )


def _joints(body: bodies.Body) -> str:
    model, rows = body.model, []
    for name in body.hinge_names:
        joint = model.joint(name)
        low, high = np.rad2deg(joint.range)
        rows.append(
            (
                name,
                f"{low:.1f} to {high:.1f}",
                f"{np.ravel(joint.stiffness)[0]:g}",
                f"{np.ravel(joint.damping)[0]:g}",
                "yes" if name in body.tracked_joints else "",
            )
        )
    return table(("joint", "range (degrees)", "stiffness", "damping", "tracked"), rows)


def _clips(body: bodies.Body) -> str:
    rows = []
    for name in clips_.builtin_sets(body):
        clips = clips_.load(name, body)
        labels = ", ".join(f"{clips.labels.count(k)} {k}" for k in sorted(set(clips.labels)))
        rows.append(
            (
                f"`{name}`",
                len(clips),
                f"{clips.duration_s:g} s",
                f"{clips.fps:g} Hz",
                labels,
                f"`{clips.content_hash[:16]}`",
            )
        )
    return table(("set", "clips", "duration", "rate", "labels", "SHA-256 begins"), rows)


def published_page() -> str:
    """The list of published recordings."""
    fetched = [
        [
            f"`{name}`",
            one.body,
            one.about,
            f"{one.fps:g} Hz, {one.unit}",
            f"{one.megabytes:g} MB",
            f"[{one.repo}]({one.page}), {one.folder}",
            one.citation,
        ]
        for name, one in published.PUBLISHED.items()
    ]
    by_hand = [[f"`{name}`", raw.about, raw.page] for name, raw in published.RAW.items()]
    sections = [
        "# Published recordings",
        "<!-- made by docs/generate.py, do not edit -->",
        'Fetched by `mimic-envs clips fetch NAME`; then `clips="published/NAME"` loads them. The '
        "licence is what the dataset's page says at that time; `fetch` prints it and it stays in "
        "the clip file.",
        table(["name", "body", "what", "rate, unit", "download", "where", "cite"], fetched),
        "## To be got by hand",
        "Recordings that are keypoints, or that a person has to ask for.",
        table(["name", "what", "where"], by_hand),
    ]
    return "\n\n".join(sections) + "\n"


def trained_page() -> str:
    """Scores of this project's policies: those it hands in, and those of recordings."""
    rows, commands, curves = [], [], []
    for body in sorted(mimic_envs.ENV_IDS.values()):
        found = []
        for folder in sorted((SUBMISSIONS / body).glob("*/")):
            report = (VERIFIED / body / folder.name).with_suffix(".json")
            scores = np.array(json.loads(report.read_text())["metrics"]["score"])
            found.append((json.loads((folder / "submission.json").read_text()), scores))
        found.sort(key=lambda pair: statistics.iqm(pair[1]))
        (start,) = (statistics.iqm(scores) for one, scores in found if one["controller"] == "pd")
        for entry, scores in found:
            if entry["controller"] in ("zero", "random"):
                continue
            score, (low, high) = statistics.iqm(scores), statistics.iqm_interval(scores)
            training = entry["training"]
            rows.append(
                (
                    body,
                    entry["name"],
                    f"{score:.3f} ({low:.3f} to {high:.3f})",
                    f"{(score - start) / (1 - start):.0%}",
                    entry["seeds"] if training["parameters"] else "",
                    f"{training['environment_steps'] / 1e6:.2f}" if training["parameters"] else "",
                    f"{60 * training['wall_clock_h']:.0f}" if training["parameters"] else "",
                )
            )
            if training["command"]:
                commands.append(f"### {body}: {entry['name']}")
                commands.append(f"{entry['summary']}")
                commands.append(f"```bash\n{training['command']}\n```")
    for picture in sorted((DOCS / "curves").glob("*.png")):
        curves.append(f"![Learning curves: {picture.stem}](curves/{picture.name})")
    header = ("body", "what", "score", "of pd's gap to 1", "seeds", "million steps", "minutes")
    return (
        "\n\n".join(
            [
                "# Trained policies",
                "<!-- made by docs/generate.py from leaderboard/ and baselines/, do not edit -->",
                "Entries of this project on the [leaderboard](../leaderboard/README.md), scored "
                "on `builtin/test` by protocol `mimic-1`, as verified: interquartile mean over "
                "clips and training seeds with its 95 % interval. Steps and minutes are those of "
                "one training seed, on one core of a shared machine, compilation and scores "
                "included.",
                table(header, rows),
                "## Learning curves",
                *curves,
                "## Commands",
                *commands,
                *recorded_sections(),
            ]
        )
        + "\n"
    )


def recorded_sections() -> list[str]:
    """Scores of the policies of recordings, from their folders."""
    found = [json.loads(path.read_text()) for path in sorted(POLICIES.glob("*/scores.json"))]
    rows, commands, curves = [], [], []
    for said in found:
        row = [said["body"]]
        for part in ("train", "test"):
            scored = said["parts"][part]
            before, after = scored["pd"]["score"], scored["policy"]["score"]
            clips = f"{scored['clips']} clips, " if scored["clips"] > 1 else ""
            row += [
                f"{clips}{scored['seconds']:.1f} s",
                f"{before:.3f}",
                f"{after:.3f}{interval(scored['policy'])}",
                f"{(after - before) / (1 - before):.0%}",
            ]
        minutes = f"{said['wall_time_s'] / 60:.0f}"
        rows.append([*row, f"{said['steps'] / 1e6:.2f}", minutes, said["hardware"]])
        commands += [f"### {said['body']}, recordings", f"```bash\n{folded(said['command'])}\n```"]
        curves.append(
            f"![Learning curve on recordings: {said['body']}](curves/recordings/{said['body']}.png)"
        )
    header = [
        "body",
        *("learned from", "pd", "policy", "of pd's gap to 1"),
        *("held out", "pd", "policy", "of pd's gap to 1"),
        *("million steps", "minutes", "on"),
    ]
    return [
        "## On recordings of real animals",
        "Policies in `baselines/policies/`, trained on recordings by PPO, one seed each. "
        "Where there is one recording its beginning is learned from and its end, from the same "
        "instant on, is held out; where there are several, whole clips are, of the same session "
        "or laboratory. So what is held out is much like what was learned from. Intervals are "
        "over clips. A rodent's fall depends on the last bits, so its scores differ by some "
        "hundredths between machines. "
        "`python -m baselines.recordings prepare FOLDER` cuts the recordings so, and `mimic-envs "
        "score ID --clips recordings/BODY-test.h5 --policy baselines/policies/BODY` scores again.",
        table(header, rows),
        *curves,
        *commands,
    ]


def interval(scored: dict) -> str:
    """What a table says of an interval, if there is one."""
    return " ({:.3f} to {:.3f})".format(*scored["ci95"]) if "ci95" in scored else ""


def folded(command: str) -> str:
    """A command in lines of about 100 characters, broken before options."""
    lines, *options = command.split(" --")
    width = len(lines)
    for option in options:
        width += len(option) + 3
        if width > 96:
            lines, width = lines + " \\\n ", len(option) + 5
        lines += f" --{option}"
    return lines


def pages() -> dict[pathlib.Path, str]:
    """Every generated page: where it goes and what it says."""
    made = {
        DOCS / "bodies" / f"{name}.md": body_page(env_id, bodies.get(name))
        for env_id, name in mimic_envs.ENV_IDS.items()
    }
    return made | {
        DOCS / "published_clips.md": published_page(),
        DOCS / "trained.md": trained_page(),
    }


def draw_pictures() -> None:
    """Each body in the middle of its first held-out clip."""
    import matplotlib.pyplot as plt

    from mimic_envs.viz.render import Renderer

    for name in mimic_envs.ENV_IDS.values():
        body = bodies.get(name)
        renderer = Renderer(body, 480, 320)
        clips = clips_.load("builtin/test", body)
        picture = renderer.draw(clips.qpos[0, clips.lengths[0] // 2])
        renderer.close()
        plt.imsave(DOCS / "bodies" / f"{name}.png", picture)


if __name__ == "__main__":
    if "--pictures" in sys.argv[1:]:
        draw_pictures()
    for path, text in pages().items():
        path.write_text(text)
        print(path.relative_to(DOCS.parent))
