"""Hyper-parameters of PPO."""

from __future__ import annotations

import dataclasses

from baselines.runs import at_least

RATE_FACTOR = 1.5
"""Of the learning rate, see `Config.target_kl`."""


@dataclasses.dataclass(frozen=True)
class Config:
    """Hyper-parameters of PPO."""

    environments: int = 512
    """Environments that run side by side."""
    shards: int = 0
    """Groups that the environments are divided into, each of which lies on one device;
    minibatches have equally many environments of each. A multiple of the number of devices,
    and that number if 0."""
    unroll: int = 16
    """Control steps of each environment per update."""
    epochs: int = 4
    """Passes over the collected steps per update."""
    minibatches: int = 8
    """Parts that the environments are divided into in each pass."""
    discount: float = 0.95
    gae_lambda: float = 0.9
    """Of generalised advantage estimation: 0 trusts the critic, 1 the returns."""
    clip: float = 0.2
    """How far from 1 a probability ratio may go before its gradient is cut."""
    learning_rate: float = 1e-3
    final_learning_rate: float = 1e-4
    """At the end of training; linear in between."""
    target_kl: float | None = None
    """If given, the actor's learning rate starts at `learning_rate` and then follows not the
    schedule but the typical divergence of the policy from the one that acted,
    (median |log ratio| / 0.6745)^2 / 2, which is the mean one if ratios are log-normal: after an
    update in which it was above twice this target the rate is divided by `RATE_FACTOR`, below
    half multiplied. A mean would be made by few outliers. The critic keeps to the schedule."""
    learning_rate_bounds: tuple[float, float] = (1e-6, 1e-2)
    """Of the rate, if there is a `target_kl`."""
    entropy: float = 0.0
    """Weight of the entropy bonus at the start."""
    final_entropy: float = 0.0
    """At the end; linear in between."""
    latent_kl: float = 1e-3
    """Weight of the latents' divergence from their prior, once fully on."""
    latent_kl_ramp: float = 0.25
    """Part of the training over which that weight rises linearly from zero."""
    gradient_norm: float = 1.0
    """Longer gradients are scaled down to this."""
    initial_std: float = 0.3
    """Standard deviation of actions before training."""
    critic_hidden: tuple[int, ...] = (256, 256)
    """Widths of the critic's hidden layers."""
    critic_updates: int = 0
    """Updates at the start in which only the critic learns: for an actor that can do
    something already, which advantages of a critic that knows nothing would spoil."""

    def __post_init__(self) -> None:
        at_least(self, environments=1, unroll=1, epochs=1, minibatches=1)
        if self.environments % (self.minibatches * max(self.shards, 1)):
            raise ValueError(
                f"environments={self.environments} cannot be divided into "
                f"minibatches={self.minibatches} of equal size"
                + (f" in each of shards={self.shards}" if self.shards > 1 else "")
            )
        if self.target_kl is not None and not self.target_kl > 0:
            raise ValueError(f"target_kl={self.target_kl} must be positive")

    @property
    def steps_per_update(self) -> int:
        """Environment steps that an update collects."""
        return self.environments * self.unroll
