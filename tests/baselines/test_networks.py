"""Policies: the same means in acting and in learning, memory, and the latents' prior."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from baselines import networks
from tests.baselines.toys import SIZES

STEPS, COUNT = 6, 3


def stretch(policy: networks.Policy, first_at: tuple[int, ...] = ()) -> tuple[Any, ...]:
    keys = jax.random.split(jax.random.key(0), 3)
    inputs = {
        name: jax.random.normal(key, (STEPS, COUNT, width))
        for key, (name, width) in zip(keys[:2], SIZES.groups, strict=True)
    }
    first = np.zeros((STEPS, COUNT), bool)
    first[list(first_at)] = True
    noise = jax.random.normal(keys[2], (STEPS, COUNT, policy.noise_size))
    return inputs, jnp.asarray(first), noise


@pytest.fixture(params=networks.NAMES)
def policy(request: pytest.FixtureRequest) -> networks.Policy:
    return networks.make(request.param, SIZES, (16, 16), 4)


def lively(policy: networks.Policy) -> Any:
    """Parameters of which no layer is nearly zero."""
    params = policy.init(jax.random.key(1))
    return jax.tree.map(lambda x: x + 0.3 * jax.random.normal(jax.random.key(2), x.shape), params)


def test_a_stretch_is_the_same_as_its_steps(policy: networks.Policy) -> None:
    params, (inputs, first, noise) = lively(policy), stretch(policy, (0, 3))
    whole = policy.unroll(params, policy.memory(COUNT), inputs, first, noise)
    memory = policy.memory(COUNT)
    for t in range(STEPS):
        now = jax.tree.map(lambda x: x[t : t + 1], (inputs, first, noise))  # noqa: B023
        step = policy.unroll(params, memory, *now)
        memory = step.memory
        np.testing.assert_allclose(step.mean[0], whole.mean[t], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(step.kl[0], whole.kl[t], rtol=1e-5, atol=1e-5)


def test_an_episode_knows_nothing_of_the_one_before(policy: networks.Policy) -> None:
    params, (inputs, first, noise) = lively(policy), stretch(policy, (0, 3))
    other = jax.tree.map(lambda x: x.at[:3].add(1.0), inputs)
    a = policy.unroll(params, policy.memory(COUNT), inputs, first, noise)
    b = policy.unroll(params, policy.memory(COUNT), other, first, noise)
    np.testing.assert_array_equal(a.mean[3:], b.mean[3:])
    np.testing.assert_array_equal(a.kl[3:], b.kl[3:])
    assert np.abs(a.mean[:3] - b.mean[:3]).min() > 0


def test_only_the_recurrent_policy_remembers(policy: networks.Policy) -> None:
    params, (inputs, first, noise) = lively(policy), stretch(policy)
    other = jax.tree.map(lambda x: x.at[0].add(1.0), inputs)
    a = policy.unroll(params, policy.memory(COUNT), inputs, first, noise).mean
    b = policy.unroll(params, policy.memory(COUNT), other, first, noise).mean
    remembers = getattr(policy, "recurrent", False)
    assert (np.abs(a[1:] - b[1:]).max() > 1e-3) == remembers


def test_the_decoder_never_sees_the_reference() -> None:
    policy = networks.make("intention", SIZES, (16, 16), 4)
    params, (inputs, first, noise) = lively(policy), stretch(policy)
    params["encoder"] = jax.tree.map(jnp.zeros_like, params["encoder"])
    other = {**inputs, "reference": inputs["reference"] + 1.0}
    a = policy.unroll(params, policy.memory(COUNT), inputs, first, noise).mean
    b = policy.unroll(params, policy.memory(COUNT), other, first, noise).mean
    np.testing.assert_array_equal(a, b)


def test_divergence_from_the_prior_against_samples() -> None:
    """The mean of log q - log p over many samples of q."""
    rng = np.random.default_rng(0)
    mean, log_std, before = rng.normal(size=(3, 4)) * 0.5
    for first in (False, True):
        centre, variance = (0.0, 1.0) if first else (0.95 * before, 1 - 0.95**2)
        x = mean + np.exp(log_std) * rng.normal(size=(400_000, 4))
        log_q = -0.5 * ((x - mean) / np.exp(log_std)) ** 2 - log_std
        log_p = -0.5 * (x - centre) ** 2 / variance - 0.5 * np.log(variance)
        expected = (log_q - log_p).sum(axis=1)
        found = networks.kl_from_prior(*map(jnp.asarray, (mean, log_std, before)), jnp.array(first))
        assert abs(float(found) - expected.mean()) < 4 * expected.std() / np.sqrt(len(x))


def test_latents_of_the_prior_do_not_diverge_from_it() -> None:
    before = jnp.array([0.3, -1.2])
    log_std = jnp.full(2, 0.5 * np.log(1 - 0.95**2))
    assert networks.kl_from_prior(0.95 * before, log_std, before, jnp.array(False)) < 1e-6
    assert networks.kl_from_prior(jnp.zeros(2), jnp.zeros(2), before, jnp.array(True)) < 1e-6


def test_gradient_of_the_divergence_against_differences() -> None:
    """Through a whole stretch, so also through the latents that later ones are compared with."""
    policy = networks.make("intention", SIZES, (8,), 2)
    params, (inputs, first, noise) = lively(policy), stretch(policy, (0, 3))

    def divergence(bias: jax.Array) -> jax.Array:
        last = {**params["encoder"]["layer_1"], "bias": bias}
        changed = {**params, "encoder": {**params["encoder"], "layer_1": last}}
        return policy.unroll(changed, policy.memory(COUNT), inputs, first, noise).kl.sum()

    with jax.enable_x64(True):
        params, inputs, noise = jax.tree.map(jnp.float64, (params, inputs, noise))
        bias = params["encoder"]["layer_1"]["bias"]
        step = 1e-5 * jnp.eye(len(bias))
        up, down = jax.vmap(divergence)(bias + step), jax.vmap(divergence)(bias - step)
        slope = jax.grad(divergence)(bias)
        assert np.abs(slope).min() > 1e-3
        np.testing.assert_allclose(slope, (up - down) / 2e-5, rtol=1e-5)


def test_an_unknown_network_names_the_nearest() -> None:
    with pytest.raises(ValueError, match="did you mean 'intention'"):
        networks.make("intentional", SIZES, (8,), 2)
