"""States of environments, and copies of environments: both go on bit for bit."""

from __future__ import annotations

import copy
import dataclasses
import pathlib
import pickle
import re
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils import EzPickle

import mimic_envs
from mimic_envs.gym import Env, EnvState, VectorEnv
from mimic_envs.gym.jax_stepper import JaxStepper
from mimic_envs.mdp import Delay, Push, Randomize

ARM = "mimic_envs/MouseArm-v1"
N, BRANCHES, AHEAD = 3, 200, 3
CHANGING = {
    "action": "pd_targets",
    "sampling": "failure",
    "action_filter_s": 0.02,
    "events": {
        "mass": Randomize("mass", 0.8, 1.2),
        "delay": Delay(0, 2),
        "pushes": Push(1e-6, every_s=0.01, body="ulna"),
    },
}
"""Options with all that an episode can hold: memory, a filter, fields, forces, random numbers; and
an action term that looks at the simulation."""


def make(**options: Any) -> Env:
    return gymnasium.make(ARM, **{"clips": "generated/tiny", **options}).unwrapped


def make_vec(count: int = N, **options: Any) -> VectorEnv:
    return gymnasium.make_vec(ARM, count, **{"clips": "generated/tiny", **options})


def begun(face: Any) -> Any:
    """The environment or environments, after five random steps."""
    face.reset(seed=0)
    for _ in range(5):
        face.step(face.action_space.sample())
    return face


@pytest.fixture(scope="module")
def env() -> Env:
    """In the middle of an episode."""
    return begun(make())


@pytest.fixture(scope="module")
def envs() -> VectorEnv:
    """In the middle of different episodes."""
    return begun(make_vec())


def advance(env: Env | VectorEnv, action: np.ndarray) -> tuple[Any, ...]:
    """Step, and reset a scalar environment whose episode has ended."""
    found = env.step(action)
    if isinstance(env, Env) and (found[2] or found[3]):
        return (*found, *env.reset())
    return found


def flattened(results: Any) -> list[Any]:
    """All numbers and texts of nested results, in their order."""
    if isinstance(results, dict):
        return [x for name in results for x in (name, *flattened(results[name]))]
    if isinstance(results, tuple | list):
        return [x for part in results for x in flattened(part)]
    if isinstance(results, np.ndarray):
        numbers = [results.dtype, results.tobytes()]
        content = flattened(results.tolist()) if results.dtype == object else numbers
        return [results.shape, *content]
    return [results]


def assert_goes_on_alike(first: Env | VectorEnv, other: Env | VectorEnv, steps: int) -> None:
    for _ in range(steps):
        action = first.action_space.sample()
        assert flattened(advance(first, action)) == flattened(advance(other, action))


def assert_branches_are_equal(env: Env | VectorEnv) -> None:
    """Set 200 states of a run in any order; each goes on as the run did."""
    rng = np.random.default_rng(0)
    env.reset(seed=0)
    states, actions, results = [], [], []
    for _ in range(BRANCHES + AHEAD):
        states.append(env.get_state())
        actions.append(rng.uniform(-1, 1, env.action_space.shape).astype(np.float32))
        results.append(flattened(advance(env, actions[-1])))
    for k in rng.permutation(BRANCHES):
        env.set_state(states[k])
        for ahead in range(k, k + AHEAD):
            assert flattened(advance(env, actions[ahead])) == results[ahead], (k, ahead)


def test_branches_of_every_body(env_id: str) -> None:
    assert_branches_are_equal(gymnasium.make(env_id, clips="generated/tiny").unwrapped)


def test_branches_of_every_body_in_a_vector(env_id: str) -> None:
    assert_branches_are_equal(gymnasium.make_vec(env_id, N, clips="generated/tiny"))


def test_branches_with_memory_and_events() -> None:
    assert_branches_are_equal(make_vec(**CHANGING, max_episode_steps=20))


def test_branches_on_a_device() -> None:
    """The stepper of backends that run in JAX; compiling MJX itself takes minutes."""

    class OnDevice(VectorEnv):
        def _make_stepper(self, count: int) -> JaxStepper:
            return JaxStepper(self.functional, count)

    envs = OnDevice("mouse_arm", N, clips="generated/tiny")
    assert_branches_are_equal(envs)
    assert_goes_on_alike(envs, copy.deepcopy(envs), 5)
    [data, *_] = envs.get_attr("data")
    np.testing.assert_allclose(data.qpos, envs._stepper.qpos(0), atol=1e-6)
    assert envs.get_state()[0].source["backend"] == "native"


def test_a_state_is_set_before_the_first_reset(env: Env, envs: VectorEnv) -> None:
    for old, new in ((env, make()), (envs, make_vec())):
        with pytest.raises(gymnasium.error.ResetNeeded, match="before get_state"):
            new.get_state()
        obs, info = new.set_state(pickle.loads(pickle.dumps(old.get_state())))
        np.testing.assert_array_equal(obs, old._obs)
        assert flattened(info) == flattened(
            old._info(np.ones(N, bool)) if old is envs else old._info()
        )
        assert_goes_on_alike(old, new, 40)


def test_a_state_never_changes(env: Env) -> None:
    state = env.get_state()
    before = pickle.dumps(state)
    env.set_state(state)
    for _ in range(3):
        env.step(env.action_space.sample())
    env.reset()
    assert pickle.dumps(state) == before
    for owner in (state, pickle.loads(before)):
        assert not any(array.flags.writeable for array in (*owner.arrays, owner.obs))
    with pytest.raises(dataclasses.FrozenInstanceError):
        state.elapsed = 0
    assert copy.deepcopy(state) is state


def test_one_state_for_all_environments(envs: VectorEnv) -> None:
    state = envs.get_state()[1]
    obs, infos = envs.set_state(state)
    assert (obs == obs[1]).all()
    assert len(set(infos["frame"].tolist())) == 1
    actions = np.repeat(envs.single_action_space.sample()[None], N, 0)
    envs.step(actions)
    rows = envs._stepper._batch.snapshots()
    np.testing.assert_array_equal(rows[[0, 2]], rows[[1, 1]])


def test_none_leaves_an_environment_as_it_is(envs: VectorEnv) -> None:
    envs.reset(seed=1)
    before = envs.get_state()
    envs.step(envs.action_space.sample())
    after = envs.get_state()
    _, infos = envs.set_state([None, before[0], None])
    assert infos["_clip"].tolist() == [False, True, False]
    for now, expected in zip(envs.get_state(), (after[0], before[0], after[2]), strict=True):
        assert flattened([now.arrays, now.obs, now.elapsed, now.generator]) == flattened(
            [expected.arrays, expected.obs, expected.elapsed, expected.generator]
        )


def test_scalar_and_vector_environments_exchange_states(env: Env, envs: VectorEnv) -> None:
    """XLA rounds the task differently in each, but the simulation is the same bit for bit."""
    env.reset(seed=3)
    envs.set_state(env.get_state())
    action = env.action_space.sample()
    envs.step(np.repeat(action[None], N, 0))
    env.step(action)
    rows = env._stepper._batch.snapshots()
    np.testing.assert_array_equal(envs._stepper._batch.snapshots(), np.repeat(rows, N, 0))
    env.set_state(envs.get_state()[2])
    np.testing.assert_array_equal(env._stepper._batch.snapshots(), rows)
    assert env.get_state().elapsed == 1


def test_elapsed_steps_are_part_of_a_state() -> None:
    envs = make_vec(max_episode_steps=4, terminate=False)
    envs.reset(seed=0, options={"frame": 0})
    still = np.zeros(envs.action_space.shape, np.float32)
    envs.step(still)
    states = envs.get_state()
    for _ in range(2):
        envs.set_state(states)
        assert [bool(envs.step(still)[3].all()) for _ in range(3)] == [False, False, True]


def test_states_of_other_environments_are_refused(env: Env, envs: VectorEnv) -> None:
    state = env.get_state()
    other = dataclasses.replace(state, source=dict(state.source, body="worm"))
    with pytest.raises(ValueError, match=r"with body 'worm'; this one has body 'mouse_arm'"):
        env.set_state(other)
    with pytest.raises(ValueError, match=r"command '2 clips .*this one has command '12 clips"):
        make(clips="generated/train").set_state(state)
    with pytest.raises(
        ValueError, match=r"other options: its array .*memory.* none, here \(\d+,\)"
    ):
        make(sampling="failure").set_state(state)
    for bad in (None, {}, (state,)):
        with pytest.raises(TypeError, match=r"a state is what get_state\(\) returned, got"):
            env.set_state(bad)
    with pytest.raises(ValueError, match="2 states for 3 environments"):
        envs.set_state([state] * 2)
    refused = make()
    with pytest.raises(ValueError, match="worm"):
        refused.set_state(other)
    with pytest.raises(gymnasium.error.ResetNeeded):  # as if nothing had been tried
        refused.step(refused.action_space.sample())


def test_data_is_the_present_simulation(env: Env) -> None:
    obs, _ = env.reset(seed=0)
    for _ in range(3):
        obs, *_ = env.step(np.full(env.action_space.shape, 0.3, np.float32))
    data, row = env.data, env._stepper._batch.snapshots()
    where, shape, _ = env.observation_layout["proprioception/joint_angles"]
    np.testing.assert_allclose(data.qpos, obs[where].reshape(shape), atol=1e-6)
    assert data.time == pytest.approx(3 * env.dt)
    low, high = env.model.actuator_ctrlrange.T
    np.testing.assert_allclose(data.ctrl, low + 0.65 * (high - low), atol=1e-6)
    tip = env.model.body(env.functional.body.end_effectors[0]).id
    moved = env._stepper._batch.outputs(np.zeros((1, env.functional.physics.width), np.float32))
    poses = env.functional.physics.unpack(moved[0], np.zeros((), bool), np.zeros(0)).xpos
    np.testing.assert_allclose(data.xpos[tip], poses[tip], atol=1e-6)
    data.qpos[:] = 0
    np.testing.assert_array_equal(env._stepper._batch.snapshots(), row)
    assert env.dt == env.functional.body.control_timestep_s
    with pytest.raises(gymnasium.error.ResetNeeded):
        _ = make().data


def test_environments_of_a_vector_have_attributes(envs: VectorEnv) -> None:
    envs.reset(seed=[4, 5, 6])
    assert envs.get_attr("dt") == (envs.dt,) * N
    assert envs.get_attr("np_random_seed") == (4, 5, 6)
    assert envs.get_attr("action_space") == (envs.single_action_space,) * N
    assert [data.qpos[0] for data in envs.get_attr("data")] == [
        envs._stepper.qpos(i)[0] for i in range(N)
    ]
    states = envs.call("get_state")
    envs.step(envs.action_space.sample())
    assert envs.call("set_state", states[2]) == (None,) * N
    assert all(state.obs.tolist() == states[2].obs.tolist() for state in envs.get_state())
    envs.set_attr("level", [1, 2, 3])
    envs.set_attr("name", "all alike")
    assert envs.get_attr("level") == (1, 2, 3)
    assert envs.get_attr("name") == ("all alike",) * N
    envs.set_attr("np_random", [np.random.default_rng(i) for i in range(N)])
    assert envs.np_random_seed == (-1,) * N
    assert copy.deepcopy(envs).get_attr("level") == (1, 2, 3)
    with pytest.raises(AttributeError, match="did you mean 'data'"):
        envs.get_attr("dada")
    with pytest.raises(AttributeError, match=r"'dt' .* cannot be set"):
        envs.set_attr("dt", 1.0)
    with pytest.raises(ValueError, match="2 values of 'level' for 3 environments"):
        envs.set_attr("level", (1, 2))


COPIES = {"deepcopy": copy.deepcopy, "pickle": lambda env: pickle.loads(pickle.dumps(env))}


class WithArguments(Env, EzPickle):
    """As Gymnasium's own environments do it."""

    def __init__(self, clip_set: str, level: int = 0) -> None:
        EzPickle.__init__(self, clip_set, level=level)
        super().__init__("mouse_arm", clips=f"generated/{clip_set}")
        self.level = level
        self.handle = (x for x in ())  # neither copied nor pickled, but made again


class ManyWithArguments(VectorEnv, EzPickle):
    def __init__(self, count: int) -> None:
        super().__init__("mouse_arm", count, clips="generated/tiny")
        EzPickle.__init__(self, count)


class WithAttributes(Env):
    def __init__(self, level: int) -> None:
        super().__init__("mouse_arm", clips="generated/tiny")
        self.levels = [level]


@pytest.mark.parametrize("kind", COPIES)
@pytest.mark.parametrize(
    "make_one",
    [
        make,
        lambda: gymnasium.make(ARM, clips="generated/tiny", max_episode_steps=30),
        make_vec,
        lambda: make_vec(autoreset_mode="SameStep", max_episode_steps=9, **CHANGING),
        lambda: WithArguments("tiny", level=3),
        lambda: ManyWithArguments(N),
        lambda: WithAttributes(3),
    ],
    ids=["scalar", "wrapped", "vector", "events", "ezpickle", "vector ezpickle", "attributes"],
)
def test_copies_go_on_with_the_episode(kind: str, make_one: Any) -> None:
    env = make_one()
    unbegun = COPIES[kind](env)
    with pytest.raises(gymnasium.error.ResetNeeded):
        unbegun.unwrapped.get_state()
    env.reset(seed=0)
    for _ in range(4):
        env.step(env.action_space.sample())
    twin = COPIES[kind](env)
    assert type(twin) is type(env)
    assert twin.spec == env.spec
    np.testing.assert_array_equal(twin.action_space.sample(), env.action_space.sample())
    if kind == "deepcopy":
        assert twin.unwrapped.functional.body is env.unwrapped.functional.body
    assert_goes_on_alike(env, twin, 30)
    # each is by itself
    before = flattened([x.arrays for x in np.atleast_1d(env.unwrapped.get_state())])
    twin.step(twin.action_space.sample())
    twin.reset(seed=9)
    assert flattened([x.arrays for x in np.atleast_1d(env.unwrapped.get_state())]) == before


@pytest.mark.parametrize("kind", COPIES)
def test_attributes_of_subclasses_follow_their_idiom(kind: str) -> None:
    env, plain = WithArguments("tiny", level=3), WithAttributes(3)
    plain.levels.append(4)
    assert COPIES[kind](env).level == 3
    twin = COPIES[kind](plain)
    assert twin.levels == [3, 4]
    assert twin.levels is not plain.levels


def test_the_functional_environment_is_pickled() -> None:
    """The copy shares compiled programs with the first."""
    env = mimic_envs.make("mouse_arm", clips="generated/tiny", **CHANGING)
    assert copy.deepcopy(env) is env
    twin = pickle.loads(pickle.dumps(env))
    assert twin.clips.content_hash == env.clips.content_hash
    assert twin.physics == env.physics
    assert twin.task.at is env.task.at
    assert twin.body is env.body
    assert mimic_envs.gym.state.source(twin) == mimic_envs.gym.state.source(env)
    traced = []

    @mimic_envs.gym.stepper.jax.jit
    def begin(env: Any, key: Any) -> Any:
        traced.append(env)
        return env.reset(key).obs

    key = np.array([0, 3], np.uint32)
    assert flattened([np.asarray(x) for x in begin(env, key).values()]) == flattened(
        [np.asarray(x) for x in begin(twin, key).values()]
    )
    assert len(traced) == 1


def test_a_state_says_what_it_is_of(env: Env) -> None:
    assert isinstance(env.get_state(), EnvState)
    assert "imitation, mouse_arm" in repr(env.get_state())


def test_a_shallow_copy_is_by_itself(env: Env) -> None:
    env.reset(seed=0)
    twin = copy.copy(env)
    assert twin._stepper is not env._stepper
    assert twin.np_random is not env.np_random


def test_python_in_the_page_about_gymnasium_runs() -> None:
    page = (pathlib.Path(__file__).parents[2] / "docs" / "gymnasium.md").read_text()
    names: dict[str, Any] = {"__name__": "page"}
    for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
        exec(block, names)
    assert len({state.obs.tobytes() for state in names["envs"].get_state()}) == 1
    assert copy.deepcopy(names["Mine"](3)).level == 3


def test_a_diverged_environment_stays_diverged(env: Env) -> None:
    env.reset(seed=0)
    env.step(np.full(env.action_space.shape, np.nan, np.float32))
    twin = make()
    twin.set_state(env.get_state())
    row = twin._stepper._batch.snapshots()
    assert_goes_on_alike(env, copy.deepcopy(twin), 2)
    _, reward, terminated, *_ = twin.step(twin.action_space.sample())
    assert (reward, terminated) == (0.0, True)
    np.testing.assert_array_equal(twin._stepper._batch.snapshots(), row)
