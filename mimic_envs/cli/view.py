"""`mimic-envs view`: recorded motion as a page for the browser."""

from __future__ import annotations

import pathlib
import tempfile
from typing import Annotated, Any

import tyro

from mimic_envs import extras
from mimic_envs.cli.console import body_of, progress, say, scored_env
from mimic_envs.cli.score import actors
from mimic_envs.files import check_output

_WHAT = ("metrics", "reference", "network", "contacts")
"""What is recorded for a page, where there is such a thing."""


def view(
    source: Annotated[str | None, tyro.conf.Positional, tyro.conf.arg(metavar="[SOURCE]")] = None,
    out: pathlib.Path = pathlib.Path("view"),
    single: bool = False,
    env: str | None = None,
    controller: str | None = None,
    policy: pathlib.Path | None = None,
    clips: str | None = None,
    task: str | None = None,
    trials: tuple[str, ...] = (),
    every: int = 1,
    seed: int | None = None,
) -> None:
    """Make a page that shows motion in 3-D in any browser, with plots, from disk or from the web.

    SOURCE is a recording (.nc), a clip file, or with --env a set of clips by name. Without SOURCE
    the command records what a controller or a trained policy does in --env, and shows that.

    Args:
        source: Recording, clip file or name of a set of clips.
        out: Folder of the page; or, for one file that needs no other, its name ending in .html.
        single: Write one file, index.html, into the folder.
        env: Environment id, for example mimic_envs/Rodent-v1; or module:id, where the module
            registers it; or module:name of a body.
        controller: Without SOURCE, name of the controller: zero, random, pd, balance, wbc or mpc,
            or module:name; pd if no policy is given.
        policy: Without SOURCE, folder of a trained policy.
        clips: Without SOURCE, what to follow: generated clip set, or path to a clip file;
            generated/test if not given.
        task: Without SOURCE, name of the task, or module:name, or the module that specifies it;
            imitation if not given.
        trials: Names of the trials or clips to show; all if not given.
        every: Show every n-th frame only, for a smaller page.
        seed: Without SOURCE, of random numbers; 0 if not given.
    """
    check_output(out if out.suffix else out / "index.html", ".html")
    only_recorded = {"controller": controller, "policy": policy, "clips": clips, "task": task}
    for name, value in {**only_recorded, "seed": seed}.items():
        if source is not None and value is not None:
            raise ValueError(f"--{name} is for what is recorded, but {source} is shown")
    if source is None and env is None:
        raise ValueError("give what to show: a recording, clips, or --env to record something")
    if source is None:
        recorded = _recorded(env, controller, policy, clips, task, trials, seed or 0)
        replay = _from_dataset(recorded[0], recorded[1], (), every)
    elif source.lower().endswith(".nc"):
        replay = _from_file(pathlib.Path(source), env, trials, every)
    else:
        replay = _from_clips(source, env, trials, every)
    with progress("making the page") as report:
        page = replay.save(out, single, report)
    size = sum(file.stat().st_size for file in _files(page))
    say("page", f"{page} ({size / 1e6:.2f} MB)")


def _recorded(
    env_id: Any,
    controller: str | None,
    policy: pathlib.Path | None,
    clips: str | None,
    task: str | None,
    trials: tuple[str, ...],
    seed: int,
) -> tuple[Any, Any]:
    """What was recorded, and the body."""
    extras.require("recordings", "xarray", "h5netcdf")
    from mimic_envs import rollouts
    from mimic_envs.rollouts import recording

    if seed < 0:
        raise ValueError(f"--seed must be at least 0, got {seed}")
    made, _ = scored_env(env_id, clips or "generated/test", task=task)
    recording.checked_trials(made, trials or None)
    name, [actor] = actors(made, controller, policy, 1)
    lacking = set() if hasattr(made.task.command, "clips") else {"reference"}
    lacking |= set() if getattr(actor, "shows_layers", False) else {"network"}
    what = [part for part in _WHAT if part not in lacking]
    with tempfile.TemporaryDirectory() as folder, progress(f"recording {name}") as report:
        path = pathlib.Path(folder) / "recording.nc"
        recording.write(made, actor, path, trials or None, what, seed, report)
        return rollouts.load(path), made.body


def _from_dataset(dataset: Any, body: Any, trials: tuple[str, ...], every: int) -> Any:
    from mimic_envs import viewer

    return viewer.from_dataset(dataset, body, trials, every)


def _from_file(path: pathlib.Path, env: str | None, trials: tuple[str, ...], every: int) -> Any:
    extras.require("recordings", "xarray", "h5netcdf")
    from mimic_envs import bodies, rollouts

    dataset = rollouts.load(path)
    body = None if env is None else body_of(env)
    if isinstance(body, str):
        body = bodies.get(body)
    return _from_dataset(dataset, body, trials, every)


def _from_clips(source: str, env: str | None, trials: tuple[str, ...], every: int) -> Any:
    from mimic_envs import clips as clips_
    from mimic_envs import viewer

    if env is not None:
        found = clips_.load(source, body_of(env))
    elif pathlib.Path(source).suffix:
        found = clips_.ClipSet.load(source)
    else:
        raise ValueError(f"{source} is no file: for a set of clips by name, give --env")
    return viewer.from_clips(found, trials, every)


def _files(page: pathlib.Path) -> list[pathlib.Path]:
    """The page and what belongs to it."""
    if page.name != "index.html" or "viewer.js" not in page.read_text(encoding="utf-8"):
        return [page]
    return [page, *page.parent.glob("*.js"), *page.parent.glob("*.css")]
