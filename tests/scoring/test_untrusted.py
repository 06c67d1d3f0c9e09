"""Files that strangers could send, and what must come of them: a clear refusal."""

from __future__ import annotations

import json
import os
import stat
import sys
import time
import zipfile

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mimic_envs
from mimic_envs import scoring
from mimic_envs.scoring import onnx_policy, policies, safetensors, untrusted
from mimic_envs.scoring.onnx_policy import OPERATORS, check_graph
from mimic_envs.scoring.policies import Policy


def refused(function, *arguments) -> str:
    with pytest.raises(ValueError, match=r".+") as error:
        function(*arguments)
    return str(error.value)


class TestJson:
    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("[" * 100_000, "nested deeper than 12"),
            ('{"a": 1, "a": 2}', "key 'a' occurs twice"),
            ('{"a": NaN}', "NaN is not a JSON number"),
            ('{"a": ' + "9" * 10_000 + "}", "not JSON"),
            ('{"a": 1', "not JSON"),
            (" " * 1_000_001, "at most 1000000 are read"),
        ],
    )
    def test_bombs(self, tmp_path, text, message) -> None:
        path = tmp_path / "x.json"
        path.write_text(text)
        assert message in refused(untrusted.read_json, path)

    def test_brackets_in_strings_are_text(self) -> None:
        text = json.dumps({"a": "[" * 50 + '"\\' + "{" * 50})
        assert untrusted.parse_json(text, "x") == json.loads(text)


class TestFolder:
    def test_links_and_odd_names(self, tmp_path) -> None:
        (tmp_path / "fine.txt").write_text("x")
        (tmp_path / "link").symlink_to("/etc/passwd")
        (tmp_path / "up").symlink_to("..", target_is_directory=True)
        os.link(tmp_path / "fine.txt", tmp_path / "hard.txt")
        os.mkfifo(tmp_path / "pipe")
        (tmp_path / "a b").write_text("x")
        said = untrusted.check_folder(tmp_path)
        assert len(said) == 6  # both names of the hard link
        for words in ("link: is a symbolic", "up: is a symbolic", "pipe: is neither", "'a b'"):
            assert any(words in problem for problem in said)

    def test_a_folder_that_is_a_link(self, tmp_path) -> None:
        (tmp_path / "real").mkdir()
        (tmp_path / "link").symlink_to("real")
        assert untrusted.check_folder(tmp_path / "link") == ["link: is a symbolic link"]

    def test_sizes(self, tmp_path) -> None:
        for i in range(4):
            (tmp_path / f"{i}").write_bytes(b"x" * 100)
        limits = untrusted.Limits(files=3, bytes=350, file_bytes=99)
        said = untrusted.check_folder(tmp_path, limits)
        assert "more than 3 files" in said
        assert "400 bytes in all, at most 350 are accepted" in said
        assert "0: 100 bytes, a file may have 99" in said


class TestZip:
    def archive(self, tmp_path, *members, **attributes):
        path = tmp_path / "x.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
            for name, data in members:
                info = zipfile.ZipInfo(name)
                info.compress_type = zipfile.ZIP_DEFLATED
                for key, value in attributes.items():
                    setattr(info, key, value)
                file.writestr(info, data)
        (tmp_path / "in").mkdir()
        return path, tmp_path / "in"

    @pytest.mark.parametrize(
        "name", ["../x", "/etc/x", "a/../../x", "a//x", "..\\x", "C:x", "a/.hidden", "a\x01"]
    )
    def test_escapes(self, tmp_path, name) -> None:
        archive, folder = self.archive(tmp_path, (name, b"x"))
        assert "leads upwards or is odd" in refused(untrusted.unpack, archive, folder)
        assert sorted(p.name for p in tmp_path.rglob("*")) == ["in", "x.zip"]

    def test_links(self, tmp_path) -> None:
        mode = (stat.S_IFLNK | 0o777) << 16
        archive, folder = self.archive(tmp_path, ("x", b"/etc/passwd"), external_attr=mode)
        assert "is a link" in refused(untrusted.unpack, archive, folder)
        assert not list(folder.iterdir())

    def test_bombs(self, tmp_path) -> None:
        archive, folder = self.archive(tmp_path, ("x", b"\0" * 2_000_000))
        assert archive.stat().st_size < 5_000
        limits = untrusted.Limits(file_bytes=1_000_000)
        assert "unpacks to more than" in refused(untrusted.unpack, archive, folder, limits)
        assert (folder / "x").stat().st_size <= 1_000_000

    def test_good_ones(self, tmp_path) -> None:
        archive, folder = self.archive(tmp_path, ("a/b.txt", b"hello"), ("c", b""))
        untrusted.unpack(archive, folder)
        assert (folder / "a" / "b.txt").read_bytes() == b"hello"


def npz(path, **members: bytes):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in members.items():
            file.writestr(f"{name}.npy", data)
    return path


def npy(header: str, body: bytes = b"") -> bytes:
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + body


class TestArrays:
    def test_good_ones(self, tmp_path) -> None:
        given = {"x": np.arange(6, dtype=np.float32).reshape(2, 3), "names": np.array(["a", "bc"])}
        np.savez_compressed(tmp_path / "x.npz", **given)
        found = untrusted.read_npz(tmp_path / "x.npz")
        for name, x in given.items():
            np.testing.assert_array_equal(found[name], x)

    def test_pickles(self, tmp_path) -> None:
        """An object array would run code when unpickled; it is not even looked at."""

        class Evil:
            def __reduce__(self):
                return os.mkdir, (str(tmp_path / "pwned"),)

        np.savez(tmp_path / "x.npz", x=np.array([Evil()], dtype=object), allow_pickle=True)
        assert "has type '|O'" in refused(untrusted.read_npz, tmp_path / "x.npz")
        assert not (tmp_path / "pwned").exists()

    @pytest.mark.parametrize(
        ("shape", "message"),
        [
            ("(-1,)", "impossible shape"),
            ("(2, -2)", "impossible shape"),
            ("(1e3,)", "impossible shape"),
            ("(2500000000,)", "promises 10000000000 bytes, there are 8"),
            ("(2,) if 1 else 0", "unreadable header"),
            ("(" * 5000, "unreadable header"),
        ],
    )
    def test_headers_that_lie(self, tmp_path, shape, message) -> None:
        text = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}}}"
        path = npz(tmp_path / "x.npz", x=npy(text, b"12345678"))
        assert message in refused(untrusted.read_npz, path)

    def test_bombs(self, tmp_path) -> None:
        path = npz(tmp_path / "x.npz", x=b"\0" * 3_000_000)
        assert "more than is accepted" in refused(untrusted.read_npz, path, 1_000_000)

    def test_damage(self, tmp_path) -> None:
        path = tmp_path / "x.npz"
        np.savez_compressed(path, x=np.arange(1000.0))
        data = bytearray(path.read_bytes())
        data[200:240] = bytes(40)
        path.write_bytes(data)
        assert "x.npz" in refused(untrusted.read_npz, path)
        path.write_bytes(b"no")
        assert "not an .npz file" in refused(untrusted.read_npz, path)


class TestSafetensors:
    def write(self, tmp_path, header: dict | str, body: bytes = b"") -> os.PathLike:
        text = (header if isinstance(header, str) else json.dumps(header)).encode()
        path = tmp_path / "x.safetensors"
        path.write_bytes(len(text).to_bytes(8, "little") + text + body)
        return path

    def test_round_trip(self, tmp_path) -> None:
        given = {
            "a/b": np.arange(6, dtype=np.float32).reshape(2, 3),
            "half": np.array([1.5], np.float16),
            "scalar": np.array(3.0),
            "empty": np.zeros((0, 3), np.int64),
        }
        safetensors.write(tmp_path / "x", given)
        found = safetensors.read(tmp_path / "x")
        assert set(found) == set(given)
        for name, x in given.items():
            assert found[name].dtype == x.dtype
            np.testing.assert_array_equal(found[name], x)
            assert found[name].shape == x.shape

    @pytest.mark.parametrize(
        ("record", "message"),
        [
            (("F32", [50_000, 50_000], [0, 10_000_000_000]), "that is 10000000000 bytes"),
            (("F32", [2, 2], [0, 8]), "that is 16 bytes, at bytes 0 to 8"),
            (("F32", [2], [4, 12]), "at bytes 4 to 12 of 8"),
            (("F32", [-2], [0, 8]), "impossible shape"),
            (("F32", [2**63, 2], [0, 8]), "impossible shape"),
            (("F32", [1], [0, 4]), "4 bytes belong to no tensor"),
            (("O", [2], [0, 8]), "has type 'O'"),
            ((["F32"], [2], [0, 8]), "has type ['F32']"),
        ],
    )
    def test_headers_that_lie(self, tmp_path, record, message) -> None:
        header = {"x": dict(zip(("dtype", "shape", "data_offsets"), record, strict=True))}
        assert message in refused(safetensors.read, self.write(tmp_path, header, b"\0" * 8))

    def test_overlaps_and_lengths(self, tmp_path) -> None:
        one = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
        path = self.write(tmp_path, {"a": one, "b": one}, b"\0" * 8)
        assert "begins at 0, not where the last one ends" in refused(safetensors.read, path)
        path.write_bytes((10**10).to_bytes(8, "little") + b"{}")
        assert "promises a header of 10000000000 bytes" in refused(safetensors.read, path)
        path = self.write(tmp_path, "[" * 1000)
        assert "nested deeper" in refused(safetensors.read, path)


def field(number: int, content: bytes | int | str) -> bytes:
    """A field of a protocol buffer."""
    if isinstance(content, int):
        return bytes([number << 3]) + bytes([content]) if number < 16 else b""
    data = content.encode() if isinstance(content, str) else content
    key = number << 3 | 2
    head = bytes([key]) if key < 128 else bytes([key & 127 | 128, key >> 7])
    size = bytes([len(data)]) if len(data) < 128 else bytes([len(data) & 127 | 128, len(data) >> 7])
    return head + size + data


class TestOnnx:
    def model(self, *parts: bytes, more: bytes = b"") -> bytes:
        return field(7, b"".join(parts)) + field(8, field(1, "")) + more

    def test_good_ones(self) -> None:
        tensor = field(9, bytes(8))
        nodes = [field(1, field(4, name)) for name in sorted(OPERATORS)[:8]]
        assert check_graph(self.model(*nodes, field(5, tensor))) == []

    @pytest.mark.parametrize(
        ("part", "message"),
        [
            (field(1, field(4, "Loop")), "operator 'Loop' is not accepted"),
            (field(1, field(4, "Add") + field(7, "com.evil")), "domain b'com.evil'"),
            (field(1, field(4, "Add") + field(5, field(6, b""))), "graph within the graph"),
            (field(5, field(13, field(1, "location") + field(2, "/etc/passwd"))), "outside"),
            (field(5, field(14, 1)), "data outside the file"),
            (field(1, field(5, field(5, field(14, 1)))), "data outside the file"),
            (field(15, b""), "sparse"),
            (b"\x0b", "not an ONNX file: wire type 3"),
            (b"\x0a\x7f", "a field of 127 bytes where 0 are left"),
        ],
    )
    def test_bad_ones(self, part, message) -> None:
        assert any(message in problem for problem in check_graph(self.model(part)))

    def test_functions_domains_and_garbage(self) -> None:
        more = field(25, field(1, "f"))
        assert check_graph(self.model(more=more)) == ["has functions of its own"]
        more = field(8, field(1, "com.evil"))
        assert check_graph(self.model(more=more)) == ["imports operators of domain b'com.evil'"]
        assert check_graph(b"") == ["has 0 graphs, expected one"]
        assert "not an ONNX file" in check_graph(b"\x80\x04\x95garbage")[0]


class TestOnnxRunner:
    """With a stand-in for onnxruntime's session."""

    class Session:
        def __init__(self, slow_from: int) -> None:
            self.calls, self.slow_from = 0, slow_from

        def run(self, names, feeds):
            self.calls += 1
            if self.calls > self.slow_from:
                time.sleep(0.2)
            count = len(feeds["proprioception"])
            assert feeds["reference"].shape[0] == feeds["memory"].shape[0] == count
            after = feeds["memory"] + 1
            return [np.repeat(after / 1024, 95, axis=1), after]

    def rollout(self, slow_from: int, monkeypatch):
        monkeypatch.setattr(onnx_policy, "STEP_LIMIT_S", 0.1)
        env = mimic_envs.make("worm", clips="builtin/tiny", terminate=False)
        runner = onnx_policy._Runner(self.Session(slow_from), 95, 1)
        policy = Policy("onnx", (), runner.apply, jnp.zeros(1))
        return scoring.rollout(env, policy)

    def test_it_acts_and_remembers(self, monkeypatch) -> None:
        for trajectory in self.rollout(10**6, monkeypatch):
            expected = np.arange(1, len(trajectory.actions) + 1) / 1024
            np.testing.assert_array_equal(trajectory.actions[:, 7], expected)
            assert trajectory.failed_at is None

    def test_a_stall_ends_it(self, monkeypatch) -> None:
        for trajectory in self.rollout(30, monkeypatch):
            assert trajectory.failed_at == 30
            assert trajectory.diverged[30:].all()
            assert not trajectory.diverged[:30].any()


def test_onnx_graph_is_run(tmp_path) -> None:
    """A real graph, action = tanh(W proprioception), written here byte by byte."""
    pytest.importorskip("onnxruntime")
    env = mimic_envs.make("worm", clips="builtin/tiny", terminate=False)
    widths = policies.widths(env)
    weight = np.random.default_rng(0).normal(size=(widths["proprioception"], 95)) * 0.01
    policies.declare(tmp_path, env, "onnx", {})
    (tmp_path / "model.onnx").write_bytes(tanh_graph(weight.astype("<f4"), widths))
    policy = policies.load(tmp_path, env)
    obs = env.reset(jax.random.key(0), 0, 0).obs
    action, _ = jax.jit(policy.apply)((), obs, ())
    expected = np.tanh(np.asarray(obs["proprioception"], np.float64) @ weight)
    np.testing.assert_allclose(action, expected, atol=1e-5)


def test_without_onnxruntime_it_says_what_to_install(tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    env = mimic_envs.make("worm", clips="builtin/tiny", terminate=False)
    policies.declare(tmp_path, env, "onnx", {})
    (tmp_path / "model.onnx").write_bytes(tanh_graph(np.zeros((2, 95), "<f4"), {}))
    with pytest.raises(RuntimeError, match=r"pip install 'mimic_envs\[onnx\]'"):
        policies.load(tmp_path, env)


def tanh_graph(weight: np.ndarray, widths: dict[str, int]) -> bytes:
    """An ONNX model; numbers of fields are those of onnx.proto3."""

    def tag(number: int, wire: int) -> bytes:
        return varint(number << 3 | wire)

    def varint(n: int) -> bytes:
        out = b""
        while n > 127:
            out, n = out + bytes([n & 127 | 128]), n >> 7
        return out + bytes([n])

    def text(number: int, content: str | bytes) -> bytes:
        data = content.encode() if isinstance(content, str) else content
        return tag(number, 2) + varint(len(data)) + data

    def number(field: int, n: int) -> bytes:
        return tag(field, 0) + varint(n)

    def value(name: str, width: int) -> bytes:
        shape = text(1, text(2, "N")) + text(1, number(1, width))
        return text(1, name) + text(2, text(1, number(1, 1) + text(2, shape)))

    tensor = b"".join(number(1, n) for n in weight.shape) + number(2, 1)
    tensor += text(8, "W") + text(9, weight.tobytes())
    nodes = [
        text(1, "proprioception") + text(1, "W") + text(2, "h") + text(4, "MatMul"),
        text(1, "h") + text(2, "action") + text(4, "Tanh"),
    ]
    graph = b"".join(text(1, n) for n in nodes) + text(2, "g") + text(5, tensor)
    graph += b"".join(text(11, value(name, width)) for name, width in widths.items())
    graph += text(12, value("action", weight.shape[1]))
    return number(1, 8) + text(7, graph) + text(8, text(1, "") + number(2, 17))
