"""How a policy is built: what a command line says of it."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Spec:
    """How an actor is built. With an environment, this is all that is needed.

    Attributes:
        network: See `networks.make`.
        hidden: See `networks.make`.
        latent_size: See `networks.make`.
        action: Name of the environment's action term.
        initial_std: See `actor.Actor`.
    """

    network: str = "mlp"
    hidden: tuple[int, ...] = (256, 256)
    latent_size: int = 16
    action: str = "torque"
    initial_std: float = 0.3
