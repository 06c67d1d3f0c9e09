"""A leaderboard of made-up submissions: every tier, several seeds, ties, nasty texts, a video."""

from __future__ import annotations

import json
import pathlib

import numpy as np

from leaderboard import verify
from leaderboard.judge import Report
from mimic_envs.scoring import frozen
from mimic_envs.scoring.metrics import ERRORS
from mimic_envs.scoring.submissions import Submission

NASTY = "<script>alert('x')</script>"


def hand_in(
    root: pathlib.Path,
    body: str,
    method: str,
    scores: np.ndarray,
    tier: str = "T2",
    video: bool = False,
    **changes,
) -> pathlib.Path:
    """A submission as the pages need it, with a report that verification could have written."""
    clips = frozen.get("mimic-1").test["builtin"][body]
    folder = root / "submissions" / "mimic-1" / body / f"20261101-{method}"
    folder.mkdir(parents=True)
    record = {
        "protocol": "mimic-1",
        "track": "builtin",
        "body": body,
        "slug": folder.name,
        "name": method,
        "summary": "For the tests.",
        "authors": ["A. Author"],
        "licence": "CC0-1.0",
        "url": "https://example.org/x",
        "kind": "generalist",
        "controller": "",
        "seeds": len(scores),
        "clips_sha256": clips.sha256,
        "trained_on": ["a" * 64],
        "training": {"environment_steps": 7, "hardware": "one & two"},
        "versions": {"mujoco": "3.17.0"},
        "files": {},
    }
    (folder / "submission.json").write_text(json.dumps(record | changes))
    if video:
        (folder / "video.mp4").write_bytes(b"not watched by anybody")
    names = ["score", "root_aligned_score", "coverage", "effort", "action_rate", *ERRORS]
    report = Report(
        tier,
        [],
        flags=["1 of 6 runs became numerically invalid"],
        fingerprint=Submission.load(folder).fingerprint(),
        metrics={key: scores.tolist() for key in names}
        | {"x_covered": [[None] * len(scores[0])] * len(scores)},
        curves=[[0.0, 0.1, 0.7]] * len(clips.clips),
        versions={"mujoco": "3.17.0"},
    )
    verify.save(folder, report, root / "verified")
    return folder


def flat(body: str, level: float, seeds: int = 3) -> np.ndarray:
    """Scores around a level."""
    count = len(frozen.get("mimic-1").test["builtin"][body].clips)
    return level + np.random.default_rng(0).uniform(-0.02, 0.02, (seeds, count))


def board(root: pathlib.Path) -> None:
    """Fill a folder with `submissions` and `verified`; five of the worm's may be shown.

    One of them is an expert.
    """
    for body in frozen.get("mimic-1").env_ids:
        hand_in(root, body, "good", flat(body, 0.8), video=body == "rodent")
    hand_in(root, "worm", "equal", flat("worm", 0.801), name=NASTY)
    hand_in(root, "worm", "poor", flat("worm", 0.2), authors=[NASTY], summary=NASTY)
    hand_in(root, "worm", "replayed", flat("worm", 0.95), tier="T1", name=60 * "n")
    hand_in(root, "worm", "apart", flat("worm", 0.97), kind="expert")
    hand_in(root, "worm", "reported", flat("worm", 0.99), tier="T0")
    hand_in(root, "worm", "tried", flat("worm", 0.99), track="practice")
    changed = hand_in(root, "worm", "changed", flat("worm", 0.99)) / "results.json"
    changed.write_text("{}")
    (root / "submissions/mimic-1/worm/20261101-new").mkdir()
    (root / "submissions/mimic-1/worm/20261101-new/submission.json").write_text("{}")
    (root / "submissions/mimic-1/worm/20261101-odd").mkdir()
    (root / "submissions/mimic-1/worm/20261101-odd/submission.json").write_text("[]")
