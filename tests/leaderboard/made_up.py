"""A leaderboard of made-up submissions: every tier, several seeds, ties, nasty texts, a video."""

from __future__ import annotations

import hashlib
import json
import pathlib

import numpy as np

from leaderboard import verify
from leaderboard.judge import Report
from mimic_envs.scoring import PROTOCOL, frozen
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
    shared: dict[str, str] | None = None,
    **changes,
) -> pathlib.Path:
    """A submission as the pages need it, with a report that verification could have written."""
    clips = frozen.get(PROTOCOL).test["generated"][body]
    folder = root / "submissions" / PROTOCOL / body / f"20261101-{method}"
    folder.mkdir(parents=True)
    record = {
        "schema_version": 1,
        "protocol": PROTOCOL,
        "track": "generated",
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
        "training": {
            "environment_steps": 7,
            "wall_clock_h": 0.5,
            "hardware": "one & two",
            "parameters": 3,
            "backend": "native",
            "code": "none",
            "command": "train --now",
        },
        "versions": {"mujoco": "3.17.0"},
        "files": files(body, method),
        "agreement": True,
    }
    record |= {"method": shared} if shared else {}
    (folder / "submission.json").write_text(json.dumps(record | changes))
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
    if video:
        place = root / "verified" / PROTOCOL / body / f"{folder.name}.mp4"
        place.write_bytes(b"not watched by anybody")
    return folder


def files(body: str, method: str) -> dict[str, str]:
    """What a record lists as its files."""
    return {"results.json": hashlib.sha256(f"{body} {method}".encode()).hexdigest()}


def together(method: str) -> dict[str, str]:
    """The entry `method` in the records of a method that has all bodies."""
    return {
        body: Submission(pathlib.Path(), {"files": files(body, method)}).content_hash
        for body in frozen.get(PROTOCOL).env_ids
    }


def flat(body: str, level: float, seeds: int = 5) -> np.ndarray:
    """Scores around a level."""
    count = len(frozen.get(PROTOCOL).test["generated"][body].clips)
    return level + np.random.default_rng(0).uniform(-0.02, 0.02, (seeds, count))


def board(root: pathlib.Path) -> None:
    """Fill a folder with `submissions` and `verified`; five of the worm's may be shown.

    One of them is an expert.
    """
    for body in frozen.get(PROTOCOL).env_ids:
        hand_in(
            root, body, "good", flat(body, 0.8), video=body == "rodent", shared=together("good")
        )
    hand_in(root, "worm", "equal", flat("worm", 0.801), name=NASTY)
    hand_in(root, "worm", "poor", flat("worm", 0.2), authors=[NASTY], summary=NASTY)
    hand_in(root, "worm", "replayed", flat("worm", 0.95, 1), tier="T1", name=60 * "n")
    hand_in(root, "worm", "apart", flat("worm", 0.97), kind="expert")
    hand_in(root, "worm", "reported", flat("worm", 0.99), tier="T0")
    hand_in(root, "worm", "tried", flat("worm", 0.99), track="practice")
    changed = hand_in(root, "worm", "changed", flat("worm", 0.99)) / "results.json"
    changed.write_text("{}")
    for name, record in (("new", "{}"), ("odd", "[]")):
        folder = root / "submissions" / PROTOCOL / "worm" / f"20261101-{name}"
        folder.mkdir()
        (folder / "submission.json").write_text(record)
