"""How the MJX backends behave where they cannot run well. What they compute: tests/parity."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys

import pytest

from mimic_envs import bodies
from mimic_envs.physics import make

_MAKE = "from mimic_envs import bodies, physics; physics.make('mjx', bodies.get('rodent'))"


def run(code: str, flags: str | None = None) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if k != "XLA_FLAGS"}
    if flags is not None:
        environment["XLA_FLAGS"] = flags
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True
    )


def last_line(done: subprocess.CompletedProcess[str]) -> str:
    """What the code printed: MJX itself prints above it where Warp is not installed."""
    return done.stdout.strip().splitlines()[-1]


def test_compiler_flag_is_set_once_and_said() -> None:
    done = run(f"{_MAKE}; {_MAKE}; import os; print(os.environ['XLA_FLAGS'])")
    assert last_line(done) == "--xla_cpu_use_fusion_emitters=false"
    assert done.stderr.count("set XLA_FLAGS=--xla_cpu_use_fusion_emitters=false") == 1


def test_flags_of_the_user_are_kept() -> None:
    code = f"{_MAKE}; import os; print(os.environ['XLA_FLAGS'])"
    kept = last_line(run(code, "--xla_cpu_enable_fast_math=false")).split()
    assert kept == ["--xla_cpu_enable_fast_math=false", "--xla_cpu_use_fusion_emitters=false"]
    chosen = run(code, "--xla_cpu_use_fusion_emitters=true")
    assert last_line(chosen) == "--xla_cpu_use_fusion_emitters=true"


def test_warns_when_jax_runs_already() -> None:
    done = run(f"import jax; jax.numpy.ones(1); {_MAKE}")
    assert "JAX is already running" in done.stderr


def test_warp_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "warp" else find(name, *a)
    )
    with pytest.raises(RuntimeError, match=r"needs the package warp-lang: pip install"):
        make("warp", bodies.get("rodent"))
