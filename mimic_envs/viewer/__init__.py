"""Replays of recorded motion for the browser: a page of its own, or within a notebook.

from mimic_envs import rollouts, viewer
viewer.from_dataset(rollouts.load("r.nc")).save("page.html")
"""

from mimic_envs.viewer.replay import Replay, from_clips, from_dataset

__all__ = ["Replay", "from_clips", "from_dataset"]
