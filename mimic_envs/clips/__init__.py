"""Reference motions: the `ClipSet`, files, importers, exporters and tools."""

from mimic_envs.clips.catalog import builtin_sets, load
from mimic_envs.clips.clipset import ClipSet
from mimic_envs.clips.edit import concat, trim
from mimic_envs.clips.exporters import export_clips
from mimic_envs.clips.importers import ImportReport, import_clips, import_stac
from mimic_envs.clips.resample import resample

__all__ = [
    "ClipSet",
    "ImportReport",
    "builtin_sets",
    "concat",
    "export_clips",
    "import_clips",
    "import_stac",
    "load",
    "resample",
    "trim",
]
