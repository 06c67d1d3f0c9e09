"""Brax's PPO on our environments, see `baselines.brax_ppo`.

Brax's trainer is used as it is released; `mimic_envs.adapters.brax` says what stands between it and
an environment of ours.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import pathlib
from typing import TYPE_CHECKING, Any

import jax
from brax.training.agents.ppo import networks
from brax.training.agents.ppo import train as brax_ppo
from rich.console import Console

from baselines.exported import Mlp, Record
from baselines.runs import body_of, clip_options, make_env, reward_scale
from baselines.stop import Stop
from mimic_envs import adapters

if TYPE_CHECKING:
    from baselines.brax_ppo import Arguments, Settings


@dataclasses.dataclass(frozen=True)
class ScoreReward:
    """An environment whose reward has the frame's score added, as `mimic_envs.adapters` take it.

    Attributes:
        env: What has `reset`, `step_autoreset`, `flat` and `action_size`, as `Environment`.
        weight: How much of the score is added.
    """

    env: Any
    weight: float

    def reset(self, key: jax.Array) -> Any:
        """See `Environment.reset`."""
        return self.env.reset(key)

    def step_autoreset(self, state: Any, action: jax.Array) -> tuple[Any, Any]:
        """See `Environment.step_autoreset`."""
        state, result = self.env.step_autoreset(state, action)
        reward = result.reward + self.weight * result.metrics["score"]
        return state, dataclasses.replace(result, reward=reward)

    def flat(self, obs: dict[str, jax.Array]) -> jax.Array:
        """See `Environment.flat`."""
        return self.env.flat(obs)

    @property
    def action_size(self) -> int:
        """Numbers in an action."""
        return self.env.action_size


def export(params: Any, action_size: int) -> Mlp:
    """The most likely actions of a policy with `tanh_normal` actions, Brax's default.

    Args:
        params: What `ppo.train` gives `policy_params_fn` and returns.
        action_size: Numbers in an action; the network's other outputs are their spread.
    """
    statistics, policy = jax.device_get((params[0], params[1]["params"]))
    layers = [policy[f"hidden_{i}"] for i in range(len(policy))]
    weights, biases = [x["kernel"] for x in layers], [x["bias"] for x in layers]
    weights[-1], biases[-1] = weights[-1][:, :action_size], biases[-1][:action_size]
    return Mlp(
        mean=statistics.mean,
        std=statistics.std,
        clip=1e30,  # Brax clips nothing
        weights=weights,
        biases=biases,
        activation="swish",
        squash=True,
    )


class _Stopped(Exception):
    """Brax's trainer can be left in no other way."""


class _Watch:
    """Logs and scores at each of Brax's pauses, and ends training in one if asked to."""

    def __init__(self, arguments: Arguments, record: Record, action_size: int, stop: Stop) -> None:
        self._per_update = steps_per_update(arguments.ppo)
        self._record, self._action_size, self._stop = record, action_size, stop

    def score(self, steps: int, _: Any, params: Any) -> None:
        """Brax's `policy_params_fn`."""
        policy = export(params, self._action_size)
        self._record.score(steps // self._per_update, steps, policy)
        if self._stop.asked:
            raise _Stopped

    def log(self, steps: int, metrics: dict[str, Any]) -> None:
        """Brax's `progress_fn`."""
        values = {name.replace("training/", "train/"): float(x) for name, x in metrics.items()}
        self._record.update(steps // self._per_update, steps, values)


def steps_per_update(ppo: Settings) -> int:
    """Environment steps that an update collects."""
    return ppo.batch_size * ppo.num_minibatches * ppo.unroll_length


class Run:
    """A training run in its folder.

    Args:
        arguments: What to do.
        console: Where to report.

    Attributes:
        directory: The folder.
        result: Brax's `make_policy` and parameters, once training has come to its end.

    Raises:
        ValueError: Something unknown or unusable.
        OSError: Another process trains there, or the folder cannot be written to.
    """

    def __init__(self, arguments: Arguments, console: Console) -> None:
        body = body_of(arguments.env)
        self._arguments = arguments
        options = {"threads": arguments.threads} if arguments.backend == "native" else {}
        self._env = make_env(
            body,
            arguments.task,
            clip_options(
                arguments.task,
                arguments.clips,
                first_frame_share=arguments.first_frame_share,
            ),
            backend=arguments.backend,
            backend_options=options,
        )
        self.directory = arguments.out or pathlib.Path("runs") / f"{body}-brax-seed{arguments.seed}"
        self.result: tuple[Any, Any] | None = None
        settings = {"algorithm": "brax_ppo", **dataclasses.asdict(arguments)}
        self._record = Record(self.directory, settings, console)

    def train(self, stop: Stop) -> bool:
        """Train to the end, or until asked to stop; whether to the end.

        Args:
            stop: Asked after every score: Brax pauses at no other time.
        """
        with contextlib.closing(self._record):
            try:
                self.result = self._train(stop)
            except _Stopped:
                return False
        return True

    def _train(self, stop: Stop) -> tuple[Any, Any]:
        arguments, env = self._arguments, self._env
        watch = _Watch(arguments, self._record, env.action_size, stop)
        adapted = adapters.brax(ScoreReward(env, arguments.score_weight))
        with adapters.jax_for_brax():
            make_policy, params, _ = brax_ppo.train(
                adapted,
                arguments.steps,
                wrap_env_fn=adapted.wrap,
                episode_length=1 + max(n for _, n in env.task.command.trials.values()),
                normalize_observations=True,
                reward_scaling=reward_scale(env, arguments.score_weight, arguments.ppo.discounting),
                network_factory=functools.partial(
                    networks.make_ppo_networks,
                    policy_hidden_layer_sizes=arguments.hidden,
                    value_hidden_layer_sizes=arguments.hidden,
                ),
                seed=arguments.seed,
                # the scores are ours: Brax only pauses for them, before the first step too
                run_evals=False,
                num_evals=1 + max(round(arguments.steps / arguments.eval_every), 1),
                num_eval_envs=1,
                policy_params_fn=watch.score,
                progress_fn=watch.log,
                **dataclasses.asdict(arguments.ppo),
            )
        return make_policy, params
