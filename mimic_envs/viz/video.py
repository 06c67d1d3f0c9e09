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
    shown = np.arange(0, len(qpos), max(1, round(fps / VIDEO_FPS)))
    renderer = Renderer(body, width, height)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.stem}.partial.mp4")
    try:
        rate = fps / max(1, round(fps / VIDEO_FPS))
        # no automatic resizing to multiples of 16
        writer: Any = imageio.get_writer(partial, fps=rate, quality=8, macro_block_size=2)
        with writer:
            for done, t in enumerate(shown, 1):
                writer.append_data(renderer.draw(qpos[t], reference[t]))
                progress(done, len(shown))
        os.replace(partial, path)
    finally:
        renderer.close()
        partial.unlink(missing_ok=True)
