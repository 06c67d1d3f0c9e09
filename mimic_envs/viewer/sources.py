"""Trials of a replay from recorded datasets and from clips."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mimic_envs import bodies
from mimic_envs.clips import ClipSet
from mimic_envs.messages import unknown
from mimic_envs.rollouts import variables
from mimic_envs.viewer.trial import Series, Trial, joint_angles

if TYPE_CHECKING:
    import xarray

_FIRST = ("score", "reward")
"""Series that are listed first: the page begins with plots of the first two."""
_GROUPS = {
    "action": "action",
    "control": "controls",
    "activation": "activations",
    "actuator_force": "actuator forces",
    "observation_task": "observation: task",
}
"""Variables with a column for each name, and the headings that they are listed under."""
_POINTS = 4_000
"""Rows that the axes of a layer's picture are found from."""


def clip_trials(clips: ClipSet, names: Sequence[str] = ()) -> Iterator[Trial]:
    """Trials of clips; the ghost is the recording where the clips were changed.

    Args:
        clips: The clips.
        names: Names of clips; all if empty.

    Raises:
        ValueError: No such clip.
    """
    for name in names or clips.names:
        i = clips.index(name)
        n = int(clips.lengths[i])
        qpos, recorded = clips.qpos[i, :n], clips.recording
        ghost = None if recorded is None else recorded.qpos[i, :n]
        series = tuple(joint_angles(clips.body, qpos, ghost))
        yield Trial(clips.names[i], clips.labels[i], clips.fps, 0.0, qpos, ghost, series)


def dataset_trials(
    dataset: xarray.Dataset, body: bodies.Body, names: Sequence[str] = ()
) -> Iterator[Trial]:
    """Trials of a recorded dataset.

    Args:
        dataset: What `mimic_envs.rollouts` recorded.
        body: Its body.
        names: Names of trials; all if empty.

    Raises:
        ValueError: No such trial.
    """
    ends = np.cumsum(dataset["steps"].to_numpy())
    layers = _layers(dataset)
    for number, title in _chosen(dataset, names).items():
        rows = slice(int(ends[number - 1]) if number else 0, int(ends[number]))
        yield _recorded(dataset, body, rows, title, _label(dataset, number), layers)


def trial_titles(dataset: xarray.Dataset, names: Sequence[str] = ()) -> list[str]:
    """What the trials of a dataset are called on a page; see `dataset_trials`."""
    return list(_chosen(dataset, names).values())


def _chosen(dataset: xarray.Dataset, names: Sequence[str]) -> dict[int, str]:
    """Titles of the chosen trials by number; with their condition, where there are several."""
    known = [str(name) for name in dataset["trial_name"].to_numpy()]
    for name in names:
        if name not in known:
            raise ValueError(unknown("trial", name, known))
    conditions = [str(c) for c in dataset["condition"].to_numpy()]
    several = len(set(conditions)) > 1
    return {
        i: f"{name} · {conditions[i] or 'untouched'}" if several else name
        for i, name in enumerate(known)
        if not names or name in names
    }


def _recorded(
    dataset: xarray.Dataset,
    body: bodies.Body,
    rows: slice,
    name: str,
    note: str,
    layers: dict[str, np.ndarray],
) -> Trial:
    """One trial of a dataset."""

    def get(variable: str) -> np.ndarray | None:
        return dataset[variable].to_numpy()[rows] if variable in dataset else None

    qpos, reference, step = get("qpos"), get("reference_qpos"), body.control_timestep_s
    assert qpos is not None
    failed, force, stance = get("failed"), get("contact_force"), get("contact")
    weight = float(dataset.attrs["mass"]) * float(dataset.attrs["gravity"])
    return Trial(
        name=name,
        note=note,
        fps=1 / step,
        start_s=step,
        qpos=qpos,
        reference=reference,
        series=(
            *_numbers(dataset, body, rows),
            *joint_angles(body, qpos, reference),
            *_columns(dataset, body, rows),
        ),
        stance=None if stance is None else stance.astype(bool),
        force=None if force is None or weight <= 0 else force / weight,
        activation=get("activation"),
        layers={layer: points[rows] for layer, points in layers.items()},
        failed_at=int(np.argmax(failed > 0)) if failed is not None and failed.any() else None,
    )


def _numbers(dataset: xarray.Dataset, body: bodies.Body, rows: slice) -> Iterable[Series]:
    """Variables with one number for each frame: metrics, and what the task asks for."""
    flags = ("failed", "diverged")
    names = [n for n in dataset.data_vars if dataset[n].dims == ("time",) and n not in flags]
    names.sort(key=lambda n: _FIRST.index(str(n)) if n in _FIRST else len(_FIRST))
    for name in map(str, names):
        values = dataset[name].to_numpy()[rows]
        if values.dtype.kind not in "fiub":
            continue
        of_task = name.startswith("command_")
        group, shown = ("task", name.removeprefix("command_")) if of_task else ("metrics", name)
        yield Series(group, shown, _unit(name), values.astype(np.float64))


def _columns(dataset: xarray.Dataset, body: bodies.Body, rows: slice) -> Iterable[Series]:
    """Variables with a column for each actuator, muscle or foot."""
    for name, group in _GROUPS.items():
        if name in dataset:
            values = dataset[name].to_numpy()[rows]
            labels = dataset[dataset[name].dims[1]].to_numpy()
            known = variables.VARIABLES.get(name)
            unit = "" if known is None else variables.unit(body, known.unit)
            for i, label in enumerate(labels):
                yield Series(group, str(label), "" if unit == "1" else unit, values[:, i])
    if "contact_force" in dataset:
        weight = float(dataset.attrs["mass"]) * float(dataset.attrs["gravity"])
        force = np.linalg.norm(dataset["contact_force"].to_numpy()[rows], axis=-1)
        for i, foot in enumerate(dataset["foot"].to_numpy()):
            yield Series("contact forces", str(foot), "body weights", force[:, i] / weight)


def _unit(name: str) -> str:
    """Unit of a metric, which its name ends in if it is in degrees or radians."""
    return next((unit for unit in ("deg", "rad") if name.endswith(f"_{unit}")), "")


def _label(dataset: xarray.Dataset, number: int) -> str:
    return str(dataset["label"].to_numpy()[number]) if "label" in dataset else ""


def _layers(dataset: xarray.Dataset) -> dict[str, np.ndarray]:
    """First two principal components of each layer of the network, (rows, 2), by name."""
    found: dict[str, np.ndarray] = {}
    for name in map(str, dataset.data_vars):
        if name.startswith("network_") and dataset[name].ndim == 2:
            values = np.nan_to_num(dataset[name].to_numpy().astype(np.float64))
            found[name.removeprefix("network_")] = components(values)
    # the latent of an encoder says most, actions least: they are plotted elsewhere, too
    rank = {"latent": 0, "action": 2}
    return dict(sorted(found.items(), key=lambda item: rank.get(item[0].partition("_")[0], 1)))


def components(values: np.ndarray) -> np.ndarray:
    """First two principal components, (T, 2), of (T, units); zeros where there are fewer."""
    centered = values - values.mean(axis=0)
    some = centered[:: max(1, len(centered) // _POINTS)]
    _, _, axes = np.linalg.svd(some, full_matrices=False)
    axes = axes[:2]
    signs = np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)])
    found = centered @ (axes * signs[:, None]).T
    return np.pad(found, ((0, 0), (0, 2 - found.shape[1])))


def description(dataset: Any) -> str:
    """One line on what a dataset is of."""
    attributes = dataset.attrs
    return f"{attributes['policy']} · task {attributes['task']} · seed {attributes['seed']}"
