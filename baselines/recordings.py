"""Policies of recordings of real animals: the data they learn from, and what they score.

    mimic-envs clips prepare FOLDER --out recordings
    python -m baselines.train --clips recordings/fly-train.h5 ...
    python -m baselines.recordings runs/fly

copies the policy of a run to `baselines/policies/`, with the scores of it, of `pd` and of `balance`
on the part to learn from and on the part held out, in the units of publications too, and the
command that trained it. `docs/recordings.md` shows them.
"""

from __future__ import annotations

import dataclasses
import json
import pathlib
import shlex
import shutil
import sys
import tempfile
from typing import Annotated, Any

import tyro
from rich.console import Console

import mimic_envs
from baselines import runs, terminal, train
from baselines.checkpoints import read_json, write_json
from mimic_envs import clips as clips_
from mimic_envs import controllers, scoring
from mimic_envs.clips import ClipSet, recorded
from mimic_envs.command import as_command
from mimic_envs.env import Environment
from mimic_envs.scoring import policies

POLICIES = pathlib.Path(__file__).parent / "policies"


@dataclasses.dataclass(frozen=True)
class Publish:
    """Copy policies of finished runs to `baselines/policies/`, with their scores."""

    runs: Annotated[tuple[pathlib.Path, ...], tyro.conf.Positional]
    """Folders of runs of `baselines.train` on what `mimic-envs clips prepare` wrote."""
    out: pathlib.Path = POLICIES
    """Folder for the policies, in folders named as the bodies."""
    hardware: str = "one core without GPU"
    """Hardware that they were trained on."""
    curves: pathlib.Path | None = None
    """Folder for pictures of learning curves, <body>.png; needs matplotlib."""

    def run(self, console: Console) -> None:
        """Score and copy, run by run.

        Raises:
            ValueError: No run is given, or see `publish`.
        """
        if not self.runs:
            raise ValueError("give the folder of a run of baselines.train, or of several")
        for run in self.runs:
            said = publish(run, self.out, self.hardware)
            body, parts = said["body"], said["parts"]
            if self.curves is not None:
                draw(run, self.curves / f"{body}.png", parts["train"]["pd"]["score"])
            for part, scores in parts.items():
                before, after = scores["pd"]["score"], scores["policy"]["score"]
                console.print(f"{body} {part}: pd {before:.3f}, policy {after:.3f}")


def publish(run: pathlib.Path, out: pathlib.Path, hardware: str) -> dict[str, Any]:
    """Copy a run's policy and write `scores.json` beside it; returns what that says.

    Args:
        run: The run's folder; its clips must be where they were.
        out: Folder of all policies; one of the same body is replaced.
        hardware: What it was trained on.

    Raises:
        ValueError: The run cannot be published; the message names it and says why.
    """
    settings, record = _finished(run)
    words = command(settings)  # before the scores, which take time
    learnt = pathlib.Path(settings["clips"])
    body = runs.body_of(settings["env"])
    parts = {}
    for part in recorded.PARTS:
        clips = clips_.load(learnt.with_name(f"{body}-{part}.h5"), body)
        env = mimic_envs.make(body, clips=clips, **scoring.STARTS.options)
        if part == "train" and env.clips.content_hash != settings["clips_sha256"]:
            raise ValueError(f"{run} was trained on other clips than {learnt} has now")
        names = ["pd"] if env.body.balance is None else ["pd", "balance"]
        parts[part] = {
            "clips": len(clips),
            "seconds": round(clips.duration_s, 3),
            "sha256": clips.content_hash,
            "grounded": clips.recording is not None,
            **{name: score(env, controllers.make(name, env), clips) for name in names},
            "policy": score(env, policies.load(run / "policy", env), clips),
        }
    said = {
        "body": body,
        "protocol": scoring.protocol.PROTOCOL,
        "steps": record["steps"],
        "wall_time_s": record["wall_time_s"],
        "hardware": hardware,
        "command": words,
        "parts": parts,
    }
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out, prefix=".") as folder:
        fresh = shutil.copytree(run / "policy", pathlib.Path(folder) / "new")
        write_json(fresh / "scores.json", said)
        if (out / body).exists():
            (out / body).rename(pathlib.Path(folder) / "old")
        fresh.rename(out / body)
    return said


def _finished(run: pathlib.Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Settings of a run on recordings that is at its end, and what its policy says of training.

    Raises:
        ValueError: It is not such a run.
    """
    remedy = "train it again"
    try:
        settings = read_json(run / "config.json", remedy)
        record = read_json(run / "policy" / "training.json", remedy)
    except FileNotFoundError as error:
        raise ValueError(f"{run} is no run with a policy: {error.filename} is missing") from None
    if record.get("algorithm") != "ppo":
        raise ValueError(f"{run} is no run of baselines.train but {record.get('algorithm')!r}")
    wanted = f"{runs.body_of(settings['env'])}-train.h5"
    for name in ("clips", "eval_clips"):
        if pathlib.Path(settings[name]).name != wanted:
            raise ValueError(f"{run} has {name}={settings[name]}, it must be a {wanted}")
    if record["steps"] < settings["steps"]:
        raise ValueError(
            f"{run} is not finished: {record['steps']:,} of {settings['steps']:,} steps"
        )
    return settings, record


def score(env: Environment, actor: Any, clips: ClipSet) -> dict[str, Any]:
    """What a controller or policy reaches by the protocol; the worst quarter for several clips."""
    found = scoring.score(env, actor, clips, "recordings", starts=scoring.STARTS)
    said: dict[str, Any] = {"score": round(found.score, 4)}
    if len(clips) > 1:
        said["worst_quarter"] = round(found.worst_quarter, 4)
    said["coverage"] = round(float(found.metrics["coverage"].mean()), 3)
    return said | {name: float(f"{x:.3g}") for name, x in found.published_units().items()}


def draw(run: pathlib.Path, path: pathlib.Path, level: float) -> None:
    """Draw the learning curve of a run beside the score of `pd`."""
    from baselines import plot  # matplotlib is in another extra

    path.parent.mkdir(parents=True, exist_ok=True)
    plot.draw(plot.Arguments(path, (run,), level))


def command(settings: dict[str, Any], trainer: Any = train) -> str:
    """The command line of a run, from its `config.json`.

    Args:
        settings: What that says.
        trainer: The module of the command, `baselines.train` or `baselines.distill`.

    Raises:
        ValueError: There is no such setting any more.
    """
    usual = dataclasses.asdict(trainer.Arguments(settings["env"]))
    usual = json.loads(json.dumps(usual, default=str))
    name_of = trainer.__spec__.name
    words = [f"python -m {name_of}", f"--env {settings['env']}"]
    always = {"steps", "seed"}  # which readers look for
    # hashes are no settings, and a run that was not told how many shards notes how many it took
    left_out = {"env", "clips_sha256", "action_identity", *runs.FREE, "ppo.shards"}

    def add(prefix: str, given: dict[str, Any], usual: dict[str, Any]) -> None:
        for name, value in given.items():
            full = prefix + name
            if full in left_out:
                continue
            if name not in usual:
                raise ValueError(f"{full} is no setting of {name_of}")
            option = f"--{prefix}{'no-' if value is False else ''}{name.replace('_', '-')}"
            if isinstance(value, dict):
                add(f"{full}.", value, usual[name])
            elif value != usual[name] or full in always:
                values = value if isinstance(value, list) else [value]
                said = [shlex.quote(str(x)) for x in values if not isinstance(x, bool)]
                words.append(" ".join([option, *said]))

    add("", settings, usual)
    return " ".join(words)


@as_command
def main(argv: list[str] | None = None) -> None:
    """Do what the command line says."""
    tyro.cli(Publish, args=argv, prog="python -m baselines.recordings").run(terminal.console())


if __name__ == "__main__":
    sys.exit(main())
