"""One file from a web server: resumed, checked, complete or not there.

`requests` does HTTP; this module adds what it leaves to its users: going on after an
interruption, trying again, time-outs, checksums, and never leaving half a file under a name
that somebody reads.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import hashlib
import json
import os
import pathlib
import shutil
import time
from collections.abc import Callable, Iterator
from typing import Any

import requests

Progress = Callable[[int, int | None], None]
"""Called with the bytes that are here and the bytes there are, if that is known."""

_CHUNK = 1 << 16  # what is lost of a connection that breaks
_PERMANENT = (400, 401, 403, 404, 405, 410, 451)


class DownloadError(RuntimeError):
    """A file could not be downloaded; the message says why and what to do."""


@dataclasses.dataclass(frozen=True)
class Patience:
    """How long to wait for a server.

    Attributes:
        timeout_s: Longest silence of the server.
        attempts: How often to try without a single new byte.
        pause_s: Wait after the first failure; it doubles with every further one.
    """

    timeout_s: float = 30.0
    attempts: int = 5
    pause_s: float = 1.0


def download(
    url: str,
    path: pathlib.Path,
    size: int | None = None,
    sha256: str | None = None,
    progress: Progress | None = None,
    patience: Patience | None = None,
) -> str:
    """Download a file. It appears under its name only when it is complete and right.

    What has arrived when a download is interrupted stays beside it as `<name>.part`, and the
    next call goes on from there if the file on the server is still the same.

    Args:
        url: What to download.
        path: Where to put it.
        size: Bytes that it must have, if known.
        sha256: Its checksum, if known.
        progress: Told about every piece that arrives.
        patience: How long to wait.

    Returns:
        The SHA-256 of the file.

    Raises:
        DownloadError: The server refuses, fails or falls silent, the file is not the one that
            was expected, or the disk is full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _only_one(path):
        try:
            return _download(url, path, size, sha256, progress, patience or Patience())
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise DownloadError(
                f"{url}: the disk is full at {path.parent}; make room, or choose another place "
                "with the environment variable MIMIC_ENVS_CACHE, then run this again"
            ) from error


def _download(
    url: str,
    path: pathlib.Path,
    size: int | None,
    sha256: str | None,
    progress: Progress | None,
    patience: Patience,
) -> str:
    if sha256 is not None and path.is_file() and _sha256(path) == sha256:
        return sha256
    part = _Part(path, url)
    for _ in range(2):
        resumed = part.size > 0
        _receive(part, size, progress, patience)
        wrong = ""
        if size is not None and part.size != size:
            wrong = f"it has {part.size} bytes instead of {size}"
        actual = _sha256(part.path)
        if sha256 is not None and actual != sha256:
            wrong = wrong or f"its SHA-256 is {actual} instead of {sha256}"
        if not wrong:
            part.path.replace(path)
            part.forget()
            return actual
        part.forget()
        if not resumed:
            break  # the beginning is not to blame, so another try would bring the same
    raise DownloadError(
        f"{url}: not the expected file, {wrong}: it was damaged on the way or has changed on "
        "the server; nothing of it was kept"
    )


def _receive(part: _Part, size: int | None, progress: Progress | None, patience: Patience) -> None:
    """Go on until the server says that this was all."""
    failures, before = 0, part.size
    while True:
        try:
            if _receive_once(part, size, progress, patience.timeout_s):
                return
            why = "the connection was closed early"
        except (requests.ConnectionError, requests.Timeout) as error:
            why = _reason(error, patience.timeout_s)
        except requests.exceptions.ChunkedEncodingError:
            why = "the connection was closed early"
        except _TryAgain as error:
            why = str(error)
        except requests.RequestException as error:
            raise DownloadError(f"{part.url}: {error}") from error
        failures = 1 if part.size > before else failures + 1
        before = part.size
        if failures >= patience.attempts:
            kept = f"; the {part.size} bytes that came are kept, run this again to go on"
            raise DownloadError(
                f"{part.url}: {why}, {failures} times in a row{kept if part.size else ''}"
            )
        time.sleep(min(patience.pause_s * 2 ** (failures - 1), 60.0))


class _TryAgain(Exception):
    """The server failed in a way that may pass."""


def _receive_once(
    part: _Part, size: int | None, progress: Progress | None, timeout_s: float
) -> bool:
    """One request; whether the file is complete after it."""
    start = part.size
    if size is not None and start == size:
        return True
    # no compression on the way: lengths and positions are those of the file itself
    headers = {"Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
        if part.etag:
            headers["If-Range"] = part.etag
    with requests.get(part.url, headers=headers, stream=True, timeout=timeout_s) as response:
        code = response.status_code
        if code == 416:  # nothing lies behind what we have: it was another file
            part.forget()
            raise _TryAgain("the file on the server is shorter than what had come of it")
        if code in _PERMANENT:
            raise DownloadError(
                f"{part.url}: the server answers {code} {response.reason}"
                + ("; the file is not there (any more)" if code in (404, 410) else "")
            )
        if code not in (200, 206):
            raise _TryAgain(f"the server answers {code} {response.reason}")
        begin, total = _span(response)
        if code == 200:
            begin = 0
        if begin != start:
            part.forget()
            if begin != 0:
                raise _TryAgain("the server sent another part than was asked for")
        _check_room(part, total or size)
        part.remember(response.headers.get("ETag", ""))
        with part.path.open("ab") as file:
            for chunk in response.iter_content(_CHUNK):
                file.write(chunk)
                if progress:
                    progress(file.tell(), total or size)
    return total is None or part.size == total


def _span(response: requests.Response) -> tuple[int, int | None]:
    """Where the body begins in the file, and how long the file is, if the server says it."""
    content_range = response.headers.get("Content-Range", "")
    if response.status_code == 206 and content_range.startswith("bytes "):
        span, _, whole = content_range.removeprefix("bytes ").partition("/")
        try:
            return int(span.partition("-")[0]), int(whole) if whole != "*" else None
        except ValueError:
            raise _TryAgain(f"the server sent Content-Range {content_range!r}") from None
    length = response.headers.get("Content-Length", "")
    return 0, int(length) if length.isdigit() else None


def _check_room(part: _Part, total: int | None) -> None:
    free = shutil.disk_usage(part.path.parent).free
    if total is not None and total - part.size > free:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _reason(error: Exception, timeout_s: float) -> str:
    if isinstance(error, requests.Timeout) or "timed out" in str(error):
        return f"the server was silent for {timeout_s:g} s"
    if "IncompleteRead" in str(error) or "broken" in str(error).lower():
        return "the connection was closed early"
    return "no connection"


class _Part:
    """What has arrived of a file, and of which version of it."""

    def __init__(self, path: pathlib.Path, url: str) -> None:
        self.path = path.with_name(path.name + ".part")
        self._note = path.with_name(path.name + ".part.json")
        self.url = url
        self.etag = ""
        try:
            note = json.loads(self._note.read_text())
            same = note["url"] == url
            self.etag = str(note["etag"])
        except (OSError, ValueError, KeyError, TypeError):
            same = False
        if not same:
            self.forget()

    @property
    def size(self) -> int:
        """Bytes that have arrived."""
        return self.path.stat().st_size if self.path.exists() else 0

    def remember(self, etag: str) -> None:
        """Note which version of the file the bytes are of."""
        # a weak tag does not promise the same bytes, so it cannot be used to go on
        self.etag = "" if etag.startswith("W/") else etag
        self._note.write_text(json.dumps({"url": self.url, "etag": self.etag}))

    def forget(self) -> None:
        """Start anew."""
        self.path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)
        self.etag = ""


@contextlib.contextmanager
def _only_one(path: pathlib.Path) -> Iterator[None]:
    """Keep other processes from writing to the same partial file."""
    try:
        import fcntl
    except ImportError:  # not on Windows, where opening a file for writing locks it
        yield
        return
    lock = path.with_name(path.name + ".lock")
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise DownloadError(f"another process is downloading {path.name} already") from None
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)


def _sha256(path: pathlib.Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_json(url: str, patience: Patience | None = None) -> tuple[Any, str | None]:
    """A JSON document, and the address of its next page if there is one.

    Raises:
        DownloadError: The server refuses, fails or falls silent, or does not send JSON.
    """
    patience = patience or Patience()
    why = ""
    for attempt in range(patience.attempts):
        if attempt:
            time.sleep(min(patience.pause_s * 2 ** (attempt - 1), 60.0))
        try:
            response = requests.get(url, timeout=patience.timeout_s)
            if response.status_code in _PERMANENT:
                raise DownloadError(
                    f"{url}: the server answers {response.status_code} {response.reason}"
                )
            if response.ok:
                return response.json(), response.links.get("next", {}).get("url")
            why = f"the server answers {response.status_code} {response.reason}"
        except requests.exceptions.JSONDecodeError as error:
            raise DownloadError(f"{url}: the server did not send JSON: {error}") from error
        except requests.RequestException as error:
            why = _reason(error, patience.timeout_s)
    raise DownloadError(f"{url}: {why}, {patience.attempts} times in a row")
