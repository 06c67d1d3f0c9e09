"""Our PPO against Stable-Baselines3's: `python -m benchmarks.compare_ppo --minutes 10`.

One after the other, on the same cores: the same environment, reward, discount, network sizes and
minutes for each. Says when ours reached the score that Stable-Baselines3 ended with, and draws
all curves. Wall time is that of the whole run, compilation and scoring included.
"""

from __future__ import annotations

import dataclasses
import json
import pathlib
import signal
import subprocess
import sys
import time

import tyro

from baselines import log, plot, runs

SHARE = 0.2
"""Part of Stable-Baselines3's time in which ours should reach its score."""
SB3_DEFAULTS = (
    *("--environments", "16", "--ppo.n-steps", "2048", "--ppo.batch-size", "64"),
    *("--ppo.n-epochs", "10", "--ppo.gae-lambda", "0.95", "--ppo.learning-rate", "3e-4"),
    *("--ppo.max-grad-norm", "0.5", "--initial-std", "1.0"),
)
"""Settings that the package comes with, where `baselines.sb3_ppo` has others."""


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Runs to compare, and how long they last."""

    minutes: float = 10.0
    """Of each run. Ours may end earlier, at its steps."""
    steps: int = 4_000_000
    """Environment steps of our runs; their learning rate falls until then."""
    threads: int = 2
    """Threads of physics."""
    environments: int = 128
    """Environments that run side by side."""
    env: str = "mimic_envs/MouseArm-v1"
    hidden: tuple[int, ...] = (128, 128)
    """Widths of the hidden layers of policy and critic."""
    score_weight: float = 40.0
    discount: float = 0.9
    eval_every: int = 100_000
    """Environment steps between two scores."""
    seed: int = 0
    sb3_defaults: bool = False
    """Also run Stable-Baselines3 with the settings it comes with."""
    out: pathlib.Path = pathlib.Path("runs/compare_ppo")
    """Folder of the runs, the picture and `result.json`; must not exist."""


def commands(arguments: Arguments) -> dict[str, list[str]]:
    """Module and arguments of each run by its name."""
    hidden = [str(n) for n in arguments.hidden]
    common = [
        *("--env", arguments.env, "--threads", str(arguments.threads)),
        *("--seed", str(arguments.seed), "--eval-every", str(arguments.eval_every)),
        *("--score-weight", str(arguments.score_weight), "--hidden", *hidden),
    ]
    discount = str(arguments.discount)
    # so many that the time ends first
    sb3 = ["baselines.sb3_ppo", *common, "--ppo.gamma", discount, "--steps", str(10**9)]
    sb3 += ["--minutes", str(arguments.minutes)]
    ours = ["baselines.train", *common, "--ppo.discount", discount]
    ours += ["--ppo.critic-hidden", *hidden, "--steps", str(arguments.steps)]
    ours += ["--ppo.environments", str(arguments.environments)]
    found = {
        "sb3": [*sb3, "--environments", str(arguments.environments)],
        "ours": [*ours, "--action", "torque"],
        "ours-pd-residual": [*ours, "--action", "pd_residual", "--ppo.initial-std", "0.1"],
    }
    if arguments.sb3_defaults:
        found["sb3-defaults"] = [*sb3, *SB3_DEFAULTS]
    return found


def run(command: list[str], folder: pathlib.Path, minutes: float) -> None:
    """Train in another process. Ours is asked to save and end when the time is up, as by Ctrl-C."""
    print(f"--- {folder.name}: python -m {' '.join(command)}", flush=True)
    process = subprocess.Popen([sys.executable, "-m", *command, "--out", str(folder)])
    began = None
    while process.poll() is None:
        time.sleep(0.5)
        if began is None and (folder / "metrics.jsonl").exists():
            began = time.monotonic()  # as in its log: without Python's start
        if began is not None and time.monotonic() > began + 60 * minutes:
            if command[0] == "baselines.train":
                process.send_signal(signal.SIGINT)
            break
    if process.wait() not in (0, runs.INTERRUPTED):
        raise RuntimeError(f"{folder.name} ended with status {process.returncode}")


def scores(folder: pathlib.Path) -> list[tuple[float, float, int]]:
    """Seconds, score and environment steps of every evaluation of a run."""
    return [
        (x["wall_time_s"], x["score"], x["steps"])
        for x in log.read(folder)
        if x["kind"] == "evaluation"
    ]


def compare(arguments: Arguments) -> dict[str, dict[str, float | None]]:
    """How each run ended, and when it first reached the score that `sb3` ended with."""
    goal_s, goal, _ = scores(arguments.out / "sb3")[-1]
    found = {}
    for name in commands(arguments):
        seen = scores(arguments.out / name)
        end_s, score, steps = seen[-1]
        reached_s = next((s for s, x, _ in seen if x >= goal), None)
        found[name] = {
            "score": score,
            "seconds": end_s,
            "steps": steps,
            "reached_goal_after_s": reached_s,
            "share": None if reached_s is None else reached_s / goal_s,
        }
    return found


def main() -> None:
    """Run, compare, draw and print."""
    arguments = tyro.cli(Arguments, prog="python -m benchmarks.compare_ppo")
    if arguments.out.exists():
        sys.exit(f"{arguments.out} exists already: choose another folder with --out")
    for name, command in commands(arguments).items():
        run(command, arguments.out / name, arguments.minutes)
    result = compare(arguments)
    (arguments.out / "result.json").write_text(json.dumps(result, indent=1) + "\n")
    picture, folders = arguments.out / "curves.png", tuple(arguments.out / x for x in result)
    goal = result["sb3"]["score"]
    plot.draw(plot.Arguments(picture, folders, goal, "sb3's last score", near_one=True))
    for name, x in result.items():
        print(f"{name:16} {x['score']:.4f} after {x['seconds']:4.0f} s and {x['steps']:,} steps")
    for name in ("ours", "ours-pd-residual"):
        share = result[name]["share"]
        if share is None:
            print(f"{name} did not reach the last score of sb3: NOT MET")
        else:
            verdict = "met" if share <= SHARE else "NOT MET"
            print(f"{name} reached it in {share:.2f} of the time, required <= {SHARE}: {verdict}")
    print(f"curves: {picture}")


if __name__ == "__main__":
    main()
