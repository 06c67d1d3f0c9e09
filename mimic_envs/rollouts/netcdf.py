"""NetCDF-4 files of rollouts that are written piece by piece, with bounded memory."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mimic_envs import bodies, extras
from mimic_envs.rollouts import variables

if TYPE_CHECKING:
    import xarray

_ROWS = 512
"""Rows along time of one compressed piece of a variable."""


class Writer:
    """A dataset that grows on disk.

    Args:
        path: The file.
        body: The body.
        lengths: Control steps of each trial.
        new: Whether to make the file, or to go on with one.
    """

    def __init__(
        self, path: pathlib.Path, body: bodies.Body, lengths: Sequence[int], new: bool = True
    ) -> None:
        extras.require("recordings", "h5netcdf", "xarray")
        import h5netcdf

        self._body, self._labels = body, variables.labels(body)
        self._file = h5netcdf.File(path, "w" if new else "r+")
        self.offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(int)
        if new:
            self._file.dimensions = {"time": int(self.offsets[-1]), "trials": len(lengths)}

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def label(self, dim: str, names: Sequence[str]) -> None:
        """Make an axis with labels, unless it is there."""
        if dim in self._file.dimensions:
            return
        self._file.dimensions[dim] = len(names)
        if names:
            self._strings(dim, (dim,), names)

    def per_trial(self, name: str, values: Any, dims: tuple[str, ...] = (), unit: str = "") -> None:
        """Write a variable with one value for each trial, (trials, ...)."""
        array = np.asarray(values)
        if array.dtype.kind in "UO":
            self._strings(name, ("trials",), list(array))
            return
        for dim, size in zip(dims, array.shape[1:], strict=True):
            if dim not in self._file.dimensions:
                self._file.dimensions[dim] = size
        made = self._file.create_variable(name, ("trials", *dims), array.dtype, data=array)
        if unit:
            made.attrs["units"] = unit

    def over_time(self, name: str, values: Any, unit: str, long_name: str) -> None:
        """Write a variable along time at once, (time,)."""
        made = self._file.create_variable(name, ("time",), np.asarray(values).dtype, data=values)
        made.attrs["units"], made.attrs["long_name"] = unit, long_name

    def attributes(self, values: Mapping[str, Any]) -> None:
        """Set attributes of the dataset; what is no text or number becomes JSON."""
        for name, value in values.items():
            plain = isinstance(value, str | int | float)
            self._file.attrs[name] = value if plain else json.dumps(value)

    def define(self, name: str, dims: Mapping[str, str], shape: tuple[int, ...]) -> None:
        """Make an empty variable along time.

        Args:
            name: See `variables.variable`.
            dims: See there.
            shape: Its shape after time.
        """
        if name in self._file.variables:
            return
        known = variables.variable(name, self._body, dims)
        for dim in known.dims:
            self.label(dim, self._labels.get(dim, ()))
        rows = min(_ROWS, max(int(self.offsets[-1]), 1))
        # Attribute coordinates lets other programs find the labels of rows
        made = self._file.create_variable(
            name,
            ("time", *known.dims),
            known.dtype,
            chunks=(rows, *(max(n, 1) for n in shape)),
            compression="gzip",
            compression_opts=4,
            shuffle=True,
        )
        made.attrs["units"], made.attrs["long_name"] = known.unit, known.long_name

    def put(self, name: str, trial: int, start: int, values: np.ndarray) -> None:
        """Write rows of a variable, (n, ...), from a control step of a trial on."""
        first = int(self.offsets[trial]) + start
        if values.size:
            self._file.variables[name][first : first + len(values)] = values

    def get(self, name: str, trial: int, start: int, stop: int) -> np.ndarray:
        """Read rows of a variable in control steps from start to stop of a trial."""
        first = int(self.offsets[trial])
        return np.asarray(self._file.variables[name][first + start : first + stop])

    def trial_value(self, name: str, trial: int) -> np.ndarray:
        """Read a value of a trial."""
        return np.asarray(self._file.variables[name][trial])

    def has(self, name: str) -> bool:
        """Whether there is a variable."""
        return name in self._file.variables

    def names(self, prefix: str) -> list[str]:
        """Names of variables that begin with a text."""
        return [name for name in self._file.variables if name.startswith(prefix)]

    def _strings(self, name: str, dims: tuple[str, ...], texts: Sequence[str]) -> None:
        import h5py

        made = self._file.create_variable(name, dims, h5py.string_dtype())
        made[:] = np.array([str(t) for t in texts], object)


COORDINATES = ("time_s", "trial", "frame", "trial_name", "clip_name", "label", "condition")
"""Variables that label rows and trials."""


def load(path: Any) -> xarray.Dataset:
    """Read a recorded dataset into memory.

    Args:
        path: A file that `record` or `save` wrote.

    Raises:
        ValueError: Not such a file.
    """
    extras.require("recordings", "xarray", "h5netcdf")
    import xarray

    path = pathlib.Path(path)
    if not path.is_file():
        raise ValueError(f"{path}: no such file")
    attributes = _attributes(path)
    if attributes.get("format") != variables.FORMAT:
        raise ValueError(f"{path} is not a recorded dataset: it has no format {variables.FORMAT!r}")
    version = np.asarray(attributes.get("format_version", -1)).reshape(-1)[0]
    if version != variables.VERSION:
        raise ValueError(
            f"{path} has version {version} of the format, this program reads {variables.VERSION}"
        )
    try:
        with xarray.open_dataset(path, engine="h5netcdf") as opened:
            dataset = opened.load()
    except (OSError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"{path} is not a recorded dataset: {reason}") from error
    return dataset.set_coords([name for name in COORDINATES if name in dataset])


def _attributes(path: pathlib.Path) -> dict[str, Any]:
    import h5py

    try:
        with h5py.File(path, "r") as file:
            return dict(file.attrs)
    except OSError as error:
        raise ValueError(f"{path} is not a recorded dataset: it is no HDF5 file") from error


def save(dataset: xarray.Dataset, path: Any) -> None:
    """Write a dataset to a NetCDF-4 file, atomically.

    Raises:
        ValueError: The name does not end in .nc.
    """
    from mimic_envs.files import atomically, check_output

    check_output(path, ".nc")
    plain = dataset.reset_coords([n for n in COORDINATES if n in dataset.coords])
    encoding = {
        name: {"zlib": True, "complevel": 4, "shuffle": True}
        for name, x in plain.data_vars.items()
        if x.dtype.kind in "fi" and x.size
    }
    with atomically(path) as partial:
        plain.to_netcdf(partial, engine="h5netcdf", encoding=encoding)
