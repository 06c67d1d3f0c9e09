"""Whose a submission is: its name, its date, its copies, and the method that it belongs to.

A submission is identified by its content, see `Submission.content_hash`, never by names that its
authors choose. Submissions for several bodies are one method if each of them names all of them
by content, in `method` of its record. So nobody can put an entry into the row of another.
"""

from __future__ import annotations

import datetime
import json
import pathlib
from collections.abc import Iterator, Sequence

from mimic_envs import controllers
from mimic_envs.scoring import frozen
from mimic_envs.scoring.submissions.submission import WEIGHTS, Submission, slugify
from mimic_envs.text import skeleton

PROJECT = "mimic_envs"
"""Author of the entries of this project; the leaderboard's maintainers hand them in."""


def problems(submission: Submission) -> Iterator[str]:
    """Say what a submission claims to be and is not."""
    yield from _names(submission)
    yield from _neighbours(submission)
    yield from _method(submission)


def _names(submission: Submission) -> Iterator[str]:
    record = submission.record
    date, name = record["slug"].split("-", 1)
    try:
        day = datetime.datetime.strptime(date, "%Y%m%d").replace(tzinfo=datetime.UTC)
        # somewhere it is tomorrow already
        if day > datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=1):
            yield f"slug has the date {date}, which lies in the future"
    except ValueError:
        yield f"slug has the date {date}, which no calendar has"
    if name != slugify(record["name"]):
        yield f"slug ends in {name!r}, but the name makes it {slugify(record['name'])!r}"
    if record["kind"] == "controller":
        if record["name"] != record["controller"]:
            yield f"name must be {record['controller']!r}, as the controller is called"
    else:
        for controller in controllers.names():
            if skeleton(controller) == skeleton(record["name"]):
                yield f"name {record['name']!r} looks like the controller {controller!r}"
    for author in record["authors"]:
        if author != PROJECT and skeleton(author) == skeleton(PROJECT):
            yield f"author {author!r} looks like {PROJECT!r}, which is this project"


def _neighbours(submission: Submission) -> Iterator[str]:
    """Compare with the other submissions for the same body, and seeds with one another."""
    folder, record = submission.folder.resolve(), submission.record
    weights = [x for name, x in record["files"].items() if name.endswith(WEIGHTS)]
    if len(set(weights)) != len(weights):
        yield "two of its policies have the same weights"
    name = folder.name.split("-", 1)[-1]
    for other in sorted(folder.parent.iterdir()):
        if other.name == folder.name or not other.is_dir():
            continue
        taken = other.name.split("-", 1)[-1]
        if taken == name:
            yield f"slug {name!r} is taken by {other.name}: choose another name"
        elif skeleton(taken) == skeleton(name):
            yield f"slug {name!r} looks like {other.name}: choose another name"
        if record["kind"] != "controller" and submission.runs & _runs(other, record["track"]):
            yield f"has weights or controls of {other.name}"


def _runs(folder: pathlib.Path, track: str) -> set[str]:
    """Hashes of the runs of another submission to the same track; none if it is damaged."""
    try:
        other = Submission.load(folder)
        return other.runs if other.record["track"] == track else set()
    except (ValueError, OSError, KeyError, AttributeError, TypeError):
        return set()


def _method(submission: Submission) -> Iterator[str]:
    record = submission.record
    method = record.get("method", {})
    if method and record["kind"] == "controller":
        yield "method must be empty: a controller of this package is a method by its name"
    elif method and method.get(record["body"]) != submission.content_hash:
        yield "method does not name this submission: run mimic-envs leaderboard join again"
    for body in method:
        if body not in frozen.get(record["protocol"]).env_ids:
            yield f"method names the body {body!r}, which the protocol does not have"


def join(folders: Sequence[pathlib.Path]) -> dict[str, str]:
    """Make submissions for different bodies one method; returns what `method` says in each.

    Args:
        folders: All submissions of the method. Those that are published cannot be joined later,
            since nobody may edit them: hand in all at once.

    Raises:
        ValueError: Fewer than two submissions, two for one body, different protocols, tracks or
            kinds, or a controller.
    """
    if len(folders) < 2:
        raise ValueError(f"needs the folders of at least two submissions, got {len(folders)}")
    found = [Submission.load(folder) for folder in folders]
    for name in ("protocol", "track", "kind", "name"):
        values = sorted({str(one.record.get(name)) for one in found})
        if len(values) > 1:
            raise ValueError(f"the submissions differ in {name}: {', '.join(values)}")
    bodies = [one.record["body"] for one in found]
    if len(set(bodies)) != len(bodies):
        raise ValueError("there are two submissions for one body")
    if found[0].record["kind"] == "controller":
        raise ValueError("controllers of this package are one method already")
    method = {one.record["body"]: one.content_hash for one in found}
    for one in found:
        path = one.folder / "submission.json"
        path.write_text(json.dumps(one.record | {"method": method}, indent=1) + "\n")
    return method
