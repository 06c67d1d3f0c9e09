"""Policies of recordings of real animals: the data they learn from, and what they score.

    python -m baselines.recordings prepare FOLDER --out recordings
    python -m baselines.train --clips recordings/fly-train.h5 ...
    python -m baselines.recordings publish runs/fly

`prepare` cuts the recordings of every body into a part to learn from and a part held out.
`publish` copies the policy of a run to `baselines/policies/`, with the scores of it and of `pd`
on both parts and the command that trained it.
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

import numpy as np
import tyro
from rich.console import Console

import mimic_envs
from baselines import runs, terminal, train
from baselines.checkpoints import read_json, write_json
from mimic_envs import clips as clips_
from mimic_envs import controllers, scoring
from mimic_envs.clips import ClipSet
from mimic_envs.command import as_command
from mimic_envs.env import Environment
from mimic_envs.scoring import policies

POLICIES = pathlib.Path(__file__).parent / "policies"
PARTS = ("train", "test")
SOURCES = {
    "fly": "reference_clips.h5",
    "mouse_arm": ".",
    "rodent": "reference_clips.h5",
    "stick_insect": "reference_clips.h5",
    "worm": "published_rollout.npz",
}
"""File of each body in its folder, or the whole folder."""
UNITS = {"worm": "mm"}
"""Where the layout of the file has no known unit."""
LEARNT_S = {"fly": 0.8, "stick_insect": 10.6, "worm": 5.0}
"""Where there is one recording: how much of its beginning is learned from."""
HELD_OUT = {"mouse_arm": 0.2, "rodent": 0.25}
"""Where there are several: the share of the frames that is held out, in whole clips. They are of
one session, so the animal, and for the mouse the task, is the same in both parts."""


def load(body: str, folder: pathlib.Path) -> ClipSet:
    """All recordings of a body as one set.

    Args:
        body: Its name.
        folder: Folder of its recordings.

    Raises:
        FileNotFoundError: They are not there.
    """
    return clips_.import_clips(folder / SOURCES[body], body, unit=UNITS.get(body))[0]


def cut(body: str, folder: pathlib.Path) -> dict[str, ClipSet]:
    """The parts of a body's recordings by name.

    Args:
        body: Its name.
        folder: Folder of its recordings.

    Raises:
        FileNotFoundError: They are not there.
    """
    clips = load(body, folder)
    if body in HELD_OUT:
        return clips_.split(clips, HELD_OUT[body], session=None).apply(clips)
    stop_s = LEARNT_S[body]
    return {"train": clips_.trim(clips, stop_s=stop_s), "test": clips_.trim(clips, start_s=stop_s)}


@dataclasses.dataclass(frozen=True)
class Prepare:
    """Cut recordings into what is learned from and what is held out."""

    data: Annotated[pathlib.Path, tyro.conf.Positional]
    """Folder with a folder of recordings for each body."""
    out: pathlib.Path = pathlib.Path("recordings")
    """Folder for <body>-train.h5 and <body>-test.h5."""

    def run(self, console: Console) -> None:
        """Write the files of all bodies that have recordings."""
        found = [body for body in SOURCES if (self.data / body / SOURCES[body]).exists()]
        if not found:
            raise FileNotFoundError(
                f"{self.data} has no recordings: looked for "
                + ", ".join(f"{body}/{name}" for body, name in SOURCES.items())
            )
        self.out.mkdir(parents=True, exist_ok=True)
        for body in found:
            for part, clips in cut(body, self.data / body).items():
                path = self.out / f"{body}-{part}.h5"
                clips.save(path)
                console.print(f"{path}: {len(clips)} clips, {clips.duration_s:.1f} s")


@dataclasses.dataclass(frozen=True)
class Publish:
    """Copy policies of finished runs to `baselines/policies/`, with their scores."""

    runs: Annotated[tuple[pathlib.Path, ...], tyro.conf.Positional]
    """Folders of runs of `baselines.train` on what `prepare` wrote."""
    out: pathlib.Path = POLICIES
    """Folder for the policies, in folders named as the bodies."""
    hardware: str = "one core without GPU"
    """Hardware that they were trained on."""
    curves: pathlib.Path | None = None
    """Folder for pictures of learning curves, <body>.png; needs matplotlib."""

    def run(self, console: Console) -> None:
        """Score and copy, run by run."""
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
    for part in PARTS:
        clips = clips_.load(learnt.with_name(f"{body}-{part}.h5"), body)
        env = mimic_envs.make(body, clips=clips)
        if part == "train" and env.clips.content_hash != settings["clips_sha256"]:
            raise ValueError(f"{run} was trained on other clips than {learnt} has now")
        parts[part] = {
            "clips": len(clips),
            "seconds": round(clips.duration_s, 3),
            "sha256": clips.content_hash,
            "pd": score(env, controllers.make("pd", env), clips),
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
    """Score of a controller or policy by the protocol; with its interval for several clips."""
    found = scoring.score(env, actor, clips, "recordings")
    said: dict[str, Any] = {"score": round(found.score, 4)}
    if len(clips) > 1:
        said["ci95"] = np.round(found.score_ci95, 4).tolist()
    return said


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
    asked = tyro.extras.subcommand_cli_from_dict(
        {"prepare": Prepare, "publish": Publish}, args=argv, prog="python -m baselines.recordings"
    )
    asked.run(terminal.console())


if __name__ == "__main__":
    sys.exit(main())
