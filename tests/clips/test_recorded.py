"""Recordings of real animals are divided as the protocol says, and nothing leaks."""

from __future__ import annotations

import pathlib

import numpy as np
import pytest

from mimic_envs import bodies, clips
from mimic_envs.clips import recorded
from mimic_envs.scoring import PROTOCOL, frozen


@pytest.fixture
def cache(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    monkeypatch.setattr(recorded, "cache_directory", lambda: tmp_path)
    return tmp_path


def test_parts_are_those_of_the_protocol(
    recordings: pathlib.Path, body: bodies.Body, cache: pathlib.Path
) -> None:
    made = recorded.prepare(body.name, recordings / body.name)
    assert sorted(path.relative_to(cache) for path in made) == [
        pathlib.Path("recordings", body.name, f"{part}.h5") for part in ("test", "train")
    ]
    loaded = frozen.load_clips(frozen.get(PROTOCOL), "recordings", body.name)
    assert loaded.content_hash == clips.load("recordings/test", body).content_hash
    forbidden = frozen.get(PROTOCOL).forbidden()
    learned = clips.load("recordings/train", body)
    assert not {frozen.motion_hash(motion) for motion in learned.motions()} & set(forbidden)


def test_nothing_is_lost_and_nothing_held_out_is_learned_from(
    recordings: pathlib.Path, body: bodies.Body
) -> None:
    """But for the instant of a cut."""
    whole = recorded.whole(body.name, recordings / body.name)
    learned, held_out = recorded.divided(body.name, whole).values()
    one = recorded.RECORDED[body.name]
    motions = dict(zip(whole.names, whole.motions(), strict=True))
    if one.held_out:
        assert sorted((*learned.names, *held_out.names)) == sorted(whole.names)
        assert 0.1 < held_out.lengths.sum() / whole.lengths.sum() < 0.4
        for part in (learned, held_out):
            for name, motion in zip(part.names, part.motions(), strict=True):
                np.testing.assert_array_equal(motion, motions[name])
        return
    assert one.learned_s is not None
    for name, first, last in zip(whole.names, learned.motions(), held_out.motions(), strict=True):
        assert (len(first) - 1) / whole.fps == pytest.approx(one.learned_s, abs=0.5 / whole.fps)
        np.testing.assert_array_equal(np.concatenate([first, last[1:]]), motions[name])


def test_what_was_not_prepared_is_explained(cache: pathlib.Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"into FOLDER/rodent/.*clips prepare FOLDER"):
        clips.load("recordings/test", "rodent")
    with pytest.raises(ValueError, match="did you mean 'recordings/test'"):
        clips.load("recordings/tests", "rodent")


def test_recordings_without_the_clips_that_are_held_out_are_refused() -> None:
    made = clips.load("generated/test", "rodent")
    with pytest.raises(ValueError, match=r"lack the clips that are held out: \['clip_373'"):
        recorded.divided("rodent", made)
