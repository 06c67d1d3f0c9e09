"""Distillation: `python -m baselines.distill --env mimic_envs/Rodent-v1 --teacher wbc`.

A network learns to act as a controller that needs no training but is slow, or as a trained policy
of another network or action term (`--teacher-policy FOLDER`), see `baselines.dagger`.

The run's folder is like that of `baselines.train`, and `baselines.train --start FOLDER`
goes on from it by PPO. A run that was stopped or killed continues after its last whole
round, with the same result as if it had not been.
"""

from __future__ import annotations

import dataclasses
import pathlib
import sys
from typing import TYPE_CHECKING, Literal

import tyro
from rich.console import Console

from baselines import dagger_config, runs
from baselines.checkpoints import LEAST
from baselines.spec import Spec
from mimic_envs.command import as_command
from mimic_envs.jax_settings import package_settings
from mimic_envs.mdp import actions

if TYPE_CHECKING:
    from baselines.dagger_run import Run


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Arguments of a distillation: environment, teacher, network, clips and duration."""

    env: str
    """Environment id, for example mimic_envs/Rodent-v1."""
    teacher: str = "wbc"
    """Name of a controller, for example wbc, balance or mpc."""
    teacher_policy: pathlib.Path | None = None
    """Folder of a trained policy that is the teacher in place of the controller."""
    out: pathlib.Path | None = None
    """Folder of the run; if absent
    runs/<body>-distilled-<teacher>-<network>-<action>-seed<seed>."""
    seed: int = 0
    task: str = ""
    """Name of the task, or module:name, or the module that specifies it; that of the environment
    id if not given."""
    clips: str = "generated/train"
    """Clips to learn on: a generated set or a file."""
    eval_clips: str = "generated/test"
    """Clips to score on, by the benchmark's protocol."""
    eval_every: int = 10
    """Rounds between two scores."""
    first_frame_share: float = 0.0
    """Share of the episodes that begin at a clip's first frame, as scored ones do; the others
    begin anywhere."""
    grounded: bool = False
    """Follow motions whose feet stand on the floor without sliding, made from the clips; scores
    are against the clips all the same. `balance` teaches best on these."""
    threads: int = 0
    """Threads of the physics; 0 takes one per CPU."""
    network: Literal["mlp", "intention", "recurrent"] = "mlp"
    hidden: tuple[int, ...] = (512, 256)
    """Widths of the policy's hidden layers."""
    latent_size: int = 16
    """Width of the latent of intention and recurrent networks."""
    action: str = "pd_residual"
    """Meaning of an action, see `mimic_envs.mdp.actions`; `pd_targets` needs a teacher that
    aims (mpc). With `posture` the network learns the angles that ask the joints for the torques
    of the teacher."""
    action_options: tuple[str, ...] = ()
    """Options of it, each as name=value."""
    keep: int = 2
    """Checkpoints to keep, at least 2: if one is damaged, the run continues from another."""
    dagger: dagger_config.Config = dataclasses.field(default_factory=dagger_config.Config)

    def __post_init__(self) -> None:
        object.__setattr__(self, "task", runs.task_of(self.env, self.task))
        runs.at_least(self, eval_every=1, threads=0, keep=LEAST)

    @property
    def spec(self) -> Spec:
        """How the policy is built."""
        action = actions.parse(self.action, self.action_options)
        return Spec(self.network, self.hidden, self.latent_size, action)

    @property
    def teacher_name(self) -> str:
        """Name of the teacher: of the controller, or of the run that trained the policy."""
        folder = self.teacher_policy
        if folder is None:
            return self.teacher
        folder = folder.resolve()
        return folder.parent.name if folder.name == "policy" else folder.name


def parse(argv: list[str] | None) -> Arguments:
    """The command line; the process's own if not given."""
    return tyro.cli(Arguments, args=argv, prog="python -m baselines.distill")


def make(arguments: Arguments, console: Console) -> Run:
    """Make a run; see `baselines.dagger_run.Run` for its errors."""
    # not at the top: the help must come without the packages that training needs
    from baselines.dagger_run import Run

    return Run(arguments, console)


@as_command
@package_settings()
def main(argv: list[str] | None = None) -> int:
    """Distil as the command line says; returns the exit status."""
    arguments = parse(argv)
    return runs.main(lambda console: make(arguments, console))


if __name__ == "__main__":
    sys.exit(main())
