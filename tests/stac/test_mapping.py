"""Names, sides and units of recorded keypoints."""

from __future__ import annotations

import numpy as np
import pytest

from mimic_envs import bodies, stac
from mimic_envs.messages import MimicEnvsWarning
from mimic_envs.stac import mapping


def keypoints(names, positions=None, unit="m") -> stac.Keypoints:
    if positions is None:
        positions = np.random.default_rng(0).normal(size=(5, len(names), 3))
    return stac.Keypoints.from_arrays(positions, names, 50, unit)


def test_unknown_names_are_named_with_the_nearest(rodent) -> None:
    recorded = keypoints(["Snout", "EarL", "ear_right", "SpineMid", "whisker", "TailBase"])
    with pytest.warns(MimicEnvsWarning) as caught:
        used = mapping.matched(recorded, rodent)
    assert used.names == ("Snout", "EarL", "TailBase")
    (said,) = [str(w.message) for w in caught]
    assert "'ear_right' (did you mean 'EarR'?)" in said
    assert "'SpineMid' (did you mean 'SpineM'?)" in said
    assert "'whisker'" in said
    assert "not recorded: SpineF, " in said


def test_no_known_name_is_an_error(rodent) -> None:
    with (
        pytest.warns(MimicEnvsWarning, match="did you mean 'Snout'"),
        pytest.raises(ValueError, match="0 usable keypoints are too few for body 'rodent'"),
    ):
        mapping.matched(keypoints(["snout", "earl", "earr"]), rodent)


def test_keypoint_that_is_never_known(rodent) -> None:
    positions = np.random.default_rng(0).normal(size=(5, 4, 3))
    positions[:, 1] = np.nan
    recorded = keypoints(["Snout", "EarL", "EarR", "TailBase"], positions)
    with pytest.warns(MimicEnvsWarning, match="never known, so not used: EarL"):
        assert mapping.matched(recorded, rodent).names == ("Snout", "EarR", "TailBase")


def test_renaming() -> None:
    recorded = keypoints(["nose", "EarL"])
    assert recorded.renamed({"nose": "Snout"}).names == ("Snout", "EarL")
    with pytest.raises(ValueError, match="unknown keypoint 'noze'; did you mean 'nose'"):
        recorded.renamed({"noze": "Snout"})
    with pytest.raises(ValueError, match="'EarL' occurs more than once"):
        recorded.renamed({"nose": "EarL"})


@pytest.mark.parametrize(
    ("unit", "scale", "said"),
    [
        ("m", 1030.0, "is the unit 'mm' "),
        ("m", 0.97e-3, None),
        ("cm", 9.7, "is the unit 'mm' "),
        ("mm", 0.098, "is the unit 'cm' "),
        ("mm", 1.1e-3, "is the unit 'm' "),
        ("um", 40.0, None),
    ],
)
def test_wrong_unit_is_diagnosed(rodent, unit, scale, said) -> None:
    recorded = keypoints(["Snout", "EarL", "EarR"], unit=unit)
    with pytest.raises(ValueError, match=said or "is the unit right"):
        mapping.check_scale(scale, recorded, rodent)


def test_odd_size_is_only_a_warning(rodent) -> None:
    recorded = keypoints(["Snout", "EarL", "EarR"])
    mapping.check_scale(0.5, recorded, rodent)
    with pytest.warns(MimicEnvsWarning, match=r"3\.1 times as large"):
        mapping.check_scale(3.1, recorded, rodent)


def test_twins_of_every_body() -> None:
    pairs = mapping.twins(tuple(bodies.get("rodent").keypoints))
    assert len(pairs) == 9
    assert ("EarL", "EarR") in pairs
    fly = mapping.twins(tuple(bodies.get("fly").keypoints))
    assert {("L1A", "R1A"), ("r1", "l1")} & {*fly, *((b, a) for a, b in fly)} != set()
    assert len(fly) == 18
    assert mapping.twins(tuple(bodies.get("worm").keypoints)) == []
    assert mapping.mirror_name("f_l_coxa") == "f_r_coxa"
    assert mapping.mirror_name("Knee_L") == "Knee_R"
    assert mapping.mirror_name("left_eye") == "right_eye"
    assert mapping.mirror_name("SpineF") == "SpineF"


class TestBadArrays:
    def test_axes_in_another_order(self) -> None:
        positions = np.zeros((7, 3, 4))
        with pytest.raises(ValueError, match=r"use positions\.transpose\(0, 2, 1\)"):
            stac.Keypoints.from_arrays(positions, list("abcd"), 50, "m")
        positions = np.ones((4, 7, 3))
        with pytest.raises(ValueError, match=r"looks like \(keypoints, frames, coordinates\)"):
            stac.Keypoints.from_arrays(positions, list("abcd"), 50, "m")
        good = positions.transpose(1, 0, 2)
        assert len(stac.Keypoints.from_arrays(good, list("abcd"), 50, "m")) == 7

    @pytest.mark.parametrize("shape", [(12,), (7, 12), (7, 5, 3), (7, 4, 2)])
    def test_shape(self, shape) -> None:
        with pytest.raises(ValueError, match=r"expected \(frames, 4 keypoints, 3\)"):
            stac.Keypoints.from_arrays(np.zeros(shape), list("abcd"), 50, "m")

    def test_no_frames(self) -> None:
        with pytest.raises(ValueError, match="there are no frames"):
            stac.Keypoints.from_arrays(np.zeros((0, 4, 3)), list("abcd"), 50, "m")

    def test_nothing_known(self) -> None:
        with pytest.raises(ValueError, match="no keypoint is known in any frame"):
            stac.Keypoints.from_arrays(np.full((2, 4, 3), np.nan), list("abcd"), 50, "m")

    def test_duplicate(self) -> None:
        with pytest.raises(ValueError, match="name 'a' occurs more than once"):
            stac.Keypoints.from_arrays(np.zeros((2, 4, 3)), list("abca"), 50, "m")

    def test_unit_and_rate(self) -> None:
        with pytest.raises(ValueError, match="unknown unit 'px'"):
            stac.Keypoints.from_arrays(np.zeros((2, 1, 3)), ["a"], 50, "px")
        with pytest.raises(ValueError, match="fps must be a positive number"):
            stac.Keypoints.from_arrays(np.zeros((2, 1, 3)), ["a"], 0, "m")

    def test_weights(self) -> None:
        with pytest.raises(ValueError, match=r"weights have shape \(2, 2\), expected \(2, 1\)"):
            stac.Keypoints.from_arrays(np.ones((2, 1, 3)), ["a"], 50, "m", np.ones((2, 2)))
