"""How keypoints are fitted."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Settings:
    """How keypoints are fitted. The defaults serve all bodies of this package.

    Attributes:
        sample_frames: Frames from which offsets and scale are estimated.
        window_frames: Consecutive frames in each of the windows that make up the sample.
        offset_sigma: How far markers are expected to be from where the body has them, in body
            lengths; single ones may be much further away.
        mean_sigma_rad: How far the mean of a joint is expected to be from its angle in the
            body's `usual_pose`.
        effective_frames: What the sample counts as, against these two expectations: the errors
            of a model repeat from frame to frame, so a thousand frames are no proof.
        rest_sigma_rad: How far joints may be from their mean.
        step_sigma_rad: How far a joint usually turns between two frames; smaller is smoother.
        chunk_frames: Frames that are solved together.
        overlap_frames: Frames that neighbouring chunks share on each side.
        threads: Processors to use; 0 for all.
    """

    sample_frames: int = 320
    window_frames: int = 16
    offset_sigma: float = 0.03
    mean_sigma_rad: float = 0.5
    effective_frames: float = 3.0
    rest_sigma_rad: float = 1.0
    step_sigma_rad: float = 0.1
    chunk_frames: int = 64
    overlap_frames: int = 8
    threads: int = 0
