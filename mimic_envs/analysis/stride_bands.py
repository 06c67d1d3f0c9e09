"""Joints over a stride: the model beside the reference, stretched to one length."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from mimic_envs.analysis import strides
from mimic_envs.analysis.result import COLORS, matrix, trials

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes


@dataclasses.dataclass(frozen=True, eq=False)
class Band:
    """A joint over a stride of one foot, from stance onset to stance onset.

    Attributes:
        joint: Name of the joint.
        foot: The foot with whose strides the joint moves most regularly.
        locked: Share of the joint's variance that the mean stride explains.
        model: Strides of the model, (S, POINTS), rad.
        reference: The same strides of the reference, (S, POINTS), rad.
    """

    joint: str
    foot: str
    locked: float
    model: np.ndarray
    reference: np.ndarray

    @property
    def rms_difference(self) -> float:
        """Root mean square difference of the mean strides, rad."""
        return float(np.sqrt(np.mean((self.model.mean(0) - self.reference.mean(0)) ** 2)))

    @property
    def delay(self) -> float:
        """By how much the model's mean stride comes later, cycles, from -0.5 to 0.5.

        From the largest circular correlation of both mean strides.
        """
        a, b = (x.mean(0) - x.mean() for x in (self.model, self.reference))
        product = np.fft.irfft(np.fft.rfft(a) * np.conj(np.fft.rfft(b)), len(a))
        shift = int(np.argmax(product))
        return float((shift / len(a) + 0.5) % 1.0 - 0.5)


def locked_share(cut: np.ndarray) -> float:
    """Share of the variance of strides, (S, POINTS), that their mean explains; 0 if none moves."""
    total = cut.var()
    return float(cut.mean(0).var() / total) if total > 1e-12 else 0.0


def bands(dataset: xarray.Dataset) -> list[Band]:
    """Every joint over strides of the foot that it moves with, the most regular joint first.

    Strides begin with the model's stance onsets; the reference is cut at the same times, so a
    model that comes late is seen as a shift.

    Args:
        dataset: With `contact`, `joint_angle` and `reference_joint_angle`.
    """
    hz, rows = float(dataset.attrs["control_hz"]), trials(dataset)
    contact = matrix(dataset, "contact").astype(bool)
    angle, reference = matrix(dataset, "joint_angle"), matrix(dataset, "reference_joint_angle")
    feet = [str(x) for x in dataset["foot"].to_numpy()]
    least = max(round(strides.SHORTEST_S * hz), 1)
    onsets = {
        (trial, k): strides.strides(strides.cleaned(contact[rows == trial, k], least)).onset
        for trial in np.unique(rows)
        for k in range(len(feet))
    }
    found = []
    for j, joint in enumerate(str(x) for x in dataset["joint"].to_numpy()):
        best: Band | None = None
        for k, foot in enumerate(feet):
            cut = [
                [strides.normalized_strides(x[rows == t, j], onsets[t, k]) for t in np.unique(rows)]
                for x in (angle, reference)
            ]
            model, wanted = (np.concatenate(parts) for parts in cut)
            if len(model) < 2:
                continue
            share = locked_share(model)
            if best is None or share > best.locked:
                best = Band(joint, foot, share, model, wanted)
        if best is not None:
            found.append(best)
    return sorted(found, key=lambda band: -band.locked)


def tables(found: list[Band]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows of a table of joints, and of one of their mean strides."""
    joints = [
        {
            "joint": band.joint,
            "foot": band.foot,
            "strides": len(band.model),
            "locked_share": band.locked,
            "rms_difference_rad": band.rms_difference,
            "delay_cycles": band.delay,
            "sd_model_rad": float(band.model.std(0).mean()),
            "sd_reference_rad": float(band.reference.std(0).mean()),
        }
        for band in found
    ]
    curves = [
        {
            "joint": band.joint,
            "phase": i / strides.POINTS,
            "model_mean": float(band.model[:, i].mean()),
            "model_sd": float(band.model[:, i].std()),
            "reference_mean": float(band.reference[:, i].mean()),
            "reference_sd": float(band.reference[:, i].std()),
        }
        for band in found
        for i in range(strides.POINTS)
    ]
    return joints, curves


def draw(found: list[Band], axes: Any) -> None:
    """Draw the most regular joints, one for each axis."""
    phase = np.linspace(0, 1, strides.POINTS, endpoint=False)
    for k, axis in enumerate(axes):
        if k >= len(found):
            axis.set_visible(False)
            continue
        _draw_band(axis, phase, found[k].reference, "0.4", "recording")
        _draw_band(axis, phase, found[k].model, COLORS[1], "model")
        axis.set_xlabel("phase of the stride (cycles)")
        axis.set_title(f"{found[k].joint}, n = {len(found[k].model)} strides")
    axes[0].set_ylabel("angle (rad)")
    axes[0].legend()


def _draw_band(axis: Axes, phase: np.ndarray, cut: np.ndarray, color: str, label: str) -> None:
    mean, spread = cut.mean(0), cut.std(0)
    axis.plot(phase, mean, color=color, label=label)
    axis.fill_between(phase, mean - spread, mean + spread, color=color, alpha=0.25, lw=0)
