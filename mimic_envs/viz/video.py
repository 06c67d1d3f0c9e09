"""Videos of a trajectory with its reference as a ghost."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np

from mimic_envs import bodies
from mimic_envs.viz.render import Renderer

VIDEO_FPS = 50.0


def write(
    path: str | os.PathLike[str],
    body: bodies.Body,
    qpos: np.ndarray,
    reference: np.ndarray,
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
        reference: What it should have done, (T, nq).
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
        return renderer[0].draw(qpos[t], reference[t])

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
    if width % 2 or height % 2 or min(width, height) < 2:
        raise ValueError(f"width and height must be even and positive, got {width} x {height}")
    try:
        import imageio.v2 as imageio
        import imageio_ffmpeg  # noqa: F401  (imageio finds ffmpeg through it)
    except ImportError as error:
        raise RuntimeError(
            "videos need imageio and ffmpeg: pip install 'mimic_envs[video]'"
        ) from error
    shown = np.arange(0, count, max(1, round(fps / VIDEO_FPS)))
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.stem}.partial.mp4")
    try:
        rate = fps / max(1, round(fps / VIDEO_FPS))
        # no automatic resizing to multiples of 16
        writer: Any = imageio.get_writer(partial, fps=rate, quality=8, macro_block_size=2)
        with writer:
            for done, t in enumerate(shown, 1):
                writer.append_data(draw(int(t)))
                progress(done, len(shown))
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
