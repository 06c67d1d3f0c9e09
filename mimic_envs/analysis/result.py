"""What an analysis returns, and what all analyses share: data by trial, resampling, style."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from mimic_envs import extras
from mimic_envs.messages import unknown

if TYPE_CHECKING:
    import pandas
    import xarray
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C8C8C")
"""Colors that color-blind readers tell apart (Okabe and Ito, 2008), and a gray."""
_STYLE: Any = {
    "font.size": 7.5,
    "axes.titlesize": 8,
    "axes.labelsize": 7.5,
    "legend.fontsize": 6.5,
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "lines.linewidth": 1.0,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "mimic_envs",
}


class Missing(ValueError):
    """A dataset lacks what an analysis needs; reports skip the analysis and give the reason."""


@dataclasses.dataclass(frozen=True, eq=False)
class Result:
    """What an analysis found.

    Attributes:
        name: Name of the analysis.
        title: What it shows, a phrase.
        numbers: Every number by name, JSON types.
        tables: Data frames by name.
        figure: The figure; None if there is nothing to draw.
        notes: What a reader must know, sentences.
    """

    name: str
    title: str
    numbers: dict[str, Any]
    tables: dict[str, pandas.DataFrame]
    figure: Figure | None = None
    notes: tuple[str, ...] = ()


Analysis = Callable[["xarray.Dataset"], Result]
"""A pure function of one dataset.

Raises `Missing` where the dataset lacks something.
"""


def require(dataset: xarray.Dataset, *names: str) -> None:
    """Refuse a dataset that lacks variables.

    Raises:
        Missing: One is missing; the message says which, and what is nearest.
    """
    for name in names:
        if name not in dataset:
            raise Missing(unknown("variable of the dataset", name, map(str, dataset.variables)))


def trials(dataset: xarray.Dataset) -> np.ndarray:
    """Number of the trial of each row, (T,)."""
    return dataset["trial"].to_numpy()


def require_trials(dataset: xarray.Dataset, least: int) -> np.ndarray:
    """`trials`, of at least so many.

    Raises:
        Missing: There are fewer.
    """
    rows = trials(dataset)
    count = len(np.unique(rows))
    if count < least:
        raise Missing(f"needs at least {least} trials, the dataset has {count}")
    return rows


def matrix(dataset: xarray.Dataset, name: str) -> np.ndarray:
    """A variable with one row for each row along time, (T, features) float64.

    Raises:
        Missing: There is no such variable.
    """
    require(dataset, name)
    values = dataset[name].to_numpy().astype(np.float64)
    return values.reshape(len(values), -1)


def layers(dataset: xarray.Dataset) -> dict[str, np.ndarray]:
    """Layers of the network by name, (T, units) each, in the order of computation.

    Raises:
        Missing: None was recorded.
    """
    names = [str(n) for n in dataset.data_vars if str(n).startswith("network_")]
    if not names:
        raise Missing("the dataset has no layers of a network: record with what=network")
    order = _order(names)
    return {name[8:]: matrix(dataset, name) for name in order}


def _order(names: Sequence[str]) -> list[str]:
    stages = ("encoder", "latent", "memory", "decoder", "layer", "action_mean")

    def key(name: str) -> tuple[int, str]:
        found = [i for i, stage in enumerate(stages) if name.startswith(f"network_{stage}")]
        return (found[0] if found else len(stages), name)

    return sorted(names, key=key)


def interval(values: Any, level: float = 0.95) -> tuple[float, float]:
    """Percentile interval of resampled values."""
    tail = 50 * (1 - level)
    low, high = np.percentile(np.asarray(values, np.float64), [tail, 100 - tail])
    return float(low), float(high)


def resample_trials(
    statistic: Callable[[np.ndarray], float], count: int, repeats: int = 200, seed: int = 0
) -> tuple[float, float]:
    """95 % interval of a statistic under resampling of trials with replacement.

    Args:
        statistic: Takes numbers of trials, (count,).
        count: Trials.
        repeats: Resamples.
        seed: Of the random numbers.
    """
    rng = np.random.default_rng(seed)
    return interval([statistic(rng.integers(count, size=count)) for _ in range(repeats)])


Function = TypeVar("Function", bound=Callable[..., Result])


def styled(function: Function) -> Function:
    """Decorate an analysis, which then draws in the style of this package."""

    @functools.wraps(function)
    def drawn(*arguments: Any, **options: Any) -> Result:
        extras.require("figures", "matplotlib")
        import matplotlib

        with matplotlib.rc_context(_STYLE):
            return function(*arguments, **options)

    return drawn  # type: ignore[return-value]


def new_figure(width_mm: float, height_mm: float, rows: int = 1, columns: int = 1) -> Any:
    """A figure for print and its axes, (rows, columns).

    Args:
        width_mm: Width; one column of a journal is about 90 mm, two are 180 mm.
        height_mm: Height.
        rows: Rows of axes.
        columns: Columns of axes.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_mm / 25.4, height_mm / 25.4), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False)


def legend_below(figure: Figure, axis: Axes, columns: int = 4) -> None:
    """Draw the legend of an axis below all axes, where it hides nothing."""
    handles, names = axis.get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=columns)


def style() -> dict[str, Any]:
    """Settings of matplotlib under which figures are made and saved."""
    return dict(_STYLE)


def heatmap(
    axis: Axes, values: np.ndarray, rows: Sequence[str], columns: Sequence[str], **kwargs: Any
) -> Any:
    """Draw a matrix with its numbers in the cells; returns the image."""
    image = axis.imshow(values, aspect="auto", **kwargs)
    axis.set_xticks(range(len(columns)), columns, rotation=45, ha="right")
    axis.set_yticks(range(len(rows)), rows)
    low, high = image.get_clim()
    for i in range(values.shape[0]):
        for j in range(values.shape[1]):
            if np.isfinite(values[i, j]):
                dark = (values[i, j] - low) / max(high - low, 1e-12) < 0.55
                color = "white" if dark else "black"
                axis.text(
                    j, i, f"{values[i, j]:.2f}", ha="center", va="center", color=color, size=6
                )
    for spine in axis.spines.values():
        spine.set_visible(False)
    return image


def legend_beside(figure: Figure, axis: Axes) -> None:
    """Draw the legend of an axis beside all axes, for many entries."""
    handles, names = axis.get_legend_handles_labels()
    figure.legend(handles, names, loc="outside right upper")


def conditions(dataset: xarray.Dataset) -> np.ndarray:
    """Condition of each trial, (trials,) texts, the same for all of its repeats."""
    if "condition" not in dataset:
        return np.full(dataset.sizes["trials"], "all")
    names = dataset["condition"].to_numpy().astype(str)
    return np.array([re.sub(r" repeat \d+$", "", name) for name in names])


def frame(rows: Any, columns: Sequence[str] | None = None) -> pandas.DataFrame:
    """A table from rows."""
    import pandas

    return pandas.DataFrame(rows, columns=None if columns is None else list(columns))
