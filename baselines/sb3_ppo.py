"""Stable-Baselines3's PPO: `python -m baselines.sb3_ppo --env mimic_envs/MouseArm-v0 --minutes 10`.

For comparison. Needs `pip install -e '.[baselines,sb3]'`. The run's folder holds `config.json`,
`metrics.jsonl` and `policy/`, which `mimic-envs score --policy` reads.
"""

from __future__ import annotations

import dataclasses
import math
import pathlib
import sys
import time
from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
import torch
import tyro
from gymnasium.vector import AutoresetMode
from rich.console import Console
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecEnv, VecNormalize

from baselines.exported import Mlp, Record
from baselines.runs import body_of


@dataclasses.dataclass(frozen=True)
class Settings:
    """Hyper-parameters by their names in Stable-Baselines3.

    Its own are for few environments: 2048, 64, 10, 0.99, 0.95, 3e-4, 0.2, 0, 0.5 and 0.5. Of those
    that were tried (docs/baselines.md) these learned fastest.
    """

    n_steps: int = 16
    """Control steps of each environment per update."""
    batch_size: int = 256
    """Steps in a minibatch."""
    n_epochs: int = 4
    gamma: float = 0.95
    gae_lambda: float = 0.9
    learning_rate: float = 1e-3
    clip_range: float = 0.2
    ent_coef: float = 0.0
    vf_coef: float = 0.5
    max_grad_norm: float = 1.0


@dataclasses.dataclass(frozen=True)
class Arguments:
    """What to train, on what, and for how long."""

    env: str
    """Environment id, for example mimic_envs/MouseArm-v0."""
    out: pathlib.Path | None = None
    """Folder of the run; runs/<body>-sb3-seed<seed> if absent."""
    steps: int = 2_000_000
    """Environment steps, rounded up to whole updates."""
    minutes: float | None = None
    """Wall time, scores included, after which training ends even if steps are left."""
    seed: int = 0
    clips: str = "builtin/train"
    """Clips to train on: a built-in set or a file."""
    eval_clips: str = "builtin/test"
    """Clips to score on by protocol mimic-1."""
    eval_every: int = 250_000
    """Environment steps between two scores."""
    threads: int = 0
    """Threads of physics; 0 takes one per CPU."""
    torch_threads: int = 1
    """Threads of PyTorch. More of them wait for each other most of the time: on two busy cores,
    an update with two took twenty times as long as with one."""
    environments: int = 128
    """Environments that run side by side."""
    hidden: tuple[int, ...] = (256, 256)
    """Widths of the hidden layers of policy and critic, which share none."""
    initial_std: float = 0.3
    """Standard deviation of actions before training."""
    score_weight: float = 0.0
    """Weight of the frame's score in the reward, as in baselines.train."""
    first_frame_share: float = 0.0
    """Share of the episodes that begin at a clip's first frame, as in baselines.train."""
    ppo: Settings = dataclasses.field(default_factory=Settings)


class Sb3VecEnv(VecEnv):
    """A Gymnasium vector environment as Stable-Baselines3 wants it.

    Its environments reset within the step that ends an episode, and the observation before the
    reset comes with the step, so that an episode that is only cut off (the clip's end) is
    bootstrapped from there.

    Args:
        env: In autoreset mode SAME_STEP.
        score_weight: How much of `infos["score"]` is added to the reward.

    Raises:
        ValueError: Another autoreset mode.
    """

    def __init__(self, env: gymnasium.vector.VectorEnv, score_weight: float = 0.0) -> None:
        mode = env.metadata.get("autoreset_mode")
        if mode is not AutoresetMode.SAME_STEP:
            raise ValueError(f"autoreset_mode must be {AutoresetMode.SAME_STEP}, got {mode}")
        self._env, self._score_weight = env, score_weight
        self._actions: np.ndarray | None = None
        super().__init__(env.num_envs, env.single_observation_space, env.single_action_space)

    def reset(self) -> np.ndarray:
        """First observations, (n, D); seeds given before count once."""
        obs, _ = self._env.reset(seed=self._seeds)
        self._reset_seeds()
        return obs

    def step_async(self, actions: np.ndarray) -> None:
        """Take the actions of the next step."""
        self._actions = actions

    def step_wait(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        """Observations, rewards, ends of episodes, and what else there is at ends."""
        obs, reward, terminated, truncated, infos = self._env.step(self._actions)
        done = terminated | truncated
        if self._score_weight:
            reward = reward + self._score_weight * _of_the_step("score", infos, done)
        records: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for i in np.flatnonzero(done):
            records[i]["terminal_observation"] = infos["final_obs"][i]
            records[i]["TimeLimit.truncated"] = bool(truncated[i] and not terminated[i])
        return obs, reward, done, records

    def close(self) -> None:
        """Close the environments."""
        self._env.close()

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """An attribute, once for each environment: all share it."""
        return [getattr(self._env, attr_name)] * len(self._chosen(indices))

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Not possible: there are no single environments inside."""
        raise TypeError(f"cannot set {attr_name!r} of single environments of a vector environment")

    def env_method(
        self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any
    ) -> list[Any]:
        """Not possible: there are no single environments inside."""
        raise TypeError(f"cannot call {method_name!r} of single environments")

    def env_is_wrapped(self, wrapper_class: type, indices: Any = None) -> list[bool]:
        """False for each environment."""
        return [False] * len(self._chosen(indices))

    def _chosen(self, indices: int | Sequence[int] | None) -> Sequence[int]:
        return list(self._get_indices(indices))


def _of_the_step(name: str, infos: dict[str, Any], done: np.ndarray) -> np.ndarray:
    """A metric of the step just made; that of ended episodes is among their final infos."""
    value = np.zeros(len(done))
    for mask, found in ((~done, infos), (done, infos.get("final_info", {}))):
        if mask.any():
            value[mask] = found[name][mask]
    return value


def make_env(arguments: Arguments) -> VecNormalize:
    """The environments to train in, observations and rewards normalised by running statistics."""
    env = gymnasium.make_vec(
        arguments.env,
        num_envs=arguments.environments,
        clips=arguments.clips,
        first_frame_share=arguments.first_frame_share,
        backend_options={"threads": arguments.threads},
        autoreset_mode=AutoresetMode.SAME_STEP,
    )
    return VecNormalize(Sb3VecEnv(env, arguments.score_weight), gamma=arguments.ppo.gamma)


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

    def __init__(self, arguments: Arguments, env: VecNormalize, record: Record) -> None:
        super().__init__()
        self._env, self._record = env, record
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
        return self._record.elapsed_s < self._limit_s

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


def train(arguments: Arguments, console: Console) -> tuple[PPO, VecNormalize]:
    """Train to the end and leave the run's folder.

    Raises:
        ValueError: Something unknown or unusable.
    """
    body = body_of(arguments.env)
    directory = arguments.out or pathlib.Path("runs") / f"{body}-sb3-seed{arguments.seed}"
    torch.set_num_threads(arguments.torch_threads)
    settings = {"algorithm": "sb3_ppo", "backend": "native", **dataclasses.asdict(arguments)}
    record = Record(directory, settings, console)
    env = make_env(arguments)
    model = make_model(arguments, env)
    # nothing goes to Stable-Baselines3's own log
    model.learn(arguments.steps, _Watch(arguments, env, record), log_interval=None)
    record.close()
    console.print(f"done: {directory / 'policy'}")
    return model, env


def main(argv: list[str] | None = None) -> int:
    """Train as the command line says; returns the exit status."""
    arguments = tyro.cli(Arguments, args=argv, prog="python -m baselines.sb3_ppo")
    console = Console()
    try:
        train(arguments, console)
    except (ValueError, FileNotFoundError) as error:
        console.print(f"[red]error:[/red] {error}")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
