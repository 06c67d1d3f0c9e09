"""Where models that other packages install are."""

from __future__ import annotations

import importlib.util
import pathlib


def dm_control_walker(*parts: str) -> pathlib.Path:
    """A file among the assets of dm_control's walkers.

    Found without importing `dm_control.locomotion`, which takes seconds.

    Args:
        *parts: Path below the assets folder, for example `"rodent.xml"`.

    Raises:
        ImportError: dm_control is not installed.
    """
    package = importlib.util.find_spec("dm_control")
    if package is None or not package.submodule_search_locations:
        raise ImportError("this body's model needs dm_control: pip install dm_control")
    root = pathlib.Path(package.submodule_search_locations[0])
    return root.joinpath("locomotion", "walkers", "assets", *parts)
