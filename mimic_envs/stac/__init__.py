"""Registration of 3-D keypoints to bodies (simultaneous tracking and calibration, STAC)."""

from mimic_envs.stac.fit import Settings, fit
from mimic_envs.stac.keypoints import Keypoints
from mimic_envs.stac.readers import read, read_skeleton
from mimic_envs.stac.registration import OBSERVED_DEG, Registration

__all__ = [
    "OBSERVED_DEG",
    "Keypoints",
    "Registration",
    "Settings",
    "fit",
    "read",
    "read_skeleton",
]
