"""Processes that are forked while JAX runs say so at once; all others work."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from mimic_envs.viz.encoder import encoding

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no forks")

MADE = """
import multiprocessing
import gymnasium, numpy as np
import mimic_envs

ID = "mimic_envs/MouseArm-v1"
OPTIONS = {"clips": "generated/tiny"}

def stepped(context, **more):
    envs = gymnasium.make_vec(ID, 1, vectorization_mode="async",
                              vector_kwargs={"context": context}, **OPTIONS, **more)
    try:
        envs.reset(seed=0)
        return envs.step(np.zeros(envs.action_space.shape, np.float32))[0]
    finally:
        envs.close(terminate=True)

def said(function):
    try:
        function()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "nothing"

def in_child(function):
    context = multiprocessing.get_context("fork")
    answers = context.SimpleQueue()
    child = context.Process(target=lambda: answers.put(said(function)))
    child.start()
    child.join(30)
    if child.is_alive():
        child.kill()
        return "hangs"
    return answers.get()
"""

USED = """
if __name__ == "__main__":
    import jax
    from mimic_envs.env import Environment

    env = gymnasium.make(ID, **OPTIONS)
    env.reset(seed=0)
    action = np.zeros(env.action_space.shape, np.float32)
    env.step(action)
    functional = mimic_envs.make("mouse_arm", **OPTIONS)
    step = jax.jit(Environment.step)
    key = np.zeros(2, np.uint32)
    state = jax.block_until_ready(step(functional, jax.jit(Environment.reset)(functional, key),
                                       action))
    functions = {
        "step": lambda: env.step(action),
        "reset": lambda: env.reset(seed=1),
        "a new one": lambda: gymnasium.make(ID, **OPTIONS).reset(seed=0),
        "functional": lambda: mimic_envs.make("mouse_arm", **OPTIONS),
        "functional reset": lambda: functional.reset(jax.random.wrap_key_data(key)),
        "compiled": lambda: step(functional, state, action),
        "no computation": lambda: np.asarray(state.reward),
    }
    for name, function in functions.items():
        print(f"{name} | {in_child(function)}")
    print("async |", said(lambda: stepped("fork")))
    print("spawn |", said(lambda: stepped("spawn")))
    print("parent |", said(lambda: env.step(action)))
"""

UNUSED = """
if __name__ == "__main__":
    from mimic_envs.mdp.events import Delay, Push, Randomize

    events = {"mass": Randomize("mass", 0.8, 1.2), "push": Push(0.01), "delay": Delay(0, 2)}
    env = gymnasium.make(ID, **OPTIONS, events=events)  # checks its rows
    ours = gymnasium.make_vec(ID, 1, **OPTIONS)
    found = {}
    for context in ("fork", "forkserver"):
        def remember():
            found[context] = stepped(context)
        print(context, "|", said(remember))
    print("events |", said(lambda: stepped("fork", events=events)))
    ours.reset(seed=0)
    expected = ours.step(np.zeros(ours.action_space.shape, np.float32))[0]
    print("same |", all(np.allclose(x, expected, atol=1e-5) for x in found.values()))
"""


def run(code: str) -> dict[str, str]:
    """What a program prints, by the words before the bar."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return dict(line.split(" | ", 1) for line in done.stdout.splitlines() if " | " in line)


def test_a_child_of_a_process_that_has_computed_says_so() -> None:
    said = run(MADE + USED)
    assert said.pop("no computation") == "nothing"
    assert said.pop("parent") == "nothing"
    assert said.pop("spawn") == "nothing"
    assert len(said) == 7
    for what, message in said.items():
        assert message.startswith("RuntimeError: this process was forked"), (what, message)
        assert "context='spawn'" in message, what


def test_a_parent_that_has_only_made_environments_may_fork() -> None:
    said = run(MADE + UNUSED)
    assert said == {"fork": "nothing", "forkserver": "nothing", "events": "nothing", "same": "True"}


WRITES_A_VIDEO = """
import sys
import jax, numpy as np
from mimic_envs.viz import video

jax.numpy.zeros(3).block_until_ready()
path, width = sys.argv[1], 64
def draw(t):
    return np.full((48, width, 3), 20 * t, np.uint8)
video.write_frames(path, draw, 10, 50.0, width, 48)
try:
    video.write_frames("/dev/full/x.mp4", draw, 10, 50.0, width, 48)
except OSError as error:
    print("no folder")
def odd(t):
    raise KeyboardInterrupt
try:
    video.write_frames(path + ".mp4", odd, 10, 50.0, width, 48)
except KeyboardInterrupt:
    print("stopped")
"""


def test_a_video_is_written_without_a_fork(tmp_path) -> None:
    """JAX would warn of one."""
    imageio = pytest.importorskip("imageio.v2")
    path = tmp_path / "video.mp4"
    done = subprocess.run(
        [sys.executable, "-c", WRITES_A_VIDEO, str(path)],
        capture_output=True,
        text=True,
        timeout=240,
        check=True,
    )
    assert done.stderr == ""
    assert done.stdout.split("\n") == ["no folder", "stopped", ""]
    pictures = imageio.mimread(path, memtest=False)
    assert len(pictures) == 10
    np.testing.assert_allclose([picture.mean() for picture in pictures], 20 * np.arange(10), atol=4)
    assert list(tmp_path.iterdir()) == [path]


def test_ffmpeg_says_what_is_wrong(tmp_path) -> None:
    pytest.importorskip("imageio_ffmpeg")

    def write() -> None:
        with encoding(tmp_path / "nowhere" / "x.mp4", 64, 48, 50.0) as put:
            for _ in range(100):
                put(np.zeros((48, 64, 3), np.uint8))

    with pytest.raises(RuntimeError, match=r"ffmpeg cannot write .*nowhere"):
        write()
