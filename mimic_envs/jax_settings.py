"""JAX's global settings must not change what this package computes.

A user may set `jax_enable_x64`, `jax_numpy_rank_promotion` or `jax_default_prng_impl` for code
of their own. The functions here keep ours in 32 bits, and seeds with their meaning.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import jax
import jax.numpy as jnp

PRNG = "threefry2x32"
"""JAX's name of the random generator that every seed of this package belongs to."""
_WORDS = 2
"""Words of uint32 in a key of that generator."""


@contextlib.contextmanager
def package_settings() -> Iterator[None]:
    """Compute in 32 bits, with rank promotion and with `PRNG`, whatever JAX is set to.

    Serves as a decorator of functions that are traced, too.
    """
    with (
        jax.enable_x64(False),
        jax.numpy_rank_promotion("allow"),
        jax.default_prng_impl(PRNG),
    ):
        yield


def random_key(seed: int) -> jax.Array:
    """Make a typed random key from a seed."""
    return jax.random.key(seed, impl=PRNG)


def is_typed(key: jax.Array) -> bool:
    """Whether a random key is a typed one, as `jax.random.key` makes, not an array of words."""
    return bool(jnp.issubdtype(key.dtype, jax.dtypes.prng_key))


def typed(key: jax.Array) -> jax.Array:
    """A typed random key for any random key.

    Args:
        key: A typed key of any generator, or words of uint32: two are a key of `PRNG`, four
            one of the generator `rbg`.
    """
    if is_typed(key):
        return key
    words = jnp.asarray(key)
    return jax.random.wrap_key_data(words, impl=PRNG if words.shape[-1] == _WORDS else "rbg")
