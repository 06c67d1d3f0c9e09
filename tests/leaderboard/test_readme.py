"""What leaderboard/README.md tells a new user to do, done."""

from __future__ import annotations

import json
import pathlib
import re
import shlex

import pytest

from leaderboard.judge import judge
from mimic_envs import cli
from mimic_envs.scoring import PROTOCOL
from tests.leaderboard.conftest import fill_in

README = pathlib.Path(__file__).resolve().parents[2] / "leaderboard" / "README.md"


def command(block: str, line: int = 0) -> list[str]:
    """The arguments of a line of a block for the shell."""
    lines = block.replace("\\\n", " ").strip().splitlines()
    return shlex.split(lines[line])


def test_five_minutes(tmp_path, monkeypatch, capsys) -> None:
    """On the practice track, which is smaller."""
    text = README.read_text()
    (python,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    shell = re.findall(r"```bash\n(.*?)```", text, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(python.replace("generated/train", "generated/tiny"), {})
    program, *arguments = command(shell[0])
    assert program == "mimic-envs"
    cli.main([*arguments, "--track", "practice"])
    said = capsys.readouterr().out
    assert "still to do: training.hardware is not filled in" in said
    (folder,) = (tmp_path / "leaderboard/submissions" / PROTOCOL / "worm").iterdir()
    assert folder.match("*-linear-clone")
    with pytest.raises(SystemExit):
        cli.main([*command(shell[1])[1:3], str(folder)])
    fill_in(folder)
    cli.main([*command(shell[1])[1:3], str(folder)])
    assert "valid" in capsys.readouterr().out
    report = judge(folder)
    assert report.tier == "T2"
    score = json.loads((folder / "results.json").read_text())["score"]
    assert score > 0.5  # it is a clone of pd, which has 0.92
    own = command((folder / "README.md").read_text().split("```bash")[1].split("```")[0])
    monkeypatch.chdir(folder)
    cli.main([*own[1:], "--out", str(tmp_path / "again.json")])
    assert json.loads((tmp_path / "again.json").read_text())["score"] == score
