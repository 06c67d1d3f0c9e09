"""Policy and value networks, of layers from flax.

Every policy has the same three methods, so that one training code serves them all:

- `init(key)` makes its parameters,
- `memory(count)` is what it remembers before an episode's first step,
- `unroll(params, memory, inputs, first, noise)` runs it over a stretch of time.

Acting is an `unroll` of one step; the update unrolls whole stretches. Whatever is random
inside a policy comes in as `noise`, which is stored with the rollout: with the same
parameters the update then computes the very means that acted, and PPO's ratio starts at 1.
(Formally the noise is a part of the observation, so this is plain PPO, not an approximation.)
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
from flax import linen
from jax.nn.initializers import Initializer

from mimic_envs.messages import unknown
from mimic_envs.scoring.intention import LOG_STD_RANGE

Params = Any
Memory = Any
Inputs = Mapping[str, jax.Array]
"""Normalised groups of the observation, `(T, N, width)` each."""

PRIOR_CORRELATION = 0.95
"""Correlation of a latent with the one before it under the prior; its variance is then
1 - 0.95^2 = 0.0975 around 0.95 times the latent before (arXiv 2511.20532)."""


class Output(NamedTuple):
    """Output of a policy over a stretch of time.

    Attributes:
        mean: Mean actions, (T, N, A).
        kl: Divergence of the latents from their prior, (T, N); zero without latents.
        memory: What it remembers after the last step.
    """

    mean: jax.Array
    kl: jax.Array
    memory: Memory


class Policy(Protocol):
    """See the module.

    Attributes:
        noise_size: Standard normal numbers that it takes per step.
    """

    @property
    def noise_size(self) -> int:
        """See the class."""
        ...

    def init(self, key: jax.Array) -> Params:
        """Random parameters."""
        ...

    def memory(self, count: int) -> Memory:
        """Memory before a first step, with a leading axis of `count`."""
        ...

    def unroll(
        self, params: Params, memory: Memory, inputs: Inputs, first: jax.Array, noise: jax.Array
    ) -> Output:
        """Run over a stretch of time.

        Args:
            params: See `init`.
            memory: After the step before the stretch, leading axis N.
            inputs: Normalised groups of the observation, (T, N, width) each.
            first: Whether a step is the first of its episode: nothing is remembered, (T, N).
            noise: Standard normal numbers, zero for the most likely action,
                (T, N, noise_size).
        """
        ...


class Sizes(NamedTuple):
    """Widths of the observation's groups by name, and the number of actuators."""

    groups: tuple[tuple[str, int], ...]
    action: int

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the groups."""
        return tuple(name for name, _ in self.groups)

    def width(self, *names: str) -> int:
        """Sum of the widths of some groups; of those that are absent, none."""
        return sum(width for name, width in self.groups if name in names)


def make(name: str, sizes: Sizes, hidden: Sequence[int], latent_size: int) -> Policy:
    """The policy network of that name.

    Args:
        name: `"mlp"`, `"intention"` or `"recurrent"`.
        sizes: Of what it reads and writes.
        hidden: Widths of the hidden layers (of encoder and decoder, where there are two).
        latent_size: Width of the latent of those that have one.
    """
    hidden = tuple(hidden)
    if name == "mlp":
        return MLPPolicy(sizes, hidden)
    if name in ("intention", "recurrent"):
        return IntentionPolicy(sizes, hidden, latent_size, recurrent=name == "recurrent")
    raise ValueError(unknown("network", name, NAMES))


NAMES = ("mlp", "intention", "recurrent")


class MLP(linen.Module):
    """Fully connected layers with SiLU between them.

    Attributes:
        hidden: Widths of the hidden layers.
        outputs: Width of the last layer.
        last: Factor of the last layer's weights before training.
    """

    hidden: tuple[int, ...]
    outputs: int
    last: float

    @linen.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """From (..., inputs) to (..., outputs)."""
        for i, width in enumerate(self.hidden):
            x = linen.silu(linen.Dense(width, kernel_init=_uniform(1.0), name=f"layer_{i}")(x))
        last = linen.Dense(
            self.outputs, kernel_init=_uniform(self.last), name=f"layer_{len(self.hidden)}"
        )
        return last(x)


def _uniform(factor: float) -> Initializer:
    """Uniform weights with a variance of 1 / inputs, times a factor."""
    return linen.initializers.variance_scaling(factor**2, "fan_in", "uniform")


def initial(module: linen.Module, key: jax.Array, *widths: int) -> Params:
    """Random parameters of a module whose arguments have the given widths."""
    return module.init(key, *(jnp.zeros((1, width)) for width in widths))["params"]


def run(module: linen.Module, params: Params, *arguments: jax.Array) -> Any:
    """Apply a module to its arguments."""
    return module.apply({"params": params}, *arguments)


@dataclasses.dataclass(frozen=True)
class MLPPolicy:
    """All of the observation through one network."""

    sizes: Sizes
    hidden: tuple[int, ...]
    noise_size: int = 0

    @property
    def _network(self) -> MLP:
        return MLP(self.hidden, self.sizes.action, last=0.01)

    def init(self, key: jax.Array) -> Params:
        """See `Policy.init`."""
        return initial(self._network, key, self.sizes.width(*self.sizes.names))

    def memory(self, count: int) -> Memory:
        """Nothing."""
        return ()

    def unroll(
        self, params: Params, memory: Memory, inputs: Inputs, first: jax.Array, noise: jax.Array
    ) -> Output:
        """See `Policy.unroll`."""
        seen = jnp.concatenate([inputs[name] for name in self.sizes.names], axis=-1)
        return Output(run(self._network, params, seen), jnp.zeros(first.shape), memory)


@dataclasses.dataclass(frozen=True)
class IntentionPolicy:
    """A stochastic encoder of the reference, and a decoder of its latent and proprioception.

    The decoder never sees the reference, so the latent is a low-dimensional command (an
    intention) that other tasks can give, if actions mean something without the reference too:
    `torque` or `posture`. The prior makes it vary slowly: of an episode's first step a standard
    normal, later a first-order autoregression that keeps unit variance.

    Args:
        sizes: Of what it reads and writes.
        hidden: Widths of the hidden layers of the encoder and of the decoder.
        latent_size: Width of the latent.
        recurrent: Whether the decoder's first layer is a gated recurrent unit.
    """

    sizes: Sizes
    hidden: tuple[int, ...]
    latent_size: int
    recurrent: bool

    @property
    def noise_size(self) -> int:
        """One number per latent."""
        return self.latent_size

    @property
    def _encoder(self) -> MLP:
        return MLP(self.hidden, 2 * self.latent_size, last=0.1)

    @property
    def _cell(self) -> linen.GRUCell:
        return linen.GRUCell(self.hidden[0])

    @property
    def _decoder(self) -> MLP:
        hidden = self.hidden[1:] if self.recurrent else self.hidden
        return MLP(hidden, self.sizes.action, last=0.01)

    def init(self, key: jax.Array) -> Params:
        """See `Policy.init`."""
        encoder, cell, decoder = jax.random.split(key, 3)
        inputs = self.latent_size + self.sizes.width("proprioception")
        params = {"encoder": initial(self._encoder, encoder, self.sizes.width("reference"))}
        if self.recurrent:
            params["cell"] = initial(self._cell, cell, self.hidden[0], inputs)
            inputs = self.hidden[0]
        params["decoder"] = initial(self._decoder, decoder, inputs)
        return params

    def memory(self, count: int) -> Memory:
        """The last latent and the state of the recurrent unit, zero."""
        memory = {"latent": jnp.zeros((count, self.latent_size))}
        if self.recurrent:
            memory["cell"] = jnp.zeros((count, self.hidden[0]))
        return memory

    def unroll(
        self, params: Params, memory: Memory, inputs: Inputs, first: jax.Array, noise: jax.Array
    ) -> Output:
        """See `Policy.unroll`."""
        encoded = run(self._encoder, params["encoder"], inputs["reference"])
        mean, log_std = jnp.split(encoded, 2, axis=-1)
        log_std = jnp.clip(log_std, *LOG_STD_RANGE)
        latent = mean + jnp.exp(log_std) * noise
        before = jnp.concatenate([memory["latent"][None], latent[:-1]])
        remembered = {"latent": latent[-1]}
        hidden = jnp.concatenate([latent, inputs["proprioception"]], axis=-1)
        if self.recurrent:
            remembered["cell"], hidden = self._remember(
                params["cell"], memory["cell"], hidden, first
            )
        return Output(
            run(self._decoder, params["decoder"], hidden),
            kl_from_prior(mean, log_std, before, first),
            remembered,
        )

    def _remember(
        self, params: Params, state: jax.Array, inputs: jax.Array, first: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """The recurrent unit over time, its state zeroed at first steps.

        Args:
            params: Of the unit.
            state: Before the first step, (N, H).
            inputs: (T, N, D).
            first: (T, N).

        Returns:
            The state after the last step, and of all steps, (T, N, H).
        """

        def step(state: jax.Array, now: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
            inputs, first = now
            return run(self._cell, params, jnp.where(first[:, None], 0.0, state), inputs)

        return jax.lax.scan(step, state, (inputs, first))


def kl_from_prior(
    mean: jax.Array, log_std: jax.Array, before: jax.Array, first: jax.Array
) -> jax.Array:
    """KL divergence of N(mean, std^2) from the prior of a latent, summed over its entries.

    Args:
        mean: (..., L).
        log_std: (..., L).
        before: The latent one step before, (..., L).
        first: Whether there is none, so that the prior is a standard normal, (...).
    """
    start = first[..., None]
    centre = jnp.where(start, 0.0, PRIOR_CORRELATION * before)
    variance = jnp.where(start, 1.0, 1.0 - PRIOR_CORRELATION**2)
    entry = (jnp.exp(2 * log_std) + (mean - centre) ** 2) / variance - 1.0
    return jnp.sum(0.5 * (entry + jnp.log(variance)) - log_std, axis=-1)
