"""Pictures of an animal with its reference as a translucent ghost."""

from __future__ import annotations

import os
import sys
import weakref
from typing import Any

import mujoco
import numpy as np

from mimic_envs import bodies
from mimic_envs.messages import NO_OPENGL

_GHOST_RGBA = np.array([0.16, 0.50, 0.95, 0.30], np.float32)


class Renderer:
    """Off-screen pictures.

    Args:
        body: The body.
        width: In pixels.
        height: In pixels.

    Raises:
        RuntimeError: No OpenGL that works; the message says what to install.
    """

    def __init__(self, body: bodies.Body, width: int = 640, height: int = 480) -> None:
        model = body.model
        model.vis.global_.offwidth = max(model.vis.global_.offwidth, width)
        model.vis.global_.offheight = max(model.vis.global_.offheight, height)
        try:
            _choose_opengl()
            self._renderer = mujoco.Renderer(model, height, width)
        except Exception as error:  # each OpenGL platform raises its own kind
            raise RuntimeError(NO_OPENGL.format(error=error)) from error
        weakref.finalize(self, self._renderer.close)  # before OpenGL is gone at exit
        self._body = body
        self._animal, self._ghost = mujoco.MjData(model), mujoco.MjData(model)
        self._camera = camera(body)

    def draw(self, qpos: np.ndarray, reference: np.ndarray | None = None) -> np.ndarray:
        """A picture, (height, width, 3) uint8.

        Args:
            qpos: Generalised positions of the animal, (nq,).
            reference: Those of the ghost; no ghost if not given.
        """
        follow(self._body, self._animal, self._camera, qpos)
        self._renderer.update_scene(self._animal, self._camera)
        if reference is not None:
            add_ghost(self._body, self._ghost, self._renderer.scene, reference)
        return self._renderer.render().copy()

    def close(self) -> None:
        """Free the OpenGL context. May be called again."""
        self._renderer.close()


class Viewer:
    """An interactive window, MuJoCo's own.

    Args:
        body: The body.
        width: Ignored, the window has a size of its own.
        height: Ignored.
    """

    def __init__(self, body: bodies.Body, width: int = 640, height: int = 480) -> None:
        import mujoco.viewer

        if _no_display():  # GLFW would end the process
            raise RuntimeError(
                "render_mode='human' needs a display (set DISPLAY), or use render_mode='rgb_array'"
            )
        self._body = body
        self._animal, self._ghost = mujoco.MjData(body.model), mujoco.MjData(body.model)
        try:
            self._viewer = mujoco.viewer.launch_passive(
                body.model, self._animal, show_left_ui=False, show_right_ui=False
            )
        except Exception as error:  # each window system raises its own kind
            raise RuntimeError(NO_OPENGL.format(error=error)) from error
        view = camera(body)
        self._viewer.cam.distance, self._viewer.cam.azimuth = view.distance, view.azimuth
        self._viewer.cam.elevation = view.elevation
        self._viewer.cam.lookat[:] = view.lookat

    def draw(self, qpos: np.ndarray, reference: np.ndarray | None = None) -> None:
        """Show the animal and the ghost; see `Renderer.draw`."""
        if not self._viewer.is_running():
            return
        with self._viewer.lock():
            follow(self._body, self._animal, self._viewer.cam, qpos)
            scene: Any = self._viewer.user_scn
            scene.ngeom = 0
            if reference is not None:
                add_ghost(self._body, self._ghost, scene, reference)
        self._viewer.sync()

    def close(self) -> None:
        """Close the window. May be called again."""
        self._viewer.close()


def camera(body: bodies.Body) -> mujoco.MjvCamera:
    """The body's camera, pointed at where its target is in the default pose."""
    view = mujoco.MjvCamera()
    view.type = mujoco.mjtCamera.mjCAMERA_FREE
    view.distance = body.camera.distance
    view.azimuth = body.camera.azimuth_deg
    view.elevation = body.camera.elevation_deg
    data = mujoco.MjData(body.model)
    mujoco.mj_kinematics(body.model, data)
    view.lookat[:] = data.body(body.camera.target or body.root_body).xpos
    return view


def follow(
    body: bodies.Body, data: mujoco.MjData, view: mujoco.MjvCamera, qpos: np.ndarray
) -> None:
    """Pose an animal and point the camera at it, at a height that does not bob.

    For limbs on a fixed base the camera stays where it is.
    """
    data.qpos[:] = qpos
    mujoco.mj_kinematics(body.model, data)
    _place_tendons(body, data)
    mujoco.mj_camlight(body.model, data)
    if body.root_joints:
        view.lookat[:] = data.body(body.camera.target or body.root_body).xpos
        view.lookat[2] = _floor_height(body.model) + 0.25 * body.body_length


def _floor_height(model: mujoco.MjModel) -> float:
    """Height of the first plane, 0 without one."""
    planes = np.flatnonzero(model.geom_type == mujoco.mjtGeom.mjGEOM_PLANE)
    return float(model.geom_pos[planes[0], 2]) if planes.size else 0.0


def add_ghost(
    body: bodies.Body, data: mujoco.MjData, scene: mujoco.MjvScene, qpos: np.ndarray
) -> None:
    """Add the translucent animal in another pose to a scene."""
    data.qpos[:] = qpos
    mujoco.mj_kinematics(body.model, data)
    _place_tendons(body, data)
    first = scene.ngeom
    mujoco.mjv_addGeoms(
        body.model,
        data,
        mujoco.MjvOption(),
        mujoco.MjvPerturb(),
        int(mujoco.mjtCatBit.mjCAT_DYNAMIC),
        scene,
    )
    for i in range(first, scene.ngeom):
        scene.geoms[i].rgba[:] = _GHOST_RGBA
        scene.geoms[i].matid = -1


def _place_tendons(body: bodies.Body, data: mujoco.MjData) -> None:
    """Where tendons run, which kinematics alone do not update."""
    if body.model.ntendon:
        mujoco.mj_comPos(body.model, data)
        mujoco.mj_tendon(body.model, data)


def _choose_opengl() -> None:
    """Render in software where there is no display and the user chose nothing.

    MuJoCo chooses when it is imported, and then a window system that is not there.
    """
    if _no_display() and not os.environ.get("MUJOCO_GL"):
        from mujoco.osmesa import GLContext
        from mujoco.rendering.classic import gl_context

        gl_context.GLContext = GLContext


def _no_display() -> bool:
    return sys.platform == "linux" and not (
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    )
