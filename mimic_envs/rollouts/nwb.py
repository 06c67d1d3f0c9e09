"""Datasets as files of Neurodata Without Borders (NWB), and back.

Trials follow each other in time, a second apart. Variables along time are `TimeSeries` of the
processing modules `behavior`, `muscle`, `contact` and `network`; positions of bodies are poses of
the extension ndx-pose too, so that tools for poses read them. What NWB has no place for is in the
scratch space.
"""

from __future__ import annotations

import datetime
import json
import pathlib
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from mimic_envs import extras
from mimic_envs.files import atomically, check_output
from mimic_envs.rollouts import netcdf, variables

if TYPE_CHECKING:
    import xarray

GAP_S = 1.0
"""Time between two trials in the file, s."""
MODULES = {
    "network": "layers of the policy's network, before the step",
    "muscle": "controls, activations and forces of actuators",
    "contact": "contacts of the feet",
    "behavior": "state and movement of the simulated animal",
}
"""Processing modules and their descriptions."""
_UNITS = {"m": "meters", "cm": "centimeters", "mm": "millimeters"}
_MUSCLE = ("activation", "control", "action", "actuator_")


def module_of(name: str) -> str:
    """Name of the processing module of a variable."""
    if name.startswith("network_"):
        return "network"
    if name.startswith("contact"):
        return "contact"
    return "muscle" if name.startswith(_MUSCLE) else "behavior"


def timestamps(dataset: xarray.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Time of each row, (T,), and beginning of each trial, (trials,), s; trials do not overlap."""
    steps, hz = dataset["steps"].to_numpy(), float(dataset.attrs["control_hz"])
    starts = np.concatenate([[0.0], np.cumsum(steps / hz + GAP_S)[:-1]])
    return starts[dataset["trial"].to_numpy()] + dataset["time_s"].to_numpy(), starts


def save(dataset: xarray.Dataset, path: Any) -> None:
    """Write a dataset to an NWB file.

    Args:
        dataset: A recorded dataset.
        path: The file, ending in .nwb.

    Raises:
        ValueError: Another ending.
    """
    extras.require("NWB files", "pynwb", "ndx_pose")
    import pynwb

    check_output(path, ".nwb")
    now = datetime.datetime.now(datetime.UTC)
    attributes = dataset.attrs
    file = pynwb.NWBFile(
        session_description=(
            f"simulation: policy {attributes['policy']!r} does task {attributes['task']!r} with "
            f"body {attributes['body']!r}"
        ),
        identifier=f"{attributes['policy_sha256'][:16]}-{attributes['model_sha256'][:16]}",
        session_start_time=now,
        keywords=["simulation", "MuJoCo", "motion imitation"],
        related_publications=["https://doi.org/10.48550/arXiv.2511.20532"],
        experimenter=["mimic_envs"],
        institution="simulated",
        experiment_description=str(attributes.get("experiment", "recorded rollouts of a policy")),
    )
    file.subject = pynwb.file.Subject(
        subject_id=str(attributes["body"]),
        species=str(attributes["species"]),
        description="simulated animal, no living one",
        sex="U",
        age="P0D",
    )
    time, starts = timestamps(dataset)
    _add_trials(file, dataset, starts)
    layout = _add_series(file, dataset, time)
    _add_poses(file, dataset, time)
    file.add_scratch(json.dumps(layout), name="layout", description="axes, labels and attributes")
    with atomically(path) as partial, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of the unfinished file's ending
        with pynwb.NWBHDF5IO(str(partial), "w") as io:
            io.write(file)


def _add_trials(file: Any, dataset: xarray.Dataset, starts: np.ndarray) -> None:
    hz = float(dataset.attrs["control_hz"])
    texts = [
        n
        for n in ("trial_name", "condition", "clip_name", "label", "manipulation", "where")
        if n in dataset and (dataset[n].to_numpy().astype(str) != "").any()
    ]
    for name in texts:
        file.add_trial_column(name, f"{name.replace('_', ' ')} of the trial")
    numbers = [n for n in ("dose", "repeat") if n in dataset]
    for name in numbers:
        file.add_trial_column(name, f"{name} of the manipulation")
    for i, steps in enumerate(dataset["steps"].to_numpy()):
        file.add_trial(
            start_time=float(starts[i]),
            stop_time=float(starts[i] + steps / hz),
            **{n: str(dataset[n].to_numpy()[i]) for n in texts},
            **{n: float(dataset[n].to_numpy()[i]) for n in numbers},
        )


def _add_series(file: Any, dataset: xarray.Dataset, time: np.ndarray) -> dict[str, Any]:
    """Put every variable somewhere; returns what is needed to find them again."""
    from pynwb import TimeSeries

    variables_: dict[str, Any] = {}
    first = None
    for key, x in dataset.variables.items():
        name = str(key)
        entry: dict[str, Any] = {
            "dims": list(map(str, x.dims)),
            "dtype": x.dtype.str,
            "attrs": {str(k): _json(v) for k, v in x.attrs.items()},
            "coordinate": key in dataset.coords,
        }
        values = x.to_numpy()
        if x.dtype.kind in "UO":
            entry["texts"] = values.astype(str).tolist()
        elif x.dims[:1] == ("time",) and key not in dataset.coords:
            module = module_of(name)
            if module not in file.processing:
                file.create_processing_module(module, MODULES[module])
            series = TimeSeries(
                name=name,
                data=values,
                unit=str(x.attrs.get("units", "n/a")) or "n/a",
                timestamps=time if first is None else first,
                description=str(x.attrs.get("long_name", name)),
            )
            first = first or series
            file.processing[module].add(series)
            entry["module"] = module
        else:
            file.add_scratch(values, name=f"values_{name}", description=f"variable {name!r}")
        variables_[name] = entry
    attributes = {str(k): _json(v) for k, v in dataset.attrs.items()}
    return {"variables": variables_, "attributes": attributes}


def _add_poses(file: Any, dataset: xarray.Dataset, time: np.ndarray) -> None:
    """Positions of bodies as poses of ndx-pose."""
    if "body_position" not in dataset:
        return
    from ndx_pose import PoseEstimation, PoseEstimationSeries, Skeleton, Skeletons

    names = [str(n) for n in dataset["body"].to_numpy()]
    unit, positions = str(dataset.attrs["length_unit"]), dataset["body_position"].to_numpy()
    unit = _UNITS.get(unit, unit)
    module = file.processing["behavior"]
    skeleton = Skeleton(name="bodies", nodes=names)
    module.add(Skeletons(skeletons=[skeleton]))
    shared: Any = time
    series: list[Any] = []
    for i, name in enumerate(names):
        one = PoseEstimationSeries(
            name=name,
            description=f"position of the frame of body {name!r}",
            data=positions[:, i],
            unit=unit,
            reference_frame="world frame of the simulation, z up",
            timestamps=shared,
            confidence=np.ones(len(positions)),
            confidence_definition="1: the simulation knows it",
        )
        shared = series[0] if series else one
        series.append(one)
    module.add(
        PoseEstimation(
            name="PoseEstimation",
            pose_estimation_series=series,
            description="positions of bodies in the simulation",
            source_software="mimic_envs",
            skeleton=skeleton,
        )
    )


def load(path: Any) -> xarray.Dataset:
    """Read what `save` wrote: the same dataset.

    Raises:
        ValueError: Not such a file.
    """
    extras.require("NWB files", "pynwb", "ndx_pose", "xarray")
    import ndx_pose  # noqa: F401 - registers its types
    import pynwb
    import xarray

    path = pathlib.Path(path)
    if not path.is_file():
        raise ValueError(f"{path}: no such file")
    try:
        with pynwb.NWBHDF5IO(str(path), "r", load_namespaces=True) as io:
            file = io.read()
            layout = json.loads(str(np.asarray(file.get_scratch("layout")).item()))
            found = {
                name: (entry["dims"], _values(file, name, entry), entry["attrs"])
                for name, entry in layout["variables"].items()
            }
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise ValueError(f"{path} is no dataset of mimic_envs in NWB: {error}") from error
    dataset = xarray.Dataset(found, attrs=layout["attributes"])
    if dataset.attrs.get("format") != variables.FORMAT:
        raise ValueError(f"{path} has no format {variables.FORMAT!r}")
    names = [n for n, entry in layout["variables"].items() if entry["coordinate"]]
    return dataset.set_coords(names)


def _values(file: Any, name: str, entry: Mapping[str, Any]) -> np.ndarray:
    if "texts" in entry:
        return np.array(entry["texts"], dtype=entry["dtype"] if "U" in entry["dtype"] else object)
    if "module" in entry:
        values = file.processing[entry["module"]][name].data[:]
    else:
        values = np.asarray(file.get_scratch(f"values_{name}"))
    return np.asarray(values).astype(entry["dtype"])


def _json(value: Any) -> Any:
    """An attribute as a JSON type."""
    if isinstance(value, np.ndarray):
        return value.item() if value.size == 1 else value.tolist()
    return value.item() if isinstance(value, np.generic) else value


def convert(source: Any, out: Any) -> None:
    """Convert a recorded NetCDF-4 file to NWB.

    Args:
        source: The file that `record` wrote.
        out: File to write, ending in .nwb.
    """
    save(netcdf.load(source), out)
