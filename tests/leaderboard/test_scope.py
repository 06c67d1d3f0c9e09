"""What a pull request of a stranger may change: it adds submissions, and nothing else."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess

import pytest
import yaml

from leaderboard import scope
from leaderboard.scope import Change

PLACE = "leaderboard/submissions/mimic-2/worm"
OLD, NEW = f"{PLACE}/20260101-old", f"{PLACE}/20261101-new"


def added(path: str, mode: str = "100644", status: str = "A") -> Change:
    return Change(status, mode, path)


def test_a_new_submission() -> None:
    names = ("submission.json", "policy/0/clip_1/policy.json", "rollouts/rollouts.npz")
    changes = [added(f"{NEW}/{name}") for name in names]
    assert scope.problems(changes, {OLD}) == []
    assert scope.folders(changes) == [NEW]


@pytest.mark.parametrize(
    "change",
    [
        added(f"{OLD}/submission.json", status="M"),
        added(f"{OLD}/submission.json", "000000", "D"),
        added(f"{OLD}/more.json"),
        added(f"{OLD}/policy/policy.json"),
        added(f"{NEW}/submission.json", status="M"),
        added(f"{NEW}/results.json", "120000"),
        added(f"{NEW}/results.json", "100755"),
        added(f"{NEW}/policy", "160000"),
        added(f"{NEW}/results.json", "120000", "T"),
        added(f"{NEW}"),
        added(f"{NEW}/../../../../../setup.py"),
        added(f"{NEW}/.gitattributes"),
        added(f"{NEW}/a\n::error::b"),
        added(f"{NEW}/\udcff"),
        added(f"{PLACE}/20261101-New/submission.json"),
        added(f"{PLACE}/submission.json"),
        added("leaderboard/submissions/README.md"),
        added("leaderboard/verified/mimic-2/worm/20261101-new.json"),
        added("leaderboard/verified/mimic-2/worm/20260101-old.json", "000000", "D"),
        added("mimic_envs/scoring/metrics.py", status="M"),
        added(".github/workflows/submissions.yml", status="M"),
        added("README.md", "000000", "D"),
    ],
)
def test_everything_else(change: Change) -> None:
    assert len(scope.problems([change], {OLD})) == 1
    good = [added(f"{NEW}2/submission.json"), change]
    assert len(scope.problems(good, {OLD})) == 1, "a good one excuses nothing"


def test_too_many() -> None:
    changes = [added(f"{NEW}{i}/submission.json") for i in range(11)]
    assert scope.problems(changes, ()) == ["has 11 submissions, at most 10 are verified at once"]


@pytest.mark.parametrize("raw", [b"x", b":100644 100644 a b M\0", b":1 2 M\0x\0", b"x\0y\0"])
def test_only_what_git_writes_is_read(raw: bytes) -> None:
    with pytest.raises(ValueError, match="not the output of git diff"):
        scope.parse(raw)
    assert scope.parse(b"") == []


@pytest.fixture
def repository(tmp_path: pathlib.Path) -> pathlib.Path:
    """A repository with one submission and a report."""
    folder = tmp_path / "repository"
    write(folder, f"{OLD}/submission.json", "{}")
    write(folder, "leaderboard/verified/mimic-2/worm/20260101-old.json", "{}")
    git(folder, "init", "-q")
    commit(folder)
    return folder


def write(folder: pathlib.Path, path: str, text: str) -> None:
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_text(text)


def git(folder: pathlib.Path, *arguments: str) -> None:
    who = {"GIT_AUTHOR_NAME": "x", "GIT_AUTHOR_EMAIL": "x", "GIT_CONFIG_GLOBAL": os.devnull}
    who |= {"GIT_COMMITTER_NAME": "x", "GIT_COMMITTER_EMAIL": "x"}
    command = ["git", "-C", str(folder), *arguments]
    subprocess.run(command, check=True, capture_output=True, env=os.environ | who)


def commit(folder: pathlib.Path) -> None:
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "x")


def checked(
    repository: pathlib.Path, capsys, maintainer: bool = False
) -> tuple[int, str, list[str]]:
    commit(repository)
    out = repository.parent / "changed"
    code = scope.main(repository, out, maintainer=maintainer)
    paths = out.read_bytes().decode("utf-8", "surrogateescape").split("\0")[:-1]
    return code, capsys.readouterr().out, [pathlib.Path(x).name for x in paths]


def test_with_git(repository, capsys) -> None:
    write(repository, f"{NEW}/submission.json", json.dumps({"authors": ["A. Author"]}))
    write(repository, f"{NEW}/policy/policy.json", "{}")
    assert checked(repository, capsys) == (0, "", ["20261101-new"])


def test_an_edit_a_link_and_a_deletion_with_git(repository, capsys) -> None:
    write(repository, f"{OLD}/submission.json", '{"name": "mine"}')
    (repository / "leaderboard/verified/mimic-2/worm/20260101-old.json").unlink()
    write(repository, f"{NEW}/submission.json", "{}")
    (repository / NEW / "results.json").symlink_to("/etc/passwd")
    code, said, _ = checked(repository, capsys)
    assert (code, said.count("\n- ") + said.startswith("- ")) == (1, 3)


def test_a_name_cannot_speak_to_the_runner(repository, capsys) -> None:
    write(repository, f"{PLACE}/x\n::error::hacked\x1b[31m/a", "x")
    code, said, _ = checked(repository, capsys)
    assert code == 1
    assert said.count("\n") == 1
    assert said.startswith("- leaderboard")
    assert said.strip().isprintable()


def test_only_maintainers_speak_for_the_project(repository, capsys) -> None:
    write(repository, f"{NEW}/submission.json", json.dumps({"authors": ["x", "mimic_envs"]}))
    code, said, _ = checked(repository, capsys)
    assert code == 1
    assert "author 'mimic_envs' is this project" in said


def test_a_maintainer_may_change_everything(repository, capsys) -> None:
    """And what changes is verified, what is removed is not."""
    write(repository, "README.md", "x")
    write(repository, f"{NEW}/submission.json", "{}")
    shutil.rmtree(repository / OLD)
    assert checked(repository, capsys, maintainer=True) == (0, "", ["20261101-new"])


def test_the_workflow_asks() -> None:
    """Before anything is verified, with the code of the base branch."""
    path = pathlib.Path(scope.__file__).parents[1] / ".github" / "workflows" / "submissions.yml"
    steps = yaml.safe_load(path.read_text())["jobs"]["verify"]["steps"]
    commands = [step.get("run", "") for step in steps]
    asks, verifies = (
        next(i for i, run in enumerate(commands) if f"python -m leaderboard.{name}" in run)
        for name in ("scope", "verify")
    )
    assert asks < verifies
    for i in (asks, verifies):
        assert steps[i]["working-directory"] == "judge"
        assert "${{" not in commands[i], "what a stranger wrote is never part of a command"
        assert commands[i].startswith('echo "::stop-commands::')
