"""How far a submission can be trusted: it is checked, replayed and run again.

This is run in a process with limits, see `leaderboard.sandbox`.
"""

from __future__ import annotations

import dataclasses
import functools
import pathlib
import time
from collections.abc import Callable, Mapping

import numpy as np

from leaderboard import unseen
from mimic_envs import controllers, scoring
from mimic_envs.env import Environment
from mimic_envs.scoring import experts, policies, results, statistics
from mimic_envs.scoring.protocol import Actor
from mimic_envs.scoring.recording import ReplayController, Rollouts, load_scores
from mimic_envs.scoring.submissions import Submission, problems
from mimic_envs.scoring.submissions.validate import make_env

SCORE_TOLERANCE = 0.01
"""How much the aggregate score of a repeated run may differ from the reported one."""
CLIP_TOLERANCE = 0.02
"""How much clip scores may differ from the reported ones, in absolute value and on average.

On one machine runs repeat bit for bit. Another CPU rounds differently, and an animal that falls
amplifies that: with the last bit of half its actions changed, `pd` replayed moves by 4e-6 at
most for fly, mouse arm and worm, but by 0.03 for the stick insect and by 0.06 for the rodent.
So where a run fails these limits, its own sensitivity is measured and they are widened.
"""
SENSITIVITY_FACTOR = 3.0
WIDEST = 0.25
"""The limits are `SENSITIVITY_FACTOR` times the sensitivity, and never more than this."""
CURVE_POINTS = 100

TIERS = {
    "rejected": "not a valid submission",
    "T0": "valid, but only reported: a repeated run gave other scores",
    "T1": "the controls of the first start were replayed in physics and scored again",
    "T2": "the policy was run again from all starts",
}
"""What the tiers mean. T1 and T2 are shown, and only T2 is ranked: controls alone do not tell
whether there is a policy that would act so from another start."""

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
        fresh: Mean score on fresh clips, see `leaderboard.unseen`; None if it was not run on any.
    """

    tier: str
    problems: list[str]
    flags: list[str] = dataclasses.field(default_factory=list)
    fingerprint: str = ""
    metrics: dict[str, list[list[float | None]]] = dataclasses.field(default_factory=dict)
    curves: list[list[float]] = dataclasses.field(default_factory=list)
    versions: dict[str, str] = dataclasses.field(default_factory=dict)
    seconds: float = 0.0
    fresh: float | None = None


def judge(
    folder: pathlib.Path,
    progress: Progress = lambda what, done, total: None,
    number: int | None = None,
) -> Report:
    """Verify a submission as far as it goes.

    Args:
        folder: The submission.
        progress: Called with what is being done, steps done and in total.
        number: Of the maintainers, for fresh clips; without it there are none.
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
    check = _Check(report, env, claimed, rollouts, progress)
    check.replay()
    if not report.problems:
        report.tier = "T1"
        _run_again(report, submission, env, check)
    if report.tier == "T2" and number is not None:
        _run_unseen(report, submission, check, number)
    report.seconds = round(time.perf_counter() - began, 2)
    return report


def _replays(env: Environment, rollouts: Rollouts) -> list[Actor]:
    return [ReplayController(env, rollouts, i) for i in range(len(rollouts.actions))]


def _run_again(report: Report, submission: Submission, env: Environment, check: _Check) -> None:
    """Tier 2, or what there is instead. A policy that gives other scores is worth nothing."""
    record = submission.record
    try:
        if record["kind"] == "controller":
            actors: list[Actor] = [controllers.make(record["controller"], env)] * record["seeds"]
        elif submission.policy.is_dir():
            folders = policies.folders(submission.policy)
            actors = [experts.load(one, env, record["slug"]) for one in folders]
        else:
            report.flags.append("no policy was handed in, so it was not run again")
            return
    except ValueError as error:
        report.tier, report.problems = "T0", [str(error)]
        return
    check.run_again(actors)
    report.tier = "T0" if report.problems else "T2"


def _run_unseen(report: Report, submission: Submission, check: _Check, number: int) -> None:
    """Run a generalist on fresh clips of the same kinds as the generated ones."""
    record = submission.record
    if record["kind"] != "generalist" or record["track"] == "recordings":
        return
    env = unseen.environment(record["body"], report.fingerprint, number)
    folders = policies.folders(submission.policy)
    actors: list[Actor] = [policies.load(one, env, record["slug"]) for one in folders]
    found = dataclasses.replace(check, env=env).score("running on fresh clips", actors)
    report.fresh = round(found.score, 6)
    gap = statistics.mean(np.array(report.metrics["score"], np.float64)) - found.score
    if gap > unseen.LARGE_GAP:
        report.flags.append(
            f"scores {gap:.3f} less on fresh clips: it may know the public ones by heart"
        )


@dataclasses.dataclass
class _Check:
    """Repeats runs of a submission and compares them with what was reported.

    Attributes:
        report: Where the findings go.
        env: The environment.
        claimed: The reported metrics, (S, C) by name.
        rollouts: The reported controls.
        progress: See `judge`.
        excuses: Differences that rounding explains.
    """

    report: Report
    env: Environment
    claimed: dict[str, np.ndarray]
    rollouts: Rollouts
    progress: Progress
    excuses: list[str] = dataclasses.field(default_factory=list)

    def replay(self) -> None:
        """Replay the controls, which are those of the first start, and compare its scores."""
        first = dataclasses.replace(scoring.STARTS, count=1)
        scored = self._score("replaying", _replays(self.env, self.rollouts), first)
        one = "score_first_start"
        self._compare("replaying", {"score": self.claimed.get(one)}, {"score": scored.metrics[one]})
        self._keep(scored)

    def run_again(self, actors: list[Actor]) -> None:
        """Let policies act from all starts, and compare all that was reported."""
        scored = self.score("running again", actors)
        self._compare("running again", self.claimed, scored.metrics)
        self._keep(scored)

    def _compare(
        self, what: str, claimed: Mapping[str, np.ndarray | None], found: Mapping[str, np.ndarray]
    ) -> None:
        """Note what a repeated run does not confirm, as far as rounding does not explain it."""
        wrong = differences(claimed, found, SCORE_TOLERANCE, CLIP_TOLERANCE)
        if wrong:
            by_score, by_clip = self._sensitivity
            score = float(np.clip(SENSITIVITY_FACTOR * by_score, SCORE_TOLERANCE, WIDEST))
            clip = float(np.clip(SENSITIVITY_FACTOR * by_clip, CLIP_TOLERANCE, WIDEST))
            excused, wrong = wrong, differences(claimed, found, score, clip)
            if not wrong:
                self.excuses.append(
                    f"{what}: {'; '.join(excused)}. The last bits of the actions alone move its "
                    f"score by {by_score:.3f}, so this is no objection"
                )
        self.report.problems += [f"{what}: {x}" for x in wrong]

    def _keep(self, scored: scoring.Results) -> None:
        """Keep the numbers of a repeated run, which are the only ones that are shown."""
        report = self.report
        report.flags = [*_flags(scored), *self.excuses]
        report.metrics = {
            name: [[None if np.isnan(v) else round(float(v), 9) for v in run] for run in x]
            for name, x in scored.metrics.items()
        }
        report.curves = _curves(self.env, scored)

    @functools.cached_property
    def _sensitivity(self) -> tuple[float, float]:
        """How much the aggregate, and clip scores on average, depend on the actions' last bits."""
        first = dataclasses.replace(scoring.STARTS, count=1)
        exact = self._score("replaying", _replays(self.env, self.rollouts), first)
        actions = self.rollouts.actions
        chosen = np.random.default_rng(0).random(actions.shape) < 0.5
        moved = np.where(chosen, np.nextafter(actions, np.float32(0)), actions)
        perturbed = dataclasses.replace(self.rollouts, actions=moved.astype(np.float32))
        other = self._score("replaying, perturbed", _replays(self.env, perturbed), first)
        a, b = exact.metrics["score"], other.metrics["score"]
        return abs(statistics.mean(a) - statistics.mean(b)), float(np.abs(a - b).mean())

    def score(self, what: str, actors: list[Actor]) -> scoring.Results:
        """Score from all starts."""
        return self._score(what, actors, scoring.STARTS)

    def _score(self, what: str, actors: list[Actor], starts: scoring.Starts) -> scoring.Results:
        def show(done: int, total: int) -> None:
            self.progress(what, done, total)

        return scoring.score(self.env, actors, self.env.clips, "", progress=show, starts=starts)


def _flags(scored: scoring.Results) -> list[str]:
    failed = sum(t.failed_at is not None for run in scored.trajectories for t in run)
    diverged = int((scored.metrics["diverged"] > 0).sum()) - failed
    flags = {
        "got actions that are no numbers, or none in time": failed,
        "became numerically invalid": diverged,
    }
    return [
        f"{count} of {scored.metrics['score'].size} runs {why}; their later frames score 0"
        for why, count in flags.items()
        if count > 0
    ]


def differences(
    claimed: Mapping[str, np.ndarray | None],
    found: Mapping[str, np.ndarray],
    score_tolerance: float,
    clip_tolerance: float,
) -> list[str]:
    """Why a repeated run does not confirm reported scores; nothing if it does."""
    known = {name: x for name, x in claimed.items() if x is not None}
    if set(known) != set(found):
        odd = sorted(set(known) ^ set(found))
        return [f"the metrics are not those of this version: {', '.join(odd)}"]
    said, got = (statistics.mean(x["score"]) for x in (known, found))
    result = []
    if not abs(said - got) <= score_tolerance:
        result.append(f"score {got:.4f}, reported {said:.4f}")
    clips = float(np.abs(known["score"] - found["score"]).mean())
    if not clips <= clip_tolerance:
        result.append(f"clip scores differ from the reported ones by {clips:.4f} on average")
    return result


def _curves(env: Environment, scored: scoring.Results) -> list[list[float]]:
    curves = []
    for clip in range(len(env.clips)):
        error = np.mean([run[clip]["mpjpe"] for run in scored.per_frame], axis=0)
        at = np.unique(np.linspace(0, len(error) - 1, CURVE_POINTS).round().astype(int))
        curves.append([round(float(x), 4) for x in error[at] / env.body.body_length])
    return curves
