"""Fetching published sets, from a server on this machine that misbehaves in every way it can."""

from __future__ import annotations

import errno
import hashlib
import http.server
import json
import pathlib
import threading
import time
import urllib.parse
from collections.abc import Iterator

import numpy as np
import pytest

from mimic_envs import cli
from mimic_envs import clips as clips_
from mimic_envs.clips import clip_file, published
from mimic_envs.clips import download as download_
from mimic_envs.clips.download import DownloadError, Patience, download

HASTY = Patience(timeout_s=0.5, attempts=3, pause_s=0.01)
REPO = "datasets/talmolab/MIMIC-MJX"


class Server(http.server.ThreadingHTTPServer):
    """Serves `files`; `faults` are used up, one a request, before it serves well.

    Faults: an error code, "cut" (half of what is asked for), "drip" (100 kB), "silent", "flip"
    (one wrong byte), "ignore" (a whole file where a part was asked for), "other" (another part).
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.faults: list[int | str] = []
        self.etag = '"1"'
        self.requests: list[tuple[str, str | None]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *args) -> None:
        pass

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        path = urllib.parse.unquote(self.path)
        self.server.requests.append((path, asked))
        fault = self.server.faults.pop(0) if self.server.faults else None
        if isinstance(fault, int) or path not in self.server.files:
            self.send_error(fault if isinstance(fault, int) else 404)
            return
        if fault == "silent":
            time.sleep(1.0)
            return
        content = self.server.files[path]
        if fault == "flip":
            content = bytes([content[0] ^ 1]) + content[1:]
        unchanged = self.headers.get("If-Range", self.server.etag) == self.server.etag
        start = 0
        if asked and unchanged and fault != "ignore":
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            start += 5 if fault == "other" else 0
        if start >= len(content) and start:
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - start))
        if self.server.etag:
            self.send_header("ETag", self.server.etag)
        self.end_headers()
        body = content[start:]
        body = body[: {"cut": len(body) // 2, "drip": 100_000}.get(str(fault), len(body))]
        self.wfile.write(body)


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    thread = threading.Thread(target=made.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield made
    made.shutdown()
    made.server_close()


CONTENT = np.random.default_rng(0).bytes(3_000_000)
SHA = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def url(server: Server) -> str:
    server.files["/file.h5"] = CONTENT
    return server.url + "/file.h5"


def names(folder: pathlib.Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


class TestDownload:
    def test_whole(self, url, tmp_path) -> None:
        seen: list[tuple[int, int | None]] = []
        path = tmp_path / "a.h5"
        assert download(url, path, len(CONTENT), SHA, lambda *x: seen.append(x), HASTY) == SHA
        assert path.read_bytes() == CONTENT
        assert names(tmp_path) == ["a.h5"]
        assert seen[-1] == (len(CONTENT), len(CONTENT))
        assert seen == sorted(seen)

    def test_size_and_checksum_may_be_unknown(self, url, tmp_path) -> None:
        assert download(url, tmp_path / "a.h5", patience=HASTY) == SHA

    def test_truncation_is_resumed(self, server, url, tmp_path) -> None:
        server.faults = ["cut", "cut"]
        download(url, tmp_path / "a.h5", len(CONTENT), SHA, patience=HASTY)
        assert (tmp_path / "a.h5").read_bytes() == CONTENT
        starts = [int(asked[6:-1]) for _, asked in server.requests[1:]]
        assert server.requests[0][1] is None
        # all that came but for the last 64 kB
        assert 1_430_000 < starts[0] <= 1_500_000
        assert 2_140_000 < starts[1] <= 2_250_000

    def test_progress_counts_as_patience(self, server, url, tmp_path) -> None:
        server.faults = ["drip"] * 10  # more than three, but each brings something
        download(url, tmp_path / "a.h5", len(CONTENT), SHA, patience=HASTY)
        assert len(server.requests) == 11

    def test_interrupted_and_resumed(self, server, url, tmp_path) -> None:
        """What Ctrl-C leaves is gone on with, and is not under the file's name."""

        def stop(here, total):
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            download(url, tmp_path / "a.h5", len(CONTENT), SHA, stop, HASTY)
        assert names(tmp_path) == ["a.h5.part", "a.h5.part.json"]
        download(url, tmp_path / "a.h5", len(CONTENT), SHA, patience=HASTY)
        assert names(tmp_path) == ["a.h5"]
        assert server.requests[-1][1] is not None

    def test_a_changed_file_is_not_gone_on_with(self, server, url, tmp_path) -> None:
        server.faults = ["cut", 500, 500, 500]
        with pytest.raises(DownloadError, match=r"500 .*3 times.*[0-9]+ bytes that came are kept"):
            download(url, tmp_path / "a.h5", patience=HASTY)
        server.etag, server.files["/file.h5"] = '"2"', CONTENT[::-1]
        download(url, tmp_path / "a.h5", patience=HASTY)
        assert (tmp_path / "a.h5").read_bytes() == CONTENT[::-1]

    def test_a_shorter_file_is_not_gone_on_with(self, server, url, tmp_path) -> None:
        server.faults, server.etag = ["cut", 500, 500, 500], ""
        with pytest.raises(DownloadError):
            download(url, tmp_path / "a.h5", patience=HASTY)
        server.files["/file.h5"] = CONTENT[:1000]
        download(url, tmp_path / "a.h5", patience=HASTY)
        assert (tmp_path / "a.h5").read_bytes() == CONTENT[:1000]

    def test_a_part_of_another_file_is_found_out(self, server, url, tmp_path) -> None:
        """Without a tag only the checksum tells; then all is fetched anew, once."""
        server.etag = ""
        (tmp_path / "a.h5.part").write_bytes(b"x" * 1000)
        (tmp_path / "a.h5.part.json").write_text(json.dumps({"url": url, "etag": ""}))
        download(url, tmp_path / "a.h5", len(CONTENT), SHA, patience=HASTY)
        assert (tmp_path / "a.h5").read_bytes() == CONTENT

    @pytest.mark.parametrize("fault", ["ignore", "other"])
    def test_a_server_without_ranges(self, server, url, tmp_path, fault) -> None:
        server.faults = ["cut", fault]
        download(url, tmp_path / "a.h5", len(CONTENT), SHA, patience=HASTY)
        assert (tmp_path / "a.h5").read_bytes() == CONTENT

    def test_wrong_checksum(self, server, url, tmp_path) -> None:
        server.faults = ["flip"]
        with pytest.raises(DownloadError, match=rf"its SHA-256 is .* instead of {SHA}.*nothing of"):
            download(url, tmp_path / "a.h5", len(CONTENT), SHA, patience=HASTY)
        assert names(tmp_path) == []

    def test_wrong_size(self, url, tmp_path) -> None:
        with pytest.raises(DownloadError, match="it has 3000000 bytes instead of 3000001"):
            download(url, tmp_path / "a.h5", len(CONTENT) + 1, patience=HASTY)
        assert names(tmp_path) == []

    @pytest.mark.parametrize("code", [403, 404, 410])
    def test_refused_at_once(self, server, url, tmp_path, code) -> None:
        server.faults = [code] * 3
        with pytest.raises(DownloadError, match=f"the server answers {code}"):
            download(url, tmp_path / "a.h5", patience=HASTY)
        assert len(server.requests) == 1
        assert names(tmp_path) == []

    @pytest.mark.parametrize("code", [429, 500, 503])
    def test_tried_again(self, server, url, tmp_path, code) -> None:
        server.faults = [code, code]
        download(url, tmp_path / "a.h5", len(CONTENT), SHA, patience=HASTY)
        assert len(server.requests) == 3
        server.faults = [code] * 9
        with pytest.raises(DownloadError, match=f"answers {code} .*, 3 times in a row"):
            download(url, tmp_path / "b.h5", patience=HASTY)

    def test_silence(self, server, url, tmp_path) -> None:
        server.faults = ["silent"] * 3
        with pytest.raises(DownloadError, match=r"silent for 0.5 s, 3 times in a row"):
            download(url, tmp_path / "a.h5", patience=HASTY)
        assert names(tmp_path) == []

    def test_nobody_there(self, tmp_path) -> None:
        with pytest.raises(DownloadError, match="no connection, 3 times in a row"):
            download("http://127.0.0.1:9/a", tmp_path / "a.h5", patience=HASTY)

    def test_full_disk_is_seen_before(self, url, tmp_path, monkeypatch) -> None:
        usage = download_.shutil.disk_usage(tmp_path)
        monkeypatch.setattr(download_.shutil, "disk_usage", lambda _: usage._replace(free=1000))
        with pytest.raises(DownloadError, match=r"the disk is full at .*MIMIC_ENVS_CACHE"):
            download(url, tmp_path / "a.h5", patience=HASTY)
        assert not (tmp_path / "a.h5").exists()

    def test_full_disk_while_writing(self, url, tmp_path) -> None:
        """Some of it is written, then none; with room again it goes on."""

        def full(here, total):
            raise OSError(errno.ENOSPC, "No space left on device")

        with pytest.raises(DownloadError, match="the disk is full"):
            download(url, tmp_path / "a.h5", len(CONTENT), SHA, full, HASTY)
        assert names(tmp_path) == ["a.h5.part", "a.h5.part.json"]
        download(url, tmp_path / "a.h5", len(CONTENT), SHA, patience=HASTY)
        assert (tmp_path / "a.h5").read_bytes() == CONTENT

    def test_two_at_once(self, server, url, tmp_path) -> None:
        inside, go = threading.Event(), threading.Event()

        def wait(here, total):
            inside.set()
            go.wait(5)

        path = tmp_path / "a.h5"
        first = threading.Thread(target=download, args=(url, path, None, SHA, wait, HASTY))
        first.start()
        assert inside.wait(5)
        with pytest.raises(DownloadError, match=r"another process is downloading a\.h5"):
            download(url, path, patience=HASTY)
        go.set()
        first.join()
        assert path.read_bytes() == CONTENT


@pytest.fixture
def hub(server: Server, tmp_path, monkeypatch) -> Server:
    """A server that holds the rodent set as the hub does, and an empty cache directory."""
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    monkeypatch.setenv("MIMIC_ENVS_CACHE", str(tmp_path / "cache"))
    tiny = clips_.load("generated/tiny", "rodent")
    clips_.export_clips(tiny, tmp_path / "a.h5", "stac")
    put(server, "data/rodent/rodent_reference_clips.h5", (tmp_path / "a.h5").read_bytes())
    server.files[f"/api/{REPO}"] = json.dumps({"cardData": {"license": "cc-by-4.0"}}).encode()
    return server


def put(server: Server, path: str, content: bytes, checksum: str | None = None) -> None:
    folder = path.rpartition("/")[0]
    server.files[f"/{REPO}/resolve/main/{path}"] = content
    checksum = checksum or hashlib.sha256(content).hexdigest()
    entry = {"type": "file", "path": path, "size": len(content), "lfs": {"oid": checksum}}
    listing = [entry, {"type": "file", "path": f"{folder}/README.md", "size": 3}]
    server.files[f"/api/{REPO}/tree/main/{folder}"] = json.dumps(listing).encode()


@pytest.fixture(autouse=True)
def hasty(monkeypatch) -> None:
    monkeypatch.setattr(download_, "Patience", lambda: HASTY)


class TestFetch:
    def test_fetch_and_load(self, hub, tmp_path, capsys) -> None:
        with pytest.raises(FileNotFoundError, match="mimic-envs clips fetch rodent"):
            clips_.load("published/rodent", "rodent")
        cli.main(["clips", "fetch", "rodent"])
        said = " ".join(capsys.readouterr().out.split())
        assert "licence: cc-by-4.0" in said
        assert "arXiv:2511.20532" in said
        assert "clips='published/rodent'" in said
        loaded = clips_.load("published/rodent", "rodent")
        tiny = clips_.load("generated/tiny", "rodent")
        assert loaded.content_hash == tiny.content_hash
        assert loaded.licence == "cc-by-4.0"
        assert "huggingface.co/datasets/talmolab/MIMIC-MJX" in loaded.source
        assert names(tmp_path / "cache" / "published" / "rodent") == ["clips.h5", "record.json"]

    def test_once_only(self, hub) -> None:
        published.fetch("rodent")
        count = len(hub.requests)
        assert published.fetch("rodent").report is None
        assert len(hub.requests) == count

    def test_again_must_be_the_same(self, hub) -> None:
        published.fetch("rodent", again=False)
        assert published.fetch("rodent", again=True).report is not None
        path = f"/{REPO}/resolve/main/data/rodent/rodent_reference_clips.h5"
        put(hub, "data/rodent/rodent_reference_clips.h5", hub.files[path] + b"more")
        with pytest.raises(DownloadError, match="has changed on the server"):
            published.fetch("rodent", again=True)
        assert clips_.load("published/rodent", "rodent").names  # the old one is still there

    def test_the_original_can_be_kept(self, hub, tmp_path) -> None:
        published.fetch("rodent", keep_original=True)
        folder = tmp_path / "cache" / "published" / "rodent" / "original"
        assert names(folder) == ["rodent_reference_clips.h5"]

    def test_a_checksum_that_the_hub_tells(self, hub, capsys) -> None:
        path = "data/rodent/rodent_reference_clips.h5"
        put(hub, path, hub.files[f"/{REPO}/resolve/main/{path}"], "0" * 64)
        with pytest.raises(SystemExit):
            cli.main(["clips", "fetch", "rodent"])
        assert "its SHA-256 is" in " ".join(capsys.readouterr().err.split())
        with pytest.raises(FileNotFoundError):
            clips_.load("published/rodent", "rodent")

    def test_a_file_that_does_not_import(self, hub) -> None:
        put(hub, "data/rodent/rodent_reference_clips.h5", b"not HDF5")
        with pytest.raises(ValueError, match="not an HDF5 file"):
            published.fetch("rodent")
        with pytest.raises(FileNotFoundError):
            clips_.load("published/rodent", "rodent")

    def test_a_full_disk_while_converting(self, hub, monkeypatch) -> None:
        def full(file, clips):
            raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(clip_file, "write", full)
            with pytest.raises(OSError, match="No space left"):
                published.fetch("rodent")
        with pytest.raises(FileNotFoundError):
            clips_.load("published/rodent", "rodent")
        count = len(hub.requests)
        published.fetch("rodent")  # what was downloaded is used
        fetched = [path for path, _ in hub.requests[count:]]
        assert not any("resolve" in path for path in fetched)

    def test_a_cut_record_is_no_record(self, hub, tmp_path) -> None:
        published.fetch("rodent")
        record = tmp_path / "cache" / "published" / "rodent" / "record.json"
        record.write_text(record.read_text()[:20])
        with pytest.raises(FileNotFoundError, match="fetch"):
            clips_.load("published/rodent", "rodent")

    @pytest.mark.parametrize("broken", [b"{}", b"[{}]", b"[1]", b"<html>", b"[]"])
    def test_a_listing_that_is_none(self, hub, broken) -> None:
        hub.files[f"/api/{REPO}/tree/main/data/rodent"] = broken
        with pytest.raises(DownloadError, match=r"not the listing|did not send JSON|has changed"):
            published.fetch("rodent")

    def test_no_licence_is_said(self, hub) -> None:
        hub.files[f"/api/{REPO}"] = b"{}"
        assert "before you pass it on" in published.fetch("rodent").licence

    def test_names(self, capsys) -> None:
        with pytest.raises(ValueError, match="did you mean 'rodent'"):
            published.fetch("rodnt")
        with pytest.raises(ValueError, match=r"not fetched.*10.5061/dryad.mpg4f4r73"):
            published.fetch("fly_treadmill")
        with pytest.raises(ValueError, match="did you mean 'published/rodent'"):
            clips_.load("published/rodet", "rodent")
        cli.main(["clips", "published"])
        said = "".join(capsys.readouterr().out.split())
        assert all(name.replace("_", "") in said.replace("_", "") for name in published.PUBLISHED)


def test_every_set_says_all() -> None:
    for one in published.PUBLISHED.values():
        assert one.citation
        assert one.page.startswith("https://huggingface.co/datasets/")
        assert one.format.fps > 0
        assert one.format.unit in clips_.importers.METRES
