"""Bodies: animals as MuJoCo models with the names and numbers their tasks need."""

from mimic_envs.bodies.body import (
    BalanceGains,
    Body,
    Camera,
    Keypoint,
    Pace,
    PDGains,
    Recording,
    TerminationLimits,
    TrackingTerm,
    get,
    names,
)
from mimic_envs.bodies.custom import describe, register
from mimic_envs.bodies.free_root import free_positions, with_free_root
from mimic_envs.bodies.rearing import Rearing
from mimic_envs.bodies.treadmill import Treadmill

__all__ = [
    "BalanceGains",
    "Body",
    "Camera",
    "Keypoint",
    "PDGains",
    "Pace",
    "Rearing",
    "Recording",
    "TerminationLimits",
    "TrackingTerm",
    "Treadmill",
    "describe",
    "free_positions",
    "get",
    "names",
    "register",
    "with_free_root",
]
