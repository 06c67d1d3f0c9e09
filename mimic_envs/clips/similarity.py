"""How near a motion is to a recording: the frame score of imitation."""

from __future__ import annotations

import numpy as np

from mimic_envs import bodies

SCORE_CAP = 0.25
"""Mean body distance, in body lengths, at which a frame's score reaches zero."""


def frame_scores(body: bodies.Body, distance: np.ndarray) -> np.ndarray:
    """Score of frames from the mean distance of tracked bodies in length units: 1 is perfect."""
    return 1.0 - np.minimum(distance / body.body_length / SCORE_CAP, 1.0)
