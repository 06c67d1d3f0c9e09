"""How many dimensions a representation has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mimic_envs.analysis.result import (
    COLORS,
    Result,
    frame,
    layers,
    matrix,
    new_figure,
    resample_trials,
    styled,
    trials,
)

if TYPE_CHECKING:
    import xarray

OTHERS = ("joint_angle", "joint_torque", "activation")
"""Variables beside layers."""


class Covariance:
    """Sums of each trial, from which the covariance of any set of trials follows.

    Args:
        x: Rows, (T, D).
        rows: Trial of each, (T,).
    """

    def __init__(self, x: np.ndarray, rows: np.ndarray) -> None:
        x = x - x.mean(axis=0)
        parts = [x[rows == trial] for trial in np.unique(rows)]
        self.counts = np.array([len(p) for p in parts], float)
        self._sums = np.array([p.sum(axis=0) for p in parts])
        self._products = np.array([p.T @ p for p in parts])

    def of(self, chosen: np.ndarray | None = None) -> np.ndarray:
        """Covariance of trials, which may be named more than once; of all if None."""
        chosen = np.arange(len(self.counts)) if chosen is None else chosen
        n = self.counts[chosen].sum()
        mean = self._sums[chosen].sum(axis=0) / n
        return self._products[chosen].sum(axis=0) / n - np.outer(mean, mean)


def spectrum(covariance: np.ndarray) -> np.ndarray:
    """Eigenvalues of a covariance, largest first, none below 0."""
    return np.maximum(np.linalg.eigvalsh(covariance)[::-1], 0.0)


def participation_ratio(eigenvalues: np.ndarray) -> float:
    """(sum l)^2 / sum l^2: D for equal variances, 1 for a line (Gao et al. 2017)."""
    square = float(np.sum(eigenvalues**2))
    return float(np.sum(eigenvalues)) ** 2 / square if square > 0 else 0.0


def measures(eigenvalues: np.ndarray) -> dict[str, float]:
    """Share of the first three components, components for 90 %, and participation ratio."""
    total = float(eigenvalues.sum())
    if total <= 0:
        return {"share_of_3": 0.0, "n90": 0.0, "participation_ratio": 0.0}
    shares = np.cumsum(eigenvalues) / total
    return {
        "share_of_3": float(shares[min(2, len(shares) - 1)]),
        "n90": float(np.searchsorted(shares, 0.9 - 1e-12) + 1),
        "participation_ratio": participation_ratio(eigenvalues),
    }


@styled
def dimensionality(dataset: xarray.Dataset) -> Result:
    """Participation ratio and explained variance of every layer, of joints, torques and muscles.

    Raises:
        Missing: The dataset has none of these.
    """
    found: dict[str, np.ndarray] = {}
    if any(str(name).startswith("network_") for name in dataset.data_vars):
        found = layers(dataset)
    found |= {name: matrix(dataset, name) for name in OTHERS if name in dataset}
    if not found:
        layers(dataset)  # which says what is missing
    rows, count = trials(dataset), len(np.unique(trials(dataset)))
    table = []
    for name, x in found.items():
        covariance = Covariance(x, rows)

        def ratio(chosen: np.ndarray, covariance: Covariance = covariance) -> float:
            c = covariance.of(chosen)  # (sum l)^2 / sum l^2 without eigenvalues
            return float(np.trace(c)) ** 2 / max(float(np.sum(c * c)), 1e-300)

        low, high = resample_trials(ratio, count)
        found_measures = measures(spectrum(covariance.of()))
        table.append(
            {"variable": name, "width": x.shape[1], **found_measures, "low": low, "high": high}
        )
    return Result(
        "dimensionality",
        "Dimensions of layers and of movement",
        {row["variable"]: {k: v for k, v in row.items() if k != "variable"} for row in table},
        {"dimensionality": frame(table)},
        _draw(dataset, found, table, count),
        ("Intervals resample trials (95 %). Few trials make the ratio too small.",),
    )


def _draw(
    dataset: xarray.Dataset, found: dict[str, np.ndarray], table: list[dict[str, Any]], count: int
) -> Any:
    figure, axes = new_figure(180, 70, columns=2)
    axis, scatter = axes[0]
    values = np.array([row["participation_ratio"] for row in table])
    errors = [values - [r["low"] for r in table], [r["high"] for r in table] - values]
    axis.bar(range(len(table)), values, color=COLORS[0], yerr=np.maximum(errors, 0), ecolor="0.3")
    axis.set_xticks(range(len(table)), [r["variable"] for r in table], rotation=45, ha="right")
    axis.set_ylabel("participation ratio")
    axis.set_title(f"n = {count} trials")
    name = next(n for n in ("latent", *found) if n in found)
    x = found[name] - found[name].mean(axis=0)
    axes_of_x = np.linalg.svd(x, full_matrices=False)[2][:2]
    points = x @ axes_of_x.T
    speed, label = _speed(dataset)
    keep = slice(None, None, max(len(points) // 3000, 1))
    color = COLORS[0] if speed is None else speed[keep]
    image = scatter.scatter(points[keep, 0], points[keep, -1], s=2, lw=0, c=color, rasterized=True)
    scatter.set_xlabel(f"PC 1 of {name}")
    scatter.set_ylabel(f"PC {points.shape[1]} of {name}")
    if speed is not None:
        figure.colorbar(image, ax=scatter, label=label)
    return figure


def _speed(dataset: xarray.Dataset) -> tuple[np.ndarray | None, str]:
    """Forward speed, or speed of the joints where the root does not move; and its label."""
    if "root_velocity_heading" in dataset:
        speed = matrix(dataset, "root_velocity_heading")[:, 0]
        if np.ptp(speed) > 0:
            return speed, f"forward speed ({dataset.attrs.get('length_unit', '')}/s)"
    if "joint_velocity" in dataset:
        return np.linalg.norm(matrix(dataset, "joint_velocity"), axis=1), "joint speed (rad/s)"
    return None, ""
