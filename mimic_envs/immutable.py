"""Values that cannot be edited, since compiled programs are shared by what they hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Self, TypeVar

K = TypeVar("K")
V = TypeVar("V", covariant=True)


class Immutable:
    """Base of values that never change: `copy.deepcopy` returns the value itself.

    Much is shared by identity, so a copy would be compiled anew, and clips can be large.
    """

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self


class ImmutableDict(Mapping[K, V]):
    """A mapping that keeps its order, cannot be edited, and is hashable if its values are."""

    def __init__(self, entries: Mapping[K, V] | None = None) -> None:
        self._entries = dict(entries or {})

    def __getitem__(self, name: K) -> V:
        return self._entries[name]

    def __iter__(self) -> Iterator[K]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __or__(self, other: Mapping[K, V]) -> dict[K, V]:
        return self._entries | dict(other)

    def __ror__(self, other: Mapping[K, V]) -> dict[K, V]:
        return dict(other) | self._entries

    def __eq__(self, other: object) -> bool:
        if isinstance(other, ImmutableDict):  # order counts: it is that of rows
            return tuple(self._entries.items()) == tuple(other._entries.items())
        return self._entries == other

    def __hash__(self) -> int:
        return hash(tuple(self._entries.items()))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._entries!r})"
