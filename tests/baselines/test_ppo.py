"""The learner on tasks with known answers."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from baselines import networks, normaliser, ppo
from tests.baselines.toys import SIZES, ToyEnv, learner, random_obs, wanted


def test_gae_against_plain_python() -> None:
    rng = np.random.default_rng(0)
    steps, count, discount, gae_lambda = 12, 5, 0.9, 0.8
    reward, value, following = rng.normal(size=(3, steps, count))
    terminated = rng.random((steps, count)) < 0.2
    done = terminated | (rng.random((steps, count)) < 0.2)
    expected = np.zeros((steps, count))
    for n in range(count):
        for t in range(steps):
            factor = 1.0
            for k in range(t, steps):
                after = 0.0 if terminated[k, n] else following[k, n]
                expected[t, n] += factor * (reward[k, n] + discount * after - value[k, n])
                factor *= discount * gae_lambda
                if done[k, n]:
                    break
    found = ppo.gae(
        *map(jnp.asarray, (reward, value, following, terminated, done)), discount, gae_lambda
    )
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("network", networks.NAMES)
def test_an_update_compiles_once(follow: ToyEnv, network: str) -> None:
    """What it returns has the types of what it was given, also whether they are weak."""
    ppo_ = learner(network)
    before = jax.eval_shape(ppo_.init, follow, jax.random.PRNGKey(0))
    after, _ = jax.eval_shape(ppo_.update, follow, before)
    kinds = [jax.tree.map(lambda x: (x.shape, x.dtype, x.weak_type), x) for x in (before, after)]
    assert kinds[0] == kinds[1]


def test_other_latents_than_those_that_acted_would_show(follow: ToyEnv) -> None:
    """The fault that the ratio test is there to find."""
    ppo_ = learner("intention")
    state = ppo_.init(follow, jax.random.PRNGKey(0))
    memory = state.memory
    state, rollout = ppo_.collect(follow, state)
    zeros, loss = jnp.zeros_like(rollout.reward), jax.jit(ppo_.loss)
    noise = jax.random.normal(jax.random.PRNGKey(1), rollout.noise.shape)
    for steps, low, high in ((rollout, 0, 1e-5), (rollout._replace(noise=noise), 1e-3, np.inf)):
        batch = ppo.Batch(steps, zeros, zeros, memory)
        _, parts = loss(state.params, batch, state.statistics, jnp.zeros(()))
        assert low <= parts["ratio_error"] < high


@pytest.mark.parametrize("network", ["mlp", "recurrent"])
def test_a_task_with_a_known_optimum(follow: ToyEnv, network: str) -> None:
    """And on the way: ratios of 1 before the first step of each update, finite, on schedule."""
    updates = 100
    ppo_ = learner(
        network,
        updates,
        discount=0.5,
        learning_rate=5e-3,
        final_learning_rate=2e-4,
        latent_kl=1e-4,
    )
    state = ppo_.init(follow, jax.random.PRNGKey(0))
    obs = jax.vmap(random_obs)(jax.random.split(jax.random.PRNGKey(5), 256))
    obs = jax.tree.map(lambda x: x[None], obs)
    policy = ppo_.actor.policy
    still = (jnp.ones((1, 256), bool),)
    noise = jnp.zeros((1, 256, policy.noise_size))

    def error(state: ppo.TrainState) -> float:
        output = ppo_.actor.unroll(
            state.params["actor"], state.statistics, policy.memory(256), obs, *still, noise
        )
        return float(jnp.sqrt(jnp.mean((output.mean - wanted(obs)) ** 2)))

    assert error(state) > 0.3
    for i in range(updates):
        # later updates have new statistics, memories and running episodes
        state, report = ppo_.update(follow, state)
        assert report["train/first_ratio_error"] < 1e-5
        assert report["train/approximate_kl"] > 0
        assert all(np.isfinite(x) for x in jax.tree.leaves(report))
        rate = 5e-3 + i / updates * (2e-4 - 5e-3)
        np.testing.assert_allclose(report["train/learning_rate"], rate, rtol=1e-4)
    assert ppo_.update._cache_size() == 1  # compiled once
    assert error(state) < 0.1


def _ends(obs: Any, action: jax.Array, key: jax.Array) -> Any:
    """From A to B with no reward, where the clip is over; from B to failure with reward 1."""
    at_b = obs["reference"][0] > 0
    return jnp.where(at_b, 1.0, 0.0), at_b, ~at_b, _place(jnp.ones(()))


def _place(b: jax.Array) -> dict[str, jax.Array]:
    return {"proprioception": jnp.zeros(3), "reference": jnp.stack([2 * b - 1, 0.0])}


def _anywhere(key: jax.Array) -> dict[str, jax.Array]:
    return _place(jax.random.bernoulli(key).astype(jnp.float32))


def test_truncation_goes_on_with_the_final_observation() -> None:
    """V(B) is 1: a failure follows. V(A) is the discounted V(B).

    It would be 0 if the end of a clip were a failure, and 0.45 / 0.55 * 0.9 or less if the
    value of the new episode's first observation (A or B alike) were used instead.
    """
    env = ToyEnv(jnp.ones(()), _ends, _anywhere)
    ppo_ = learner("mlp", 80, discount=0.9, learning_rate=1e-2, final_learning_rate=1e-3)
    state = ppo_.init(env, jax.random.PRNGKey(0))
    for _ in range(80):
        state, _ = ppo_.update(env, state)
    for b, value in ((1.0, 1.0), (0.0, 0.9)):
        found = ppo_.values(
            state.params["critic"], state.statistics, _place(jnp.float32(b)), jnp.zeros(0)
        )
        assert abs(float(found) - value) < 0.03


def test_statistics_are_those_of_all_samples() -> None:
    rng = np.random.default_rng(0)
    batches = [rng.normal(3.0, 2.0, (n, 4, 3)).astype(np.float32) for n in (1, 7, 30)]
    statistics = normaliser.init({"x": 3})
    for batch in batches:
        statistics = normaliser.update(statistics, {"x": jnp.asarray(batch)})
    every = np.concatenate(batches).reshape(-1, 3)
    probe = jnp.asarray(every[:5])
    found = normaliser.normalise(statistics, {"x": probe})["x"]
    np.testing.assert_allclose(
        found, (probe - every.mean(axis=0)) / every.std(axis=0), rtol=1e-4, atol=1e-4
    )


def test_constant_entries_stay_harmless() -> None:
    statistics = normaliser.update(normaliser.init({"x": 2}), {"x": jnp.full((100, 2), 0.7)})
    assert np.abs(normaliser.normalise(statistics, {"x": jnp.full(2, 0.7)})["x"]).max() < 0.1
    assert np.abs(normaliser.normalise(statistics, {"x": jnp.full(2, 5.0)})["x"]).max() == 10.0


def test_gradients_are_clipped(follow: ToyEnv) -> None:
    """Adam's running mean after its first step is a tenth of the clipped gradient."""
    ppo_ = learner("mlp", epochs=1, minibatches=1, gradient_norm=1e-3)
    state, report = ppo_.update(follow, ppo_.init(follow, jax.random.PRNGKey(0)))
    assert report["train/gradient_norm"] > 0.01
    mean = optax.tree.get(state.optimiser, "mu")
    np.testing.assert_allclose(optax.tree.norm(mean), 1e-4, rtol=1e-4)


@pytest.mark.parametrize("too_large", [True, False])
def test_the_learning_rate_follows_the_divergence(follow: ToyEnv, too_large: bool) -> None:
    """It ends where the divergence is near the target, from far above as from far below."""
    target = 0.01
    options = {"target_kl": target, "learning_rate": 1e-2 if too_large else 1e-5}
    ppo_ = learner("mlp", 10, environments=128, unroll=16, **options)
    state = ppo_.init(follow, jax.random.PRNGKey(0))
    found = []
    for _ in range(30):
        before = float(state.learning_rate)
        state, report = ppo_.update(follow, state)
        kl = float(report["train/typical_kl"])
        assert float(report["train/learning_rate"]) == before
        factor = 1 / 1.5 if kl > 2 * target else 1.5 if kl < target / 2 else 1.0
        expected = np.clip(before * factor, *ppo_.config.learning_rate_bounds)
        np.testing.assert_allclose(state.learning_rate, expected, rtol=1e-6)
        found.append(kl)
    assert (found[0] > 2 * target) if too_large else (found[0] < target / 2)
    assert 0.4 * target < np.median(found[-10:]) < 2.5 * target


def test_only_the_actor_s_rate_follows_the_divergence(follow: ToyEnv) -> None:
    """With a target that cannot be met the actor comes to rest and the critic goes on learning."""
    ppo_ = learner("mlp", 30, environments=16, unroll=8, target_kl=1e-12)
    state = ppo_.init(follow, jax.random.PRNGKey(0))
    for _ in range(20):
        before, (state, _) = state, ppo_.update(follow, state)

    def moved(part: str) -> float:
        change = jax.tree.map(jnp.subtract, state.params[part], before.params[part])
        return float(optax.tree.norm(change))

    assert moved("critic") > 100 * moved("actor")
    assert float(before.learning_rate) < 1e-3 * ppo_.config.learning_rate


def test_an_actor_that_can_do_something_waits_for_the_critic(follow: ToyEnv) -> None:
    ppo_ = learner("mlp", 10, environments=16, unroll=8, critic_updates=2, target_kl=0.01)
    state = ppo_.init(follow, jax.random.PRNGKey(0))
    for waiting in (True, True, False):
        before = state
        state, _ = ppo_.update(follow, state)
        for name in ("actor", "critic"):
            same = jax.tree.map(np.array_equal, before.params[name], state.params[name])
            assert all(jax.tree.leaves(same)) == (waiting and name == "actor")
        assert (state.learning_rate == before.learning_rate) or not waiting


def test_minibatches_must_divide_the_environments() -> None:
    with pytest.raises(ValueError, match=r"environments=10 .* minibatches=4"):
        ppo.Config(environments=10, minibatches=4)


def test_sizes_ignore_absent_groups() -> None:
    assert SIZES.width("proprioception", "absent") == 3
