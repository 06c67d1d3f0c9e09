"""The script of `docs/first_day.md`, with made trials and hardly any training."""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest

from mimic_envs import bodies, clips
from mimic_envs.clips import kinematics

ROOT = pathlib.Path(__file__).resolve().parents[1]
TRIALS = [f"{day}_trial{i}" for day in ("monday", "tuesday") for i in (1, 2, 3)]
NAMES = {"Shoulder": "shoulder", "Elbow": "elbow_joint", "Wrist": "wrist"}
QUICK = (
    "--steps 64 --hidden 8 --ppo.critic-hidden 8 --ppo.environments 8 --ppo.minibatches 2 "
    "--ppo.unroll 4 --threads 1"
)
"""In place of the page's number of steps."""


def make_trials(folder: pathlib.Path) -> None:
    """Six pieces of a generated motion, 50 frames each, with noise of 1 %, in mm."""
    body, rng = bodies.get("mouse_arm"), np.random.default_rng(0)
    qpos = np.concatenate(clips.load("generated/test", body).motions())[: 50 * len(TRIALS)]
    position, rotation = kinematics.forward(body.model, qpos.astype(float))
    points = []
    for keypoint in (body.keypoints[name] for name in NAMES):
        carrier, offset = body.model.body(keypoint.body).id, np.array(keypoint.offset)
        w, axis = rotation[:, carrier, :1], rotation[:, carrier, 1:]
        once = np.cross(axis, offset)
        points.append(position[:, carrier] + offset + 2 * (w * once + np.cross(axis, once)))
    markers = 1e3 * np.stack(points, axis=1)
    markers += rng.normal(size=markers.shape) * 10 * body.body_length
    for i, name in enumerate(TRIALS):
        piece = markers[50 * i : 50 * (i + 1)]
        np.savez(folder / f"{name}.npz", positions=piece, names=list(NAMES.values()))


def commands() -> list[str]:
    page = (ROOT / "docs" / "first_day.md").read_text()
    (block,) = re.findall(r"```bash\n(.*?)```", page, re.DOTALL)
    return block.replace("\\\n", " ").strip().splitlines()


def test_the_script_runs(tmp_path) -> None:
    pytest.importorskip("imageio_ffmpeg")
    (tmp_path / "trials").mkdir()
    make_trials(tmp_path / "trials")
    script = "\n".join(commands()).replace("--steps 2000000", QUICK)
    assert QUICK in script
    script = script.replace("mimic-envs ", f"{sys.executable} -m mimic_envs ")
    script = script.replace("python -m baselines", f"{sys.executable} -m baselines")
    paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        ["bash", "-ec", script],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": paths},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-3_000:] + done.stderr[-3_000:]
    fitted = clips.load(tmp_path / "day" / "clips.h5", "mouse_arm")
    assert list(fitted.names) == TRIALS
    parts = [
        clips.load(tmp_path / "day" / f"split-{part}.h5", "mouse_arm") for part in ("train", "test")
    ]
    days = [{name.partition("_")[0] for name in part.names} for part in parts]
    assert sorted(map(len, days)) == [1, 1]
    assert days[0] != days[1]
    score = json.loads((tmp_path / "day" / "score.json").read_text())
    assert all(name in json.dumps(score) for name in parts[1].names)
    assert (tmp_path / "day" / "held_out.mp4").stat().st_size > 1000
