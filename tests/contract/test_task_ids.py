"""Ids of tasks besides imitation: each makes its task, is deterministic, and says who it is."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec

import mimic_envs
from mimic_envs import assembly, bodies, tasks
from mimic_envs.cli import console


@pytest.mark.parametrize("env_id", mimic_envs.TASK_IDS)
def test_episodes_of_one_seed_are_the_same(env_id: str) -> None:
    body, task = mimic_envs.TASK_IDS[env_id]
    env = gymnasium.make(env_id)
    inner = env.unwrapped
    assert (inner.functional.body.name, inner.functional.task.name) == (body, task)
    runs = []
    for _ in range(2):
        observation, info = env.reset(seed=3)
        env.action_space.seed(3)
        seen, rewards = [observation], []
        for _ in range(3):
            observation, reward, *_, info = env.step(env.action_space.sample())
            seen.append(observation)
            rewards.append(reward)
        assert env.observation_space.contains(observation)
        assert 0.0 <= info["score"] <= 1.0
        runs.append((np.array(seen), rewards))
    np.testing.assert_array_equal(runs[0][0], runs[1][0])
    assert runs[0][1] == runs[1][1]
    again = EnvSpec.from_json(env.spec.to_json())
    assert again.kwargs == env.spec.kwargs == {"body": body, "task": task}
    env.close()


def test_every_task_of_every_body_has_an_id() -> None:
    """But for combinations whose numbers the table of the tasks does not have."""
    listed = set(mimic_envs.TASK_IDS.values())
    without = {(b, t) for b in ("fly", "stick_insect") for t in ("gap_jump", "maze")}
    for task in set(tasks.names()) - {"imitation"}:
        for body in bodies.names():
            try:
                assembly.assemble(body, task=task)
            except ValueError:
                assert (body, task) not in listed
            else:
                assert (body, task) in listed | without


def test_an_id_is_of_its_animal() -> None:
    with pytest.raises(ValueError, match="is the environment of body 'rodent', got body 'fly'"):
        gymnasium.make("mimic_envs/RodentVelocity-v1", body="fly")


def test_commands_take_the_task_from_the_id() -> None:
    env, source = console.scored_env("mimic_envs/MouseArmReach-v1", "generated/test")
    assert (env.body.name, env.task.name, source) == ("mouse_arm", "reach", None)
    env, source = console.scored_env(
        "mimic_envs/MouseArmReach-v1", "generated/test", task="imitation"
    )
    assert env.task.name == "imitation"
    assert source is not None
    with pytest.raises(ValueError, match="did you mean 'mimic_envs/MouseArmReach-v1'"):
        console.scored_env("mimic_envs/MouseArmReech-v1", "generated/test")
