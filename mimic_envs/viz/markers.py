"""Pictures and videos of a registration: recorded keypoints and the body's own markers."""

from __future__ import annotations

import os
from collections.abc import Callable

import mujoco
import numpy as np

from mimic_envs import bodies
from mimic_envs.stac import Registration
from mimic_envs.viz import render, video

_RECORDED = np.array([0.85, 0.20, 0.12, 1.0], np.float32)
_ON_BODY = np.array([0.10, 0.36, 0.75, 1.0], np.float32)
_CLOSER = 0.65  # than the body's own camera: errors are small
_MARGIN = 1.1
"""Markers are within the picture, and so much of their distance from its middle beside."""
_LOOKED_AT = 5
"""Every so many frames are looked at before the first is drawn, so that the view stays still."""
_OUTLIER = 0.5
"""A keypoint that is further from its marker, in body lengths, is not waited for."""


class MarkerRenderer(render.Renderer):
    """Pictures of the animal with recorded keypoints (red) and its own markers (blue)."""

    def __init__(self, body: bodies.Body, width: int = 640, height: int = 480) -> None:
        super().__init__(body, width, height)
        self._distance = _CLOSER * body.camera.distance
        self._widening = min(1.0, width / height)

    def include(self, qpos: np.ndarray, recorded: np.ndarray, markers: np.ndarray) -> None:
        """Go as far away as it takes to show all markers of a frame, there and ever after.

        Arguments are those of `draw_markers`.
        """
        render.follow(self._body, self._animal, self._camera, qpos)
        away = np.linalg.norm(recorded - markers, axis=-1)
        near = recorded[away < _OUTLIER * self._body.body_length]
        reach = np.linalg.norm(np.concatenate([markers, near]) - self._camera.lookat, axis=-1).max()
        half = np.radians(self._body.model.vis.global_.fovy) / 2
        needed = _MARGIN * reach / (np.sin(half) * self._widening)
        self._distance = max(self._distance, float(needed))

    def draw_markers(
        self, qpos: np.ndarray, recorded: np.ndarray, markers: np.ndarray
    ) -> np.ndarray:
        """A picture, (height, width, 3) uint8.

        Args:
            qpos: Generalised positions of the animal, (nq,).
            recorded: Keypoints, (K, 3), NaN where unknown.
            markers: Their places on the body, (K, 3).
        """
        self.include(qpos, recorded, markers)
        self._camera.distance = self._distance
        option = mujoco.MjvOption()
        self._renderer.update_scene(self._animal, self._camera, option)
        scene = self._renderer.scene
        for geom in scene.geoms[: scene.ngeom]:  # markers lie inside the body
            if geom.category == int(mujoco.mjtCatBit.mjCAT_DYNAMIC):
                geom.rgba[3] *= 0.35
        radius = 0.017 * self._body.body_length
        for there, here in zip(recorded, markers, strict=True):
            _add_ball(scene, here, radius, _ON_BODY)
            if np.isfinite(there).all():
                _add_ball(scene, there, radius, _RECORDED)
                _add_line(scene, there, here, 0.4 * radius, _RECORDED)
        return self._renderer.render()


def _add_ball(scene: mujoco.MjvScene, at: np.ndarray, radius: float, rgba: np.ndarray) -> None:
    if scene.ngeom >= scene.maxgeom:
        return
    mujoco.mjv_initGeom(
        scene.geoms[scene.ngeom],
        mujoco.mjtGeom.mjGEOM_SPHERE,
        np.full(3, radius),
        np.asarray(at, float),
        np.eye(3).ravel(),
        rgba,
    )
    scene.geoms[scene.ngeom].emission = 0.6  # bright, also in the shadow of the body
    scene.ngeom += 1


def _add_line(
    scene: mujoco.MjvScene, start: np.ndarray, end: np.ndarray, width: float, rgba: np.ndarray
) -> None:
    if scene.ngeom >= scene.maxgeom:
        return
    geom = scene.geoms[scene.ngeom]
    capsule = mujoco.mjtGeom.mjGEOM_CAPSULE
    mujoco.mjv_initGeom(geom, capsule, np.zeros(3), np.zeros(3), np.eye(3).ravel(), rgba)
    mujoco.mjv_connector(geom, capsule, width, np.asarray(start, float), np.asarray(end, float))
    scene.ngeom += 1


def write_video(
    path: str | os.PathLike[str],
    registration: Registration,
    width: int = 640,
    height: int = 480,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """An MP4 of the animal with recorded keypoints in red and its markers in blue.

    Args:
        path: The video file, ending in `.mp4`.
        registration: What to show, all of its frames.
        width: In pixels, even.
        height: In pixels, even.
        progress: Called with pictures done and in total.

    Raises:
        ValueError: Another file type, or an odd size.
        RuntimeError: imageio, ffmpeg or OpenGL is missing; the message says what to install.
    """
    qpos, markers = registration.qpos, registration.markers
    renderer: list[MarkerRenderer] = []

    def draw(t: int) -> np.ndarray:
        if not renderer:
            renderer.append(MarkerRenderer(registration.body, width, height))
            for frame in range(0, len(qpos), _LOOKED_AT):
                renderer[0].include(qpos[frame], registration.targets[frame], markers[frame])
        return renderer[0].draw_markers(qpos[t], registration.targets[t], markers[t])

    try:
        video.write_frames(path, draw, len(qpos), registration.clips.fps, width, height, progress)
    finally:
        for used in renderer:
            used.close()
