"""Streams, terminals, interruptions, missing extras and faults of ours, seen from outside."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from test_commands import COMMANDS

import mimic_envs
from mimic_envs import cli, extras
from mimic_envs.command import CLOSED, DONE, FAULT, INTERRUPTED, WRONG_INPUT, run_command
from mimic_envs.messages import brief, is_on_purpose, listed, unknown

ROOT = pathlib.Path(mimic_envs.__file__).parents[1]
COMMAND = [sys.executable, "-m", "mimic_envs"]
INFO = [*COMMAND, "clips", "info", "generated/tiny", "--body", "mouse_arm"]


def environment(**changes: str | None) -> dict[str, str]:
    """The environment of a command, with variables changed, or removed by None."""
    whole = {**os.environ, "PYTHONPATH": str(ROOT)} | changes
    return {name: value for name, value in whole.items() if value is not None}


def run(command: list[str], folder: pathlib.Path, **changes: str | None) -> Any:
    return subprocess.run(
        command, cwd=folder, env=environment(**changes), capture_output=True, timeout=300
    )


def ends(work: Callable[[], Any], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    code = run_command(work)
    return code, capsys.readouterr().err


def raising(error: BaseException) -> Callable[[], Any]:
    def work() -> None:
        raise error

    return work


class TestWhoseErrorItIs:
    """Errors that this project raises on purpose are of the input, all others are ours."""

    def test_ours_are_explained_in_one_line(self, capsys) -> None:
        code, err = ends(lambda: cli.clips.load("walks", ""), capsys)
        assert code == WRONG_INPUT
        assert err == "error: 'walks' is the name of a set: say of which body, with --body\n"

    @pytest.mark.parametrize(
        "work", [lambda: int("x"), lambda: 1 / 0, lambda: {}["x"], lambda: [][1]]
    )
    def test_others_keep_their_traceback(self, work, capsys) -> None:
        code, err = ends(work, capsys)
        assert code == FAULT
        assert err.startswith("Traceback (most recent call last)")
        last = err.splitlines()[-1]
        assert last.startswith("unexpected error: this is a fault in mimic_envs")
        assert "To report it" in last
        assert "mujoco 3." in last

    def test_the_same_type_is_told_apart_by_where_it_comes_from(self) -> None:
        for work, expected in ((lambda: mimic_envs.make("rodnt"), True), (lambda: int("x"), False)):
            with pytest.raises(ValueError, match=r"rodnt|invalid literal") as caught:
                work()
            assert is_on_purpose(caught.value) == expected

    def test_a_full_disk_names_the_file(self, capsys) -> None:
        code, err = ends(lambda: open("/dev/full", "w").write("x" * 10**6), capsys)  # noqa: SIM115
        assert (code, err) == (WRONG_INPUT, "error: No space left on device\n")

    def test_too_little_memory_is_no_fault(self, capsys) -> None:
        assert ends(raising(MemoryError()), capsys)[0] == WRONG_INPUT

    def test_a_message_that_leaves_python_is_an_error(self, capsys) -> None:
        assert ends(lambda: sys.exit("no"), capsys) == (WRONG_INPUT, "error: no\n")

    def test_an_interruption_is_one_line(self, capsys) -> None:
        code, err = ends(raising(KeyboardInterrupt()), capsys)
        assert (code, err.strip()) == (INTERRUPTED, "interrupted")

    def test_results_become_exit_codes(self, capsys) -> None:
        assert [ends(lambda x=x: x, capsys)[0] for x in (None, 0, 1, "text")] == [0, 0, 1, DONE]


class TestMessagesAreBounded:
    def test_millions_of_characters_become_one_line(self, capsys) -> None:
        error = ValueError(f"a.h5: {list(range(500_000))}: pass --fps")
        assert len(brief(error)) == 2_000
        assert brief(error).startswith("a.h5: [0, 1, ")
        assert brief(error).endswith(": pass --fps")

    def test_control_characters_are_shown_and_do_nothing(self) -> None:
        assert brief("a\x1b[2J\rb\n\n c\x00") == "a\\x1b[2J b c\\x00"

    def test_a_traceback_is_bounded(self, capsys) -> None:
        code, err = ends(lambda: {}["x" * 10**6], capsys)
        assert (code, len(err) < 25_000) == (FAULT, True)

    def test_of_many_names_a_few_are_listed(self) -> None:
        assert listed(map(str, range(10**7))) == ", ".join(map(str, range(20))) + ", ..."
        assert listed([]) == "none"
        many = [f"clip_{i}" for i in range(200_000)]
        assert len(unknown("clip", "clip_x", many)) < 1_000
        assert len(unknown("clip", "x" * 10**6, ["y" * 10**6])) < 1_000


class TestStreams:
    def test_a_closed_output_is_silent(self, tmp_path) -> None:
        for words in (["list"], ["--help"]):
            ours, theirs = os.pipe()
            process = subprocess.Popen(
                [*COMMAND, *words], stdout=theirs, stderr=subprocess.PIPE, env=environment()
            )
            os.close(theirs)
            os.close(ours)
            _, err = process.communicate(timeout=300)
            assert (process.returncode, err) == (CLOSED, b"")

    def test_streams_that_were_closed_before(self, tmp_path) -> None:
        done = run(["sh", "-c", 'exec "$@" >&- 2>&-', "sh", *COMMAND, "--help"], tmp_path)
        assert done.returncode == 0

    def test_ascii_and_forty_columns(self, tmp_path) -> None:
        done = run(INFO, tmp_path, PYTHONIOENCODING="ascii", COLUMNS="40")
        assert done.returncode == 0, done.stderr
        lines = done.stdout.decode("ascii").splitlines()
        table = lines[: next(i for i, line in enumerate(lines) if line.startswith("body"))]
        assert max(map(len, table)) <= 40
        cells = [line.split("|")[1].strip() for line in table if line.startswith("|")]
        assert "tiny_reach" in "".join(cells)  # broken, but whole

    def test_errors_in_ascii_escape_other_letters(self, tmp_path) -> None:
        for name in ("PYTHONIOENCODING", "LC_ALL"):
            value = "ascii" if name == "PYTHONIOENCODING" else "C"
            changes = {name: value, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
            done = run([*COMMAND, "clips", "info", "größe.h5"], tmp_path, **changes)
            assert done.returncode == WRONG_INPUT
            said = done.stderr.decode("ascii")
            assert said.startswith("error: no such file: gr\\")
            assert said.count("\n") == 1

    def test_no_color_in_a_terminal_that_asks_for_none(self, tmp_path) -> None:
        pty = pytest.importorskip("pty")
        ours, theirs = pty.openpty()
        changes = {"NO_COLOR": "1", "TERM": "xterm-256color"}
        process = subprocess.Popen(
            [*COMMAND, "clips", "info", "none.h5"],
            cwd=tmp_path,
            env=environment(**changes),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        said = b""
        while True:
            try:
                piece = os.read(ours, 4096)
            except OSError:  # Linux, when the other end is closed
                break
            if not piece:
                break
            said += piece
        os.close(ours)
        assert process.wait(timeout=300) == WRONG_INPUT
        assert b"error:" in said
        assert b"\x1b[3" not in said  # bold at most
        assert b"31m" not in said

    @pytest.mark.parametrize("home", [None, "/proc/none"])
    def test_without_a_home(self, home: str | None, tmp_path) -> None:
        done = run(INFO, tmp_path, HOME=home, XDG_CACHE_HOME=None, MIMIC_ENVS_CACHE=None)
        assert done.returncode == 0, done.stderr
        assert b"Traceback" not in done.stderr


WITHOUT = """
import sys
from importlib.machinery import PathFinder
from mimic_envs.command import run_command
from mimic_envs.extras import EXTRAS
find = PathFinder.find_spec
PathFinder.find_spec = lambda name, *a: None if name.split(".")[0] in EXTRAS else find(name, *a)
"""
"""Begins a program for which no extra is installed."""


def without_extras(program: str, folder: pathlib.Path) -> tuple[str, str]:
    done = run([sys.executable, "-c", WITHOUT + program], folder)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode(), done.stderr.decode()


class TestMissingExtras:
    def test_every_command_has_its_help(self, tmp_path) -> None:
        words = [one.start for one in COMMANDS if one.main is cli.main]
        program = f"""
import contextlib, io
from mimic_envs import cli
for words in {words!r}:
    with contextlib.redirect_stdout(io.StringIO()) as out:
        cli.main([*words, "--help"])
    assert "usage: mimic-envs " + " ".join(words) in out.getvalue(), out.getvalue()
"""
        assert without_extras(program, tmp_path) == ("", "")

    def test_commands_say_what_to_install_before_they_work(self, tmp_path) -> None:
        program = f"""
import tyro
from leaderboard.build import build
from mimic_envs import cli
def build_pages(words):
    tyro.cli(build, args=words)
for main, words in {LACKING!r}:
    main = build_pages if main == "build" else cli.main
    assert run_command(lambda: main(words.split())) == 2, words
"""
        out, err = without_extras(program, tmp_path)
        lines = err.splitlines()
        assert len(lines) == len(LACKING), err
        for line, extra in zip(lines, LACKING.values(), strict=True):
            assert line.startswith("error: ")
            assert f"pip install 'mimic_envs[{extra}]'" in line
        assert list(tmp_path.iterdir()) == []
        assert out == ""

    def test_a_package_of_no_extra_is_a_fault(self, capsys) -> None:
        assert extras.missing(ModuleNotFoundError("x", name="flax.linen")) == (
            "this needs flax: pip install 'mimic_envs[baselines]'"
        )
        code, err = ends(lambda: __import__("no_such_package"), capsys)
        assert code == FAULT
        assert "No module named 'no_such_package'" in err

    def test_every_extra_is_known(self) -> None:
        import tomllib

        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        brought = {
            name: {line.split("[")[0].split(">")[0].split("<")[0] for line in lines}
            for name, lines in project["optional-dependencies"].items()
        }
        plain = {"imageio_ffmpeg": "imageio", "markupsafe": "jinja2"}
        plain |= {"torch": "stable-baselines3", "mujoco_playground": "playground"}
        plain["sklearn"] = "scikit-learn"
        for package, extra in extras.EXTRAS.items():
            name = plain.get(package, package.replace("_", "-"))
            assert name in brought[extra], package


LACKING = {
    ("cli", "play mimic_envs/MouseArm-v1 --clips generated/tiny"): "video",
    ("cli", "score mimic_envs/MouseArm-v1 --clips generated/tiny --plot"): "video",
    ("cli", "clips plot generated/tiny --body mouse_arm"): "video",
    ("cli", "stac fit mouse_arm none.npz --fps 1 --unit m --report r.html"): "video",
    ("cli", "stac fit mouse_arm none.npz --fps 1 --unit m --video r.mp4"): "video",
    ("build", "--out pages"): "leaderboard",
}
"""Commands that need an extra, with that extra."""
RAW = """
import mujoco
model = mujoco.MjModel.from_xml_string(
    "<mujoco><worldbody><body><freejoint/><geom size='1'/></body></worldbody></mujoco>"
)
"""
OURS = """
from mimic_envs import bodies
import mujoco
model = bodies.get("mouse_arm").model
"""
DIVERGE = """
data = mujoco.MjData(model)
data.qvel[:] = float("nan")
mujoco.mj_step(model, data)
assert data.warning[mujoco.mjtWarning.mjWARN_BADQVEL].number == 1
"""


@pytest.mark.parametrize(("model", "leaves"), [(RAW, True), (OURS, False)], ids=["raw", "ours"])
def test_mujoco_leaves_no_log_in_the_users_folder(model: str, leaves: bool, tmp_path) -> None:
    done = run([sys.executable, "-c", model + DIVERGE], tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "MUJOCO_LOG.TXT").exists() == leaves
    assert (b"WARNING" in done.stderr) == leaves
