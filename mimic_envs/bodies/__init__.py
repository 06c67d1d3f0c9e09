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

__all__ = [
    "BalanceGains",
    "Body",
    "Camera",
    "Keypoint",
    "PDGains",
    "Pace",
    "Recording",
    "TerminationLimits",
    "TrackingTerm",
    "describe",
    "get",
    "names",
    "register",
]
