"""How similar two representations are: linear CKA, and representational similarity."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mimic_envs.analysis.result import (
    Missing,
    Result,
    frame,
    heatmap,
    layers,
    matrix,
    new_figure,
    require_trials,
    styled,
)

if TYPE_CHECKING:
    import xarray

OTHERS = ("joint_angle", "joint_velocity", "joint_torque", "activation")
"""Variables beside layers."""


def linear_cka(x: np.ndarray, y: np.ndarray) -> float:
    """Linear centered kernel alignment of rows, (T, D) and (T, E): 1 up to rotation and scale.

    |Y'X|^2 / (|X'X| |Y'Y|), Frobenius norms of centered data (Kornblith et al. 2019,
    arXiv:1905.00414). Of independent data it is about d / n, not 0.
    """
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    both = float(np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y))
    return float(np.linalg.norm(y.T @ x) ** 2) / both if both > 0 else float("nan")


def patterns(x: np.ndarray, bins: np.ndarray, count: int) -> np.ndarray:
    """Mean activity in each bin of behavior, (count, D); NaN for an empty one."""
    sums, rows = np.zeros((count, x.shape[1])), np.bincount(bins, minlength=count)
    np.add.at(sums, bins, x)
    return sums / np.where(rows > 0, rows, np.nan)[:, None]


def dissimilarities(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Unbiased squared distances of bins, (pairs,), from two independent halves of the data.

    (a_i - a_j) (b_i - b_j)' / D: noise of the halves is independent, so it adds nothing on average
    (crossnobis distances without whitening of units, Walther et al. 2016).

    Args:
        a: Patterns of the first half, (bins, D).
        b: Of the second.
    """
    i, j = np.triu_indices(len(a), 1)
    return np.sum((a[i] - a[j]) * (b[i] - b[j]), axis=1) / a.shape[1]


def whitened_cosine(first: np.ndarray, second: np.ndarray, bins: int) -> float:
    """Cosine of two vectors of distances, whitened by how noise in patterns links distances.

    a' V^-1 b / sqrt(a' V^-1 a b' V^-1 b), where V = (C C')^2 element by element and C is the matrix
    of differences of bins (Diedrichsen et al. 2021, arXiv:2007.02789).

    Args:
        first: Distances, (pairs,).
        second: Likewise.
        bins: Bins of behavior.
    """
    i, j = np.triu_indices(bins, 1)
    c = np.zeros((len(i), bins))
    c[np.arange(len(i)), i], c[np.arange(len(i)), j] = 1.0, -1.0
    whitener = np.linalg.pinv((c @ c.T) ** 2, hermitian=True)
    product = float(first @ whitener @ second)
    norm = float(first @ whitener @ first) * float(second @ whitener @ second)
    return product / np.sqrt(norm) if norm > 0 else float("nan")


class Halves:
    """Patterns of representations in two halves of the trials.

    Args:
        rows: Trial of each row, (T,).
        bins: Bin of each row, (T,); -1 for none.
        seed: Chooses the halves.
    """

    def __init__(self, rows: np.ndarray, bins: np.ndarray, seed: int = 0) -> None:
        names = np.random.default_rng(seed).permutation(np.unique(rows))
        first = np.isin(rows, names[: len(names) // 2])
        count = int(bins.max()) + 1
        self._parts = [first & (bins >= 0), ~first & (bins >= 0)]
        self._bins, self._count = bins, count
        filled = [np.bincount(bins[part], minlength=count) > 0 for part in self._parts]
        self.kept = np.flatnonzero(filled[0] & filled[1])

    def distances(self, x: np.ndarray) -> np.ndarray:
        """Unbiased distances of the bins that both halves have."""
        a, b = self.patterns(x)
        return dissimilarities(a, b)

    def patterns(self, x: np.ndarray) -> list[np.ndarray]:
        """Patterns in both halves."""
        return [patterns(x[p], self._bins[p], self._count)[self.kept] for p in self._parts]

    def reliability(self, x: np.ndarray) -> float:
        """Noise ceiling: whitened cosine of distances within one half and within the other."""
        a, b = self.patterns(x)
        return whitened_cosine(dissimilarities(a, a), dissimilarities(b, b), len(self.kept))


def behavior_bins(dataset: xarray.Dataset) -> np.ndarray:
    """Bin of each row, (T,): speed (3) x turn (3) where the root moves, else joint speed (6).

    Limits are quantiles, so that bins are about equally full. Labels of clips are not used, since
    halves of trials would then share few bins.
    """
    motion = matrix(dataset, "root_velocity_heading")
    if np.ptp(motion[:, 0]) > 0:
        return 3 * _thirds(motion[:, 0], 3) + _thirds(motion[:, 5], 3)
    return _thirds(np.linalg.norm(matrix(dataset, "joint_velocity"), axis=1), 6)


def _thirds(x: np.ndarray, count: int) -> np.ndarray:
    return np.searchsorted(np.quantile(x, np.arange(1, count) / count), x)


@styled
def similarity(dataset: xarray.Dataset) -> Result:
    """CKA of all pairs of layers and movement, and representational similarity with ceilings.

    Raises:
        Missing: No layers, no kinematics, or fewer than 4 trials.
    """
    rows, found = require_trials(dataset, 4), layers(dataset)
    found |= {name: matrix(dataset, name) for name in OTHERS if name in dataset}
    found = {name: x for name, x in found.items() if x.std(axis=0).max() > 1e-9}
    names = list(found)
    scaled = {n: (x - x.mean(0)) / np.maximum(x.std(0), 1e-9) for n, x in found.items()}
    cka = np.array([[linear_cka(scaled[a], scaled[b]) for b in names] for a in names])
    halves = Halves(rows, behavior_bins(dataset))
    bins = len(halves.kept)
    if bins < 3:
        raise Missing(f"needs 3 bins of behavior that both halves of the trials have, got {bins}")
    distances = {n: halves.distances(x) for n, x in scaled.items()}
    rsa = np.array(
        [[whitened_cosine(distances[a], distances[b], bins) for b in names] for a in names]
    )
    ceilings = {n: halves.reliability(x) for n, x in scaled.items()}
    count = len(np.unique(rows))
    figure, axes = new_figure(180, 12 + 8 * len(names), columns=2)
    titles = (f"linear CKA (n = {len(rows)} frames)", f"RSA ({bins} bins, n = {count} trials)")
    for axis, values, title in zip(axes[0], (cka, rsa), titles, strict=True):
        image = heatmap(axis, values, names, names, vmin=0, vmax=1, cmap="viridis")
        axis.set_title(title)
        figure.colorbar(image, ax=axis, shrink=0.8)
    table = [
        {"first": a, "second": b, "cka": cka[i, j], "rsa": rsa[i, j]}
        for i, a in enumerate(names)
        for j, b in enumerate(names)
        if i < j
    ]
    ceiling_rows = [{"variable": n, "noise_ceiling": x} for n, x in ceilings.items()]
    return Result(
        "similarity",
        "Similarity of representations",
        {"pairs": {f"{r['first']}/{r['second']}": r for r in table}, "noise_ceilings": ceilings},
        {"similarity": frame(table), "noise_ceilings": frame(ceiling_rows)},
        figure,
        (
            "RSA is the whitened cosine of unbiased distances between bins of speed and turn; "
            "compare it with the noise ceilings, the agreement of two halves of the trials.",
        ),
    )
