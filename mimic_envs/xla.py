"""Settings of XLA without which MJX does not work on a CPU. Imports neither JAX nor MuJoCo."""

from __future__ import annotations

import importlib.metadata
import logging
import os
import re
import warnings

from mimic_envs.forks import jax_runs
from mimic_envs.messages import MimicEnvsWarning

_FUSION_FLAG = "--xla_cpu_use_fusion_emitters"
_FUSION_FLAG_ENDS = (0, 11, 1)
"""The first jaxlib that no longer knows the flag: XLA ends a process that sets an unknown one."""
_THREADS = 8


def prepare_cpu_compiler() -> None:
    """Make two settings that MJX needs on a CPU; values that the user set are kept.

    XLA's fusion emitters are turned off where jaxlib still has another way: with them, older
    releases take hours to compile MJX, since they recompute deep kinematic chains exponentially
    often (jax issue 33761, mujoco issue 2957).

    XLA gets at least 8 threads. A batch of Cholesky factorizations waits on one of its threads
    for others to do the work; where MJX has two of them at once and there are two threads,
    both wait for ever.

    The settings count only if they are made before JAX starts its CPU client. This function
    does not start it, and warns if it came too late.
    """
    if (os.cpu_count() or 1) < _THREADS:
        os.environ.setdefault("NPROC", str(_THREADS))
    flags = os.environ.get("XLA_FLAGS", "")
    if _FUSION_FLAG in flags or not knows_fusion_flag(importlib.metadata.version("jaxlib")):
        return
    if jax_runs():
        warnings.warn(
            "JAX is already running, so the backend 'mjx' could not set "
            f"XLA_FLAGS={_FUSION_FLAG}=false: on a CPU, compiling a step may never finish. "
            "Make the environment before the first JAX computation, or set the flag yourself",
            MimicEnvsWarning,
            stacklevel=4,
        )
        return
    os.environ["XLA_FLAGS"] = f"{flags} {_FUSION_FLAG}=false".strip()
    logging.getLogger("mimic_envs").info(
        "set XLA_FLAGS=%s=false so that MJX compiles on a CPU", _FUSION_FLAG
    )


def knows_fusion_flag(jaxlib: str) -> bool:
    """Whether that version of jaxlib accepts the flag that turns fusion emitters off."""
    numbers = tuple(int(x) for x in re.findall(r"\d+", jaxlib)[:3])
    return numbers < _FUSION_FLAG_ENDS
