"""`mimic-envs clips ...`, as a user types it."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from mimic_envs import cli
from mimic_envs import clips as clips_
from mimic_envs.clips import ClipSet


def run(*arguments: object) -> None:
    cli.main(["clips", *map(str, arguments)])


def fails(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    with pytest.raises(SystemExit) as stop:
        run(*arguments)
    assert stop.value.code == 2
    message = " ".join(capsys.readouterr().err.split())
    assert "Traceback" not in message
    return message


@pytest.fixture
def path(tmp_path):
    clips_.load("generated/tiny", "rodent").save(tmp_path / "tiny.h5")
    return tmp_path / "tiny.h5"


def test_import_says_what_it_did(path, tmp_path, capsys) -> None:
    run("export", path, "--out", tmp_path / "stac.h5")
    with h5py.File(tmp_path / "stac.h5", "r+") as file:
        file["qvel"][...] = 10 * file["qvel"][()]
        file["qpos"][:, 3:7] = 1.03 * file["qpos"][:, 3:7]
    capsys.readouterr()
    out = tmp_path / "back.h5"
    run("import", tmp_path / "stac.h5", "--body", "rodent", "--fps", 50, "--out", out, "--verify")
    said = capsys.readouterr().out
    assert "rate: 50 Hz (given)" in said
    assert "off by up to 3 %" in said
    assert "stored qvel: velocities off by a factor (10 times the true ones)" in said
    assert f"wrote: {out}" in said
    np.testing.assert_allclose(
        ClipSet.load(out).qpos, clips_.load("generated/tiny", "rodent").qpos, atol=1e-6
    )


def test_import_with_a_unit(tmp_path, capsys) -> None:
    tiny = clips_.load("generated/tiny", "rodent")
    qpos = tiny.qpos[0].copy()
    qpos[:, :3] *= 100
    np.savez(tmp_path / "a.npz", qpos=qpos)
    arguments = ["import", tmp_path / "a.npz", "--body", "rodent", "--out", tmp_path / "b.h5"]
    assert "pass fps=" in fails(capsys, *arguments)
    assert "pass unit=" in fails(capsys, *arguments, "--fps", 50)
    run(*arguments, "--fps", 50, "--unit", "cm", "--licence", "CC0-1.0")
    assert "lengths times 0.01" in capsys.readouterr().out
    loaded = ClipSet.load(tmp_path / "b.h5")
    np.testing.assert_allclose(loaded.qpos[0], tiny.qpos[0], atol=1e-6)
    assert loaded.licence == "CC0-1.0"


@pytest.mark.parametrize("ending", ["csv", "npz", "h5"])
def test_export_and_import(path, tmp_path, ending) -> None:
    run("export", path, "--out", tmp_path / f"a.{ending}")
    run("import", tmp_path / f"a.{ending}", "--body", "rodent", "--out", tmp_path / "b.h5")
    assert ClipSet.load(tmp_path / "b.h5").content_hash == ClipSet.load(path).content_hash


def test_info(path, capsys) -> None:
    tiny = ClipSet.load(path)
    run("info", path)
    said = capsys.readouterr().out
    for expected in (*tiny.names, *tiny.labels, "CC0-1.0", "50 Hz", tiny.content_hash):
        assert expected in said
    run("info", "generated/tiny", "--body", "rodent")
    assert tiny.content_hash in capsys.readouterr().out


def test_plot(path, tmp_path) -> None:
    import matplotlib.image

    name = ClipSet.load(path).names[1]
    run("plot", path, "--clip", name, "--out", tmp_path / "a.png")
    picture = matplotlib.image.imread(tmp_path / "a.png")
    assert picture.shape[0] > 500
    assert picture.shape[1] > 1000
    assert picture[..., :3].std() > 0.05


def test_split(path, tmp_path, capsys) -> None:
    assert "is not a regular" in fails(
        capsys, "split", path, "--out", tmp_path / "s.json", "--session", "("
    )
    run("split", path, "--out", tmp_path / "s.json", "--by-clip", "--test", 0.5)
    parts = [ClipSet.load(tmp_path / f"s-{part}.h5") for part in ("train", "test")]
    assert sorted(parts[0].names + parts[1].names) == sorted(ClipSet.load(path).names)
    assert clips_.Split.load(tmp_path / "s.json").hashes["test"] == parts[1].content_hash
    assert "exclude each other" in fails(
        capsys, "split", path, "--out", tmp_path / "s.json", "--session", "(.)", "--by-clip"
    )


def test_edit(path, tmp_path, capsys) -> None:
    out, tiny = tmp_path / "out.h5", ClipSet.load(path)
    run("trim", path, "--start-s", 0.2, "--stop-s", 0.6, "--out", out)
    assert ClipSet.load(out).lengths.tolist() == [21, 21]
    run("resample", path, "--fps", 100, "--out", out)
    assert ClipSet.load(out).lengths.tolist() == [2 * n - 1 for n in tiny.lengths]
    run("mirror", path, "--out", out)
    run("concat", path, out, "--out", tmp_path / "both.h5")
    assert len(ClipSet.load(tmp_path / "both.h5")) == 2 * len(tiny)
    assert "4 clips" in capsys.readouterr().out


def test_join(path, tmp_path, capsys) -> None:
    out, tiny = tmp_path / "out.h5", ClipSet.load(path)
    run("join", path, "--out", out, "--blend-s", 0.2, "--duration-s", 4)
    said = capsys.readouterr().out
    joined = ClipSet.load(out)
    assert joined.duration_s >= 4
    first, second, *_ = joined.parts["joined_000"]
    assert (
        f"joined_000: {first.clip} from 0.00 s, {second.clip} from {second.start_s:.2f} s" in said
    )
    assert "per second in transitions" in said
    assert f"of {len(tiny.body.hinge_names)} joints" in said
    assert "blend_s=2 is too long" in fails(capsys, "join", path, "--out", out, "--blend-s", 2)


def test_generate(tmp_path, capsys) -> None:
    run("generate", "rodent", "--split", "tiny", "--out", tmp_path)
    assert "as shipped" in capsys.readouterr().out
    shipped = clips_.load("generated/tiny", "rodent").content_hash
    assert ClipSet.load(tmp_path / "tiny.h5").content_hash == shipped


def test_generate_that_differs(monkeypatch, capsys) -> None:
    from mimic_envs.clips import generators

    other = clips_.load("generated/test", "rodent")
    monkeypatch.setattr(generators, "generate", lambda body, split: other)
    assert "differ from those that ship: tiny" in fails(
        capsys, "generate", "rodent", "--split", "tiny"
    )


class TestBadInput:
    def test_no_such_file(self, capsys, tmp_path) -> None:
        for command in ("info", "plot"):
            assert "no such file" in fails(capsys, command, tmp_path / "none.h5")
        arguments = ["import", tmp_path / "none.csv", "--body", "fly", "--out", tmp_path / "a.h5"]
        assert "no such file" in fails(capsys, *arguments)

    def test_a_name_without_a_body(self, capsys) -> None:
        assert "say of which body, with --body" in fails(capsys, "info", "generated/tiny")

    def test_a_foreign_file(self, capsys, tmp_path, path) -> None:
        run("export", path, "--out", tmp_path / "a.h5")
        assert "mimic-envs clips import" in fails(capsys, "info", tmp_path / "a.h5")

    def test_an_unknown_body(self, capsys, tmp_path, path) -> None:
        said = fails(capsys, "import", path, "--body", "rodnt", "--out", tmp_path / "a.h5")
        assert "did you mean 'rodent'" in said

    def test_an_unknown_clip(self, capsys, path) -> None:
        assert "clip 9 does not exist" in fails(capsys, "plot", path, "--clip", 9)

    def test_our_own_file_needs_no_import(self, capsys, tmp_path, path) -> None:
        said = fails(capsys, "import", path, "--body", "rodent", "--out", tmp_path / "a.h5")
        assert "already" in said

    def test_a_place_that_cannot_be_written(self, capsys, path) -> None:
        assert "error:" in fails(capsys, "mirror", path, "--out", "/proc/none/a.h5")
