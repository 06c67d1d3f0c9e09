"""Protocol mimic-1 is frozen: what ships here is what it says, to the last bit."""

from __future__ import annotations

import dataclasses
import importlib.metadata

import numpy as np
import pytest

from mimic_envs import ENV_IDS, bodies, clips
from mimic_envs.scoring import PROTOCOL, frozen, statistics
from mimic_envs.tasks.imitation import SCORE_CAP

# written down here too, so that nobody changes clips and protocol in one go without noticing
TEST_SETS = {
    "fly": "e149c0a2",
    "mouse_arm": "6fba1fcc",
    "rodent": "acf4b914",
    "stick_insect": "ebe0a617",
    "worm": "411db4eb",
}


@pytest.fixture(scope="module")
def protocol() -> frozen.Protocol:
    return frozen.get("mimic-1")


def test_test_sets_are_those_of_the_first_day(protocol: frozen.Protocol) -> None:
    found = {body: (one.sha256 or "")[:8] for body, one in protocol.test["builtin"].items()}
    assert found == TEST_SETS


def test_shipped_clips_are_the_frozen_ones(protocol: frozen.Protocol, body: bodies.Body) -> None:
    every = [protocol.test["builtin"], protocol.test["practice"], protocol.train]
    for sets in every:
        kept = sets[body.name]
        assert frozen.freeze(clips.load(kept.name, body), kept.name, body) == kept


def test_other_clips_under_the_same_name_are_refused(protocol: frozen.Protocol) -> None:
    other = clips.load("builtin/tiny", "worm")
    with pytest.raises(ValueError, match="these are other clips"):
        frozen.check_clips(protocol.clips("builtin", "worm"), other)
    changed = dataclasses.replace(other, qpos=other.qpos + np.float32(1e-6))
    with pytest.raises(ValueError, match="these are other clips"):
        frozen.check_clips(protocol.clips("practice", "worm"), changed)


def test_rules_are_what_the_code_does(protocol: frozen.Protocol) -> None:
    rules = protocol.rules
    assert protocol.name == PROTOCOL
    assert protocol.env_ids == {body: env_id for env_id, body in ENV_IDS.items()}
    assert rules["cap_body_lengths"] == SCORE_CAP
    assert rules["interval"]["draws"] == statistics.BOOTSTRAP_DRAWS
    for name in protocol.env_ids:
        body = bodies.get(name)
        assert rules["observation"][name] == {
            "reference_frames": body.reference_frames,
            "reference_stride": body.reference_stride,
        }
        assert rules["body_length"][name] == body.body_length
        assert rules["control_timestep_s"][name] == body.control_timestep_s
    requirement = next(
        line for line in importlib.metadata.requires("mimic_envs") or () if "mujoco<" in line
    )
    assert all(limit in requirement for limit in rules["mujoco"])


def test_test_clips_are_no_training_clips(protocol: frozen.Protocol) -> None:
    forbidden = protocol.forbidden()
    for one in protocol.train.values():
        assert one.sha256 not in forbidden
        assert not set(one.clip_sha256) & set(forbidden)


def test_bad_names(protocol: frozen.Protocol) -> None:
    with pytest.raises(ValueError, match="did you mean 'mimic-1'"):
        frozen.get("mimic1")
    with pytest.raises(ValueError, match="did you mean 'builtin'"):
        protocol.clips("built-in", "rodent")
    with pytest.raises(ValueError, match="did you mean 'rodent'"):
        protocol.clips("builtin", "rodnt")
    with pytest.raises(ValueError, match="is closed: the published recordings"):
        protocol.clips("recordings", "rodent")
