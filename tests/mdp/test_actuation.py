"""Moments, lengths and forces of actuators, and joint axes, equal MuJoCo's."""

from __future__ import annotations

import jax.numpy as jnp
import mujoco
import numpy as np
import pytest

from mimic_envs import bodies
from mimic_envs.clips import load as load_clips
from mimic_envs.mdp.actuation import Actuation
from mimic_envs.mdp.axes import Axes

ARM = """
<mujoco>
  <option gravity='0 0 0'/>
  <worldbody>
    <site name='origin' pos='0 .02 .03'/>
    <body name='upper' pos='0 0 .1' euler='10 20 30'>
      <joint name='slide' type='slide' axis='0 1 1' ref='.02'/>
      <joint name='yaw' axis='0 0 1' pos='0 0 .02'/>
      <joint name='pitch' axis='0 1 .3' ref='.2'/>
      <joint name='roll' axis='1 0 0' pos='.01 0 0'/>
      <geom type='capsule' size='.01' fromto='0 0 0 .1 0 0'/>
      <site name='belly' pos='.05 .02 0'/>
      <body name='lower' pos='.1 0 0'>
        <joint name='elbow' axis='0 1 0'/>
        <geom type='capsule' size='.01' fromto='0 0 0 .1 0 0'/>
        <site name='insertion' pos='.03 .005 .004'/>
      </body>
    </body>
  </worldbody>
  <tendon>
    <spatial name='long'><site site='origin'/><site site='belly'/><site site='insertion'/></spatial>
    <spatial name='short'><site site='belly'/><site site='insertion'/></spatial>
    <fixed name='both'><joint joint='elbow' coef='.5'/><joint joint='roll' coef='-.3'/></fixed>
  </tendon>
  <actuator>
    <muscle name='m1' tendon='long' force='2' lengthrange='.05 .2' ctrlrange='0 1'/>
    <muscle name='m2' tendon='short' scale='30' lengthrange='.04 .1' ctrlrange='0 1' gear='2'/>
    <muscle name='m3' joint='elbow' force='3' lengthrange='-2 2' gear='-.5' ctrlrange='0 1'/>
    <position name='servo' joint='yaw' kp='3' kv='.2'/>
    <general name='g' tendon='both' gainprm='4' gear='1.5' ctrlrange='-1 1'/>
    <motor name='motor' joint='slide' gear='7' ctrlrange='-1 1'/>
  </actuator>
</mujoco>"""


@pytest.fixture(scope="module")
def model() -> mujoco.MjModel:
    return mujoco.MjModel.from_xml_string(ARM)


def poses(model: mujoco.MjModel, count: int) -> list[mujoco.MjData]:
    rng, found = np.random.default_rng(0), []
    for _ in range(count):
        data = mujoco.MjData(model)
        mujoco.mj_integratePos(model, data.qpos, rng.normal(0, 0.5, model.nv), 1.0)
        data.qvel[:] = rng.normal(0, 1, model.nv)
        data.act[:] = rng.uniform(0, 1, model.na)
        data.ctrl[:] = rng.uniform(0, 1, model.nu)
        mujoco.mj_forward(model, data)
        found.append(data)
    return found


def arrays(data: mujoco.MjData) -> tuple[jnp.ndarray, ...]:
    return tuple(jnp.asarray(x, jnp.float32) for x in (data.qpos, data.xpos, data.xquat))


def test_axes_and_jacobian(model: mujoco.MjModel) -> None:
    axes = Axes(model)
    for data in poses(model, 5):
        axis, anchor = axes.at(*arrays(data))
        np.testing.assert_allclose(axis, data.xaxis, atol=1e-6)
        np.testing.assert_allclose(anchor[1:], data.xanchor[1:], atol=1e-6)
        lower, expected = model.body("lower").id, np.zeros((3, model.nv))
        mujoco.mj_jacBody(model, data, expected, None, lower)
        point = jnp.asarray(data.xpos[lower], jnp.float32)[None]
        ours = axes.jacobian(axis, anchor, point, np.array([lower]))
        np.testing.assert_allclose(ours[0], expected, atol=1e-6)


def test_axes_of_an_animal_with_a_free_root(rodent: bodies.Body) -> None:
    clips, data = load_clips("generated/tiny", rodent), mujoco.MjData(rodent.model)
    data.qpos[:] = clips.qpos[1, 20]
    mujoco.mj_forward(rodent.model, data)
    axis, _ = Axes(rodent.model).at(*arrays(data))
    np.testing.assert_allclose(axis[6:], data.xaxis[1:], atol=1e-6)


def test_moment_length_gain_and_bias(model: mujoco.MjModel) -> None:
    actuation = Actuation(model)
    assert not actuation.moment_is_fixed
    assert not actuation.force_is_linear
    seen = np.zeros((0, model.nu))
    for data in poses(model, 40):
        moment = np.zeros((model.nu, model.nv))
        mujoco.mju_sparse2dense(
            moment, data.actuator_moment, data.moment_rownnz, data.moment_rowadr,
            data.moment_colind,
        )  # fmt: skip
        np.testing.assert_allclose(actuation.moment(*arrays(data)), moment, atol=1e-5)
        length = actuation.length(*arrays(data))
        np.testing.assert_allclose(length, data.actuator_length, atol=1e-5)
        velocity = jnp.asarray(data.actuator_velocity, jnp.float32)
        gain, bias = actuation.gain_and_bias(length, velocity)
        activation = data.ctrl.copy()
        activation[: model.na] = data.act  # the muscles come first
        force = gain * activation + bias
        np.testing.assert_allclose(force, data.actuator_force, atol=2e-4, rtol=2e-4)
        seen = np.concatenate([seen, data.actuator_force[None]])
    # on both sides of the curves, not only where muscles do not pull
    assert (np.abs(seen[:, :3]) > 0.1).any(axis=0).all()


@pytest.mark.parametrize(
    ("name", "fixed", "linear"), [("rodent", True, True), ("mouse_arm", False, False)]
)
def test_motors_are_linear_and_muscles_are_not(name: str, fixed: bool, linear: bool) -> None:
    actuation = Actuation(bodies.get(name).model)
    assert (actuation.moment_is_fixed, actuation.force_is_linear) == (fixed, linear)


def test_wrapping_tendon_is_refused_by_name() -> None:
    xml = (
        ARM.replace(
            "<site site='belly'/><site site='insertion'/></spatial>\n    <spatial",
            "<geom geom='bone'/><site site='belly'/><site site='insertion'/></spatial>\n<spatial",
        )
        .replace("<geom type", "<geom name='bone' type", 1)
        .replace("'capsule'", "'cylinder'", 1)
    )
    actuation = Actuation(mujoco.MjModel.from_xml_string(xml))
    with pytest.raises(ValueError, match=r"'energy'.*actuator 'm1' has a tendon that wraps"):
        actuation.require_moments("cost 'energy'")
