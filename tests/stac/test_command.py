"""`mimic-envs stac fit`, its report and its video."""

from __future__ import annotations

import numpy as np
import pytest
from test_fit import synthetic

from mimic_envs import bodies, cli, stac


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """60 frames of the mouse's forelimb as a file, in mm, with one foreign name."""
    path = tmp_path_factory.mktemp("recorded") / "reach.npz"
    keypoints = synthetic(bodies.get("mouse_arm"), seed=1, most=60).keypoints
    np.savez(
        path,
        positions=keypoints.in_unit("mm"),
        names=["Shoulder", "elbow_joint", "Wrist"],
        weights=keypoints.weights,
    )
    return path


def run(*arguments: object) -> None:
    cli.main(["stac", "fit", *map(str, arguments)])


def test_fit_writes_clips_report_and_video(recorded, tmp_path, capsys) -> None:
    import imageio.v2 as imageio

    out, report, video = (tmp_path / name for name in ("c.h5", "r.html", "v.mp4"))
    run(
        *("mouse_arm", recorded, "--fps", 200, "--unit", "mm", "--out", out),
        *("--rename", "elbow_joint=Elbow", "--report", report, "--video", video),
    )
    said = " ".join(capsys.readouterr().out.split())
    found = stac.Registration.load(out, "mouse_arm")
    assert f"{found.scale:.4f} times the model" in said
    assert "4 of 4" in said
    assert sorted(p.name for p in tmp_path.iterdir()) == ["c.h5", "r.html", "v.mp4"]
    page = report.read_text()
    assert page.count("<img") == page.count(" alt='") > 3
    assert page.count("<img") == 2 + 6
    assert "src='http" not in page
    assert f"{found.residuals[np.isfinite(found.residuals)].mean() * 1000:.3g} mm" in page
    for name in found.keypoint_names:
        assert page.count(f"<td>{name}</td>") == 2
    pictures = imageio.mimread(video, memtest=False)
    assert pictures[0].shape == (480, 640, 3)
    assert len(pictures) == 15  # every fourth of 60 at 200 Hz
    # red recorded markers are in the picture
    first = pictures[0].astype(int)
    assert ((first[..., 0] > 150) & (first[..., 1] < 90) & (first[..., 2] < 90)).sum() > 20


def test_scale_and_offsets_of_another_recording(recorded, tmp_path, capsys) -> None:
    first, second = tmp_path / "a.h5", tmp_path / "b.h5"
    common = ("mouse_arm", recorded, "--fps", 200, "--unit", "mm")
    run(*common, "--rename", "elbow_joint=Elbow", "--out", first)
    run(*common, "--rename", "elbow_joint=Elbow", "--out", second, "--like", first)
    a, b = stac.Registration.load(first), stac.Registration.load(second)
    assert a.scale == b.scale
    np.testing.assert_array_equal(a.offsets, b.offsets)


def test_warnings_and_errors_are_for_people(recorded, tmp_path, capsys) -> None:
    def fails(*arguments: object) -> str:
        with pytest.raises(SystemExit) as stop:
            run(*arguments, "--out", tmp_path / "c.h5")
        assert stop.value.code == 2
        return " ".join(capsys.readouterr().err.split())

    common = ("--fps", 200, "--unit", "mm")
    said = fails("mouse_arm", recorded, *common)
    assert "2 usable keypoints are too few" in said
    assert "--rename Shoulder=" in said or "rename them" in said
    said = fails(
        "mouse_arm", recorded, "--fps", 200, "--unit", "m", "--rename", "elbow_joint=Elbow"
    )
    assert "is the unit 'mm'" in said
    assert "takes theirs=ours" in fails("mouse_arm", recorded, *common, "--rename", "Elbow")
    assert "did you mean 'rodent'" in fails("rodnt", recorded, *common)
    assert "no such keypoint file" in fails("rodent", tmp_path / "x.mat", *common)
    assert not (tmp_path / "c.h5").exists()
