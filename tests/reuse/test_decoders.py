"""Decoders that are kept with the repository, and how a run's decoder is kept."""

from __future__ import annotations

import json
import pathlib

import numpy as np
import pytest

import mimic_envs
from baselines import decoders, distill, recordings
from mimic_envs.bodies import get
from mimic_envs.mdp import indices
from mimic_envs.reuse import decoder
from mimic_envs.scoring import policies, safetensors
from tests.reuse.test_latent import acting, make, written

KEPT = sorted(path.parent for path in decoders.DECODERS.glob("*/policy.json"))


@pytest.mark.parametrize("folder", KEPT, ids=lambda path: path.name)
def test_a_kept_decoder_serves_another_task_of_its_body(folder: pathlib.Path) -> None:
    said = json.loads((folder / "scores.json").read_text())
    body = get(said["body"])
    read = decoder.read(folder, body)
    assert folder.name == f"{said['body']}-{read.term.name}"
    imitation = mimic_envs.make(said["body"], clips="generated/tiny")
    policies.load(folder, imitation)
    task = "velocity" if indices.of(body).root_motion.moves else "reach"
    other = mimic_envs.make(said["body"], task=task, action=acting(folder))
    assert other.action_size == read.network.latent_size


def test_kept_decoders_are_small() -> None:
    assert KEPT
    assert sum(p.stat().st_size for p in decoders.DECODERS.rglob("*") if p.is_file()) < 4e6


def run_of(folder: pathlib.Path, steps: int) -> pathlib.Path:
    """A folder as a distillation of two rounds leaves it after some steps."""
    written(folder / "policy", make())
    (folder / "policy" / "training.json").write_text(json.dumps({"steps": steps, "wall_time_s": 1}))
    arguments = distill.parse(
        ["--env", "mimic_envs/MouseArm-v1", "--network", "intention", "--hidden", "16", "8"]
    )
    settings = {
        "env": arguments.env,
        "network": "intention",
        "hidden": [16, 8],
        "seed": 0,
        "dagger": {"rounds": 2, "environments": 4, "unroll": 8},
    }
    (folder / "config.json").write_text(json.dumps(settings))
    return folder


def test_a_finished_run_is_kept_with_its_scores(tmp_path: pathlib.Path) -> None:
    run = run_of(tmp_path / "run", 64)
    arguments = decoders.Arguments((run,), tmp_path / "kept", "generated/tiny", ("zero",))
    said = decoders.keep(run, arguments)
    folder = tmp_path / "kept" / "mouse_arm-torque"
    assert json.loads((folder / "scores.json").read_text()) == said
    assert set(said["scores"]) == {"zero", "policy"}
    assert said["command"].startswith("python -m baselines.distill --env mimic_envs/MouseArm-v1")
    assert "--dagger.rounds 2" in said["command"]
    before, after = (
        safetensors.read(place / "weights.safetensors") for place in (run / "policy", folder)
    )
    for name, weights in before.items():
        kind = np.float32 if name in decoders.STATISTICS else np.float16
        assert after[name].dtype == kind
        np.testing.assert_allclose(after[name], weights, rtol=1e-3, atol=1e-6)


def test_a_run_that_is_not_finished_is_not_kept(tmp_path: pathlib.Path) -> None:
    run = run_of(tmp_path / "run", 63)
    with pytest.raises(ValueError, match="is not finished: 63 of 64 steps"):
        decoders.keep(run, decoders.Arguments((run,), tmp_path / "kept"))
    with pytest.raises(ValueError, match=r"is no setting of baselines\.distill"):
        recordings.command({"env": "mimic_envs/MouseArm-v1", "colour": 1}, distill)
