"""Unit quaternions (wxyz) in JAX, for one rotation; batch with broadcasting or `vmap`."""

from __future__ import annotations

import jax
import jax.numpy as jnp


def conjugate(q: jax.Array) -> jax.Array:
    """The inverse rotation of unit quaternions (..., 4)."""
    return q * jnp.array([1.0, -1.0, -1.0, -1.0], q.dtype)


def multiply(a: jax.Array, b: jax.Array) -> jax.Array:
    """The product of quaternions (..., 4): first rotate by `b`, then by `a`."""
    aw, av, bw, bv = a[..., :1], a[..., 1:], b[..., :1], b[..., 1:]
    w = aw * bw - jnp.sum(av * bv, axis=-1, keepdims=True)
    v = aw * bv + bw * av + jnp.cross(av, bv)
    return jnp.concatenate([w, v], axis=-1)


def rotate(q: jax.Array, v: jax.Array) -> jax.Array:
    """Vectors (..., 3) rotated by unit quaternions (..., 4)."""
    w, u = q[..., :1], q[..., 1:]
    t = 2.0 * jnp.cross(jnp.broadcast_to(u, jnp.broadcast_shapes(u.shape, v.shape)), v)
    return v + w * t + jnp.cross(jnp.broadcast_to(u, t.shape), t)


def matrix(q: jax.Array) -> jax.Array:
    """Rotation matrix (3, 3) of a unit quaternion (4,); its columns are the rotated axes."""
    w, x, y, z = q
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return jnp.stack([entry for row in rows for entry in row]).reshape(3, 3)


def angle_between(a: jax.Array, b: jax.Array) -> jax.Array:
    """The full geodesic angle between two rotations, in [0, pi] radians.

    Equals `2 acos |<a, b>|`, in a form that is exact for small angles in float32.
    """
    relative = multiply(conjugate(a), b)
    sine = jnp.linalg.norm(relative[..., 1:], axis=-1)
    return 2.0 * jnp.arctan2(sine, jnp.abs(relative[..., 0]))


def canonical(q: jax.Array) -> jax.Array:
    """The one of `q` and `-q`, the same rotation, that has a non-negative real part."""
    return jnp.where(q[..., :1] < 0, -q, q)
