"""Terms of terminations that need no goal."""

from __future__ import annotations

import jax

from mimic_envs.mdp.context import Context


def root_height(c: Context) -> jax.Array:
    """World height of the root body, length units."""
    return c.root_position[2]
