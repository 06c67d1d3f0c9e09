"""How much of the speed of bare physics training keeps."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from baselines import profile, train


@pytest.mark.parametrize("env_id", ["mimic_envs/MouseArm-v0", "mimic_envs/Rodent-v0"])
def test_training_against_raw_physics(
    benchmark: BenchmarkFixture, claim: Callable[..., None], env_id: str
) -> None:
    """PPO with its default networks and an anchor, all of its work included."""
    run = train.Run(
        train.parse(["--env", env_id, "--anchor", "fixed", "--profile"]), train.Console(quiet=True)
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
