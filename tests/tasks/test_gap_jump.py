"""Gap jump: phases, what counts as landed, and what ends a trial."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mimic_envs
from mimic_envs.env import Environment
from mimic_envs.tasks import gap_jump
from tests.tasks import shared

HOLD, DECIDE, JUMP = gap_jump.HOLD, gap_jump.DECIDE, gap_jump.JUMP


@pytest.fixture(scope="module")
def env() -> Environment:
    return mimic_envs.make("rodent", task="gap_jump")


def after(env: Environment, state: Any, x: float, steps: int) -> tuple[Any, Any]:
    """State and context once the animal has been at a place along its lane for some steps."""
    place = jnp.stack([jnp.float32(x), state.middle])
    qpos = env.task.command.starts.start(jnp.int32(0), jnp.float32(0), place).qpos
    c = shared.context(env, state, np.asarray(qpos))
    for _ in range(steps):
        state = env.task.command.update(state._replace(step=state.step + 1), c)
    return state, shared.context(env, state, np.asarray(qpos))


def test_a_jump_after_the_hold_lands(env: Environment) -> None:
    begun = shared.begun(env, lane=2)
    begin, end = (float(x) for x in begun.edges)
    assert (begin, end) == pytest.approx((0.2, 0.3), abs=1e-6)
    state, c = after(env, begun, 0.0, 99)
    assert int(state.phase) == HOLD
    state, c = after(env, state, 0.1, 1)
    assert int(state.phase) == DECIDE
    state, c = after(env, state, begin + 0.01, 1)
    assert int(state.phase) == JUMP
    state, c = after(env, state, end + 0.039, 30)
    assert shared.score(env, c) == 0
    state, c = after(env, state, end + 0.041, 19)
    assert shared.score(env, c) == 0
    state, c = after(env, state, end + 0.041, 1)
    assert shared.score(env, c) == shared.success(env, c) == 1
    state, c = after(env, state, begin + 0.01, 1)
    assert shared.score(env, c) == 1  # for good
    assert not shared.failed(env, c)
    assert not bool(env.task.command.over(state))


def test_leaving_too_early_fails(env: Environment) -> None:
    begun = shared.begun(env, lane=0)
    state, c = after(env, begun, float(begun.edges[0]) + 0.001, 1)
    assert shared.failed(env, c)
    state, c = after(env, state, float(begun.edges[1]) + 0.05, 200)
    assert shared.score(env, c) == 0
    assert shared.failed(env, c)


def test_a_decision_takes_at_most_six_seconds(env: Environment) -> None:
    command = env.task.command
    state, c = after(env, shared.begun(env, lane=4), 0.0, 1)
    assert not shared.failed(env, c)
    waiting = command.update(state._replace(step=jnp.int32(699)), c)
    assert not bool(command.over(waiting))
    assert bool(command.over(command.update(waiting._replace(step=jnp.int32(700)), c)))
    jumped, _ = after(env, waiting, 0.25, 1)
    assert int(jumped.step) == 700
    assert not bool(command.over(jumped))
    assert bool(command.over(jumped._replace(step=jnp.int32(1000))))


def test_what_is_seen(env: Environment) -> None:
    state, c = after(env, shared.begun(env, lane=4), 0.08, 1)
    rows = env.task.observations["task"]
    found = {name: np.asarray(row.value(c)) for name, row in rows.items()}
    np.testing.assert_array_equal(found["phase"], [1, 0, 0, 0])
    np.testing.assert_allclose(found["gap"], [0.75, 1.625, 0.875], atol=1e-5)
    np.testing.assert_allclose(found["lane"], [0, 1, 0], atol=1e-5)
    state, c = after(env, state._replace(step=jnp.int32(200)), 0.5, 25)
    np.testing.assert_array_equal(rows["phase"].value(c), [0, 0, 1, 1])


def test_the_landing_is_higher(env: Environment) -> None:
    model = env.body.model
    tops = [
        float(model.geom(f"platform_0_{i}").pos[2] + model.geom(f"platform_0_{i}").size[2])
        for i in (0, 1)
    ]
    assert tops == pytest.approx([-0.005, 0.015], abs=1e-9)
    first = model.geom("platform_0_0")
    assert 2 * float(first.size[0]) == pytest.approx(0.3, abs=1e-9)


def test_proprioception_is_that_of_imitation(env: Environment) -> None:
    assert shared.proprioception(env) == shared.imitated("rodent")


def test_faces_agree() -> None:
    shared.assert_faces_agree("stick_insect", task="gap_jump")


def test_trials_are_five_gaps_of_fifty_starts(env: Environment) -> None:
    trials = env.task.command.trials
    assert len(trials) == 250
    starts = {(c["aside"], c["heading"]) for c, _ in trials.values()}
    assert len(starts) == 50
    assert {steps for _, steps in trials.values()} == {1000}


def test_bad_requests_are_refused(env: Environment) -> None:
    with pytest.raises(ValueError, match="body 'mouse_arm' has no feet to stand on"):
        mimic_envs.make("mouse_arm", task="gap_jump")
    with pytest.raises(ValueError, match="gap_lengths must name at least one length"):
        mimic_envs.make("rodent", task="gap_jump", gap_lengths=())
    with pytest.raises(ValueError, match="reset option 'lane'"):
        env.reset(jax.random.key(0), lane=5)
