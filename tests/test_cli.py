"""The command, as a user types it."""

from __future__ import annotations

import json
import sys

import pytest

import mimic_envs
from mimic_envs import cli


def run(*arguments: str) -> None:
    cli.main(list(arguments))


def fails(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as stop:
        run(*arguments)
    assert stop.value.code == 2
    message = " ".join(capsys.readouterr().err.split())
    assert "Traceback" not in message
    return message


def test_score_writes_results_and_plot(tmp_path, capsys) -> None:
    out = tmp_path / "r.json"
    run(
        "score",
        "mimic_envs/Rodent-v1",
        "--controller",
        "pd",
        "--clips",
        "generated/tiny",
        "--out",
        str(out),
        "--plot",
    )
    said = capsys.readouterr().out
    saved = json.loads(out.read_text())
    assert f"score {saved['score']:.4f}" in said
    assert str(out) in "".join(said.split())
    for name in saved["clips"]["names"]:
        assert name[:12] in said
    assert (tmp_path / "r.png").read_bytes().startswith(b"\x89PNG")


def test_default_place_of_results(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    run("score", "mimic_envs/Rodent-v1", "--controller", "zero", "--clips", "generated/tiny")
    assert (tmp_path / "results" / "rodent-zero-tiny.json").is_file()


def test_list(capsys) -> None:
    run("list")
    said = "".join(capsys.readouterr().out.split())
    assert "rodent" in said
    assert "generated/test" in said


def test_play_writes_a_video(tmp_path, capsys) -> None:
    import imageio.v2 as imageio

    out = tmp_path / "v.mp4"
    run(
        "play",
        "mimic_envs/Rodent-v1",
        "--clips",
        "generated/tiny",
        "--clip",
        "1",
        "--out",
        str(out),
        "--width",
        "160",
        "--height",
        "120",
    )
    frames = imageio.mimread(out, memtest=False)
    assert frames[0].shape == (120, 160, 3)
    assert 45 <= len(frames) <= 51  # one second at 50 pictures per second
    assert list(tmp_path.iterdir()) == [out]


class TestBadInput:
    def test_id(self, capsys) -> None:
        said = fails(capsys, "score", "mimic_envs/Rodnt-v1")
        assert "did you mean 'mimic_envs/Rodent-v1'" in said

    def test_controller(self, capsys) -> None:
        said = fails(capsys, "score", "mimic_envs/Rodent-v1", "--controller", "pid")
        assert "unknown controller 'pid'; did you mean 'pd'" in said

    def test_clip_set(self, capsys) -> None:
        said = fails(capsys, "score", "mimic_envs/Rodent-v1", "--clips", "generated/tests")
        assert "did you mean 'generated/test'" in said

    def test_clip_file(self, capsys, tmp_path) -> None:
        path = tmp_path / "x.h5"
        path.write_text("no")
        assert "not an HDF5 file" in fails(
            capsys, "score", "mimic_envs/Rodent-v1", "--clips", str(path)
        )

    def test_clip(self, capsys) -> None:
        said = fails(capsys, "play", "mimic_envs/Rodent-v1", "--clip", "99")
        assert "clip 99 does not exist" in said

    def test_clip_name(self, capsys) -> None:
        said = fails(capsys, "play", "mimic_envs/Rodent-v1", "--clip", "moonwalk")
        assert "unknown clip 'moonwalk'" in said

    def test_video_type(self, capsys, tmp_path) -> None:
        out = str(tmp_path / "v.gif")
        said = fails(
            capsys, "play", "mimic_envs/Rodent-v1", "--clips", "generated/tiny", "--out", out
        )
        assert "must end in .mp4" in said

    def test_missing_video_writer(self, capsys, monkeypatch, tmp_path) -> None:
        monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
        out = str(tmp_path / "v.mp4")
        said = fails(
            capsys, "play", "mimic_envs/Rodent-v1", "--clips", "generated/tiny", "--out", out
        )
        assert "pip install 'mimic_envs[video]'" in said


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["--version"])
    said = capsys.readouterr().out
    assert said.startswith(f"mimic_envs {mimic_envs.__version__}, mujoco 3.")
    assert len(said.splitlines()) == 1
