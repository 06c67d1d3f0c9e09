"""Compare algorithms: `python -m baselines.compare --env mimic_envs/MouseArm-v1 --seeds 5`.

Trains each algorithm with several seeds, one run after the other, or as jobs of a cluster
(`--submit slurm`). The same command goes on where it was stopped: finished runs are kept, and
runs that can be continued are. At the end, and with `--report-only` at any time, it writes

| file | content |
|---|---|
| `comparison.json` | scores of final policies by the protocol, intervals, tests, efficiency |
| `comparison.md` | the same as tables |
| `comparison.png` | curves over steps and over time (needs matplotlib) |
"""

from __future__ import annotations

import dataclasses
import pathlib
import shlex
import subprocess
import sys
from collections.abc import Iterator
from typing import Literal

import tyro

from baselines import comparison, runs, terminal
from baselines.stop import INTERRUPTED
from mimic_envs import extras
from mimic_envs.command import as_command
from mimic_envs.files import check_folder
from mimic_envs.messages import unknown

ALGORITHMS: dict[str, tuple[str, str]] = {
    "ppo_torque": ("baselines.train", "--action torque"),
    "ppo_pd_residual": ("baselines.train", "--action pd_residual"),
    "ppo_pd_targets": ("baselines.train", "--action pd_targets"),
    "ppo_posture": ("baselines.train", "--action posture"),
    "ppo_intention": ("baselines.train", "--action torque --network intention"),
    "sb3_ppo": ("baselines.sb3_ppo", ""),
    "brax_ppo": ("baselines.brax_ppo", ""),
}
"""Modules of trainers and their words; one configuration for all bodies."""
DONE = "finished"
"""File in the folder of a run that has come to its end."""


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Arguments of a comparison: algorithms, seeds and duration."""

    env: str
    """Environment id."""
    algorithms: tuple[str, ...] = ("ppo_torque", "ppo_pd_residual")
    """Names of the table, or of `variants`."""
    variants: tuple[str, ...] = ()
    """More algorithms: NAME=WORDS of `baselines.train`, for example "wide=--hidden 512 256"."""
    seeds: int = 5
    """Training seeds of each, from 0."""
    steps: int = 1_000_000
    """Environment steps of each run."""
    evaluations: int = 20
    """Scores along each run."""
    words: str = ""
    """Words for all runs, for example --words="--threads 1"."""
    out: pathlib.Path = pathlib.Path("comparison")
    """Folder of the runs and of the report."""
    submit: Literal["", "local", "slurm"] = ""
    """Run as jobs through submitit, on this computer or on a Slurm cluster, and end; with the same
    command the jobs of runs that are not finished are submitted again."""
    minutes: int = 60
    """Longest time of a job."""
    cpus: int = 2
    """CPUs of a job."""
    report_only: bool = False
    """Report on the runs that are finished."""

    def __post_init__(self) -> None:
        runs.at_least(self, seeds=1, steps=1, evaluations=1, minutes=1, cpus=1)
        runs.body_of(self.env)  # which refuses an unknown id
        table = self.table
        for name in self.algorithms:
            if name not in table:
                raise ValueError(unknown("algorithm", name, table))
        if not self.algorithms or len(set(self.algorithms)) < len(self.algorithms):
            raise ValueError(f"algorithms must be one or more, each once, got {self.algorithms}")

    @property
    def table(self) -> dict[str, tuple[str, str]]:
        """Algorithms by name, variants included."""
        made = dict(ALGORITHMS)
        for variant in self.variants:
            name, equals, words = variant.partition("=")
            if not equals or not name.isidentifier() or name in ALGORITHMS:
                raise ValueError(
                    f"variant {variant!r} must be NAME=WORDS with a new name of letters, digits "
                    "and underscores"
                )
            made[name] = ("baselines.train", words)
        return made


def folder(arguments: Arguments, algorithm: str, seed: int) -> pathlib.Path:
    """Folder of a run."""
    return arguments.out / algorithm / f"seed{seed}"


def command(arguments: Arguments, algorithm: str, seed: int) -> list[str]:
    """Command of a run."""
    module, words = arguments.table[algorithm]
    return [
        *(sys.executable, "-m", module, "--env", arguments.env),
        *("--seed", str(seed), "--steps", str(arguments.steps)),
        *("--eval-every", str(-(-arguments.steps // arguments.evaluations))),
        *("--out", str(folder(arguments, algorithm, seed))),
        *shlex.split(words),
        *shlex.split(arguments.words),
    ]


def unfinished(arguments: Arguments) -> Iterator[tuple[str, int]]:
    """Algorithm and seed of the runs that are not at their end; seed by seed, so that all
    algorithms have about equally many runs at any time."""
    for seed in range(arguments.seeds):
        for algorithm in arguments.algorithms:
            if not (folder(arguments, algorithm, seed) / DONE).exists():
                yield algorithm, seed


def train(arguments: Arguments, algorithm: str, seed: int) -> int:
    """Start or continue a run; returns the exit status of its program."""
    place = folder(arguments, algorithm, seed)
    place.parent.mkdir(parents=True, exist_ok=True)
    status = subprocess.run(command(arguments, algorithm, seed), check=False).returncode
    if status == 0:
        (place / DONE).touch()
    return status


def submit(arguments: Arguments) -> list[str]:
    """Submit a job for each run that is not finished; returns their numbers."""
    extras.require("jobs of a cluster", "submitit")
    import submitit

    executor = submitit.AutoExecutor(arguments.out / "jobs", cluster=arguments.submit)
    executor.update_parameters(timeout_min=arguments.minutes, cpus_per_task=arguments.cpus)
    return [executor.submit(train, arguments, *one).job_id for one in unfinished(arguments)]


@as_command
def main(argv: list[str] | None = None) -> int:
    """Do what the command line says; returns the exit status."""
    arguments = tyro.cli(Arguments, args=argv, prog="python -m baselines.compare")
    console = terminal.console()
    check_folder(arguments.out)
    if arguments.submit:
        numbers = submit(arguments)
        terminal.say(console, f"submitted {len(numbers)} jobs: {', '.join(numbers)}")
        return 0
    for algorithm, seed in () if arguments.report_only else unfinished(arguments):
        terminal.say(console, f"{algorithm}, seed {seed}")
        status = train(arguments, algorithm, seed)
        if status:
            again = "; the same command goes on" if status == INTERRUPTED else ""
            terminal.say(console, f"{algorithm}, seed {seed} ended with status {status}{again}")
            return status
    finished = {
        name: [
            place
            for seed in range(arguments.seeds)
            if ((place := folder(arguments, name, seed)) / DONE).exists()
        ]
        for name in arguments.algorithms
    }
    for path in comparison.report(arguments.env, finished, arguments.out):
        terminal.say(console, f"wrote {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
