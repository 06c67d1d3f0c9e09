"""Brax's PPO on our environments: `python -m baselines.brax_ppo --env mimic_envs/MouseArm-v0`.

For comparison. Needs `pip install -e '.[baselines,brax]'`. Brax's trainer is used as it is
released; two things stand between it and an environment of ours:

- Brax 0.14.2 calls `jax.device_put_replicated`, which JAX has removed. `_replicated` does what
  it did, and JAX has it back while Brax trains (`_with_replication`).
- Brax's own wrappers would always restart an environment in the one state that it first began
  in, and would take the end of a clip for a failure, as they know no other truncation than their
  own limit of steps. `BraxEnv` resets by itself, to a fresh clip and frame, and says in `info`
  which ends are truncations; around it goes nothing but Brax's `VmapWrapper`.

Brax leaves the last step of a truncated episode out of the loss, and lets returns go on with the
value of the observation before that step.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import pathlib
import sys
from collections.abc import Iterator, Sequence
from typing import Any
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from brax.envs.base import Env, State
from brax.envs.wrappers.training import VmapWrapper
from brax.training.agents.ppo import networks
from brax.training.agents.ppo import train as brax_ppo
from rich.console import Console

import mimic_envs
from baselines.exported import Mlp, Record
from baselines.runs import body_of
from mimic_envs.env import FunctionalEnv, flatten


@dataclasses.dataclass(frozen=True)
class Settings:
    """Hyper-parameters by their names in Brax."""

    num_envs: int = 128
    """Environments that run side by side."""
    unroll_length: int = 16
    """Control steps of each environment per update."""
    batch_size: int = 16
    """Stretches of `unroll_length` steps in a minibatch."""
    num_minibatches: int = 8
    num_updates_per_batch: int = 4
    """Passes over the collected steps per update."""
    discounting: float = 0.95
    gae_lambda: float = 0.9
    learning_rate: float = 1e-3
    clipping_epsilon: float = 0.2
    entropy_cost: float = 0.0
    max_grad_norm: float = 1.0

    def __post_init__(self) -> None:
        if self.batch_size * self.num_minibatches % self.num_envs:
            raise ValueError(
                f"batch_size={self.batch_size} times num_minibatches={self.num_minibatches} must "
                f"be a multiple of num_envs={self.num_envs}"
            )


@dataclasses.dataclass(frozen=True)
class Arguments:
    """What to train, on what, and for how long."""

    env: str
    """Environment id, for example mimic_envs/MouseArm-v0."""
    out: pathlib.Path | None = None
    """Folder of the run; runs/<body>-brax-seed<seed> if absent."""
    steps: int = 2_000_000
    """Environment steps, rounded up to whole updates and equal parts between scores."""
    seed: int = 0
    clips: str = "builtin/train"
    """Clips to train on: a built-in set or a file."""
    eval_clips: str = "builtin/test"
    """Clips to score on by protocol mimic-1."""
    eval_every: int = 250_000
    """Environment steps between two scores."""
    backend: str = "native"
    """Physics to train with."""
    threads: int = 0
    """Threads of the native backend; 0 takes one per CPU."""
    hidden: tuple[int, ...] = (256, 256)
    """Widths of the hidden layers of policy and critic, which share none."""
    score_weight: float = 0.0
    """Weight of the frame's score in the reward, as in baselines.train."""
    first_frame_share: float = 0.0
    """Share of the episodes that begin at a clip's first frame, as in baselines.train."""
    ppo: Settings = dataclasses.field(default_factory=Settings)


class BraxEnv(Env):
    """One of our environments behind Brax's interface. Do not wrap it for automatic resets.

    Its `pipeline_state` is our own state. `info["truncation"]` is 1 where `done` is the end of a
    clip and no failure; with `info["steps"]`, `info["episode_done"]` and
    `info["episode_metrics"]` there is all that Brax's trainer reads.

    Args:
        env: What has `reset` and `step_autoreset`, as `FunctionalEnv`.
        action_size: Numbers in an action.
        score_weight: How much of the frame's score is added to the reward.
    """

    def __init__(self, env: Any, action_size: int, score_weight: float = 0.0) -> None:
        self._env, self._action_size, self._score_weight = env, action_size, score_weight

    def reset(self, rng: jax.Array) -> State:
        """A random frame of a random clip."""
        state = self._env.reset(rng)
        zero = jnp.zeros(())
        names = ("truncation", "steps", "episode_done")
        info = {**dict.fromkeys(names, zero), "episode_metrics": self._totals(zero, zero)}
        return State(state, flatten(state.obs), zero, zero, info=info)

    def step(self, state: State, action: jax.Array) -> State:
        """One control step, and the next episode's first observation where one has ended."""
        moved, result = self._env.step_autoreset(state.pipeline_state, action)
        reward = result.reward
        if self._score_weight:
            reward = reward + self._score_weight * result.metrics["score"]
        info, goes_on = state.info, 1.0 - state.info["episode_done"]
        done = (result.terminated | result.truncated).astype(jnp.float32)
        steps = info["steps"] * goes_on + 1.0
        total = info["episode_metrics"]["sum_reward"] * goes_on + reward
        info = {
            "truncation": (result.truncated & ~result.terminated).astype(jnp.float32),
            "steps": steps,
            "episode_done": done,
            "episode_metrics": self._totals(total, steps),
        }
        return state.replace(
            pipeline_state=moved, obs=flatten(moved.obs), reward=reward, done=done, info=info
        )

    def _totals(self, reward: jax.Array, length: jax.Array) -> dict[str, jax.Array]:
        return {"sum_reward": reward, "length": length}

    @property
    def observation_size(self) -> int:
        """Numbers in the flat observation."""
        return jax.eval_shape(self.reset, jax.random.PRNGKey(0)).obs.shape[-1]

    @property
    def action_size(self) -> int:
        """Number of actuators."""
        return self._action_size

    @property
    def backend(self) -> str:
        """The physics is ours."""
        return "mimic_envs"


def wrap(env: Env, **_: Any) -> VmapWrapper:
    """Brax's `wrap_env_fn` for a `BraxEnv`: a batch of them and nothing else."""
    return VmapWrapper(env)


def _replicated(tree: Any, devices: Sequence[jax.Device]) -> Any:
    """Every array with a new leading axis, along which each device has one copy of it."""
    # Brax's own name of that axis: with another one the training step compiles twice
    mesh = jax.sharding.Mesh(np.array(devices), ("i",))
    along = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("i"))

    def copies(x: Any) -> jax.Array:
        x = jnp.asarray(x)
        return jax.device_put(jnp.broadcast_to(x, (len(devices), *x.shape)), along)

    return jax.tree.map(copies, tree)


@contextlib.contextmanager
def _with_replication() -> Iterator[None]:
    if hasattr(jax, "device_put_replicated"):
        yield
        return
    with mock.patch.object(jax, "device_put_replicated", _replicated, create=True):
        yield


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


class _Watch:
    """Logs and scores at each of Brax's pauses."""

    def __init__(self, arguments: Arguments, record: Record, action_size: int) -> None:
        self._per_update = steps_per_update(arguments.ppo)
        self._record, self._action_size = record, action_size

    def score(self, steps: int, _: Any, params: Any) -> None:
        """Brax's `policy_params_fn`."""
        policy = export(params, self._action_size)
        self._record.score(steps // self._per_update, steps, policy)

    def log(self, steps: int, metrics: dict[str, Any]) -> None:
        """Brax's `progress_fn`."""
        values = {name.replace("training/", "train/"): float(x) for name, x in metrics.items()}
        self._record.update(steps // self._per_update, steps, values)


def steps_per_update(ppo: Settings) -> int:
    """Environment steps that an update collects."""
    return ppo.batch_size * ppo.num_minibatches * ppo.unroll_length


def train(arguments: Arguments, console: Console) -> tuple[Any, Any]:
    """Train to the end and leave the run's folder.

    Returns:
        Brax's `make_policy` and parameters.

    Raises:
        ValueError: Something unknown or unusable.
    """
    body = body_of(arguments.env)
    options = {"threads": arguments.threads} if arguments.backend == "native" else {}
    env = mimic_envs.make(
        body,
        clips=arguments.clips,
        backend=arguments.backend,
        first_frame_share=arguments.first_frame_share,
        backend_options=options,
    )
    directory = arguments.out or pathlib.Path("runs") / f"{body}-brax-seed{arguments.seed}"
    settings = {"algorithm": "brax_ppo", **dataclasses.asdict(arguments)}
    record = Record(directory, settings, console)
    watch = _Watch(arguments, record, env.action_size)
    with _with_replication():
        make_policy, params, _ = brax_ppo.train(
            BraxEnv(env, env.action_size, arguments.score_weight),
            arguments.steps,
            wrap_env_fn=wrap,
            episode_length=int(env.clips.lengths.max()),
            normalize_observations=True,
            reward_scaling=_reward_scale(env, arguments),
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
    record.close()
    console.print(f"done: {directory / 'policy'}")
    return make_policy, params


def _reward_scale(env: FunctionalEnv, arguments: Arguments) -> float:
    """Factor of rewards with which the value of perfect tracking is 1."""
    most = sum(term.weight for term in env.body.tracking.values()) + arguments.score_weight
    return (1 - arguments.ppo.discounting) / most


def main(argv: list[str] | None = None) -> int:
    """Train as the command line says; returns the exit status."""
    arguments = tyro.cli(Arguments, args=argv, prog="python -m baselines.brax_ppo")
    console = Console()
    try:
        train(arguments, console)
    except (ValueError, FileNotFoundError, RuntimeError) as error:
        console.print(f"[red]error:[/red] {error}")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
