"""A short training on several devices: `python -m tests.baselines.shared_training OUT [...]`.

Arguments: a file for the final parameters, then the coordinator, the number of processes and
the number of this one, if there are several.
"""

from __future__ import annotations

import sys

import jax
import numpy as np

from baselines import parallel
from tests.baselines.toys import follow, learner

UPDATES = 8


def main(out: str, coordinator: str = "", processes: str = "1", process: str = "0") -> None:
    """See the module."""
    if coordinator:
        parallel.start(coordinator, int(processes), int(process))
    mesh = parallel.mesh()
    # a policy with everything that could depend on the devices: noise, memory, a prior
    learns = learner("recurrent", UPDATES, mesh=mesh, shards=2, latent_kl=1e-2)
    env, key = parallel.place((follow(), jax.random.PRNGKey(0)), mesh)
    state = learns.init(env, key)
    for _ in range(UPDATES):
        state, report = learns.update(env, state)
    whole = {"params": state.params, "first": state.first, "memory": state.memory}
    leaves = jax.tree_util.tree_leaves_with_path(parallel.fetch({**whole, "report": report}))
    assert parallel.any_of(False, parallel.is_first()) == [False, True]
    if parallel.is_first():
        named = {jax.tree_util.keystr(path): np.asarray(x) for path, x in leaves}
        np.savez(out, devices=mesh.size, processes=jax.process_count(), **named)


if __name__ == "__main__":
    main(*sys.argv[1:])
