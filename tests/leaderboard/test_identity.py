"""Whose a submission is: names, dates, copies, licences, and the method that it belongs to."""

from __future__ import annotations

import datetime
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

from mimic_envs import cli
from mimic_envs.scoring import policies, safetensors, submissions
from mimic_envs.scoring.schema import violations
from mimic_envs.scoring.submissions import Submission, join, problems
from mimic_envs.scoring.submissions.submission import SCHEMA
from tests.leaderboard import made_up
from tests.leaderboard.test_forgeries import Forger


@pytest.fixture
def network(root, tmp_path) -> Forger:
    return Forger(next(root.glob("*-network")), tmp_path)


@pytest.fixture
def pd(root, tmp_path) -> Forger:
    return Forger(next(root.glob("*-pd")), tmp_path)


@pytest.fixture(scope="module")
def record(root) -> dict:
    return json.loads((next(root.glob("*-network")) / "submission.json").read_text())


POSING = {
    "name": [
        "p\u200bd",
        "\u0440d",
        "pd\n",
        "pd ",
        "\x1b[31m",
        "\0",
        "\u202ex",
        "p\uff44",
        "  ",
        "",
    ],
    "summary": ["a\nb", "a\u2028b", "\u2066x", "\ud800"],
    "authors": [
        ["mimic_\u0435nvs"],
        ["a\u202e"],
        ["x", "\u3164"],
        ["a\u0301\u0301\u0301\u0301\u0301"],
    ],
    "url": [
        "https://user@example.org/",
        "https://user:secret@example.org/",
        "https://github.com\\@example.org/",
        "https://ex\u0430mple.org/",
        "https://example.org:8080/",
        "https://10.0.0.1/",
        "https://localhost/",
        "https://example.org/a b",
        "https://example.org/\u202e",
        "http://example.org/",
        "javascript:alert(1)",
        "//example.org/",
    ],
    "licence": ["", "CC0 1.0", "MIT\n", "<b>", "-x"],
    "slug": ["20261301-x", "20260230-", "2026-x", "20261101-X", "../20261101-x"],
    "controller": ["\u202e"],
    "versions": [{"a\n": "1"}, {"a": "\x1b"}, {str(i): "x" for i in range(51)}],
    "files": [{"a\u200b": "0" * 64}, {"a": 1}, {str(i): "0" * 64 for i in range(201)}],
    "method": [{"worm": "x"}, {"w\n": "0" * 64}, [], None],
    "training": [[], {"hardware": "\n"}, 10**400],
}


@pytest.mark.parametrize("field", POSING)
def test_texts_that_pose_are_refused(record, field) -> None:
    for value in POSING[field]:
        said = list(violations(record | {field: value}, SCHEMA))
        assert said, value
        assert all(x.isprintable() for x in said), value


def test_good_texts_are_not(record) -> None:
    changes = {
        "name": "PPO + PD, 0.1 (wide)",
        "authors": ["\u05e2\u05de\u05d9\u05ea", "\u7530\u4e2d", "Nguy\u1ec5n V\u0103n A"],
        "url": "https://medium.example.org/@me/x?y=1#z",
        "licence": "CC-BY-SA-4.0",
        "summary": "It moves 10\u2079 times; \u03bb = 0.1.",
    }
    for key, value in changes.items():
        assert list(violations(record | {key: value}, SCHEMA)) == []


def test_dates(network) -> None:
    now = datetime.datetime.now(datetime.UTC)
    for days, accepted in ((0, True), (3, False), (400, False)):
        day = f"{now + datetime.timedelta(days=days):%Y%m%d}"
        network.record(slug=f"{day}-network")
        network.folder = network.folder.rename(network.folder.with_name(f"{day}-network"))
        said = "\n".join(problems(network.folder))
        assert ("lies in the future" in said) != accepted
    network.record(slug="20260230-network")
    assert "slug has the date 20260230, which no calendar has" in network.said()


@pytest.mark.parametrize("name", ["pd", "P D", "zer0", "w.b.c.", "randorn", "MPC"])
def test_only_controllers_are_called_like_controllers(network, name) -> None:
    network.rename(name)
    assert "looks like the controller" in network.said()


def test_a_controller_is_called_as_it_is(pd) -> None:
    pd.rename("Much better")
    assert "name must be 'pd', as the controller is called" in pd.said()


def test_the_name_of_a_folder_is_that_of_its_entry(network) -> None:
    network.record(name="Another")
    assert "slug ends in 'network', but the name makes it 'another'" in network.said()


def test_nobody_looks_like_another(network) -> None:
    shutil.copytree(network.folder, network.folder.with_name("20250101-netw0rk"))
    said = network.said()
    assert "slug 'network' looks like 20250101-netw0rk" in said
    assert "has weights or controls of 20250101-netw0rk" in said


@pytest.mark.parametrize("author", ["M1MIC_ENVS", "mimic-envs", "Mimic Envs", "mirnic_envs"])
def test_nobody_looks_like_the_project(network, author) -> None:
    network.record(authors=[author])
    assert "looks like 'mimic_envs', which is this project" in network.said()


def test_seeds_differ(network) -> None:
    policy = network.folder / "policy"
    files = {path.name: path.read_bytes() for path in policy.iterdir()}
    shutil.rmtree(policy)
    for seed in "01":
        (policy / seed).mkdir(parents=True)
        for name, data in files.items():
            (policy / seed / name).write_bytes(data)
    network.rehash()
    assert "two of its policies have the same weights" in network.said()


def test_weights_are_numbers_of_32_bits(network, env) -> None:
    """1e39 is finite as it lies in the file, and infinite as it is used."""
    path = network.folder / "policy" / "weights.safetensors"
    good = safetensors.read(path)
    for name, value in (("mean", 1e39), ("layer_0/bias", -1e300), ("std", 1e-60), ("mean", np.nan)):
        tensors = {k: x.astype(np.float64) for k, x in good.items()}
        tensors[name][0] = value
        safetensors.write(path, tensors)
        network.rehash()
        assert "not finite in 32 bits" in network.said() or "std must be positive" in network.said()
        with pytest.raises(ValueError, match=r"32 bits|must be positive"):
            policies.load(network.folder / "policy", env)
    safetensors.write(path, {k: x.astype(np.float64) for k, x in good.items()})
    network.rehash()
    assert problems(network.folder) == []


class TestMethods:
    def test_they_are_joined_by_content(self, tmp_path) -> None:
        folders = [
            made_up.hand_in(tmp_path, body, "x", made_up.flat(body, 0.5))
            for body in ("worm", "fly")
        ]
        method = join(folders)
        found = [Submission.load(folder) for folder in folders]
        assert method == {one.record["body"]: one.content_hash for one in found}
        assert [one.record["method"] for one in found] == [method] * 2
        assert join(folders) == method, "their content is what it was"

    def test_the_command(self, tmp_path, capsys) -> None:
        folders = [
            made_up.hand_in(tmp_path, body, "x", made_up.flat(body, 0.5))
            for body in ("worm", "fly")
        ]
        cli.main(["leaderboard", "join", *map(str, folders)])
        assert capsys.readouterr().out == "one method: worm, fly\n"

    def test_what_is_no_method(self, tmp_path) -> None:
        one = made_up.hand_in(tmp_path, "worm", "x", made_up.flat("worm", 0.5))
        other = made_up.hand_in(tmp_path, "fly", "y", made_up.flat("fly", 0.5))
        again = made_up.hand_in(tmp_path, "worm", "z", made_up.flat("worm", 0.5), name="x")
        with pytest.raises(ValueError, match="differ in name: x, y"):
            join([one, other])
        with pytest.raises(ValueError, match="two submissions for one body"):
            join([one, again])

    def test_a_submission_names_itself(self, network) -> None:
        network.record(method={"worm": "0" * 64, "dog": "0" * 64})
        said = network.said()
        assert "method does not name this submission" in said
        assert "method names the body 'dog'" in said


def test_a_licence_is_chosen_by_its_author(tmp_path, capsys) -> None:
    """It was chosen for him before; now nothing is scored without it."""
    common = ["leaderboard", "new", "mimic_envs/Worm-v1", "--name", "x", "--authors", "A"]
    with pytest.raises(SystemExit):
        cli.main([*common, "--controller", "pd"])
    assert "licence" in capsys.readouterr().err
    with pytest.raises(ValueError, match="licence is 'no licence'"):
        submissions.new(tmp_path, "worm", "pd", ["A. Author"], "no licence", controller="pd")
    with pytest.raises(ValueError, match="must be 'pd'"):
        submissions.new(tmp_path, "worm", "mine", ["A. Author"], "MIT", controller="pd")


def test_the_command_says_what_is_wrong_and_no_more(tmp_path) -> None:
    """In a process with limits; what strangers wrote does not command the terminal."""
    folder = tmp_path / "mimic-2-draft" / "worm" / "20261101-x"
    folder.mkdir(parents=True)
    (folder / "submission.json").write_text(json.dumps({"\x1b[31m\n::error::": "\u202e"}))
    (folder / "a\nb").write_text("x")
    command = [sys.executable, "-m", "mimic_envs", "leaderboard", "validate", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stdout == (
        "problem: 'a\\nb': names may have letters, digits and . _ - only\nproblems: 1\n"
    )
    assert done.stderr == ""
