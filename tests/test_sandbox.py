"""Processes with limits."""

from __future__ import annotations

import contextlib
import pathlib
import socket
import sys
import time

import pytest

from mimic_envs import sandbox
from mimic_envs.sandbox import Limits, Refused

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits of memory are Linux's")


def run(folder: pathlib.Path, code: str, **limits) -> object:
    """The answer of a module that sets `answer`."""
    header = "import json, os, pathlib, socket, sys, time\nanswer = None\n"
    footer = "\npathlib.Path(sys.argv[-1]).write_text(json.dumps(answer))\n"
    (folder / "judged.py").write_text(header + code + footer)
    return sandbox.run("judged", ["x"], Limits(**({"seconds": 20} | limits)), [folder])


def test_it_stands_in_an_empty_directory_without_our_settings(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "x")
    code = "answer = os.listdir(), sys.argv[1:-1], 'SECRET_TOKEN' in os.environ, '' in sys.path"
    assert run(tmp_path, code) == [[], ["x"], False, False]


def test_limits_hold_before_anything_is_imported(tmp_path) -> None:
    code = "import resource\nanswer = resource.getrlimit(resource.RLIMIT_AS)"
    assert run(tmp_path, code, memory_bytes=500_000_000) == [500_000_000] * 2


def test_memory(tmp_path) -> None:
    with pytest.raises(Refused, match=r"broke its process \(status 1: MemoryError\)"):
        run(tmp_path, "bytearray(10**9)", memory_bytes=500_000_000)


def test_time(tmp_path) -> None:
    with pytest.raises(Refused, match="took more than 1 s"):
        run(tmp_path, "time.sleep(100)", seconds=1)


def test_what_it_starts_ends_with_it(tmp_path) -> None:
    code = (
        f"import subprocess\nsubprocess.Popen([sys.executable, '-c', "
        f"\"import time, pathlib; time.sleep(3); pathlib.Path('{tmp_path}/late').touch()\"])\n"
        "time.sleep(100)"
    )
    with pytest.raises(Refused):
        run(tmp_path, code, seconds=1)
    time.sleep(3)
    assert not (tmp_path / "late").exists()


def test_files(tmp_path) -> None:
    code = f"with open({str(tmp_path / 'big')!r}, 'wb') as file:\n    file.write(bytes(2000))"
    with pytest.raises(Refused, match="broke its process"):
        run(tmp_path, code, file_bytes=1000)
    assert (tmp_path / "big").stat().st_size <= 1000


def test_its_last_words_are_one_line(tmp_path) -> None:
    with pytest.raises(Refused) as error:
        run(tmp_path, "raise ValueError('one\\ntwo\\x1b[31m')")
    assert "\n" not in str(error.value)


def test_no_network(tmp_path) -> None:
    """A server of this machine cannot be reached, where the system allows to leave the network."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        code = (
            "try:\n    socket.create_connection("
            f"('127.0.0.1', {server.getsockname()[1]}), 1)\n    answer = 'reached'\n"
            "except OSError as error:\n    answer = str(error)"
        )
        # each process tries; this one tells whether that works here
        if not run(tmp_path, "from mimic_envs import sandbox\nanswer = sandbox.leave_network()"):
            with pytest.raises(Refused, match="the network cannot be cut off here"):
                run(tmp_path, code, offline=True)
            pytest.skip("this system does not allow it")
        assert "unreachable" in run(tmp_path, code, offline=True)


def stubborn() -> None:
    """Goes on for ever, and catches what it can."""
    while True:
        with contextlib.suppress(Exception):
            sum(range(1000))


class TestWithin:
    def test_time(self) -> None:
        began = time.monotonic()
        with pytest.raises(Refused, match=r"took more than 0\.2 s"), sandbox.within(0.2, 10**9):
            stubborn()
        assert time.monotonic() - began < 5

    def test_memory(self) -> None:
        needs = pytest.raises(Refused, match="needs more than 100000000 bytes")
        with needs, sandbox.within(10, 100_000_000):
            bytearray(10**9)
        assert len(bytearray(10**9)) == 10**9, "the limit has gone"

    def test_afterwards_all_is_as_before(self) -> None:
        with sandbox.within(0.1, 10**9):
            pass
        time.sleep(0.2)
