"""Hyper-parameters of DAgger."""

from __future__ import annotations

import dataclasses

from baselines.runs import at_least


@dataclasses.dataclass(frozen=True)
class Config:
    """Hyper-parameters of DAgger."""

    rounds: int = 40
    environments: int = 64
    """Environments that run side by side."""
    unroll: int = 32
    """Control steps of each environment per round."""
    teacher_rounds: int = 2
    """Rounds in which the teacher acts."""
    ask_every: int = 4
    """Control steps between two questions to the teacher in the other rounds; a teacher that
    remembers is asked at every step."""
    noise: float = 0.1
    """Standard deviation of what is added to all actions, so that there is something to mend."""
    gradient_steps: int = 400
    """Steps of Adam per round."""
    batch: int = 16
    """Stretches of `unroll` control steps per step of Adam."""
    learning_rate: float = 1e-3
    """In the first round; it falls to a hundredth along a cosine."""
    latent_kl: float = 1e-4
    """Weight of the latents' divergence from their prior."""

    def __post_init__(self) -> None:
        counts = ("rounds", "environments", "unroll", "ask_every", "gradient_steps", "batch")
        at_least(self, **dict.fromkeys(counts, 1))
        if self.unroll % self.ask_every:
            raise ValueError(
                f"unroll={self.unroll} must be a multiple of ask_every={self.ask_every}"
            )
