"""Analyses by name."""

from __future__ import annotations

from mimic_envs import registry
from mimic_envs.analysis.result import Analysis

ANALYSES: dict[str, str | object] = {
    "tracking": "mimic_envs.analysis.tracking:tracking",
    "survival": "mimic_envs.analysis.survival:survival",
    "gait": "mimic_envs.analysis.gait:gait",
    "muscles": "mimic_envs.analysis.muscles:muscles",
    "inverse_dynamics": "mimic_envs.analysis.inverse:inverse_dynamics",
    "dimensionality": "mimic_envs.analysis.dimensionality:dimensionality",
    "manifold": "mimic_envs.analysis.manifold:manifold",
    "decoding": "mimic_envs.analysis.decoding:decoding",
    "encoding": "mimic_envs.analysis.decoding:encoding",
    "similarity": "mimic_envs.analysis.similarity:similarity",
    "behavior": "mimic_envs.analysis.behavior:behavior",
    "variability": "mimic_envs.analysis.variability:variability",
    "dose": "mimic_envs.analysis.dose:dose_response",
    "units": "mimic_envs.analysis.units:units",
    "feedback": "mimic_envs.analysis.feedback:feedback",
}
"""Analyses of one dataset, in the order of a report."""


def names() -> tuple[str, ...]:
    """Names of the analyses."""
    return tuple(ANALYSES)


def get(name: str) -> Analysis:
    """The analysis of that name, or `module:name` of a function of a dataset.

    Raises:
        ValueError: No such analysis; the message names the nearest one.
    """
    found = registry.resolve("analysis", name, ANALYSES)
    if not callable(found):
        raise ValueError(f"analysis {name!r} must be a function of a dataset")
    return found
