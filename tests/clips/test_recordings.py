"""Every recording of a real animal imports, and its known faults are found."""

from __future__ import annotations

import pathlib

import numpy as np
import pytest

from mimic_envs import bodies
from mimic_envs.clips import import_clips

# file, body, options, clips, frames, faults that `verify` must name
MOTIONS = [
    (
        "rodent/reference_clips.h5",
        "rodent",
        {},
        (7, 1750),
        {"qvel": "velocities off by a factor"},
    ),
    ("rodent/published_rollout.npz", "rodent", {"unit": "m"}, (1, 600), {}),
    (
        "rodent/published_rollout.npz",
        "rodent",
        {"unit": "m", "dataset": "qpos_rollout", "clip_limits": True},
        (1, 1200),
        {},
    ),
    # fitted with other joint anchors
    ("rodent/stac_fit_50_frames.npz", "rodent", {}, (1, 50), {"xpos": "disagrees"}),
    ("fly/reference_clips.h5", "fly", {}, (1, 300), {"qvel": "velocities off by a factor"}),
    (
        "fly/stac_fit_tethered.h5",
        "fly",
        {},
        (2, 600),
        {
            "xpos": "interleaved over clips",
            "xquat": "interleaved over clips",
            "marker_sites": "interleaved over clips",
            "qvel": "velocities clipped",
        },
    ),
    ("fly/published_rollout.npz", "fly", {"unit": "cm"}, (1, 600), {}),
    (
        "fly/published_rollout.npz",
        "fly",
        {"unit": "cm", "dataset": "qpos_rollout", "clip_limits": True},
        (1, 600),
        {},
    ),
    ("stick_insect/reference_clips.h5", "stick_insect", {}, (1, 1000), None),
    ("mouse_arm", "mouse_arm", {}, (31, 3100), None),
    ("worm/published_rollout.npz", "worm", {"unit": "mm"}, (1, 126), None),
]
KEYPOINTS = [
    "rodent/keypoints_1000_frames.mat",
    "rodent/keypoints_1000_frames.nwb",
    "rodent/rat23.mat",
    "fly/keypoints_treadmill.csv",
]


@pytest.mark.parametrize(("file", "body", "options", "counts", "faults"), MOTIONS)
def test_imports(recordings: pathlib.Path, file, body, options, counts, faults) -> None:
    if body not in bodies.names():
        pytest.skip(f"body {body!r} is not registered")
    clips, report = import_clips(recordings / file, body, verify=True, **options)
    assert (report.clips, report.frames) == counts
    assert (len(clips), clips.lengths.sum()) == counts
    if faults is None:  # a body of our own making: poses differ from the original's
        assert "interleaved over clips" not in report.faults.values()
    else:
        assert report.faults == faults
    # a whole animal does not travel further than a hundred of its lengths in a minute
    assert np.ptp(clips.qpos[..., 0]) < 100 * clips.body.body_length


def test_every_file_is_accounted_for(recordings: pathlib.Path) -> None:
    listed = {recordings / file for file, *_ in MOTIONS} | {recordings / f for f in KEYPOINTS}
    for path in recordings.rglob("*"):
        if path.is_file() and path.name != "README.md":
            assert path in listed or path.parent in listed, path


@pytest.mark.parametrize("file", KEYPOINTS)
def test_keypoints_are_refused(recordings: pathlib.Path, file) -> None:
    with pytest.raises(ValueError, match="keypoints are not joint angles"):
        import_clips(recordings / file, file.split("/")[0])


def test_factors_of_the_published_velocities(recordings: pathlib.Path) -> None:
    """500 instead of 50 Hz, clipped at 20; 50 instead of 300 Hz."""
    for file, body, said in (
        ("rodent/reference_clips.h5", "rodent", "10 times the true ones, 2.4 % clipped at 20"),
        ("fly/reference_clips.h5", "fly", "0.167 times the true ones"),
    ):
        _, report = import_clips(recordings / file, body, verify=True)
        check = next(check for check in report.checks if check.array == "qvel")
        assert check.detail == said


def test_the_mouse_arm_says_five_times(recordings: pathlib.Path) -> None:
    if "mouse_arm" not in bodies.names():
        pytest.skip("body 'mouse_arm' is not registered")
    clips, report = import_clips(recordings / "mouse_arm", "mouse_arm", verify=True)
    assert report.faults["qvel"] == "velocities off by a factor"
    assert clips.names[0].startswith("A36-1_2023-07-18")
    assert clips.fps == 200.0


def test_velocities_of_the_simulation_do_not_confirm_its_rate(recordings) -> None:
    path = recordings / "rodent" / "reference_clips.h5"
    _, report = import_clips(path, "rodent", fps=500, verify=True)
    assert report.faults["qvel"] == "frame rate doubtful"
    assert "velocities fit 500 Hz" in " ".join(report.lines())
    assert "published ones are 50 Hz" in " ".join(report.lines())
