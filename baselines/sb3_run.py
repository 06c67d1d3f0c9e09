"""Stable-Baselines3's PPO on our environments, see `baselines.sb3_ppo`."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import pathlib
import time
from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np
import torch
from rich.console import Console
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper, VecNormalize

from baselines.exported import Mlp, Record
from baselines.runs import body_of, clip_options
from baselines.stop import Stop
from mimic_envs import adapters

if TYPE_CHECKING:
    from baselines.sb3_ppo import Arguments


class ScoreReward(VecEnvWrapper):
    """Adds the frame's score to the reward.

    Args:
        env: Environments whose `infos` hold `score`, as those of `mimic_envs.adapters.sb3`.
        weight: How much of the score is added.
    """

    def __init__(self, env: VecEnv, weight: float) -> None:
        super().__init__(env)
        self._weight = weight

    def reset(self) -> Any:
        """First observations, (n, D)."""
        return self.venv.reset()

    def step_wait(self) -> tuple[Any, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        """Observations, rewards, ends of episodes, and infos."""
        obs, reward, done, infos = self.venv.step_wait()
        score = np.array([info["score"] for info in infos])
        return obs, reward + self._weight * score, done, infos


def make_env(arguments: Arguments) -> VecNormalize:
    """The environments to train in, observations and rewards normalised by running statistics."""
    env = gymnasium.make_vec(
        arguments.env,
        num_envs=arguments.environments,
        task=arguments.task,
        **clip_options(
            arguments.task, arguments.clips, first_frame_share=arguments.first_frame_share
        ),
        backend_options={"threads": arguments.threads},
    )
    scored = ScoreReward(adapters.sb3(env), arguments.score_weight)
    return VecNormalize(scored, gamma=arguments.ppo.gamma)


def make_model(arguments: Arguments, env: VecNormalize) -> PPO:
    """Stable-Baselines3's PPO, its arguments as in `Settings` and else at their defaults."""
    hidden = list(arguments.hidden)
    return PPO(
        "MlpPolicy",
        env,
        seed=arguments.seed,
        device="cpu",
        policy_kwargs={
            "net_arch": {"pi": hidden, "vf": hidden},
            "log_std_init": math.log(arguments.initial_std),
        },
        **dataclasses.asdict(arguments.ppo),
    )


def export(model: PPO, env: VecNormalize) -> Mlp:
    """The most likely actions of a model, observation statistics included."""
    net, last = model.policy.mlp_extractor.policy_net, model.policy.action_net
    layers = [x for x in net if isinstance(x, torch.nn.Linear)] + [last]
    return Mlp(
        mean=env.obs_rms.mean,
        std=np.sqrt(env.obs_rms.var + env.epsilon),
        clip=env.clip_obs,
        weights=[x.weight.detach().numpy().T for x in layers],
        biases=[x.bias.detach().numpy() for x in layers],
        activation=model.policy.activation_fn.__name__.lower(),
        squash=False,
    )


class _Watch(BaseCallback):
    """Logs every update, scores when it is time, and ends training when the time is up."""

    def __init__(self, arguments: Arguments, env: VecNormalize, record: Record, stop: Stop) -> None:
        super().__init__()
        self._env, self._record, self._stop = env, record, stop
        self._every = arguments.eval_every
        self._limit_s = math.inf if arguments.minutes is None else 60 * arguments.minutes
        self._updates, self._scored_at = 0, -1
        self._rewards: list[float] = []
        self._mark = time.perf_counter()

    def _on_rollout_start(self) -> None:
        if self.num_timesteps:
            self._log_update()
        if self._scored_at < 0 or self.num_timesteps - self._scored_at >= self._every:
            self._score()
        self._rewards, self._mark = [], time.perf_counter()

    def _on_step(self) -> bool:
        self._rewards.append(float(self._env.get_original_reward().mean()))
        return self._record.elapsed_s < self._limit_s and not self._stop.asked

    def _on_training_end(self) -> None:
        if self._scored_at < self.num_timesteps:
            self._score()

    def _log_update(self) -> None:
        self._updates += 1
        steps = len(self._rewards) * self._env.num_envs
        learned = {k: float(v) for k, v in self.logger.name_to_value.items() if "train/" in k}
        self._record.update(
            self._updates,
            self.num_timesteps,
            {
                "steps_per_s": steps / (time.perf_counter() - self._mark),
                "rollout/reward": float(np.mean(self._rewards)),
                **learned,
            },
        )

    def _score(self) -> None:
        self._scored_at = self.num_timesteps
        self._record.score(self._updates, self.num_timesteps, export(self.model, self._env))


class Run:
    """A training run in its folder.

    Args:
        arguments: What to do.
        console: Where to report.

    Attributes:
        directory: The folder.
        env: The environments trained in.
        model: What is trained.

    Raises:
        ValueError: Something unknown or unusable.
        OSError: Another process trains there, or the folder cannot be written to.
    """

    def __init__(self, arguments: Arguments, console: Console) -> None:
        body = body_of(arguments.env)
        self._arguments = arguments
        self.directory = arguments.out or pathlib.Path("runs") / f"{body}-sb3-seed{arguments.seed}"
        torch.set_num_threads(arguments.torch_threads)
        self.env = make_env(arguments)
        self.model = make_model(arguments, self.env)
        settings = {"algorithm": "sb3_ppo", "backend": "native", **dataclasses.asdict(arguments)}
        self._record = Record(self.directory, settings, console)

    def train(self, stop: Stop) -> bool:
        """Train to the end, until the time is up, or until asked to stop; whether not the last.

        Args:
            stop: Asked after every step. The policy is scored and exported then, too.
        """
        with contextlib.closing(self._record):
            watch = _Watch(self._arguments, self.env, self._record, stop)
            # nothing goes to Stable-Baselines3's own log
            self.model.learn(self._arguments.steps, watch, log_interval=None)
        return not stop.asked
