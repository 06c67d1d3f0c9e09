"""Gait: footfalls, duty factors, phases and coordination of legs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from mimic_envs.analysis import stride_bands
from mimic_envs.analysis.result import (
    COLORS,
    Missing,
    Result,
    frame,
    interval,
    matrix,
    new_figure,
    require,
    styled,
    trials,
)
from mimic_envs.analysis.strides import SHORTEST_S, cleaned, strides

if TYPE_CHECKING:
    import xarray


def phase_of(contact: np.ndarray) -> np.ndarray:
    """Phase of a foot in cycles, (T,): 0 at stance onset, linear up to the next; NaN outside."""
    onset, rows = strides(contact).onset, np.arange(len(contact))
    if len(onset) < 2:
        return np.full(len(contact), np.nan)
    inside = (rows >= onset[0]) & (rows < onset[-1])
    number = np.clip(np.searchsorted(onset, rows, "right") - 1, 0, len(onset) - 2)
    phase = (rows - onset[number]) / (onset[number + 1] - onset[number])
    return np.where(inside, phase, np.nan)


def hilbert_phase(angle: np.ndarray, hz: float, band: tuple[float, float]) -> np.ndarray:
    """Phase in cycles, (T,), of an angle within a band of frequencies, by the Hilbert transform.

    Args:
        angle: Of a proximal joint, (T,).
        hz: Rows per second.
        band: Lowest and highest frequency, Hz.
    """
    from scipy import signal

    sections = signal.butter(2, band, "bandpass", fs=hz, output="sos")
    filtered = signal.sosfiltfilt(sections, angle)
    return np.angle(signal.hilbert(filtered)) / (2 * np.pi) % 1.0


def circular_mean(phase: np.ndarray) -> tuple[float, float]:
    """Mean phase in cycles, in [0, 1), and vector strength of phases without NaN."""
    valid = phase[np.isfinite(phase)]
    if not valid.size:
        return float("nan"), float("nan")
    mean = np.exp(2j * np.pi * valid).mean()
    return float(np.angle(mean) / (2 * np.pi) % 1.0), float(abs(mean))


def tripod_strength(contact: np.ndarray, groups: list[list[int]]) -> float:
    """Overlap of the swings of each group's feet over their union, mean over groups.

    1 if the feet of a group swing together, 0 if never all of them (Wosnitza et al. 2013).

    Args:
        contact: (T, feet) bool.
        groups: Numbers of the feet of each group.
    """
    values = []
    for group in groups:
        swing = ~contact[:, group].astype(bool)
        union = swing.any(axis=1).sum()
        if union:
            values.append(swing.all(axis=1).sum() / union)
    return float(np.mean(values)) if values else float("nan")


def measure(contact: np.ndarray, hz: float) -> dict[str, Any]:
    """Stride frequency, duty factor, stance and swing time of each foot, and phases to the first.

    Args:
        contact: (T, feet) bool of one trial.
        hz: Rows per second.

    Returns:
        Arrays (feet,): `stride_hz`, `duty`, `stance_s`, `swing_s`, `strides`; `phase`, the delay of
        stance onset after the first foot's in cycles, and its vector strength `locking`. NaN
        without strides.
    """
    least = max(round(SHORTEST_S * hz), 1)
    clean = np.stack([cleaned(c, least) for c in contact.T], axis=1)
    phases = [phase_of(c) for c in clean.T]
    rows = []
    for foot, phase in zip(clean.T, phases, strict=True):
        found = strides(foot)
        period, duty = np.diff(found.onset) / hz, found.duty
        mean, locking = circular_mean((phases[0] - phase) % 1.0)
        many = len(period) > 0
        rows.append(
            {
                "stride_hz": float(1 / period.mean()) if many else np.nan,
                "duty": float((duty * period).sum() / period.sum()) if many else np.nan,
                "stance_s": float((duty * period).mean()) if many else np.nan,
                "swing_s": float(((1 - duty) * period).mean()) if many else np.nan,
                "strides": float(len(period)),
                "phase": mean,
                "locking": locking,
            }
        )
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


@styled
def gait(dataset: xarray.Dataset) -> Result:
    """Footfalls, stride frequency, duty, phases and tripod strength of each trial.

    Raises:
        Missing: No contacts, no feet that step, or no gait groups.
    """
    require(dataset, "contact", "trial_name")
    groups = json.loads(dataset.attrs.get("gait_groups", "{}"))
    if not groups:
        raise Missing(f"body {dataset.attrs.get('body')!r} has no gait groups")
    feet = [str(x) for x in dataset["foot"].to_numpy()]
    numbers = [[feet.index(f) for f in group] for group in groups.values()]
    hz, rows = float(dataset.attrs["control_hz"]), trials(dataset)
    contact = matrix(dataset, "contact")
    names = dataset["trial_name"].to_numpy().astype(str)
    speed = None
    if "root_velocity_heading" in dataset:
        speed = matrix(dataset, "root_velocity_heading")[:, 0]
    table, phases = [], []
    for trial in np.unique(rows):
        own = rows == trial
        found = measure(contact[own].astype(bool), hz)
        walks = found["strides"].min() >= 1
        strength = tripod_strength(contact[own], numbers) if walks else np.nan
        mean_speed = np.nan if speed is None else float(speed[own].mean())
        table.append(_row(names[trial], found, strength, mean_speed, feet))
        if walks:
            phases.append(found["phase"])
    if not phases:
        raise Missing("no trial has a whole stride of every foot")
    numbers_found: dict[str, Any] = {
        name: _summary([row[name] for row in table])
        for name in ("stride_hz", "duty", "tripod_strength", "speed", "stride_length")
    }
    unit = dataset.attrs.get("length_unit", "")
    found_bands = []
    if {"joint_angle", "reference_joint_angle"} <= set(dataset.data_vars):
        found_bands = stride_bands.bands(dataset)
    figure = _draw(contact, rows, table, np.array(phases), feet, hz, unit, found_bands)
    title = "Gait: footfalls, duty and coordination"
    notes: tuple[str, ...] = (
        "Phases are delays of stance onset after the first foot's; tripod strength: overlap of the "
        "swings of each gait group over their union.",
    )
    numbers_found["trials"] = {row["trial"]: row for row in table}
    tables = {"gait": frame(table)}
    if found_bands:
        joints, curves = stride_bands.tables(found_bands)
        numbers_found["joints"] = {row["joint"]: row for row in joints}
        tables |= {"joints": frame(joints), "joint_bands": frame(curves)}
        notes += (
            "Joints are stretched to strides of the foot that they move with, from the model's "
            "stance onsets; bands are standard deviations over strides.",
        )
    return Result("gait", title, numbers_found, tables, figure, notes)


def _row(
    name: str, found: dict[str, Any], strength: float, speed: float, feet: list[str]
) -> dict[str, Any]:
    """What is reported of a trial, from what `measure` found."""
    frequency = _mean(found["stride_hz"])
    return {
        "trial": name,
        "stride_hz": frequency,
        "duty": _mean(found["duty"]),
        "stance_s": _mean(found["stance_s"]),
        "swing_s": _mean(found["swing_s"]),
        "strides_per_foot": float(found["strides"].mean()),
        "tripod_strength": strength,
        "speed": speed,
        "stride_length": speed / frequency,
        **{f"phase_{f}": p for f, p in zip(feet, found["phase"], strict=True)},
    }


def _mean(x: np.ndarray) -> float:
    return float(np.nanmean(x)) if np.isfinite(x).any() else float("nan")


def _summary(values: list[float]) -> dict[str, float]:
    valid = np.array([v for v in values if np.isfinite(v)])
    if not len(valid):
        return {"mean": float("nan"), "trials": 0}
    rng = np.random.default_rng(0)
    means = [valid[rng.integers(len(valid), size=len(valid))].mean() for _ in range(1000)]
    low, high = interval(means)
    return {"mean": float(valid.mean()), "low": low, "high": high, "trials": len(valid)}


def _draw(
    contact: np.ndarray,
    rows: np.ndarray,
    table: list[dict[str, Any]],
    phases: np.ndarray,
    feet: list[str],
    hz: float,
    unit: str,
    found_bands: list[stride_bands.Band],
) -> Any:
    figure, axes = new_figure(180, 110 if found_bands else 60, 2 if found_bands else 1, 3)
    raster, duty, polar = axes[0]
    if found_bands:
        stride_bands.draw(found_bands, axes[1])
    strides_of = [row["strides_per_foot"] for row in table]
    shown = int(np.unique(rows)[int(np.argmax(strides_of))])
    own = contact[rows == shown][: int(3 * hz)].astype(bool)
    for i in range(len(feet)):
        edges = np.flatnonzero(np.diff(np.concatenate([[0], own[:, i], [0]])))
        bars = [(a / hz, (b - a) / hz) for a, b in zip(edges[::2], edges[1::2], strict=True)]
        raster.broken_barh(bars, (len(feet) - 1 - i - 0.35, 0.7), color=COLORS[0])
    raster.set_yticks(range(len(feet)), feet[::-1])
    raster.set_xlabel("time (s)")
    raster.set_title(f"stance, trial {table[shown]['trial']}")
    speeds = [row["speed"] for row in table]
    duty.plot(speeds, [row["duty"] for row in table], "o", ms=3, color=COLORS[1])
    duty.set_xlabel(f"speed ({unit}/s)")
    duty.set_ylabel("duty factor")
    duty.set_title(f"n = {len(table)} trials")
    for i in range(len(feet)):
        polar.plot(
            phases[:, i], np.full(len(phases), len(feet) - 1 - i), "|", ms=9, color=COLORS[2]
        )
    polar.set_yticks(range(len(feet)), feet[::-1])
    polar.set_xlim(-0.02, 1.0)
    polar.set_xlabel(f"phase to {feet[0]} (cycles)")
    polar.set_title(f"n = {len(phases)} walks")
    return figure
