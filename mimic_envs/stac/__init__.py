"""Registration of 3-D keypoints to bodies (simultaneous tracking and calibration, STAC)."""

from mimic_envs.stac.fit import Settings, fit
from mimic_envs.stac.keypoints import Keypoints
from mimic_envs.stac.registration import Registration

__all__ = ["Keypoints", "Registration", "Settings", "fit"]
