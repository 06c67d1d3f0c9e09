"""Submissions that are wrong, by mistake or on purpose, and what is said about them."""

from __future__ import annotations

import json
import pathlib
import shutil
import zipfile
from typing import ClassVar

import numpy as np
import pytest

import mimic_envs
from leaderboard import judge as judge_
from leaderboard import sandbox
from leaderboard.judge import Report, judge
from mimic_envs.scoring import PROTOCOL, STARTS, frozen, statistics
from mimic_envs.scoring.recording import Rollouts, load_scores
from mimic_envs.scoring.results import aggregates
from mimic_envs.scoring.submissions import Submission, problems
from mimic_envs.scoring.submissions.submission import slugify
from tests.leaderboard.conftest import fill_in, mlp


class Forger:
    """A copy of a good submission, to be changed."""

    def __init__(self, source: pathlib.Path, target: pathlib.Path) -> None:
        self.folder = target / PROTOCOL / "worm" / source.name
        shutil.copytree(source, self.folder)

    def record(self, **changes) -> None:
        path = self.folder / "submission.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    def rename(self, name: str) -> None:
        """Call it by another name."""
        slug = f"{self.folder.name[:8]}-{slugify(name)}"
        self.record(name=name, slug=slug)
        self.folder = self.folder.rename(self.folder.with_name(slug))

    def rehash(self) -> None:
        """As a careful forger does."""
        self.record(files=Submission(self.folder, {}).hashes())

    def results(self, **changes) -> None:
        path = self.folder / "results.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))
        self.rehash()

    def npz(self, name: str, **changes) -> None:
        path = self.folder / name
        np.savez_compressed(path, **{**np.load(path), **changes})
        self.rehash()

    def said(self) -> str:
        found = problems(self.folder)
        assert found, "nothing was found"
        return "\n".join(found)


@pytest.fixture
def pd(root, tmp_path) -> Forger:
    return Forger(next(root.glob("*-pd")), tmp_path)


@pytest.fixture
def network(root, tmp_path) -> Forger:
    return Forger(next(root.glob("*-network")), tmp_path)


def test_good_ones_have_no_problems(root) -> None:
    for path in root.iterdir():
        assert problems(path) == []


def test_good_ones_are_run_again(root) -> None:
    """In the limited process, from a folder and from an archive."""
    pd, network = next(root.glob("*-pd")), next(root.glob("*-network"))
    report = sandbox.judge(pd, quiet=True)
    assert (report.tier, report.problems, report.flags) == ("T2", [], [])
    claimed = json.loads((pd / "results.json").read_text())
    assert report.metrics["score"] == np.round(claimed["per_clip"]["score"], 9).tolist()
    assert report.fingerprint == Submission.load(pd).fingerprint()
    assert judge(network).tier == "T2"


def test_experts_may_hand_in_controls_only(pd) -> None:
    """Policies of one clip each, trained on it: their controls are replayed, no more."""
    test = frozen.get(PROTOCOL).test["practice"]["worm"]
    pd.rename("Experts")
    pd.record(kind="expert", controller="", trained_on=list(test.clip_sha256))
    assert "training.hardware is not filled in" in pd.said()
    fill_in(pd.folder)
    record = json.loads((pd.folder / "submission.json").read_text())
    pd.record(training=record["training"] | {"parameters": 5})
    report = judge(pd.folder)
    assert (report.tier, report.problems) == ("T1", [])
    assert report.flags == ["no policy was handed in, so it was not run again"]


def test_archive(pd, tmp_path) -> None:
    archive = tmp_path / "x.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in pd.folder.rglob("*"):
            if path.is_file():
                file.write(path, path.relative_to(tmp_path).as_posix())
        file.writestr("../escaped.txt", "x")
    report = sandbox.judge(archive, quiet=True)
    assert report.tier == "rejected"
    assert "leads upwards" in report.problems[0]
    assert not (tmp_path.parent / "escaped.txt").exists()


class TestNumbers:
    def test_edited_aggregates(self, pd) -> None:
        pd.results(score=0.99)
        assert pd.said() == "results.json: score is not what the arrays in results.npz say"

    def test_edited_files(self, pd) -> None:
        data = bytearray((pd.folder / "results.json").read_bytes())
        data[-3:] = b"  \n"
        (pd.folder / "results.json").write_bytes(data + b"}")
        assert "results.json has changed: its SHA-256 is not the listed one" in pd.said()

    def better(self, forger: Forger) -> None:
        """Higher scores, with aggregates and hashes that agree."""
        arrays = dict(np.load(forger.folder / "results.npz"))
        for name in ("score", "score_first_start"):
            arrays["scores"][:, :, arrays["metrics"].tolist().index(name)] = 0.99
        metrics = {m: arrays["scores"][:, :, i] for i, m in enumerate(arrays["metrics"].tolist())}
        forger.npz("results.npz", scores=arrays["scores"])
        per_clip = json.loads((forger.folder / "results.json").read_text())["per_clip"]
        forger.results(
            score=statistics.mean(metrics["score"]),
            score_ci95=statistics.interval(metrics["score"]),
            score_worst_quarter=statistics.worst_quarter(metrics["score"]),
            aggregates=aggregates(metrics),
            per_clip=per_clip
            | {name: metrics[name].tolist() for name in ("score", "score_first_start")},
        )

    def test_edited_arrays(self, pd) -> None:
        self.better(pd)
        assert problems(pd.folder) == []  # nothing to see without physics
        report = judge(pd.folder)
        assert report.tier == "T0"
        assert report.problems[0].startswith("replaying: score 0.87")
        assert report.problems[0].endswith("reported 0.9900")

    def test_controls_of_another_policy(self, pd, network) -> None:
        """Scores and controls of pd, handed in with the weights of a network."""
        for name in ("results.json", "results.npz", "rollouts/rollouts.npz"):
            shutil.copyfile(pd.folder / name, network.folder / name)
        network.rehash()
        assert network.said() == f"has weights or controls of {pd.folder.name}"
        shutil.rmtree(pd.folder)  # as if nobody had handed it in
        assert problems(network.folder) == []
        report = judge(network.folder)
        assert report.tier == "T0"
        assert "running again: score" in report.problems[0]

    def test_not_a_number(self, pd) -> None:
        scores = np.load(pd.folder / "results.npz")["scores"].copy()
        scores[0, 0, 0] = np.nan
        pd.npz("results.npz", scores=scores)
        assert "score has entries that are not finite" in pd.said()
        scores[0, 0, 0] = 1.5
        pd.npz("results.npz", scores=scores)
        assert "score must be from 0 to 1" in pd.said()

    def test_arrays_of_another_size(self, pd) -> None:
        pd.npz("results.npz", scores=np.zeros((1, 0, 3)))
        assert "results.npz: scores has shape (1, 0, 3)" in pd.said()

    def test_objects(self, pd) -> None:
        pd.npz("results.npz", scores=np.array([{"a": 1}], dtype=object))
        assert "has type '|O'" in pd.said()


class TestChaos:
    """A rat that falls amplifies the last bits of its actions, which differ between CPUs."""

    def test_an_honest_run_of_another_machine_is_excused(self, monkeypatch) -> None:
        """Its scores lie within what the last bits of its actions do; and says so."""
        check = self.check(monkeypatch, by_score=0.06)
        check.run_again(["actor"])
        assert check.report.problems == []
        assert "last bits of the actions alone move its score by 0.060" in check.report.flags[-1]

    def test_a_forged_one_of_a_stable_animal_is_not(self, monkeypatch) -> None:
        check = self.check(monkeypatch, by_score=1e-6)
        check.run_again(["actor"])
        assert check.report.problems[0] == "running again: score 0.4000, reported 0.5000"

    def test_sensitivity_is_measured(self, root, env) -> None:
        """The worm is stable: what the last bits do is tiny but not nothing."""
        folder = next(root.glob("*-pd"))
        rollouts = Rollouts.load(folder / "rollouts/rollouts.npz")
        claimed, _ = load_scores(folder / "results.npz")
        env = mimic_envs.make(env.body, env.clips, terminate=False, **STARTS.options)
        check = judge_._Check(Report("T0", []), env, claimed, rollouts, lambda *_: None)
        by_score, by_clip = check._sensitivity
        assert 0 < by_score < 1e-4
        assert 0 < by_clip < 1e-4

    def check(self, monkeypatch, by_score: float):
        class Scored:
            metrics: ClassVar = {
                "score": np.full((1, 4), 0.4),
                "diverged": np.zeros((1, 4)),
            }
            trajectories: ClassVar = []

        check = judge_._Check(
            Report("T0", []), None, Scored.metrics | {"score": np.full((1, 4), 0.5)}, None, None
        )
        monkeypatch.setattr(judge_._Check, "_sensitivity", (by_score, by_score))
        monkeypatch.setattr(check, "_score", lambda *_: Scored)
        monkeypatch.setattr(judge_, "_curves", lambda *_: [])
        return check


class TestRollouts:
    def test_another_initial_state(self, pd) -> None:
        qpos = np.load(pd.folder / "rollouts/rollouts.npz")["qpos"].copy()
        qpos[1, 2] += 1e-3
        pd.npz("rollouts/rollouts.npz", qpos=qpos)
        assert "does not start where the protocol does" in pd.said()

    def test_not_a_number(self, pd) -> None:
        actions = np.load(pd.folder / "rollouts/rollouts.npz")["actions"].copy()
        actions[0, 5, 5] = np.nan
        pd.npz("rollouts/rollouts.npz", actions=actions)
        assert "actions are not all numbers from -1 to 1" in pd.said()

    def test_negative_lengths(self, pd) -> None:
        header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1, -60, 95)}"
        with zipfile.ZipFile(pd.folder / "rollouts/rollouts.npz", "w") as file:
            file.writestr(
                "actions.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
            )
        pd.rehash()
        assert "unreadable header or an impossible shape" in pd.said()


class TestDeclarations:
    def test_other_clips_under_the_same_name(self, pd) -> None:
        other = frozen.get(PROTOCOL).train["worm"].sha256
        pd.record(clips_sha256=other)
        said = pd.said()
        assert f"was scored on other clips than 'generated/tiny' of protocol {PROTOCOL}" in said
        assert "results.json: names other clips than submission.json" in said

    @pytest.mark.parametrize("what", ["set", "clip"])
    def test_trained_on_test_clips(self, network, what) -> None:
        test = frozen.get(PROTOCOL).test["generated"]["worm"]
        network.record(trained_on=[test.sha256 if what == "set" else test.clip_sha256[2]])
        expected = "test set generated/test" if what == "set" else f"clip {test.clips[2]} of test"
        assert f"was trained on {expected}" in network.said()

    def test_training_is_declared(self, network) -> None:
        network.record(trained_on=[])
        assert "trained_on is empty" in network.said()

    def test_everything_at_once(self, network) -> None:
        record = json.loads((network.folder / "submission.json").read_text())
        network.record(
            agreement=False, seeds=True, url="javascript:alert(1)", authors=[], extra="<b>"
        )
        network.record(training=record["training"] | {"environment_steps": -1})
        (network.folder / "run.py").write_text("import os")
        said = network.said()
        for words in (
            "agreement must be true",
            "seeds must be of type integer",
            "url is 'javascript:alert(1)', expected the form",
            "authors has 0 items",
            "'extra' is not part of the format",
            "training.environment_steps is -1, at least 0",
            "run.py is not part of the format",
            "run.py is not in the list of files",
        ):
            assert words in said

    def test_other_tracks_and_unknown_controllers(self, pd) -> None:
        pd.record(controller="pid")
        assert "unknown controller 'pid'; did you mean 'pd'" in pd.said()
        pd.record(track="recordings")
        assert "was scored on other clips than 'recordings/test'" in pd.said()


class TestFolders:
    def test_duplicate_slugs(self, pd) -> None:
        shutil.copytree(pd.folder, pd.folder.with_name("20250101-pd"))
        assert "slug 'pd' is taken by 20250101-pd" in pd.said()

    def test_another_place(self, pd, tmp_path) -> None:
        other = tmp_path / PROTOCOL / "rodent" / pd.folder.name
        shutil.copytree(pd.folder, other)
        assert f"says that it belongs in {PROTOCOL}/worm/" in "\n".join(problems(other))

    def test_links(self, pd) -> None:
        """Nothing is opened then, not even what the link does not concern."""
        (pd.folder / "results.json").unlink()
        (pd.folder / "results.json").symlink_to("/etc/passwd")
        assert problems(pd.folder) == ["results.json: is a symbolic link"]

    @pytest.mark.parametrize("text", ["[" * 500_000, '{"a": ' * 50, "{" + " " * 2_000_000, "5", ""])
    def test_json_bombs(self, pd, text) -> None:
        (pd.folder / "submission.json").write_text(text)
        assert "JSON" in pd.said()

    def test_missing_files(self, pd) -> None:
        (pd.folder / "results.npz").unlink()
        (pd.folder / "README.md").unlink()
        said = pd.said()
        assert "results.npz is listed but missing" in said
        assert "README.md is missing" in said
        (pd.folder / "submission.json").unlink()
        assert pd.said() == "submission.json is missing"


class TestPolicies:
    def test_a_tensor_of_10_gigabytes_in_a_small_file(self, network) -> None:
        header = {"mean": {"dtype": "F32", "shape": [50_000, 50_000], "data_offsets": [0, 10**10]}}
        text = json.dumps(header).encode().ljust(1016)
        path = network.folder / "policy" / "weights.safetensors"
        path.write_bytes(len(text).to_bytes(8, "little") + text)
        network.rehash()
        assert "that is 10000000000 bytes, at bytes 0 to 10000000000 of 0" in network.said()

    def test_a_policy_that_gives_no_numbers(self, env, tmp_path) -> None:
        """It scores 0 from there on, says so, and is no forgery."""
        from mimic_envs.scoring import submissions

        made = submissions.new(
            root=tmp_path,
            body="worm",
            name="wild",
            authors=["x"],
            licence="MIT",
            policy=mlp(tmp_path / "weights", env, scale=3e38),
            trained_on=["generated/train"],
            track="practice",
            agree=True,
            summary="x",
        )
        fill_in(made.folder)
        report = judge(made.folder)
        assert (report.tier, report.metrics["score"]) == ("T2", [[0.0, 0.0]])
        assert "2 of 2 runs got actions that are no numbers" in report.flags[0]


class TestLimits:
    def test_time(self, root) -> None:
        report = sandbox.judge(next(root.glob("*-pd")), sandbox.Limits(seconds=1), quiet=True)
        assert (report.tier, report.problems) == ("rejected", ["took more than 1 s"])

    def test_memory(self, root) -> None:
        limits = sandbox.Limits(memory_bytes=400_000_000)
        report = sandbox.judge(next(root.glob("*-pd")), limits, quiet=True)
        assert report.tier == "rejected"
        assert "broke its process (status" in report.problems[0]
