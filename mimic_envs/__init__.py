"""Imitation of recorded animal motion: Gymnasium environments and a benchmark.

    import gymnasium, mimic_envs
    env = gymnasium.make("mimic_envs/Rodent-v0")

Importing this package registers the environments and imports neither JAX nor MuJoCo.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gymnasium

if TYPE_CHECKING:
    from mimic_envs.env import FunctionalEnv

__version__ = "0.1.0"

ENV_IDS = {
    "mimic_envs/Fly-v0": "fly",
    "mimic_envs/MouseArm-v0": "mouse_arm",
    "mimic_envs/Rodent-v0": "rodent",
    "mimic_envs/StickInsect-v0": "stick_insect",
    "mimic_envs/Worm-v0": "worm",
}
"""Registered environment ids and their bodies."""

for _id, _body in ENV_IDS.items():
    if _id not in gymnasium.registry:  # a second import must not register twice
        gymnasium.register(
            id=_id,
            entry_point="mimic_envs.gym_env:ImitationEnv",
            vector_entry_point="mimic_envs.vector_env:ImitationVectorEnv",
            kwargs={"body": _body},
        )


def make(body: str, **options: Any) -> FunctionalEnv:
    """Make the functional (pure JAX) environment of a body; see `mimic_envs.env.make`."""
    from mimic_envs import env

    return env.make(body, **options)
