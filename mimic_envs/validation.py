"""Checks of what users pass as options, made from type hints.

The fields of a dataclass and the arguments of a function say in their hints which values they
take: `bool`, `int`, `float`, `str`, `Literal`, `Enum`, classes, sequences, tuples, mappings and
unions of these; numbers within bounds as `Annotated[float, Range(0.0)]`. A value that does not fit
is one ValueError, which names the option, what is accepted and what was given. NumPy's booleans
and numbers count as Python's.
"""

from __future__ import annotations

import collections.abc
import contextlib
import dataclasses
import enum
import functools
import inspect
import math
import sys
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, Literal, ParamSpec, TypeVar

import numpy as np

from mimic_envs.messages import unknown

P = ParamSpec("P")
R = TypeVar("R")
_LARGEST = sys.float_info.max
_NO = object()
"""What a conversion returns for a value that it does not accept."""


@dataclasses.dataclass(frozen=True)
class Range:
    """Which numbers are accepted.

    Attributes:
        low: Smallest number.
        high: Largest number.
        above: Whether `low` itself is refused.
        also: Single numbers that are accepted besides.
    """

    low: float = -math.inf
    high: float = math.inf
    above: bool = False
    also: tuple[float, ...] = ()

    def admits(self, number: float) -> bool:
        """Whether a number is accepted."""
        within = self.low < number if self.above else self.low <= number
        return (within and number <= self.high) or number in self.also

    def describe(self, kind: str) -> str:
        """What is accepted, for numbers of a kind, `"integer"` or `"number"`."""
        article = "an" if kind == "integer" else "a"
        least = 1 if kind == "integer" else 0
        if self.high < math.inf:
            text = f"{article} {kind} between {self.low:g} and {self.high:g}"
        elif self.low == least and self.above == (kind == "number"):
            text = f"a positive {kind}"
        elif self.low > -math.inf:
            text = f"{article} {kind} {'above' if self.above else 'of at least'} {self.low:g}"
        else:
            text = f"{article} {kind}"
        return " or ".join([text, *(f"{x:g}" for x in self.also)])


POSITIVE = Range(0.0, above=True)
"""Numbers above 0."""
NOT_NEGATIVE = Range(0.0)
"""Numbers of at least 0."""


class WrongValue(ValueError):
    """A value that is not accepted.

    Attributes:
        name: The option, or the place within it: `clip_weights['walk']`.
    """

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


def accepted(name: str, value: Any, hint: Any, within: Range | None = None) -> Any:
    """Return a value in the form that a type hint asks for: NumPy's scalars as Python's.

    Args:
        name: The option, for messages.
        value: What was given.
        hint: A type hint; those that this module does not know accept everything.
        within: Which numbers are accepted if the hint does not say it.

    Raises:
        ValueError: It is not accepted.
    """
    hint, limit = _without_range(hint, within or Range())
    inner = None
    for member in _members(hint):
        try:
            found = _converted(name, value, member, limit)
        except WrongValue as error:  # the right container, with something wrong in it
            inner = error
            continue
        if found is not _NO:
            return found
    if inner is not None:
        raise inner
    choices = [x for m in _members(hint) for x in _choices(m)]
    if choices and isinstance(value, str):
        raise WrongValue(name, unknown(name, value, choices))
    wanted = " or ".join(dict.fromkeys(_described(m, limit) for m in _members(hint)))
    raise WrongValue(name, f"{name} must be {wanted}, got {_shown(value)}")


def integer(value: Any) -> int | None:
    """The integer that a value is, or None: booleans and fractions are none."""
    number = _number(value)
    return int(number) if number is not _NO and number == int(number) else None


def check_fields(instance: Any, owner: str = "") -> None:
    """Check all fields of a frozen dataclass, and replace values by their accepted form.

    A class from outside whose hints name what its module does not import is not checked.

    Args:
        instance: The dataclass, from its `__post_init__`.
        owner: What its fields' names begin with in messages.

    Raises:
        ValueError: A value is not accepted.
    """
    with contextlib.suppress(NameError):
        kind: Any = type(instance)
        hints = type_hints(kind)
        for field in dataclasses.fields(instance):
            value = accepted(owner + field.name, getattr(instance, field.name), hints[field.name])
            object.__setattr__(instance, field.name, value)


def check_names(kind: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Raise ValueError for the first given name that is not known.

    Args:
        kind: What the names are of, in the singular.
        given: The names.
        known: Those that exist.
    """
    known = tuple(known)
    for name in given:
        if name not in known:
            raise ValueError(unknown(kind, name, known))


def keywords(option: str, kind: str, function: Callable[..., Any], given: Mapping[str, Any]) -> Any:
    """Return the keywords for a function that an option holds, checked by the function's hints.

    Args:
        option: Name of the option.
        kind: What a keyword is called in messages.
        function: What they are for; all its arguments with defaults are accepted.
        given: The keywords.

    Raises:
        ValueError: An unknown keyword, or a value that is not accepted.
    """
    hints, parameters = type_hints(function), inspect.signature(function).parameters
    known = [name for name, p in parameters.items() if p.default is not inspect.Parameter.empty]
    check_names(f"{kind} in {option}", given, known)
    return {n: accepted(f"{option}[{n!r}]", x, hints.get(n, Any)) for n, x in given.items()}


def checked(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate a function so that its arguments are checked by their hints.

    If it has an argument `where`, messages begin with that text.
    """
    signature = inspect.signature(function)

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        bound = signature.bind(*args, **kwargs)
        hints = type_hints(function)
        where = bound.arguments.get("where")
        start = f"{where}: " if isinstance(where, str) else ""
        for name, value in bound.arguments.items():
            if name in hints and signature.parameters[name].kind not in _VARIABLE:
                bound.arguments[name] = accepted(start + name, value, hints[name])
        return function(*bound.args, **bound.kwargs)

    return call


_VARIABLE = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


@functools.lru_cache(maxsize=256)
def type_hints(of: Any) -> dict[str, Any]:
    """The type hints of a class or a function, their `Annotated` included."""
    return typing.get_type_hints(of, include_extras=True)


def _without_range(hint: Any, within: Range) -> tuple[Any, Range]:
    if typing.get_origin(hint) is not Annotated:
        return hint, within
    inner, *notes = typing.get_args(hint)
    return inner, next((note for note in notes if isinstance(note, Range)), within)


def _members(hint: Any) -> tuple[Any, ...]:
    """The members of a union, or the hint alone."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return typing.get_args(hint)
    return (hint,)


def _choices(hint: Any) -> list[str]:
    """The texts that a `Literal` or an `Enum` has."""
    if typing.get_origin(hint) is Literal:
        return [x for x in typing.get_args(hint) if isinstance(x, str)]
    if inspect.isclass(hint) and issubclass(hint, enum.Enum):
        return [x.value for x in hint if isinstance(x.value, str)]
    return []


def _converted(name: str, value: Any, hint: Any, limit: Range) -> Any:
    """The value in the form of a hint that is no union, or `_NO`."""
    if hint in _SIMPLE:
        found = _SIMPLE[hint](value)
        is_number = hint in (int, float) and found is not _NO
        return _NO if is_number and not limit.admits(found) else found
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        plain = isinstance(value, str | int | None)
        return value if plain and value in arguments else _NO
    if origin is not None and inspect.isclass(origin):
        return _filled(name, value, origin, arguments, limit)
    if hint is np.ndarray:
        return value if _is_array(value) else _NO
    if not inspect.isclass(hint):
        return value
    if issubclass(hint, enum.Enum):
        found = [x for x in hint if value is x or (isinstance(value, str) and value == x.value)]
        return found[0] if found else _NO
    return value if isinstance(value, hint) else _NO


def _filled(name: str, value: Any, origin: Any, arguments: Any, limit: Range) -> Any:
    """A container with its entries in the form of their hints, or `_NO`."""
    if origin is collections.abc.Callable:
        return value if callable(value) else _NO
    if issubclass(origin, collections.abc.Mapping):
        if not isinstance(value, Mapping):
            return _NO
        of_key, of_value = arguments or (Any, Any)
        keys = {k: accepted(f"a key of {name}", k, of_key) for k in value}
        return {keys[k]: accepted(f"{name}[{k!r}]", x, of_value, limit) for k, x in value.items()}
    if not issubclass(origin, collections.abc.Iterable):
        return value if isinstance(value, origin) else _NO
    is_list = hasattr(value, "__len__") and hasattr(value, "__getitem__")
    if not is_list or isinstance(value, str | bytes | Mapping) or getattr(value, "shape", 1) == ():
        return _NO
    if origin is tuple and arguments[-1:] != (Ellipsis,):
        if len(value) != len(arguments):
            return _NO
        hints = arguments
    else:
        hints = (arguments[0] if arguments else Any,) * len(value)
    entries = (
        accepted(f"{name}[{i}]", x, h, limit)
        for i, (x, h) in enumerate(zip(value, hints, strict=True))
    )
    return tuple(entries) if origin is tuple else list(entries)


def _is_array(value: Any) -> bool:
    try:
        np.asarray(value)
    except ValueError:  # rows of different lengths
        return False
    return True


def _plain(value: Any) -> Any:
    """Python's scalar for one of NumPy."""
    is_scalar = isinstance(value, np.generic | np.ndarray) and value.shape == ()
    return value.item() if is_scalar else value


def _boolean(value: Any) -> Any:
    value = _plain(value)
    return value if isinstance(value, bool) else _NO


def _number(value: Any) -> Any:
    value = _plain(value)
    if not isinstance(value, int | float) or isinstance(value, bool):
        return _NO
    return value if -_LARGEST <= value <= _LARGEST else _NO  # NaN is not either


def _float(value: Any) -> Any:
    number = _number(value)
    return number if number is _NO else float(number)


def _integer(value: Any) -> Any:
    found = integer(value)
    return _NO if found is None else found


_SIMPLE: dict[Any, Callable[[Any], Any]] = {
    bool: _boolean,
    int: _integer,
    float: _float,
    str: lambda value: str(value) if isinstance(value, str) else _NO,
    Any: lambda value: value,
    type(None): lambda value: value if value is None else _NO,
}


def _described(hint: Any, limit: Range) -> str:
    """What a hint accepts."""
    named = {bool: "True or False", str: "a string", type(None): "None", np.ndarray: "an array"}
    if hint in named:
        return named[hint]
    if hint in (int, float):
        return limit.describe("integer" if hint is int else "number")
    choices = _choices(hint)
    if choices:
        return " or ".join(map(repr, choices))
    origin = typing.get_origin(hint)
    if origin is collections.abc.Callable:
        return "a function"
    if origin is not None and inspect.isclass(origin):
        if issubclass(origin, collections.abc.Mapping):
            return "a dictionary"
        return "a sequence"
    name = getattr(hint, "__name__", str(hint))
    return f"{'an' if name[0] in 'AEIOU' else 'a'} {name}"


def _shown(value: Any) -> str:
    """A value in one line of a bounded length."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else text[:77] + "..."
