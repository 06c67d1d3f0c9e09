"""The action term `latent`: known answers, refusals, faces, and training with a frozen decoder."""

from __future__ import annotations

import json
import pathlib
import shutil
from typing import Any

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import check_env

import mimic_envs
from baselines import log, train
from mimic_envs import scoring
from mimic_envs.env import Environment, State
from mimic_envs.reuse.latent import Latent
from mimic_envs.scoring import policies, safetensors
from mimic_envs.scoring.intention import Network

ARM = "mimic_envs/MouseArm-v1"
LATENTS, HIDDEN = 3, (16, 8)
OPTIONS = {"hidden": list(HIDDEN), "latent_size": LATENTS, "activation": "swish", "clip": 10.0}


def make(body: str = "mouse_arm", **options: Any) -> Environment:
    return mimic_envs.make(body, **{"clips": "generated/tiny", **options})


def written(
    folder: pathlib.Path, env: Environment, architecture: str = "intention", **options: Any
) -> str:
    """A policy with random weights that are large enough for its actions to differ."""
    options = {**OPTIONS, **options}
    widths = policies.widths(env)
    network = Network.of(options, widths, env.action_size, architecture == "recurrent")
    rng = np.random.default_rng(0)
    tensors = {
        name: rng.normal(0, 1.5 / np.sqrt(shape[0]), shape).astype(np.float32)
        for name, shape in network.shapes.items()
    }
    tensors["std"] = np.abs(tensors["std"]) + 0.5
    return str(policies.declare(folder, env, architecture, options, tensors))


@pytest.fixture(scope="module")
def arm() -> Environment:
    return make()


@pytest.fixture(scope="module", params=["intention", "recurrent"])
def folder(
    arm: Environment, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> str:
    return written(tmp_path_factory.mktemp("arm"), arm, request.param)


@pytest.fixture(scope="module")
def plain(arm: Environment, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Without a recurrent unit."""
    return written(tmp_path_factory.mktemp("plain"), arm)


def acting(folder: str | pathlib.Path, **options: Any) -> dict[str, Any]:
    return {"kind": "latent", "decoder": str(folder), **options}


class Encoder:
    """Chooses the latents that a policy's encoder means, in an environment that decodes them."""

    name = "encoder"

    def __init__(self, policy: Any, scale: float) -> None:
        self.params, self._policy, self._scale = policy.params, policy, scale

    def act(self, params: Any, state: State, key: jax.Array) -> jax.Array:
        layers = self._policy.layers(params, state.obs, self._policy.memory)
        return layers["latent"] / self._scale


def test_imitation_through_it_is_the_policy_bit_for_bit(arm: Environment, folder: str) -> None:
    """The scale is a power of two that holds all latents: then nothing is clipped or rounded."""
    scale = 16.0
    policy = policies.load(folder, arm)
    whole = scoring.rollout(arm, policy)
    reused = scoring.rollout(make(action=acting(folder, scale=scale)), Encoder(policy, scale))
    for a, b in zip(whole, reused, strict=True):
        assert np.abs(a.actions).std() > 0.1
        np.testing.assert_array_equal(a.actions, b.actions)
        np.testing.assert_array_equal(a.qpos, b.qpos)


def test_an_identity_decoder_is_the_plain_environment(
    arm: Environment, tmp_path: pathlib.Path
) -> None:
    widths = policies.widths(arm)
    options = {**OPTIONS, "hidden": [], "latent_size": arm.action_size}
    network = Network.of(options, widths, arm.action_size, recurrent=False)
    tensors = {k: np.zeros(shape, np.float32) for k, shape in network.shapes.items()}
    tensors["std"] += 1.0
    tensors["decoder/layer_0/weight"][: arm.action_size] = np.eye(arm.action_size)
    policies.declare(tmp_path, arm, "intention", options, tensors)
    identity = make(action=acting(tmp_path, scale=1.0))
    states = [env.reset(jax.random.key(0), clip=0, frame=3) for env in (arm, identity)]
    step = jax.jit(Environment.step)
    for i in range(5):
        action = jax.random.uniform(jax.random.key(i), (arm.action_size,), minval=-1.2, maxval=1.2)
        states = [
            step(env, state, action) for env, state in zip((arm, identity), states, strict=True)
        ]
        for name in ("control", "reward", "obs"):
            jax.tree.map(np.testing.assert_array_equal, *(getattr(s, name) for s in states))
        np.testing.assert_array_equal(states[0].physics.qpos, states[1].physics.qpos)


def latents(env: Environment, actions: list[jax.Array]) -> list[np.ndarray]:
    """What `walk` remembers after each action."""
    state, found = env.reset(jax.random.key(0), clip=0, frame=3), []
    step = jax.jit(Environment.step)
    for action in actions:
        state = step(env, state, action)
        found.append(np.asarray(state.remembered["latent"]))
        np.testing.assert_array_equal(state.obs["task"][:LATENTS], found[-1])
    return found


def test_a_walk_is_the_training_prior(plain: str) -> None:
    """A first-order autoregression with a correlation of 0.95 and unit variance; observed."""
    env = make(action=acting(plain, mode="walk", scale=1.0))
    assert list(env.observation_layout())[-1] == "task/latent"
    ones = jnp.ones(LATENTS)
    first, second = latents(env, [ones, -ones])
    np.testing.assert_allclose(first, np.sqrt(1 - 0.95**2), rtol=1e-5)
    np.testing.assert_allclose(second, 0.95 * first - np.sqrt(1 - 0.95**2), rtol=1e-4)
    state = jax.jit(env.reset)(jax.random.key(1))
    np.testing.assert_array_equal(state.obs["task"], 0.0)


def test_an_action_is_held(plain: str) -> None:
    env = make(action=acting(plain, hold=3))
    assert list(env.observation_layout())[-2:] == ["task/held_action", "task/hold_phase"]
    state, step = env.reset(jax.random.key(0), clip=0, frame=3), jax.jit(Environment.step)
    seen = []
    for i in range(5):
        state = step(env, state, jnp.full(LATENTS, 0.1 * (i + 1)))
        seen.append((float(state.remembered["held_action"][0]), int(state.obs["task"][-1])))
    np.testing.assert_allclose(seen, [(0.1, 1), (0.1, 2), (0.1, 0), (0.4, 1), (0.4, 2)], rtol=1e-6)


def test_what_is_remembered_begins_anew_with_each_episode(plain: str) -> None:
    env = make(action=acting(plain, mode="walk"), time_limit_s=0.02)
    step = jax.jit(Environment.step_autoreset)
    state = env.reset(jax.random.key(0))
    ends = 0
    for _ in range(9):
        state, result = step(env, state, jnp.ones(LATENTS))
        assert np.abs(result.obs["task"]).min() > 0
        ended = bool(result.truncated | result.terminated)
        ends += ended
        assert (np.abs(state.obs["task"]).max() == 0) == ended
    assert ends > 1


def test_faces_agree(folder: str) -> None:
    """Scalar, vector and functional environments: the same episodes from the same actions."""
    assert_faces_agree(folder, "native")


def test_faces_agree_on_an_accelerators_backend(plain: str) -> None:
    assert_faces_agree(plain, "mjx")


def assert_faces_agree(folder: str, backend: str) -> None:
    action = acting(folder, mode="walk", scale=2.0)
    options = {"action": action, "clips": "generated/tiny", "backend": backend}
    env = gymnasium.make(ARM, **options)
    env = gymnasium.make(EnvSpec.from_json(env.spec.to_json()))
    envs = gymnasium.make_vec(ARM, num_envs=2, **options)
    where = {"clip": 0, "frame": 3}
    obs, _ = env.reset(seed=0, options=where)
    wide, _ = envs.reset(seed=0, options=where)
    functional = env.unwrapped.functional
    state = functional.reset(jax.random.key(0), **where)
    step = jax.jit(Environment.step)
    rng = np.random.default_rng(0)
    for _ in range(6):
        np.testing.assert_allclose(obs, functional.flat(state.obs), rtol=1e-3, atol=2e-4)
        np.testing.assert_allclose(obs, wide[1], rtol=1e-3, atol=2e-4)
        action = rng.uniform(-1, 1, LATENTS).astype(np.float32)
        obs, *_ = env.step(action)
        wide, *_ = envs.step(np.stack([action, action]))
        state = step(functional, state, action)
    assert env.action_space.shape == (LATENTS,)


def test_gymnasiums_checker_is_content(plain: str) -> None:
    options = {"action": acting(plain, mode="walk", hold=2), "clips": "generated/tiny"}
    check_env(gymnasium.make(ARM, **options).unwrapped, skip_render_check=True)


def test_states_can_be_taken_and_set(folder: str) -> None:
    """On the host the observation that a decoder reads is a part of the state."""
    options = {"action": acting(folder, mode="walk"), "clips": "generated/tiny"}
    env, other = (gymnasium.make(ARM, **options).unwrapped for _ in range(2))
    env.reset(seed=0)
    action = np.full(LATENTS, 0.5, np.float32)
    env.step(action)
    other.set_state(env.get_state())
    for _ in range(3):
        np.testing.assert_array_equal(env.step(action)[0], other.step(action)[0])
    different = gymnasium.make(ARM, **{**options, "action": acting(folder, scale=1.0)}).unwrapped
    with pytest.raises(ValueError, match="action"):
        different.set_state(env.get_state())


COMMAND = [
    *(
        "--env",
        ARM,
        "--clips",
        "generated/tiny",
        "--eval-clips",
        "generated/tiny",
        "--threads",
        "1",
    ),
    *("--hidden", "8", "--steps", "96", "--ppo.environments", "8", "--ppo.minibatches", "2"),
    *("--ppo.unroll", "4", "--ppo.critic-hidden", "8", "--eval-every", "96"),
]


def test_training_leaves_the_decoder_as_it_is(
    arm: Environment, folder: str, tmp_path: pathlib.Path
) -> None:
    """And the policy, with its decoder beside it, acts in any environment of the task."""
    before = {p.name: p.read_bytes() for p in pathlib.Path(folder).iterdir()}
    command = [*COMMAND, "--out", str(tmp_path / "run"), "--action", "latent"]
    command += ["--action-options", f"decoder={folder}", "mode=walk", "scale=2"]
    assert train.main(command) == 0
    assert {p.name: p.read_bytes() for p in pathlib.Path(folder).iterdir()} == before
    own = tmp_path / "run" / "policy"
    for name in ("policy.json", "weights.safetensors"):
        assert (own / "decoder" / name).read_bytes() == before[name]
    assert json.loads((own / "policy.json").read_text())["action"] == {
        "kind": "latent",
        "mode": "walk",
        "scale": 2.0,
        "hold": 1,
    }
    scored = [x["score"] for x in log.read(tmp_path / "run") if x["kind"] == "evaluation"]
    clips = mimic_envs.clips.load("generated/tiny", "mouse_arm")
    through = make(action=acting(folder, mode="walk", scale=2.0))
    for env in (through, arm):
        found = scoring.score(env, policies.load(own, env), clips, "generated/tiny")
        assert found.score == pytest.approx(scored[-1], abs=2e-3)


def test_training_goes_on_as_if_it_had_not_stopped(plain: str, tmp_path: pathlib.Path) -> None:
    from tests.baselines.test_train import After, Console, ppo_run

    command = [*COMMAND, "--action", "latent"]
    command += ["--action-options", f"decoder={plain}", "mode=walk", "hold=2"]
    weights = []
    for name, stops in (("whole", (9,)), ("halves", (1, 9))):
        for updates in stops:
            arguments = train.parse([*command, "--out", str(tmp_path / name)])
            ppo_run.Run(arguments, Console(quiet=True)).train(After(updates))
        weights.append((tmp_path / name / "policy" / "weights.safetensors").read_bytes())
    assert weights[0] == weights[1]


def test_gradients_stop_at_no_weights_of_the_policy_only(plain: str) -> None:
    """The decoder's weights are arrays of the environment, so no trainer has them."""
    env = make(action=acting(plain))
    leaves = jax.tree.leaves(env.task.action)
    assert sum(x.size for x in leaves) > 100
    again = jax.tree.unflatten(jax.tree.structure(env.task.action), leaves)
    assert again == env.task.action
    assert hash(again) == hash(env.task.action)


def changed(folder: str, to: pathlib.Path, **changes: Any) -> pathlib.Path:
    """A copy of a policy whose `policy.json` says something else."""
    shutil.copytree(folder, to)
    record = json.loads((to / "policy.json").read_text())
    (to / "policy.json").write_text(json.dumps({**record, **changes}))
    return to


def test_what_cannot_be_reused_is_refused(plain: str, tmp_path: pathlib.Path) -> None:
    observation = json.loads((pathlib.Path(plain) / "policy.json").read_text())["observation"]
    shorter = {k: v for k, v in observation.items() if k != "proprioception/joint_velocities"}
    turned = dict(sorted(observation.items(), reverse=True))
    for number, (changes, message) in enumerate(
        (
            ({"body": "worm"}, r"it is for body 'worm', not 'mouse_arm'"),
            ({"architecture": "mlp"}, r"architecture 'mlp' has no decoder: train one with"),
            ({"action": "pd_targets"}, r"action 'pd_targets' follows a reference.*'posture'"),
            ({"action": "balance_residual"}, r"follows a reference"),
            ({"action": {"kind": "latent"}}, r"acts by the latents of another decoder"),
            ({"action": "torq"}, r"unknown action"),
            ({"actions": 3}, r"has 3 actions, not 9"),
            ({"observation": turned}, r"its entries are in another order"),
            ({"observation": shorter}, r"weights.safetensors: mean has shape"),
            ({"options": {}}, r"options must be"),
        )
    ):
        bad = changed(plain, tmp_path / str(number), **changes)
        with pytest.raises(ValueError, match=message):
            make(action=acting(bad))
    with pytest.raises(ValueError, match=r"no policy\.json, so this is no folder of a policy"):
        make(action=acting(tmp_path / "nothing"))
    with pytest.raises(ValueError, match="the environment has no proprioception/joint_velocities"):
        make(
            action=acting(plain),
            observations={"proprioception": {"joint_velocities": None}},
        )
    with pytest.raises(ValueError, match="the environment has no proprioception"):
        make(action=acting(plain), groups=("reference",))
    with pytest.raises(ValueError, match=r"there is no prior\.safetensors: fit one with"):
        make(action=acting(plain, mode="residual"))


def test_options_are_checked(plain: str) -> None:
    for action, message in (
        ({"kind": "latent"}, "action 'latent' needs the option 'decoder'"),
        ({"decoder": plain}, "needs the name of a term as 'kind'"),
        (acting(plain, scal=1.0), "unknown option of action 'latent' 'scal'; did you mean 'scale'"),
        (acting(plain, scale=-1.0), r"action\['scale'\] must be a positive number"),
        (acting(plain, mode="wlak"), r"unknown action\['mode'\] 'wlak'; did you mean 'walk'"),
        (acting(plain, hold=0), r"action\['hold'\] must be a positive integer"),
        ({"kind": "torque", "scale": 1.0}, "unknown option of action 'torque' 'scale'"),
    ):
        with pytest.raises(ValueError, match=message):
            make(action=action)


def test_a_prior_is_added_to_the_action(plain: str, tmp_path: pathlib.Path) -> None:
    """A prior that says the same everywhere moves every latent by that."""
    own = pathlib.Path(shutil.copytree(plain, tmp_path / "own"))
    probe = make(action=acting(own, scale=1.0))
    term = probe.task.action
    assert isinstance(term, Latent)
    width = dict(policies.widths(probe))["proprioception"]
    bias = np.zeros(2 * LATENTS, np.float32)
    bias[:LATENTS] = 0.25
    tensors = {"layer_0/weight": np.zeros((width, 2 * LATENTS), np.float32), "layer_0/bias": bias}
    safetensors.write(own / "prior.safetensors", tensors)
    head = {"format": "mimic_envs.prior", "version": 1, "decoder_sha256": decoder_hash(own)}
    (own / "prior.json").write_text(json.dumps({**head, "hidden": []}))
    env = make(action=acting(own, mode="residual", scale=1.0))
    state = env.reset(jax.random.key(0), clip=0, frame=3)
    apply = jax.jit(Environment.apply)
    np.testing.assert_allclose(
        apply(env, state, jnp.full(LATENTS, 0.5)).control,
        apply(probe, state, jnp.full(LATENTS, 0.75)).control,
        atol=1e-6,
    )
    (own / "prior.json").write_text(json.dumps({**head, "decoder_sha256": "", "hidden": []}))
    with pytest.raises(ValueError, match="the prior is of another decoder, fit it again"):
        make(action=acting(own, mode="residual"))


def decoder_hash(folder: pathlib.Path) -> str:
    from mimic_envs import bodies
    from mimic_envs.reuse import decoder

    return decoder.read(folder, bodies.get("mouse_arm")).sha256
