"""Pictures of an animal with its reference as a translucent ghost."""

from __future__ import annotations

import os
import sys
import weakref
from collections.abc import Callable
from typing import Any

import mujoco
import numpy as np

from mimic_envs import bodies
from mimic_envs.bodies.body import METRES
from mimic_envs.messages import NO_OPENGL, unknown

_GHOST_RGBA = np.array([0.16, 0.50, 0.95, 0.30], np.float32)


class Renderer:
    """Off-screen pictures.

    Args:
        body: The body.
        width: In pixels.
        height: In pixels.
        camera: Name of a camera of the body's model; None for the view of `Body.camera`.
        samples: Samples of each pixel, which smooth edges; 0 for no smoothing. By default as many
            as the model asks for, but 0 if OSMesa draws, which then takes half the time.

    Raises:
        TypeError: The camera is not a name.
        ValueError: No such camera; the message names the nearest one.
        RuntimeError: No OpenGL that works; the message says what to install.
    """

    def __init__(
        self,
        body: bodies.Body,
        width: int = 640,
        height: int = 480,
        camera: str | None = None,
        samples: int | None = None,
    ) -> None:
        self._camera = view(body, camera)
        self._renderer = _offscreen(body.model, width, height, samples)
        weakref.finalize(self, self._renderer.close)  # before OpenGL is gone at exit
        self._body = body
        self._animal, self._ghost = mujoco.MjData(body.model), mujoco.MjData(body.model)
        # a camera within the animal would be within its ghost, too
        self._shows_ghost = not _is_carried(body.model, self._camera)

    def draw(self, qpos: np.ndarray, reference: np.ndarray | None = None) -> np.ndarray:
        """A picture, (height, width, 3) uint8.

        Args:
            qpos: Generalised positions of the animal, (nq,).
            reference: Those of the ghost; no ghost if not given, nor in the picture of a camera
                that the animal carries.
        """
        follow(self._body, self._animal, self._camera, qpos)
        self._renderer.update_scene(self._animal, self._camera)
        if reference is not None and self._shows_ghost:
            add_ghost(self._body, self._ghost, self._renderer.scene, reference)
        return self._renderer.render()

    def close(self) -> None:
        """Free the OpenGL context. May be called again."""
        self._renderer.close()


class DepthRenderer(Renderer):
    """Off-screen pictures of distances; see `Renderer` for arguments and errors."""

    def __init__(
        self,
        body: bodies.Body,
        width: int = 640,
        height: int = 480,
        camera: str | None = None,
    ) -> None:
        super().__init__(body, width, height, camera, samples=0)  # a mean of two is no distance
        self._renderer.enable_depth_rendering()

    def draw(self, qpos: np.ndarray, reference: np.ndarray | None = None) -> np.ndarray:
        """Distances from the plane through the camera, (height, width) float32, m.

        Where nothing is, the distance is that of the model's far clipping plane.

        Args:
            qpos: Generalised positions of the animal, (nq,).
            reference: Not shown: a ghost is nowhere.
        """
        return np.multiply(super().draw(qpos), METRES[self._body.length_unit], dtype=np.float32)


class Viewer:
    """An interactive window, MuJoCo's own.

    Args:
        body: The body.
        width: Ignored, the window has a size of its own.
        height: Ignored.
        camera: See `Renderer`.
        on_key: Called with GLFW's code of every key that is pressed, in the window's thread.
        hint: What else can be done where there is no display, for the message.
    """

    def __init__(
        self,
        body: bodies.Body,
        width: int = 640,
        height: int = 480,
        camera: str | None = None,
        on_key: Callable[[int], None] | None = None,
        hint: str = "or use render_mode='rgb_array'",
    ) -> None:
        import mujoco.viewer

        shown = view(body, camera)
        if _no_display():  # GLFW would end the process
            raise RuntimeError(f"a window needs a display (set DISPLAY), {hint}")
        self._body = body
        self._animal, self._ghost = mujoco.MjData(body.model), mujoco.MjData(body.model)
        try:
            self._viewer = mujoco.viewer.launch_passive(
                body.model,
                self._animal,
                key_callback=on_key,
                show_left_ui=False,
                show_right_ui=False,
            )
        except Exception as error:  # each window system raises its own kind
            raise RuntimeError(NO_OPENGL.format(error=error)) from error
        for name in ("type", "fixedcamid", "distance", "azimuth", "elevation", "lookat"):
            setattr(self._viewer.cam, name, getattr(shown, name))
        self._shows_ghost = not _is_carried(body.model, shown)
        self._groups = np.array(self._viewer.opt.geomgroup)

    @property
    def is_open(self) -> bool:
        """Whether the window has not been closed."""
        return bool(self._viewer.is_running())

    def write(self, names: str, values: str) -> None:
        """Write lines in the upper left corner: names, and values beside them."""
        self._viewer.set_texts((None, None, names, values))

    def draw(self, qpos: np.ndarray, reference: np.ndarray | None = None) -> None:
        """Show the animal and the ghost; see `Renderer.draw`."""
        if not self._viewer.is_running():
            return
        with self._viewer.lock():
            # digits hide and show groups of geoms in MuJoCo's window; here they may mean others
            self._viewer.opt.geomgroup[:] = self._groups
            follow(self._body, self._animal, self._viewer.cam, qpos)
            scene: Any = self._viewer.user_scn
            scene.ngeom = 0
            if reference is not None and self._shows_ghost:
                add_ghost(self._body, self._ghost, scene, reference)
        self._viewer.sync()

    def close(self) -> None:
        """Close the window. May be called again."""
        self._viewer.close()


def view(body: bodies.Body, camera: str | None = None) -> mujoco.MjvCamera:
    """That of `Body.camera`, pointed at where its target is in the default pose, or another.

    Args:
        body: The body.
        camera: Name of a camera of the body's model.

    Raises:
        TypeError: The camera is not a name.
        ValueError: No such camera; the message names the nearest one.
    """
    check_camera(body, camera)
    found = mujoco.MjvCamera()
    if camera is not None:
        found.type = mujoco.mjtCamera.mjCAMERA_FIXED
        found.fixedcamid = body.model.camera(camera).id
        return found
    found.type = mujoco.mjtCamera.mjCAMERA_FREE
    found.distance = body.camera.distance
    found.azimuth = body.camera.azimuth_deg
    found.elevation = body.camera.elevation_deg
    data = mujoco.MjData(body.model)
    mujoco.mj_kinematics(body.model, data)
    found.lookat[:] = data.body(body.camera.target or body.root_body).xpos
    return found


def check_camera(body: bodies.Body, camera: Any) -> None:
    """Raise TypeError or ValueError for what is neither None nor a camera of the body's model."""
    if camera is None:
        return
    if not isinstance(camera, str):
        raise TypeError(f"camera must be the name of a camera or None, got {camera!r}")
    if camera not in body.camera_names:
        raise ValueError(unknown(f"camera of body {body.name!r}", camera, body.camera_names))


def _is_carried(model: mujoco.MjModel, shown: mujoco.MjvCamera) -> bool:
    """Whether a moving body carries a camera, so that it turns with that body."""
    if shown.type != mujoco.mjtCamera.mjCAMERA_FIXED:
        return False
    turns = model.cam_mode[shown.fixedcamid] == mujoco.mjtCamLight.mjCAMLIGHT_FIXED
    return bool(turns and model.body_weldid[model.cam_bodyid[shown.fixedcamid]])


def follow(
    body: bodies.Body, data: mujoco.MjData, shown: mujoco.MjvCamera, qpos: np.ndarray
) -> None:
    """Pose an animal and point the camera at it, at a height that does not bob.

    For limbs on a fixed base the camera stays where it is, as do cameras of the model for all
    that they do not follow by themselves.
    """
    _pose(body, data, qpos)
    mujoco.mj_camlight(body.model, data)
    if body.root_joints:
        shown.lookat[:] = data.body(body.camera.target or body.root_body).xpos
        shown.lookat[2] = floor_height(body.model) + 0.25 * body.body_length


def floor_height(model: mujoco.MjModel) -> float:
    """Height of the first plane, 0 without one."""
    planes = np.flatnonzero(model.geom_type == mujoco.mjtGeom.mjGEOM_PLANE)
    return float(model.geom_pos[planes[0], 2]) if planes.size else 0.0


def add_ghost(
    body: bodies.Body, data: mujoco.MjData, scene: mujoco.MjvScene, qpos: np.ndarray
) -> None:
    """Add the translucent animal in another pose to a scene. It casts no shadow."""
    _pose(body, data, qpos)
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
        scene.geoms[i].category = int(mujoco.mjtCatBit.mjCAT_DECOR)


def _pose(body: bodies.Body, data: mujoco.MjData, qpos: np.ndarray) -> None:
    """Place bodies, centres of mass (which cameras may follow) and tendons."""
    data.qpos[:] = qpos
    mujoco.mj_kinematics(body.model, data)
    mujoco.mj_comPos(body.model, data)
    if body.model.ntendon:
        mujoco.mj_tendon(body.model, data)


def _offscreen(
    model: mujoco.MjModel, width: int, height: int, samples: int | None
) -> mujoco.Renderer:
    """MuJoCo's renderer for pictures of one size; see `Renderer`.

    Its buffer is as large as the pictures: it is cleared and copied as a whole, which for a
    picture of 64 x 64 in the usual buffer of 640 x 480 takes most of the time.
    """
    screen, quality = model.vis.global_, model.vis.quality
    kept = screen.offwidth, screen.offheight, quality.offsamples
    try:
        _choose_opengl()
        screen.offwidth, screen.offheight = width, height
        if samples is not None or _draws_in_software():
            quality.offsamples = samples or 0
        return mujoco.Renderer(model, height, width)
    except Exception as error:  # each OpenGL platform raises its own kind
        raise RuntimeError(NO_OPENGL.format(error=error)) from error
    finally:
        screen.offwidth, screen.offheight, quality.offsamples = kept


def _draws_in_software() -> bool:
    from mujoco.rendering.classic import gl_context

    return "osmesa" in getattr(gl_context.GLContext, "__module__", "")


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
