"""Manipulations of the body, the goal and their timing, against physics that is known."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest

import mimic_envs
from mimic_envs import controllers, rollouts
from mimic_envs.env import Environment
from mimic_envs.physics.backend import control_range
from mimic_envs.rollouts import Manipulation
from tests.tasks import velocity_task

LEG = "coxa_front_left"
STEPS = 12


def of_condition(ds, name: str, variable: str) -> np.ndarray:
    number = int(np.flatnonzero(ds.condition.to_numpy() == name)[0])
    return ds[variable].to_numpy()[ds.trial.to_numpy() == number]


@pytest.fixture(scope="module")
def standing() -> Environment:
    return mimic_envs.make("stick_insect", task=velocity_task, terminate=False)


PUSH = Manipulation("push", size=(0.2,), direction=(0.6, 0.0, 0.8))


@pytest.fixture(scope="module")
def falls(standing):
    """An animal that does nothing, manipulated in many ways."""
    free = Manipulation("gravity", size=(-1.0,))
    nudge = Manipulation("push", size=(0.01,), direction=(0.6, 0.0, 0.8))
    table = [
        PUSH,
        (nudge, free, Manipulation("lock", size=(1.0,))),
        Manipulation("friction", size=(-1.0,)),
        Manipulation("amputate", (LEG,), (0.0, 1.0)),
        Manipulation("command", ("speed",), (0.0, 1.5), at_s=0.05),
        Manipulation("command", ("ahead",), (0.25,), at_s=0.05, direction="left"),
        (
            Manipulation("command", ("speed",), (2.5,), at_s=0.04),
            Manipulation("lesion", size=(1.0,), on_event="command", for_s=0.02),
        ),
    ]
    chosen = standing.task.command.trials["stand"][0]
    return rollouts.experiment(
        standing,
        controllers.make("random", standing),
        table,
        trials={"stand": (chosen, STEPS)},
        what="kinematics,contacts,metrics,observations",
    )


def test_replays_are_exact_and_zeros_change_no_bit(falls) -> None:
    assert falls.attrs["replay_error"] == 0.0
    for name in (f"amputate {LEG} 0", "command speed 0"):
        for variable in ("qpos", "control", "score", "observation_proprioception"):
            base = of_condition(falls, "untouched", variable)
            np.testing.assert_array_equal(of_condition(falls, name, variable), base)


def test_an_impulse_moves_a_free_mass() -> None:
    """dv = J / m, of a cube of 2 kg."""
    import jax.numpy as jnp

    from mimic_envs import physics
    from mimic_envs.physics import World
    from mimic_envs.rollouts.manipulations import Pulse, Window
    from tests.physics.test_world import BLOCK, MASS, block

    body, impulse = block(), np.array([0.3, -0.2, 0.5])
    backend = physics.make("native", body, threads=1)
    seconds = body.control_timestep_s
    wrench = jnp.concatenate([jnp.asarray(impulse / seconds), jnp.zeros(3)])
    window = Window(jnp.int32(0), jnp.int32(1))
    force = Pulse(BLOCK).force(body, (wrench, window, jnp.int32(0)))
    state = backend.reset(
        jnp.asarray(body.model.qpos0), jnp.zeros(body.model.nv), jnp.zeros(body.model.na)
    )
    state = backend.step(state, jnp.zeros(body.model.nu), World({"gravity": jnp.zeros(3)}, force))
    np.testing.assert_allclose(MASS * np.array(state.qvel[:3]), impulse, rtol=1e-3)


def test_an_impulse_is_the_momentum_of_an_animal(standing, falls) -> None:
    weight = falls.attrs["mass"] * falls.attrs["gravity"]
    force = of_condition(falls, "push 0.2", "applied_force")
    impulse = force[0].sum(axis=0)[:3] * standing.body.control_timestep_s
    np.testing.assert_allclose(impulse / weight, [0.12, 0.0, 0.16], rtol=1e-5)
    assert (force[1:] == 0).all()
    # in free flight, as one rigid body; Euler's error is quadratic in the spin that a push
    # beside the center of mass makes
    momentum = of_condition(falls, "push 0.01 + gravity -1 + lock 1", "momentum")[:3] / weight
    np.testing.assert_allclose(momentum, np.tile([0.006, 0.0, 0.008], (3, 1)), atol=1e-5)
    momentum = of_condition(falls, "push 0.2", "momentum")[0] / weight
    np.testing.assert_allclose(momentum, [0.12, 0.0, 0.15], atol=0.008)  # less 0.01 s of weight


def test_flailing_limbs_cost_momentum_by_the_size_of_the_physics_step() -> None:
    """A push of 0.2 weights x s in 10 ms is 20 g; Euler's steps of 2 ms then lose 3 %."""
    from mimic_envs import bodies
    from mimic_envs.mdp.poses import standing_qpos

    body = bodies.get("stick_insect")
    root = body.body_names.index(body.root_body)
    tree, wanted = int(body.model.body_rootid[root]), 0.2 * np.array([0.6, 0.0, 0.8])

    def error(parts: int) -> float:
        model = body.spec().compile()
        model.opt.timestep /= parts
        model.opt.gravity[:] = 0
        data = mujoco.MjData(model)
        data.qpos[:] = standing_qpos(body)
        data.qpos[2] += 10  # cm, far from the floor
        weight = body.model.body_subtreemass[tree] * np.linalg.norm(body.model.opt.gravity)
        data.xfrc_applied[root, :3] = wanted * weight / body.control_timestep_s
        for _ in range(body.substeps * parts):
            mujoco.mj_step(model, data)
        mujoco.mj_forward(model, data)
        mujoco.mj_subtreeVel(model, data)
        momentum = model.body_subtreemass[tree] * data.subtree_linvel[tree] / weight
        return float(np.linalg.norm(momentum - wanted))

    errors = [error(parts) for parts in (1, 4, 16)]
    assert errors[0] < 0.01
    assert errors[1] == pytest.approx(errors[0] / 4, rel=0.2)
    assert errors[2] == pytest.approx(errors[0] / 16, rel=0.2)


def test_feet_without_friction_slide(falls) -> None:
    weight = falls.attrs["mass"] * falls.attrs["gravity"]
    slides = of_condition(falls, "friction -1", "contact_force")
    holds = of_condition(falls, "untouched", "contact_force")
    assert slides[..., 2].sum() > weight  # the feet stand
    assert np.abs(slides[..., :2]).max() < 1e-3 * slides[..., 2].max()
    assert np.abs(holds[..., :2]).max() > 0.01 * holds[..., 2].max()


def test_an_amputated_leg_has_left_the_model(standing, falls) -> None:
    """The rest moves as a model without the leg does, driven by the same controls."""
    body, name = standing.body, f"amputate {LEG} 1"
    spec = body.spec()
    spec.delete(spec.body(LEG))
    model = spec.compile()
    assert model.nv == body.model.nv - 5
    assert model.nu == body.model.nu - 5
    joints = [model.joint(i).name for i in range(model.njnt)]
    at = np.concatenate(
        [np.arange(7), 6 + np.array([body.joint_names.index(j) for j in joints[1:]])]
    )
    kept = [body.actuator_names.index(model.actuator(i).name) for i in range(model.nu)]
    data = mujoco.MjData(model)
    number = int(np.flatnonzero(falls.condition.to_numpy() == name)[0])
    data.qpos[:] = falls.initial_qpos.to_numpy()[number][at]
    middle, half = control_range(model)
    positions = of_condition(falls, name, "qpos")
    for control, wanted in zip(of_condition(falls, name, "control"), positions, strict=True):
        data.ctrl[:] = middle + half * control[kept]
        mujoco.mj_step(model, data, body.substeps)
        np.testing.assert_allclose(wanted[at], data.qpos, atol=2e-4)
    base = of_condition(falls, "untouched", "qpos")
    assert np.abs(base[-1, at] - positions[-1, at]).max() > 0.02  # it matters
    # its weight is gone, and its foot carries nothing
    foot = falls.foot.to_numpy().tolist().index("claw_front_left")
    assert (of_condition(falls, name, "contact_force")[:, foot] == 0).all()
    assert (of_condition(falls, "untouched", "contact_force")[:, foot] != 0).any()


def test_an_amputated_leg_is_not_observed(standing, falls) -> None:
    seen = of_condition(falls, f"amputate {LEG} 1", "observation_proprioception")
    names = falls.entry_proprioception.to_numpy()
    zero = set(names[(seen == 0).all(axis=0)])
    joints = list(standing.body.hinge_names)
    own = [i for i, j in enumerate(joints) if j.endswith("front_left")]
    foot = list(standing.body.end_effectors).index("claw_front_left")
    wanted = {f"{row}[{i}]" for row in ("joint_angles", "joint_velocities") for i in own}
    wanted |= {f"end_effectors[{3 * foot + k}]" for k in range(3)}
    force = [i for i, a in enumerate(standing.body.actuator_names) if a.endswith("front_left")]
    wanted |= {f"{row}[{i}]" for row in ("actuator_force", "previous_control") for i in force}
    assert zero == wanted
    untouched = of_condition(falls, "untouched", "observation_proprioception")
    assert seen.shape == untouched.shape


def test_a_command_changes_in_the_middle_of_a_trial(standing, falls) -> None:
    start = round(0.05 / standing.body.control_timestep_s)
    name = "command speed 1.5"
    np.testing.assert_array_equal(
        of_condition(falls, name, "command_speed"), 1.5 * (np.arange(STEPS) >= start)
    )
    seen = of_condition(falls, name, "observation_command")[:, 0]
    np.testing.assert_array_equal(seen, 1.5 * (np.arange(STEPS) > start))  # before the step
    error = of_condition(falls, name, "error_speed")
    base = of_condition(falls, "untouched", "error_speed")
    np.testing.assert_allclose(base - error, 1.5 * (np.arange(STEPS) >= start), atol=1e-5)
    # the goal is a vector: it moves to the left of an animal that faces +y
    turned = of_condition(falls, "command ahead 0.25", "error_speed")
    assert np.array_equal(turned[:start], base[:start])
    assert not np.array_equal(turned[start:], base[start:])


def test_a_change_of_command_starts_a_manipulation(standing, falls) -> None:
    changed = round(0.04 / standing.body.control_timestep_s)
    control = of_condition(falls, "command speed 2.5 + lesion 1", "control")
    silent = np.flatnonzero((control == 0).all(axis=1))
    np.testing.assert_array_equal(silent, [changed + 1, changed + 2])  # 0.02 s
    acts = of_condition(falls, "command speed 2.5 + lesion 1", "manipulated")
    np.testing.assert_array_equal(acts, np.arange(STEPS) >= changed)  # the goal stays
    assert not of_condition(falls, "untouched", "manipulated").any()


@pytest.fixture(scope="module")
def walks():
    env = mimic_envs.make("stick_insect", clips="generated/test", terminate=False)
    foot = "claw_middle_left"
    mark = {"size": (1.0,), "for_s": 0.02, "where": ("abdomen_3",)}
    table = [
        Manipulation("lesion", on_event="touch", foot=foot, **mark),
        Manipulation("lesion", on_event="touch", foot=foot, at_s=0.5, **mark),
        Manipulation("lesion", at_phase=0.25, foot=foot, **mark),
    ]
    trials = {"tripod": ({"clip": "tripod_3.0cmps", "frame": 0}, 160)}
    ds = rollouts.experiment(
        env, controllers.make("pd", env), table, trials=trials, what="contacts"
    )
    return env, foot, ds


def test_manipulations_start_with_touches_and_at_phases(walks) -> None:
    from mimic_envs.rollouts.reactions import SWING_S

    env, foot, ds = walks
    hz = 1 / env.body.control_timestep_s
    at = list(ds.foot.to_numpy()).index(foot)
    names = ["lesion abdomen_3 1", "lesion abdomen_3 1 (2)", "lesion abdomen_3 1 (3)"]
    begins = []
    for name in names:
        control = of_condition(ds, name, "control")
        abdomen = list(ds.actuator.to_numpy()).index("abdomen_3")
        silent = np.flatnonzero(of_condition(ds, name, "manipulated"))
        assert (control[silent, abdomen] == 0).all()
        np.testing.assert_array_equal(np.diff(silent), np.ones(round(0.02 * hz) - 1))
        stands = of_condition(ds, name, "contact")[:, at].astype(bool)
        up, touches = 0, []
        for step, stands_now in enumerate(stands, 1):  # row i is the state before step i + 1
            if stands_now and up >= round(SWING_S * hz):
                touches.append(step)
            up = 0 if stands_now else up + 1
        begins.append((silent[0], touches))
    (first, touches), (later, _), (phase, onsets) = begins
    assert first == touches[0]
    assert later == next(t for t in touches if t >= round(0.5 * hz))
    stride = onsets[1] - onsets[0]
    assert phase == onsets[1] + int(np.ceil(0.25 * stride))
