"""Entries of registries by name: those of this package, and anything else as `module:name`."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import os
import sys
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

from mimic_envs.messages import nearest, unknown

OUTSIDE = "module:name"
"""How help texts and messages write the name of an entry that is not in a registry."""


def resolve(kind: str, name: str, table: Mapping[str, str | object]) -> Any:
    """Return the entry of a registry, or an object of any module.

    A module in the current directory is found too, as with `python -m`.

    Args:
        kind: What the registry holds, in the singular, for messages: `"body"`.
        name: A name of the table, or `module:name`, for example `"my_lab.readers:sleap"`.
        table: The registry's entries by name. An entry that is a text is a `module:name` of its
            own, which is imported when it is asked for.

    Raises:
        ValueError: No such entry, no such module, an error inside that module, or no such
            object in it.
    """
    if name in table:
        entry = table[name]
        if not isinstance(entry, str):
            return entry
        module, _, attribute = entry.partition(":")
        return getattr(importlib.import_module(module), attribute)
    if not is_outside(name):
        raise ValueError(f"{unknown(kind, name, table)}; {OUTSIDE} is accepted too")
    return _import(kind, name)


def check_takes(kind: str, name: str, entry: Any, *arguments: Any) -> None:
    """Refuse an entry from outside that cannot be called with the arguments that it will get.

    Args:
        kind: What it is, for messages: `"controller"`.
        name: All of `module:name`.
        entry: What `resolve` found.
        *arguments: What it will be called with.

    Raises:
        ValueError: It is no function or class, or takes others.
    """
    if not callable(entry):
        raise ValueError(f"{kind} {name!r} must be a function or class, not a {_type(entry)}")
    try:
        signature = inspect.signature(entry)
    except (TypeError, ValueError):  # of some functions written in C it is not known
        return
    try:
        signature.bind(*arguments)
    except TypeError as error:
        wanted = ", ".join(map(_type, arguments))
        raise ValueError(f"{kind} {name!r} must take ({wanted}): {error}") from error


def _type(value: object) -> str:
    return type(value).__name__


def is_outside(name: str) -> bool:
    """Whether a name has the form `module:name`."""
    return ":" in name


def import_module(kind: str, name: str) -> ModuleType:
    """Import the module of `module:name`, also from the current directory.

    Args:
        kind: What it shall hold, for messages: `"body"`.
        name: All of `module:name`.

    Raises:
        ValueError: No such module, or an error inside it.
    """
    module, _, rest = name.partition(":")
    if not rest or not all(part.isidentifier() for part in module.split(".")):
        raise ValueError(f"{kind} {name!r} is not {OUTSIDE}, for example my_lab.code:mine")
    try:
        with _current_directory_importable():
            return importlib.import_module(module)
    except Exception as error:  # the module's code can raise anything
        problem = f"cannot import module {module!r}: {type(error).__name__}: {error}"
        raise ValueError(f"{kind} {name!r}: {problem}") from error


def _import(kind: str, name: str) -> Any:
    module = import_module(kind, name)
    module_name, _, attribute = name.partition(":")
    if not hasattr(module, attribute):
        valid = [key for key in vars(module) if not key.startswith("_")]
        hint = nearest(attribute, valid)
        where = getattr(module, "__file__", None) or module_name
        raise ValueError(
            f"{kind} {name!r}: module {module_name!r} ({where}) has no {attribute!r}{hint}"
        )
    return getattr(module, attribute)


@contextlib.contextmanager
def _current_directory_importable() -> Iterator[None]:
    """Put the current directory first where modules are searched, unless it is there already.

    `python -m mimic_envs` searches it; the `mimic-envs` script does not.
    """
    try:
        here = os.getcwd()
    except FileNotFoundError:  # the directory has been deleted
        here = ""
    added = bool(here) and not {"", here} & set(sys.path)
    if added:
        sys.path.insert(0, here)
    importlib.invalidate_caches()  # a module may be younger than the last search
    try:
        yield
    finally:
        if added:
            with contextlib.suppress(ValueError):  # the module itself may have removed it
                sys.path.remove(here)
