"""What all queries share: one open transaction, the errors, and lists as parameters."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol


class NotFoundError(LookupError):
    """There is no such row; the message names what was looked for."""


class ConflictError(RuntimeError):
    """Somebody else moved the row first: load again, decide again."""


class FencedError(RuntimeError):
    """The outbox row is no longer this worker's; whatever it did must not be recorded by it."""


class Row(Protocol):
    """A result row, by column name."""

    def __getitem__(self, column: str, /) -> Any:
        """Return the column's value."""


class Cursor(Protocol):
    """What an executed statement gives back."""

    @property
    def rowcount(self) -> int:
        """How many rows the statement changed."""

    def fetchone(self) -> Any:
        """Return the next row or None."""

    def fetchall(self) -> list[Any]:
        """Return all rows."""


class Queries:
    """One open transaction. `execute` takes statements with `:name` parameters, `seals` make MACs.

    The last seal is the one in use; the earlier ones still verify what was sealed before a key was added.
    """

    def __init__(
        self, execute: Callable[[str, Mapping[str, Any]], Cursor], seals: Sequence[Callable[[bytes], str]]
    ) -> None:
        self._execute = execute
        self._seals = seals
        self._versions: dict[str, int] = {}


def names(prefix: str, values: Sequence[Any]) -> str:
    """Write the parameter names of a list, for `IN`."""
    return "(" + ", ".join(f":{prefix}{n}" for n in range(len(values))) + ")"


def values_of(prefix: str, values: Sequence[Any]) -> dict[str, Any]:
    """Give each value of a list its parameter name."""
    return {f"{prefix}{n}": str(value) for n, value in enumerate(values)}
