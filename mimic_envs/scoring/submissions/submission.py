"""What a submission is on disk."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import pathlib
import re
from typing import Any

from mimic_envs.scoring import untrusted

SCHEMA_VERSION = 1
FREE_FILES = ("submission.json", "README.md")
"""Files for people to edit, without a hash in the list of files."""
WEIGHTS = ("weights.safetensors", "model.onnx")
"""Files of which a policy has one."""
SCHEMA = json.loads((pathlib.Path(__file__).parent / "submission.schema.json").read_text())


@dataclasses.dataclass(frozen=True)
class Submission:
    """A folder of the leaderboard.

    Attributes:
        folder: `<protocol>/<body>/<date>-<name>`.
        record: What `submission.json` says.
    """

    folder: pathlib.Path
    record: dict[str, Any]

    @classmethod
    def load(cls, folder: pathlib.Path) -> Submission:
        """Read `submission.json`, without judging it.

        Raises:
            ValueError: There is none, or it is no JSON object.
        """
        path = folder / "submission.json"
        if path.is_symlink() or not path.is_file():
            raise ValueError("submission.json is missing")
        record = untrusted.read_json(path)
        if not isinstance(record, dict):
            raise ValueError("submission.json: not a JSON object")
        return cls(folder, record)

    @property
    def results(self) -> pathlib.Path:
        """The scores as JSON, as `mimic-envs score` wrote them."""
        return self.folder / "results.json"

    @property
    def scores(self) -> pathlib.Path:
        """The scores as arrays."""
        return self.folder / "results.npz"

    @property
    def rollouts(self) -> pathlib.Path:
        """Initial states and controls."""
        return self.folder / "rollouts" / "rollouts.npz"

    @property
    def policy(self) -> pathlib.Path:
        """The trained policy, or a folder of them."""
        return self.folder / "policy"

    def hashes(self) -> dict[str, str]:
        """SHA-256 of every file that is not free to be edited, by its path."""
        result = {}
        for path in sorted(self.folder.rglob("*")):
            name = path.relative_to(self.folder).as_posix()
            if path.is_file() and name not in FREE_FILES:
                result[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        return result

    @property
    def content_hash(self) -> str:
        """SHA-256 of the files that the record lists: what a submission is, whoever hands it in.

        The record itself is not part of it, so that submissions can name one another.
        """
        files = self.record.get("files", {})
        return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()

    @property
    def runs(self) -> set[str]:
        """SHA-256 of the weights and controls, as far as the record lists them."""
        names = ("rollouts.npz", *WEIGHTS)
        return {digest for name, digest in self.record["files"].items() if name.endswith(names)}

    def fingerprint(self) -> str:
        """SHA-256 of all that matters: the record and the files."""
        content = {"record": self.record, "files": self.hashes()}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def slugify(name: str) -> str:
    """A name as part of a folder's name: lower case letters, digits and hyphens."""
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40].strip("-")
    if not slug:
        raise ValueError(f"name {name!r} has neither letters nor digits")
    return slug
