"""Name -> factory tables with a one-line summary and a reference for every entry."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from eqviz.errors import ConfigError, UnknownNameError

T = TypeVar("T")


@dataclass(frozen=True)
class Entry(Generic[T]):
    """One registered thing: its name, factory, one-line summary and source (arXiv number or URL)."""

    name: str
    factory: T
    summary: str
    reference: str


class Registry(Generic[T]):
    """A table of factories of one kind.

    >>> colours: Registry[type] = Registry("colour")
    >>> @colours.register("red", summary="the colour of blood", reference="-")
    ... class Red: ...
    >>> colours.names()
    ['red']
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, Entry[T]] = {}

    def register(self, name: str, *, summary: str, reference: str) -> Callable[[T], T]:
        """Decorator that files its object under ``name``; a name can be taken only once."""

        def add(factory: T) -> T:
            if name in self._entries:
                raise ConfigError(f"{self.kind} {name!r} is registered already; choose another name")
            self._entries[name] = Entry(name, factory, summary, reference)
            return factory

        return add

    def entry(self, name: str) -> Entry[T]:
        """The entry called ``name``; raises :class:`UnknownNameError` listing the known ones."""
        try:
            return self._entries[name]
        except KeyError:
            raise UnknownNameError(self.kind, name, self._entries) from None

    def get(self, name: str) -> T:
        """The factory called ``name``."""
        return self.entry(name).factory

    def names(self) -> list[str]:
        """All names, sorted."""
        return sorted(self._entries)

    def __iter__(self) -> Iterator[Entry[T]]:
        return iter(self._entries[name] for name in self.names())

    def __contains__(self, name: str) -> bool:
        return name in self._entries
