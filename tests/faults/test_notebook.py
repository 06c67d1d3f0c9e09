"""In a notebook: output goes to no file, and an event loop runs already."""

from __future__ import annotations

import pathlib
from typing import Any

import pytest

nbclient = pytest.importorskip("nbclient", reason="needs pip install -e '.[dev]'")
nbformat = pytest.importorskip("nbformat", reason="needs pip install -e '.[dev]'")
pytest.importorskip("ipykernel", reason="needs pip install -e '.[dev]'")

ROOT = pathlib.Path(__file__).resolve().parents[2]
CELLS = {
    "look": """
import sys
sys.path.insert(0, {root!r})
import gymnasium, mimic_envs
env = gymnasium.make(
    "mimic_envs/MouseArm-v1", clips="generated/tiny", render_mode="rgb_array", width=64, height=48
)
env.reset(seed=0)
env.step(env.action_space.sample())
print(env.render().shape)
""",
    "command": """
from mimic_envs import cli
cli.main(["list"])
""",
    "train": """
from baselines import train
short = "--clips generated/tiny --eval-clips generated/tiny --steps 256 --eval-every 256 --hidden 8"
short += " --ppo.environments 8 --ppo.unroll 16 --ppo.minibatches 2 --threads 1"
where = ["--env", "mimic_envs/MouseArm-v1", "--out", {out!r}]
print("exit code", train.main([*where, *short.split()]))
""",
    "wrong": """
print("exit code", train.main(["--env", "mimic_envs/MouseAm-v1"]))
""",
    "after": """
import asyncio
await asyncio.sleep(0)
print("the loop runs")
""",
}


def text(output: dict[str, Any]) -> str:
    """What an output says; Rich shows its own as data."""
    return output.get("text") or output.get("data", {}).get("text/plain", "")


def test_environments_commands_and_trainers_work_in_a_notebook(tmp_path: pathlib.Path) -> None:
    made = nbformat.v4.new_notebook()
    words = {"root": str(ROOT), "out": str(tmp_path / "run")}
    made.cells = [nbformat.v4.new_code_cell(cell.format(**words)) for cell in CELLS.values()]
    nbclient.NotebookClient(
        made, timeout=600, resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    cells = zip(CELLS, made.cells, strict=True)
    said = {name: "".join(map(text, cell.outputs)) for name, cell in cells}
    assert "(48, 64, 3)" in said["look"]
    assert "mimic_envs/MouseArm-v1" in said["command"]
    assert "exit code 0" in said["train"]
    assert (tmp_path / "run" / "policy" / "policy.json").is_file()
    assert "did you mean 'mimic_envs/MouseArm-v1'" in " ".join(said["wrong"].split())
    assert "exit code 2" in said["wrong"]
    assert "Traceback" not in "".join(said.values())
    assert "the loop runs" in said["after"]
