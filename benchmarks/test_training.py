"""How much of the speed of bare physics training keeps."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pytest_benchmark.fixture import BenchmarkFixture
from rich.console import Console

from baselines import ppo_run, profile, train


@pytest.mark.parametrize("env_id", ["mimic_envs/MouseArm-v1", "mimic_envs/Rodent-v1"])
def test_training_against_raw_physics(
    benchmark: BenchmarkFixture, claim: Callable[..., None], env_id: str
) -> None:
    """PPO with its default networks and action term `pd_residual`, all of its work included."""
    run = ppo_run.Run(
        train.parse(["--env", env_id, "--action", "pd_residual", "--profile"]),
        Console(quiet=True),
    )
    measured = benchmark.pedantic(run.profile, rounds=1)
    whole = measured.best(profile.WHOLE)
    claim(
        f"training / raw physics, {env_id}",
        measured.fraction_of_raw,
        at_least=0.5,
        env_steps_per_s=measured.steps / whole,
        raw_steps_per_s=measured.steps / measured.best(profile.RAW),
        **{name: measured.best(name) / whole for name in profile.PARTS},
    )
