"""A track that waits for the hash of its file."""

from __future__ import annotations

import hashlib
import json

import pytest

from leaderboard.opening import opening
from mimic_envs import clips as clips_
from mimic_envs.scoring import PROTOCOL, frozen

FILE = "rodent_reference_clips.h5"


def test_it_is_listed_and_says_how_it_opens() -> None:
    with pytest.raises(ValueError, match=r"is closed: .* not been hashed.*leaderboard\.opening"):
        frozen.get(PROTOCOL).clips("recordings_842", "rodent")


def test_clips_of_a_closed_track_can_be_scored_by_oneself() -> None:
    frozen.get(PROTOCOL).check(clips_.load("generated/tiny", "rodent"), "published/rodent")


def test_the_printed_row_opens_it(tmp_path, monkeypatch, capsys) -> None:
    clips = clips_.load("generated/tiny", "rodent")
    clips_.export_clips(clips, tmp_path / FILE, "stac")
    opening("rodent", tmp_path / FILE)
    said = capsys.readouterr().out
    assert hashlib.sha256((tmp_path / FILE).read_bytes()).hexdigest() in said
    record = json.loads((frozen.FOLDER / f"{PROTOCOL}.json").read_text())
    record["tracks"]["recordings_842"]["rodent"] = json.loads(said[said.index("\n{") :])
    path = tmp_path / f"{PROTOCOL}.json"
    path.write_text(json.dumps(record))
    opened = frozen.load(path, {})
    frozen.check_clips(opened.clips("recordings_842", "rodent"), clips)


def test_what_cannot_be_hashed(tmp_path) -> None:
    with pytest.raises(ValueError, match="did you mean 'rodent'"):
        opening("rodnt", tmp_path / FILE)
    with pytest.raises(ValueError, match=f"is called {FILE}"):
        opening("rodent", tmp_path / "x.h5")
    with pytest.raises(FileNotFoundError):
        opening("rodent", tmp_path / FILE)
