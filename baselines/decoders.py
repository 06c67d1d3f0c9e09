"""Keep decoders for other tasks: `python -m baselines.decoders runs/...`.

A finished run of `baselines.train` or `baselines.distill` whose policy has a decoder that can be
reused is copied to `baselines/decoders/<body>-<action>/`, with weights of 16 bits, and with
`scores.json`: what the copy scores, what controllers without learning score, and the command that
trained it.
"""

from __future__ import annotations

import dataclasses
import pathlib
import shutil
import sys
from typing import Annotated, Any

import numpy as np
import tyro
from rich.console import Console

import mimic_envs
from baselines import distill, recordings, runs, terminal, train
from baselines.checkpoints import read_json, write_json
from mimic_envs import clips as clips_
from mimic_envs import controllers, scoring
from mimic_envs.command import as_command
from mimic_envs.jax_settings import package_settings
from mimic_envs.reuse import decoder
from mimic_envs.scoring import policies, safetensors

DECODERS = pathlib.Path(__file__).parent / "decoders"
STATISTICS = ("mean", "std")
"""Tensors that keep 32 bits: velocities do not fit into 16."""


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Arguments of the command."""

    runs: Annotated[tuple[pathlib.Path, ...], tyro.conf.Positional]
    """Folders of finished runs."""
    out: pathlib.Path = DECODERS
    """Folder for the decoders."""
    clips: str = "generated/test"
    """Clips to score on."""
    controllers: tuple[str, ...] = ("pd",)
    """Controllers to compare with."""
    hardware: str = "one core without GPU"
    """Hardware that they were trained on."""
    stopped: bool = False
    """Keep runs that were stopped before their end, too; `scores.json` says how many steps were
    planned, which learning rates follow."""


def keep(run: pathlib.Path, arguments: Arguments) -> dict[str, Any]:
    """Copy a run's policy and write `scores.json` beside it; returns what that says.

    Raises:
        ValueError: The run has no policy whose decoder can be reused, or is not finished.
    """
    settings = read_json(run / "config.json", "train it again")
    record = read_json(run / "policy" / "training.json", "train it again")
    body = mimic_envs.bodies.get(runs.body_of(settings["env"]))
    read = decoder.read(run / "policy", body)
    dagger = settings.get("dagger")
    planned = settings["steps"] if dagger is None else _steps(dagger)
    if record["steps"] < planned and not arguments.stopped:
        raise ValueError(f"{run} is not finished: {record['steps']:,} of {planned:,} steps")
    trainer = train if dagger is None else distill
    folder = arguments.out / f"{body.name}-{read.term.name}"
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("policy.json", "training.json"):
        shutil.copyfile(run / "policy" / name, folder / name)
    tensors = safetensors.read(run / "policy" / "weights.safetensors")
    small = {k: x if k in STATISTICS else x.astype(np.float16) for k, x in tensors.items()}
    safetensors.write(folder / "weights.safetensors", small)
    clips = clips_.load(arguments.clips, body)
    env = mimic_envs.make(
        body, clips=clips, grounded=settings.get("grounded", False), **scoring.STARTS.options
    )
    actors = {name: controllers.make(name, env) for name in arguments.controllers}
    actors["policy"] = policies.load(folder, env)
    scores = {name: _score(env, actor, clips, arguments.clips) for name, actor in actors.items()}
    said = {
        "body": body.name,
        "protocol": scoring.protocol.PROTOCOL,
        "clips": arguments.clips,
        "scores": scores,
        "steps": record["steps"],
        "planned_steps": planned,
        "wall_time_s": record["wall_time_s"],
        "hardware": arguments.hardware,
        "command": recordings.command(settings, trainer),
    }
    write_json(folder / "scores.json", said)
    return said


def _steps(dagger: dict[str, Any]) -> int:
    """Environment steps of a distillation."""
    return int(dagger["rounds"] * dagger["environments"] * dagger["unroll"])


def _score(env: Any, actor: Any, clips: clips_.ClipSet, name: str) -> dict[str, Any]:
    found = scoring.score(env, actor, clips, name, starts=scoring.STARTS)
    return {"score": round(found.score, 4), "worst_quarter": round(found.worst_quarter, 4)}


@as_command
@package_settings()
def main(argv: list[str] | None = None) -> int:
    """Do what the command line says."""
    arguments = tyro.cli(Arguments, args=argv, prog="python -m baselines.decoders")
    console: Console = terminal.console()
    for run in arguments.runs:
        said = keep(run, arguments)
        found = ", ".join(f"{name} {x['score']:.3f}" for name, x in said["scores"].items())
        terminal.say(console, f"{said['body']} on {arguments.clips}: {found}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
