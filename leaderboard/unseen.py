"""Scores on clips that nobody has seen, and how far they fall below those on the public ones.

Test clips are public, and a policy can know them by heart: for an animal that is stable, such as
the mouse's forelimb, recorded controls score as much from any start near the recorded one. So
policies are run on fresh clips, too. Their seed follows from the content of the submission and a
number that maintainers choose, so nobody can train on them.
"""

from __future__ import annotations

import hashlib

from mimic_envs import assembly, scoring
from mimic_envs.clips import generators
from mimic_envs.env import Environment

LARGE_GAP = 0.1
"""A score that is more than this lower on fresh clips is flagged. Of the controllers `pd` and
`balance`, which know no clip, it differed by 0.005 at most on four bodies."""


def seed(fingerprint: str, number: int) -> int:
    """Seed of a submission's fresh clips.

    Args:
        fingerprint: Of the submission.
        number: The maintainers' number.
    """
    return int(hashlib.sha256(f"{fingerprint} {number}".encode()).hexdigest()[:15], 16)


def environment(body: str, fingerprint: str, number: int) -> Environment:
    """The environment of a submission's fresh clips, for scoring."""
    clips = generators.fresh(body, seed(fingerprint, number))
    return assembly.make(body, clips, terminate=False, **scoring.STARTS.options)
