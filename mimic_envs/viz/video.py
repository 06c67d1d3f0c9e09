"""Videos of a trajectory with its reference as a ghost."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Callable

import numpy as np

from mimic_envs import bodies, extras
from mimic_envs.viz.encoder import encoding
from mimic_envs.viz.render import Renderer

VIDEO_FPS = 50.0
MOST_PIXELS = 8192
"""Largest width and height of a video."""


def check_size(width: int, height: int) -> None:
    """Refuse a size in pixels that a video cannot have.

    Raises:
        ValueError: It is odd, below 2 or above `MOST_PIXELS`.
    """
    if width % 2 or height % 2 or min(width, height) < 2 or max(width, height) > MOST_PIXELS:
        raise ValueError(
            f"width and height must be even, from 2 to {MOST_PIXELS}, got {width} x {height}"
        )


def write(
    path: str | os.PathLike[str],
    body: bodies.Body,
    qpos: np.ndarray,
    reference: np.ndarray | None,
    fps: float,
    width: int = 640,
    height: int = 480,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Write an MP4 at true speed. The file is complete or not there.

    Args:
        path: The video file, ending in `.mp4`.
        body: The body.
        qpos: What it did, (T, nq).
        reference: What it should have done, (T, nq); None to show no ghost.
        fps: Frames per second of both.
        width: In pixels, even.
        height: In pixels, even.
        progress: Called with pictures done and in total.

    Raises:
        ValueError: Another file type, or an odd size.
        RuntimeError: imageio, ffmpeg or OpenGL is missing; the message says what to install.
    """
    renderer: list[Renderer] = []

    def draw(t: int) -> np.ndarray:
        if not renderer:
            renderer.append(Renderer(body, width, height))
        return renderer[0].draw(qpos[t], None if reference is None else reference[t])

    try:
        write_frames(path, draw, len(qpos), fps, width, height, progress)
    finally:
        for used in renderer:
            used.close()


def write_frames(
    path: str | os.PathLike[str],
    draw: Callable[[int], np.ndarray],
    count: int,
    fps: float,
    width: int,
    height: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Write an MP4 of pictures at true speed. The file is complete or not there.

    Args:
        path: The video file, ending in `.mp4`.
        draw: Draws frame t, (height, width, 3) uint8; called for the frames that are shown.
        count: How many frames there are.
        fps: Frames per second.
        width: In pixels, even.
        height: In pixels, even.
        progress: Called with pictures done and in total.

    Raises:
        ValueError: Another file type, or an odd size.
        RuntimeError: imageio or ffmpeg is missing; the message says what to install.
    """
    path = pathlib.Path(path)
    if path.suffix.lower() != ".mp4":
        raise ValueError(f"the video must be an .mp4 file, got {path.name!r}")
    check_size(width, height)
    extras.require("videos", "imageio_ffmpeg")
    shown = np.arange(0, count, max(1, round(fps / VIDEO_FPS)))
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.stem}.partial.mp4")
    try:
        rate = fps / max(1, round(fps / VIDEO_FPS))
        with encoding(partial, width, height, rate) as put:
            for done, t in enumerate(shown, 1):
                put(draw(int(t)))
                progress(done, len(shown))
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
