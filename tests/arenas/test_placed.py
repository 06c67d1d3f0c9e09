"""Animals in arenas: one object for each arena, the same parts, another ground."""

from __future__ import annotations

import copy
import dataclasses
import pickle

import mujoco
import numpy as np
import pytest

from mimic_envs import arenas, bodies
from mimic_envs.arenas import ground
from mimic_envs.arenas.bowl import Bowl
from mimic_envs.mdp import indices, observations, poses
from mimic_envs.rollouts import variables

WALKERS = ("fly", "rodent", "stick_insect")


@dataclasses.dataclass(frozen=True)
class Door:
    """A swinging door, whose joint is none of the animal."""

    width: float

    def edit(self, spec: mujoco.MjSpec) -> None:
        """See `arenas.Arena.edit`."""
        leaf = spec.worldbody.add_body(name="leaf", pos=(5 * self.width, 0, self.width))
        leaf.add_joint(name="door", type=mujoco.mjtJoint.mjJNT_HINGE, armature=1e-3)
        size = (0.1 * self.width, self.width, self.width)
        leaf.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, size=size, mass=1e-3, conaffinity=1)


@pytest.fixture(params=WALKERS)
def walker(request: pytest.FixtureRequest) -> bodies.Body:
    return bodies.get(request.param)


def bowl(body: bodies.Body, depth: float = 1.25) -> arenas.PlacedBody:
    return arenas.place(body, Bowl(body.body_length, depth))


def test_equal_arenas_give_the_same_body(walker: bodies.Body) -> None:
    placed = bowl(walker)
    assert bowl(walker) is placed
    assert bowl(walker, 2.5) is not placed
    assert pickle.loads(pickle.dumps(placed)) is placed
    assert copy.deepcopy(placed) is placed
    assert pickle.loads(pickle.dumps(walker)) is walker


def test_the_animal_is_the_same(walker: bodies.Body) -> None:
    placed = bowl(walker)
    assert placed.name == walker.name
    assert placed.body_names == walker.body_names
    assert placed.joint_names == walker.joint_names
    assert len(placed.soles) == len(walker.soles)
    np.testing.assert_array_equal(placed.model.body_mass, walker.model.body_mass)
    assert "bowl" not in [walker.model.geom(i).name for i in range(walker.model.ngeom)]
    assert variables.model_hash(placed) != variables.model_hash(walker)
    assert variables.model_hash(placed) != variables.model_hash(bowl(walker, 2.5))


def test_joints_of_the_arena_are_not_the_animals(walker: bodies.Body) -> None:
    placed = arenas.place(walker, Door(walker.body_length))
    assert placed.joint_names == (*walker.joint_names, "door")
    assert placed.hinge_names == walker.hinge_names
    ours, theirs = indices.of(placed), indices.of(walker)
    np.testing.assert_array_equal(ours.hinges, theirs.hinges)
    np.testing.assert_array_equal(ours.hinge_dofs, theirs.hinge_dofs)
    assert observations.proprioception(ours) == observations.proprioception(theirs)
    assert len(placed.soles) == len(walker.soles)


def test_an_animal_is_put_into_one_arena_only() -> None:
    placed = bowl(bodies.get("rodent"))
    with pytest.raises(ValueError, match="body 'rodent' is in an arena already: Bowl"):
        arenas.place(placed, Bowl(1.0, 1.0))


def test_an_arena_needs_one_level_floor() -> None:
    spec = mujoco.MjSpec()
    with pytest.raises(ValueError, match=r"one horizontal floor.* it has 0 planes"):
        ground.floor_of(spec)
    plane = {"type": mujoco.mjtGeom.mjGEOM_PLANE, "size": (1, 1, 1)}
    tilted = spec.worldbody.add_geom(quat=(0.9, 0.1, 0, 0), **plane)
    with pytest.raises(ValueError, match="needs exactly one horizontal floor"):
        ground.floor_of(spec)
    tilted.quat = (1, 0, 0, 0)
    assert ground.floor_of(spec).type == mujoco.mjtGeom.mjGEOM_PLANE
    spec.worldbody.add_geom(**plane)
    with pytest.raises(ValueError, match="it has 2 planes"):
        ground.floor_of(spec)


def test_floors_are_where_the_bodies_say(walker: bodies.Body) -> None:
    floor = walker.model.geom("floor")
    assert poses.floor_height(walker) == floor.pos[2]
