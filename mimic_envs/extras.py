"""Packages that only some commands need, and the extras that bring them."""

from __future__ import annotations

import importlib.util

EXTRAS = {
    "flax": "baselines",
    "optax": "baselines",
    "tensorboardX": "baselines",
    "stable_baselines3": "sb3",
    "torch": "sb3",
    "brax": "brax",
    "torchrl": "torchrl",
    "mujoco_playground": "playground",
    "minari": "minari",
    "imageio": "video",
    "imageio_ffmpeg": "video",
    "matplotlib": "video",
    "moviepy": "video",
    "jinja2": "leaderboard",
    "markupsafe": "leaderboard",
    "xarray": "analysis",
    "h5netcdf": "analysis",
    "sklearn": "analysis",
    "pynwb": "nwb",
    "ndx_pose": "nwb",
    "submitit": "cluster",
    "playwright": "browser",
    "axe_playwright_python": "browser",
}
"""The extra of mimic_envs that brings a package, by the name that the package is imported by.

Backends of physics say themselves what they need.
"""


def require(purpose: str, *packages: str) -> None:
    """Refuse what cannot be done without a package, before any work is done.

    Args:
        purpose: What needs them, in the plural, for example `"plots"`.
        *packages: Names to import, with an entry in `EXTRAS`.

    Raises:
        RuntimeError: One is not installed; the message says what to install.
    """
    for package in packages:
        if importlib.util.find_spec(package) is None:
            raise RuntimeError(f"{purpose} need {package}: {remedy(package)}")


def remedy(package: str) -> str:
    """The command that installs a package of an extra."""
    return f"pip install 'mimic_envs[{EXTRAS[package]}]'"


def missing(error: ImportError) -> str | None:
    """The message for a package of an extra that is not there; None for any other failed import."""
    package = (error.name or "").partition(".")[0]
    return f"this needs {package}: {remedy(package)}" if package in EXTRAS else None
