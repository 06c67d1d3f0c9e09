"""Generated pages are up to date, and links lead somewhere."""

from __future__ import annotations

import functools
import importlib
import os
import pathlib
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import jax
import jax.numpy as jnp
import pytest

import mimic_envs
from mimic_envs import ENV_IDS
from mimic_envs import options as options_
from mimic_envs.mdp import (
    Context,
    Cost,
    Delay,
    Metric,
    Observation,
    Push,
    Randomize,
    Reward,
    Termination,
    actions,
    events,
)
from mimic_envs.scoring import PROTOCOL, frozen
from mimic_envs.tasks import following, imitation, sampling
from tests.tasks import velocity_task

ROOT = pathlib.Path(__file__).resolve().parents[1]


@pytest.fixture
def page_of(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """The function that makes the page of an environment."""
    monkeypatch.syspath_prepend(ROOT / "docs")
    return importlib.import_module("body_page").environment_page


def test_generated_pages_are_up_to_date(page_of: Callable[..., str]) -> None:
    pages = importlib.import_module("generate").pages()
    assert pages
    for path, text in pages.items():
        assert path.read_text() == text, f"{path.name}: run python docs/generate.py"


def test_the_page_of_studies_is_made_from_their_numbers(page_of: Callable[..., str]) -> None:
    pages = importlib.import_module("study_pages")
    found = (ROOT / "docs" / "studies.md").read_text()
    assert pages.page(ROOT / "docs" / "studies") == found, "run python docs/studies.py"
    drawn = {p.stem for p in (ROOT / "docs" / "studies").glob("*.svg")}
    assert drawn == {p.stem for p in (ROOT / "docs" / "studies").glob("*.json")}
    assert drawn <= set(pages.SECTIONS)


def test_a_page_can_be_made_of_any_task(page_of: Callable[..., str]) -> None:
    page = page_of("Walk", mimic_envs.make("stick_insect", task=velocity_task))
    assert page.startswith("# Walk\n")
    for function in (velocity_task.asked_speed, velocity_task.speed_error):
        said = function.__doc__.strip(".").replace("length units", "cm")
        assert f"| {said} |" in page
    assert "Walk ahead with a speed that is drawn" in page
    assert "`reset` can choose `speed`" in page
    assert "| `fallen` | outside -0.65 to 1 |" in page
    for of_clips in ("clip", "reference frames"):
        assert of_clips not in page.replace("are clipped to", "")


def brightness(c: Context) -> jax.Array:
    """Brightness of a lamp, lux, (2,)."""
    return jnp.ones(2)


def grace(c: Context) -> jax.Array:
    """Grace, between
    0 | 1 and one length unit.

    Not said on the page.
    """
    return jnp.float32(1.0)


def test_every_row_is_on_the_page(page_of: Callable[..., str]) -> None:
    """Rows from outside, with their own docstrings, and one without any."""
    richer = mimic_envs.make(
        "mouse_arm",
        clips="generated/tiny",
        action="posture",
        observations={"mine": {"lamp": Observation(brightness, 0.25, noise=0.125)}},
        rewards={"grace": Reward(grace, 0.75), "share": Cost(grace, 0.0625)},
        terminations={"dull": Termination(grace, -3.0), "dark": lambda c: c.time_s > 1},
        metrics={"how/graceful": functools.partial(grace)},
        events={"delay": Delay(0, 2)},
        time_limit_s=0.05,
    )
    rows = set(page_of("Mine", richer).splitlines())
    said = "Grace, between 0 \\| 1 and one m"
    assert rows >= {
        "| 94 to 95 | `mine/lamp` | (2,) | 0.25 | Brightness of a lamp, lux, (2,); noise with a "
        "standard deviation of 0.125 |",
        f"| `grace` | 0.75 |  | {said} |",
        f"| `share` | -0.0625 of the sum |  | {said} |",
        f"| `dull` | above -3 | {said} |",
        "| `dark` | true | (no docstring) |",
        f"| `how/graceful` | {said} |",
    }
    page = "\n".join(rows)
    assert "| `delay` | `Delay(low=0, high=2)` |" in page
    assert "Truncated at the clip's last frame or after 10 control steps." in page
    assert "Action term `posture`" in page


def training_commands(page: pathlib.Path) -> list[tuple[str, list[str]]]:
    """Trainer and arguments of every command of a page that trains by a command of `baselines`."""
    blocks = re.findall(r"```bash\n(.*?)```", page.read_text(), re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    found = []
    for line in lines:
        module, arguments = re.fullmatch(
            r"(?:.*python -m baselines\.(train|distill))?(.*)", line
        ).groups()
        if module and "$" not in line and "..." not in line:
            found.append((module, shlex.split(arguments, comments=True)))
    return found


def parsed(module: str, words: list[str]) -> Any:
    """The settings that a trainer reads from its arguments."""
    return importlib.import_module(f"baselines.{module}").parse(words)


@pytest.mark.parametrize(
    "page",
    [
        *("README.md", "docs/baselines.md", "docs/recordings.md", "docs/reuse.md"),
        *("docs/studies.md", "docs/trained.md", "docs/tutorials/train_ppo.md"),
    ],
)
def test_commands_that_train_are_taken_by_their_programs(page: str) -> None:
    found = training_commands(ROOT / page)
    assert found
    for module, words in found:
        assert parsed(module, words).env in ENV_IDS


def test_a_wrong_command_would_be_found(tmp_path: pathlib.Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```bash\nx && python -m baselines.train --env x \\\n  --stepps 5  # more\n```")
    ((module, words),) = training_commands(page)
    assert words == ["--env", "x", "--stepps", "5"]
    with pytest.raises(SystemExit):
        parsed(module, words)


def test_every_environment_has_commands_that_train_it() -> None:
    """On the generated clips, and on recordings as `baselines.recordings` names their files."""
    on: dict[bool, set[str]] = {True: set(), False: set()}
    for module, words in training_commands(ROOT / "docs" / "trained.md"):
        arguments = parsed(module, words)
        builtin = arguments.clips == "generated/train"
        assert builtin or arguments.clips == f"recordings/{ENV_IDS[arguments.env]}-train.h5"
        assert arguments.eval_clips == ("generated/test" if builtin else arguments.clips)
        on[builtin].add(arguments.env)
    assert on[True] == on[False] == set(ENV_IDS)


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ("README.md", f"`{PROTOCOL}` are provisional"),
        ("docs/scoring.md", "under it are provisional"),
        ("leaderboard/README.md", "under it are provisional"),
    ],
)
def test_pages_say_whether_the_protocol_is_provisional(page: str, words: str) -> None:
    text = " ".join((ROOT / page).read_text().split())
    assert (words in text) == frozen.get(PROTOCOL).draft
    assert f"`{PROTOCOL}`" in text


def test_pages_say_whether_there_are_policies_and_entries() -> None:
    pages = ("README.md", "docs/trained.md", "leaderboard/README.md")
    readme, trained, board = (" ".join((ROOT / page).read_text().split()) for page in pages)
    policies = any((ROOT / "baselines" / "policies").glob("*/policy.json"))
    entries = any((ROOT / "leaderboard" / "submissions").glob("*/*/*/submission.json"))
    assert ("There are no entries yet." in board) == (not entries)
    assert ("No trained policies come with `v1` yet." in trained) == (not policies)
    assert ("No trained policies and no leaderboard entries" in readme) == (
        not policies and not entries
    )


def test_every_version_of_an_environment_is_in_its_history(env_id: str) -> None:
    page = (ROOT / "docs" / "bodies" / f"{ENV_IDS[env_id]}.md").read_text()
    history = page.split("## Version history")[1]
    newest = int(env_id.rpartition("-v")[2])
    found = re.findall(r"^\| v(\d+) \| .+ \|$", history, re.MULTILINE)
    assert found == [str(version) for version in range(newest, -1, -1)]


@pytest.mark.parametrize("page", sorted(ROOT.glob("*.md")) + sorted(ROOT.glob("*/**/*.md")))
def test_links_lead_somewhere(page: pathlib.Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_python_in_the_readme_runs() -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        small = block.replace("num_envs=256", "num_envs=4").replace(", 256)", ", 4)")
        exec(small.replace("(256,", "(4,"), {})


def test_python_in_the_page_about_clips_runs(tmp_path: pathlib.Path, monkeypatch) -> None:
    (block,) = re.findall(
        r"```python\n(.*?)```", (ROOT / "docs" / "clips.md").read_text(), re.DOTALL
    )
    monkeypatch.chdir(tmp_path)
    exec(block.replace("generated/train", "generated/tiny"), {})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["walks.csv", "walks.h5"]


def test_the_page_about_clips_names_every_command() -> None:
    from mimic_envs.cli import clips
    from mimic_envs.clips import importers

    page = (ROOT / "docs" / "clips.md").read_text()
    for name in clips.APP._subcommands:
        assert f"clips {name}" in page, name
    for name in importers.LAYOUTS:
        assert f"`{name}`" in page, name


def test_the_walk_through_of_your_body_runs(tmp_path: pathlib.Path) -> None:
    """Its Python blocks in their order, the first as `dog_lab.py`, and its score command."""
    pytest.importorskip("dm_control", reason="the page's dog comes with dm_control")
    page = (ROOT / "docs" / "your_body.md").read_text()
    lab, motions, use = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (tmp_path / "dog_lab.py").write_text(lab)
    run = functools.partial(
        subprocess.run, cwd=tmp_path, check=True, capture_output=True, text=True
    )
    for block in (motions, use):
        run([sys.executable, "-c", block])
    (command,) = re.findall(r"mimic-envs (score .*)\n", page)
    said = run([sys.executable, "-m", "mimic_envs", *command.split()]).stdout
    score = float(re.search(r"score (\d\.\d+)", said)[1])
    assert 0.4 < score <= 1
    assert (tmp_path / "results" / "dog-pd-nod.json").is_file()


def test_python_in_the_page_about_tasks_runs(tmp_path: pathlib.Path) -> None:
    """Its blocks in their order, the first as `my_terms.py`."""
    page = (ROOT / "docs" / "tasks.md").read_text()
    terms, *blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(blocks) == 6
    (tmp_path / "my_terms.py").write_text(terms)
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}"}
    for block in blocks:
        command = [sys.executable, "-W", "error::UserWarning", "-c", block]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


def test_python_in_the_page_about_behavior_runs() -> None:
    (block,) = re.findall(
        r"```python\n(.*?)```", (ROOT / "docs" / "behavior.md").read_text(), re.DOTALL
    )
    exec(block, {})


def test_the_page_about_tasks_names_everything() -> None:
    page = (ROOT / "docs" / "tasks.md").read_text()
    options = [f.name for kind in (options_.Options, imitation.Options) for f in fields(kind)]
    kinds = [Observation, Reward, Cost, Termination, Metric, Randomize, Push, Delay]
    of_rows = [name for kind in kinds for name in (kind.__name__, *(f.name for f in fields(kind)))]
    names = [
        *options,
        *actions.ACTIONS,
        *sampling.MODES,
        *following.ENDS,
        *events.QUANTITIES,
        *of_rows,
    ]
    for name in names:
        assert re.search(rf"^\|.*`[^`|]*\b{name}\b", page, re.MULTILINE), name
