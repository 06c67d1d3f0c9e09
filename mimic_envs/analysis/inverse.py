"""Inverse dynamics of the recorded motion, and what muscles would have to do for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import mujoco
import numpy as np

from mimic_envs.analysis.result import (
    COLORS,
    Result,
    frame,
    legend_below,
    matrix,
    new_figure,
    require,
    styled,
    trials,
)

if TYPE_CHECKING:
    import xarray

    from mimic_envs import bodies

_FRAMES = 400
"""Frames of a dataset whose muscles are optimized, at most."""


def static_optimization(moments: np.ndarray, torque: np.ndarray) -> tuple[np.ndarray, float]:
    """Activations between 0 and 1 with the smallest sum of squares that make a torque.

    min |a|^2 so that M a = torque; where that is impossible, the torque is met as well as it can.

    Args:
        moments: Torque of each muscle at full activation, (dofs, muscles).
        torque: Wanted torque, (dofs,).

    Returns:
        Activations, (muscles,), and the length of the torque that is not met.
    """
    from scipy.optimize import lsq_linear

    scale = max(float(np.abs(moments).max()), 1e-300)
    small = 1e-4  # weight of the activations against the torque
    a = np.concatenate([moments / scale, small * np.eye(moments.shape[1])])
    b = np.concatenate([torque / scale, np.zeros(moments.shape[1])])
    found = lsq_linear(a, b, bounds=(0.0, 1.0), tol=1e-12).x
    return found, float(np.linalg.norm(moments @ found - torque))


def muscle_moments(
    body: bodies.Body, qpos: np.ndarray, qvel: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Torque of each muscle at full activation, and the torque of all at rest.

    Muscle forces follow from length and speed, as in MuJoCo's muscle model.

    Args:
        body: A body whose actuators are muscles.
        qpos: Generalized positions, (nq,).
        qvel: Generalized velocities, (nv,).

    Returns:
        Torques at each degree of freedom: (nv, muscles) above those at rest, and (nv,).
    """
    from mimic_envs.clips import kinematics

    model = body.model
    data = mujoco.MjData(model)
    data.qpos[:], data.qvel[:] = qpos, qvel
    mujoco.mj_forward(model, data)
    moment = kinematics.actuator_moment(model, data)
    full, rest = np.zeros(model.nu), np.zeros(model.nu)
    for i in range(model.nu):
        given = model.actuator_lengthrange[i], float(model.actuator_acc0[i])
        length, speed = float(data.actuator_length[i]), float(data.actuator_velocity[i])
        gain, bias = model.actuator_gainprm[i, :9], model.actuator_biasprm[i, :9]
        full[i] = mujoco.mju_muscleGain(length, speed, *given, gain)
        rest[i] = mujoco.mju_muscleBias(length, *given, bias)
    return (moment * full[:, None]).T, moment.T @ rest


def optimized(dataset: xarray.Dataset) -> dict[str, Any] | None:
    """Activations of least squares that would make the clip's motion, beside the model's.

    None where there are no muscles, or the body is not known here.

    Returns:
        `wanted` and `made`, (n, muscles); and `missing`, the torque that no activations make as a
        share of the torque that is asked for, rms over frames.
    """
    from mimic_envs.rollouts import datasets

    if "activation" not in dataset or "reference_qpos" not in dataset:
        return None
    try:
        body = datasets.checked_body(dataset)
    except ValueError:
        return None
    muscle = int(mujoco.mjtGain.mjGAIN_MUSCLE)
    if not (body.model.actuator_gaintype == muscle).all() or body.root_joints:
        return None
    at = np.arange(0, dataset.sizes["time"], max(dataset.sizes["time"] // _FRAMES, 1))
    torque = matrix(dataset, "inverse_dynamics_torque")[at]
    qpos, qvel = (matrix(dataset, f"reference_{n}")[at] for n in ("qpos", "qvel"))
    wanted, missing = [], []
    for t in range(len(at)):
        moments, rest = muscle_moments(body, qpos[t], qvel[t])
        activation, short = static_optimization(moments, torque[t] - rest)
        wanted.append(activation)
        missing.append(short)
    share = np.sqrt(np.mean(np.square(missing)) / max(np.mean((torque**2).sum(axis=1)), 1e-300))
    return {
        "wanted": np.array(wanted),
        "made": matrix(dataset, "activation")[at],
        "missing": float(share),
    }


@styled
def inverse_dynamics(dataset: xarray.Dataset) -> Result:
    """Torques that the clip asks for, beside those of the model; and what the root would need.

    At the root there are no actuators: what inverse dynamics asks for there comes from contacts,
    which inverse dynamics leaves out, or cannot be explained by the model. With muscles, also the
    activations of the smallest sum of squares that would make these torques.

    Raises:
        Missing: No torques or no inverse dynamics were recorded.
    """
    require(dataset, "inverse_dynamics_torque", "joint_torque")
    wanted, made = matrix(dataset, "inverse_dynamics_torque"), matrix(dataset, "joint_torque")
    dofs = [str(x) for x in dataset["dof"].to_numpy()]
    joints = [str(x) for x in dataset["joint"].to_numpy()]
    at = [dofs.index(j) for j in joints if j in dofs]
    numbers: dict[str, Any] = {}
    table: list[dict[str, Any]] = []
    for i in at:
        table.append(
            {
                "dof": dofs[i],
                "rms_inverse": float(np.sqrt(np.mean(wanted[:, i] ** 2))),
                "rms_model": float(np.sqrt(np.mean(made[:, i] ** 2))),
                "correlation": _correlation(wanted[:, i], made[:, i]),
            }
        )
    numbers |= {row["dof"]: row for row in table}
    numbers |= _residual(dataset, wanted, made, [i for i in range(len(dofs)) if i not in at])
    tables = {"torques": frame(table)}
    found = optimized(dataset)
    if found is not None:
        names = [str(x) for x in dataset["activated"].to_numpy()]
        rows = [
            {
                "muscle": name,
                "mean_optimized": float(found["wanted"][:, i].mean()),
                "mean_model": float(found["made"][:, i].mean()),
                "correlation": _correlation(found["wanted"][:, i], found["made"][:, i]),
            }
            for i, name in enumerate(names)
        ]
        sums = [float((found[k] ** 2).sum(axis=1).mean()) for k in ("wanted", "made")]
        numbers["static_optimization"] = {
            "missing_torque_share": found["missing"],
            "sum_of_squares_optimized": sums[0],
            "sum_of_squares_model": sums[1],
            **{row["muscle"]: row for row in rows},
        }
        tables["muscles"] = frame(rows)
    busiest = sorted(at, key=lambda i: -made[:, i].std())[:3]
    figure = _draw(dataset, wanted, made, busiest, dofs)
    title = "Inverse dynamics of the clip"
    note = (
        "Inverse dynamics of the clip, low-passed at 15 Hz, without contacts; lines are medians "
        "over trials at the same share of their time, bands the middle half. "
        f"n = {len(np.unique(trials(dataset)))} trials."
    )
    return Result("inverse_dynamics", title, numbers, tables, figure, (note,))


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(a, b)[0, 1]) if a.std() > 0 and b.std() > 0 else float("nan")


def _residual(
    dataset: xarray.Dataset, wanted: np.ndarray, made: np.ndarray, root: list[int]
) -> dict[str, Any]:
    """Force that the clip needs at the root, per weight; and what contacts leave of it."""
    weight = float(dataset.attrs["mass"]) * float(dataset.attrs["gravity"])
    if len(root) < 3 or weight <= 0:
        return {}
    parts = {"root_force_per_weight": wanted[:, root[:3]]}
    if "constraint_torque" in dataset:  # contacts of the model, which follows the clip
        contacts = matrix(dataset, "constraint_torque")[:, root[:3]]
        parts["residual_root_force_per_weight"] = wanted[:, root[:3]] - contacts
    found = {}
    for name, force in parts.items():
        size = np.linalg.norm(force, axis=1) / weight
        found[name] = {"median": float(np.median(size)), "p95": float(np.quantile(size, 0.95))}
    return found


def bands(x: np.ndarray, rows: np.ndarray, points: int = 100) -> np.ndarray:
    """Quartiles over trials at equal shares of their time, (3, points).

    Args:
        x: A signal, (T,).
        rows: Trial of each row, (T,).
        points: Shares of the time, evenly spaced.
    """
    grid = np.linspace(0, 1, points)
    cut = [
        np.interp(grid, np.linspace(0, 1, own.sum()), x[own])
        for own in (rows == trial for trial in np.unique(rows))
    ]
    return np.quantile(np.array(cut), [0.25, 0.5, 0.75], axis=0)


def _draw(
    dataset: xarray.Dataset,
    wanted: np.ndarray,
    made: np.ndarray,
    busiest: list[int],
    dofs: list[str],
) -> Any:
    rows, share = trials(dataset), np.linspace(0, 1, 100)
    figure, axes = new_figure(180, 50, columns=len(busiest))
    for axis, i in zip(axes[0], busiest, strict=True):
        for x, color, label in (
            (wanted[:, i], "0.4", "inverse dynamics"),
            (made[:, i], COLORS[0], "model"),
        ):
            low, middle, high = bands(x, rows)
            axis.plot(share, middle, color=color, label=label)
            axis.fill_between(share, low, high, color=color, alpha=0.2, lw=0)
        axis.set_title(dofs[i])
        axis.set_xlabel("share of the trial")
    axes[0, 0].set_ylabel("torque (model units)")
    legend_below(figure, axes[0, 0], 2)
    return figure
