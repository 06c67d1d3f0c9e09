"""A window in which a controller or a trained policy is watched and steered."""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from mimic_envs.rollouts.session import KEYS, Session

_LATEST_S = 0.25
"""Delay that is made up for, s; more is given up, so that a pause of the computer is no rush."""


def pace(
    session: Session,
    keys: Callable[[], Iterable[int]],
    show: Callable[[Session, float], None],
    running: Callable[[], bool],
    clock: Callable[[], float] = time.perf_counter,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Let a trial go on in real time, or as fast as the computer can.

    Args:
        session: The trial.
        keys: Returns the codes of the keys that have been pressed since it was last called.
        show: Shows the trial; the second argument is its speed in the last second, relative to
            real time.
        running: Whether to go on.
        clock: Returns the time, s.
        sleep: Waits for some seconds.
    """
    session.advance()  # compiles
    due = mark = clock()
    shown, speed = 0.0, 1.0
    while running():
        for key in keys():
            session.press(key)
        session.advance()
        show(session, speed)
        due, shown = due + session.seconds, shown + session.seconds
        wait = due - clock()
        if wait > 0:
            sleep(wait)
        elif wait < -_LATEST_S:
            due = clock()
        if clock() - mark >= 1.0:
            speed, mark, shown = shown / (clock() - mark), clock(), 0.0


def texts(session: Session, speed: float) -> tuple[str, str]:
    """Names and values that the window shows: the trial, what is asked, and the score."""
    rows = {"trial": f"{session.trial}: {session.names[session.trial]}"}
    info = session.info
    if {"forward", "turn"} <= set(info):
        rows["asked"] = f"{info['forward']:.3g} ahead, {info['turn']:.3g} rad/s"
    rows["score"] = f"{session.score:.2f}"
    rows["speed"] = "paused" if session.paused else f"{speed:.2f} of real time"
    return "\n".join(rows), "\n".join(rows.values())


def watch(env: Any, actor: Any, trial: int, pictures: int | None = None) -> None:
    """Open a window, and let a trial go on in it until it is closed.

    Args:
        env: The environment, on the `native` backend.
        actor: A controller or policy made for it.
        trial: Number of the first trial.
        pictures: Close it after so many pictures; if not given, it is left to the person.

    Raises:
        RuntimeError: No display.
    """
    from mimic_envs.viz.render import Viewer

    pressed: deque[int] = deque()  # the window's thread puts keys in
    viewer = Viewer(env.body, on_key=pressed.append, hint="or leave out --window for a video")
    session = Session(env, actor, trial)
    left = itertools.count() if pictures is None else iter(range(pictures))

    def keys() -> list[int]:
        return [pressed.popleft() for _ in range(len(pressed))]

    def show(session: Session, speed: float) -> None:
        viewer.write(*texts(session, speed))
        viewer.draw(session.qpos, session.reference)

    def running() -> bool:
        return viewer.is_open and next(left, None) is not None

    try:
        pace(session, keys, show, running)
    finally:
        viewer.close()


def explained() -> str:
    """What the keys do, one a line."""
    width = max(map(len, KEYS))
    return "\n".join(f"  {key:{width}}  {what}" for key, what in KEYS.items())
