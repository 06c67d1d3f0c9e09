"""What holds for the shipped procedural clips of every animal."""

from __future__ import annotations

import pathlib

import numpy as np
import pytest

from mimic_envs import clips
from mimic_envs.clips import generators

GENERATED = pathlib.Path(clips.__file__).parent / "generated"


@pytest.fixture(scope="module", params=generators.names())
def sets(request) -> dict[str, clips.ClipSet]:
    """The clips of one animal by split."""
    return {split: clips.load(f"generated/{split}", request.param) for split in generators.SPLITS}


def test_splits_share_no_clip(sets):
    motions = [
        (name, motion.tobytes())
        for clip_set in sets.values()
        for name, motion in zip(clip_set.names, clip_set.motions(), strict=True)
    ]
    assert len({name for name, _ in motions}) == len(motions)
    assert len({motion for _, motion in motions}) == len(motions)


def test_sets_are_described_and_small(sets):
    body = sets["train"].body.name
    for clip_set in sets.values():
        assert clip_set.source == f"mimic_envs.clips.generators.{body}, version 1"
        assert clip_set.licence == "CC0-1.0"
    assert set(sets["train"].labels) == set(sets["test"].labels)
    assert set(sets["tiny"].labels) <= set(sets["train"].labels)
    assert sum(path.stat().st_size for path in (GENERATED / body).glob("*.h5")) < 3e6


def test_clips_are_longer_than_the_reference_window(sets):
    for clip_set in sets.values():
        body = clip_set.body
        steps = (clip_set.lengths - 1) / clip_set.fps / body.control_timestep_s
        assert steps.min() > body.reference_frames * body.reference_stride + 30


def test_generating_again_gives_the_shipped_clips(sets):
    tiny = sets["tiny"]
    again = generators.generate(tiny.body.name, "tiny")
    # identical on one machine; libraries on another may round the last bit differently
    if again.content_hash != tiny.content_hash:
        for ours, shipped in zip(again.motions(), tiny.motions(), strict=True):
            np.testing.assert_allclose(ours, shipped, atol=1e-4)
    assert again.names == tiny.names
    assert again.content_hash == generators.generate(tiny.body.name, "tiny").content_hash


@pytest.mark.parametrize(("body", "split"), [("rodant", "tiny"), ("rodent", "tinny")])
def test_unknown_names_are_refused_with_the_nearest(body, split):
    with pytest.raises(ValueError, match="did you mean"):
        generators.generate(body, split)
