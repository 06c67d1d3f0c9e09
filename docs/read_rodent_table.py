"""Write `mimic_envs/bodies/rodent_table.py`, the rat's numbers, from an installed dm_control.

Only needed to check or to extend the table; `mimic_envs` itself does without dm_control:

    pip install dm_control
    python docs/read_rodent_table.py
    ruff format mimic_envs/bodies/rodent_table.py
"""

from __future__ import annotations

import importlib.util
import pathlib
from collections.abc import Iterable

import mujoco
import numpy as np

from mimic_envs.bodies.rodent import SCALE

TABLE = pathlib.Path(__file__).resolve().parents[1] / "mimic_envs" / "bodies" / "rodent_table.py"

PAWS = ("foot_", "toe_", "hand_", "finger_")

HEADER = '''"""Measures of the rat: tree of bodies, masses, joints, paws, tendons and motors.

The numbers are those of dm_control's `rodent.xml` (Apache-2.0; Merel et
al. 2020, "Deep neuroethology of a virtual rodent"), scaled by 0.9 and with tissue of the
density of water as in MIMIC-MJX (arXiv 2511.20532). As there, joint anchors are not scaled.
`docs/read_rodent_table.py` wrote this file; see `NOTICE`. Units are m, kg, s and rad.
"""

from __future__ import annotations

from typing import NamedTuple

Vector = tuple[float, float, float]
Quaternion = tuple[float, float, float, float]


class Joint(NamedTuple):
    """A hinge, in the frame of the body that it moves."""

    name: str
    anchor: Vector
    axis: Vector
    limits: tuple[float, float]
    stiffness: float
    damping: float
    armature: float
    springref: float = 0.0


class Link(NamedTuple):
    """A body, in the frame of its parent; `inertia` about axes turned by `inertia_quat`."""

    name: str
    parent: str
    pos: Vector
    mass: float
    com: Vector
    inertia: Vector
    inertia_quat: Quaternion
    joints: tuple[Joint, ...] = ()
    quat: Quaternion = (1.0, 0.0, 0.0, 0.0)


class Paw(NamedTuple):
    """A geom of a paw, in the frame of its body; `size` as MuJoCo has it for the shape."""

    name: str
    body: str
    shape: str
    size: Vector
    pos: Vector
    quat: Quaternion

'''


def read() -> mujoco.MjSpec:
    """dm_control's rat with the edits of MIMIC-MJX that change its measures."""
    package = importlib.util.find_spec("dm_control")
    if package is None or not package.submodule_search_locations:
        raise ImportError("the table is read from dm_control: pip install dm_control")
    root = pathlib.Path(package.submodule_search_locations[0])
    path = root / "locomotion" / "walkers" / "assets" / "rodent.xml"
    spec = mujoco.MjSpec.from_file(str(path))
    for skin in spec.skins:
        spec.delete(skin)
    for body in spec.bodies:
        body.pos = np.asarray(body.pos) * SCALE
    for geom in spec.geoms:
        # as in MIMIC-MJX, whose rat weighs 264 g at this scale
        if geom.density == 500.0 and not geom.name.startswith(PAWS):
            geom.density = 1000.0
        geom.pos = np.asarray(geom.pos) * SCALE
        geom.size = np.asarray(geom.size) * SCALE
        if np.isfinite(geom.fromto[0]):
            geom.fromto = np.asarray(geom.fromto) * SCALE
    return spec


def _row(values: Iterable[float]) -> str:
    return "(" + ", ".join(_number(value) for value in values) + ")"


def _number(value: float) -> str:
    """Ten digits; adding 0 makes -0 a 0."""
    return repr(float(f"{value:.10g}") + 0.0)


def _joint(model: mujoco.MjModel, index: int) -> str:
    joint = model.joint(index)
    spring = joint.qpos_spring[0] - joint.qpos0[0]
    fields = [repr(joint.name), _row(joint.pos), _row(joint.axis), _row(joint.range)]
    fields += [_number(x[0]) for x in (joint.stiffness, joint.damping, joint.armature)]
    return f"Joint({', '.join(fields)}{f', {_number(spring)}' if spring else ''})"


def _links(model: mujoco.MjModel) -> str:
    text = "LINKS: tuple[Link, ...] = (\n"
    for i in range(model.body("torso").id, model.nbody):
        body = model.body(i)
        parent = "walker" if body.name == "torso" else model.body(model.body_parentid[i]).name
        fields = [repr(body.name), repr(parent), _row(body.pos), _number(body.mass[0])]
        fields += [_row(body.ipos), _row(body.inertia), _row(body.iquat)]
        joints = [_joint(model, int(j)) for j in np.flatnonzero(model.jnt_bodyid == i)]
        if joints:
            fields.append(f"joints=({', '.join(joints)},)")
        if not np.array_equal(body.quat, (1, 0, 0, 0)):
            fields.append(f"quat={_row(body.quat)}")
        text += f"Link({', '.join(fields)}),\n"
    return (
        text + ')\n"""From the trunk outwards; the trunk\'s parent carries the root joint."""\n\n'
    )


def _paws(model: mujoco.MjModel) -> str:
    text = "PAWS: tuple[Paw, ...] = (\n"
    for i in range(model.ngeom):
        geom = model.geom(i)
        if not geom.name.startswith(PAWS):
            continue
        shape = mujoco.mjtGeom(int(geom.type[0])).name.removeprefix("mjGEOM_").lower()
        fields = [repr(geom.name), repr(model.body(geom.bodyid[0]).name), repr(shape)]
        fields += [_row(geom.size), _row(geom.pos), _row(geom.quat)]
        text += f"Paw({', '.join(fields)}),\n"
    return text + ')\n"""All that touches the floor."""\n\n'


def _tendons(model: mujoco.MjModel) -> str:
    text = "TENDONS: dict[str, dict[str, float]] = {\n"
    for i in range(model.ntendon):
        wraps = range(model.tendon_adr[i], model.tendon_adr[i] + model.tendon_num[i])
        joints = {model.joint(model.wrap_objid[w]).name: model.wrap_prm[w] for w in wraps}
        rows = ", ".join(f"{name!r}: {_number(value)}" for name, value in joints.items())
        text += f"{model.tendon(i).name!r}: {{{rows}}},\n"
    return (
        text
        + '}\n"""Weights of the joints that a motor of the spine or tail moves together."""\n\n'
    )


def _motors(model: mujoco.MjModel) -> str:
    text = "MOTORS: dict[str, float] = {\n"
    for i in range(model.nu):
        motor = model.actuator(i)
        text += f"{motor.name!r}: {_number(motor.forcerange[1])},\n"
    return (
        text
        + '}\n"""Largest force, in N m; each is named like the tendon or joint that it moves."""\n'
    )


if __name__ == "__main__":
    rat = read().compile()
    TABLE.write_text(HEADER + "\n" + _links(rat) + _paws(rat) + _tendons(rat) + _motors(rat))
    print(TABLE.name, len(rat.body_mass), "bodies")
