"""Pictures of reference motion: joint angles limb by limb, and which feet are down."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from mimic_envs import bodies, extras
from mimic_envs.clips import ClipSet, contacts
from mimic_envs.files import atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_INK, _FAINT = "#22303c", "#c9d1d8"
_HIGH = 0.1  # body lengths above the floor from which a foot is simply in the air
# told apart by people who do not see colours as most do (Okabe and Ito)
_COLOURS = (
    "#0072b2",
    "#d55e00",
    "#009e73",
    "#cc79a7",
    "#e69f00",
    "#56b4e9",
    "#7a5195",
    "#8c6d31",
    "#5f6b76",
    "#b2df8a",
)
_MOST_LINES = 10  # of more joints a map is drawn instead of lines


def joints_and_contacts(clips: ClipSet, clip: int | str, path: str | os.PathLike[str]) -> None:
    """One clip as PNG: root height and speed, joint angles by limb, feet on the floor.

    Args:
        clips: The set.
        clip: Which of its clips, by number or name.
        path: The PNG file to write.

    Raises:
        RuntimeError: matplotlib is not installed.
        ValueError: No such clip.
    """
    extras.require("plots", "matplotlib")
    from matplotlib.figure import Figure

    body, index = clips.body, clips.index(clip)
    qpos = clips.qpos[index, : clips.lengths[index]].astype(np.float64)
    seconds = np.arange(len(qpos)) / clips.fps
    limbs = _limbs(body)
    feet = contacts.heights(body, qpos)
    moves = bool(body.root_joints)
    heights = [0.8] * moves + [1.0] * len(limbs) + [0.16 * len(feet) + 0.12] * bool(feet)
    figure = Figure(figsize=(10.5, 1.05 * sum(heights) + 1.1), layout="constrained")
    rows = figure.subplots(len(heights), 1, squeeze=False, sharex=True, height_ratios=heights)
    axes = list(rows[:, 0])
    if moves:
        _draw_root(axes.pop(0), clips, index, seconds)
    for (name, joints), axis in zip(limbs.items(), axes, strict=False):
        _draw_joints(axis, body, name, joints, qpos, seconds)
    if feet:
        _draw_contacts(axes[-1], feet, body, clips.fps)
    for axis in rows[:, 0]:
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(labelsize=7.5, colors=_INK, length=2.5)
        axis.margins(x=0)
    rows[-1, 0].set_xlabel("time (s)", fontsize=9, color=_INK)
    label = f", {clips.labels[index]}" if clips.labels[index] else ""
    figure.suptitle(
        f"{body.name}: {clips.names[index]}{label}   ({seconds[-1]:.2f} s at {clips.fps:g} Hz)",
        fontsize=11,
        color=_INK,
        x=0.01,
        ha="left",
    )
    with atomically(path) as partial:
        figure.savefig(partial, dpi=130, format="png", bbox_inches="tight")


def _draw_root(axis: Axes, clips: ClipSet, clip: int, seconds: np.ndarray) -> None:
    """Height of the root body, and its speed over ground on the right."""
    body, length = clips.body, len(seconds)
    root = clips.xpos[clip, :length, body.model.body(body.root_body).id].astype(np.float64)
    axis.plot(seconds, root[:, 2], color=_INK, linewidth=1.2)
    axis.set_ylabel(f"height\n({body.length_unit})", fontsize=8, color=_INK)
    middle = (root[:, 2].min() + root[:, 2].max()) / 2
    spread = max(np.ptp(root[:, 2]), 0.1 * body.body_length)
    axis.set_ylim(middle - 0.7 * spread, middle + 0.7 * spread)
    if length < 2:
        return
    speed = np.linalg.norm(np.gradient(root[:, :2], seconds, axis=0), axis=1)
    right = axis.twinx()
    right.plot(seconds, speed, color=_COLOURS[0], linewidth=1.0, alpha=0.85)
    right.set_ylim(0, max(1.25 * speed.max(), 1e-9))
    right.set_ylabel(f"speed\n({body.length_unit}/s)", fontsize=8, color=_COLOURS[0])
    right.tick_params(labelsize=7.5, colors=_COLOURS[0], length=2.5)
    right.spines[["top", "left"]].set_visible(False)


def _draw_joints(
    axis: Axes,
    body: bodies.Body,
    name: str,
    joints: list[str],
    qpos: np.ndarray,
    seconds: np.ndarray,
) -> None:
    addresses = [int(body.model.joint(joint).qposadr[0]) for joint in joints]
    angles = np.degrees(qpos[:, addresses])
    axis.set_ylabel(f"{name}\n(deg)", fontsize=8, color=_INK)
    if len(joints) > _MOST_LINES:
        _draw_map(axis, joints, angles, seconds)
        return
    axis.axhline(0, color=_FAINT, linewidth=0.7, zorder=0)
    for i, (joint, angle) in enumerate(zip(joints, angles.T, strict=True)):
        axis.plot(seconds, angle, color=_COLOURS[i], linewidth=1.1, label=_short(joint, name))
    longest = max(len(_short(joint, name)) for joint in joints)
    axis.legend(
        loc="center left",
        bbox_to_anchor=(1.005, 0.5),
        fontsize=7 if len(joints) < 9 else 6.2,
        frameon=False,
        handlelength=1.0,
        handletextpad=0.5,
        labelspacing=0.18,
        borderaxespad=0,
        ncols=2 if len(joints) > 6 and longest < 17 else 1,
        columnspacing=0.9,
    )


def _draw_map(axis: Axes, joints: list[str], angles: np.ndarray, seconds: np.ndarray) -> None:
    """Many joints as rows of colour, each around its own mean."""
    change = angles - angles.mean(axis=0)
    top = max(float(np.quantile(np.abs(change), 0.995)), 1.0)
    end = seconds[-1] if len(seconds) > 1 else 1.0
    image = axis.imshow(
        change.T,
        aspect="auto",
        cmap="RdBu_r",
        vmin=-top,
        vmax=top,
        interpolation="nearest",
        extent=(0, end, len(joints) - 0.5, -0.5),
    )
    axis.set_yticks([0, len(joints) - 1], ["first", "last"])
    bar = axis.figure.colorbar(image, cax=axis.inset_axes((1.01, 0.05, 0.012, 0.9)))
    bar.ax.tick_params(labelsize=7, colors=_INK, length=2)
    bar.set_label(
        f"difference from mean\n{joints[0]}\nto {joints[-1]}",
        fontsize=7,
        color=_INK,
        rotation=0,
        ha="left",
        va="center",
    )
    bar.outline.set_visible(False)


def _draw_contacts(axis: Axes, feet: dict[str, np.ndarray], body: bodies.Body, fps: float) -> None:
    """A bar for every time a foot is on the floor; grey where it is not far above."""
    near, far = contacts.NEAR * body.body_length, _HIGH * body.body_length
    heights = np.array(list(feet.values()))
    end = (heights.shape[1] - 1) / fps
    for row, height in enumerate(heights):
        # a frame stands for the time half a frame around it
        axis.imshow(
            height[None],
            aspect="auto",
            cmap="Greys_r",
            vmin=-0.6 * far,
            vmax=far,
            interpolation="nearest",
            extent=(-0.5 / fps, end + 0.5 / fps, row + 0.36, row - 0.36),
        )
        down = np.r_[0, (height <= near).astype(int), 0]
        starts, ends = np.flatnonzero(np.diff(down) == 1), np.flatnonzero(np.diff(down) == -1)
        spans = [((s - 0.5) / fps, (e - s) / fps) for s, e in zip(starts, ends, strict=True)]
        axis.broken_barh(spans, (row - 0.36, 0.72), facecolors=_INK)
    axis.set_xlim(0, max(end, 0.5 / fps))
    axis.set_yticks(range(len(feet)), list(feet))
    axis.set_ylim(len(feet) - 0.45, -0.55)
    axis.set_ylabel("on the\nfloor", fontsize=8, color=_INK)
    axis.tick_params(axis="y", length=0)
    axis.text(
        1.01,
        0.5,
        f"black: on the floor\ngrey: less than\n{far:.2g} {body.length_unit} above it",
        transform=axis.transAxes,
        fontsize=7,
        va="center",
        color=_INK,
    )


def _limbs(body: bodies.Body) -> dict[str, list[str]]:
    """Joints grouped by the one end effector that they move; the others are the trunk's."""
    model = body.model
    chains = {}
    for name in body.end_effectors:
        part, chain = int(model.body(name).id), set()
        while part:
            chain.add(part)
            part = int(model.body_parentid[part])
        chains[name] = chain
    groups: dict[str, list[str]] = {"trunk": [], **{name: [] for name in body.end_effectors}}
    for joint in body.hinge_names:
        carrier = int(model.joint(joint).bodyid[0])
        moved = [name for name, chain in chains.items() if carrier in chain]
        # what hangs from an end effector, such as toes, belongs to its limb
        while not moved and carrier:
            carrier = int(model.body_parentid[carrier])
            moved = [name for name in body.end_effectors if model.body(name).id == carrier]
        groups[moved[0] if len(moved) == 1 else "trunk"].append(joint)
    found = {name: joints for name, joints in groups.items() if joints}
    return found if len(found) > 1 else {"joints": list(body.hinge_names)}


def _short(joint: str, limb: str) -> str:
    """A joint's name without the words that its limb's name has already."""
    words = set(limb.split("_"))
    kept = [word for word in joint.split("_") if word not in words]
    return " ".join(kept) or joint.split("_")[0]
