"""The prior of a decoder: it is fitted with the decoder frozen, and then used."""

from __future__ import annotations

import json
import pathlib

import numpy as np
import pytest

import mimic_envs
from baselines import fit_prior
from mimic_envs.reuse import decoder as decoders
from mimic_envs.reuse import prior as priors
from mimic_envs.scoring import safetensors
from tests.reuse.test_latent import LATENTS, acting, make, written


def test_a_prior_is_fitted_beside_the_decoder(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = pathlib.Path(written(tmp_path / "arm", make(), "recurrent"))
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    command = [
        "--clips",
        "generated/tiny",
        "--environments",
        "5",
        "--unroll",
        "24",
        "--batch",
        "32",
    ]
    command += ["--steps", "150", "--hidden", "8", "--threads", "1"]
    assert fit_prior.main([str(folder), *command]) == 0
    assert {name: (folder / name).read_bytes() for name in before} == before
    record = json.loads((folder / priors.RECORD).read_text())
    assert record["divergence_after"] < 0.7 * record["divergence_before"]
    assert record["samples"] == 120
    assert "divergence on held-out simulations" in capsys.readouterr().out
    env = make(action=acting(folder, mode="residual"))
    assert env.action_size == LATENTS
    prior = priors.read(decoders.read(folder, env.body))
    assert prior.layers == 2
    tensors = safetensors.read(folder / priors.TENSORS)
    assert all(np.abs(x).max() > 0 for x in tensors.values())


def test_a_folder_without_a_decoder_has_no_prior(tmp_path: pathlib.Path) -> None:
    assert fit_prior.main([str(tmp_path)]) == 2


def test_a_decoder_is_fitted_to_the_body_it_names(tmp_path: pathlib.Path) -> None:
    """The prior of one body's decoder does not serve another body."""
    folder = written(tmp_path / "arm", make())
    with pytest.raises(ValueError, match="it is for body 'mouse_arm', not 'worm'"):
        mimic_envs.make("worm", clips="generated/tiny", action=acting(folder))
