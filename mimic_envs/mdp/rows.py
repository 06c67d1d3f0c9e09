"""Rows of a task: which functions of a `Context` it observes, rewards and ends by.

Every table of a task can be changed by keyword, from Python and through `gymnasium.make`:

    make("rodent", rewards={"joints": 2.0,                        # another weight
                            "energy": None,                       # no such row
                            "upright": Reward(upright, 0.5),      # one more row
                            "quiet": "my_lab.terms:quiet"})       # the same, in a form for JSON

What a number changes is the row's weight, limit or bound.
"""

from __future__ import annotations

import dataclasses
import numbers
import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, TypeVar

import jax
import jax.numpy as jnp

from mimic_envs import registry
from mimic_envs.immutable import ImmutableDict
from mimic_envs.mdp.context import Context
from mimic_envs.messages import unknown
from mimic_envs.validation import NOT_NEGATIVE, POSITIVE, check_fields, check_names

Function = Callable[[Context], jax.Array]
"""A term: a pure JAX function of the context of one environment."""

FAR = 1e3
"""Bound of observations that have no natural one; they are clipped to it."""
LARGEST_COST = 0.5
"""Most that all costs together may take away, as a share of the rewards."""
_NAME = re.compile(r"[A-Za-z]\w*(/\w+)*")


class _Row:
    """Base of rows: their fields are checked by their types."""

    def __post_init__(self) -> None:
        check_fields(self, f"{type(self).__name__}: ")


@dataclasses.dataclass(frozen=True)
class Observation(_Row):
    """One entry of a group of observations.

    Attributes:
        function: What is observed, of any shape.
        bound: Values are clipped to plus and minus this.
        noise: Standard deviation of noise that is added to each value, in its own unit.
    """

    number: ClassVar[str] = "bound"
    function: Function
    bound: Annotated[float, NOT_NEGATIVE] = FAR
    noise: Annotated[float, NOT_NEGATIVE] = 0.0

    def value(self, context: Context) -> jax.Array:
        """The values, unbounded, in the function's own shape."""
        return jnp.asarray(self.function(context), jnp.float32)


@dataclasses.dataclass(frozen=True)
class Reward(_Row):
    """One term of the reward: `weight * f`, or `weight * exp(-f**2 / (2 sigma**2))`.

    Attributes:
        function: Returns the scalar f.
        weight: Its weight; negative for a penalty, which may make dying early pay: see `Cost`.
        sigma: Width of the kernel in the unit of f, at which it has dropped to 61 %; None
            to use f itself.
    """

    number: ClassVar[str] = "weight"
    function: Function
    weight: float = 1.0
    sigma: Annotated[float | None, POSITIVE] = None


@dataclasses.dataclass(frozen=True)
class Cost(_Row):
    """A share of all rewards that is taken away: `weight * f` times their sum.

    All weights together are at most 0.5, so that a reward is never below half of its positive
    terms and an early end never pays. With costs that are subtracted, as published, the sum was
    negative in 81 % of the fly's steps under normal noise, and failing soon was best.

    Attributes:
        function: Returns a scalar between 0 and 1.
        weight: The largest share, in [0, 0.5].
    """

    number: ClassVar[str] = "weight"
    function: Function
    weight: Annotated[float, NOT_NEGATIVE]


@dataclasses.dataclass(frozen=True)
class Termination(_Row):
    """A way to fail.

    Attributes:
        function: Returns a scalar; or a bool, where there is no limit.
        limit: The episode fails above it, or outside of it if it is a pair (lowest, highest).
    """

    number: ClassVar[str] = "limit"
    function: Function
    limit: float | tuple[float, float] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.limit, tuple) and not self.limit[0] < self.limit[1]:
            raise ValueError(
                f"Termination: limit must be a pair (lowest, highest), got {self.limit!r}"
            )

    def crossed(self, context: Context) -> jax.Array:
        """Whether the episode has failed, a bool."""
        value = self.function(context)
        if self.limit is None:
            return value.astype(bool)
        if isinstance(self.limit, tuple):
            low, high = self.limit
            return (value < low) | (value > high)
        return value > self.limit


@dataclasses.dataclass(frozen=True)
class Metric(_Row):
    """A scalar that is reported at every step.

    Attributes:
        function: Returns it.
    """

    number: ClassVar[str] = ""
    function: Function


R = TypeVar("R", covariant=True)


class Rows(ImmutableDict[str, R]):
    """A table of rows by name, in their order."""


def changed(
    rows: Rows[Any], changes: Mapping[str, Any] | None, kinds: tuple[type, ...], what: str
) -> Rows[Any]:
    """A table with some rows replaced, reweighted, removed or added.

    Args:
        rows: The table.
        changes: By name: None to remove a row, a number for its weight, limit or bound, a row,
            a function, `"module:name"` of a row or a function, or the fields of a row as a
            dict.
        kinds: Accepted kinds of rows; a bare function becomes a row of the first.
        what: What a row is called in messages.

    Raises:
        ValueError: A name that cannot be removed or reweighted because there is no such row, or
            that is no name; a value that is not accepted.
    """
    new = dict(rows)
    for name, change in (changes or {}).items():
        if not _NAME.fullmatch(str(name)):
            raise ValueError(f"{what} {name!r}: a name is made of letters, digits, _ and /")
        exists = name in new
        is_number = isinstance(change, numbers.Real | tuple | list) and not isinstance(change, bool)
        of_fields = isinstance(change, Mapping) and not {"function", "kind"} & set(change)
        is_old = change is None or is_number or (of_fields and _takes_function(kinds[0]))
        if is_old and not exists:
            raise ValueError(unknown(what, name, tuple(new)))
        if change is None:
            del new[name]
            continue
        try:
            if is_number:
                new[name] = _with_number(new[name], change)
            else:
                new[name] = _row(change, new.get(name), kinds)
        except (ValueError, TypeError) as error:
            raise ValueError(f"{what} {name!r}: {error}") from error
    return Rows(new)


def _with_number(row: Any, number: Any) -> Any:
    """A row with another weight, limit or bound."""
    if not row.number:
        raise ValueError(f"a {type(row).__name__} has no weight to change, got {number!r}")
    return dataclasses.replace(row, **{row.number: number})


def _row(change: Any, old: Any, kinds: tuple[type, ...]) -> Any:
    """The row that a change describes, where there is an old one or none."""
    if isinstance(change, str):
        change = registry.resolve("row", change, {})
    if isinstance(change, Mapping):
        return _row_of_fields(dict(change), old, kinds)
    if isinstance(change, kinds):
        return change
    functions = [kind for kind in kinds if _takes_function(kind)]
    if callable(change) and not isinstance(change, type) and functions:
        return functions[0](change)
    accepted = [kind.__name__ for kind in kinds]
    accepted += ["a function"] if functions else []
    raise ValueError(
        f"got {change!r}; accepted are {', '.join(accepted)}, 'module:name', a dictionary of "
        "fields, a number or None"
    )


def _row_of_fields(fields: dict[str, Any], old: Any, kinds: tuple[type, ...]) -> Any:
    """The row with these fields, of the kind that `"kind"` names, or of the first one."""
    kind = kinds[0] if old is None or "function" in fields else type(old)
    if "kind" in fields:
        kind = _kind(fields.pop("kind"), kinds)
    known = _fields(kind)
    check_names("field", fields, known)
    if isinstance(fields.get("function"), str):
        fields["function"] = registry.resolve("function", fields["function"], {})
    is_change = type(old) is kind and "function" not in fields
    if is_change:
        return dataclasses.replace(old, **fields)
    missing = [name for name, needed in known.items() if needed and name not in fields]
    if missing:
        raise ValueError(f"a {kind.__name__} needs the field {missing[0]!r}")
    return kind(**fields)


def _kind(name: Any, kinds: tuple[type, ...]) -> type:
    """A kind of row by its name in lower case, or by `module:name`."""
    table = {kind.__name__.lower(): kind for kind in kinds if _fields(kind)}
    found = registry.resolve("kind", name, table) if isinstance(name, str) else name
    if not (isinstance(found, type) and issubclass(found, kinds) and _fields(found)):
        raise ValueError(unknown("kind", name, table))
    return found


def _takes_function(kind: type) -> bool:
    return "function" in _fields(kind)


def _fields(kind: type) -> dict[str, bool]:
    """Fields of a kind of row, and whether each must be given."""
    if not dataclasses.is_dataclass(kind):
        return {}
    missing = dataclasses.MISSING
    return {
        f.name: f.default is missing and f.default_factory is missing
        for f in dataclasses.fields(kind)
    }


def total(rows: Rows[Reward | Cost], context: Context) -> tuple[jax.Array, dict[str, jax.Array]]:
    """The reward of a context, and every term by name.

    Returns:
        The sum of all terms, a scalar, and the terms in the order of the rows; a cost's is what
        it takes away.
    """
    rewards = {name: row for name, row in rows.items() if isinstance(row, Reward)}
    costs = {name: row for name, row in rows.items() if isinstance(row, Cost)}
    values = _weighted(rewards, context)
    gained = jnp.sum(values)
    weights = jnp.array([row.weight for row in costs.values()], jnp.float32)
    taken = -_stacked(costs, context) * weights * gained
    terms = jnp.concatenate([values, taken])
    named = dict(zip([*rewards, *costs], terms, strict=True))
    return jnp.sum(terms), {name: named[name] for name in rows}


def _weighted(rewards: Mapping[str, Reward], context: Context) -> jax.Array:
    """All rewards, (terms,): stacked, so that they cost a few kernels together."""
    values = _stacked(rewards, context)
    sigmas = jnp.array([row.sigma or 1.0 for row in rewards.values()], jnp.float32)
    kernel = jnp.array([row.sigma is not None for row in rewards.values()], bool)
    weights = jnp.array([row.weight for row in rewards.values()], jnp.float32)
    return jnp.where(kernel, jnp.exp(-0.5 * (values / sigmas) ** 2), values) * weights


def _stacked(rows: Mapping[str, Any], context: Context) -> jax.Array:
    values = [jnp.asarray(row.function(context), jnp.float32) for row in rows.values()]
    return jnp.stack(values) if values else jnp.zeros(0, jnp.float32)


def check_costs(rows: Rows[Any]) -> None:
    """Raise ValueError if all costs together could take more than half of the rewards."""
    costs = {name: row.weight for name, row in rows.items() if isinstance(row, Cost)}
    if sum(costs.values()) > LARGEST_COST + 1e-9:
        raise ValueError(
            f"costs are shares of the reward, and their sum is at most {LARGEST_COST}, got {costs}"
        )
