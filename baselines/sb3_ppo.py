"""Stable-Baselines3's PPO: `python -m baselines.sb3_ppo --env mimic_envs/MouseArm-v1 --minutes 10`.

For comparison. Needs `pip install -e '.[baselines,sb3]'`. The run's folder holds `config.json`,
`metrics.jsonl` and `policy/`, which `mimic-envs score --policy` reads.
"""

from __future__ import annotations

import dataclasses
import pathlib
import sys
from typing import TYPE_CHECKING

import tyro
from rich.console import Console

from baselines import runs
from mimic_envs.command import as_command

if TYPE_CHECKING:
    from baselines.sb3_run import Run


@dataclasses.dataclass(frozen=True)
class Settings:
    """Hyper-parameters by their names in Stable-Baselines3.

    Its own are for few environments: 2048, 64, 10, 0.99, 0.95, 3e-4, 0.2, 0, 0.5 and 0.5. Of those
    that were tried (docs/baselines.md) these learned fastest.
    """

    n_steps: int = 16
    """Control steps of each environment per update."""
    batch_size: int = 256
    """Steps in a minibatch."""
    n_epochs: int = 4
    gamma: float = 0.95
    gae_lambda: float = 0.9
    learning_rate: float = 1e-3
    clip_range: float = 0.2
    ent_coef: float = 0.0
    vf_coef: float = 0.5
    max_grad_norm: float = 1.0


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Arguments of a training run: environment, network, clips and duration."""

    env: str
    """Environment id, for example mimic_envs/MouseArm-v1."""
    out: pathlib.Path | None = None
    """Folder of the run; runs/<body>-sb3-seed<seed> if absent."""
    steps: int = 2_000_000
    """Environment steps, rounded up to whole updates."""
    minutes: float | None = None
    """Wall time, scores included, after which training ends even if steps are left."""
    seed: int = 0
    task: str = ""
    """Name of the task, or module:name, or the module that specifies it; that of the environment
    id if not given."""
    clips: str = "generated/train"
    """Clips to train on: a generated set or a file."""
    eval_clips: str = "generated/test"
    """Clips to score on, by the benchmark's protocol."""
    eval_every: int = 250_000
    """Environment steps between two scores."""
    threads: int = 0
    """Threads of physics; 0 takes one per CPU."""
    torch_threads: int = 1
    """Threads of PyTorch. More of them wait for each other most of the time: on two busy cores,
    an update with two took twenty times as long as with one."""
    environments: int = 128
    """Environments that run side by side."""
    hidden: tuple[int, ...] = (256, 256)
    """Widths of the hidden layers of policy and critic, which share none."""
    initial_std: float = 0.3
    """Standard deviation of actions before training."""
    score_weight: float = 0.0
    """Weight of the frame's score in the reward, as in baselines.train."""
    first_frame_share: float = 0.0
    """Share of the episodes that begin at a clip's first frame, as in baselines.train."""
    ppo: Settings = dataclasses.field(default_factory=Settings)

    def __post_init__(self) -> None:
        object.__setattr__(self, "task", runs.task_of(self.env, self.task))
        runs.at_least(self, steps=1, eval_every=1, environments=1, threads=0, torch_threads=1)
        if self.minutes is not None and not self.minutes > 0:
            raise ValueError(f"minutes={self.minutes} must be positive")


def make(arguments: Arguments, console: Console) -> Run:
    """Make a run; see `baselines.sb3_run.Run` for its errors."""
    # not at the top: the help must come without the packages that training needs
    from baselines.sb3_run import Run

    return Run(arguments, console)


@as_command
def main(argv: list[str] | None = None) -> int:
    """Train as the command line says; returns the exit status."""
    arguments = tyro.cli(Arguments, args=argv, prog="python -m baselines.sb3_ppo")
    return runs.main(lambda console: make(arguments, console), goes_on=False)


if __name__ == "__main__":
    sys.exit(main())
