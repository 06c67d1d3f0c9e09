"""A task of one file from outside works with everything that the package has."""

from __future__ import annotations

import json
import pathlib

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode

import mimic_envs
from mimic_envs import cli, controllers, scoring
from mimic_envs.env import Environment
from mimic_envs.scoring import policies
from mimic_envs.tasks import imitation, registry
from tests.tasks import velocity_task

ID = "mimic_envs/StickInsect-v1"
TASK = "tests.tasks.velocity_task"


@pytest.fixture(scope="module")
def env() -> Environment:
    return mimic_envs.make("stick_insect", task=velocity_task, duration_s=0.2)


def test_the_task_is_one_short_file() -> None:
    assert len(pathlib.Path(velocity_task.__file__).read_text().splitlines()) <= 120


def test_a_module_without_a_name_is_called_as_its_file() -> None:
    assert registry.find(imitation)[0] == registry.find("imitation")[0] == "imitation"
    assert registry.find(velocity_task)[0] == registry.find(TASK)[0] == "walk_ahead"


def test_goal_reward_score_and_end(env: Environment) -> None:
    state, step = env.reset(jax.random.key(0), speed=0.0), jax.jit(Environment.step)
    assert list(state.obs) == ["proprioception", "command"]
    assert float(state.obs["command"][0]) == 0.0
    for _ in range(20):
        state = step(env, state, jnp.zeros(env.action_size))
    assert bool(state.truncated)
    error = float(state.metrics["error/speed"])
    assert float(state.metrics["score"]) == pytest.approx(np.exp(-abs(error) / 3.15), rel=1e-5)
    kernel = np.exp(-0.5 * (error / 3.0) ** 2)
    assert float(state.metrics["reward/speed"]) == pytest.approx(kernel, rel=1e-5)
    drawn = env.reset(jax.random.key(1)).command.speed
    assert 0 < float(drawn) < 2 * 3.15


def test_proprioception_is_that_of_imitation(env: Environment) -> None:
    """Entry by entry, which makes decoders portable."""
    imitation = mimic_envs.make("stick_insect", clips="generated/tiny").observation_layout()
    own = env.observation_layout()
    names = [name for name in imitation if name.startswith("proprioception/")]
    assert [(name, own[name]) for name in names] == [(name, imitation[name]) for name in names]


def test_gymnasium_accepts_it() -> None:
    one = gymnasium.make(ID, task=TASK, duration_s=0.2)
    check_env(one.unwrapped, skip_render_check=True)
    _, info = one.reset(seed=0, options={"speed": 1.5})
    assert info["speed"] == 1.5
    again = gymnasium.make(gymnasium.envs.registration.EnvSpec.from_json(one.spec.to_json()))
    np.testing.assert_array_equal(again.reset(seed=3)[0], one.reset(seed=3)[0])
    with pytest.raises(ValueError, match="unknown reset option 'sped'; did you mean 'speed'"):
        one.reset(options={"sped": 1.0})


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_vector_env_is_made_of_scalar_ones(mode: AutoresetMode) -> None:
    options = {"task": TASK, "duration_s": 0.05}
    envs = gymnasium.make_vec(ID, num_envs=2, autoreset_mode=mode, **options)
    sync = gymnasium.vector.SyncVectorEnv(
        [lambda: gymnasium.make(ID, **options)] * 2, autoreset_mode=mode
    )
    a, b = envs.reset(seed=4), sync.reset(seed=4)
    np.testing.assert_array_equal(a[0], b[0])
    actions = np.full(envs.action_space.shape, 0.1, np.float32)
    for k in range(4 if mode is AutoresetMode.DISABLED else 12):
        a, b = envs.step(actions), sync.step(actions)
        for x, y in zip(a[:4], b[:4], strict=True):
            np.testing.assert_allclose(x, y, atol=1e-4, rtol=1e-4)
        assert a[3].all() == (k % (5 if mode is AutoresetMode.SAME_STEP else 6) == 4)


def test_controllers_serve_it_or_say_why_not(env: Environment) -> None:
    state = env.reset(jax.random.key(0))
    for name in ("zero", "random"):
        one = controllers.make(name, env)
        assert one.act(one.params, state, jax.random.key(0)).shape == (env.action_size,)
    for name, reason in (
        ("pd", "'pd' follows a reference pose, and task 'walk_ahead' has none"),
        ("wbc", "'wbc' follows clips, and task 'walk_ahead' has none"),
        ("mpc", "'mpc' follows clips, and task 'walk_ahead' has none"),
    ):
        with pytest.raises(ValueError, match=reason):
            controllers.make(name, env)
    with pytest.raises(ValueError, match="'pd_targets' follows a reference pose"):
        mimic_envs.make("stick_insect", task=velocity_task, action="pd_targets")


def test_scores_latch_at_the_first_failure(env: Environment) -> None:
    results = scoring.score(env, controllers.make("zero", env))
    assert results.trials == ("stand", "walk")
    assert results.metrics["score"].shape == (1, 2)
    state, step, scores = env.reset(jax.random.key(0), speed=0.0), jax.jit(Environment.step), []
    failed = False
    for _ in range(20):
        state = step(env, state, jnp.zeros(env.action_size))
        failed |= bool(state.terminated)  # without torques it sinks to the floor
        scores.append(0.0 if failed else float(state.metrics["score"]))
    assert results.metrics["score"][0, 0] == pytest.approx(np.mean(scores), rel=1e-5)
    fails = mimic_envs.make(
        "stick_insect", task=velocity_task, duration_s=0.2, terminations={"fallen": (5.0, 9.0)}
    )
    latched = scoring.score(fails, controllers.make("zero", fails))
    np.testing.assert_array_equal(latched.metrics["score"], 0.0)
    trials = latched.to_json()["trials"]
    assert (trials["names"], trials["scored_frames"]) == (["stand", "walk"], [20, 20])


def test_the_commands_score_and_play_it(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "velocity.json"
    cli.main(["score", ID, "--task", TASK, "--controller", "zero", "--out", str(out), "--plot"])
    assert "stand" in capsys.readouterr().out
    assert json.loads(out.read_text())["task"] == "walk_ahead"
    assert out.with_suffix(".png").stat().st_size > 1000
    video = tmp_path / "walk.mp4"
    command = ["play", ID, "--task", TASK, "--controller", "zero", "--clip", "walk"]
    cli.main([*command, "--out", str(video), "--width", "64", "--height", "48"])
    assert video.stat().st_size > 1000


@pytest.mark.parametrize("action", ["torque", "posture"])
def test_our_ppo_trains_on_it(
    tmp_path: pathlib.Path, action: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from baselines import train

    command = ["--env", ID, "--task", TASK, "--action", action, "--steps", "96"]
    command += ["--hidden", "8", "--ppo.critic-hidden", "8", "--threads", "1"]
    command += ["--ppo.environments", "8", "--ppo.minibatches", "2", "--ppo.unroll", "4"]
    assert train.main([*command, "--out", str(tmp_path / "run")]) == 0
    assert f"on the trials of task '{TASK}'" in " ".join(capsys.readouterr().out.split())
    env = mimic_envs.make("stick_insect", task=velocity_task)
    policy = policies.load(tmp_path / "run" / "policy", env)
    assert 0 <= scoring.score(env, policy).score <= 1
    imitation = mimic_envs.make("stick_insect", clips="generated/tiny")
    with pytest.raises(ValueError, match="is for task 'walk_ahead', not 'imitation'"):
        policies.load(tmp_path / "run" / "policy", imitation)


def test_dagger_trains_on_it(tmp_path: pathlib.Path) -> None:
    from baselines import distill

    command = ["--env", ID, "--task", TASK, "--action", "torque", "--teacher", "zero"]
    command += ["--hidden", "8", "--threads", "1", "--dagger.rounds", "2"]
    command += ["--dagger.environments", "4", "--dagger.unroll", "4", "--dagger.batch", "2"]
    command += ["--dagger.gradient-steps", "4"]
    assert distill.main([*command, "--out", str(tmp_path / "run")]) == 0
