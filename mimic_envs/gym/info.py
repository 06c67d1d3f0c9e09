"""What users see in `info`, the same on both faces."""

from __future__ import annotations

from typing import Any

import numpy as np

from mimic_envs.env import Environment
from mimic_envs.gym.stepper import Stepper


def of_environments(env: Environment, stepper: Stepper) -> dict[str, np.ndarray]:
    """The info of each environment of a stepper, arrays (n,): int64, float64 or texts.

    After a reset it has the same names as after a step; metrics are then 0.
    """
    found, info = {}, stepper.info
    for name, values in info.items():
        found[name] = values.astype(np.int64 if values.dtype.kind == "i" else np.float64)
    return found | env.task.command.texts(info)


def of_one(env: Environment, stepper: Stepper) -> dict[str, Any]:
    """The info of the only environment of a stepper: whole numbers, floats and texts."""
    info = stepper.info
    texts = env.task.command.texts(info)
    return {name: values.item() for name, values in (info | texts).items()}


def masked(found: dict[str, np.ndarray], mask: np.ndarray) -> dict[str, Any]:
    """The info of a vector environment, by Gymnasium's convention.

    Args:
        found: Info of each environment.
        mask: Of which environments there is any, (n,) bool. Elsewhere numbers are 0 and texts
            None; `_<name>` says where `<name>` is valid.
    """
    infos: dict[str, Any] = {}
    for name, values in found.items():
        infos[name] = np.full_like(values, None if values.dtype == object else 0)
        infos[name][mask] = values[mask]
        infos[f"_{name}"] = mask.copy()
    return infos
