"""Rows from outside: one function and one keyword each, on every face."""

from __future__ import annotations

import json
import sys
import textwrap

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mimic_envs
from mimic_envs.env import Environment
from mimic_envs.mdp import Context, Cost, Metric, Observation, Reward, Rows, Termination
from mimic_envs.tasks import imitation

ARM = "mimic_envs/MouseArm-v1"
OPTIONS = {"clips": "generated/tiny"}


def constant(c: Context) -> jax.Array:
    """Five."""
    return jnp.float32(5.0)


def elbow(c: Context) -> jax.Array:
    """The first joint's angle, rad, (1,)."""
    return c.physics.qpos[:1]


def steps_done(c: Context) -> jax.Array:
    """Time since the beginning, s."""
    return c.time_s


def make(**options) -> Environment:
    return mimic_envs.make("mouse_arm", **OPTIONS, **options)


def one_step(env: Environment):
    state = env.reset(jax.random.key(0), clip=0, frame=0)
    return jax.jit(Environment.step)(env, state, jnp.zeros(env.action_size))


def test_a_reward_is_one_function_and_one_keyword() -> None:
    plain, richer = one_step(make()), one_step(make(rewards={"mine": Reward(constant, 0.5)}))
    assert float(richer.metrics["reward/mine"]) == 2.5
    costs = {name: row for name, row in make().task.rewards.items() if isinstance(row, Cost)}
    share = 1 + sum(float(plain.metrics[f"reward/{name}"]) for name in costs) / sum(
        float(plain.metrics[f"reward/{name}"]) for name in make().task.rewards if name not in costs
    )
    assert float(richer.reward - plain.reward) == pytest.approx(2.5 * share, rel=1e-5)


def test_rewards_are_reweighted_and_removed() -> None:
    plain, changed = one_step(make()), one_step(make(rewards={"joints": 2.0, "control": None}))
    weight = make().task.rewards["joints"].weight
    ratio = float(changed.metrics["reward/joints"] / plain.metrics["reward/joints"])
    assert ratio == pytest.approx(2.0 / weight, rel=1e-6)
    assert "reward/control" not in changed.metrics
    assert list(make().task.rewards)[:1] == list(make(rewards={"joints": 2.0}).task.rewards)[:1]


def test_an_observation_is_one_function_and_one_keyword() -> None:
    env = make(observations={"proprioception": {"mine": Observation(elbow, 0.01)}})
    where, shape, bound = env.observation_layout()["proprioception/mine"]
    assert (shape, bound) == ((1,), 0.01)
    state = one_step(env)
    angle = float(np.clip(state.physics.qpos[0], -0.01, 0.01))
    assert float(env.flat(state.obs)[where][0]) == pytest.approx(angle)


def test_groups_are_chosen_made_and_removed() -> None:
    both = make(groups=("reference", "proprioception"))
    assert list(both.task.observations) == ["reference", "proprioception"]
    own = make(observations={"mine": {"elbow": elbow}, "reference": None})
    assert list(own.task.observations) == ["proprioception", "mine"]
    assert one_step(own).obs["mine"].shape == (1,)


def test_a_termination_is_one_function_and_one_keyword() -> None:
    env = make(terminations={"late": Termination(steps_done, 0.004)})
    state = env.reset(jax.random.key(0), clip=0, frame=0)
    step, ends = jax.jit(Environment.step), []
    for _ in range(2):  # of 5 ms
        state = step(env, state, jnp.zeros(env.action_size))
        ends.append((bool(state.terminated), float(state.metrics["limit/late"])))
    assert ends == [(True, 1.0), (True, 1.0)]
    relaxed = make(terminations=dict.fromkeys(make().task.terminations))
    assert not relaxed.task.terminations


def test_a_metric_is_one_function_and_one_keyword() -> None:
    assert float(one_step(make(metrics={"mine": Metric(constant)})).metrics["mine"]) == 5.0


def test_gymnasium_takes_the_same_keywords(tmp_path, monkeypatch) -> None:
    """As objects, and as names in a spec that is written to JSON and read again."""
    (tmp_path / "rows_of_mine.py").write_text(
        textwrap.dedent("""
            import jax.numpy as jnp
            def five(c):
                return jnp.float32(5.0)
        """)
    )
    monkeypatch.syspath_prepend(tmp_path)
    changes = {"mine": "rows_of_mine:five", "joints": {"weight": 2.0}}
    env = gymnasium.make(ARM, **OPTIONS, rewards=changes)
    env.reset(seed=0)
    _, _, _, _, info = env.step(np.zeros(9, np.float32))
    assert info["reward/mine"] == 5.0
    again = gymnasium.make(gymnasium.envs.registration.EnvSpec.from_json(env.spec.to_json()))
    again.reset(seed=0)
    assert again.step(np.zeros(9, np.float32))[4] == info
    envs = gymnasium.make_vec(ARM, num_envs=2, **OPTIONS, rewards=changes)
    envs.reset(seed=0)
    assert envs.step(np.zeros((2, 9), np.float32))[4]["reward/mine"].tolist() == [5.0, 5.0]
    del sys.modules["rows_of_mine"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rewards": {"jonts": 2.0}}, r"unknown reward 'jonts'; did you mean 'joints'"),
        ({"rewards": {"jonts": None}}, r"unknown reward 'jonts'; did you mean 'joints'"),
        ({"rewards": {"joints": float("nan")}}, r"weight must be a number, got nan"),
        ({"rewards": {"a b": constant}}, r"reward 'a b': a name is made of letters"),
        ({"rewards": {"mine": elbow}}, r"reward 'mine' must return a scalar, got shape \(1,\)"),
        ({"rewards": {"mine": lambda c: c.nothing}}, r"reward 'mine' fails: AttributeError.*noth"),
        ({"rewards": {"mine": "no_such:thing"}}, r"cannot import module 'no_such'"),
        ({"rewards": {"mine": "math:sine"}}, r"has no 'sine'; did you mean 'sin"),
        ({"rewards": {"mine": {"weigth": 1.0, "function": constant}}}, r"did you mean 'weight'"),
        (
            {"rewards": {"mine": {"kind": "mimic_envs.mdp:Observation", "function": constant}}},
            r"unknown kind 'mimic_envs.mdp:Observation'",
        ),
        ({"rewards": {"mine": Cost(constant, 0.6)}}, r"their sum is at most 0\.5"),
        ({"rewards": {"mine": object()}}, r"reward 'mine': got <object"),
        ({"terminations": {"mine": Termination(elbow, 1.0)}}, r"termination 'mine' must return"),
        ({"metrics": {"score": Metric(constant)}}, r"metric 'score': the name is taken"),
        ({"groups": ("refrence",)}, r"unknown group of observations 'refrence'; did you mean"),
        ({"observations": {"reference": None, "proprioception": None}}, "no observation is left"),
        ({"reward": {}}, r"unknown option of an environment 'reward'; did you mean 'rewards'"),
        ({"time_limit_s": -1.0}, r"time_limit_s must be a positive number or None, got -1\.0"),
        (
            {"action_filter_s": float("inf")},
            r"action_filter_s must be a number of at least 0, got inf",
        ),
    ],
)
def test_bad_rows_get_one_clear_error(options, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        make(**options)


def test_rows_cannot_be_edited_in_place() -> None:
    rows = make().task.rewards
    with pytest.raises(TypeError):
        rows["joints"] = Reward(constant)
    with pytest.raises(TypeError):
        make().body.tracking["joints"] = None
    assert hash(Rows(dict(rows))) == hash(rows)


def test_a_redefined_reward_is_not_the_old_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiled programs are shared by everything that was traced."""
    before = float(one_step(make()).metrics["reward/joints"])
    monkeypatch.setitem(imitation.TRACKING, "joints", lambda c: jnp.float32(0.0))
    weight = make().task.rewards["joints"].weight
    assert float(one_step(make()).metrics["reward/joints"]) == weight != before
    env = gymnasium.make(ARM, **OPTIONS, rewards={"joints": 0.0})
    env.reset(seed=0)
    assert env.step(np.zeros(9, np.float32))[4]["reward/joints"] == 0.0


def test_another_clip_set_of_similar_size_compiles_nothing() -> None:
    """Each compiled program costs a process memory mappings for good."""
    clips = make().clips
    step = jax.jit(lambda env, state, action: env.step(state, action))
    for first in (0, 5, 9):
        motions = [m[first : first + 70 + first] for m in clips.motions()[:1]]
        own = type(clips).from_motions(clips.body, motions, clips.fps, names=[f"clip{first}"])
        env = mimic_envs.make("mouse_arm", clips=own)
        step(env, env.reset(jax.random.key(0)), jnp.zeros(9))
    assert step._cache_size() == 1


def test_a_spec_that_cannot_be_written_names_the_keyword() -> None:
    body = mimic_envs.bodies.get("mouse_arm")
    spec = gymnasium.make(ARM, **OPTIONS, body=body).spec
    with pytest.raises(TypeError, match=r"keyword 'body' is a Body, which JSON cannot hold"):
        spec.to_json()
    clips = make().clips
    with pytest.raises(TypeError, match=r"keyword 'clips' is a ClipSet"):
        gymnasium.make(ARM, clips=clips).spec.to_json()
    json.loads(gymnasium.make(ARM, **OPTIONS).spec.to_json())


@pytest.mark.parametrize("make_one", [gymnasium.make, gymnasium.make_vec])
def test_an_id_is_of_one_animal(make_one) -> None:
    with pytest.raises(ValueError, match=r"MouseArm-v1 is the environment of body 'mouse_arm'"):
        make_one(ARM, body="worm", clips="generated/tiny")


def test_a_metric_cannot_have_the_name_of_what_the_command_tells() -> None:
    """It would take its place in the info of the Gymnasium environments."""
    with pytest.raises(ValueError, match="metric 'frame': the task's info has that name"):
        mimic_envs.make("mouse_arm", metrics={"frame": lambda c: c.time_s})
