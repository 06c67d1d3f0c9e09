"""Keywords of the faces besides the options of their environment."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from gymnasium.vector import AutoresetMode

from mimic_envs import assembly, bodies
from mimic_envs.env import Environment
from mimic_envs.options import Options
from mimic_envs.validation import Range, check_fields, check_names


@dataclasses.dataclass(frozen=True)
class Keywords:
    """What a face takes besides the options of its environment.

    Raises:
        ValueError: A value does not fit the type of its field.
    """

    width: Annotated[int, Range(1)] = 640
    """Width of pictures in pixels."""
    height: Annotated[int, Range(1)] = 480
    """Height of pictures in pixels."""
    camera: str | None = None
    """Name of a camera of the body's model; None for the view that follows the animal."""
    observation_form: Literal["flat", "groups", "entries"] = "flat"
    """Whether observations are one vector or a dictionary, see `mimic_envs.gym.observations`."""
    num_envs: Annotated[int, Range(1)] = 1
    """Number of environments of a batch."""
    autoreset_mode: AutoresetMode = AutoresetMode.NEXT_STEP
    """What a batch does with environments whose episode has ended."""
    max_episode_steps: Annotated[int | None, Range(1, also=(-1,))] = None
    """Steps after which a batch truncates an episode; -1 and None leave it to the task."""

    def __post_init__(self) -> None:
        check_fields(self)
        if self.max_episode_steps == -1:
            object.__setattr__(self, "max_episode_steps", None)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of pictures."""
        return self.width, self.height


def assembled(body: bodies.Body | str, options: Mapping[str, Any]) -> Environment:
    """Make the environment behind a face, see `mimic_envs.assembly.assemble`.

    Raises:
        ValueError: A keyword that neither the environment nor its face has.
    """
    own = [f.name for f in dataclasses.fields(Keywords)]
    known = assembly.option_names(options.get("task", Options.task))
    check_names("option of an environment", options, (*known, "body", "render_mode", *own))
    return assembly.assemble(body, **options)
