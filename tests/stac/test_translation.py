"""Tables that translate a tracker's keypoints."""

from __future__ import annotations

import numpy as np
import pytest

from mimic_envs import stac
from mimic_envs.stac import translation


def test_a_table_chooses_renames_and_weights(tmp_path) -> None:
    path = tmp_path / "mapping.csv"
    path.write_text("source,keypoint,weight\nnose,Snout,0.5\near,,\ntail,TailBase,\n")
    points = np.random.default_rng(0).normal(size=(4, 4, 3))
    recorded = stac.Keypoints.from_arrays(points, ["nose", "ear", "tail", "paw"], 50, "mm")
    found = translation.translate(recorded, translation.read(path))
    assert found.names == ("Snout", "TailBase")
    np.testing.assert_array_equal(found.positions, points[:, [0, 2]])
    np.testing.assert_array_equal(found.weights, [[0.5, 1.0]] * 4)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n", "the first line must be source,keypoint,weight"),
        ("source,keypoint\na,A\na,B\n", "'a' occurs more than once"),
        ("source,keypoint\na,A\nb,A\n", "'A' occurs more than once"),
        ("source,keypoint,weight\na,A,2\n", "line 2: a weight must be a number from 0 to 1"),
        ("source,keypoint,weight\na,A\n", "line 2: expected 3 fields"),
    ],
)
def test_bad_tables(tmp_path, text, message) -> None:
    path = tmp_path / "mapping.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        translation.read(path)


def test_names_that_are_not_there() -> None:
    recorded = stac.Keypoints.from_arrays(np.ones((1, 1, 3)), ["nose"], 50, "mm")
    with pytest.raises(ValueError, match="unknown keypoint 'nase'; did you mean 'nose'"):
        translation.translate(recorded, [translation.Row("nase", "Snout")])
    with pytest.raises(ValueError, match="keeps no keypoint"):
        translation.translate(recorded, [translation.Row("nose", "")])
