"""Disks that are full or read-only."""

from __future__ import annotations

import contextlib
import os
import pathlib
import subprocess
import sys
from collections.abc import Iterator

import pytest


@contextlib.contextmanager
def small(folder: pathlib.Path, kilobytes: int) -> Iterator[pathlib.Path]:
    """A file system in memory with so much room; the test is skipped where none may be mounted."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root may mount a small file system, and only Linux has tmpfs")
    folder.mkdir(parents=True, exist_ok=True)
    mounted = _run("mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(folder))
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        _run("umount", "-l", str(folder)).check_returncode()


def remount(folder: pathlib.Path, options: str) -> None:
    """Change a mounted file system, for example to `ro` or `size=64m`."""
    _run("mount", "-o", f"remount,{options}", str(folder)).check_returncode()


def fill(folder: pathlib.Path, leave: int = 0) -> pathlib.Path:
    """Take all room of a disk but for some bytes; returns the file that does."""
    path = folder / "ballast"
    with open(path, "ab", buffering=0) as file:
        for size in (65536, 4096, 1):
            with contextlib.suppress(OSError):
                while file.write(b"x" * size):
                    pass
        file.truncate(max(0, file.tell() - leave))
    return path


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)
