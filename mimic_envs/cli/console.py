"""What the commands share: output, progress bars, and the arguments they have in common."""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any, NoReturn

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

from mimic_envs.messages import unknown

EnvId = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="ID")]
"""An environment id, the first argument of a command."""

OUT = Console()


def say(title: str, what: object) -> None:
    """Print one line `title: what`, never broken and never taken for markup."""
    OUT.print(f"{title}: {escape(str(what))}", soft_wrap=True)


def fail(message: str) -> NoReturn:
    """Print a problem in one line and leave with exit code 2."""
    # escaped, or rich takes the name of an extra, [video], for a style
    Console(stderr=True).print(f"[bold red]error:[/bold red] {escape(message)}", soft_wrap=True)
    sys.exit(2)


@contextlib.contextmanager
def progress(title: str, of_bytes: bool = False) -> Iterator[Callable[[int, int | None], None]]:
    """A bar on stderr; call what it yields with how much is done and how much there is."""
    counts: tuple[ProgressColumn, ...] = (MofNCompleteColumn(),)
    if of_bytes:
        counts = (DownloadColumn(), TransferSpeedColumn())
    columns = (TextColumn(escape(title)), BarColumn(), *counts, TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def chosen(clip: str, names: Sequence[str]) -> int | str:
    """A clip given by number or by name; a name that looks like a number is a name."""
    number = clip.removeprefix("-").isdigit() and clip not in names
    return int(clip) if number else clip


def scored_env(env_id: str, clips: str, clip: str | None = None) -> tuple[Any, Any]:
    """The environment for scoring and its clips at their own rate, all or only one."""
    import gymnasium

    from mimic_envs import bodies
    from mimic_envs import clips as clips_
    from mimic_envs import env as env_

    if ":" in env_id:  # as in gymnasium.make: the module registers the body
        module, env_id = env_id.split(":", 1)
        sys.path.insert(0, "")  # the user's own files
        importlib.import_module(module)
    registered = {s.id: s.kwargs["body"] for s in gymnasium.registry.values() if _is_ours(s)}
    names = {**{body: body for body in bodies.names()}, **registered}
    if env_id not in names:
        raise ValueError(unknown("environment id", env_id, registered))
    source = clips_.load(clips, names[env_id])
    if clip is not None:
        source = source.select([chosen(clip, source.names)])
    return env_.make(names[env_id], source, terminate=False), source


def _is_ours(spec: Any) -> bool:
    return str(spec.entry_point).startswith("mimic_envs.")
