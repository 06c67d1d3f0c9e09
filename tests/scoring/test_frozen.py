"""What ships here is what the protocols say, to the last bit; only a draft may change."""

from __future__ import annotations

import copy
import dataclasses
import importlib.metadata
import inspect
import json
import pathlib

import numpy as np
import pytest

from leaderboard import draft
from mimic_envs import ENV_IDS, bodies, cli, clips
from mimic_envs.clips.similarity import SCORE_CAP
from mimic_envs.scoring import PROTOCOL, STARTS, frozen, statistics

# written down here too, so that nobody changes a file and its hash in one go without noticing
FROZEN: dict[str, str] = {}


@pytest.fixture(scope="module")
def protocol() -> frozen.Protocol:
    return frozen.get(PROTOCOL)


@pytest.fixture
def record() -> dict:
    """The file of the protocol, plain JSON."""
    return json.loads((frozen.FOLDER / f"{PROTOCOL}.json").read_text())


def test_frozen_protocols_are_those_of_their_first_day() -> None:
    assert dict(frozen.FROZEN) == FROZEN
    names = frozen.names()
    assert PROTOCOL in names
    assert set(FROZEN) == {name for name in names if not frozen.get(name).draft}


class TestFiles:
    """A protocol's file, in a folder of its own."""

    def write(self, folder: pathlib.Path, name: str, record: dict) -> pathlib.Path:
        path = folder / f"{name}.json"
        path.write_text(draft.text(record | {"protocol": name}))
        return path

    def test_a_draft_may_change(self, tmp_path, record) -> None:
        record["kinds"] = {"controller": "another text"}
        loaded = frozen.load(self.write(tmp_path, "x-1-draft", record), {})
        assert loaded.draft
        assert loaded.kinds == record["kinds"]
        assert loaded.notice.startswith("Protocol x-1-draft is a draft: ")

    def test_what_is_frozen_may_not(self, tmp_path, record) -> None:
        del record["draft"]
        path = self.write(tmp_path, "x-1", record)
        known = {"x-1": frozen.file_hash(path)}
        loaded = frozen.load(path, known)
        assert not loaded.draft
        assert loaded.notice == ""
        path.write_text(path.read_text().replace("0.25", "0.26", 1))
        with pytest.raises(ValueError, match="protocol 'x-1' must not change"):
            frozen.load(path, known)
        with pytest.raises(ValueError, match="what was frozen has None"):
            frozen.load(path, {})

    def test_ends_of_lines_do_not_count(self, tmp_path) -> None:
        (tmp_path / "a").write_bytes(b"1\n2\n")
        (tmp_path / "b").write_bytes(b"1\r\n2\r\n")
        assert frozen.file_hash(tmp_path / "a") == frozen.file_hash(tmp_path / "b")

    def test_names_say_what_is_a_draft(self, tmp_path, record) -> None:
        for name, changed in (
            ("x-1", record),
            ("x-1-draft", {k: v for k, v in record.items() if k != "draft"}),
        ):
            with pytest.raises(ValueError, match="the name of a draft, and of nothing else"):
                frozen.load(self.write(tmp_path, name, changed), {})
        moved = self.write(tmp_path, "x-1-draft", record).rename(tmp_path / "y-1-draft.json")
        with pytest.raises(ValueError, match=r"y-1-draft\.json has protocol 'x-1-draft'"):
            frozen.load(moved, {})


class TestDraft:
    def test_it_is_up_to_date(self, record) -> None:
        found = draft.changes(record, draft.refreshed(record))
        assert found == [], "run python -m leaderboard.draft"

    def test_refreshing_repairs_what_is_computed_and_keeps_the_rest(
        self, record, tmp_path, monkeypatch, capsys
    ) -> None:
        expected = record | {"protocol": "x-1-draft", "kinds": {"expert": "as people said"}}
        old = copy.deepcopy(expected)
        old["tracks"]["generated"]["worm"]["clip_sha256"][0] = "0" * 64
        old["rules"]["body_length"]["fly"] = 7
        del old["bodies"]["mouse_arm"]
        old["bodies"]["unicorn"] = old["bodies"]["fly"]
        path = tmp_path / "x-1-draft.json"
        path.write_text(draft.text(old))
        monkeypatch.setattr(frozen, "FOLDER", tmp_path)
        draft.refresh("x-1-draft")
        assert json.loads(path.read_text()) == expected
        assert capsys.readouterr().out.splitlines() == [
            "changed: rules.body_length.fly",
            "changed: bodies.unicorn",
            "changed: bodies.mouse_arm",
            "changed: tracks.generated.worm.clip_sha256",
            "wrote x-1-draft.json",
        ]

    def test_a_frozen_protocol_is_left_alone(self, record, tmp_path, monkeypatch) -> None:
        path = tmp_path / "x-2.json"
        path.write_text(
            draft.text({k: v for k, v in record.items() if k != "draft"} | {"protocol": "x-2"})
        )
        before = path.read_bytes()
        monkeypatch.setattr(frozen, "FOLDER", tmp_path)
        monkeypatch.setattr(frozen, "FROZEN", {"x-2": frozen.file_hash(path)})
        with pytest.raises(ValueError, match="'x-2' is frozen and never changes"):
            draft.refresh("x-2")
        assert path.read_bytes() == before


def test_shipped_clips_are_the_frozen_ones(protocol: frozen.Protocol, body: bodies.Body) -> None:
    every = [protocol.test["generated"], protocol.test["practice"], protocol.train]
    for sets in every:
        kept = sets[body.name]
        assert frozen.freeze(clips.load(kept.name, body), kept.name, body) == kept


def test_other_clips_under_the_same_name_are_refused(protocol: frozen.Protocol) -> None:
    other = clips.load("generated/tiny", "worm")
    with pytest.raises(ValueError, match="these are other clips"):
        frozen.check_clips(protocol.clips("generated", "worm"), other)
    changed = dataclasses.replace(other, qpos=other.qpos + np.float32(1e-6))
    with pytest.raises(ValueError, match="these are other clips"):
        frozen.check_clips(protocol.clips("practice", "worm"), changed)


def test_the_name_of_a_test_set_promises_its_clips(protocol: frozen.Protocol) -> None:
    """Clips with a name of their own are anybody's."""
    tiny = clips.load("generated/tiny", "worm")
    protocol.check(tiny, "generated/tiny")
    protocol.check(tiny, "mine.h5")
    with pytest.raises(ValueError, match="clip set 'generated/test' of body 'worm'"):
        protocol.check(tiny, "generated/test")


def test_rules_are_what_the_code_does(protocol: frozen.Protocol) -> None:
    rules = protocol.rules
    assert protocol.name == PROTOCOL
    for command in (cli.score, cli.leaderboard.new):
        assert inspect.signature(command).parameters["protocol"].default == PROTOCOL
    assert protocol.env_ids == {body: env_id for env_id, body in ENV_IDS.items()}
    assert rules["cap_body_lengths"] == SCORE_CAP
    assert rules["interval"]["level"] == statistics.LEVEL
    assert rules["seeds_to_rank"] == statistics.SEEDS_TO_RANK
    assert rules["starts"] == dataclasses.asdict(STARTS)
    assert inspect.signature(cli.score).parameters["starts"].default == STARTS.count
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
    with pytest.raises(ValueError, match=f"did you mean '{PROTOCOL}'"):
        frozen.get("mimic2draft")
    with pytest.raises(ValueError, match="did you mean 'generated'"):
        protocol.clips("generate", "rodent")
    with pytest.raises(ValueError, match="did you mean 'rodent'"):
        protocol.clips("generated", "rodnt")
    closed = frozen.FrozenClips("recordings/test", None, why_closed="nobody has them")
    shut = dataclasses.replace(protocol, test={"recordings": {"rodent": closed}})
    with pytest.raises(ValueError, match="is closed: nobody has them"):
        shut.clips("recordings", "rodent")
