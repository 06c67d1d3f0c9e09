"""The page of the worked studies, made from their numbers; see `studies.py`."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

from body_page import table

TRAIN = (
    "python -m baselines.train --env mimic_envs/MouseArm-v1 --threads 1 --network intention "
    "--score-weight 40 --hidden 128 128 --ppo.critic-hidden 128 128 --ppo.discount 0.9 "
    "--ppo.environments 128 --first-frame-share 0.25 --steps 1600000 --seed 0 --out runs/mouse"
)
"""Command that trains the policy of the mouse arm."""
HEAD = """# Worked studies

<!-- made by docs/studies.py, do not edit -->

What the analyses of [recorded behavior](rollouts.md) say about controllers of this package. Each
study is one command, which records, analyzes and draws; its numbers are in `docs/studies/`. The
trial is the unit of replication, and every recording was replayed: the largest difference of a
position is 0 unless said otherwise.
"""


def page(folder: pathlib.Path) -> str:
    """Return the page of a folder of results.

    Args:
        folder: With `<study>.json` and `<study>.svg`.
    """
    parts = [HEAD]
    for name, section in SECTIONS.items():
        path = folder / f"{name}.json"
        if path.is_file():
            found = json.loads(path.read_text(encoding="utf-8"))
            parts.append(section(found["numbers"]) + _made(found))
    return "\n".join(parts)


def write(folder: pathlib.Path) -> None:
    """Write `studies.md` beside a folder of results."""
    (folder.parent / "studies.md").write_text(page(folder), encoding="utf-8")


def _made(found: dict[str, Any]) -> str:
    made = found["made"]
    return (
        f"\nMade in {made['cpu_s']} CPU s on a shared machine of {made['cores']} cores, seed "
        f"{found['seed']}; MuJoCo {made['mujoco']}, JAX {made['jax']}, Python {made['python']}.\n"
    )


def _command(name: str, policy: bool) -> str:
    line = f"python docs/studies.py {name}" + (" --policy runs/mouse/policy" if policy else "")
    lines = [TRAIN.replace(" --score", " \\\n  --score").replace(" --ppo.env", " \\\n  --ppo.env")]
    return "```bash\n" + "\n".join([*(lines if policy else []), line]) + "\n```\n"


def _picture(name: str, text: str) -> str:
    return f"\n![{text}](studies/{name}.svg)\n\n*{text}*\n\n"


def _range(values: Sequence[float], digits: int = 2) -> str:
    return f"{min(values):.{digits}f} to {max(values):.{digits}f}"


def gait(numbers: dict[str, Any]) -> str:
    """Section of the study `gait`."""
    parts = [
        "\n## Gait against speed, model beside clip\n\n",
        "Stick insect and fly follow the walks of `generated/train`, driven by the controller "
        "`balance`. Contacts of the model are forces above 2 % of its weight; a foot of the clip "
        "stands if it is within 0.5 % of a body length of the floor. These clips are synthetic; a "
        "file of recordings is analyzed the same way.\n\n",
        _command("gait", False),
        _picture(
            "gait",
            "Stride frequency, duty factor and tripod strength of each walk with at least two "
            "strides of every foot, and the joint that follows strides most regularly, mean and "
            "standard deviation.",
        ),
    ]
    for body, found in numbers.items():
        walks, unit = found["walks"], found["unit"]
        rows = [
            [
                w["trial"],
                f"{w['speed']:.2f}",
                *(f"{w[k][x]:.2f}" for x in ("stride_hz", "duty", "tripod") for k in _BOTH),
                f"{w['largest_phase_error']:.2f}",
            ]
            for w in walks
        ]
        heads = ["walk", f"speed ({unit}/s)"]
        heads += [f"{x}, {k}" for x in ("strides (Hz)", "duty", "tripod") for k in _BOTH]
        parts.append(f"**{body.replace('_', ' ')}** (score {found['score']:.3f}, ")
        parts.append(f"n = {len(walks)} walks of {found['trials']} trials)\n\n")
        parts.append(table([*heads, "largest phase error (cycles)"], rows) + "\n")
        stride = [abs(w["model"]["stride_hz"] - w["clip"]["stride_hz"]) for w in walks]
        duty = [w["model"]["duty"] - w["clip"]["duty"] for w in walks]
        parts.append(
            f"\nStride frequencies differ from the clip's by at most {max(stride):.2f} Hz, duty "
            f"factors (model less clip) by {_range(duty)}.\n\n"
        )
    return "".join(parts)


_BOTH = ("clip", "model")


def doses(numbers: dict[str, Any]) -> str:
    """Section of the study `doses`."""
    parts = [
        "\n## Pushes, weak legs and lost legs\n\n",
        "The same animals under `balance`, along walks of `generated/train`, are pushed to the "
        "left at 0.5 s for one control step, lose a share of the controls of one leg, or the whole "
        "leg. A trial fails with the first frame beyond a limit of the task; it goes on, and its "
        "score is the mean over all frames. "
        "The untouched trials (dose 0) have the same seeds.\n\n",
        _command("doses", False),
        _picture(
            "doses", "Share of trials without failure, with Wilson's 95 % intervals, and score."
        ),
    ]
    for body, found in numbers.items():
        rows = [
            [
                row["manipulation"] or "untouched",
                f"{row['dose']:g}",
                str(row["trials"]),
                f"{row['share']:.2f} ({row['low']:.2f} to {row['high']:.2f})",
                f"{row['score']:.3f}",
            ]
            for row in found["curves"]
        ]
        parts.append(f"**{body.replace('_', ' ')}**, leg `{found['leg']}`\n\n")
        heads = ["manipulation", "dose", "trials", "share without failure", "score"]
        parts.append(table(heads, rows) + "\n\n" + _compared(found["curves"]))
    return "".join(parts)


def _compared(curves: Sequence[dict[str, Any]]) -> str:
    """Largest push that all trials stand, and a leg without control beside no leg."""
    whole = [r["dose"] for r in curves if r["manipulation"] == "push" and r["share"] == 1]
    most = {
        kind: max(
            (r for r in curves if r["manipulation"].startswith(kind)), key=lambda r: r["dose"]
        )
        for kind in ("lesion", "amputate")
    }
    weak, gone = most["lesion"], most["amputate"]
    return (
        f"The largest push that all trials stand is {max(whole):g} body weights x s. Without "
        f"control of the leg {weak['share']:.0%} of the trials hold with a score of "
        f"{weak['score']:.2f}, without the leg {gone['share']:.0%} with {gone['score']:.2f}.\n\n"
    )


def muscles(numbers: dict[str, Any]) -> str:
    """Section of the study `muscles`."""
    rows = [
        [
            name,
            f"{m['mean']:.3f}",
            f"{m['peak']:.2f}",
            _number(m["onset_s"], 3),
            str(m["trials_with_onset"]),
            f"{m['peak_time_s']:.3f}",
        ]
        for name, m in numbers["muscles"].items()
    ]
    heads = ["muscle or group", "mean", "peak", "onset (s)", "trials with onset", "peak (s)"]
    pairs = [
        [p["first"], p["second"], f"{p['co_contraction']:.2f}"] for p in numbers["co_contraction"]
    ]
    optimized = numbers["static_optimization"]
    vaf = [round(x, 3) for x in numbers["vaf"]]
    needed = next((i + 1 for i, x in enumerate(vaf) if x > 0.9), len(vaf))
    return "".join(
        [
            "\n## Muscles of the mouse arm in reaching\n\n",
            "An intention network, trained by PPO to follow `generated/train`, drives the nine "
            f"muscles along `generated/test` (score {numbers['score']:.3f}, "
            f"n = {numbers['trials']} trials). {_trained(numbers['trained_steps'])}"
            "Times are relative to movement onset, 5 % of the hand's peak speed.\n\n",
            _command("muscles", True),
            _picture("muscles", "Activations with standard errors, and synergies (NMF)."),
            table(heads, rows) + "\n\n",
            table(["group", "with group", "co-contraction index"], pairs) + "\n\n",
            f"{needed} synergies explain more than 90 % of the activations' squares. Static "
            "optimization, the activations of the least sum of squares that make the torques of "
            "the clip, needs a sum of squares of "
            f"{optimized['sum_of_squares_optimized']:.3f}; the policy uses "
            f"{optimized['sum_of_squares_model']:.3f}. The torque that no activations make is "
            f"{optimized['missing_torque_share']:.1%} of what is asked for (rms).\n\n",
            "Published facts to compare with: in reaching rats the latissimus is active first, "
            "about 150 ms before movement onset, triceps at the end of the reach, and antagonists "
            "are active together (Behavioural Brain Research 85:175, 1997). Clips of "
            "`generated/test` are synthetic, so agreement or difference says something of the "
            "policy's strategy only, and nothing of mice. `mimic-envs analyse --emg` compares "
            "with EMG of your own.\n",
        ]
    )


def _trained(steps: int | None) -> str:
    """What is said of a training that did not take all of its steps."""
    wanted = int(TRAIN.split("--steps ")[1].split()[0])
    if steps is None or steps >= wanted:
        return ""
    return f"Its training was stopped after {steps / 1e6:.2f} of {wanted / 1e6:.1f} million steps. "


def _number(x: float | None, digits: int) -> str:
    return "" if x is None else f"{x:.{digits}f}"


def latents(numbers: dict[str, Any]) -> str:
    """Section of the study `latents`."""
    rows = numbers["decoding"]
    layers = list(dict.fromkeys(r["layer"] for r in rows))
    targets = list(dict.fromkeys(r["target"] for r in rows))
    cells = {(r["layer"], r["target"]): r for r in rows}
    lines = []
    for layer in layers:
        line = [layer]
        for target in targets:
            r = cells.get((layer, target))
            line.append("" if r is None else _decoded(r))
        lines.append(line)
    return "".join(
        [
            "\n## What layers encode, with controls\n\n",
            "The same policy and trials "
            f"(n = {numbers['trials']} trials, {numbers['frames']} frames). R² of ridge "
            "regression on trials that were left out; in brackets less the R² of an untrained "
            "random layer of the same width on the same observation.\n\n",
            _command("latents", True),
            _picture("latents", "R² of movement from layers, and the difference to the control."),
            table(["layer", *targets], lines) + "\n\n",
            "A layer encodes only what it tells beyond the random one. Pairs marked * hold by "
            f"construction. {_latent(rows)}\n",
        ]
    )


def _latent(rows: Sequence[dict[str, Any]]) -> str:
    """What the latent tells, in words."""
    own = [r for r in rows if r["layer"] == "latent"]
    most = max(own, key=lambda r: r["above_random_layer"])
    least = min(own, key=lambda r: r["r2"])
    return (
        f"Of these the latent tells most beyond the control of {most['target']} (R² "
        f"{most['r2']:.2f}, {most['above_random_layer']:+.2f}), and least of {least['target']} "
        f"(R² {abs(least['r2']):.2f}): the decoder knows the pose from proprioception."
    )


def _decoded(row: dict[str, Any]) -> str:
    if row["r2"] is None:
        return ""
    above = row.get("above_random_layer")
    beyond = "" if above is None else f" ({above:+.2f})"
    return f"{row['r2']:.2f}{beyond}" + ("*" if row.get("by_construction") else "")


def variability(numbers: dict[str, Any]) -> str:
    """Section of the study `variability`."""
    rows = [
        [
            found["manipulation"],
            f"{found['dose']:g}",
            f"{found['joint_angle']:.2e}",
            f"{found['ratio']:.2f}",
            f"{found['score']:.3f}",
        ]
        for found in numbers["conditions"].values()
    ]
    heads = ["noise", "dose", "variance of joint angles (rad²)", "relevant / irrelevant", "score"]
    return "".join(
        [
            "\n## Noise and variability\n\n",
            "Noise is added to the latent, in standard deviations that the encoder itself "
            "predicts (`encoder_noise`), or to the controls (`motor_noise`, in halves of the "
            f"control range); {numbers['repeats']} repeats of n = {numbers['trials']} trials of "
            f"{numbers['steps']} control steps. The score of the untouched trials is "
            f"{numbers['untouched_score']:.3f}. A ratio below 1 says that variance is channeled "
            "into joint movements that do not move the hand.\n\n",
            _command("variability", True),
            _picture(
                "variability",
                "Variance across repeats, the ratio of what moves the hand to what does not, and "
                "score, mean and standard error over trials; right: by label of the clip.",
            ),
            table(heads, rows) + "\n\n",
            "Noise of the size that the encoder was trained with hardly changes the score; what "
            "varies then are mostly joint movements that leave the hand where it is.\n"
            if max(f["ratio"] for f in numbers["conditions"].values() if _encoder(f)) < 1
            else "",
        ]
    )


def _encoder(found: dict[str, Any]) -> bool:
    return bool(found["manipulation"] == "encoder_noise")


SECTIONS: dict[str, Callable[[dict[str, Any]], str]] = {
    "gait": gait,
    "doses": doses,
    "muscles": muscles,
    "latents": latents,
    "variability": variability,
}
