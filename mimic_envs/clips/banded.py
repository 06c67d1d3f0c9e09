"""Least squares over time: symmetric band matrices of blocks, within bounds.

Bounds are kept by a primal-dual active set method (Hintermueller, Ito and Kunisch 2002,
doi:10.1137/S1052623401383558): an unknown that would leave its interval is held at the end, one
that is held and would go back inside is let go, and all are found again.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import solveh_banded

_ROUNDS = 4
"""Most times that unknowns are found; the last result is cut to the bounds."""
_NEAR = 1e-9
"""An unknown is at a bound that is nearer than this."""


def assemble(own: np.ndarray, coupling: np.ndarray, diagonals: np.ndarray) -> np.ndarray:
    """Return a symmetric matrix of blocks as the upper band that `solveh_banded` takes.

    Args:
        own: Blocks on the diagonal, (T, n, n).
        coupling: Blocks above them, between neighbors, (T - 1, n, n).
        diagonals: What is added on the diagonals of the blocks themselves, of those between
            neighbors and of those between next neighbors, (3, T, n); the last of each are unused.

    Returns:
        The band, (2 n + 1, T n).
    """
    count, n = own.shape[:2]
    width = 2 * n
    band = np.zeros((width + 1, count, n))  # row i of column j is at [width + i - j, j]
    for column in range(n):
        for row in range(column + 1):
            band[width + row - column, :, column] = own[:, row, column]
        for row in range(n):
            band[width + row - column - n, 1:, column] += coupling[:, row, column]
    band[width] += diagonals[0]
    band[width - n, 1:] += diagonals[1, :-1]
    if count > 2:
        band[0, 2:] += diagonals[2, :-2]
    return band.reshape(width + 1, count * n)


def minimize(band: np.ndarray, slope: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return `x` between bounds with a small `x' H x / 2 - slope' x`, (T, n).

    Args:
        band: `H`, positive definite, see `assemble`.
        slope: (T, n).
        low: Lower bounds, (T, n), at most 0.
        high: Upper bounds, (T, n), at least 0. Where both are 0, `x` is.
    """
    shape = slope.shape
    slope, low, high = slope.reshape(-1), low.reshape(-1), high.reshape(-1)
    fixed = low == high
    # what is at an end already and is pushed outwards stays there, as a first guess
    at_low = fixed | ((low > -_NEAR) & (slope < 0))
    at_high = ~fixed & (high < _NEAR) & (slope > 0)
    found = np.zeros(len(slope))
    for _ in range(_ROUNDS):
        held = at_low | at_high
        value = np.where(at_low, low, np.where(at_high, high, 0.0))
        right = np.where(held, value, slope - times(band, value))
        found = solveh_banded(_without(band, held), right, overwrite_ab=True, check_finite=False)
        wants = slope - times(band, found) if held.any() else np.zeros(len(slope))
        lower = fixed | (at_low & (wants < 0)) | (found < low)
        upper = ~fixed & ((at_high & (wants > 0)) | (found > high))
        if (lower == at_low).all() and (upper == at_high).all():
            break
        at_low, at_high = lower, upper
    return np.clip(found, low, high).reshape(shape)


def times(band: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """Return the product of a symmetric band matrix and a vector."""
    width, size = len(band) - 1, len(vector)
    result = band[width] * vector
    if vector.any():
        for away in range(1, min(width, size - 1) + 1):
            row = band[width - away]
            result[:-away] += row[away:] * vector[away:]
            result[away:] += row[away:] * vector[:-away]
    return result


def _without(band: np.ndarray, held: np.ndarray) -> np.ndarray:
    """The matrix with rows and columns of the identity for what is held."""
    result, width = band.copy(), len(band) - 1
    result[:, held] = 0.0
    for column in np.flatnonzero(held).tolist():
        reach = min(width, len(held) - 1 - column)
        away = np.arange(1, reach + 1)
        result[width - away, column + away] = 0.0
    result[width, held] = 1.0
    return result
