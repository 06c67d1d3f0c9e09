"""How a policy is built: what a command line says of it."""

from __future__ import annotations

import dataclasses

from mimic_envs.mdp.actions import Action


@dataclasses.dataclass(frozen=True)
class Spec:
    """How an actor is built. With an environment, this is all that is needed.

    Attributes:
        network: See `networks.make`.
        hidden: See `networks.make`.
        latent_size: See `networks.make`.
        action: The environment's action term: its name, or that with its options.
        initial_std: See `actor.Actor`.
    """

    network: str = "mlp"
    hidden: tuple[int, ...] = (256, 256)
    latent_size: int = 16
    action: Action = "torque"
    initial_std: float = 0.3
