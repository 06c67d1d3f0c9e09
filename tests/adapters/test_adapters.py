"""Adapters cost nothing until they are used, and say what they need."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import gymnasium
import pytest

import mimic_envs
from mimic_envs import adapters

LIBRARIES = {
    "sb3": "stable_baselines3",
    "torchrl": "torchrl",
    "brax": "brax",
    "playground": "mujoco_playground",
}
"""The module that each adapter imports; the name of the adapter is that of the extra."""


def test_importing_the_adapters_imports_no_library() -> None:
    names = (*LIBRARIES.values(), "torch", "jax", "mujoco", "minari")
    code = (
        "import sys, mimic_envs, mimic_envs.adapters; "
        f"print([name for name in {names} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("adapter", LIBRARIES)
def test_an_absent_library_is_named_with_its_extra(
    adapter: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _hide(LIBRARIES[adapter], monkeypatch)
    with pytest.raises(ImportError, match=rf"not installed: pip install 'mimic_envs\[{adapter}\]'"):
        getattr(adapters, adapter)(None)


def test_an_absent_part_of_a_library_keeps_its_own_error(monkeypatch: pytest.MonkeyPatch) -> None:
    _hide("gymnasium.vector", monkeypatch)
    pytest.importorskip("stable_baselines3", reason="needs pip install 'mimic_envs[sb3]'")
    with pytest.raises(ModuleNotFoundError, match=r"gymnasium\.vector"):
        adapters.sb3(None)  # type: ignore[arg-type]


def _hide(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make imports of a module fail as if it was not installed."""

    class Finder:
        @staticmethod
        def find_spec(name: str, *_: Any) -> None:
            if name == library:
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    for name in list(sys.modules):
        if name.startswith((library, "mimic_envs.adapters.")):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Finder, *sys.meta_path])


@pytest.mark.parametrize("adapter", [*LIBRARIES, "functional"])
def test_an_environment_of_the_wrong_kind_is_refused(adapter: str) -> None:
    if adapter in LIBRARIES:
        pytest.importorskip(LIBRARIES[adapter], reason=f"needs pip install 'mimic_envs[{adapter}]'")
    of_gymnasium = adapter in ("sb3", "torchrl")
    wrong: Any
    if of_gymnasium:
        wrong = mimic_envs.make("mouse_arm", clips="generated/tiny")
    else:
        wrong = gymnasium.make("mimic_envs/MouseArm-v1", clips="generated/tiny")
    maker = "gymnasium.make" if of_gymnasium else "mimic_envs.make"
    with pytest.raises(TypeError, match=rf"adapters\.{adapter} takes an environment from {maker}"):
        getattr(adapters, adapter)(wrong)
