"""Files that strangers could send, and what must come of them: a clear refusal."""

from __future__ import annotations

import json
import os
import stat
import time
import warnings
import zipfile

import numpy as np
import pytest

from mimic_envs.scoring import safetensors, untrusted


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
            (f'{{"a": {10**400}}}', "has more than 64 bits"),
            ('{"a": -9223372036854775809}', "has more than 64 bits"),
            ('{"a": 1e400}', "is too large"),
            (r'{"a": "\ud800"}', "lone surrogate"),
            (r'{"a": [{"\udfff": 1}]}', "lone surrogate"),
            (" " * 1_000_001, "at most 1000000 are read"),
        ],
    )
    def test_bombs(self, tmp_path, text, message) -> None:
        path = tmp_path / "x.json"
        path.write_text(text)
        assert message in refused(untrusted.read_json, path)

    def test_many_keys_take_no_time(self) -> None:
        """Of 105,000 different ones the last is there twice."""
        keys = [f'"{i}":1' for i in range(105_000)]
        began = time.process_time()
        assert "key '104999' occurs twice" in refused(
            untrusted.parse_json, "{" + ",".join([*keys, keys[-1]]) + "}", "x"
        )
        assert time.process_time() - began < 5

    def test_characters_beyond_16_bits_are_whole(self) -> None:
        assert untrusted.parse_json(r'"\ud83d\ude00"', "x") == "\U0001f600"

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

    def test_depth_and_number_of_folders(self, tmp_path) -> None:
        deep = tmp_path / "deep"
        deep.joinpath(*["a"] * 200).mkdir(parents=True)
        assert untrusted.check_folder(deep) == [
            "/".join(["a"] * 9) + ": lies deeper than 8 folders"
        ]
        for i in range(300):
            (tmp_path / "many" / str(i)).mkdir(parents=True)
        assert untrusted.check_folder(tmp_path / "many") == ["more than 200 files or folders"]

    def test_sizes(self, tmp_path) -> None:
        for i in range(4):
            (tmp_path / f"{i}").write_bytes(b"x" * 100)
        limits = untrusted.Limits(files=3, bytes=350, file_bytes=99)
        said = untrusted.check_folder(tmp_path, limits)
        assert "more than 3 files or folders" in said
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
        assert not list(folder.iterdir())

    @pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
    def test_other_methods(self, tmp_path, method) -> None:
        """They unpack whole blocks: 830 bytes become gigabytes before anyone can count them."""
        with zipfile.ZipFile(tmp_path / "x.zip", "w", method) as file:
            file.writestr("x", bytes(1_000_000))
        for read in (untrusted.unpack, lambda path, _: untrusted.read_npz(path)):
            assert f"is packed by method {method}" in refused(read, tmp_path / "x.zip", tmp_path)

    @pytest.mark.parametrize(
        ("names", "message"),
        [
            (["a", "a/b"], "'a' is a file and a folder"),
            (["a/b", "a"], "'a' is a file and a folder"),
            (["a/b", "A"], "'a' is a file and a folder"),
            (["a", "a"], "occurs twice"),
            (["readme", "README"], "occurs twice"),
            (["/".join("abcdefghij")], "is odd"),
            (["x" * 101], "is odd"),
            (["x" * 400], "has a name of 400 bytes"),
            (["\u202ex"], "is odd"),
        ],
    )
    def test_files_that_cannot_lie_beside_each_other(self, tmp_path, names, message) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a name that is there twice
            archive, folder = self.archive(tmp_path, *((name, b"x") for name in names))
        assert message in refused(untrusted.unpack, archive, folder)
        assert not list(folder.iterdir())

    def test_tables_that_lie(self, tmp_path) -> None:
        archive, folder = self.archive(tmp_path, ("x", b"hello" * 100), ("y", b"y"))
        good = archive.read_bytes()
        entry, end = good.index(b"PK\1\2"), good.index(b"PK\5\6")
        for at, value in (
            (entry + 24, (99).to_bytes(4, "little")),  # its size
            (entry + 20, (10**6).to_bytes(4, "little")),  # its size when packed
            (entry + 16, b"\0\0\0\0"),  # its checksum
            (entry + 42, (10**9).to_bytes(4, "little")),  # where it lies
            (entry + 46, b"z"),  # its name
            (end + 8, b"\xff\xff\xff\xff"),  # number of members
            (end + 16, b"\0\0\0\0"),  # where the table lies
            (end + 20, b"\1\0"),  # length of the comment
        ):
            archive.write_bytes(good[:at] + value + good[at + len(value) :])
            assert refused(untrusted.unpack, archive, folder)
        for length in range(0, len(good), 7):
            archive.write_bytes(good[:length])
            assert "not a zip archive" in refused(untrusted.unpack, archive, folder)

    def test_members_that_share_bytes(self, tmp_path) -> None:
        """As in bombs that grow with the square of their size."""
        archive, folder = self.archive(tmp_path, ("x", b"a" * 100), ("y", b"b" * 100))
        data = bytearray(archive.read_bytes())
        second = data.rindex(b"PK\1\2")
        data[second + 42 : second + 46] = bytes(4)
        data[second + 46 : second + 47] = b"x"
        archive.write_bytes(data)
        assert "share bytes" in refused(untrusted.unpack, archive, folder)

    def test_a_comment_at_the_end(self, tmp_path) -> None:
        archive, folder = self.archive(tmp_path, ("x", b"hello"))
        with zipfile.ZipFile(archive, "a") as file:
            file.comment = b"0123456789abcdef"
        untrusted.unpack(archive, folder)
        assert (folder / "x").read_bytes() == b"hello"

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
            ("(" + "9" * 400 + ",)", "impossible shape"),
            ("(" + "99 " * 20000 + ",)", "impossible shape"),
            ("(2, 1, 1, 1, 1)", "impossible shape"),
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
        assert "unpacks to more than" in refused(untrusted.read_npz, path, 1_000_000)

    def test_texts_that_are_none(self, tmp_path) -> None:
        for code in (0xD800, 0x110000):
            text = "{'descr': '<U1', 'fortran_order': False, 'shape': (1,), }"
            path = npz(tmp_path / "x.npz", x=npy(text, code.to_bytes(4, "little")))
            assert "texts that are not Unicode" in refused(untrusted.read_npz, path)

    def test_damage(self, tmp_path) -> None:
        path = tmp_path / "x.npz"
        np.savez_compressed(path, x=np.arange(1000.0))
        data = bytearray(path.read_bytes())
        data[200:240] = bytes(40)
        path.write_bytes(data)
        assert "x.npz" in refused(untrusted.read_npz, path)
        path.write_bytes(b"no")
        assert "not a zip archive" in refused(untrusted.read_npz, path)


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
            (("F32", [2**62, 2], [0, 8]), "impossible shape"),
            (("F32", [2**63, 2], [0, 8]), "has more than 64 bits"),
            (("F32", [[2]], [0, 8]), "impossible shape"),
            (({"a": 1}, [2], [0, 8]), "has type {'a': 1}"),
            (("F32", {"a": 2}, 8), "impossible shape"),
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
