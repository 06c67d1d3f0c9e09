"""What can be done with a dataset in memory: replay it, and derive more variables."""

from __future__ import annotations

import pathlib
import tempfile
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from mimic_envs import bodies, physics, tasks
from mimic_envs.rollouts import replay, variables
from mimic_envs.rollouts.replay import Trial

if TYPE_CHECKING:
    import xarray


def trials(dataset: xarray.Dataset, body: bodies.Body | None = None) -> Iterator[tuple[int, Trial]]:
    """First row along time and recorded trial, for each trial.

    Args:
        dataset: The dataset.
        body: Its body; found by its name if None.

    Raises:
        ValueError: Another body, or another version of it; or nothing to replay.
    """
    body = checked_body(dataset, body)
    for name in ("control", "diverged", "initial_qpos", "initial_qvel"):
        if name not in dataset:
            raise ValueError(f"the dataset has no {name!r}, so it cannot be replayed")
    first = 0
    fields = [n for n in physics.FIELDS if f"model_{n}" in dataset]
    for number, steps in enumerate(dataset["steps"].to_numpy()):
        begin = first

        def rows(name: str, start: int, stop: int, begin: int = begin) -> np.ndarray:
            return dataset[name].to_numpy()[begin + start : begin + stop]

        yield (
            first,
            Trial(
                body,
                int(steps),
                dataset["initial_qpos"].to_numpy()[number],
                dataset["initial_qvel"].to_numpy()[number],
                {n: dataset[f"model_{n}"].to_numpy()[number] for n in fields},
                "applied_force" in dataset,
                rows,
            ),
        )
        first += int(steps)


def checked_body(dataset: xarray.Dataset, body: bodies.Body | None = None) -> bodies.Body:
    """The body of a dataset; of a task that has an arena, the body in it.

    Raises:
        ValueError: It is not known here, or its model is not the recorded one.
    """
    recorded, task = dataset.attrs.get("model_sha256"), str(dataset.attrs.get("task"))
    found = bodies.get(str(dataset.attrs.get("body"))) if body is None else body
    is_it = recorded == variables.model_hash(found)
    if not is_it and body is None and task in tasks.names():
        found = tasks.make(task, found, "torque", {}).at.body
        is_it = recorded == variables.model_hash(found)
    if not is_it:
        raise ValueError(
            f"the dataset was recorded with another model of body {dataset.attrs.get('body')!r} "
            f"than {found.name!r} is here: give the body that it was recorded with"
        )
    return found


def replay_error(dataset: xarray.Dataset, body: bodies.Body | None = None) -> float:
    """Largest absolute difference of replayed `qpos` from the recorded one; 0 is exact."""
    return max(replay.difference(trial) for _, trial in trials(dataset, body))


def derive(dataset: xarray.Dataset, what: Any, body: bodies.Body | None = None) -> xarray.Dataset:
    """Add variables that follow from the recorded state, by a replay.

    Args:
        dataset: The dataset; it stays as it is.
        what: Names of `variables.GROUPS`.
        body: The body of the dataset; found by its name if None.

    Raises:
        ValueError: A name that is not derived, or another body.
    """
    from mimic_envs.rollouts import files, netcdf

    groups = [name for name in variables.chosen(what) if name != "state"]
    if any(name in variables.ONLINE for name in groups):
        online = [name for name in groups if name in variables.ONLINE]
        raise ValueError(f"{online[0]!r} does not follow from the state: record it")
    if "inverse" in groups and "reference_qpos" not in dataset:
        raise ValueError("'inverse' needs 'reference': record it too")
    found = checked_body(dataset, body)
    lengths = [int(n) for n in dataset["steps"].to_numpy()]
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "derived.nc"
        netcdf.save(dataset, path)
        with netcdf.Writer(path, found, lengths, new=False) as file:
            for number, (_, trial) in enumerate(trials(dataset, found)):
                files.put_derived(file, trial, number, groups)
        return netcdf.load(path)
