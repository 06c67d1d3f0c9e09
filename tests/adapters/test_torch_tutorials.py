"""The tutorials that need PyTorch run, at a small size, and what they train gets better."""

from __future__ import annotations

import pathlib

import numpy as np
import pytest

from tests.test_tutorials import run

pytest.importorskip("torch", reason="needs pip install torch")


def test_the_loop_in_pytorch_learns() -> None:
    history = run("pytorch_loop", {"= 500_000, 64": "= 60_000, 64"})["history"]
    # the first steps are still near the clip, on which episodes begin; untrained actions lead away
    assert np.mean(history[-10:]) > 2 * np.min(history)
    assert np.mean(history[-10:]) > np.mean(history[:10])


def test_stable_baselines3_trains(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("stable_baselines3", reason="needs pip install -e '.[sb3]'")
    monkeypatch.chdir(tmp_path)
    scores = run("stable_baselines3", {"STEPS = 200_000": "STEPS = 4096"})["scores"]
    assert 0.2 < np.mean(scores) <= 1
    assert {path.name for path in tmp_path.iterdir()} == {"arm.zip", "arm_normalization.pkl"}
