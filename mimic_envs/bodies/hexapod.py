"""Names, poses and gaits of insects, whose legs are called `<segment>_<side>`.

The joints of a leg are called `<joint>_<leg>`, and its last body `claw_<leg>`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

SIDES = ("left", "right")


def leg_names(segments: Sequence[str]) -> tuple[str, ...]:
    """Names of the six legs.

    Args:
        segments: Names of the pairs of legs from front to back, (3,).
    """
    return tuple(f"{segment}_{side}" for segment in segments for side in SIDES)


def claws(legs: Sequence[str]) -> tuple[str, ...]:
    """Bodies at the tips of the legs, on which the animal stands."""
    return tuple(f"claw_{leg}" for leg in legs)


def leg_pose(
    joints: Sequence[str], legs: Sequence[str], angles: Mapping[str, Sequence[float]]
) -> dict[str, float]:
    """Angle of each joint of the legs by its name, in radians.

    Args:
        joints: Joints of a leg, from the trunk outwards.
        legs: Names of the legs.
        angles: Angles of those joints for each leg, or for each segment where both sides are
            the same.
    """
    return {
        f"{joint}_{leg}": angle
        for leg in legs
        for joint, angle in zip(joints, angles.get(leg) or angles[leg.split("_")[0]], strict=True)
    }


def tripods(segments: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Claws that step together in the tripod gait: front and hind of a side, middle of the other.

    Args:
        segments: Names of the pairs of legs from front to back, (3,).
    """
    return {
        f"{side}_tripod": claws(
            [f"{segment}_{s}" for segment, s in zip(segments, (side, other, side), strict=True)]
        )
        for side, other in (SIDES, SIDES[::-1])
    }
