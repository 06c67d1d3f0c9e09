"""Stable-Baselines3's PPO with the settings that it comes with, on each body.

    python -m benchmarks.sb3_default
    python -m benchmarks.sb3_default --bodies mouse_arm worm --steps 100000

Prints one line per body: whether all numbers stayed finite, and the mean return of the episodes
that ended in the first and in the last tenth of the steps. Actions are Gaussian with a standard
deviation of 1 at the start. An update collects 2048 steps, as by default with one environment.
"""

from __future__ import annotations

import dataclasses
import sys
import time

import gymnasium
import numpy as np
import torch
import tyro
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecMonitor

from mimic_envs import ENV_IDS, adapters

STEPS_PER_UPDATE = 2048


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Bodies, and how long to train on each."""

    bodies: tuple[str, ...] = tuple(sorted(ENV_IDS.values()))
    steps: int = 100_000
    """Environment steps on each body."""
    environments: int = 64
    """Environments that run side by side, a divisor of 2048."""
    threads: int = 1
    """Threads of physics and of PyTorch."""
    seed: int = 0


class Returns(BaseCallback):
    """Collects when each episode ended, in environment steps, and its return."""

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[int] = []
        self.returns: list[float] = []

    def _on_step(self) -> bool:
        for info in self.locals["infos"]:
            if "episode" in info:
                self.steps.append(self.num_timesteps)
                self.returns.append(float(info["episode"]["r"]))
        return True

    def mean(self, first: float, last: float) -> float:
        """Mean return of the episodes that ended between two shares of the steps."""
        share = np.array(self.steps) / self.num_timesteps
        return float(np.mean(np.array(self.returns)[(share > first) & (share <= last)]))


def train(env_id: str, arguments: Arguments) -> tuple[bool, Returns]:
    """Train, and return whether all weights and returns are finite, and the returns."""
    envs = gymnasium.make_vec(
        env_id,
        num_envs=arguments.environments,
        backend_options={"threads": arguments.threads},
    )
    model = PPO(
        "MlpPolicy",
        VecMonitor(adapters.sb3(envs)),
        n_steps=STEPS_PER_UPDATE // arguments.environments,
        seed=arguments.seed,
        device="cpu",
    )
    returns = Returns()
    model.learn(arguments.steps, returns, log_interval=None)
    weights = all(bool(torch.isfinite(x).all()) for x in model.policy.parameters())
    return weights and bool(np.isfinite(returns.returns).all()), returns


def main(arguments: Arguments) -> int:
    """Train on each body; returns 1 if a number was not finite or too few returns rose."""
    torch.set_num_threads(arguments.threads)
    ids = {body: env_id for env_id, body in ENV_IDS.items()}
    rose, finite = [], []
    for body in arguments.bodies:
        began = time.perf_counter()
        is_finite, returns = train(ids[body], arguments)
        first, last = returns.mean(0, 0.1), returns.mean(0.9, 1)
        finite.append(is_finite)
        rose.append(last > first)
        print(
            f"{body:13} {returns.num_timesteps:,} steps in {time.perf_counter() - began:.0f} s, "
            f"{'finite' if is_finite else 'NOT FINITE'}, mean return {first:.1f} to {last:.1f}: "
            f"{'rises' if last > first else 'DOES NOT RISE'}",
            flush=True,
        )
    return 0 if all(finite) and sum(rose) >= 0.8 * len(rose) else 1


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Arguments)))
