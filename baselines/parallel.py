"""Data parallelism: environments are divided among devices, all else is the same on all of them.

Devices may be those of one process or of several (`start`). Every device steps its own
environments and computes gradients and statistics from them; these are averaged over devices,
so that all of them take the same steps. Random numbers belong to environments, not to devices,
so the devices change the order of sums and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

AXIS = "devices"
"""Name of the mesh's axis."""
SAME = PartitionSpec()
"""Of arrays that every device has."""
DIVIDED = PartitionSpec(AXIS)
"""Of arrays whose leading axis is environments."""


def start(coordinator: str, processes: int | None, process: int | None) -> None:
    """Join other processes; to be called before anything else is done with JAX.

    Args:
        coordinator: Address and port of the first process, `host:1234`; `"auto"` where JAX
            finds out everything by itself, for example under Slurm.
        processes: How many there are.
        process: Which one this is.
    """
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    address = None if coordinator == "auto" else coordinator
    jax.distributed.initialize(address, processes, process)


def mesh(count: int | None = None) -> Mesh:
    """The first so many devices of all processes; all of them if not given."""
    return Mesh(np.array(jax.devices()[:count]), (AXIS,))


def is_first() -> bool:
    """Whether this is the process that reports and writes files."""
    return jax.process_index() == 0


def divide(
    function: Callable[..., Any], mesh: Mesh, given: Any, returned: Any
) -> Callable[..., Any]:
    """A jitted function that runs on each device with its part of the arguments.

    Args:
        function: Of arrays; inside it, collectives over `AXIS` can be used.
        mesh: The devices.
        given: `SAME`, `DIVIDED` or other specifications of each argument.
        returned: Of what it returns.
    """
    # gradients of what is the same everywhere are averaged by the learner, not by JAX
    mapped = jax.shard_map(function, mesh=mesh, in_specs=given, out_specs=returned, check_vma=False)
    return jax.jit(mapped)


def place(tree: Any, mesh: Mesh, specs: Any = SAME) -> Any:
    """Arrays on the devices, from their whole values in every process.

    Args:
        tree: Pytree of arrays.
        mesh: The devices.
        specs: Pytree of specifications, of this structure or of its upper part.
    """

    def put(spec: PartitionSpec, part: Any) -> Any:
        sharding = NamedSharding(mesh, spec)

        def one(x: Any) -> jax.Array:
            whole = np.asarray(x)
            return jax.make_array_from_callback(whole.shape, sharding, lambda at: whole[at])

        return jax.tree.map(one, part)

    return jax.tree.map(put, specs, tree, is_leaf=lambda x: isinstance(x, PartitionSpec))


def fetch(tree: Any) -> Any:
    """The inverse of `place`: whole arrays of numpy, in every process; all must call this."""
    if jax.process_count() == 1:
        return jax.device_get(tree)
    return multihost_utils.process_allgather(tree, tiled=True)


def any_of(*flags: bool) -> list[bool]:
    """For each flag, whether it is set in any process; all must call this."""
    if jax.process_count() == 1:
        return list(flags)
    return multihost_utils.process_allgather(np.array(flags)).any(axis=0).tolist()
