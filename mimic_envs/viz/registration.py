"""Report of a registration as one HTML page."""

from __future__ import annotations

import base64
import html
import io
import os
from typing import TYPE_CHECKING

import mujoco
import numpy as np

from mimic_envs import extras
from mimic_envs.files import atomically
from mimic_envs.stac import OBSERVED_DEG, Registration
from mimic_envs.viz.height import height_figure
from mimic_envs.viz.markers import MarkerRenderer

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_BLUE, _LIGHT, _RED = "#1f5fa8", "#9dc0e6", "#b4462e"
_WORST_FRAMES = 6
_MM = {"m": 1000.0, "cm": 10.0, "mm": 1.0}

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 60em; margin: 2em auto;
       padding: 0 1em; }
h1 { font-size: 1.5em; } h2 { font-size: 1.15em; margin-top: 2em; }
table { border-collapse: collapse; font-size: 0.9em; }
td, th { padding: 0.15em 0.8em; text-align: right; border-bottom: 1px solid #ddd; }
td:first-child, th:first-child { text-align: left; }
.wide { overflow-x: auto; }
img { max-width: 100%; height: auto; }
.frames { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(22em, 100%), 1fr));
       gap: 1em; } figure { margin: 0; } figure img { width: 100%; border-radius: 0.4em; }
figcaption { font-size: 0.85em; color: #555; }
.numbers { display: flex; flex-wrap: wrap; gap: 1.6em; margin: 1em 0; }
.numbers div { font-size: 0.85em; color: #555; } .numbers b { display: block; font-size: 1.5em;
       color: #222; }
.warning { background: #fbeae6; border-left: 4px solid #b4462e; padding: 0.4em 0.8em; }
"""


def write_report(path: str | os.PathLike[str], registration: Registration) -> None:
    """A self-contained HTML page: errors, worst frames, joint ranges, scale and offsets.

    Raises:
        RuntimeError: matplotlib or OpenGL is missing; the message says what to install.
    """
    extras.require("reports", "matplotlib")
    sections = [
        _head(registration),
        _errors(registration),
        _heights(registration),
        _worst(registration),
        _joints(registration),
        _offsets(registration),
        _settings(registration),
    ]
    title = html.escape(f"{registration.body.name}: {registration.clips.source}")
    page = (
        f"<!doctype html><html lang='en'><meta charset='utf-8'><title>{title}</title>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<style>{_STYLE}</style><main>{''.join(sections)}</main></html>\n"
    )
    with atomically(path) as partial:
        partial.write_text(page, encoding="utf-8")


def _unit(registration: Registration) -> tuple[str, float]:
    """Unit that lengths are reported in, and how many of it are in the body's."""
    unit = registration.body.length_unit
    factor = _MM.get(unit, 1.0)
    return ("mm" if unit in _MM else unit), factor


def _head(registration: Registration) -> str:
    unit, factor = _unit(registration)
    error = registration.residuals * factor
    frames = np.nanmean(error, axis=1)
    known = np.isfinite(error).mean()
    numbers = {
        "mean error": f"{np.nanmean(error):.3g} {unit}",
        "median error": f"{np.nanmedian(error):.3g} {unit}",
        "worst frame": f"{np.nanmax(frames):.3g} {unit}",
        "scale": f"{registration.scale:.4f}",
        "frames": f"{len(error)}",
        "keypoints known": f"{100 * known:.1f} %",
        "joints observed": f"{len(registration.observed)} of {len(registration.joint_sd_deg)}",
    }
    boxes = "".join(f"<div><b>{html.escape(v)}</b>{k}</div>" for k, v in numbers.items())
    length = registration.body.body_length * registration.scale * factor
    notes = "".join(
        f"<p class='warning'>{html.escape(pair)} seem to have changed places in {len(frames_)} "
        f"frames, first in frame {frames_[0]}.</p>"
        for pair, frames_ in registration.swapped.items()
    )
    return (
        f"<h1>Registration of {html.escape(registration.body.name)}</h1>"
        f"<p>{html.escape(registration.clips.source)}, {registration.clips.fps:g} frames per "
        f"second. Errors are distances between recorded keypoints and markers on the body, at "
        f"the size of the animal, whose body length is {length:.3g} {unit}.</p>"
        f"{_verdict(registration)}<div class='numbers'>{boxes}</div>{notes}"
    )


def _verdict(registration: Registration) -> str:
    """The judgement and its reasons, those against the fit marked."""
    judgement = registration.judgement
    items = [
        f"<li{mark}>{html.escape(text)}</li>"
        for severity, mark in (
            ("refuse", " class='warning'"),
            ("look", " class='warning'"),
            ("note", ""),
        )
        for text in judgement.reasons(severity)  # type: ignore[arg-type]
    ]
    return f"<h2>Verdict: {judgement.verdict}</h2><ul>{''.join(items)}</ul>"


def _errors(registration: Registration) -> str:
    unit, factor = _unit(registration)
    error = registration.residuals * factor
    rows = []
    for k, name in enumerate(registration.keypoint_names):
        own = error[:, k][np.isfinite(error[:, k])]
        if own.size:
            cells = [own.mean(), np.median(own), np.percentile(own, 95), own.max()]
        else:
            cells = [np.nan] * 4
        known = 100 * own.size / len(error)
        values = "".join(f"<td>{x:.3g}</td>" for x in cells)
        rows.append(f"<tr><td>{html.escape(name)}</td>{values}<td>{known:.0f} %</td></tr>")
    head = f"<tr><th>keypoint</th><th>mean ({unit})</th><th>median</th><th>95 %</th>"
    head += "<th>largest</th><th>known</th></tr>"
    return (
        "<h2>Errors</h2>"
        + _picture(
            _error_figure(registration, error, unit),
            "Errors of each keypoint, their histogram, and the mean error over time",
        )
        + _table("Errors of keypoints", head + "".join(rows))
    )


def _error_figure(registration: Registration, error: np.ndarray, unit: str) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 6.4), layout="constrained")
    top, bottom = figure.subplots(2, 1, height_ratios=(1.25, 1))
    order = np.argsort(np.nan_to_num(np.nanmedian(error, axis=0)))
    known = [error[:, k][np.isfinite(error[:, k])] for k in order]
    top.boxplot(
        known,
        showfliers=False,
        whis=(5, 95),
        patch_artist=True,
        boxprops={"facecolor": _LIGHT, "linewidth": 0.6},
        medianprops={"color": _BLUE},
        whiskerprops={"linewidth": 0.6},
        capprops={"linewidth": 0.6},
    )
    top.set_xticks(
        range(1, len(order) + 1),
        [registration.keypoint_names[k] for k in order],
        rotation=60 if len(order) > 12 else 0,
        ha="right" if len(order) > 12 else "center",
        fontsize=8,
    )
    top.set_ylabel(f"error ({unit})")
    top.set_title("each keypoint: median, quartiles, 5 and 95 %", fontsize=9)
    left, right = bottom.get_subplotspec().subgridspec(1, 2, width_ratios=(1, 1.6)).subplots()
    bottom.remove()
    everything = error[np.isfinite(error)]
    top_end = np.percentile(everything, 99.5)
    left.hist(np.clip(everything, 0, top_end), bins=50, color=_LIGHT, edgecolor="white", lw=0.3)
    left.axvline(everything.mean(), color=_RED, linewidth=1)
    left.set_xlabel(f"error ({unit}); line: mean")
    left.set_ylabel("keypoints")
    seconds = np.arange(len(error)) / registration.clips.fps
    right.plot(seconds, np.nanmean(error, axis=1), color=_BLUE, linewidth=0.8)
    right.set_xlabel("time (s)")
    right.set_ylabel(f"mean error of a frame ({unit})")
    right.set_ylim(0)
    for axis in (top, left, right):
        axis.spines[["top", "right"]].set_visible(False)
    return figure


def _heights(registration: Registration) -> str:
    figure = height_figure(registration, *_unit(registration))
    if figure is None:
        return ""
    text = "Heights of the root and of the lowest foot over time, the floor, and gaps"
    return "<h2>Floor and gaps</h2>" + _picture(figure, text)


def _worst(registration: Registration) -> str:
    unit, factor = _unit(registration)
    frames = np.nanmean(registration.residuals * factor, axis=1)
    chosen = _spread_out(np.nan_to_num(frames), max(1, len(frames) // 50))
    renderer = MarkerRenderer(registration.body, 480, 360)
    qpos, markers = registration.qpos, registration.markers
    figures = []
    try:
        for t in chosen:
            picture = renderer.draw_markers(qpos[t], registration.targets[t], markers[t])
            error = registration.residuals[t] * factor
            k = int(np.nanargmax(error))
            caption = (
                f"frame {t}: mean {frames[t]:.3g} {unit}, largest {error[k]:.3g} {unit} "
                f"({registration.keypoint_names[k]})"
            )
            figures.append(
                f"<figure><img src='{_embedded(picture)}' alt='frame {t}'>"
                f"<figcaption>{html.escape(caption)}</figcaption></figure>"
            )
    finally:
        renderer.close()
    return (
        "<h2>Worst frames</h2><p>Recorded keypoints red, markers on the body blue.</p>"
        f"<div class='frames'>{''.join(figures)}</div>"
    )


def _spread_out(error: np.ndarray, gap: int) -> list[int]:
    """Frames of the largest errors, no two of them nearer than `gap`."""
    chosen: list[int] = []
    for t in map(int, np.argsort(-error)):
        if all(abs(t - other) >= gap for other in chosen):
            chosen.append(t)
        if len(chosen) == _WORST_FRAMES:
            break
    return chosen


def _joints(registration: Registration) -> str:
    hidden = ", ".join(
        f"{name} ({'never' if np.isinf(sd) else f'{sd:.0f} deg'})"
        for name, sd in registration.joint_sd_deg.items()
        if sd >= OBSERVED_DEG
    )
    note = (
        f"<p>Not observed, because keypoints leave them more than {OBSERVED_DEG:g} degrees "
        f"uncertain or do not move with them (never): {html.escape(hidden)}.</p>"
        if hidden
        else ""
    )
    picture = _picture(
        _joint_figure(registration), "Range that each joint used, within the limits of the body"
    )
    return "<h2>Joints</h2>" + picture + note


def _joint_figure(registration: Registration) -> Figure:
    from matplotlib.figure import Figure

    model, qpos = registration.body.model, registration.qpos
    names = [n for n, sd in registration.joint_sd_deg.items() if np.isfinite(sd)]
    names = [n for n in names if model.joint(n).type[0] == int(mujoco.mjtJoint.mjJNT_HINGE)]
    figure = Figure(figsize=(10, 0.6 + 0.17 * max(len(names), 4)), layout="constrained")
    axis = figure.subplots()
    for row, name in enumerate(names):
        joint = model.joint(name)
        values = np.degrees(qpos[:, joint.qposadr[0]])
        if model.jnt_limited[joint.id]:
            low, high = np.degrees(joint.range)
            axis.plot([low, high], [row, row], color="#ddd", linewidth=7, solid_capstyle="butt")
        ends = np.percentile(values, (0, 5, 50, 95, 100))
        color = _BLUE if registration.joint_sd_deg[name] < OBSERVED_DEG else "#999999"
        axis.plot(ends[[0, 4]], [row, row], color=color, linewidth=0.8)
        axis.plot(ends[[1, 3]], [row, row], color=color, linewidth=3.5, solid_capstyle="butt")
        axis.plot(ends[2], row, "o", color="white", markersize=2.5)
    axis.set_yticks(range(len(names)), names, fontsize=7)
    axis.set_ylim(len(names) - 0.5, -0.5)
    axis.set_xlabel("degrees")
    axis.set_title(
        "used (thin: all, thick: 5 to 95 %; grey: not observed) within the limits (wide)",
        fontsize=9,
    )
    axis.spines[["top", "right"]].set_visible(False)
    return figure


def _offsets(registration: Registration) -> str:
    unit, factor = _unit(registration)
    rows = []
    for name, offset in zip(registration.keypoint_names, registration.offsets, strict=True):
        expected = registration.body.keypoints[name]
        cells = [*(offset * factor), np.linalg.norm(offset - np.array(expected.offset)) * factor]
        values = "".join(f"<td>{x:.2f}</td>" for x in cells)
        rows.append(
            f"<tr><td>{html.escape(name)}</td><td>{html.escape(expected.body)}</td>{values}</tr>"
        )
    head = f"<tr><th>keypoint</th><th>on</th><th>x ({unit})</th><th>y</th><th>z</th>"
    head += "<th>from expected</th></tr>"
    return (
        "<h2>Scale and offsets</h2>"
        f"<p>The animal is {registration.scale:.4f} times as large as the model. Offsets are "
        "in the frames of the bodies that carry the markers, at the size of the model.</p>"
        + _table("Offsets", head + "".join(rows))
    )


def _settings(registration: Registration) -> str:
    unit, factor = _unit(registration)
    rows = "".join(
        f"<tr><td>{html.escape(k)}</td><td>{html.escape(str(v))}</td></tr>"
        for k, v in registration.settings.items()
    )
    noise = f"<tr><td>noise of a coordinate, estimated</td><td>{registration.noise * factor:.3g} "
    return "<h2>Settings</h2>" + _table("Settings", f"{rows}{noise}{unit}</td></tr>")


def _table(name: str, rows: str) -> str:
    """A table that scrolls by itself where the page is narrow."""
    return (
        f"<div class='wide' role='region' aria-label='{html.escape(name)}' tabindex='0'>"
        f"<table>{rows}</table></div>"
    )


def _picture(figure: Figure, text: str) -> str:
    """A figure as an image, with a text for those who do not see it."""
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=110, format="png", bbox_inches="tight")
    data = base64.b64encode(buffer.getvalue()).decode()
    return f"<img src='data:image/png;base64,{data}' alt='{html.escape(text)}'>"


def _embedded(picture: np.ndarray) -> str:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="jpeg", quality=88)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
