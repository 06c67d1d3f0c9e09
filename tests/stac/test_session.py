"""Several recordings of one animal become clips with one size, named by their files."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from draws import draw

from mimic_envs import bodies, cli, clips, stac

QUICK = stac.Settings(sample_frames=64, chunk_frames=16, overlap_frames=4, threads=1)


@pytest.fixture(scope="module")
def trials() -> list[stac.Keypoints]:
    """Three trials of a mouse's arm, the second with a gap, the third in mm."""
    whole = draw(bodies.get("mouse_arm"), seed=4, most=180).keypoints
    parts = [
        dataclasses.replace(
            whole,
            positions=whole.positions[a : a + 60],
            weights=whole.weights[a : a + 60],
            source=f"m1_trial{i}.npz",
        )
        for i, a in enumerate((0, 60, 120))
    ]
    positions, weights = parts[1].positions.copy(), parts[1].weights.copy()
    positions[20:45], weights[20:45] = np.nan, 0
    parts[1] = dataclasses.replace(parts[1], positions=positions, weights=weights)
    millimetres = parts[2].in_unit("mm")
    parts[2] = dataclasses.replace(parts[2], positions=millimetres, unit="mm")
    return parts


def test_a_session_is_fitted_together(trials) -> None:
    together = stac.join(trials)
    assert [name for name, _, _ in together.spans] == ["m1_trial0", "m1_trial1", "m1_trial2"]
    found = stac.fit(together, "mouse_arm", settings=QUICK, max_gap_s=0.05)
    names = ["m1_trial0", "m1_trial1/000", "m1_trial1/001", "m1_trial2"]
    assert list(found.clips.names) == names
    lengths = dict(zip(names, found.clips.lengths.tolist(), strict=True))
    assert lengths["m1_trial0"] == lengths["m1_trial2"] == 60
    assert abs(lengths["m1_trial1/000"] - 20) <= 2
    assert found.judgement.kinds == {"gaps"}
    assert np.nanmedian(found.residuals) < 0.02 * found.body.body_length
    alone = stac.fit(trials[0], "mouse_arm", scale=found.scale, offsets=found.offset_of)
    start = found.clips.motions()[0]
    assert np.degrees(np.abs(start - alone.qpos).mean()) < 1


def test_what_is_between_recordings_is_no_gap(trials) -> None:
    together = stac.join([trials[0], trials[2]])
    assert stac.inspect(together, "mouse_arm").judgement.verdict == "good"


def test_bad_sessions(trials) -> None:
    with pytest.raises(ValueError, match="two recordings are called 'm1_trial0'"):
        stac.join([trials[0], trials[0]])
    with pytest.raises(ValueError, match="only recordings at one rate"):
        stac.join([trials[0], dataclasses.replace(trials[1], fps=10.0)])
    other = dataclasses.replace(trials[1], names=("a", "b", "c"))
    with pytest.raises(ValueError, match="no keypoint is in all of them"):
        stac.join([trials[0], other])
    with pytest.raises(ValueError, match="no recording to join"):
        stac.join([])


def test_command(trials, tmp_path, capsys) -> None:
    paths = []
    for trial in (trials[0], trials[2]):
        path = tmp_path / trial.source
        np.savez(path, positions=trial.in_unit("m"), names=trial.names)
        paths.append(str(path))
    out = str(tmp_path / "day1.h5")
    cli.main(["stac", "fit", "mouse_arm", *paths, "--fps", "200", "--unit", "m", "--out", out])
    said = capsys.readouterr().out
    assert said.count("layout NumPy: 60 frames") == 2
    assert clips.load(out, "mouse_arm").names == ("m1_trial0", "m1_trial2")
    again, both, new = (str(tmp_path / f"{n}.h5") for n in ("day2", "both", "new"))
    (tmp_path / "day2.h5").write_bytes((tmp_path / "day1.h5").read_bytes())
    with pytest.raises(SystemExit):
        cli.main(["clips", "concat", out, again, "--out", both])
    assert "--prefix puts the names of files before" in " ".join(capsys.readouterr().err.split())
    cli.main(["clips", "concat", out, again, "--out", both, "--prefix"])
    assert clips.load(both, "mouse_arm").names[2] == "day2/m1_trial0"
    cli.main(["clips", "rename", out, "--out", new, "--names", "m1_trial0=first"])
    assert clips.load(new, "mouse_arm").names == ("first", "m1_trial2")
    with pytest.raises(ValueError, match="unknown clip 'x'"):
        clips.rename(clips.load(new, "mouse_arm"), {"x": "y"})
