"""Forks of a process in which JAX runs: the child says so instead of waiting for ever.

A fork copies the memory of a process and only one of its threads. The threads that compute for
JAX are not in the child, and whatever it gives them to do is never done. Forks before JAX runs
are fine, and so are the start methods `spawn` and `forkserver`. Imports neither JAX nor MuJoCo.
"""

from __future__ import annotations

import os
import sys

_MESSAGE = (
    "this process was forked from one in which JAX was running already; JAX cannot compute here "
    "and would wait for ever. Use the start method 'spawn' or 'forkserver': "
    "gymnasium.make_vec(..., vector_kwargs={'context': 'spawn'}), "
    "AsyncVectorEnv(..., context='spawn'), multiprocessing.get_context('spawn'), "
    "DataLoader(..., multiprocessing_context='spawn'); or fork before the first environment is "
    "reset or stepped"
)

_cut_off = False


def require_threads() -> None:
    """Refuse to start a computation for which this process has no threads.

    Raises:
        RuntimeError: The process was forked from one in which JAX was running.
    """
    if _cut_off:
        raise RuntimeError(_MESSAGE)


def jax_runs() -> bool:
    """Whether JAX has started its threads; does not start them."""
    # JAX has no public way to ask
    bridge = sys.modules.get("jax._src.xla_bridge")
    return bool(getattr(bridge, "backends_are_initialized", lambda: False)())


def _in_child() -> None:
    global _cut_off
    if _cut_off or not jax_runs():
        return
    _cut_off = True
    # JAX keeps compiled programs apart by this setting, so those from before the fork are traced
    # anew in the child. That calls our functions, which can refuse.
    config = sys.modules["jax"].config
    if hasattr(config, "jax_no_execution"):
        config.update("jax_no_execution", True)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
