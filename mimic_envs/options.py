"""Options of environments, whatever their task."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import numpy as np

from mimic_envs import physics as physics_
from mimic_envs.validation import NOT_NEGATIVE, POSITIVE, check_fields


@dataclasses.dataclass(frozen=True)
class Options:
    """Options of every environment. A task has more, see for example `tasks.imitation.Options`.

    Raises:
        ValueError: A value does not fit the type of its field.
    """

    task: Any = "imitation"
    """Name of the task, `module:name`, or a specification as in `mimic_envs.tasks`."""
    action: str | Mapping[str, Any] = "torque"
    """Name of the action term: `torque`, `pd_residual`, `pd_targets`, `balance_residual`,
    `balance_targets`, `posture`, `latent`, or `module:name`; or a dictionary with that name as
    `"kind"` and the term's options."""
    backend: str = physics_.DEFAULT
    """Physics: `native` (C MuJoCo), `mjx` or `warp`."""
    backend_options: Mapping[str, Any] | None = None
    """Options of the backend, for example `{"threads": 4}` for `native`."""
    observations: Mapping[str, Mapping[str, Any] | None] | None = None
    """Changes of the observations of each group by name, see `mimic_envs.mdp.rows`."""
    groups: tuple[str, ...] | None = None
    """Which groups of observations there are, in this order; all if None."""
    rewards: Mapping[str, Any] | None = None
    """Changes of rewards and costs by name."""
    terminations: Mapping[str, Any] | None = None
    """Changes of terminations by name."""
    metrics: Mapping[str, Any] | None = None
    """Changes of metrics by name."""
    events: Mapping[str, Any] | None = None
    """Events by name: what changes the world at reset or during an episode, see
    `mimic_envs.mdp.events`."""
    terminate: bool = True
    """Whether crossing a limit ends an episode. Divergence of the simulation always does."""
    nonfinite_actions: Literal["terminate", "raise"] = "terminate"
    """What an action with NaN or infinite numbers does. `terminate`: the step is made with 0 in
    their place, and then counts as divergence of the simulation: that environment alone ends as
    `terminated`, with `diverged` in its info, reward 0 and a finite observation. `raise`:
    ValueError, and nothing moves; functions that JAX has compiled cannot raise, and end the
    episode all the same."""
    time_limit_s: Annotated[float | None, POSITIVE] = None
    """Truncate an episode after that time, s."""
    action_filter_s: Annotated[float, NOT_NEGATIVE] = 0.0
    """Time constant of a first-order low-pass filter of the actions, s; 0 for none."""
    initial_angle_noise_rad: Annotated[float, NOT_NEGATIVE] = 0.0
    """Standard deviation of noise on the joint angles in which an episode begins, rad."""
    initial_velocity_noise: Annotated[float, NOT_NEGATIVE] = 0.0
    """The same for the joints' velocities, rad/s."""

    def __post_init__(self) -> None:
        check_fields(self)


def require_finite(actions: np.ndarray) -> None:
    """Raise ValueError for an action that is not finite; the message says where."""
    wrong = np.argwhere(~np.isfinite(actions))
    if wrong.size:
        where = tuple(int(i) for i in wrong[0])
        raise ValueError(f"action is {actions[where]} at index {where}, expected finite numbers")


@dataclasses.dataclass(frozen=True)
class Settings:
    """Options that are traced, besides those that the task and the physics have taken in.

    Attributes:
        terminate: See `Options`.
        limit: Control steps of an episode, if limited.
        smoothing: What is left of the last action after a control step.
        angle_noise: See `Options.initial_angle_noise_rad`.
        velocity_noise: See `Options.initial_velocity_noise`.
        nonfinite_actions: See `Options`.
    """

    terminate: bool
    limit: int | None
    smoothing: float
    angle_noise: float
    velocity_noise: float
    nonfinite_actions: str

    @classmethod
    def of(cls, options: Options, step_s: float) -> Settings:
        """Return the settings of options.

        Args:
            options: The options.
            step_s: Time of a control step, s.
        """
        limit = options.time_limit_s
        constant = options.action_filter_s
        return cls(
            terminate=options.terminate,
            limit=None if limit is None else max(round(limit / step_s), 1),
            smoothing=math.exp(-step_s / constant) if constant else 0.0,
            angle_noise=options.initial_angle_noise_rad,
            velocity_noise=options.initial_velocity_noise,
            nonfinite_actions=options.nonfinite_actions,
        )
