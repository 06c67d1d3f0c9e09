"""Variability across repeats of a trial, and what of it matters to the task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import mujoco
import numpy as np

from mimic_envs.analysis import result
from mimic_envs.analysis.dose import scores
from mimic_envs.analysis.result import (
    COLORS,
    Missing,
    Result,
    frame,
    legend_below,
    matrix,
    new_figure,
    styled,
)

if TYPE_CHECKING:
    import xarray

    from mimic_envs import bodies

VARIABLES = ("network_latent", "action", "joint_angle", "body_position")
"""Variables whose variance across repeats is measured."""
_FRAMES = 25
"""Frames of a trial whose Jacobians are computed, at most."""


def across_repeats(x: np.ndarray) -> np.ndarray:
    """Variance across repeats, mean over time, (D,); unbiased.

    Args:
        x: Repeats of one trial, (repeats, T, D).
    """
    return x.var(axis=0, ddof=1).mean(axis=0)


def split_by_task(deviations: np.ndarray, jacobian: np.ndarray) -> tuple[float, float]:
    """Variance per dimension that changes what the task is about, and that does not.

    Deviations are projected on the row space of the Jacobian and on its null space (the
    uncontrolled manifold, Scholz and Schoner 1999).

    Args:
        deviations: Of joint angles from their mean, (n, joints), rad.
        jacobian: Derivatives of task variables by joint angles, (task, joints).

    Returns:
        Both variances; NaN for the second where no dimension is left.
    """
    _, s, vt = np.linalg.svd(jacobian)
    rank = int((s > 1e-6 * max(s.max(initial=0.0), 1e-300)).sum())
    relevant, rest = deviations @ vt[:rank].T, deviations @ vt[rank:].T
    n, left = len(deviations), vt.shape[0] - rank
    return (
        float((relevant**2).sum() / (n * max(rank, 1))),
        float((rest**2).sum() / (n * left)) if left else float("nan"),
    )


def task_jacobian(body: bodies.Body, qpos: np.ndarray) -> np.ndarray:
    """Derivatives of the feet's positions by all joints but the root's, (3 feet, joints).

    For a limb on a fixed base, its end effectors. Positions count relative to the root body.

    Args:
        body: The body.
        qpos: Generalized positions, (nq,).
    """
    model, names = body.model, list(body.body_names)
    data = mujoco.MjData(model)
    data.qpos[:] = qpos
    mujoco.mj_kinematics(model, data)
    mujoco.mj_comPos(model, data)
    joints = [body.joint_names.index(j) for j in body.hinge_names]
    parts = []
    for name in body.feet or body.end_effectors:
        jacobian = np.zeros((3, model.nv))
        mujoco.mj_jacBody(model, data, jacobian, None, names.index(name))
        parts.append(jacobian[:, model.jnt_dofadr[joints]])
    return np.concatenate(parts)


def task_ratio(body: bodies.Body, qpos: np.ndarray) -> tuple[float, float]:
    """Variance of joint angles across repeats that moves the feet, and that does not.

    Per dimension, mean over frames.

    Args:
        body: The body.
        qpos: Repeats of one trial, (repeats, T, nq).
    """
    joints = [body.joint_names.index(j) for j in body.hinge_names]
    at = body.model.jnt_qposadr[joints]
    parts = []
    count = qpos.shape[1]
    for t in np.unique(np.linspace(0, count - 1, min(count, _FRAMES)).astype(int)):
        middle = qpos[0, t].copy()
        middle[at] = qpos[:, t, at].mean(axis=0)
        deviations = qpos[:, t, at] - middle[at]
        parts.append(split_by_task(deviations, task_jacobian(body, middle)))
    unbiased = len(qpos) / (len(qpos) - 1)
    relevant, rest = np.mean(parts, axis=0) * unbiased
    return float(relevant), float(rest)


def repeats(dataset: xarray.Dataset) -> dict[tuple[str, str], np.ndarray]:
    """Numbers of recorded trials that repeat the same trial in the same condition."""
    names = dataset["trial_name"].to_numpy().astype(str)
    keys = list(zip(names, result.conditions(dataset), strict=True))
    found = {key: np.flatnonzero([k == key for k in keys]) for key in dict.fromkeys(keys)}
    return {key: numbers for key, numbers in found.items() if len(numbers) > 1}


@styled
def variability(dataset: xarray.Dataset) -> Result:
    """Variance across repeats of latent, action and pose, by condition and behavior.

    Also the ratio of the variance of joint angles that moves the feet to the variance that does
    not, and the score against the dose.

    Raises:
        Missing: No trial was repeated.
    """
    groups = repeats(dataset)
    if not groups:
        raise Missing("needs repeats of a trial: an experiment with repeats")
    known = {n: matrix(dataset, n) for n in VARIABLES if n in dataset}
    table = _measured(dataset, groups, known)
    table_frame = frame(table)
    measures = [n for n in (*known, "relevant", "irrelevant", "ratio", "score") if n in table_frame]
    numbers: dict[str, Any] = {}
    for condition, own in table_frame.groupby("condition", sort=False):
        numbers[str(condition)] = {
            "dose": float(own["dose"].iloc[0]),
            "manipulation": str(own["manipulation"].iloc[0]),
            "repeats": int(own["repeats"].max()),
            **{n: float(own[n].mean()) for n in measures},
        }
    title = "Variability across repeats"
    note = (
        "Sum over entries of the variance across repeats, mean over time and trials. Relevant is "
        "the variance of joint angles, per dimension, that moves the feet from the root (row space "
        "of the Jacobian of their positions), irrelevant the rest; the ratio is the mean of the "
        f"trials' ratios. n = {len(table)} repeated trials."
    )
    figure = _draw(table_frame, list(known))
    tables = {"variability": table_frame}
    return Result("variability", title, numbers, tables, figure, (note,))


def _measured(
    dataset: xarray.Dataset,
    groups: dict[tuple[str, str], np.ndarray],
    known: dict[str, np.ndarray],
) -> list[dict[str, Any]]:
    """Measures of each repeated trial."""
    from mimic_envs.rollouts import datasets

    rows, score = dataset["trial"].to_numpy(), scores(dataset)
    try:
        body, qpos = datasets.checked_body(dataset), matrix(dataset, "qpos")
    except ValueError:  # a body that is not registered here
        body, qpos = None, None
    columns = {
        name: dataset[name].to_numpy() if name in dataset else None
        for name in ("manipulation", "dose", "label")
    }
    table = []
    for (trial, condition), numbers in groups.items():
        first = numbers[0]
        length = min(int((rows == i).sum()) for i in numbers)
        row: dict[str, Any] = {"trial": trial, "condition": condition, "repeats": len(numbers)}
        row |= {k: "" if x is None else x[first] for k, x in columns.items() if k != "dose"}
        row["dose"] = 0.0 if columns["dose"] is None else float(columns["dose"][first])
        row["score"] = float(score[numbers].mean())
        for name, x in known.items():
            stacked = np.stack([x[rows == i][:length] for i in numbers])
            row[name] = float(across_repeats(stacked).sum())
        if body is not None and qpos is not None:
            stacked = np.stack([qpos[rows == i][:length] for i in numbers])
            row["relevant"], row["irrelevant"] = task_ratio(body, stacked)
            row["ratio"] = row["relevant"] / row["irrelevant"] if row["irrelevant"] else np.nan
        table.append(row)
    return table


def _draw(table: Any, known: list[str]) -> Any:
    """Curves against the dose where there is one, else bars; bars by behavior."""
    kinds = [k for k in dict.fromkeys(table["manipulation"]) if k]
    figure, axes = new_figure(180, 62, columns=4)
    variance, ratio, score, labels = axes[0]
    name = "joint_angle" if "joint_angle" in known else known[0]
    base = table[table["manipulation"] == ""]
    for i, kind in enumerate(kinds):
        own = table[table["manipulation"] == kind]
        for axis, column in ((variance, name), (ratio, "ratio"), (score, "score")):
            if column not in table:
                continue
            curve = own.groupby("dose")[column].agg(["mean", "sem"])
            if column == "score" and len(base):
                curve.loc[0.0] = base[column].agg(["mean", "sem"])
                curve = curve.sort_index()
            bars, most = curve["sem"].fillna(0.0), own["dose"].max()
            axis.errorbar(
                curve.index / (most or 1.0),
                curve["mean"],
                bars,
                fmt="o-",
                ms=3,
                color=COLORS[i],
                label=f"{kind}, largest dose {most:g}",
            )
    largest = table.groupby("manipulation")["dose"].transform("max")
    own = table[(table["dose"] == largest) & (table["manipulation"] != "")]
    own = own if len(own) else table
    means = own.groupby("label")[name].mean()
    labels.bar(range(len(means)), means, color=COLORS[0])
    labels.set_xticks(range(len(means)), [str(x) or "all" for x in means.index], rotation=60)
    labels.set_title("largest doses")
    if (table.loc[table["manipulation"] != "", name] > 0).all() and kinds:
        variance.set_yscale("log")
    variance.set_ylabel(f"variance of {name.removeprefix('network_')}")
    labels.set_ylabel(f"variance of {name.removeprefix('network_')}")
    ratio.set_ylabel("relevant / irrelevant variance")
    ratio.axhline(1.0, color="0.6", lw=0.6, ls="--")
    score.set_ylabel("score")
    for axis in (variance, ratio, score):
        axis.set_xlabel("dose (share of the largest)")
    variance.set_title(f"n = {len(table)} repeated trials")
    if kinds:
        legend_below(figure, variance)
    return figure
