"""Roots that move freely, in a plane or not at all: what is observed of them."""

from __future__ import annotations

import dataclasses

import jax.numpy as jnp
import mujoco
import numpy as np
import pytest

from mimic_envs import bodies
from mimic_envs.mdp import Context, indices, observations, root
from mimic_envs.physics import PhysicsState
from mimic_envs.tasks import imitation

JOINTS = {
    "free": ("<freejoint name='root'/>", ("root",)),
    "planar": (
        "<joint name='x' type='slide' axis='1 0 0'/><joint name='y' type='slide' axis='0 1 0'/>"
        "<joint name='yaw' axis='0 0 1'/>",
        ("x", "y", "yaw"),
    ),
    "fixed": ("", ()),
}


def toy(bodies_template: bodies.Body, kind: str) -> bodies.Body:
    """An animal of two links whose root body sits askew on the body with the root joints."""
    xml, names = JOINTS[kind]

    def build_spec() -> mujoco.MjSpec:
        return mujoco.MjSpec.from_string(f"""
        <mujoco>
          <worldbody>
            <body name='carrier' pos='0 0 .3' quat='1 0 0 .3'>{xml}
              <geom size='.1'/>
              <body name='trunk' pos='.2 .1 .05' euler='20 40 -30'>
                <geom size='.1'/>
                <body name='limb' pos='.1 0 0'>
                  <joint name='elbow' axis='0 1 0'/><geom size='.05' pos='.1 0 0'/>
                </body>
              </body>
            </body>
          </worldbody>
          <actuator><motor joint='elbow' ctrlrange='-1 1'/></actuator>
        </mujoco>""")

    return dataclasses.replace(
        bodies_template,
        name=f"toy-{kind}",
        build_spec=build_spec,
        root_joints=names,
        root_body="trunk",
        tracked_bodies=("limb",),
        end_effectors=("limb",),
        tracked_joints=("elbow",),
        keypoints={},
        aliases={},
    )


@pytest.mark.parametrize("kind", JOINTS)
def test_velocities_are_mujocos(rodent: bodies.Body, kind: str) -> None:
    """Linear and angular velocity of the root body in its own frame."""
    body = toy(rodent, kind)
    model, rng = body.model, np.random.default_rng(1)
    data = mujoco.MjData(model)
    mujoco.mj_integratePos(model, data.qpos, rng.normal(size=model.nv), 1.0)
    data.qvel[:] = rng.normal(size=model.nv)
    mujoco.mj_forward(model, data)
    trunk, velocity = model.body("trunk").id, np.zeros(6)
    mujoco.mj_objectVelocity(
        model, data, int(mujoco.mjtObj.mjOBJ_XBODY), trunk, velocity, flg_local=1
    )
    fields = ("qpos", "qvel", "act", "xpos", "xquat", "actuator_force")
    arrays = {name: jnp.asarray(getattr(data, name), jnp.float32) for name in fields}
    now = PhysicsState(**arrays, diverged=jnp.zeros((), bool), private=None)
    zero = jnp.zeros(1)
    view = Context(indices.of(body), now, None, zero, zero, zero, zero, jnp.float32(0.0))
    np.testing.assert_allclose(observations.root_angular_velocity(view), velocity[:3], atol=1e-5)
    np.testing.assert_allclose(observations.root_linear_velocity(view), velocity[3:], atol=1e-5)
    assert root.of(body).moves == (kind != "fixed")


def test_a_fixed_base_is_not_observed(rodent: bodies.Body) -> None:
    names = {}
    for kind in ("free", "fixed"):
        groups = imitation.rows(toy(rodent, kind))["observations"]
        names[kind] = {f"{group}/{name}" for group, rows in groups.items() for name in rows}
    assert {name.split("/")[1] for name in names["free"] - names["fixed"]} == {
        "root_height",
        "world_up",
        "root_linear_velocity",
        "root_angular_velocity",
        "root_displacement",
        "root_rotation",
    }


def test_wrong_root_joints_are_named(rodent: bodies.Body) -> None:
    wrong = dataclasses.replace(toy(rodent, "planar"), root_joints=("x", "yaw"))
    with pytest.raises(ValueError, match=r"\('x', 'yaw'\).* carried by .*\('x', 'y', 'yaw'\)"):
        root.of(wrong)
    tilted = toy(rodent, "fixed")

    def build_spec() -> mujoco.MjSpec:
        spec = tilted.build_spec()
        for name, axis in (("roll", (1, 0, 0)), ("pitch", (0, 1, 0))):
            spec.body("carrier").add_joint(name=name, axis=axis)
        return spec

    wrong = dataclasses.replace(tilted, build_spec=build_spec, root_joints=("roll", "pitch"))
    with pytest.raises(ValueError, match="must be one free joint, or slides"):
        root.of(wrong)
