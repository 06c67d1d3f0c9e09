"""Where files are kept between runs."""

from __future__ import annotations

import os
import pathlib


def cache_directory() -> pathlib.Path:
    """Where mimic_envs keeps files between runs: `MIMIC_ENVS_CACHE` or the user's cache."""
    chosen = os.environ.get("MIMIC_ENVS_CACHE")
    if chosen:
        return pathlib.Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(base) / "mimic_envs"
