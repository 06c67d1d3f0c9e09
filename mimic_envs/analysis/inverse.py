"""Inverse dynamics of the recorded motion, and what muscles would have to do for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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


@styled
def inverse_dynamics(dataset: xarray.Dataset) -> Result:
    """Torques that the clip asks for, beside those of the model; and what the root would need.

    At the root there are no actuators: what inverse dynamics asks for there comes from contacts,
    which inverse dynamics leaves out, or cannot be explained by the model.

    Raises:
        Missing: No torques or no inverse dynamics were recorded.
    """
    require(dataset, "inverse_dynamics_torque", "joint_torque")
    wanted, made = matrix(dataset, "inverse_dynamics_torque"), matrix(dataset, "joint_torque")
    dofs = [str(x) for x in dataset["dof"].to_numpy()]
    joints = [str(x) for x in dataset["joint"].to_numpy()]
    at = [dofs.index(j) for j in joints if j in dofs]
    root = [i for i in range(len(dofs)) if i not in at]
    weight = float(dataset.attrs["mass"]) * float(dataset.attrs["gravity"])
    table: list[dict[str, Any]] = []
    for i in at:
        r = np.corrcoef(wanted[:, i], made[:, i])[0, 1] if made[:, i].std() > 0 else np.nan
        table.append(
            {
                "dof": dofs[i],
                "rms_inverse": float(np.sqrt(np.mean(wanted[:, i] ** 2))),
                "rms_model": float(np.sqrt(np.mean(made[:, i] ** 2))),
                "correlation": float(r),
            }
        )
    numbers: dict[str, Any] = {row["dof"]: row for row in table}
    if len(root) >= 3 and weight > 0:
        force = np.linalg.norm(wanted[:, root[:3]], axis=1) / weight
        numbers["root_force_per_weight"] = {
            "median": float(np.median(force)),
            "p95": float(np.quantile(force, 0.95)),
        }
    rows, time = trials(dataset), dataset["time_s"].to_numpy()
    own = rows == 0
    busiest = sorted(at, key=lambda i: -made[:, i].std())[:3]
    figure, axes = new_figure(180, 50, columns=len(busiest))
    for axis, i in zip(axes[0], busiest, strict=True):
        axis.plot(time[own], wanted[own, i], color="0.6", lw=1.6, label="inverse dynamics")
        axis.plot(time[own], made[own, i], color=COLORS[0], lw=0.8, label="model")
        axis.set_title(dofs[i])
        axis.set_xlabel("time (s)")
    axes[0, 0].set_ylabel("torque (model units)")
    legend_below(figure, axes[0, 0], 2)
    title = "Inverse dynamics of the clip"
    note = (
        "Inverse dynamics of the clip, low-passed at 15 Hz, without contacts; "
        f"n = {len(np.unique(rows))} trials."
    )
    return Result("inverse_dynamics", title, numbers, {"torques": frame(table)}, figure, (note,))
