"""Layers of recurrent networks and of ONNX graphs are recorded, decoded and ablated, too."""

from __future__ import annotations

import itertools

import jax.numpy as jnp
import numpy as np
import pytest

import mimic_envs
from mimic_envs import rollouts
from mimic_envs.analysis import decoding, result
from mimic_envs.env import Environment
from mimic_envs.rollouts import Manipulation, experiments, places, recording
from mimic_envs.scoring import policies
from tests.scoring.onnx_bytes import graph, model, node


@pytest.fixture(scope="module")
def arm() -> Environment:
    return mimic_envs.make("mouse_arm", clips="generated/tiny", terminate=False)


@pytest.fixture(scope="module")
def recurrent(arm, tmp_path_factory: pytest.TempPathFactory):
    rng, hidden, latent = np.random.default_rng(0), [10, 8], 4
    widths = policies.widths(arm)
    size, inputs = sum(widths.values()), latent + widths["proprioception"]
    shapes = {
        "encoder": [widths["reference"], *hidden, 2 * latent],
        "decoder": [*hidden, arm.action_size],
    }
    tensors = {"mean": np.zeros(size), "std": np.ones(size), "cell/hn/bias": np.zeros(hidden[0])}
    for gate in "rzn":
        for source, width in (("i", inputs), ("h", hidden[0])):
            weight = rng.normal(size=(width, hidden[0])) / np.sqrt(width)
            tensors[f"cell/{source}{gate}/weight"] = weight
        tensors[f"cell/i{gate}/bias"] = np.zeros(hidden[0])
    for part, sizes in shapes.items():
        for i, (a, b) in enumerate(itertools.pairwise(sizes)):
            tensors[f"{part}/layer_{i}/weight"] = rng.normal(size=(a, b)) / np.sqrt(a)
            tensors[f"{part}/layer_{i}/bias"] = 0.1 * rng.normal(size=b)
    options = {"hidden": hidden, "latent_size": latent, "activation": "swish", "clip": 10}
    tensors = {k: x.astype(np.float32) for k, x in tensors.items()}
    folder = tmp_path_factory.mktemp("recurrent")
    return policies.load(policies.declare(folder, arm, "recurrent", options, tensors), arm)


def test_the_memory_of_a_recurrent_network_is_recorded_and_ablated(arm, recurrent) -> None:
    trials = {f"t{i}": ({"clip": i % 2, "frame": 5 * i}, 20) for i in range(3)}
    table = [Manipulation("unit_ablation", ("memory[0:10]",))]
    ds = rollouts.experiment(
        arm, recurrent, table, trials=trials, what="network,observations,kinematics"
    )
    assert list(result.layers(ds)) == [
        "encoder_0",
        "encoder_1",
        "latent",
        "latent_log_std",
        "memory",
        "decoder_1",
        "action_mean",
    ]
    own = ds.network_memory.to_numpy()[ds.trial.to_numpy() == 0]
    # each step begins with the memory that the step before has left
    obs = {
        group: jnp.asarray(ds[f"observation_{group}"].to_numpy()[7])
        for group in ("proprioception", "reference")
    }
    found = recurrent.layers(recurrent.params, obs, jnp.asarray(own[6]))
    np.testing.assert_allclose(found["memory"], own[7], atol=1e-5)
    np.testing.assert_allclose(found["action_mean"], ds.action[7], atol=1e-5)
    ablated = ds.network_memory.to_numpy()[ds.trial.to_numpy() == 3]
    assert (ablated == 0).all()
    assert (own != 0).any()
    numbers = decoding.decoding(ds).numbers
    assert "memory/joint_angle" in numbers


def test_named_values_of_a_graph_are_layers(arm, tmp_path) -> None:
    widths = policies.widths(arm)
    rng, size = np.random.default_rng(0), widths["reference"]
    weights = {
        "w0": rng.normal(size=(size, 6)).astype(np.float32),
        "w1": rng.normal(size=(6, arm.action_size)).astype(np.float32),
    }
    nodes = [
        node("MatMul", "reference w0", "x0"),
        node("Tanh", "x0", "/hidden/Tanh_output_0"),
        node("MatMul", "/hidden/Tanh_output_0 w1", "action"),
    ]
    policies.declare(tmp_path, arm, "onnx", {})
    data = model(graph(nodes, widths, {"action": arm.action_size}, weights))
    (tmp_path / "model.onnx").write_bytes(data)
    policy = policies.load(tmp_path, arm)
    sizes = places.layer_sizes(arm, policy)
    assert sizes == {"x0": 6, "/hidden/Tanh_output_0": 6, "action_mean": arm.action_size}
    obs = {k: jnp.asarray(rng.normal(size=n), jnp.float32) for k, n in widths.items()}
    found = policy.layers(policy.params, obs, policy.memory)
    hidden = np.tanh(np.asarray(obs["reference"]) @ weights["w0"])
    np.testing.assert_allclose(found["/hidden/Tanh_output_0"], hidden, atol=1e-5)
    assert "network" in recording._possible(arm, policy, "all")
    table = [Manipulation("unit_ablation", ("/hidden/Tanh_output_0[2,3]",))]
    assert experiments.Experiment(arm, policy, table).conditions[1].endswith("[2,3] 1")
