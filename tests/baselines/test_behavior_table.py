"""The table of what learns nothing in behavioral tasks: records, page, and going on."""

from __future__ import annotations

import json
import pathlib

import pytest

import mimic_envs
from baselines import behavior_table
from mimic_envs.scoring import behavior
from mimic_envs.tasks import reach

DOCS = pathlib.Path(__file__).resolve().parents[2] / "docs"


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trials of a tenth of a second from one start."""
    made = behavior_table.assembly.make

    def make(body: str, **options: object) -> object:
        return made(body, episode_s=0.1, **options)

    starts = behavior_table.scoring.STARTS
    monkeypatch.setattr(behavior_table.assembly, "make", make)
    monkeypatch.setattr(
        behavior_table.scoring, "STARTS", behavior_table.dataclasses.replace(starts, count=1)
    )


def test_a_row_is_recorded_once_and_again_when_trials_change(
    short: None, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [f"--records={tmp_path}/records", f"--page={tmp_path}/page.md"]
    words += ["--tasks=reach", "--rows=zero"]
    assert behavior_table.main(words) == 0
    path = tmp_path / "records" / "reach-mouse_arm-zero.json"
    record = json.loads(path.read_text())
    assert record["protocol"] == behavior.PROTOCOL
    assert record["trials"]["count"] == 16
    assert 0.0 < record["score"] < 1.0
    line = next(x for x in (tmp_path / "page.md").read_text().split("\n") if "| zero |" in x)
    assert line.startswith(f"| `reach` | mouse_arm | zero | {record['score']:.3f} | ")
    low, high = behavior.statistics.wilson(0, 16)
    assert f"| 0% ({low:.0%} to {high:.0%}) |" in line
    assert line.endswith("| 0.00 | - |")
    before = path.read_text()
    assert behavior_table.main(words) == 0
    assert path.read_text() == before
    path.write_text(json.dumps(record | {"trials": {"count": 16, "sha256": "other"}}))
    env = behavior_table.environment("reach", "mouse_arm", "zero")
    assert not behavior_table.current(path, env)
    capsys.readouterr()


def test_unknown_names_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert behavior_table.main(["--tasks=reech"]) == 2
    assert "unknown task 'reech'; did you mean 'reach'" in capsys.readouterr().err
    assert behavior_table.main(["--rows=still"]) == 2
    assert "unknown row 'still'" in capsys.readouterr().err


def test_all_ids_are_in_the_table() -> None:
    pairs = behavior_table.Arguments().pairs
    assert {(body, task) for task, body in pairs} == set(mimic_envs.TASK_IDS.values())
    assert behavior_table.Arguments(tasks=(reach.NAME,)).pairs == [("reach", "mouse_arm")]


def test_the_page_is_made_of_the_records() -> None:
    made = behavior_table.page(DOCS / "behavior_scores")
    assert (DOCS / "behavior_scores.md").read_text() == made
