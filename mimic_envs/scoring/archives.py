"""Zip archives of strangers, which .npz files are too: every byte is read here, within limits.

Read is what NumPy and usual programs write: members that are stored or deflated, from the table
at the end of the file. All else is refused: other methods (bz2 and lzma unpack a block whatever
its size), encryption, members that share bytes, archives beyond 4 GB or of several parts.
"""

from __future__ import annotations

import dataclasses
import itertools
import pathlib
import stat
import struct
import zlib

_END = struct.Struct("<4s4H2LH")
_ENTRY = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_MOST_COMMENT = 65_535
_ENCRYPTED, _UTF8 = 1, 1 << 11
_STORED, _DEFLATED = 0, 8
_MOST_NAME = 300


@dataclasses.dataclass(frozen=True)
class Member:
    """A file in an archive.

    Attributes:
        name: Its path.
        size: Bytes that it promises to have.
        method: Stored or deflated.
        crc: Its checksum.
        packed: Its bytes in the archive.
    """

    name: str
    size: int
    method: int
    crc: int
    packed: memoryview

    def read(self, most: int) -> bytes:
        """Unpack it.

        Args:
            most: Bytes that it may have; no more are ever unpacked.

        Raises:
            ValueError: It has more, or is damaged.
        """
        if self.size > most:
            raise ValueError(f"member {self.name!r}: unpacks to more than {most} bytes")
        data = bytes(self.packed) if self.method == _STORED else self._inflated()
        if len(data) != self.size or zlib.crc32(data) != self.crc:
            raise ValueError(f"member {self.name!r}: damaged, or its size is not what it says")
        return data

    def _inflated(self) -> bytes:
        stream = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            data = stream.decompress(self.packed, self.size + 1)  # one more shows that it lies
        except zlib.error as error:
            raise ValueError(f"member {self.name!r}: damaged: {error}") from None
        if len(data) <= self.size and (not stream.eof or stream.unused_data):
            raise ValueError(f"member {self.name!r}: damaged: it ends too early or too late")
        return data


def members(path: pathlib.Path, most_files: int, most_bytes: int) -> list[Member]:
    """Read the table of an archive.

    Args:
        path: The archive.
        most_files: Members that it may have, folders left out.
        most_bytes: Bytes that the archive itself may have.

    Raises:
        ValueError: It is no such archive, too large, or its parts contradict each other.
    """
    size = path.stat().st_size
    if size > most_bytes:
        raise ValueError(f"{path.name}: {size} bytes, at most {most_bytes} are read")
    data = memoryview(path.read_bytes())
    try:
        found = _table(data, most_files)
    except struct.error:
        raise ValueError(f"{path.name}: not a zip archive: it ends too early") from None
    except ValueError as error:
        raise ValueError(f"{path.name}: {error}") from None
    return found


def _table(data: memoryview, most_files: int) -> list[Member]:
    end = bytes(data[-_END.size - _MOST_COMMENT :]).rfind(b"PK\5\6")
    if end < 0:
        raise ValueError("not a zip archive: it has no table")
    end += max(0, len(data) - _END.size - _MOST_COMMENT)
    _, disk, start_disk, here, count, length, start, comment = _END.unpack_from(data, end)
    if disk or start_disk or here != count or count == 0xFFFF or 0xFFFFFFFF in (length, start):
        raise ValueError("not a zip archive: it is in several parts or too large")
    if end + _END.size + comment != len(data) or start + length != end:
        raise ValueError("not a zip archive: its table is not where it says")
    if count > 2 * most_files:
        raise ValueError(f"more than {most_files} files")
    found, at, spans = [], start, []
    for _ in range(count):
        member, at, span = _member(data, at, start)
        spans.append(span)
        if member is not None:
            found.append(member)
    if at != end:
        raise ValueError("not a zip archive: its table has another length than it says")
    if any(a[1] > b[0] for a, b in itertools.pairwise(sorted(spans))):
        raise ValueError("members share bytes")
    if len(found) > most_files:
        raise ValueError(f"more than {most_files} files")
    return found


def _member(data: memoryview, at: int, table: int) -> tuple[Member | None, int, tuple[int, int]]:
    """An entry of the table, where the next one begins, and its bytes; None for a folder."""
    entry = _ENTRY.unpack_from(data, at)
    signature, _, _, flags, method, _, _, crc, packed, size, n_name, n_extra, n_comment = entry[:13]
    disk, _, attributes, offset = entry[13:]
    if signature != b"PK\1\2" or disk:
        raise ValueError("not a zip archive: an entry of its table is damaged")
    raw = bytes(data[at + _ENTRY.size : at + _ENTRY.size + n_name])
    name = _name(raw, flags)
    local = _LOCAL.unpack_from(data, offset)
    begin = offset + _LOCAL.size + local[-2] + local[-1]
    if local[0] != b"PK\3\4" or bytes(data[offset + _LOCAL.size :][: local[-2]]) != raw:
        raise ValueError(f"member {name!r} has another name in the table")
    if begin + packed > table:
        raise ValueError(f"member {name!r} ends behind the table")
    after = at + _ENTRY.size + n_name + n_extra + n_comment
    kind = stat.S_IFMT(attributes >> 16)
    if name.endswith("/") and not size:
        return None, after, (offset, begin + packed)
    if flags & _ENCRYPTED or kind not in (0, stat.S_IFREG):
        raise ValueError(f"member {name!r}: is a link, a special file or encrypted")
    if method not in (_STORED, _DEFLATED):
        raise ValueError(f"member {name!r}: is packed by method {method}, read is deflate (8)")
    if method == _STORED and packed != size:
        raise ValueError(f"member {name!r}: damaged: it is stored and has two sizes")
    member = Member(name, size, method, crc, data[begin : begin + packed])
    return member, after, (offset, begin + packed)


def _name(raw: bytes, flags: int) -> str:
    if len(raw) > _MOST_NAME:
        raise ValueError(f"a member has a name of {len(raw)} bytes")
    try:
        return raw.decode("utf-8" if flags & _UTF8 else "ascii")
    except UnicodeDecodeError:
        raise ValueError(f"a member has the unreadable name {raw!r}") from None
