"""Submissions to the leaderboard: their format, how one is made, and what can be wrong."""

from mimic_envs.scoring.submissions.identity import join
from mimic_envs.scoring.submissions.scaffold import new
from mimic_envs.scoring.submissions.submission import Submission
from mimic_envs.scoring.submissions.validate import problems

__all__ = ["Submission", "join", "new", "problems"]
