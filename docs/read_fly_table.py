"""Read the numbers of the fly out of dm_control and write `mimic_envs/bodies/fly_table.py`.

    python docs/read_fly_table.py

It needs `dm_control`, which the library itself does not. MuJoCo compiles dm_control's fly with
the edits of MIMIC-MJX, and this script takes from the compiled model what physics needs, and
the extents of the meshes, from which `mimic_envs/bodies/fly_looks.py` draws simpler shapes.
"""

from __future__ import annotations

import importlib.util
import pathlib
import subprocess
from typing import Any

import mujoco
import numpy as np

from mimic_envs.bodies.fly import LEG_JOINTS, LEGS

TABLE = pathlib.Path(__file__).parents[1] / "mimic_envs" / "bodies" / "fly_table.py"

DENSITY = {0.575: 0.713, 0.445: 0.555, 1.21: 1.18}
"""Densities of dm_control, to those of MIMIC-MJX, g/cm3: 0.985 mg in total, not 0.883 mg."""

FOLDED_WINGS = {
    "wing_left": (0.61714659, -0.40209551, -0.30407223, -0.6041435),
    "wing_right": (-0.30407223, 0.6041435, -0.61714659, -0.40209551),
}
"""Wings folded over the abdomen, wxyz relative to the thorax; dm_control's are spread."""

SHAPES = {
    "thorax": ("thorax",),
    "head": ("head",),
    "eyes": ("head_red",),
    "ocelli": ("head_ocelli",),
    "rostrum": ("rostrum",),
    "haustellum": ("haustellum",),
    "labrum_left": ("labrum_left_lower",),
    "labrum_right": ("labrum_right_lower",),
    "abdomen": ("abdomen", "abdomen_lower"),
    **{f"abdomen_{i}": (f"abdomen_{i}", f"abdomen_{i}_lower") for i in range(2, 8)},
    "abdomen_8": ("abdomen_8",),
    "haltere_left": ("haltere_left",),
    "haltere_right": ("haltere_right",),
}
"""Shapes whose extents are read, and their geoms in dm_control."""

HEADER = '''"""Numbers of the fly: body tree, joints, inertias, and extents of the animal's parts.

Written by `docs/read_fly_table.py` from the fruit fly of dm_control (Apache-2.0; Vaxenburg et
al. 2025, "Whole-body physics simulation of fruit fly locomotion"), reduced to its legs and with
the densities and folded wings of MIMIC-MJX (arXiv 2511.20532); do not edit. Units are cm, g, s
and rad. Quaternions are w, x, y, z, relative to the parent body. Bodies are in MuJoCo's order.
"""

from __future__ import annotations

Vector = tuple[float, float, float]
Quaternion = tuple[float, float, float, float]
'''

MEANINGS = {
    "PARENTS": ("str", "Body that carries a body."),
    "POSITIONS": ("Vector", "Origin of a body in its parent, in cm."),
    "QUATERNIONS": ("Quaternion", "Orientation of a body in its parent."),
    "MASSES": ("float", "Mass of a body, in g."),
    "CENTERS_OF_MASS": ("Vector", "Center of mass in the body's frame, in cm."),
    "INERTIA_QUATERNIONS": ("Quaternion", "Principal axes of inertia in the body's frame."),
    "INERTIAS": ("Vector", "Principal moments of inertia, in g cm2."),
    "JOINT_BODIES": ("str", "Body that a leg's joint moves."),
    "AXES": ("Vector", "Axis of a joint in the body's frame."),
    "RANGES": ("tuple[float, float]", "Lowest and highest angle of a joint, in rad."),
    "STIFFNESSES": ("float", "Stiffness of a joint's spring, in dyn cm/rad."),
    "DAMPINGS": ("float", "Damping of a joint, in dyn cm s/rad."),
    "CLAW_TIPS": (
        "tuple[Vector, float]",
        "Ball at the outer end of a leg's claw: center in the claw's frame and radius, in cm.",
    ),
    "EXTENTS": (
        "tuple[Vector, Vector]",
        "Center and half sizes of the box around a part, in the frame of its body, in cm.",
    ),
    "LEG_SECTIONS": (
        "tuple[Vector, Vector]",
        "Center and half sizes of the middle third of a leg's segment, which lies along y, in cm.",
    ),
    "WINGS": (
        "tuple[Vector, Vector, Vector]",
        "Middle of a wing, its directions to the tip and to the leading edge, in the wing's frame.",
    ),
}
"""Tables that are written: type of an entry, and docstring."""

SEEN_ONLY = ("EXTENTS", "LEG_SECTIONS", "WINGS")
"""Tables that only looks depend on: four digits do."""


def main() -> None:
    """Write the table."""
    parts = [HEADER]
    for name, table in read().items():
        kind, meaning = MEANINGS[name]
        digits = 4 if name in SEEN_ONLY else 9
        rows = [f'    "{key}": {_python(value, digits)},' for key, value in table.items()]
        parts += [f"{name}: dict[str, {kind}] = {{", *rows, "}", f'"""{meaning}"""', ""]
    TABLE.write_text("\n".join(parts))
    subprocess.run(["ruff", "format", str(TABLE)], check=True)


def read() -> dict[str, dict[str, Any]]:
    """Every table by its name, from the dm_control that is installed."""
    model = dm_control_spec().compile()
    bodies = [model.body(i) for i in range(1, model.nbody)]
    joints = [model.joint(f"{joint}_{leg}") for leg in LEGS for joint in LEG_JOINTS]
    segments = [body for body in bodies if body.name.endswith(LEGS)]
    return {
        "PARENTS": {b.name: model.body(b.parentid[0]).name for b in bodies},
        "POSITIONS": {b.name: b.pos for b in bodies},
        "QUATERNIONS": {b.name: b.quat for b in bodies},
        "MASSES": {b.name: b.mass[0] for b in bodies},
        "CENTERS_OF_MASS": {b.name: b.ipos for b in bodies},
        "INERTIA_QUATERNIONS": {b.name: b.iquat for b in bodies},
        "INERTIAS": {b.name: b.inertia for b in bodies},
        "JOINT_BODIES": {j.name: model.body(model.jnt_bodyid[j.id]).name for j in joints},
        "AXES": {j.name: j.axis for j in joints},
        "RANGES": {j.name: j.range for j in joints},
        "STIFFNESSES": {j.name: model.jnt_stiffness[j.id].item(0) for j in joints},
        "DAMPINGS": {j.name: j.damping[0] for j in joints},
        "CLAW_TIPS": {leg: _claw_tip(model, leg) for leg in LEGS},
        "EXTENTS": {part: _box(_vertices(model, *geoms)) for part, geoms in SHAPES.items()},
        "LEG_SECTIONS": {b.name: _middle(_vertices(model, _shown(b.name))) for b in segments},
        "WINGS": {f"wing_{side}": _wing(model, f"wing_{side}") for side in ("left", "right")},
    }


def dm_control_spec() -> mujoco.MjSpec:
    """dm_control's fly with nothing movable but root and legs, and no actuators."""
    package = importlib.util.find_spec("dm_control")
    if package is None or not package.submodule_search_locations:
        raise ImportError("dm_control is not installed: pip install dm_control")
    root = pathlib.Path(package.submodule_search_locations[0])
    file = root / "locomotion" / "walkers" / "assets" / "fruitfly_v2" / "fruitfly.xml"
    spec = mujoco.MjSpec.from_file(str(file))
    spec.nkey = 0  # room for a key that is not there
    moving = {"free", *(f"{joint}_{leg}" for leg in LEGS for joint in LEG_JOINTS)}
    for unused in [
        *spec.actuators,
        *spec.tendons,
        *spec.sensors,
        *spec.excludes,
        *spec.keys,
        *(joint for joint in spec.joints if joint.name not in moving),
    ]:
        spec.delete(unused)
    for geom in spec.geoms:
        geom.density = DENSITY.get(geom.density, geom.density)
    for name, quat in FOLDED_WINGS.items():
        spec.body(name).quat = quat
    return spec


def _claw_tip(model: mujoco.MjModel, leg: str) -> tuple[np.ndarray, float]:
    """The outer end of a claw's capsule, on which flies walk."""
    geom = model.geom(f"tarsal_claw_{leg}_collision")
    axis = np.zeros(3)
    mujoco.mju_rotVecQuat(axis, np.array((0.0, 0.0, geom.size[1])), geom.quat)
    return max(geom.pos + axis, geom.pos - axis, key=np.linalg.norm), geom.size[0]


def _shown(segment: str) -> str:
    """The geom that shows a leg's segment."""
    return segment.replace("claw", "tarsal_claw")


def _vertices(model: mujoco.MjModel, *geoms: str) -> np.ndarray:
    """Vertices of the meshes of geoms of one body in its frame, (N, 3), in cm."""
    found = []
    for name in geoms:
        geom = model.geom(name)
        mesh = model.mesh(geom.dataid[0])
        rows = slice(mesh.vertadr[0], mesh.vertadr[0] + mesh.vertnum[0])
        rotation = np.zeros(9)
        mujoco.mju_quat2Mat(rotation, geom.quat)
        found.append(geom.pos + model.mesh_vert[rows] @ rotation.reshape(3, 3).T)
    return np.concatenate(found)


def _box(vertices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Center and half sizes of the axis-aligned box around vertices."""
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    return (low + high) / 2, (high - low) / 2


def _middle(vertices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The box around the middle third along y, or around all where a mesh has no vertices there."""
    low, high = vertices[:, 1].min(), vertices[:, 1].max()
    off = np.abs(vertices[:, 1] - (low + high) / 2)
    inside = vertices[off < (high - low) / 6]
    return _box(inside if len(inside) > 20 else vertices)


def _wing(model: mujoco.MjModel, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean of the membrane's vertices, direction from hinge to tip, and that to the costa."""
    membrane = _vertices(model, f"{name}_membrane")
    middle = membrane.mean(axis=0)
    tip, costa = np.linalg.svd(membrane - middle, full_matrices=False)[2][:2]
    tip *= np.sign(tip @ middle)  # the hinge is the frame's origin
    veins = _vertices(model, f"{name}_brown")
    costa *= np.sign(costa @ (veins.mean(axis=0) - middle))
    return middle, tip, costa


def _python(value: Any, digits: int) -> str:
    """A number, text or (nested) vector as Python, with so many significant digits."""
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, (tuple, np.ndarray)):
        return f"({', '.join(_python(part, digits) for part in value)})"
    return repr(float(f"{value:.{digits}g}"))


if __name__ == "__main__":
    main()
