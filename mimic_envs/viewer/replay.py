"""A replay: a page that shows recorded motion in any browser, as files or within a notebook."""

from __future__ import annotations

import html
import json
import os
import pathlib
from collections.abc import Callable, Iterator, Sequence
from importlib import resources
from typing import TYPE_CHECKING

from mimic_envs import bodies
from mimic_envs.clips import ClipSet
from mimic_envs.files import atomically, check_folder, check_output
from mimic_envs.viewer import blob, scene, sources, trial
from mimic_envs.viewer.trial import Trial

if TYPE_CHECKING:
    import xarray

Progress = Callable[[int, int], None]
_SCRIPTS = ("linear", "data", "shapes", "shaders", "render", "camera", "plots", "stage", "app")
"""Scripts of the page, in the order in which they build on each other."""
_POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:"
"""Content security policy of a page in one file: the browser lets it fetch nothing."""


class Replay:
    """Recorded motion, to be shown by a browser.

    A notebook shows it as the last value of a cell. `save` writes it.

    Args:
        body: The body, with its arena.
        title: Heading of the page.
        note: A line below it.
        names: Names of the trials.
        trials: Makes the trials, in that order; called each time that the page is made.
    """

    def __init__(
        self,
        body: bodies.Body,
        title: str,
        note: str,
        names: Sequence[str],
        trials: Callable[[], Iterator[Trial]],
    ) -> None:
        self.body, self.title, self.note = body, title, note
        self.names, self._trials = tuple(names), trials

    def __repr__(self) -> str:
        return f"<Replay of {self.title!r}: {len(self.names)} trials of {self.body.name!r}>"

    def save(
        self,
        out: str | os.PathLike[str],
        single: bool = False,
        progress: Progress = lambda done, total: None,
    ) -> pathlib.Path:
        """Write the page; returns the file to open.

        Args:
            out: A name that ends in .html for a page in one file; otherwise a folder, which gets
                `index.html`, scripts, and one file of data for each trial. Both open from disk
                and from any web server.
            single: Write one file also where `out` is a folder: its `index.html`.
            progress: Called with trials done and in total.

        Raises:
            OSError: Nothing can be written there.
        """
        path = pathlib.Path(out)
        if path.suffix.lower() == ".html":
            single = True
        elif path.suffix:
            raise ValueError(f"{path}: give a folder, or a file whose name ends in .html")
        else:
            path = path / "index.html"
        check_output(path, ".html")
        check_folder(path.parent)
        if single:
            _write(path, self.html(progress))
            return path
        _write(path.parent / "viewer.css", _asset("viewer.css"))
        _write(path.parent / "viewer.js", _program())
        for name, data in self._blobs(progress):
            _write(path.parent / f"{name}.js", blob.as_script(name, data))
        head = '<link rel="stylesheet" href="viewer.css">'
        scripts = [f'<script src="{name}.js"></script>' for name in ("viewer", "scene")]
        _write(path, self._page(head, "".join(scripts)))  # last: it names the others
        return path

    def html(self, progress: Progress = lambda done, total: None) -> str:
        """The page as one text, which needs nothing else.

        Args:
            progress: Called with trials done and in total.
        """
        policy = f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        head = f"{policy}<style>{_asset('viewer.css')}</style>"
        parts = [_program(), *(blob.as_script(*named) for named in self._blobs(progress))]
        return self._page(head, "".join(f"<script>{part}</script>\n" for part in parts))

    def _repr_html_(self) -> str:
        """What a notebook shows: the page in a frame of its own."""
        page = html.escape(self.html(), quote=True)
        return (
            f'<iframe srcdoc="{page}" title="{html.escape(self.title)}" loading="lazy" '
            'style="width:100%;height:640px;border:0"></iframe>'
        )

    def _page(self, head: str, scripts: str) -> str:
        page = _asset("viewer.html")
        config = {"title": self.title, "note": self.note, "trials": list(self.names)}
        safe = json.dumps(config).replace("<", "\\u003c")
        for mark, text in (
            ("TITLE", html.escape(self.title)),
            ("HEAD", head),
            ("CONFIG", safe),
            ("SCRIPTS", scripts),
        ):
            before, _, after = page.partition(f"<!--{mark}-->")
            page = f"{before}{text}{after}"
        return page

    def _blobs(self, progress: Progress) -> Iterator[tuple[str, bytes]]:
        """Names and contents of the data."""
        yield "scene", scene.pack(self.body)
        for number, one in enumerate(self._trials()):
            progress(number, len(self.names))
            yield f"trial-{number}", trial.pack(self.body, one)
        progress(len(self.names), len(self.names))


def from_clips(clips: ClipSet, names: Sequence[str] = (), every: int = 1) -> Replay:
    """A replay of clips; the ghost is the recording where motions were changed to be followed.

    Args:
        clips: The clips.
        names: Names of clips; all if empty.
        every: Show every n-th frame only.

    Raises:
        ValueError: No such clip, or `every` is below 1.
    """
    _check_every(every)
    for name in names:
        clips.index(name)

    def trials() -> Iterator[Trial]:
        return (one.every(every) for one in sources.clip_trials(clips, names))

    count = len(names or clips.names)
    note = f"{count} {'clip' if count == 1 else 'clips'} at {clips.fps:g} Hz"
    if clips.source:
        note = f"{note} · {clips.source}"
    return Replay(clips.body, f"Clips of {clips.body.name}", note, names or clips.names, trials)


def from_dataset(
    dataset: xarray.Dataset,
    body: bodies.Body | None = None,
    names: Sequence[str] = (),
    every: int = 1,
) -> Replay:
    """A replay of a recorded dataset. What is recorded decides on what the page shows.

    Args:
        dataset: What `mimic_envs.rollouts.record` returned or `load` read.
        body: Its body; found by its name if None.
        names: Names of trials; all if empty.
        every: Show every n-th frame only.

    Raises:
        ValueError: No such trial, another body, or `every` is below 1.
    """
    from mimic_envs.rollouts.datasets import checked_body

    _check_every(every)
    found = checked_body(dataset, body)
    shown = sources.trial_titles(dataset, names)

    def trials() -> Iterator[Trial]:
        return (one.every(every) for one in sources.dataset_trials(dataset, found, names))

    return Replay(found, f"Replay of {found.name}", sources.description(dataset), shown, trials)


def _check_every(every: int) -> None:
    if every < 1:
        raise ValueError(f"every must be at least 1, got {every}")


def _asset(name: str) -> str:
    return (resources.files("mimic_envs.viewer") / "assets" / name).read_text(encoding="utf-8")


def _program() -> str:
    """All scripts of the page as one, whose names nobody outside sees."""
    parts = [_asset(f"{name}.js") for name in _SCRIPTS]
    return '(() => {\n"use strict";\n' + "\n".join(parts) + "\n})();\n"


def _write(path: pathlib.Path, text: str) -> None:
    with atomically(path) as partial:
        partial.write_text(text, encoding="utf-8")
