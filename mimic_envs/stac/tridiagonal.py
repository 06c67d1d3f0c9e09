"""Block tridiagonal systems with diagonal off-diagonal blocks, many at once.

The diagonal blocks are (C, L, n, n), symmetric; the off-diagonal block between positions t and
t + 1 is minus the diagonal matrix of `coupling[:, t]`, with `coupling` (C, L - 1, n).
"""

from __future__ import annotations

import numpy as np


def factorise(blocks: np.ndarray, coupling: np.ndarray) -> np.ndarray:
    """Inverses (C, L, n, n) of the diagonal blocks after elimination from the left."""
    inverse = np.empty_like(blocks)
    inverse[:, 0] = np.linalg.inv(blocks[:, 0])
    for t in range(1, blocks.shape[1]):
        link = coupling[:, t - 1]
        carried = link[:, :, None] * inverse[:, t - 1] * link[:, None, :]
        inverse[:, t] = np.linalg.inv(blocks[:, t] - carried)
    return inverse


def substitute(inverse: np.ndarray, coupling: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Solutions (C, L, n, m) for right-hand sides (C, L, n, m)."""
    length, link = right.shape[1], coupling[..., None]
    result = right.copy()
    for t in range(1, length):
        result[:, t] += link[:, t - 1] * (inverse[:, t - 1] @ result[:, t - 1])
    result[:, -1] = inverse[:, -1] @ result[:, -1]
    for t in range(length - 2, -1, -1):
        result[:, t] = inverse[:, t] @ (result[:, t] + link[:, t] * result[:, t + 1])
    return result


def diagonal_of_inverse(inverse: np.ndarray, coupling: np.ndarray) -> np.ndarray:
    """Diagonal blocks (C, L, n, n) of the inverse of the whole matrix."""
    result = inverse.copy()
    for t in range(inverse.shape[1] - 2, -1, -1):
        link = coupling[:, t]
        carried = link[:, :, None] * result[:, t + 1] * link[:, None, :]
        result[:, t] += inverse[:, t] @ carried @ inverse[:, t]
    return result
