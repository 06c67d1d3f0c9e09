"""Reference motions: the `ClipSet`, files, importers, exporters and tools."""

from mimic_envs.clips.catalog import generated_sets, load
from mimic_envs.clips.clipset import ClipSet
from mimic_envs.clips.dynamics import motion_forces
from mimic_envs.clips.edit import concat, rename, trim
from mimic_envs.clips.exporters import export_clips
from mimic_envs.clips.ground import ground, grounded
from mimic_envs.clips.importers import ImportReport, import_clips, import_stac
from mimic_envs.clips.join import close, join, speeds
from mimic_envs.clips.mirror import mirror
from mimic_envs.clips.published import fetch
from mimic_envs.clips.resample import resample
from mimic_envs.clips.splits import Split, split

__all__ = [
    "ClipSet",
    "ImportReport",
    "Split",
    "close",
    "concat",
    "export_clips",
    "fetch",
    "generated_sets",
    "ground",
    "grounded",
    "import_clips",
    "import_stac",
    "join",
    "load",
    "mirror",
    "motion_forces",
    "rename",
    "resample",
    "speeds",
    "split",
    "trim",
]
