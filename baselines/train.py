"""Train a policy: `python -m baselines.train --env mimic_envs/MouseArm-v1 --algorithm ppo`.

The run's folder holds `config.json`, `metrics.jsonl`, `checkpoints/` and `policy/`. The same
command continues a run that was stopped or killed, with the same result on the `native`
backend as if it had not been.

All devices of this process take part, and those of other processes that were started with the
same `--coordinator` and settings; they need the run's folder on a shared file system, which
only the first of them writes to.
"""

from __future__ import annotations

import dataclasses
import pathlib
import sys
from typing import TYPE_CHECKING, Literal

import tyro
from rich.console import Console

from baselines import parallel, ppo_config, runs, terminal
from baselines.checkpoints import LEAST
from baselines.spec import Spec
from mimic_envs.command import as_command
from mimic_envs.jax_settings import package_settings
from mimic_envs.mdp import actions

if TYPE_CHECKING:
    from baselines.ppo_run import Run


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Arguments of a training run: environment, network, clips and duration."""

    env: str
    """Environment id, for example mimic_envs/MouseArm-v1."""
    algorithm: Literal["ppo"] = "ppo"
    out: pathlib.Path | None = None
    """Folder of the run; runs/<body>-<algorithm>-<network>-<action>-seed<seed> if absent."""
    steps: int = 2_000_000
    """Environment steps, rounded up to whole updates."""
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
    first_frame_share: float = 0.0
    """Share of the episodes that begin at a clip's first frame, as scored ones do; the others
    begin anywhere."""
    sampling: Literal["uniform", "first", "failure"] = "uniform"
    """Where the other episodes begin: anywhere, at first frames, or more often up to half a
    second before places where the policy has failed of late."""
    backend: Literal["native", "mjx", "warp"] = "native"
    threads: int = 0
    """Threads of the native backend; 0 takes one per CPU."""
    network: Literal["mlp", "intention", "recurrent"] = "mlp"
    hidden: tuple[int, ...] = (256, 256)
    """Widths of the policy's hidden layers."""
    latent_size: int = 16
    """Width of the latent of intention and recurrent networks."""
    action: str = "torque"
    """Meaning of an action: `torque`, `pd_residual`, `pd_targets`, `balance_residual`,
    `balance_targets`, `posture` or `latent`, see `mimic_envs.mdp.actions`."""
    action_options: tuple[str, ...] = ()
    """Options of it, each as name=value; for `latent` decoder=FOLDER, mode=walk, scale=0.5, see
    `mimic_envs.reuse.latent`."""
    score_weight: float = 0.0
    """Weight of the frame's score in the reward. The body's own reward is nearly flat close
    to the reference; the score falls evenly with the distance."""
    grounded: bool = False
    """Follow motions whose feet stand on the floor without sliding, made from the clips; scores
    are against the clips all the same."""
    start: pathlib.Path | None = None
    """Folder of a policy to start from, `policy/` of a run of this command or of
    `baselines.distill`; of the same network and action."""
    look_ahead: bool = False
    """Whether the critic sees the reference further ahead than the policy."""
    checkpoint_every_s: float = 60.0
    """Seconds between two checkpoints."""
    keep: int = 2
    """Checkpoints to keep, at least 2: if one is damaged, the run continues from another."""
    profile: bool = False
    """Only print where the time of an update goes; nothing is trained or written."""
    coordinator: str = ""
    """If several processes train together: host and port of the first one, or `auto` under Slurm
    and wherever else JAX can find out by itself."""
    processes: int | None = None
    """How many processes there are; not needed with `--coordinator auto`."""
    process: int | None = None
    """The number of this one, from 0."""
    ppo: ppo_config.Config = dataclasses.field(default_factory=ppo_config.Config)

    def __post_init__(self) -> None:
        object.__setattr__(self, "task", runs.task_of(self.env, self.task))
        runs.at_least(self, steps=1, eval_every=1, threads=0, checkpoint_every_s=0, keep=LEAST)

    @property
    def spec(self) -> Spec:
        """How the policy is built."""
        action = actions.parse(self.action, self.action_options)
        return Spec(self.network, self.hidden, self.latent_size, action, self.ppo.initial_std)

    @property
    def updates(self) -> int:
        """Updates of the whole run."""
        return -(-self.steps // self.ppo.steps_per_update)


def parse(argv: list[str] | None) -> Arguments:
    """The command line; the process's own if not given."""
    return tyro.cli(Arguments, args=argv, prog="python -m baselines.train")


def make(arguments: Arguments, console: Console) -> Run:
    """Make a run; see `baselines.ppo_run.Run` for its errors."""
    # not at the top: the help must come without the packages that training needs
    from baselines.ppo_run import Run

    return Run(arguments, console)


@as_command
@package_settings()
def main(argv: list[str] | None = None) -> int:
    """Train as the command line says; returns the exit status."""
    arguments = parse(argv)
    if arguments.coordinator:
        parallel.start(arguments.coordinator, arguments.processes, arguments.process)
    console = terminal.console(quiet=not parallel.is_first())
    if arguments.profile:
        make(arguments, console).profile().show(console)
        return 0
    return runs.main(lambda console: make(arguments, console), console)


if __name__ == "__main__":
    sys.exit(main())
