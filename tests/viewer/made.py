"""Replays that the tests show, and a model with every kind of shape."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import pathlib

import mujoco
import numpy as np

import mimic_envs
from mimic_envs import bodies, controllers, rollouts
from mimic_envs.bodies.body import Camera
from mimic_envs.scoring import policies

SHAPES = """<mujoco>
<visual><global offwidth="1200" offheight="1200"/></visual>
<asset>
  <mesh name="wedge" vertex="0 0 0  .5 0 0  0 .3 0  0 0 .4"/>
  <hfield name="hills" nrow="9" ncol="7" size=".5 .4 .3 .01"/>
  <texture name="checks" type="2d" builtin="checker" rgb1="1 0 0" rgb2="0 0 1"
    width="64" height="64"/>
  <material name="checks" texture="checks" texrepeat="4 4" texuniform="true"/>
</asset>
<worldbody>
  <camera name="above" pos="0 -2.5 4" xyaxes="1 0 0 0 .85 .53"/>
  <geom name="ground" type="plane" size="9 9 .1" material="checks"/>
  <geom name="hills" type="hfield" hfield="hills" pos="-1.1 .9 .1" rgba=".2 .6 .2 1"/>
  <geom name="wall" type="box" size=".3 .05 .2" pos="1.2 1.1 .4" euler="0 20 40"/>
  <body name="trunk" pos="0 0 .6"><freejoint name="root"/>
    <geom name="sphere" size=".2" pos="-1.2 -.4 0" rgba="1 0 0 1"/>
    <geom name="capsule" type="capsule" size=".1 .3" pos="-.5 -.4 0" euler="60 30 0"/>
    <geom name="cylinder" type="cylinder" size=".2 .1" pos=".2 -.4 0" euler="50 20 0"/>
    <geom name="ellipsoid" type="ellipsoid" size=".3 .15 .08" pos="1 -.4 0" euler="20 40 30"/>
    <geom name="wedge" type="mesh" mesh="wedge" pos="0 .5 0" euler="10 20 30"/>
    <geom name="hidden" type="box" size=".1 .1 .1" pos="0 0 -.4" group="3"/>
    <site name="mark" type="box" size=".1 .05 .15" pos="1.4 .3 0" euler="0 0 30"/>
  </body>
</worldbody></mujoco>"""


def shapes_spec() -> mujoco.MjSpec:
    spec = mujoco.MjSpec.from_string(SHAPES)
    across, along = np.meshgrid(np.linspace(-1, 1, 7), np.linspace(-1, 1, 9))
    heights = np.clip(1 - across**2, 0, 1) * np.clip(1 - along**2, 0, 1) * (1 + 0.5 * across)
    spec.hfields[0].userdata = (heights / heights.max()).ravel()
    return spec


@functools.cache
def shapes_body() -> bodies.Body:
    """A body with every kind of shape that MuJoCo draws."""
    return dataclasses.replace(
        bodies.get("mouse_arm"),
        name="shapes",
        build_spec=shapes_spec,
        root_joints=("root",),
        root_body="trunk",
        end_effectors=("trunk",),
        feet=(),
        body_length=1.0,
        camera=Camera(5.0, 120.0, -30.0),
    )


def footfalls():
    """Stick insect that falls limp: contacts, forces and a reference."""
    env = mimic_envs.make("stick_insect", clips="generated/tiny", terminate=False)
    trials = {name: ({"clip": 0, "frame": 10 * i}, 40) for i, name in enumerate(("one", "two"))}
    what = "metrics,reference,contacts"
    return rollouts.record(env, controllers.make("zero", env), trials, what)


def network(folder: pathlib.Path):
    """Mouse forelimb with an untrained network: layers and muscles."""
    env = mimic_envs.make("mouse_arm", clips="generated/tiny", terminate=False)
    rng = np.random.default_rng(0)
    sizes = [sum(policies.widths(env).values()), 12, 8, env.action_size]
    tensors = {"mean": np.zeros(sizes[0]), "std": np.ones(sizes[0])}
    for i, (a, b) in enumerate(itertools.pairwise(sizes)):
        tensors[f"layer_{i}/weight"] = rng.normal(size=(a, b)) / np.sqrt(a)
        tensors[f"layer_{i}/bias"] = 0.1 * rng.normal(size=b)
    options = {"hidden": sizes[1:-1], "activation": "tanh", "squash": True, "clip": 10}
    tensors = {name: x.astype(np.float32) for name, x in tensors.items()}
    policy = policies.load(policies.declare(folder, env, "mlp", options, tensors), env)
    trials = {"reach": ({"clip": 0, "frame": 0}, 60)}
    return rollouts.record(env, policy, trials, "metrics,reference,network,contacts,actuators")
