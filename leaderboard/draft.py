"""`python -m leaderboard.draft`: bring the draft of a protocol up to the present bodies and clips.

To be run after a change of bodies or of generated clips. Computed are the bodies with their
environment ids, observations, sizes and rates, the hashes and lengths of all clips, and the
constants of the score. Recordings are taken from what `mimic-envs clips prepare` keeps on this
computer, and stay as the file has them where it keeps none. Everything else stays: the rules in
words, the kinds of policies, and the versions of MuJoCo.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import sys
from typing import Any

import tyro

from mimic_envs import ENV_IDS, bodies, clips
from mimic_envs.clips import recorded
from mimic_envs.clips.similarity import SCORE_CAP
from mimic_envs.command import run_command
from mimic_envs.scoring import PROTOCOL, STARTS, frozen, statistics

TRAIN = "generated/train"
TRACKS = {"generated": "generated/test", "practice": "generated/tiny"}
"""Clip set of each track that every body has."""
RECORDINGS = "recordings/test"
"""Clip set of the track of recordings; it stays as it is where it was not prepared."""


def refresh(protocol: str = PROTOCOL) -> None:
    """Rewrite a draft from the present bodies and generated clips.

    Args:
        protocol: Name of the draft.

    Raises:
        ValueError: No such protocol, or it is frozen.
    """
    if not frozen.get(protocol).draft:
        raise ValueError(f"protocol {protocol!r} is frozen and never changes: draft a new one")
    path = frozen.FOLDER / f"{protocol}.json"
    before = json.loads(path.read_text())
    after = refreshed(before)
    path.write_text(text(after))
    for name in changes(before, after):
        print(f"changed: {name}")
    print(f"wrote {path.name}")


def refreshed(record: dict[str, Any]) -> dict[str, Any]:
    """A draft as it must be for the present bodies and generated clips.

    Args:
        record: The draft as it is, plain JSON; it is not changed.
    """
    present = {body: (env_id, bodies.get(body)) for env_id, body in ENV_IDS.items()}
    rules = record["rules"]
    per_body = {
        "observation": {
            name: {
                "reference_frames": body.reference_frames,
                "reference_stride": body.reference_stride,
            }
            for name, (_, body) in present.items()
        },
        "body_length": {name: body.body_length for name, (_, body) in present.items()},
        "control_timestep_s": {
            name: body.control_timestep_s for name, (_, body) in present.items()
        },
    }
    constants: dict[str, Any] = {
        "cap_body_lengths": SCORE_CAP,
        "starts": dataclasses.asdict(STARTS),
        "interval": {"level": statistics.LEVEL, "over": "training seeds, Student's t"},
        "seeds_to_rank": statistics.SEEDS_TO_RANK,
    }
    every_body = {
        track: {name: clip_set(body, clips_name) for name, (_, body) in present.items()}
        for track, clips_name in TRACKS.items()
    }
    recordings = dict(record["tracks"]["recordings"])
    for name, (_, body) in present.items():
        with contextlib.suppress(FileNotFoundError):
            recordings[name] = clip_set(body, RECORDINGS)
    constants["recordings"] = {
        name: {"about": one.about, "source": one.source, "weakness": one.weakness}
        for name, one in recorded.RECORDED.items()
    }
    return record | {
        "rules": rules | constants | per_body,
        "bodies": {
            name: {"env_id": env_id, "train": clip_set(body, TRAIN)}
            for name, (env_id, body) in present.items()
        },
        "tracks": record["tracks"] | every_body | {"recordings": recordings},
    }


def clip_set(body: bodies.Body, name: str) -> dict[str, Any]:
    """A clip set of a body as a protocol's file has it, plain JSON."""
    frozen_clips = frozen.freeze(clips.load(name, body), name, body)
    record = dataclasses.asdict(frozen_clips)
    if not record["why_closed"]:
        del record["why_closed"]
    return json.loads(json.dumps(record))


def text(record: dict[str, Any]) -> str:
    """The content of a protocol's file."""
    return json.dumps(record, indent=1) + "\n"


def changes(before: Any, after: Any, where: str = "") -> list[str]:
    """Paths of values in which two JSON objects differ, such as `tracks.generated.fly.sha256`."""
    if not (isinstance(before, dict) and isinstance(after, dict)):
        return [] if before == after else [where]
    names = [*before, *(name for name in after if name not in before)]
    prefix = f"{where}." if where else ""
    return [
        path
        for name in names
        for path in changes(before.get(name), after.get(name), f"{prefix}{name}")
    ]


if __name__ == "__main__":
    sys.exit(run_command(lambda: tyro.cli(refresh, prog="python -m leaderboard.draft")))
