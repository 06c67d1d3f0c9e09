"""Everything that is wrong with a submission and can be seen without running it."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import pathlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from mimic_envs import assembly, controllers
from mimic_envs.env import Environment
from mimic_envs.messages import unknown
from mimic_envs.scoring import experts, frozen, policies, results, schema, statistics, untrusted
from mimic_envs.scoring.protocol import STARTS
from mimic_envs.scoring.recording import Rollouts, load_scores
from mimic_envs.scoring.submissions import identity
from mimic_envs.scoring.submissions.submission import SCHEMA, Submission
from mimic_envs.text import lines

ARITHMETIC_TOLERANCE = 1e-9
"""How much aggregates may differ from those of the arrays: by the order of a sum, no more."""
UNFORESEEN = "could not be checked"
"""How a problem begins that nobody has foreseen."""
_MOST = 40
"""Violations of the schema that are listed."""
_FILES = re.compile(
    r"submission\.json|README\.md|results\.json|results\.npz|rollouts/rollouts\.npz|"
    r"policy/([0-9]+/)?([A-Za-z0-9._-]+/)?"
    r"(policy\.json|weights\.safetensors|model\.onnx|training\.json)"
)


def problems(folder: pathlib.Path) -> list[str]:
    """All problems of a submission, in plain words; none if it can be handed in.

    Nothing of it is run. What is said can be shown anywhere, whatever the submission says, see
    `mimic_envs.text.plain`.

    Args:
        folder: `.../<protocol>/<body>/<date>-<name>`.
    """
    return lines(_problems(pathlib.Path(folder)))


def _problems(folder: pathlib.Path) -> Iterator[str]:
    if not folder.is_dir():
        yield f"{folder}: no such folder"
        return
    try:
        found = untrusted.check_folder(folder)
        if found:  # do not open anything
            yield from found
            return
        submission = Submission.load(folder)
    except (ValueError, OSError) as error:
        yield str(error)
        return
    found = list(itertools.islice(schema.violations(submission.record, SCHEMA), _MOST))
    if found:
        yield from (f"submission.json: {x}" for x in found)
        yield from _said(_files, submission)
        return
    for check in (_place, _files, _declared, identity.problems, _content):
        yield from _said(check, submission)


def _said(check: Callable[[Submission], Iterable[str]], submission: Submission) -> Iterator[str]:
    """What a check says, an exception included."""
    try:
        yield from check(submission)
    except (ValueError, RuntimeError, OSError) as error:
        yield str(error)
    except Exception as error:  # a fault of ours, but a stranger's file brought it about
        yield f"{UNFORESEEN}: {type(error).__name__}: {error}"


def _place(submission: Submission) -> Iterator[str]:
    folder, record = submission.folder.resolve(), submission.record
    place = folder.parts[-3:]
    expected = (record["protocol"], record["body"], record["slug"])
    if place != expected:
        yield f"lies in {'/'.join(place)}, but says that it belongs in {'/'.join(expected)}"
    if not (folder / "README.md").is_file():
        yield "README.md is missing"


def _files(submission: Submission) -> Iterator[str]:
    present = submission.hashes()
    for name in present:
        if not _FILES.fullmatch(name):
            yield f"{name} is not part of the format"
    listed = submission.record.get("files")
    if not isinstance(listed, dict):
        return
    for name in sorted({*listed, *present}):
        if name not in present:
            yield f"{name} is listed but missing"
        elif name not in listed:
            yield f"{name} is not in the list of files"
        elif listed[name] != present[name]:
            yield f"{name} has changed: its SHA-256 is not the listed one"
    for path in (submission.results, submission.scores, submission.rollouts):
        name = path.relative_to(submission.folder).as_posix()
        if name not in present and name not in listed:
            yield f"{name} is missing"


def _declared(submission: Submission) -> Iterator[str]:
    """The record against the protocol."""
    record = submission.record
    protocol = frozen.get(record["protocol"])
    clips = protocol.clips(record["track"], record["body"])
    if record["clips_sha256"] != clips.sha256:
        yield f"was scored on other clips than {clips.name!r} of protocol {protocol.name}"
    forbidden = protocol.forbidden()
    for digest in record["trained_on"]:
        if digest in forbidden and record["kind"] != "expert":
            yield f"was trained on {forbidden[digest]}"
    if record["kind"] == "controller":
        if record["controller"] not in controllers.names():
            yield unknown("controller", record["controller"], controllers.names())
        if record["trained_on"]:
            yield "a controller of this package is not trained, but trained_on is not empty"
    else:
        yield from _training(record)
    if record["kind"] == "generalist" and not submission.policy.is_dir():
        yield "policy/ is missing: a generalist hands in its policy"


def _training(record: dict[str, Any]) -> Iterator[str]:
    if record["controller"]:
        yield f"controller must be empty for kind {record['kind']!r}"
    if not record["trained_on"]:
        yield "trained_on is empty: list the SHA-256 of every clip set or clip of the training"
    for name in ("environment_steps", "parameters", "hardware", "code"):
        if not record["training"][name]:
            yield f"training.{name} is not filled in"


def _content(submission: Submission) -> Iterator[str]:
    """Arrays, aggregates, rollouts and policy."""
    record = submission.record
    protocol = frozen.get(record["protocol"])
    names = protocol.clips(record["track"], record["body"]).clips
    env = make_env(submission)
    seeds = {}
    try:
        metrics, clips = load_scores(submission.scores)
        seeds["results.npz"] = len(metrics["score"])
        if clips != names:
            yield "results.npz: its clips are not those of the protocol in their order"
        elif seeds["results.npz"] == record["seeds"]:  # statistics of any size take any time
            yield from _said(functools.partial(_aggregates, metrics), submission)
    except (ValueError, OSError) as error:
        yield str(error)
    try:
        rollouts = Rollouts.load(submission.rollouts)
        seeds["rollouts.npz"] = len(rollouts.actions) if rollouts.actions.ndim else 0
        yield from (f"rollouts.npz: {x}" for x in rollouts.problems(env))
    except (ValueError, OSError) as error:
        yield str(error)
    if submission.policy.is_dir():
        folders = policies.folders(submission.policy)
        seeds["policy/"] = len(folders)
        for folder in folders:
            yield from _said(functools.partial(_policy, folder, names, env), submission)
    for where, count in seeds.items():
        if count != record["seeds"]:
            yield f"{where} has {count} seeds, submission.json says {record['seeds']}"


def _policy(
    folder: pathlib.Path, names: Sequence[str], env: Environment, submission: Submission
) -> Iterator[str]:
    """The policies of one training seed; they are read, but not run."""
    own = experts.clip_folders(folder)
    if bool(own) != (submission.record["kind"] == "expert"):
        yield (
            "policy/: an expert has a policy for each clip, in folders of their names; "
            "a generalist has one for all"
        )
    elif own:
        yield from (f"policy/: {x}" for x in experts.problems(own, names))
    for one in own.values() or [folder]:
        found = policies.check(untrusted.read_json(one / "policy.json"), env, one)
        yield from (f"{one.name}/policy.json: {x}" for x in found)
        if not found:
            policies.load(one, env)


def make_env(submission: Submission) -> Environment:
    """The environment of a submission's clips, for scoring."""
    record = submission.record
    return _env(record["protocol"], record["track"], record["body"])


@functools.lru_cache(maxsize=8)
def _env(protocol: str, track: str, body: str) -> Environment:
    source = frozen.load_clips(frozen.get(protocol), track, body)
    return assembly.make(body, source, terminate=False, **STARTS.options)


def _aggregates(metrics: dict[str, np.ndarray], submission: Submission) -> Iterator[str]:
    """`results.json` against the arrays."""
    said = untrusted.read_json(submission.results)
    if not isinstance(said, dict):
        yield "results.json: not a JSON object"
        return
    interval = statistics.interval(metrics["score"])
    expected = {
        "score": statistics.mean(metrics["score"]),
        "score_ci95": None if interval is None else list(interval),
        "score_worst_quarter": statistics.worst_quarter(metrics["score"]),
        "starts": dataclasses.asdict(STARTS),
        "aggregates": results.aggregates(metrics),
        "per_clip": {name: x.tolist() for name, x in metrics.items()},
        "protocol": submission.record["protocol"],
        "body": submission.record["body"],
        "seeds": len(metrics["score"]),
    }
    for name, value in expected.items():
        if not _same(said.get(name), value):
            yield f"results.json: {name} is not what the arrays in results.npz say"
    clips = said.get("clips")
    if not isinstance(clips, dict) or clips.get("sha256") != submission.record["clips_sha256"]:
        yield "results.json: names other clips than submission.json"


def _same(a: Any, b: Any) -> bool:
    """Whether two JSON values agree but for the rounding of sums; null stands for NaN."""
    if isinstance(b, dict):
        return isinstance(a, dict) and set(a) == set(b) and all(_same(a[k], b[k]) for k in b)
    if isinstance(b, list):
        if not isinstance(a, list) or len(a) != len(b):
            return False
        return all(_same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(b, float):
        if np.isnan(b):
            return a is None
        if type(a) not in (int, float):
            return False
        return bool(np.isclose(a, b, rtol=ARITHMETIC_TOLERANCE, atol=ARITHMETIC_TOLERANCE))
    return type(a) is type(b) and a == b
