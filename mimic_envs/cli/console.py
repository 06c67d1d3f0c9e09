"""What the commands share: output, progress bars, and the arguments they have in common."""

from __future__ import annotations

import contextlib
import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any

import tyro
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from mimic_envs.files import check_output
from mimic_envs.messages import unknown
from mimic_envs.registry import OUTSIDE, import_module, is_outside

EnvId = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="ID")]
"""The first argument of a command: an environment id, in the form `module:id` where the module
registers it; or `module:name` of a body."""

OUT = Console()


def say(title: str, what: object) -> None:
    """Print one line `title: what`, never broken and never taken for markup."""
    OUT.print(f"{title}: {escape(str(what))}", soft_wrap=True)


def check_clip_file(out: pathlib.Path) -> None:
    """Refuse a clip file that cannot be written, before the work is done."""
    check_output(out, ".h5", ".hdf5")


@contextlib.contextmanager
def progress(title: str, of_bytes: bool = False) -> Iterator[Callable[[int, int | None], None]]:
    """A bar on stderr; call what it yields with how much is done and how much there is."""
    counts: tuple[ProgressColumn, ...] = (MofNCompleteColumn(),)
    if of_bytes:
        counts = (DownloadColumn(), TransferSpeedColumn())
    columns = (TextColumn(escape(title)), BarColumn(), *counts, TimeRemainingColumn())
    bar = Progress(*columns, console=Console(stderr=True))
    task = bar.add_task(title, total=None)

    def report(done: int, total: int | None) -> None:
        bar.start()  # not before: until then input is checked
        bar.update(task, completed=done, total=total)

    try:
        yield report
    finally:
        if bar.live.is_started:
            bar.stop()


def chosen(clip: str, names: Sequence[str]) -> int | str:
    """A clip given by number or by name; a name that looks like a number is a name."""
    number = clip.removeprefix("-").isdigit() and clip not in names
    return int(clip) if number else clip


def scored_env(
    env_id: str,
    clips: str,
    clip: str | None = None,
    task: str | None = None,
    grounded: bool = False,
    settings: Mapping[str, Any] | None = None,
    action: Any = "torque",
) -> tuple[Any, Any]:
    """The environment for scoring and its clips at their own rate, all or only one.

    Of a task that follows no clips there are none.

    Args:
        env_id: See `EnvId`.
        clips: Name of a clip set, or a file.
        clip: Number or name of the only clip; all if not given.
        task: Name of the task; that of the id if not given.
        grounded: Follow motions whose feet stand on the floor.
        settings: Other options of the environment.
        action: What an action means.
    """
    from mimic_envs import assembly, tasks
    from mimic_envs import clips as clips_

    body, own_task = _body_and_task(env_id)
    task = own_task if task is None else task
    options = {"action": action, **(settings or {}), **({"grounded": True} if grounded else {})}
    if "clips" not in tasks.options_of(task):
        return assembly.make(body, task=task, terminate=False, **options), None
    source = clips_.load(clips, body)
    if clip is not None:
        source = source.select([chosen(clip, source.names)])
    return assembly.make(body, source, task=task, terminate=False, **options), source


def body_of(env_id: str) -> Any:
    """The body of an environment id, or its name."""
    return _body_and_task(env_id)[0]


def _body_and_task(env_id: str) -> tuple[Any, str]:
    """The body of an environment id, or its name; and the task."""
    import gymnasium

    from mimic_envs import bodies
    from mimic_envs.options import Options

    name = env_id
    if is_outside(env_id):  # as in gymnasium.make: the module may register the body
        import_module("environment id", env_id)
        name = env_id.split(":", 1)[1]
    imitation = Options.task
    registered = {
        s.id: (s.kwargs["body"], s.kwargs.get("task", imitation))
        for s in gymnasium.registry.values()
        if _is_ours(s)
    }
    names = {**{body: (body, imitation) for body in bodies.names()}, **registered}
    if name in names:
        return names[name]
    if is_outside(env_id) and name.isidentifier():
        return bodies.get(env_id), imitation
    raise ValueError(f"{unknown('environment id', name, registered)}; {OUTSIDE} is accepted too")


def _is_ours(spec: Any) -> bool:
    return str(spec.entry_point).startswith("mimic_envs.")
