"""Events: known answers, and that nothing changes where their sizes are zero."""

from __future__ import annotations

import types

import gymnasium
import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest

import mimic_envs
from mimic_envs import bodies
from mimic_envs.env import Environment, State
from mimic_envs.mdp import Delay, Push, Randomize
from mimic_envs.mdp.events import _columns

ID = "mimic_envs/StickInsect-v1"
NOTHING = {
    "mass": Randomize("mass", 1.0, 1.0),
    "friction": Randomize("friction", 1.0, 1.0),
    "gain": Randomize("gain", 1.0, 1.0),
    "gravity": Randomize("gravity", 1.0, 1.0),
    "pushes": Push(0.0, every_s=0.02),
    "delay": Delay(0, 0),
}
ALL = {
    "mass": Randomize("mass", 0.5, 2.0),
    "damping": Randomize("damping", 0.5, 2.0, shared=True),
    "armature": Randomize("armature", 0.5, 2.0),
    "inertia": Randomize("inertia", 0.9, 1.1),
    "friction": Randomize("friction", 0.2, 1.0),
    "gain": Randomize("gain", 0.5, 1.0),
    "gravity": Randomize("gravity", 0.8, 1.2),
    "pushes": Push(20.0, every_s=0.05),
    "delay": Delay(0, 3),
}


def make(**options) -> Environment:
    return mimic_envs.make("stick_insect", **{"clips": "generated/tiny", **options})


def run(env: Environment, steps: int = 20, count: int = 3) -> list[State]:
    reset = jax.jit(jax.vmap(Environment.reset, in_axes=(None, 0)))
    step = jax.jit(jax.vmap(Environment.step, in_axes=(None, 0, 0)))
    state = reset(env, jax.random.split(jax.random.key(0), count))
    actions = jax.random.normal(jax.random.key(1), (steps, count, env.action_size))
    states = []
    for action in 0.3 * actions:
        state = step(env, state, action)
        states.append(state)
    return states


def test_sizes_of_zero_are_no_events_bit_for_bit() -> None:
    quiet = {"proprioception": {"joint_angles": {"noise": 0.0}}}
    with_events, without = run(make(events=NOTHING, observations=quiet)), run(make())
    for a, b in zip(with_events, without, strict=True):
        np.testing.assert_array_equal(a.physics.private, b.physics.private)
        np.testing.assert_array_equal(a.obs["proprioception"], b.obs["proprioception"])


def test_every_environment_and_episode_has_its_own_world() -> None:
    states = run(make(events=ALL), steps=2)
    masses = np.asarray(states[-1].fields["body_mass"])
    own = np.asarray(bodies.get("stick_insect").model.body_mass, np.float32)
    factor = masses[:, 1:] / own[1:]
    assert (factor > 0.5 - 1e-5).all()
    assert (factor < 2 + 1e-5).all()
    assert len(np.unique(factor.round(4))) > factor.size / 2
    inertia = np.asarray(states[-1].fields["body_inertia"])
    np.testing.assert_array_equal(states[0].fields["body_mass"], masses)
    assert not np.array_equal(inertia[0], inertia[1])


@pytest.mark.parametrize("backend", ["native", "mjx"])
def test_the_gymnasium_faces_live_in_the_same_world(backend: str) -> None:
    """All events at once, against the functional environment."""
    options = {"clips": "generated/tiny", "events": ALL, "backend": backend}
    if backend == "mjx":
        options["events"] = {k: ALL[k] for k in ("mass", "pushes", "delay")}
    vector = gymnasium.make_vec(ID, num_envs=2, **options)
    scalar = gymnasium.make(ID, **options)
    vector.reset(seed=3)
    scalar.reset(seed=3)
    steps = 3 if backend == "mjx" else 8
    actions = 0.2 * np.random.default_rng(0).normal(size=(steps, *vector.action_space.shape))
    for action in actions.astype(np.float32):
        obs, _, terminated, truncated, _ = vector.step(action)
        own, *_ = scalar.step(action[0])
        # MJX in float32 rounds batches of other sizes differently, which contacts amplify
        tolerance = 1e-3 if backend == "mjx" else 2e-5
        np.testing.assert_allclose(own, obs[0], atol=tolerance, rtol=tolerance)
        if (terminated | truncated).any():
            break


def test_a_push_changes_the_momentum_by_its_impulse() -> None:
    """In the air, where nothing else acts sideways; one push each step adds up at random."""
    light = {"gravity": Randomize("gravity", 0.0, 0.0), "push": Push(5.0, every_s=1e-9)}
    env = make(events=light, clips=lifted())
    state = env.reset(jax.random.key(2), clip=0, frame=0)
    body = env.body
    before = momentum(body, state)
    applied = env.apply(state, jnp.zeros(env.action_size))
    impulse = np.asarray(applied.force)[:, :3].sum(axis=0) * body.control_timestep_s
    assert np.linalg.norm(impulse) == pytest.approx(5.0, rel=1e-5)
    after = momentum(body, env.step(state, jnp.zeros(env.action_size)))
    np.testing.assert_allclose(after - before, impulse, atol=0.005)


def lifted():
    from mimic_envs.clips import ClipSet, load

    clips = load("generated/tiny", "stick_insect")
    motions = [m.copy() for m in clips.motions()[:1]]
    motions[0][:, 2] += 50.0
    return ClipSet.from_motions(clips.body, motions, clips.fps)


def momentum(body: bodies.Body, state: State) -> np.ndarray:
    data = mujoco.MjData(body.model)
    data.qpos[:], data.qvel[:] = state.physics.qpos, state.physics.qvel
    mujoco.mj_forward(body.model, data)
    mujoco.mj_subtreeVel(body.model, data)
    return body.model.body_mass.sum() * data.subtree_linvel[0]


def test_a_delay_is_of_whole_steps() -> None:
    env = make(events={"delay": Delay(2, 2)})
    state, step = env.reset(jax.random.key(0), clip=0, frame=0), jax.jit(Environment.step)
    got = []
    for k in range(5):
        state = step(env, state, jnp.full(env.action_size, 0.1 * (k + 1)))
        got.append(round(float(state.control[0]), 3))
    assert got == [0.0, 0.0, 0.1, 0.2, 0.3]


def test_a_lesion_is_a_gain_of_zero() -> None:
    body = bodies.get("stick_insect")
    name = body.actuator_names[4]
    env = make(events={"lesion": Randomize("gain", 0.0, 0.0, names=(name,))})
    state = run(env, steps=3)[-1]
    force = np.asarray(state.physics.actuator_force)
    np.testing.assert_array_equal(force[:, 4], 0.0)
    assert (np.abs(np.delete(force, 4, axis=1)).max(axis=1) > 0).all()


def test_a_gain_scales_the_force_of_every_kind_of_actuator() -> None:
    """Of muscles with a peak force of their own or one that is derived, and of a servo."""
    xml = """<mujoco><worldbody><body><joint name='j' axis='0 1 0'/><geom size='.1'/></body>
      </worldbody><actuator>
        <muscle joint='j' force='2' lengthrange='-2 2' ctrlrange='0 1'/>
        <muscle joint='j' scale='30' lengthrange='-2 2' ctrlrange='0 1'/>
        <position joint='j' kp='3' kv='.2'/><motor joint='j' gear='7'/>
      </actuator></mujoco>"""
    forces = []
    for factor in (1.0, 0.5):
        model = mujoco.MjModel.from_xml_string(xml)
        for field in ("actuator_gainprm", "actuator_biasprm"):
            scaled = _columns(types.SimpleNamespace(model=model), field)
            getattr(model, field)[scaled] *= factor
        data = mujoco.MjData(model)
        data.qpos[:], data.qvel[:], data.act[:], data.ctrl[:] = 1.5, 0.3, 0.6, 0.6
        mujoco.mj_forward(model, data)
        forces.append(data.actuator_force.copy())
    assert (np.abs(forces[0]) > 0.01).all()
    np.testing.assert_allclose(forces[1], 0.5 * forces[0], rtol=1e-6)


def test_noise_on_an_observation_has_its_size() -> None:
    noisy = {"proprioception": {"joint_angles": {"noise": 0.05}}}
    env, plain = make(observations=noisy), make()
    where, _, _ = env.observation_layout()["proprioception/joint_angles"]
    differences = [
        np.asarray(a.obs["proprioception"] - b.obs["proprioception"])
        for a, b in zip(run(env), run(plain), strict=True)
    ]
    difference = np.array(differences)
    assert difference[..., where].std() == pytest.approx(0.05, rel=0.1)
    np.testing.assert_array_equal(np.delete(difference, np.r_[where], axis=-1), 0.0)


@pytest.mark.parametrize(
    ("event", "message"),
    [
        (lambda: Randomize("mas", 1, 1), r"unknown quantity 'mas'; did you mean 'mass'"),
        (lambda: Randomize("mass", 2, 1), r"low=2 must not be above high=1"),
        (lambda: Randomize("mass", -1, 1), r"low must be a number of at least 0, got -1"),
        (lambda: Randomize("gain", 0, 1, names=("tibia_frnt_left",)), r"did you mean 'tibia_front"),
        (lambda: Push(float("nan")), r"impulse must be a number of at least 0, got nan"),
        (lambda: Push(1.0, body="hed"), r"unknown body part of 'stick_insect' 'hed'"),
        (lambda: Delay(2, 1), r"low=2 must not be above high=1"),
        (
            lambda: {"quantity": "mass", "low": 1.0, "hgh": 2.0},
            r"did you mean 'high'",
        ),
    ],
)
def test_bad_events_get_one_clear_error(event, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(events={"mine": event()})


def test_events_can_be_written_as_json() -> None:
    events = {
        "mass": {"kind": "randomize", "quantity": "mass", "low": 0.9, "high": 1.1},
        "delay": {"kind": "delay", "low": 1, "high": 1},
    }
    env = gymnasium.make(ID, clips="generated/tiny", events=events)
    assert env.unwrapped.functional.task.events["delay"] == Delay(1, 1)
    env.spec.to_json()
