"""Imitation of recorded animal motion: Gymnasium environments and a benchmark.

    import gymnasium, mimic_envs
    env = gymnasium.make("mimic_envs/Rodent-v1")

Importing this package registers the environments and imports neither JAX nor MuJoCo.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gymnasium

from mimic_envs import forks as forks  # watches forks from now on

if TYPE_CHECKING:
    from mimic_envs.bodies import Body
    from mimic_envs.env import Environment

__all__ = ["ENV_IDS", "TASK_IDS", "__version__", "make"]
__version__ = "0.1.0"

_WALKERS = ("fly", "rodent", "stick_insect")
_BEHAVIORS: dict[str, tuple[str, tuple[str, ...]]] = {
    "Velocity": ("velocity", (*_WALKERS, "worm")),
    "Push": ("push", _WALKERS),
    "GoTo": ("goto", (*_WALKERS, "worm")),
    "Forage": ("forage", (*_WALKERS, "worm")),
    "Thermotaxis": ("thermotaxis", ("worm",)),
    "TwoTouch": ("two_touch", ("rodent",)),
    "Reach": ("reach", ("mouse_arm",)),
    "Bowl": ("bowl", _WALKERS),
    "Rear": ("rear", ("rodent",)),
    "Gaps": ("gaps", _WALKERS),
    "GapJump": ("gap_jump", ("rodent",)),
    "Maze": ("maze", ("rodent",)),
    "Ball": ("ball", ("fly",)),
}
"""Tasks besides imitation: what ids call them, and the bodies that do them."""

ENV_IDS = {
    "mimic_envs/Fly-v1": "fly",
    "mimic_envs/MouseArm-v1": "mouse_arm",
    "mimic_envs/Rodent-v1": "rodent",
    "mimic_envs/StickInsect-v1": "stick_insect",
    "mimic_envs/Worm-v1": "worm",
}
"""Ids of the environments of imitation, and their bodies."""

TASK_IDS: dict[str, tuple[str, str]] = {
    f"{_id.removesuffix('-v1')}{_name}-v1": (ENV_IDS[_id], _task)
    for _name, (_task, _bodies) in _BEHAVIORS.items()
    for _id in ENV_IDS
    if ENV_IDS[_id] in _bodies
}
"""Ids of the environments of other tasks: their bodies and tasks."""

for _id, _kwargs in {
    **{_id: {"body": _body} for _id, _body in ENV_IDS.items()},
    **{_id: {"body": _body, "task": _task} for _id, (_body, _task) in TASK_IDS.items()},
}.items():
    if _id not in gymnasium.registry:  # a second import must not register twice
        gymnasium.register(
            id=_id,
            entry_point="mimic_envs.gym:Env",
            vector_entry_point="mimic_envs.gym:VectorEnv",
            kwargs=_kwargs,
        )


def make(body: Body | str, clips: Any = None, **options: Any) -> Environment:
    """Make the functional (pure JAX) environment of a body.

    Args:
        body: A body, the name of one, for example `"rodent"`, or `module:name`.
        clips: For imitation: a generated clip set, a path to a clip file, or a `ClipSet`.
        **options: See `mimic_envs.options.Options`, and the options of the task, for example
            `mimic_envs.tasks.imitation.Options`.

    Raises:
        ValueError: Anything unknown or unusable; the message names it and the nearest valid one.
        RuntimeError: The backend cannot run here.
    """
    from mimic_envs import assembly

    return assembly.make(body, clips, **options)
