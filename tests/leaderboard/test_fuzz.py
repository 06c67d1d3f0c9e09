"""2,000 damaged submissions with a fixed seed: accepted as they were, or refused in plain words."""

from __future__ import annotations

import io
import json
import pathlib
import random
import resource
import shutil
import time
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from mimic_envs.scoring import policies, untrusted
from mimic_envs.scoring.recording import Rollouts, load_scores
from mimic_envs.scoring.submissions import Submission, problems
from mimic_envs.scoring.submissions.validate import UNFORESEEN, make_env
from mimic_envs.text import cleaned, plain
from tests.scoring.onnx_bytes import graph, model, node

CASES, CHUNKS = 2000, 8
MOST_SECONDS, MOST_MEMORY_KB = 5.0, 800_000

VALUES = [
    *(None, True, False, 0, -1, 1.5, -0.0, 10**18, 2**63, 10**400, 1e308, np.nan, np.inf),
    *("", " ", "x" * 100_000, "\ud800", "\u202ex", "a\nb", "\x1b[31m", "\0", "../../etc/passwd"),
    *("\u0440d", "p\u200bd", "mimic_envs", "M1mic-Envs", "20991231-network", "20250230-network"),
    *("https://a@b.example/", "javascript:alert(1)", "builtin", "rodent", "onnx", "a" * 64, "=1"),
    *([], {}, [[]], [{}], {"a": {"b": [1, "x"]}}, [None], ["x"] * 1000, [10**400], [["F32"]]),
    {str(i): i for i in range(1000)},
]
WORDS = [b"<f8", b"|O", b"<U9", b"(2**31,", b"(10, 10", b"True", b"-1", b"9" * 30, b"'", b"}"]


def spots(value: Any, path: tuple = ()) -> list[tuple]:
    """Paths of all values in JSON, the whole one first."""
    items: Any = ()
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
    return [path, *(spot for key, one in items for spot in spots(one, (*path, key)))]


def change_json(rng: random.Random, data: bytes) -> bytes:
    """Replace, remove, rename, repeat or nest a value anywhere."""
    value = json.loads(data)
    every = spots(value)[1:]
    path = rng.choice([x for x in every if len(x) == 1] if rng.random() < 0.6 else every)
    at = value
    for key in path[:-1]:
        at = at[key]
    kind = rng.randrange(6)
    if kind == 0:
        del at[path[-1]]
    elif kind == 1 and isinstance(at, dict):
        at[str(rng.choice(VALUES[13:]))] = at.pop(path[-1])
    elif kind == 2 and isinstance(at, dict):
        return json.dumps(value).replace("{", f'{{"{path[-1]}": 1, ', 1).encode()
    elif kind == 3:
        depth = rng.randrange(20)
        at[path[-1]] = json.loads("[" * depth + "1" + "]" * depth)
    else:
        at[path[-1]] = rng.choice(VALUES)
    return json.dumps(value).encode()


def change_bytes(rng: random.Random, data: bytes) -> bytes:
    """Flip bits, cut, repeat, insert or overwrite."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 5))):
        at = rng.randrange(len(changed) + 1)
        to = min(len(changed), at + rng.randrange(64))
        kind = rng.randrange(6)
        if kind <= 1 and at < len(changed):
            changed[at] ^= 1 << rng.randrange(8)
        elif kind == 2:
            del changed[at : at + rng.choice((1, 8, 10**6))]
        elif kind == 3:
            changed[at:at] = changed[at:to] * rng.choice((1, 2, 100))
        elif kind == 4:
            changed[at:to] = rng.randbytes(to - at)
        else:
            changed[at : at + 8] = rng.choice(
                (bytes(8), b"\xff" * 8, (2**40).to_bytes(8, "little"))
            )
    return bytes(changed)


def change_array(rng: random.Random, data: bytes) -> bytes:
    """Change an array in NumPy's format: anything, its header, a word in it, its length."""
    kind = rng.randrange(4)
    if kind == 0:
        return change_bytes(rng, data)
    if kind == 1:
        return data[:8] + change_bytes(rng, data[8:128]) + data[128:]
    if kind == 2:
        return data.replace(rng.choice((b"<f4", b"<f8", b"(", b"False")), rng.choice(WORDS), 1)
    return data + bytes(10**6)


def change_npz(rng: random.Random, data: bytes) -> bytes:
    """Pack otherwise, and change an array or its name."""
    out = io.BytesIO()
    method = rng.choice((0, 8, 8, 8, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA))
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w", method) as new:
        chosen = rng.choice(old.namelist())
        for name in old.namelist():
            content = old.read(name)
            if name == chosen and rng.random() < 0.2:
                name = rng.choice(("../x.npy", "x", f"{name}/x", "\u202e.npy", "x" * 400))
            elif name == chosen:
                content = change_array(rng, content)
            new.writestr(name, content)
    return out.getvalue()


def change_safetensors(rng: random.Random, data: bytes) -> bytes:
    """Change the header, or give numbers that only 64 bits can hold."""
    length = int.from_bytes(data[:8], "little")
    if rng.random() < 0.3:
        # `std` is the last tensor or not; all of its values become 64 bits by another header
        header = json.loads(data[8 : 8 + length])
        name = max(header, key=lambda k: header[k]["data_offsets"])
        begin, stop = header[name]["data_offsets"]
        header[name] |= {"dtype": "F64", "data_offsets": [begin, 2 * stop - begin]}
        tail = np.frombuffer(data[8 + length + begin :], "<f4").astype("<f8")
        tail = tail * rng.choice((1, 1e300, -1, 1e-60, np.nan))
        packed = json.dumps(header).encode()
        body = data[8 + length : 8 + length + begin] + tail.tobytes()
        return len(packed).to_bytes(8, "little") + packed + body
    packed = change_json(rng, data[8 : 8 + length])
    return len(packed).to_bytes(8, "little") + packed + data[8 + length :]


CHANGES: dict[str, Callable[[random.Random, bytes], bytes]] = {
    ".json": change_json,
    ".npz": change_npz,
    ".safetensors": change_safetensors,
    ".onnx": change_bytes,
    ".md": change_bytes,
}


def change_folder(rng: random.Random, folder: pathlib.Path) -> None:
    """Add, remove or replace a file or folder."""
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    file, kind = rng.choice(files), rng.randrange(7)
    if kind == 0:
        file.unlink()
    elif kind == 1:
        file.rename(file.with_name(rng.choice(("x", "a b", ".x", "\u202ex", "x\n::error::y"))))
    elif kind == 2:
        file.unlink()
        file.symlink_to(rng.choice(("/etc/passwd", "nowhere", file.name)))
    elif kind == 3:
        file.unlink()
        file.mkdir()
    elif kind == 4:
        folder.joinpath(*["a"] * rng.randrange(1, 30)).mkdir(parents=True)
    elif kind == 5:
        shutil.copyfile(file, folder / rng.choice(("run.py", "video.mp4", "policy/x.json")))
    else:
        (folder / "policy" / rng.choice(("0", "00", "7", "clip"))).mkdir()


@pytest.fixture(scope="module")
def bases(root, env, tmp_path_factory) -> list[pathlib.Path]:
    """A valid submission with weights, and one with a graph."""
    source = next(root.glob("*-network"))
    folders = []
    for kind in ("weights", "graph"):
        folder = tmp_path_factory.mktemp(kind).joinpath(*source.parts[-3:])
        shutil.copytree(source, folder)
        folders.append(folder)
    place = folders[1] / "policy"
    (place / "weights.safetensors").unlink()
    policies.declare(place, env, "onnx", {})
    widths = policies.widths(env)
    nodes = [
        node("MatMul", "proprioception w", "a"),
        node("Tanh", "a", "b"),
        node("Reshape", "b shape", "action"),
    ]
    constants = {
        "w": np.ones((widths["proprioception"], env.action_size), np.float32),
        "shape": np.array([0, -1], np.int64),
    }
    data = model(graph(nodes, widths, {"action": env.action_size}, constants))
    (place / "model.onnx").write_bytes(data)
    rehash(folders[1])
    for folder in folders:
        assert problems(folder) == []
    return folders


def rehash(folder: pathlib.Path) -> None:
    """As a careful forger does; where the record is beyond that, it is left."""
    path = folder / "submission.json"
    try:
        record = json.loads(path.read_text())
        record["files"] = Submission(folder, {}).hashes()
        path.write_text(json.dumps(record))
    except (ValueError, OSError, TypeError):
        pass


def damaged(
    rng: random.Random, base: pathlib.Path, target: pathlib.Path
) -> tuple[pathlib.Path, str]:
    """A damaged copy and what was done to it."""
    folder = target.joinpath(*base.parts[-3:])
    shutil.copytree(base, folder)
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    (file,) = rng.choices(files, [0.3 if x.suffix == ".md" else 1.5 for x in files])
    if rng.random() < 0.3:
        file = folder / rng.choice(("submission.json", "policy/policy.json"))
    kind = rng.random()
    if kind < 0.1:
        change_folder(rng, folder)
        what = "folder"
    elif kind < 0.8 and file.suffix in CHANGES:
        file.write_bytes(CHANGES[file.suffix](rng, file.read_bytes()))
        what = f"content of {file.name}"
    else:
        file.write_bytes(change_bytes(rng, file.read_bytes()))
        what = f"bytes of {file.name}"
    if rng.random() < 0.5:
        rehash(folder)
        what += ", listed again"
    return folder, what


def archived(rng: random.Random, base: pathlib.Path, target: pathlib.Path) -> pathlib.Path | str:
    """A submission from a damaged archive; or why it is not unpacked."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", rng.choice((0, 8, 8, 12, 14))) as file:
        for path in sorted(base.rglob("*")):
            if path.is_file():
                file.write(path, path.relative_to(base.parents[2]).as_posix())
        if rng.random() < 0.3:
            member = rng.choice(("a", "../x", base.parent.parent.name, "x" * 300, "/x", "A\u0301"))
            file.writestr(member, b"x")
    archive = target / "x.zip"
    data = packed.getvalue()
    at = data.index(b"PK\1\2") if rng.random() < 0.7 else 0  # most of it is numbers
    archive.write_bytes(data[:at] + change_bytes(rng, data[at:]))
    (target / "in").mkdir()
    try:
        untrusted.unpack(archive, target / "in")
    except ValueError as error:
        return str(error)
    return (target / "in").joinpath(*base.parts[-3:])


def check_words(said: list[str]) -> None:
    for text in said:
        assert text == plain(text, len(text))
        assert len(text) < 4000
        text.encode()
        assert not text.startswith(UNFORESEEN), text


def check_unchanged(folder: pathlib.Path, base: pathlib.Path) -> None:
    """What was accepted has the effect of the base, or is a whole submission of its own."""
    submission, before = Submission.load(folder), Submission.load(base)
    record = submission.record
    assert record == cleaned(record)
    assert submission.hashes() == record["files"]
    metrics, _ = load_scores(submission.scores)
    assert all(np.isfinite(x).all() for k, x in metrics.items() if not k.endswith("_covered"))
    assert Rollouts.load(submission.rollouts).problems(make_env(submission)) == []
    policies.load(submission.policy, make_env(submission))
    if record["files"] == before.record["files"]:
        for name in record["files"]:
            assert (folder / name).read_bytes() == (base / name).read_bytes()
        for name in ("body", "protocol", "track", "kind", "controller", "clips_sha256", "seeds"):
            assert record[name] == before.record[name]


def memory_kb() -> int:
    """Most memory that this process has used so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_accepted_as_it_was_or_refused_in_words(bases, tmp_path, chunk) -> None:
    counts: Counter[str] = Counter()
    before = memory_kb()
    for case in range(chunk * CASES // CHUNKS, (chunk + 1) * CASES // CHUNKS):
        rng = random.Random(case)
        base, target = rng.choice(bases), tmp_path / str(case)
        target.mkdir()
        began = time.process_time()
        if rng.random() < 0.15:
            what, folder = "archive", archived(rng, base, target)
        else:
            folder, what = damaged(rng, base, target)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            said = [plain(folder)] if isinstance(folder, str) else problems(folder)
        assert time.process_time() - began < MOST_SECONDS, (case, what)
        check_words(said)
        if not said:
            check_unchanged(folder, base)
        counts["refused" if said else "accepted"] += 1
        shutil.rmtree(target)
    assert sum(counts.values()) == CASES // CHUNKS
    assert counts["accepted"] > 0.02 * CASES / CHUNKS, "nothing gets through, so nothing is tested"
    assert counts["refused"] > 0.7 * CASES / CHUNKS
    assert memory_kb() - before < MOST_MEMORY_KB
