"""How the MJX backends behave where they cannot run well. What they compute: tests/parity."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import subprocess
import sys

import pytest

from mimic_envs import bodies
from mimic_envs.physics import make
from mimic_envs.xla import knows_fusion_flag

_MAKE = "from mimic_envs import bodies, physics; physics.make('mjx', bodies.get('mouse_arm'))"
_OFF = "--xla_cpu_use_fusion_emitters=false"
_KNOWN = knows_fusion_flag(importlib.metadata.version("jaxlib"))


def run(code: str, flags: str | None = None) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if k not in ("XLA_FLAGS", "NPROC")}
    if flags is not None:
        environment["XLA_FLAGS"] = flags
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True
    )


def test_making_it_prints_nothing() -> None:
    done = run(_MAKE)
    assert (done.stdout, done.stderr) == ("", "")


def test_compiler_flag_is_set_once_where_it_is_known() -> None:
    done = run(f"{_MAKE}; {_MAKE}; import os; print(os.environ.get('XLA_FLAGS', ''))")
    assert done.stdout.strip() == (_OFF if _KNOWN else "")


def test_flags_of_the_user_are_kept() -> None:
    code = f"{_MAKE}; import os; print(os.environ['XLA_FLAGS'])"
    kept = run(code, "--xla_cpu_enable_fast_math=false").stdout.split()
    assert kept == ["--xla_cpu_enable_fast_math=false", *([_OFF] if _KNOWN else [])]


@pytest.mark.skipif(not _KNOWN, reason="this jaxlib does not know the flag")
def test_the_value_of_the_user_is_kept() -> None:
    code = f"{_MAKE}; import os; print(os.environ['XLA_FLAGS'])"
    on = "--xla_cpu_use_fusion_emitters=true"
    assert run(code, on).stdout.strip() == on


@pytest.mark.skipif(not _KNOWN, reason="this jaxlib needs no flag")
def test_warns_when_jax_runs_already() -> None:
    done = run(f"import jax; jax.numpy.ones(1); {_MAKE}")
    assert "JAX is already running" in done.stderr


@pytest.mark.parametrize(
    ("jaxlib", "known"),
    [("0.10.2", True), ("0.11.0", True), ("0.11.1", False), ("0.12.0.1", False)],
)
def test_which_jaxlib_knows_the_flag(jaxlib: str, known: bool) -> None:
    assert knows_fusion_flag(jaxlib) == known


def test_warp_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "warp" else find(name, *a)
    )
    with pytest.raises(RuntimeError, match=r"needs the package warp-lang: pip install"):
        make("warp", bodies.get("mouse_arm"))
