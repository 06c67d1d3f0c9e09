"""Bodies: animals as MuJoCo models with the names and numbers their tasks need."""

from mimic_envs.bodies.body import (
    Body,
    Camera,
    Keypoint,
    PDGains,
    TerminationLimits,
    TrackingTerm,
    get,
    names,
)

__all__ = [
    "Body",
    "Camera",
    "Keypoint",
    "PDGains",
    "TerminationLimits",
    "TrackingTerm",
    "get",
    "names",
]
