"""A trial that is steered by keys, without a window; and the window where there is a display."""

from __future__ import annotations

import os

import numpy as np
import pytest

import mimic_envs
from mimic_envs import cli, controllers
from mimic_envs.cli import window
from mimic_envs.rollouts import session
from mimic_envs.rollouts.session import DOWN, LEFT, RESTART, RIGHT, SPACE, UP, Session


@pytest.fixture(scope="module")
def env() -> mimic_envs.env.Environment:
    return mimic_envs.make(
        "stick_insect", task="velocity", action="posture", episode_s=0.2, hold_s=0.1
    )


@pytest.fixture
def trial(env) -> Session:
    return Session(env, controllers.make("zero", env))


def asked(trial: Session) -> tuple[float, float]:
    return trial.info["forward"], trial.info["turn"]


def test_arrows_change_the_velocity_that_the_policy_is_asked_for(env, trial: Session) -> None:
    pace = env.body.pace
    assert asked(trial) == pytest.approx((0.25 * pace.forward, 0.5 * pace.turn))
    trial.press(UP)
    trial.press(RIGHT)
    trial.advance()
    assert asked(trial) == pytest.approx((0.5 * pace.forward, 0.25 * pace.turn))
    seen = trial._carry.state.obs["task"][0, :2]
    np.testing.assert_allclose(seen, (0.5, 0.25), atol=1e-6)
    for _ in range(9):
        trial.press(UP)
        trial.press(LEFT)
    assert asked(trial) == pytest.approx((pace.forward, pace.turn))
    for _ in range(9):
        trial.press(DOWN)
    assert asked(trial)[0] == 0.0  # a stick insect is asked for no way back


def test_a_steered_trial_goes_on_and_another_begins_again(env, trial: Session) -> None:
    steps = env.task.command.steps
    passes = -(-steps // trial.steps) + 2
    trial.press(UP)
    for _ in range(passes):
        trial.advance()
    assert int(trial._carry.state.steps[0]) == passes * trial.steps > steps
    assert asked(trial)[0] == pytest.approx(0.5 * env.body.pace.forward)
    trial.press(RESTART)
    assert trial.asked is None
    assert int(trial._carry.state.steps[0]) == 0
    for _ in range(passes):
        trial.advance()
    assert 0 < int(trial._carry.state.steps[0]) < steps


def test_space_pauses_and_digits_choose_the_trial(trial: Session) -> None:
    trial.press(SPACE)
    before = trial.qpos
    trial.advance()
    np.testing.assert_array_equal(trial.qpos, before)
    trial.press(SPACE)
    trial.advance()
    assert (trial.qpos != before).any()
    trial.press(ord("7"))
    assert trial.names[trial.trial] == "ahead_0.75_straight"
    assert asked(trial)[1] == 0.0
    trial.press(ord("X"))  # means nothing
    assert trial.trial == 7


def test_tasks_without_a_velocity_are_watched(env) -> None:
    reach = mimic_envs.make("mouse_arm", task="reach", episode_s=0.1)
    trial = Session(reach, controllers.make("zero", reach))
    trial.press(UP)
    trial.advance()
    assert trial.asked is None
    assert trial.reference is None
    assert "target" in trial.info
    names, values = window.texts(trial, 0.5)
    assert names.split("\n") == ["trial", "score", "speed"]
    assert values.startswith("0: target_0_from_rest\n")


class Clock:
    """Time that passes only in steps and sleeps."""

    def __init__(self, cost: float) -> None:
        self.now, self.cost, self.slept = 0.0, cost, 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept += seconds


class Still:
    """Stands for a trial: only its time counts."""

    seconds = 0.02

    def __init__(self, clock: Clock) -> None:
        self.clock, self.advanced, self.keys = clock, 0, []

    def advance(self) -> None:
        self.clock.now += self.clock.cost
        self.advanced += 1

    def press(self, key: int) -> None:
        self.keys.append(key)


@pytest.mark.parametrize(("cost", "advanced"), [(0.005, 200), (0.04, 100)])
def test_time_is_real_or_as_fast_as_possible(cost: float, advanced: int) -> None:
    """In 4 s: a trial that is quick enough waits; one that is too slow never does."""
    clock, speeds = Clock(cost), []
    still = Still(clock)
    window.pace(
        still,  # type: ignore[arg-type]
        keys=lambda: [UP] if still.advanced == 3 else [],
        show=lambda _, speed: speeds.append(speed),
        running=lambda: clock.now < 4.0 + cost,
        clock=lambda: clock.now,
        sleep=clock.sleep,
    )
    assert abs(still.advanced - 1 - advanced) <= 1
    assert still.keys == [UP]
    assert speeds[-1] == pytest.approx(min(1.0, 0.02 / cost), rel=0.05)
    assert (clock.slept > 0) == (cost < 0.02)


def test_no_display_is_one_clear_error(capsys, monkeypatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    command = ["play", "mimic_envs/MouseArmReach-v1", "--controller", "zero", "--window"]
    with pytest.raises(SystemExit) as ended:
        cli.main(command)
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert "a window needs a display (set DISPLAY), or leave out --window for a video" in said
    assert "Traceback" not in said


@pytest.mark.nightly
@pytest.mark.skipif(not os.environ.get("DISPLAY"), reason="a window needs a display")
def test_the_window_opens_and_closes(env) -> None:
    shown = []
    original = window.texts

    def texts(trial: Session, speed: float) -> tuple[str, str]:
        shown.append(trial.seconds)
        return original(trial, speed)

    window.texts = texts
    try:
        window.watch(env, controllers.make("zero", env), trial=2, pictures=7)
    finally:
        window.texts = original
    assert len(shown) == 7
    assert set(session.KEYS) >= {"space", "R"}
