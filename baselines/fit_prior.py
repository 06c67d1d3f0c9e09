"""Fit the prior of a decoder: `python -m baselines.fit_prior FOLDER`.

The prior is a network from proprioception to a normal distribution of latents. With encoder and
decoder frozen, it is fitted to what the encoder says along motions that the policy imitates: it
minimizes

    KL( N(encoder's mean, encoder's std) || N(prior's mean, prior's std) )

It is written beside the decoder, see `mimic_envs.reuse.prior`; the action term `latent` uses it in
mode `residual`.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import pathlib
import sys
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import tyro
from flax import traverse_util
from rich.console import Console

import mimic_envs
from baselines import networks, runs, terminal
from baselines.checkpoints import write_json
from mimic_envs import bodies
from mimic_envs.command import as_command
from mimic_envs.env import Environment
from mimic_envs.files import atomically
from mimic_envs.jax_settings import package_settings
from mimic_envs.reuse import decoder as decoders
from mimic_envs.reuse import prior as priors
from mimic_envs.reuse.decoder import PROPRIOCEPTION, Decoder
from mimic_envs.scoring import policies, safetensors
from mimic_envs.scoring.intention import LOG_STD_RANGE
from mimic_envs.scoring.mlp import normalised
from mimic_envs.scoring.policy import Policy

_HELD_OUT = 0.2
"""Share of the simulations whose samples are not learned from."""


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Arguments of the fit."""

    folder: Annotated[pathlib.Path, tyro.conf.Positional]
    """Folder of a policy with a decoder, which the prior is written to."""
    clips: str = "generated/train"
    """Clips that the policy imitates: a generated set or a file."""
    grounded: bool = False
    """Whether it follows motions whose feet stand on the floor."""
    environments: int = 64
    """Simulations side by side."""
    unroll: int = 256
    """Control steps of each."""
    hidden: tuple[int, ...] = (128,)
    """Widths of the prior's hidden layers."""
    steps: int = 2000
    """Steps of Adam."""
    batch: int = 512
    """Samples in each."""
    learning_rate: float = 1e-3
    """It falls to a hundredth along a cosine."""
    threads: int = 0
    """Threads of the physics; 0 takes one per CPU."""
    seed: int = 0

    def __post_init__(self) -> None:
        runs.at_least(self, environments=2, unroll=1, steps=1, batch=1, threads=0)


class Samples:
    """Outputs of the encoder along imitated motions, each (samples, ...).

    Attributes:
        seen: Normalised proprioception.
        mean: Means of the latents.
        log_std: Logarithms of their standard deviations.
    """

    def __init__(self, seen: Any, mean: Any, log_std: Any) -> None:
        self.seen, self.mean, self.log_std = (np.asarray(x) for x in (seen, mean, log_std))


def collect(env: Environment, policy: Policy, decoder: Decoder, arguments: Arguments) -> Samples:
    """Let the policy imitate, and note what its encoder says; leading axes (steps, simulations)."""
    keys = jax.random.split(jax.random.key(arguments.seed), arguments.environments)

    @jax.jit
    def run(env: Environment, params: Any, frozen: Any, keys: jax.Array) -> Any:
        def step(carry: Any, _: None) -> Any:
            state, memory = carry
            layers = jax.vmap(policy.layers, (None, 0, 0))(params, state.obs, memory)
            action, memory = jax.vmap(policy.apply, (None, 0, 0))(params, state.obs, memory)
            seen = normalised(frozen, state.obs[PROPRIOCEPTION], decoder.network.clip)
            state, result = jax.vmap(env.step_autoreset)(state, action)
            done = result.terminated | result.truncated
            memory = jax.tree.map(
                lambda x, start: jnp.where(done.reshape(-1, *[1] * (x.ndim - 1)), start, x),
                memory,
                policy.memory,
            )
            return (state, memory), (seen, layers["latent"], layers["latent_log_std"])

        memory = jax.tree.map(
            lambda x: jnp.broadcast_to(x, (len(keys), *jnp.shape(x))), policy.memory
        )
        carry = jax.vmap(env.reset)(keys), memory
        return jax.lax.scan(step, carry, None, length=arguments.unroll)[1]

    frozen = {name: decoder.params[name] for name in ("mean", "std")}
    return Samples(*run(env, policy.params, frozen, keys))


def divergence(params: Any, network: networks.MLP, seen: Any, mean: Any, log_std: Any) -> jax.Array:
    """KL divergence of the encoder's distribution from the prior's, mean over samples."""
    own, own_log = jnp.split(networks.run(network, params, seen), 2, axis=-1)
    own_log = jnp.clip(own_log, *LOG_STD_RANGE)
    squared = (jnp.exp(2 * log_std) + (mean - own) ** 2) * jnp.exp(-2 * own_log)
    return jnp.mean(jnp.sum(own_log - log_std + 0.5 * (squared - 1.0), axis=-1))


def fit(samples: Samples, network: networks.MLP, arguments: Arguments) -> tuple[Any, float, float]:
    """Return weights, and the divergence on held-out simulations before and after."""
    held = max(round(_HELD_OUT * samples.seen.shape[1]), 1)
    parts = [samples.seen, samples.mean, samples.log_std]
    learned = [x[:, :-held].reshape(-1, x.shape[-1]) for x in parts]
    held_out = [x[:, -held:].reshape(-1, x.shape[-1]) for x in parts]
    params = networks.initial(network, jax.random.key(arguments.seed), samples.seen.shape[-1])
    schedule = optax.cosine_decay_schedule(arguments.learning_rate, arguments.steps, alpha=0.01)
    optimizer = optax.adam(schedule)
    loss = jax.jit(functools.partial(divergence, network=network))
    before = float(loss(params, seen=held_out[0], mean=held_out[1], log_std=held_out[2]))

    @jax.jit
    def learn(params: Any, state: Any, key: jax.Array, *data: jax.Array) -> Any:
        def step(carry: Any, key: jax.Array) -> Any:
            params, state = carry
            chosen = jax.random.randint(key, (arguments.batch,), 0, len(data[0]))
            slope = jax.grad(divergence)(params, network, *(x[chosen] for x in data))
            change, state = optimizer.update(slope, state, params)
            return (optax.apply_updates(params, change), state), None

        keys = jax.random.split(key, arguments.steps)
        return jax.lax.scan(step, (params, state), keys)[0]

    params, _ = learn(params, optimizer.init(params), jax.random.key(1), *learned)
    after = float(loss(params, seen=held_out[0], mean=held_out[1], log_std=held_out[2]))
    return jax.device_get(params), before, after


def save(decoder: Decoder, params: Any, arguments: Arguments, said: dict[str, Any]) -> None:
    """Write the prior beside its decoder."""
    flat = traverse_util.flatten_dict(params, sep="/")
    tensors = {name.replace("kernel", "weight"): np.asarray(x) for name, x in flat.items()}
    with atomically(decoder.folder / priors.TENSORS) as partial:
        safetensors.write(partial, tensors)
    record = {
        "format": priors.FORMAT,
        "version": priors.FORMAT_VERSION,
        "decoder_sha256": decoder.sha256,
        "hidden": list(arguments.hidden),
        **said,
    }
    write_json(decoder.folder / priors.RECORD, record)


def run(arguments: Arguments, console: Console) -> None:
    """Collect, fit and write.

    Raises:
        ValueError: The folder has no decoder, or the policy does not imitate.
    """
    try:
        record = json.loads((arguments.folder / "policy.json").read_text())
        body = bodies.get(str(record["body"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{arguments.folder} is no folder of a policy: {error}") from error
    decoder = decoders.read(arguments.folder, body)
    env = mimic_envs.make(
        body,
        arguments.clips,
        action=decoder.term.name,
        grounded=arguments.grounded,
        backend_options={"threads": arguments.threads},
    )
    policy = policies.load(arguments.folder, env)
    assert isinstance(policy, Policy)  # the environment has its own action term
    samples = collect(env, policy, decoder, arguments)
    network = networks.MLP(arguments.hidden, 2 * decoder.network.latent_size, last=0.1)
    params, before, after = fit(samples, network, arguments)
    spread = float(np.mean(np.std(samples.mean.reshape(-1, samples.mean.shape[-1]), axis=0)))
    said = {
        "clips": arguments.clips,
        "samples": int(np.prod(samples.seen.shape[:2])),
        "divergence_before": round(before, 4),
        "divergence_after": round(after, 4),
        "latent_std": round(spread, 4),
    }
    save(decoder, params, arguments, said)
    text = f"divergence on held-out simulations {before:.3f} before, {after:.3f} after"
    terminal.say(console, f"{arguments.folder / priors.TENSORS}: {text}")


@as_command
@package_settings()
def main(argv: list[str] | None = None) -> int:
    """Fit as the command line says; returns the exit status."""
    arguments = tyro.cli(Arguments, args=argv, prog="python -m baselines.fit_prior")
    run(arguments, terminal.console())
    return 0


if __name__ == "__main__":
    sys.exit(main())
