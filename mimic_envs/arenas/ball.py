"""A ball below an animal whose root is held: a spherical treadmill."""

from __future__ import annotations

import dataclasses

import mujoco
import numpy as np

from mimic_envs.arenas.ground import add_solid, floor_of
from mimic_envs.bodies.treadmill import Treadmill

NAME = "ball"
"""Name of the ball, its joint and its geom."""
_STIFF = (0.001, 1.0)  # time constant, s, and damping ratio of the tether
_RIGID = (0.999, 0.9999, 0.001, 0.5, 2.0)
_CLEARANCE = 0.2  # of the floor below the ball, in radii


@dataclasses.dataclass(frozen=True)
class Ball:
    """A ball on a ball joint, and a weld that holds the root where it is.

    The root keeps its free joint, so that the animal observes what it observes elsewhere.

    Attributes:
        treadmill: The ball.
        root: Name of the body that is held.
        place: World position where it is held, upright, length units.
        height: World height of the ball's center, length units.
    """

    treadmill: Treadmill
    root: str
    place: tuple[float, float, float]
    height: float

    @property
    def center(self) -> tuple[float, float, float]:
        """World position of the ball's center, length units."""
        x, y = self.treadmill.offset
        return (self.place[0] + x, self.place[1] + y, self.height)

    def edit(self, spec: mujoco.MjSpec) -> None:
        """See `Arena.edit`."""
        ball, floor = self.treadmill, floor_of(spec)
        body = spec.worldbody.add_body(name=NAME, pos=self.center)
        body.add_joint(name=NAME, type=mujoco.mjtJoint.mjJNT_BALL, damping=[ball.damping, 0, 0])
        add_solid(
            spec,
            floor,
            NAME,
            carrier=body,
            type=mujoco.mjtGeom.mjGEOM_SPHERE,
            size=(ball.radius, 0, 0),
            mass=ball.mass,
            friction=ball.friction,
            material=_checkered(spec, ball.radius),
        )
        held = np.zeros(mujoco.mjNEQDATA)  # anchor, place, rotation, weight of turns
        held[3:6], held[6], held[10] = self.place, 1.0, 1.0
        spec.add_equality(
            name="tether",
            type=mujoco.mjtEq.mjEQ_WELD,
            objtype=mujoco.mjtObj.mjOBJ_BODY,
            name1="world",
            name2=self.root,
            data=held,
            solref=_STIFF,
            solimp=_RIGID,
        )
        floor.pos = (0, 0, self.height - (1 + _CLEARANCE) * ball.radius)


def _checkered(spec: mujoco.MjSpec, radius: float) -> str:
    """Add a material whose squares show how the ball turns; return its name."""
    spec.add_texture(
        name=NAME,
        type=mujoco.mjtTexture.mjTEXTURE_CUBE,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_CHECKER,
        rgb1=(0.80, 0.83, 0.85),
        rgb2=(0.45, 0.52, 0.58),
        width=256,
        height=256,
    )
    material = spec.add_material(name=NAME, texuniform=True, texrepeat=(2 / radius, 2 / radius))
    material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = NAME
    return NAME
