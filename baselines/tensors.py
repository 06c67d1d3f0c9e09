"""Pytrees of arrays in files of the safetensors format, which holds no code.

Such a file is the length of a header as eight bytes, the header as JSON (name, type, shape
and place of each array, and free metadata), and the arrays. The `safetensors` package
reads it too. Arrays are named by their place in the pytree, for example `actor/network/0/bias`.
"""

from __future__ import annotations

import json
import os
import pathlib
from typing import Any

import jax
import numpy as np

_TYPES = {
    "BOOL": np.bool_,
    "U8": np.uint8,
    "I32": np.int32,
    "U32": np.uint32,
    "I64": np.int64,
    "F32": np.float32,
    "F64": np.float64,
}
_CODES = {np.dtype(kind): code for code, kind in _TYPES.items()}


def save(path: str | os.PathLike[str], tree: Any) -> None:
    """Write the arrays of a pytree, and have them on the disk when this returns."""
    arrays = {name: np.asarray(x) for name, x in _named(tree).items()}
    header, start = {}, 0
    for name, array in arrays.items():
        stop = start + array.nbytes
        header[name] = {
            "dtype": _CODES[array.dtype],
            "shape": list(array.shape),
            "data_offsets": [start, stop],
        }
        start = stop
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # so that the arrays are aligned
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for array in arrays.values():
            file.write(np.ascontiguousarray(array).tobytes())
        file.flush()
        os.fsync(file.fileno())


def load(path: str | os.PathLike[str], like: Any) -> Any:
    """Read a pytree that `save` wrote.

    Args:
        path: The file.
        like: A pytree of the same structure, of arrays or of `jax.ShapeDtypeStruct`.

    Raises:
        ValueError: The file is damaged or holds something else; the message says what.
    """
    path = pathlib.Path(path)
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    try:
        header = json.loads(data[8 : 8 + length])
    except ValueError as error:
        raise ValueError(f"{path} is damaged: its header cannot be read") from error
    wanted = _named(like)
    strange = sorted(set(header) - {"__metadata__"} ^ set(wanted))
    if strange:
        raise ValueError(f"{path} holds something else: {', '.join(strange[:3])} do not match")
    arrays = []
    for name, template in wanted.items():
        entry = header[name]
        kind, shape = np.dtype(_TYPES[entry["dtype"]]), tuple(entry["shape"])
        if (kind, shape) != (np.dtype(template.dtype), tuple(template.shape)):
            raise ValueError(
                f"{path}: {name} has type {kind} and shape {shape}, "
                f"expected {template.dtype} and {tuple(template.shape)}"
            )
        start, stop = (8 + length + at for at in entry["data_offsets"])
        if stop > len(data):
            raise ValueError(f"{path} is damaged: it ends within {name}")
        arrays.append(np.frombuffer(data[start:stop], kind).reshape(shape).copy())
    return jax.tree.unflatten(jax.tree.structure(like), arrays)


def _named(tree: Any) -> dict[str, Any]:
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): x for path, x in leaves}
