"""Brax's PPO on our environments: `python -m baselines.brax_ppo --env mimic_envs/MouseArm-v1`.

For comparison. Needs `pip install -e '.[baselines,brax]'`.
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
from mimic_envs.jax_settings import package_settings

if TYPE_CHECKING:
    from baselines.brax_run import Run


@dataclasses.dataclass(frozen=True)
class Settings:
    """Hyper-parameters by their names in Brax."""

    num_envs: int = 128
    """Environments that run side by side."""
    unroll_length: int = 16
    """Control steps of each environment per update."""
    batch_size: int = 16
    """Stretches of `unroll_length` steps in a minibatch."""
    num_minibatches: int = 8
    num_updates_per_batch: int = 4
    """Passes over the collected steps per update."""
    discounting: float = 0.95
    gae_lambda: float = 0.9
    learning_rate: float = 1e-3
    clipping_epsilon: float = 0.2
    entropy_cost: float = 0.0
    max_grad_norm: float = 1.0

    def __post_init__(self) -> None:
        if self.batch_size * self.num_minibatches % self.num_envs:
            raise ValueError(
                f"batch_size={self.batch_size} times num_minibatches={self.num_minibatches} must "
                f"be a multiple of num_envs={self.num_envs}"
            )


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Arguments of a training run: environment, network, clips and duration."""

    env: str
    """Environment id, for example mimic_envs/MouseArm-v1."""
    out: pathlib.Path | None = None
    """Folder of the run; runs/<body>-brax-seed<seed> if absent."""
    steps: int = 2_000_000
    """Environment steps, rounded up to whole updates and equal parts between scores."""
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
    backend: str = "native"
    """Physics to train with."""
    threads: int = 0
    """Threads of the native backend; 0 takes one per CPU."""
    hidden: tuple[int, ...] = (256, 256)
    """Widths of the hidden layers of policy and critic, which share none."""
    score_weight: float = 0.0
    """Weight of the frame's score in the reward, as in baselines.train."""
    first_frame_share: float = 0.0
    """Share of the episodes that begin at a clip's first frame, as in baselines.train."""
    ppo: Settings = dataclasses.field(default_factory=Settings)

    def __post_init__(self) -> None:
        object.__setattr__(self, "task", runs.task_of(self.env, self.task))
        runs.at_least(self, steps=1, eval_every=1, threads=0)


def make(arguments: Arguments, console: Console) -> Run:
    """Make a run; see `baselines.brax_run.Run` for its errors."""
    # not at the top: the help must come without the packages that training needs
    from baselines.brax_run import Run

    return Run(arguments, console)


@as_command
@package_settings()
def main(argv: list[str] | None = None) -> int:
    """Train as the command line says; returns the exit status."""
    arguments = tyro.cli(Arguments, args=argv, prog="python -m baselines.brax_ppo")
    return runs.main(lambda console: make(arguments, console), goes_on=False)


if __name__ == "__main__":
    sys.exit(main())
