"""The still part of a replay: shapes, colors and cameras, from a compiled `MjModel`."""

from __future__ import annotations

from typing import Any

import mujoco
import numpy as np

from mimic_envs import bodies
from mimic_envs.viewer import blob
from mimic_envs.viz.render import floor_height

BALL, CAPSULE, CYLINDER, BOX, PLANE, MESH = range(6)
"""Kinds of shapes of a page. A sphere is a ball, an ellipsoid too; a height field is a mesh."""
_KIND = {
    mujoco.mjtGeom.mjGEOM_SPHERE: BALL,
    mujoco.mjtGeom.mjGEOM_ELLIPSOID: BALL,
    mujoco.mjtGeom.mjGEOM_CAPSULE: CAPSULE,
    mujoco.mjtGeom.mjGEOM_CYLINDER: CYLINDER,
    mujoco.mjtGeom.mjGEOM_BOX: BOX,
    mujoco.mjtGeom.mjGEOM_PLANE: PLANE,
    mujoco.mjtGeom.mjGEOM_MESH: MESH,
    mujoco.mjtGeom.mjGEOM_SDF: MESH,
    mujoco.mjtGeom.mjGEOM_HFIELD: MESH,
}
_SHOWN_GROUPS = 3
"""Geoms of groups 0 to 2 are shown, as in MuJoCo's own viewer; the others are collision shapes."""
_UNSET = np.array([0.5, 0.5, 0.5, 1.0], np.float32)
"""Color that MuJoCo gives to what has none; its material's color counts then."""


def moving(model: mujoco.MjModel) -> np.ndarray:
    """Numbers of the bodies that can move, in the model's order."""
    return np.flatnonzero(model.body_weldid)


def paths(model: mujoco.MjModel) -> list[int]:
    """Numbers of the tendons that have a path in space; others only couple joints."""
    joint = int(mujoco.mjtWrap.mjWRAP_JOINT)
    return [i for i in range(model.ntendon) if model.wrap_type[model.tendon_adr[i]] != joint]


def pack(body: bodies.Body) -> bytes:
    """The blob of a body's scene.

    Args:
        body: The body, with its arena.
    """
    model = body.model
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    tendons = paths(model)
    names = list(body.body_names)
    head = {
        "body": body.name,
        "species": body.species,
        "unit": body.length_unit,
        "length": body.body_length,
        "bodies": names,
        "moving": moving(model).tolist(),
        "walks": bool(body.root_joints),
        "target": names.index(body.camera.target or body.root_body),
        "floor": floor_height(model),
        "view": {
            "distance": body.camera.distance,
            "azimuth": body.camera.azimuth_deg,
            "elevation": body.camera.elevation_deg,
            "fovy": float(model.vis.global_.fovy),
        },
        "cameras": _cameras(body),
        "footed": bool(body.feet),
        "feet": [names.index(name) for name in body.feet or body.end_effectors],
        "tendons": [
            {
                "name": model.tendon(i).name,
                "radius": float(model.tendon_width[i]),
                "rgba": _color(model, model.tendon_rgba[i], int(model.tendon_matid[i])).tolist(),
                "activation": _activation(model, i),
            }
            for i in tendons
        ],
    }
    shapes, meshes = _shapes(model)
    still = {
        "body_position": data.xpos.astype(np.float32),
        "body_rotation": data.xquat.astype(np.float32),
    }
    return blob.pack({**head, "meshes": len(meshes)}, {**still, **shapes, **_mesh_arrays(meshes)})


def _cameras(body: bodies.Body) -> list[dict[str, Any]]:
    """Cameras of the model that are fixed in the frame of a body."""
    model, found = body.model, []
    for i in range(model.ncam):
        fixed = model.cam_mode[i] == mujoco.mjtCamLight.mjCAMLIGHT_FIXED
        if model.camera(i).name and fixed:
            found.append(
                {
                    "name": model.camera(i).name,
                    "body": int(model.cam_bodyid[i]),
                    "position": model.cam_pos[i].tolist(),
                    "rotation": model.cam_quat[i].tolist(),
                    "fovy": float(model.cam_fovy[i]),
                }
            )
    return found


def _activation(model: mujoco.MjModel, tendon: int) -> int:
    """Which activation of the model pulls on a tendon, -1 if none does."""
    kind = mujoco.mjtTrn.mjTRN_TENDON
    for i in range(model.nu):
        pulls = model.actuator_trntype[i] == kind and model.actuator_trnid[i, 0] == tendon
        if pulls and model.actuator_actnum[i] == 1:
            return int(model.actuator_actadr[i])
    return -1


def _color(model: mujoco.MjModel, rgba: np.ndarray, material: int) -> np.ndarray:
    """Color of a shape, (4,): its own, or its material's with the mean color of its texture."""
    if material < 0 or not np.array_equal(rgba, _UNSET):
        return rgba
    color = np.array(model.mat_rgba[material])
    pixels = _texture(model, material)
    if pixels is not None:
        color[:3] *= pixels.reshape(-1, pixels.shape[-1])[:, :3].mean(axis=0) / 255
    return color


def _texture(model: mujoco.MjModel, material: int) -> np.ndarray | None:
    """Pixels of a material's texture, (height, width, channels) uint8; None without one."""
    texture = int(model.mat_texid[material, mujoco.mjtTextureRole.mjTEXROLE_RGB])
    if texture < 0 or model.tex_nchannel[texture] < 3:
        return None
    height, width = int(model.tex_height[texture]), int(model.tex_width[texture])
    channels, start = int(model.tex_nchannel[texture]), int(model.tex_adr[texture])
    return model.tex_data[start : start + height * width * channels].reshape(height, width, -1)


def _shapes(model: mujoco.MjModel) -> tuple[dict[str, np.ndarray], list[tuple[np.ndarray, ...]]]:
    """Arrays with a row for each shape, and the meshes that they use."""
    rows: list[tuple[Any, ...]] = []
    meshes: dict[tuple[str, int], int] = {}
    made: list[tuple[np.ndarray, ...]] = []
    for i in range(model.ngeom):
        kind = _KIND.get(mujoco.mjtGeom(int(model.geom_type[i])))
        rgba = _color(model, model.geom_rgba[i], int(model.geom_matid[i]))
        if kind is None or rgba[3] == 0:
            continue
        mesh = -1
        if kind == MESH:
            field = model.geom_type[i] == mujoco.mjtGeom.mjGEOM_HFIELD
            key = ("field" if field else "mesh", int(model.geom_dataid[i]))
            if key not in meshes:
                meshes[key] = len(made)
                made.append(_field(model, key[1]) if field else _mesh(model, key[1]))
            mesh = meshes[key]
        size = _size(int(model.geom_type[i]), model.geom_size[i])
        place = (model.geom_bodyid[i], model.geom_pos[i], model.geom_quat[i])
        collision = model.geom_group[i] >= _SHOWN_GROUPS
        other, tile = _checker(model, i) if kind == PLANE else (rgba, 0.0)
        rows.append((kind, mesh, collision, *place, size, rgba, other, tile))
    for i in range(model.nsite):  # sites of groups 0 to 2 are shown, too
        kind = _KIND.get(mujoco.mjtGeom(int(model.site_type[i])))
        if model.site_group[i] < _SHOWN_GROUPS and kind is not None and kind != MESH:
            rgba = _color(model, model.site_rgba[i], int(model.site_matid[i]))
            size = _size(int(model.site_type[i]), model.site_size[i])
            place = (model.site_bodyid[i], model.site_pos[i], model.site_quat[i])
            rows.append((kind, -1, False, *place, size, rgba, rgba, 0.0))
    columns = list(zip(*rows, strict=True)) if rows else [()] * 10
    return {
        "shape_kind": np.array(columns[0], np.uint8),
        "shape_mesh": np.array(columns[1], np.int16),
        "shape_collision": np.array(columns[2], np.uint8),
        "shape_body": np.array(columns[3], np.int16),
        "shape_position": np.array(columns[4], np.float32).reshape(-1, 3),
        "shape_rotation": np.array(columns[5], np.float32).reshape(-1, 4),
        "shape_size": np.array(columns[6], np.float32).reshape(-1, 4),
        "shape_rgba": np.array(columns[7], np.float32).reshape(-1, 4),
        "shape_rgba_other": np.array(columns[8], np.float32).reshape(-1, 4),
        "shape_tile": np.array(columns[9], np.float32),
    }, made


def _size(kind: int, size: np.ndarray) -> np.ndarray:
    """Scale along x, y and z of the unit shape, and the shift of a capsule's ends, (4,)."""
    if kind == mujoco.mjtGeom.mjGEOM_SPHERE:
        return np.array([size[0]] * 3 + [0.0])
    if kind == mujoco.mjtGeom.mjGEOM_CAPSULE:
        return np.array([size[0]] * 3 + [size[1]])
    if kind == mujoco.mjtGeom.mjGEOM_CYLINDER:
        return np.array([size[0], size[0], size[1], 0.0])
    if kind in (mujoco.mjtGeom.mjGEOM_BOX, mujoco.mjtGeom.mjGEOM_ELLIPSOID):
        return np.append(size, 0.0)
    if kind == mujoco.mjtGeom.mjGEOM_PLANE:  # 0 is without end
        return np.array([size[0], size[1], 1.0, 0.0])
    return np.array([1.0, 1.0, 1.0, 0.0])


def _checker(model: mujoco.MjModel, geom: int) -> tuple[np.ndarray, float]:
    """Second color of a checkered plane and the edge of a square; 0 where it is of one color."""
    rgba = _color(model, model.geom_rgba[geom], int(model.geom_matid[geom]))
    material = int(model.geom_matid[geom])
    pixels = _texture(model, material) if material >= 0 else None
    if pixels is None:
        return rgba, 0.0
    first, second = pixels[0, 0, :3] / 255, pixels[0, -1, :3] / 255
    mean = np.maximum((first + second) / 2, 1e-6)
    other = rgba.copy()
    other[:3] *= second / mean
    repeat = float(model.mat_texrepeat[material, 0])
    if not model.mat_texuniform[material]:
        repeat /= 2 * max(float(model.geom_size[geom, 0]), 1e-9)
    return other, 0.5 / max(repeat, 1e-9)


def _mesh(model: mujoco.MjModel, mesh: int) -> tuple[np.ndarray, ...]:
    """Corners (V, 3), their normals (V, 3), and triangles (F, 3) of a mesh."""
    faces = slice(model.mesh_faceadr[mesh], model.mesh_faceadr[mesh] + model.mesh_facenum[mesh])
    corners = np.stack([model.mesh_face[faces], model.mesh_facenormal[faces]], axis=-1)
    pairs, numbers = np.unique(corners.reshape(-1, 2), axis=0, return_inverse=True)
    vertex, normal = pairs[:, 0], pairs[:, 1]
    return (
        model.mesh_vert[model.mesh_vertadr[mesh] + vertex],
        model.mesh_normal[model.mesh_normaladr[mesh] + normal],
        numbers.reshape(-1, 3),
    )


def _field(model: mujoco.MjModel, field: int) -> tuple[np.ndarray, ...]:
    """The surface of a height field, see `_mesh`."""
    rows, columns = int(model.hfield_nrow[field]), int(model.hfield_ncol[field])
    start, (x, y, z, _) = int(model.hfield_adr[field]), model.hfield_size[field]
    height = model.hfield_data[start : start + rows * columns].reshape(rows, columns) * z
    along, across = np.linspace(-x, x, columns), np.linspace(-y, y, rows)
    vertices = np.stack([*np.meshgrid(along, across), height], axis=-1)
    slope_y, slope_x = np.gradient(height, across, along)
    normals = np.stack([-slope_x, -slope_y, np.ones_like(height)], axis=-1)
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    corner = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).reshape(-1)
    right, above = corner + 1, corner + columns
    triangles = np.stack([corner, right, above, right, above + 1, above], axis=-1)
    return vertices.reshape(-1, 3), normals.reshape(-1, 3), triangles.reshape(-1, 3)


def _mesh_arrays(meshes: list[tuple[np.ndarray, ...]]) -> dict[str, np.ndarray]:
    """Arrays of all meshes by name."""
    found = {}
    for i, (vertices, normals, triangles) in enumerate(meshes):
        found[f"mesh_{i}_vertex"] = np.asarray(vertices, np.float32)
        found[f"mesh_{i}_normal"] = np.asarray(normals, np.float32)
        found[f"mesh_{i}_triangle"] = np.asarray(triangles, np.uint32)
    return found
