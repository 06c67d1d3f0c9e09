"""Spaces of an environment, and checks of what users pass to it."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np

from mimic_envs.env import Environment
from mimic_envs.options import require_finite


def render_fps(env: Environment) -> int:
    """Pictures per second that show the motion at its true speed: the control rate."""
    return round(1.0 / env.body.control_timestep_s)


def spaces(env: Environment) -> tuple[gymnasium.spaces.Box, gymnasium.spaces.Box]:
    """Observation and action space of one environment."""
    layout = env.observation_layout().values()
    bound = np.concatenate([np.full(where.stop - where.start, b) for where, _, b in layout])
    bound = bound.astype(np.float32)
    return (
        gymnasium.spaces.Box(-bound, bound, dtype=np.float32),
        gymnasium.spaces.Box(-1.0, 1.0, (env.action_size,), np.float32),
    )


def draw_key(generator: np.random.Generator) -> np.ndarray:
    """A JAX random key, (2,) uint32, drawn from a NumPy generator."""
    return generator.integers(0, 2**32, size=2, dtype=np.uint32)


def checked_actions(env: Environment, actions: Any, shape: tuple[int, ...] | None) -> np.ndarray:
    """Actions as float32 within [-1, 1], with NaN for numbers that are not finite.

    Raises:
        ValueError: Wrong shape; not finite, if the environment does not accept that.
    """
    actions = np.asarray(actions, np.float32)
    if actions.shape != shape:
        raise ValueError(f"action has shape {actions.shape}, expected {shape}")
    # `np.clip` takes three times as long for one action
    clipped, finite = np.minimum(np.maximum(actions, -1.0), 1.0), np.isfinite(actions)
    if finite.all():
        return clipped
    if env.settings.nonfinite_actions == "raise":
        require_finite(actions)
    return np.where(finite, clipped, np.float32(np.nan))
