"""Pytrees as rows of words come back bit for bit."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mimic_envs.gym.packing import Packing, aligned

SHAPES = {
    "floats": jax.ShapeDtypeStruct((2, 3), jnp.float32),
    "none": None,
    "flag": jax.ShapeDtypeStruct((), jnp.bool_),
    "nested": [
        jax.ShapeDtypeStruct((), jnp.int32),
        jax.ShapeDtypeStruct((2,), jnp.uint32),
        jax.ShapeDtypeStruct((0, 4), jnp.float32),
    ],
}
TREE = {
    "floats": np.array([[0.0, -0.0, np.nan], [1e-42, np.inf, 1.5]], np.float32),
    "none": None,
    "flag": np.array(True),
    "nested": [np.int32(-7), np.array([0, 2**32 - 1], np.uint32), np.zeros((0, 4), np.float32)],
}


def assert_same(found: dict, expected: dict) -> None:
    pairs = zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True)
    for own, other in pairs:
        assert np.asarray(own).dtype == np.asarray(other).dtype
        assert np.asarray(own).shape == np.asarray(other).shape
        assert np.asarray(own).tobytes() == np.asarray(other).tobytes()


def test_words_come_back_in_programs_and_on_the_host() -> None:
    packing = Packing(SHAPES)
    assert packing.width == 6 + 1 + 1 + 2
    words = jax.jit(packing.pack)(TREE)
    assert words.dtype == jnp.uint32
    assert_same(jax.jit(packing.unpack)(words), TREE)
    rows = aligned(3, packing.width)
    packing.write(jax.tree.map(lambda x: np.stack([x] * 3), TREE), rows)
    np.testing.assert_array_equal(rows, np.stack([words] * 3))
    read = packing.read(rows)
    assert_same(jax.tree.map(lambda x: x[1], read), TREE)


def test_nothing_is_no_words() -> None:
    packing = Packing({"none": None})
    assert packing.pack({"none": None}).shape == (0,)
    assert packing.read(np.zeros((2, 0), np.uint32)) == {"none": None}


def test_other_types_are_refused() -> None:
    with pytest.raises(TypeError, match="an array of float16 cannot be packed"):
        Packing({"half": jax.ShapeDtypeStruct((2,), jnp.float16)})


@pytest.mark.parametrize("rows", [1, 5])
def test_rows_begin_where_jax_reads_in_place(rows: int) -> None:
    array = aligned(rows, 7)
    assert array.shape == (rows, 7)
    assert array.ctypes.data % 64 == 0
    assert not array.any()
