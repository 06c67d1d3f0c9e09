"""How far a submission can be trusted: it is checked, replayed and run again.

This is run in a process with limits, see `leaderboard.sandbox`.
"""

from __future__ import annotations

import dataclasses
import pathlib
import time
from collections.abc import Callable

import numpy as np

from mimic_envs import controllers, scoring
from mimic_envs.env import FunctionalEnv
from mimic_envs.scoring import policies, results, statistics
from mimic_envs.scoring.protocol import Actor
from mimic_envs.scoring.recording import ReplayController, Rollouts, load_scores
from mimic_envs.scoring.submissions import Submission, problems
from mimic_envs.scoring.submissions.validate import make_env

SCORE_TOLERANCE = 0.01
"""How much the aggregate score of a repeated run may differ from the reported one."""
CLIP_TOLERANCE = 0.05
"""How much the mean over clips of the absolute differences of clip scores may be."""
CURVE_POINTS = 100

TIERS = {
    "rejected": "not a valid submission",
    "T0": "valid, but only reported: a repeated run gave other scores",
    "T1": "the controls were replayed in physics and scored again",
    "T2": "the policy was run again",
}
"""What the tiers mean; only T1 and T2 are ranked."""

Progress = Callable[[str, int, int], None]


@dataclasses.dataclass
class Report:
    """What became of a submission.

    Attributes:
        tier: One of `TIERS`.
        problems: Why it has no higher tier.
        flags: What is odd about its runs, but counts against nobody's honesty.
        fingerprint: Of the submission that was judged.
        metrics: Scores of the repeated run, lists [seed][clip] by name; the only numbers
            that the leaderboard shows.
        curves: Error over time of each clip, in body lengths, mean over seeds, at up to
            `CURVE_POINTS` times from its begin to its end.
        versions: Of what judged it.
        seconds: How long it took.
    """

    tier: str
    problems: list[str]
    flags: list[str] = dataclasses.field(default_factory=list)
    fingerprint: str = ""
    metrics: dict[str, list[list[float | None]]] = dataclasses.field(default_factory=dict)
    curves: list[list[float]] = dataclasses.field(default_factory=list)
    versions: dict[str, str] = dataclasses.field(default_factory=dict)
    seconds: float = 0.0


def judge(folder: pathlib.Path, progress: Progress = lambda what, done, total: None) -> Report:
    """Verify a submission as far as it goes.

    Args:
        folder: The submission.
        progress: Called with what is being done, steps done and in total.
    """
    began = time.perf_counter()
    progress("checking", 0, 1)
    found = problems(folder)
    if found:
        return Report("rejected", found, seconds=round(time.perf_counter() - began, 2))
    submission = Submission.load(folder)
    report = Report("T0", [], fingerprint=submission.fingerprint(), versions=results.versions())
    env = make_env(submission)
    claimed, _ = load_scores(submission.scores)
    rollouts = Rollouts.load(submission.rollouts)
    runs: list[Actor] = [ReplayController(env, rollouts, i) for i in range(len(rollouts.actions))]
    _repeat(report, "replaying", submission, env, runs, claimed, progress)
    if not report.problems:
        report.tier = "T1"
        _run_again(report, submission, env, claimed, progress)
    report.seconds = round(time.perf_counter() - began, 2)
    return report


def _run_again(
    report: Report,
    submission: Submission,
    env: FunctionalEnv,
    claimed: dict[str, np.ndarray],
    progress: Progress,
) -> None:
    """Tier 2, or what there is instead. A policy that gives other scores is worth nothing."""
    record = submission.record
    try:
        if record["kind"] == "controller":
            actors: list[Actor] = [controllers.make(record["controller"], env)] * record["seeds"]
        elif submission.policy.is_dir():
            folders = policies.folders(submission.policy)
            actors = [policies.load(one, env, record["slug"]) for one in folders]
        else:
            report.flags.append("no policy was handed in, so it was not run again")
            return
    except RuntimeError as error:  # onnxruntime is not here
        report.flags.append(f"not run again: {error}")
        return
    except ValueError as error:
        report.tier, report.problems = "T0", [str(error)]
        return
    _repeat(report, "running again", submission, env, actors, claimed, progress)
    report.tier = "T0" if report.problems else "T2"


def _repeat(
    report: Report,
    what: str,
    submission: Submission,
    env: FunctionalEnv,
    actors: list[Actor],
    claimed: dict[str, np.ndarray],
    progress: Progress,
) -> None:
    """Score again, compare with what was reported, and keep the new numbers."""
    scored = scoring.score(
        env, actors, env.clips, "", progress=lambda done, total: progress(what, done, total)
    )
    report.problems += [f"{what}: {x}" for x in differences(claimed, scored.metrics)]
    report.metrics = {
        name: [[None if np.isnan(v) else round(float(v), 9) for v in run] for run in x]
        for name, x in scored.metrics.items()
    }
    report.curves = _curves(env, scored)
    failed = sum(t.failed_at is not None for run in scored.trajectories for t in run)
    diverged = int((scored.metrics["diverged"] > 0).sum()) - failed
    flags = {
        "got actions that are no numbers, or none in time": failed,
        "became numerically invalid": diverged,
    }
    report.flags = [
        f"{count} of {scored.metrics['score'].size} runs {why}; their later frames score 0"
        for why, count in flags.items()
        if count > 0
    ]


def differences(claimed: dict[str, np.ndarray], found: dict[str, np.ndarray]) -> list[str]:
    """Why a repeated run does not confirm reported scores; nothing if it does."""
    if set(claimed) != set(found):
        odd = sorted(set(claimed) ^ set(found))
        return [f"the metrics are not those of this version: {', '.join(odd)}"]
    said, got = (statistics.iqm(x["score"]) for x in (claimed, found))
    result = []
    if not abs(said - got) <= SCORE_TOLERANCE:
        result.append(f"score {got:.4f}, reported {said:.4f}")
    clips = float(np.abs(claimed["score"] - found["score"]).mean())
    if not clips <= CLIP_TOLERANCE:
        result.append(f"clip scores differ from the reported ones by {clips:.4f} on average")
    return result


def _curves(env: FunctionalEnv, scored: scoring.Results) -> list[list[float]]:
    curves = []
    for clip in range(len(env.clips)):
        error = np.mean([run[clip]["mpjpe"] for run in scored.per_frame], axis=0)
        at = np.unique(np.linspace(0, len(error) - 1, CURVE_POINTS).round().astype(int))
        curves.append([round(float(x), 4) for x in error[at] / env.body.body_length])
    return curves
