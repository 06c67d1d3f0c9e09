"""Registration of 3-D keypoints to bodies (simultaneous tracking and calibration, STAC)."""

from mimic_envs.stac import contacts
from mimic_envs.stac.fit import fit
from mimic_envs.stac.inspection import Inspection, inspect
from mimic_envs.stac.judgement import Finding, Judgement
from mimic_envs.stac.keypoints import Keypoints
from mimic_envs.stac.readers import read, read_skeleton
from mimic_envs.stac.registration import OBSERVED_DEG, Registration
from mimic_envs.stac.repair import Repair
from mimic_envs.stac.session import join
from mimic_envs.stac.settings import Settings

__all__ = [
    "OBSERVED_DEG",
    "Finding",
    "Inspection",
    "Judgement",
    "Keypoints",
    "Registration",
    "Repair",
    "Settings",
    "contacts",
    "fit",
    "inspect",
    "join",
    "read",
    "read_skeleton",
]
