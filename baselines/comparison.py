"""The report of `baselines.compare`: scores, tests, efficiency and curves of finished runs."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

import mimic_envs
from baselines import log, runs
from baselines.checkpoints import write_json
from mimic_envs import clips as clips_
from mimic_envs import scoring
from mimic_envs.scoring import policies, statistics

EVAL_CLIPS = "generated/test"
SHARE = 0.95
"""Efficiency is the effort until this share of the best method's final score."""
POINTS = 100
"""Of a curve."""


@dataclasses.dataclass(frozen=True)
class Curve:
    """Scores along one run.

    Attributes:
        steps: Environment steps, (K,).
        minutes: Wall time, (K,).
        scores: Mean scores, (K,).
    """

    steps: np.ndarray
    minutes: np.ndarray
    scores: np.ndarray

    @classmethod
    def read(cls, run: pathlib.Path) -> Curve:
        """Read it from the log of a run.

        Raises:
            ValueError: The run has no scores.
        """
        found = [x for x in log.read(run) if x["kind"] == "evaluation"]
        if not found:
            raise ValueError(f"{run} has no scores in {log.NAME}")
        steps, seconds, scores = np.array(
            [[x["steps"], x["wall_time_s"], x["score"]] for x in found], np.float64
        ).T
        return cls(steps, seconds / 60, scores)

    def until(self, score: float, places: np.ndarray) -> float:
        """Steps or minutes until a score is reached for the first time; infinite if never."""
        reached = self.scores >= score
        return float(places[np.argmax(reached)]) if reached.any() else float("inf")


def final_scores(env_id: str, run: pathlib.Path) -> list[float]:
    """Scores of a run's policy on all trials by the protocol, kept in `final.json`."""
    path = run / "final.json"
    if not path.exists():
        body, task = runs.body_of(env_id), runs.task_of(env_id, "")
        clips = clips_.load(EVAL_CLIPS, body) if runs.follows_clips(task) else None
        options = runs.clip_options(task, clips)
        env = mimic_envs.make(body, task=task, terminate=False, **options, **scoring.STARTS.options)
        policy = policies.load(run / "policy", env)
        found = scoring.score(env, policy, clips, EVAL_CLIPS, starts=scoring.STARTS)
        write_json(path, {"scores": found.metrics["score"][0].tolist()})
    scores: list[float] = json.loads(path.read_text())["scores"]
    return scores


def report(
    env_id: str, finished: Mapping[str, Sequence[pathlib.Path]], out: pathlib.Path
) -> list[pathlib.Path]:
    """Write the report on finished runs; returns its files.

    Args:
        env_id: The environment.
        finished: Folders of the finished runs of each algorithm.
        out: Where to write.

    Raises:
        ValueError: No run is finished.
    """
    shown = {name: list(places) for name, places in finished.items() if places}
    if not shown:
        raise ValueError(f"no run in {out} is finished")
    scores = {
        name: np.array([final_scores(env_id, run) for run in places])
        for name, places in shown.items()
    }
    curves = {name: [Curve.read(run) for run in places] for name, places in shown.items()}
    found = {"env": env_id, **summary(scores, curves)}
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / "comparison.json", found)
    (out / "comparison.md").write_text(page(found))
    written = [out / "comparison.json", out / "comparison.md"]
    if importlib.util.find_spec("matplotlib") is None:
        return written
    draw(curves, out / "comparison.png")
    return [*written, out / "comparison.png"]


def summary(
    scores: Mapping[str, np.ndarray], curves: Mapping[str, Sequence[Curve]]
) -> dict[str, Any]:
    """Numbers of the report, plain JSON.

    Args:
        scores: Of each algorithm's final policies, (seeds, trials).
        curves: Of its runs.
    """
    goal = SHARE * max(statistics.mean(x) for x in scores.values())
    algorithms = {}
    for name, values in scores.items():
        steps = [curve.until(goal, curve.steps) for curve in curves[name]]
        minutes = [curve.until(goal, curve.minutes) for curve in curves[name]]
        interval = statistics.interval(values)
        algorithms[name] = {
            "seeds": len(values),
            "score": statistics.mean(values),
            "interval": None if interval is None else list(interval),
            "worst_quarter": statistics.worst_quarter(values),
            "reached": float(np.mean(np.isfinite(steps))),
            "steps": _median(steps),
            "minutes": _median(minutes),
        }
    pairs = {
        f"{a}|{b}": _difference(scores[a], scores[b]) for a in scores for b in scores if a != b
    }
    return {"goal": goal, "algorithms": algorithms, "differences": pairs}


def _median(values: Sequence[float]) -> float | None:
    """Median over runs; None if less than half of them reached the goal."""
    middle = float(np.median(values))
    return middle if np.isfinite(middle) else None


def _difference(ours: np.ndarray, theirs: np.ndarray) -> dict[str, Any]:
    found = statistics.difference(ours, theirs)
    return {
        "difference": found.mean,
        "interval": found.interval and list(found.interval),
        "p_value": None if np.isnan(found.p_value) else found.p_value,
        "improvement": found.improvement,
    }


def page(found: Mapping[str, Any]) -> str:
    """The report as Markdown."""
    lines = [
        f"# Algorithms on {found['env']}",
        "",
        f"Final policies, mean over trials and {scoring.STARTS.count} starts; 95 % intervals over "
        "training seeds (Student's t). Steps and minutes: median over seeds until the score along "
        f"the run first was {found['goal']:.3f}, which is {SHARE:.0%} of the best final score.",
        "",
        "| algorithm | seeds | score | interval | worst quarter | reached by | steps | minutes |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, one in found["algorithms"].items():
        steps = "-" if one["steps"] is None else f"{one['steps']:,.0f}"
        minutes = "-" if one["minutes"] is None else f"{one['minutes']:.1f}"
        lines.append(
            f"| {name} | {one['seeds']} | {one['score']:.4f} | {_ends(one['interval'])} | "
            f"{one['worst_quarter']:.4f} | {one['reached']:.0%} | {steps} | {minutes} |"
        )
    names = list(found["algorithms"])
    lines += [
        "",
        "Difference in score, row minus column, with the p-value of Welch's test:",
        "",
        f"| | {' | '.join(names)} |",
        "|---" * (len(names) + 1) + "|",
    ]
    for a in names:
        cells = ["" if a == b else _cell(found["differences"][f"{a}|{b}"]) for b in names]
        lines.append(f"| {a} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _ends(interval: Sequence[float] | None) -> str:
    return "one run" if interval is None else f"{interval[0]:.4f} to {interval[1]:.4f}"


def _cell(pair: Mapping[str, Any]) -> str:
    sure = "one run each" if pair["p_value"] is None else f"p {pair['p_value']:.2g}"
    return f"{pair['difference']:+.4f} ({sure})"


def draw(curves: Mapping[str, Sequence[Curve]], path: pathlib.Path) -> None:
    """Draw means over seeds with 95 % intervals, over steps and over time.

    Args:
        curves: Of each algorithm's runs.
        path: The picture.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.4), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    for name, own in curves.items():
        for axis, place, factor in zip(axes, ("steps", "minutes"), (1e-6, 1.0), strict=True):
            grid, values = on_one_grid(own, place)
            center = values.mean(axis=0)
            (line,) = axis.plot(factor * grid, center, label=f"{name} (n = {len(own)})")
            ends = [statistics.interval(column[:, None]) for column in values.T]
            if len(own) > 1:
                low, high = np.array(ends).T
                axis.fill_between(
                    factor * grid, low, high, alpha=0.2, linewidth=0, color=line.get_color()
                )
    for axis, label in zip(axes, ("million environment steps", "minutes"), strict=True):
        axis.set_xlabel(label)
        axis.set_xlim(left=0)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("score along the run")
    axes[1].legend(loc="lower right", frameon=False)
    figure.savefig(path, dpi=130)


def on_one_grid(curves: Sequence[Curve], place: str) -> tuple[np.ndarray, np.ndarray]:
    """Places that all runs have, (POINTS,), and their scores there, (runs, POINTS).

    Args:
        curves: Of the runs.
        place: `"steps"` or `"minutes"`.
    """
    places = [getattr(curve, place) for curve in curves]
    grid = np.linspace(max(x[0] for x in places), min(x[-1] for x in places), POINTS)
    scores = [np.interp(grid, x, curve.scores) for x, curve in zip(places, curves, strict=True)]
    return grid, np.array(scores)
