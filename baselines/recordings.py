"""Policies of recordings of real animals: the data they learn from, and what they score.

    python -m baselines.recordings prepare ../shared/data --out recordings
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
import shutil
import sys
import tempfile
from typing import Annotated, Any

import numpy as np
import tyro
from rich.console import Console

import mimic_envs
from baselines import plot, runs, train
from baselines.checkpoints import write_json
from mimic_envs import clips as clips_
from mimic_envs import controllers, scoring
from mimic_envs.clips import ClipSet
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
"""Where there are several: the share of the frames that is held out, in whole clips."""


def cut(body: str, folder: pathlib.Path) -> dict[str, ClipSet]:
    """The parts of a body's recordings by name.

    Args:
        body: Its name.
        folder: Folder of its recordings.

    Raises:
        FileNotFoundError: They are not there.
    """
    clips, _ = clips_.import_clips(folder / SOURCES[body], body, unit=UNITS.get(body))
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
                console.print(f"{path}: {len(clips)} clips, {seconds(clips):.1f} s")


@dataclasses.dataclass(frozen=True)
class Publish:
    """Copy policies of finished runs to `baselines/policies/`, with their scores."""

    runs: Annotated[tuple[pathlib.Path, ...], tyro.conf.Positional]
    """Folders of runs of `baselines.train` on what `prepare` wrote."""
    out: pathlib.Path = POLICIES
    """Folder for the policies, in folders named as the bodies."""
    curves: pathlib.Path | None = None
    """Folder for pictures of learning curves, <body>.png."""

    def run(self, console: Console) -> None:
        """Score and copy, run by run."""
        for run in self.runs:
            said = publish(run, self.out)
            if self.curves is not None:
                level = said["parts"]["train"]["pd"]["score"]
                plot.draw(plot.Arguments(self.curves / f"{said['body']}.png", (run,), level))
            for part, scored in said["parts"].items():
                before, after = scored["pd"]["score"], scored["policy"]["score"]
                console.print(f"{said['body']} {part}: pd {before:.3f}, policy {after:.3f}")


def publish(run: pathlib.Path, out: pathlib.Path) -> dict[str, Any]:
    """Copy a run's policy and write `scores.json` beside it; returns what that says.

    Args:
        run: The run's folder; its clips must be where they were.
        out: Folder of all policies; one of the same body is replaced.
    """
    settings = json.loads((run / "config.json").read_text())
    record = json.loads((run / "policy" / "training.json").read_text())
    learnt = pathlib.Path(settings["clips"])
    body = runs.body_of(settings["env"])
    parts = {}
    for part in PARTS:
        clips = clips_.load(learnt.with_name(f"{body}-{part}.h5"), body)
        parts[part] = {
            "clips": len(clips),
            "seconds": round(seconds(clips), 3),
            "sha256": clips.content_hash,
            "pd": scored(clips, None),
            "policy": scored(clips, run / "policy"),
        }
    said = {
        "body": body,
        "protocol": scoring.protocol.PROTOCOL,
        "steps": record["steps"],
        "wall_time_s": record["wall_time_s"],
        "command": command(settings),
        "parts": parts,
    }
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out) as folder:
        fresh = pathlib.Path(shutil.copytree(run / "policy", pathlib.Path(folder) / body))
        write_json(fresh / "scores.json", said)
        shutil.rmtree(out / body, ignore_errors=True)
        fresh.rename(out / body)
    return said


def scored(clips: ClipSet, policy: pathlib.Path | None) -> dict[str, Any]:
    """Score and interval of a policy, or of `pd`, by protocol mimic-1."""
    env = mimic_envs.make(clips.body.name, clips=clips)
    actor = controllers.make("pd", env) if policy is None else policies.load(policy, env)
    found = scoring.score(env, actor, clips, "recordings")
    return {"score": round(found.score, 4), "ci95": np.round(found.score_ci95, 4).tolist()}


def command(settings: dict[str, Any]) -> str:
    """The command line of a run of `baselines.train` with these settings."""
    usual = json.loads(
        json.dumps(dataclasses.asdict(train.Arguments(settings["env"])), default=str)
    )
    words = ["python -m baselines.train", f"--env {settings['env']}"]

    def add(prefix: str, given: dict[str, Any], usual: dict[str, Any]) -> None:
        for name, value in given.items():
            if name not in usual or value == usual[name] or name == "shards":
                continue
            if isinstance(value, dict):
                add(f"{prefix}{name}.", value, usual[name])
            elif isinstance(value, bool):
                words.append(f"--{prefix}{'' if value else 'no-'}{name.replace('_', '-')}")
            else:
                said = " ".join(map(str, value)) if isinstance(value, list) else value
                words.append(f"--{prefix}{name.replace('_', '-')} {said}")

    add("", settings, usual)
    return " ".join(words)


def seconds(clips: ClipSet) -> float:
    """From the first frame to the last, over all clips."""
    return float((clips.lengths - 1).sum() / clips.fps)


def main(argv: list[str] | None = None) -> int:
    """Do what the command line says; returns the exit status."""
    asked = tyro.extras.subcommand_cli_from_dict(
        {"prepare": Prepare, "publish": Publish}, args=argv, prog="python -m baselines.recordings"
    )
    console = Console()
    return runs.checked(console, lambda: asked.run(console))


if __name__ == "__main__":
    sys.exit(main())
