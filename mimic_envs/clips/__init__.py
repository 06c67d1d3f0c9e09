"""Reference motions: the `ClipSet`, files, importers and change of rate."""

from mimic_envs.clips.catalog import builtin_sets, load
from mimic_envs.clips.clipset import ClipSet
from mimic_envs.clips.importers import import_stac
from mimic_envs.clips.resample import resample

__all__ = ["ClipSet", "builtin_sets", "import_stac", "load", "resample"]
