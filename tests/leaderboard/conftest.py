"""Submissions to the practice track of the worm, which is scored in a second, and pages."""

from __future__ import annotations

import itertools
import os
import pathlib
from collections.abc import Iterator

import numpy as np
import pytest

import mimic_envs
from mimic_envs import sandbox
from mimic_envs.env import Environment
from mimic_envs.scoring import PROTOCOL, policies, submissions
from tests.leaderboard import made_up


@pytest.fixture(scope="session", autouse=True)
def _judges_compile_as_the_tests_do() -> Iterator[None]:
    """Flags of XLA change the last bits; the judge's process gets none of its parent's."""
    flags = os.environ.get("XLA_FLAGS")
    with pytest.MonkeyPatch.context() as patch:
        if flags is not None:
            plain = sandbox._environment
            patch.setattr(sandbox, "_environment", lambda *a: {**plain(*a), "XLA_FLAGS": flags})
        yield


@pytest.fixture(scope="session")
def env() -> Environment:
    return mimic_envs.make("worm", clips="generated/tiny", terminate=False)


def mlp(folder: pathlib.Path, env: Environment, scale: float = 1.0, seed: int = 0) -> pathlib.Path:
    """A policy with random weights."""
    rng = np.random.default_rng(seed)
    sizes = [sum(policies.widths(env).values()), 16, env.action_size]
    tensors = {"mean": np.zeros(sizes[0]), "std": np.ones(sizes[0])}
    for i, (a, b) in enumerate(itertools.pairwise(sizes)):
        tensors[f"layer_{i}/weight"] = scale * rng.normal(size=(a, b)) / np.sqrt(a)
        tensors[f"layer_{i}/bias"] = 0.1 * rng.normal(size=b)
    options = {"hidden": [16], "activation": "elu", "squash": False, "clip": 10}
    tensors = {k: x.astype(np.float32) for k, x in tensors.items()}
    return policies.declare(folder, env, "mlp", options, tensors)


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory, env: Environment) -> pathlib.Path:
    """A folder with two good submissions, `pd` and `network`; do not write into it."""
    root = tmp_path_factory.mktemp("good")
    common = {"root": root, "body": "worm", "authors": ["A. Author"], "track": "practice"}
    common["licence"] = "CC0-1.0"
    common |= {"agree": True, "summary": "For the tests."}
    submissions.new(name="pd", controller="pd", **common)
    folder = mlp(root / "weights", env)
    submissions.new(name="Network", policy=folder, trained_on=["generated/train"], **common)
    (path,) = (root / PROTOCOL / "worm").glob("*-network")
    fill_in(path)
    return root / PROTOCOL / "worm"


def fill_in(path: pathlib.Path) -> None:
    """What an author of a trained policy has to say about its training."""
    import json

    record = json.loads((path / "submission.json").read_text())
    record["training"] |= {"environment_steps": 1000, "hardware": "a laptop", "code": "none"}
    (path / "submission.json").write_text(json.dumps(record))


@pytest.fixture(scope="session")
def board(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Made-up submissions and reports on them; do not write into it."""
    root = tmp_path_factory.mktemp("board")
    made_up.board(root)
    return root


@pytest.fixture(scope="session")
def empty_site(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The pages of a leaderboard without entries; do not write into them."""
    pytest.importorskip("jinja2", reason="the pages are made with jinja2")
    from leaderboard import build

    root = tmp_path_factory.mktemp("nothing")
    build.build(root / "site", root / "submissions", root / "verified", track="generated")
    return root / "site"


@pytest.fixture(scope="session")
def site(board: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The pages of `board`; do not write into them."""
    pytest.importorskip("jinja2", reason="the pages are made with jinja2")
    from leaderboard import build

    out = tmp_path_factory.mktemp("site")
    build.build(out, board / "submissions", board / "verified", track="generated")
    return out
