"""Quaternions: the angle is the full one, and the algebra agrees with MuJoCo's."""

from __future__ import annotations

import jax.numpy as jnp
import mujoco
import numpy as np
import pytest

from mimic_envs.mdp import rotations


def turn(degrees: float, axis: tuple[float, float, float] = (0, 0, 1)) -> jnp.ndarray:
    half = np.deg2rad(degrees) / 2
    return jnp.array([np.cos(half), *(np.sin(half) * np.array(axis))], jnp.float32)


@pytest.mark.parametrize("degrees", [0.001, 0.1, 1, 20, 40, 90, 135, 179.9])
def test_angle_is_the_full_angle(degrees: float) -> None:
    start = turn(73, (0.6, 0, 0.8))
    turned = rotations.multiply(turn(degrees, (0, 0.6, 0.8)), start)
    for sign in (1, -1):
        angle = np.rad2deg(rotations.angle_between(start, sign * turned))
        assert angle == pytest.approx(degrees, rel=1e-3, abs=1e-4)


def test_agrees_with_mujoco() -> None:
    rng = np.random.default_rng(1)
    for _ in range(10):
        a, b, v = rng.normal(size=4), rng.normal(size=4), rng.normal(size=3)
        a, b = a / np.linalg.norm(a), b / np.linalg.norm(b)
        product, rotated = np.zeros(4), np.zeros(3)
        mujoco.mju_mulQuat(product, a, b)
        mujoco.mju_rotVecQuat(rotated, v, a)
        np.testing.assert_allclose(
            rotations.multiply(jnp.array(a), jnp.array(b)), product, atol=1e-6
        )
        np.testing.assert_allclose(rotations.rotate(jnp.array(a), jnp.array(v)), rotated, atol=1e-6)
        flat = np.zeros(9)
        mujoco.mju_quat2Mat(flat, a)
        np.testing.assert_allclose(rotations.matrix(jnp.array(a)), flat.reshape(3, 3), atol=1e-6)
        inverse = rotations.rotate(rotations.conjugate(jnp.array(a)), jnp.array(rotated))
        np.testing.assert_allclose(inverse, v, atol=1e-6)
