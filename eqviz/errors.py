"""Named exceptions. Every message says what was expected, what came and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class EqvizError(Exception):
    """Base class of every error that eqviz raises on purpose."""


class DataError(EqvizError, ValueError):
    """Events, arrays or data files that are not what was asked for."""


class ConfigError(EqvizError, ValueError):
    """A parameter with an impossible name, type or value."""


class UnknownNameError(ConfigError, KeyError):
    """A name that no registry knows.

    Args:
        kind: what was looked up, for instance ``"model"``.
        name: the name that came.
        known: the names that exist.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        choices = sorted(known)
        close = get_close_matches(name, choices, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        self.message = f"unknown {kind} {name!r}; expected one of: {', '.join(choices) or '(none)'}.{hint}"
        super().__init__(self.message)

    def __str__(self) -> str:  # KeyError would print the repr of the message
        return self.message


class CheckpointError(EqvizError, ValueError):
    """Weights that are damaged, unsafe to read or made for another network."""


class StoreError(EqvizError, OSError):
    """A run folder or cache that cannot be read or written."""


class GeneratorError(EqvizError, RuntimeError):
    """The event generator is missing or failed."""


class DownloadError(EqvizError, OSError):
    """A public data set could not be fetched or does not match its checksum."""


class TrainingError(EqvizError, RuntimeError):
    """A training that diverged or cannot go on."""


class Cancelled(EqvizError):
    """A long job that was stopped on request."""
