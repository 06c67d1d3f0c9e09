"""The search for gains of balance."""

from __future__ import annotations

import numpy as np
import pytest
from rich.console import Console

from baselines import tune_balance
from baselines.tune_balance import Arguments, Search, passing_map, search, starts_of
from mimic_envs import bodies
from mimic_envs import clips as clips_

ARGUMENTS = Arguments(
    "stick_insect",
    clips=("generated/tiny",),
    generations=1,
    candidates=3,
    best=1,
    every_s=0.5,
    horizon_s=0.3,
)


def test_the_gains_found_are_no_worse_and_the_body_s_stay(
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = bodies.get("stick_insect").balance
    found = search(ARGUMENTS, Console(width=200))
    task = Search(ARGUMENTS)
    scores, alive = task.follow(found)
    assert scores.mean() >= task.follow(task.gains)[0].mean()
    assert scores.shape == alive.shape == (30, len(task.starts))
    assert bodies.get("stick_insect").balance is before
    said = capsys.readouterr().out
    assert "before: score" in said
    assert repr(found) in said


def test_starts_leave_room_for_the_horizon() -> None:
    clips = clips_.load("generated/tiny", "stick_insect")
    starts = starts_of(clips, 0.2, 0.5)
    assert set(starts[:, 0]) == set(range(len(clips)))
    assert (starts[:, 1] + 0.5 * clips.fps < clips.lengths[starts[:, 0]]).all()
    assert (np.diff(starts[starts[:, 0] == 0, 1]) == round(0.2 * clips.fps)).all()


def test_the_map_has_tenths_of_the_horizon() -> None:
    clips = clips_.load("generated/tiny", "stick_insect").select([0])
    alive = np.arange(10)[:, None] < np.array([10, 5, 0])
    (line,) = passing_map(clips, np.array([[0, 0], [0, 5], [0, 9]]), alive)
    assert line.split()[1:] == ["10", "5", "0"]


def test_an_animal_that_does_not_walk_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert tune_balance.main(["worm", "--clips", "generated/tiny"]) == 2
    assert "body 'worm' cannot be balanced" in capsys.readouterr().err
