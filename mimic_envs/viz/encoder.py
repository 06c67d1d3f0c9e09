"""ffmpeg, which makes a video of pictures."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from typing import IO

import numpy as np

from mimic_envs import extras

_CRF = 10
"""Constant rate factor of H.264: 0 loses nothing, and 18 looks as if nothing was lost."""


@contextlib.contextmanager
def encoding(
    path: str | os.PathLike[str], width: int, height: int, fps: float
) -> Iterator[Callable[[np.ndarray], None]]:
    """Write an MP4; yields a function that takes the next picture, (height, width, 3) uint8.

    ffmpeg is started by `vfork`, not by `fork` as imageio does it, of which JAX warns.

    Args:
        path: The video file.
        width: In pixels, even.
        height: In pixels, even.
        fps: Pictures per second.

    Raises:
        RuntimeError: There is no ffmpeg, or it fails; the message is ffmpeg's own.
    """
    extras.require("videos", "imageio_ffmpeg")
    import imageio_ffmpeg

    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-loglevel", "error"]
    command += ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}"]
    command += ["-r", f"{fps:.6f}", "-i", "-", "-an", "-pix_fmt", "yuv420p", "-crf", str(_CRF)]
    with tempfile.TemporaryFile() as messages:
        process = subprocess.Popen(
            [*command, os.fspath(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=messages,
            process_group=0,  # Ctrl-C is for Python, which then ends ffmpeg
        )
        assert process.stdin is not None
        pipe = process.stdin

        def put(picture: np.ndarray) -> None:
            pipe.write(np.ascontiguousarray(picture, np.uint8).data)

        try:
            yield put
            pipe.close()
            if process.wait():
                raise BrokenPipeError
        except BrokenPipeError as error:
            process.wait()
            raise RuntimeError(f"ffmpeg cannot write {path}: {_last_line(messages)}") from error
        finally:
            process.kill()
            process.wait()
            with contextlib.suppress(BrokenPipeError):
                pipe.close()


def _last_line(messages: IO[bytes]) -> str:
    messages.seek(0)
    lines = messages.read().decode(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "it says nothing")
