"""The cache is believed only if its content is right, stays within bounds, and may be missing."""

from __future__ import annotations

import math
import os
import pathlib
import pwd
import subprocess
import sys
import tempfile
import time
import warnings

import numpy as np
import pytest

from mimic_envs import cache
from mimic_envs.clips import array_files
from mimic_envs.messages import MimicEnvsWarning

WANTED = {"xpos": (40, 100, 3), "xquat": (40, 100, 4)}
DRAWS = 40


def fill(arrays: dict[str, np.ndarray]) -> None:
    for name, array in arrays.items():
        array[:] = np.random.default_rng(len(name)).normal(size=array.shape)


def never(arrays: dict[str, np.ndarray]) -> None:
    raise AssertionError("made again")


def expected() -> dict[str, np.ndarray]:
    arrays = {name: np.zeros(shape, np.float32) for name, shape in WANTED.items()}
    fill(arrays)
    return arrays


def require_right(arrays: dict[str, np.ndarray]) -> None:
    for name, array in expected().items():
        np.testing.assert_array_equal(arrays[name], array)


@pytest.fixture
def own_cache(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """An empty cache directory of this test."""
    monkeypatch.setenv("MIMIC_ENVS_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MIMIC_ENVS_CACHE_GB", raising=False)
    return tmp_path / "cache"


@pytest.fixture
def new_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was checked so far, as in a process that has just begun."""
    monkeypatch.setattr(array_files, "_checked", set())


class TestContent:
    @pytest.mark.parametrize("draw", range(DRAWS))
    def test_damage_anywhere_is_noticed(self, tmp_path, draw: int, new_process) -> None:
        """Zeros, another bit, exchanged pages or a lost end: never other numbers in silence."""
        folder = tmp_path / "arrays"
        array_files.mapped(folder, WANTED, fill)
        rng = np.random.default_rng(draw)
        file = sorted(folder.iterdir())[draw % 3]
        content, status = bytearray(file.read_bytes()), file.stat()
        kind = ("zeros", "bit", "pages", "end")[draw // 3 % 4]
        where = int(rng.integers(len(content)))
        if kind == "zeros":
            content[where : where + 4000] = bytes(len(content[where : where + 4000]))
        elif kind == "bit":
            content[where] ^= 1 << rng.integers(8)
        elif kind == "pages" and file.suffix == ".npy":
            a, b = content[4096:8192], content[12288:16384]
            content[4096:8192], content[12288:16384] = b, a
        else:
            content = content[:where]
        file.write_bytes(content)
        os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
        array_files._checked.clear()
        with pytest.warns(MimicEnvsWarning, match="is damaged and made again") as said:
            arrays = array_files.mapped(folder, WANTED, fill)
        assert len(said) == 1
        assert "\n" not in str(said[0].message)
        require_right(arrays)
        require_right(array_files.mapped(folder, WANTED, never))
        assert list(tmp_path.iterdir()) == [folder]

    def test_whole_files_are_checked_once_in_a_process(
        self, tmp_path, new_process, monkeypatch
    ) -> None:
        array_files.mapped(tmp_path / "arrays", WANTED, fill)
        monkeypatch.setattr(array_files, "_checksum", lambda file: pytest.fail("checked again"))
        require_right(array_files.mapped(tmp_path / "arrays", WANTED, never))

    def test_an_array_that_is_in_use_survives_the_repair(self, tmp_path, new_process) -> None:
        folder = tmp_path / "arrays"
        used = array_files.mapped(folder, WANTED, fill)
        (folder / "xquat.npy").unlink()
        with pytest.warns(MimicEnvsWarning, match="damaged"):
            array_files.mapped(folder, WANTED, fill)
        require_right(used)

    def test_the_check_is_cheap(self, tmp_path) -> None:
        """0.4 s for 500 MB; four times that on a busy machine is still cheap."""
        with (tmp_path / "zeros").open("w+b") as file:
            file.truncate(50_000_000)
            array_files._checksum(file)
            start = time.process_time()
            array_files._checksum(file)
            assert time.process_time() - start < 0.16


BUILDS = """
import pathlib, sys, time
import numpy as np
from mimic_envs.clips import array_files

folder, log = map(pathlib.Path, sys.argv[1:3])
def fill(arrays):
    with log.open("a") as file:
        file.write("made\\n")
    for name, array in arrays.items():
        array[:] = np.random.default_rng(len(name)).normal(size=array.shape)
    time.sleep(float(sys.argv[3]))
arrays = array_files.mapped(folder, {"xpos": (40, 100, 3), "xquat": (40, 100, 4)}, fill)
print(*(float(array.sum(dtype=np.float64)) for array in arrays.values()), flush=True)
sys.stdin.read()  # keep them mapped until the test is done
"""


def build(folder: pathlib.Path, seconds: float = 0.0) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", BUILDS, str(folder), f"{folder}.log", str(seconds)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


class TestProcesses:
    def test_many_at_once_make_it_once(self, tmp_path) -> None:
        sums = " ".join(str(float(x.sum(dtype=np.float64))) for x in expected().values())
        folder = tmp_path / "arrays"
        processes = [build(folder, 3.0) for _ in range(3)]
        for process in processes:
            assert process.communicate("", timeout=200)[0].strip() == sums
        assert pathlib.Path(f"{folder}.log").read_text() == "made\n"
        assert sorted(x.name for x in tmp_path.iterdir()) == ["arrays", "arrays.log"]

    def test_what_a_living_process_maps_stays(self, own_cache, monkeypatch) -> None:
        """And what a dead one left goes, whether it was complete or not."""
        clips = cache.writable_folder("clips")
        living, dying = build(clips / "living"), build(clips / "dying", 200.0)
        try:
            assert living.stdout is not None
            living.stdout.readline()
            deadline = time.monotonic() + 100
            while not (clips / "dying.log").is_file() and time.monotonic() < deadline:
                time.sleep(0.05)
            monkeypatch.setenv("MIMIC_ENVS_CACHE_GB", "0")
            cache.prune(clips)
            assert (clips / "living" / "xpos.npy").is_file()
            assert (clips / ".dying.lock").is_file()
            assert len(list(clips.glob(".dying.*/xpos.npy"))) == 1
            dying.kill()
            dying.wait()
            cache.prune(clips)
            assert [x.name for x in clips.iterdir()] == ["living"]
        finally:
            for process in (living, dying):
                process.kill()
                process.wait()
        cache.prune(clips)
        assert list(clips.iterdir()) == []

    def test_a_lock_of_a_dead_process_hinders_nobody(self, tmp_path) -> None:
        (tmp_path / ".arrays.lock").write_bytes(b"")
        require_right(array_files.mapped(tmp_path / "arrays", WANTED, fill))
        assert [x.name for x in tmp_path.iterdir()] == ["arrays"]


class TestBounds:
    def test_the_least_recently_used_goes_first(self, own_cache, monkeypatch) -> None:
        clips = cache.writable_folder("clips")
        size = sum(4 * math.prod(shape) for shape in WANTED.values())
        monkeypatch.setenv("MIMIC_ENVS_CACHE_GB", str(2.5 * size / 1e9))
        for number, name in enumerate("ab"):
            array_files.mapped(clips / name, WANTED, fill)
            for file in (clips / name).iterdir():
                os.utime(file, (1e9 + number, 1e9 + number))
        array_files.mapped(clips / "a", WANTED, never)  # used now
        array_files.mapped(clips / "c", WANTED, fill)
        assert sorted(x.name for x in clips.iterdir()) == ["a", "c"]

    def test_what_this_process_maps_stays(self, own_cache, monkeypatch) -> None:
        monkeypatch.setenv("MIMIC_ENVS_CACHE_GB", "0")
        clips = cache.writable_folder("clips")
        used = array_files.mapped(clips / "a", WANTED, fill)
        view = used["xpos"][3:5]
        other = array_files.mapped(clips / "b", WANTED, fill)
        assert sorted(x.name for x in clips.iterdir()) == ["a", "b"]
        del used, other
        array_files.mapped(clips / "c", WANTED, fill)
        assert sorted(x.name for x in clips.iterdir()) == ["a", "c"]
        np.testing.assert_array_equal(view, expected()["xpos"][3:5])

    def test_a_folder_of_the_user_is_not_bounded(self, tmp_path, own_cache, monkeypatch) -> None:
        monkeypatch.setenv("MIMIC_ENVS_CACHE_GB", "0")
        for name in "ab":
            array_files.mapped(tmp_path / "mine" / name, WANTED, fill)
        assert len(list((tmp_path / "mine").iterdir())) == 2

    @pytest.mark.parametrize("text", ["much", "-1", "nan"])
    def test_a_wrong_limit(self, text: str, monkeypatch) -> None:
        monkeypatch.setenv("MIMIC_ENVS_CACHE_GB", text)
        with pytest.raises(ValueError, match=f"MIMIC_ENVS_CACHE_GB must be a number.*'{text}'"):
            cache.limit_bytes()


STEPS = """
import gymnasium, jax, mimic_envs
env = gymnasium.make("mimic_envs/MouseArm-v1", clips="generated/tiny")
env.reset(seed=0)
env.step(env.action_space.sample())
print(jax.config.jax_compilation_cache_dir)
"""


def step(**variables: str) -> subprocess.CompletedProcess[str]:
    """Use an environment in a process with other environment variables."""
    return subprocess.run(
        [sys.executable, "-c", STEPS],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=240,
        check=True,
    )


class TestPlaces:
    @pytest.fixture(autouse=True)
    def temporary(self, tmp_path, monkeypatch) -> pathlib.Path:
        """The folder of temporary files of this test."""
        folder = tmp_path / "temporary"
        folder.mkdir()
        monkeypatch.setattr(tempfile, "tempdir", str(folder))
        cache._temporary.cache_clear()
        yield folder
        cache._temporary.cache_clear()

    def test_no_home(self, temporary, monkeypatch) -> None:
        def nobody(user: int) -> None:
            raise KeyError(user)

        for name in ("HOME", "MIMIC_ENVS_CACHE", "XDG_CACHE_HOME"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setattr(pwd, "getpwuid", nobody)
        with pytest.warns(MimicEnvsWarning, match=r"HOME is not set.*MIMIC_ENVS_CACHE") as said:
            folders = {cache.cache_directory(), cache.cache_directory()}
        assert len(said) == 1
        assert folders == {temporary / f"mimic_envs-{os.getuid()}"}
        assert cache.writable_folder("clips").is_dir()

    def test_others_cannot_put_programs_there(self, temporary, monkeypatch) -> None:
        open_to_all = temporary / f"mimic_envs-{os.getuid()}"
        open_to_all.mkdir()
        open_to_all.chmod(0o777)
        monkeypatch.setenv("MIMIC_ENVS_CACHE", "/dev/null/cache")
        with pytest.warns(MimicEnvsWarning):
            folder = cache.writable_folder("jax")
        assert open_to_all not in folder.parents
        assert folder.parent.stat().st_mode & 0o777 == 0o700

    def test_arrays_without_any_place(self, temporary, monkeypatch) -> None:
        monkeypatch.setenv("MIMIC_ENVS_CACHE", "/dev/null/cache")
        monkeypatch.setattr(tempfile, "tempdir", "/dev/null/temporary")
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            folder = cache.writable_folder("clips") / "arrays"
            require_right(array_files.stored(folder, WANTED, fill))
        assert [x.category for x in said] == [MimicEnvsWarning] * 2
        assert "stay in memory" in str(said[1].message)

    def test_an_environment_without_a_place(self, temporary) -> None:
        done = step(MIMIC_ENVS_CACHE="/dev/null/cache", TMPDIR=str(temporary))
        folder = temporary / f"mimic_envs-{os.getuid()}" / "jax"
        assert done.stdout.strip() == str(folder)
        assert done.stderr.count("MimicEnvsWarning") == 1
        assert f"files that are kept between runs go to {folder.parent}" in done.stderr
        assert any(folder.iterdir())

    def test_compiled_programs_are_bounded(self, tmp_path) -> None:
        folder = tmp_path / "cache" / "jax"
        folder.mkdir(parents=True)
        for number in range(3):
            (folder / f"old{number}-cache").write_bytes(bytes(1_000_000))
            os.utime(folder / f"old{number}-cache", (1e9 + number, 1e9 + number))
        done = step(MIMIC_ENVS_CACHE=str(tmp_path / "cache"), MIMIC_ENVS_CACHE_GB="0.0015")
        assert done.stdout.strip() == str(folder)
        assert done.stderr == ""
        names = {x.name for x in folder.iterdir()}
        assert "old2-cache" in names
        assert not names & {"old0-cache", "old1-cache"}
        assert len(names) > 2

    def test_a_large_folder_is_looked_through_once_an_hour(self, tmp_path, monkeypatch) -> None:
        cache.prune_hourly(tmp_path)
        monkeypatch.setattr(cache, "prune", lambda folder: pytest.fail("again"))
        cache.prune_hourly(tmp_path)
        os.utime(tmp_path / ".pruned", (1e9, 1e9))
        with pytest.raises(pytest.fail.Exception):
            cache.prune_hourly(tmp_path)
