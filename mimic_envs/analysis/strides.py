"""Strides of feet, and signals stretched to one stride."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np

SHORTEST_S = 0.02
"""Stances and swings shorter than this are taken for bounces and merged, s."""
POINTS = 100
"""Points of a phase-normalized stride."""


@dataclasses.dataclass(frozen=True, eq=False)
class Strides:
    """Strides of one foot in one trial, from stance onset to stance onset.

    Attributes:
        onset: Rows of stance onsets, (S + 1,).
        lift: Rows of the swing onsets between them, (S,).
    """

    onset: np.ndarray
    lift: np.ndarray

    @property
    def duty(self) -> np.ndarray:
        """Share of each stride in stance, (S,)."""
        return (self.lift - self.onset[:-1]) / np.diff(self.onset)


def cleaned(contact: np.ndarray, least: int) -> np.ndarray:
    """Contacts, (T,) bool, without stances and swings of fewer rows, but for the first and last."""
    contact = contact.astype(bool).copy()
    edges = np.flatnonzero(np.diff(contact)) + 1
    bounds = np.concatenate([[0], edges, [len(contact)]])
    lengths = np.diff(bounds)
    for i in np.argsort(lengths, kind="stable"):
        if lengths[i] >= least or i in (0, len(lengths) - 1):
            continue
        a, b = bounds[i], bounds[i + 1]
        if contact[a - 1] != contact[a]:  # unless a merge has changed it already
            contact[a:b] = contact[a - 1]
    return contact


def strides(contact: np.ndarray) -> Strides:
    """Strides of a foot, from its contacts, (T,) bool."""
    change = np.diff(contact.astype(int))
    onset, lift = np.flatnonzero(change == 1) + 1, np.flatnonzero(change == -1) + 1
    found = [lift[(lift > a) & (lift < b)][0] for a, b in itertools.pairwise(onset)]
    return Strides(onset, np.array(found, int))


def normalized_strides(x: np.ndarray, onset: np.ndarray) -> np.ndarray:
    """Strides stretched to `POINTS` points from stance onset by cubic splines, (S, POINTS).

    Args:
        x: A signal, (T,).
        onset: Rows of stance onsets.
    """
    from scipy.interpolate import CubicSpline

    if len(onset) < 2 or len(x) < 4:
        return np.empty((0, POINTS))
    spline = CubicSpline(np.arange(len(x)), x)
    grid = np.linspace(0, 1, POINTS, endpoint=False)
    pairs = itertools.pairwise(onset)
    return np.array([spline(a + grid * (b - a)) for a, b in pairs])
