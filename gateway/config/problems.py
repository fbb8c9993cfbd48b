"""What is wrong with a configuration, said about a key, in words that say what to do."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from gateway.config.tables import SECRET_FILES, File, Table

_SHORT = 80

Place = tuple[str | int, ...]
"""Where a value stands: the names of tables and keys, and the positions in lists."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong; a warning does not keep the gateway from running."""

    key: str
    message: str
    hint: str = ""
    warning: bool = False

    def __str__(self) -> str:
        return f"{self.key}: {self.message}" + (f" ({self.hint})" if self.hint else "")


class ConfigError(Exception):
    """The configuration cannot be used; `problems` holds everything that is wrong with it."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


def dotted(place: Place) -> str:
    """Write a place as people read it: `reviewers[0].email`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).lstrip(".")


def keys_of(table: type[Table]) -> dict[str, FieldInfo]:
    """List the keys of a table under the names they have in the file."""
    return {field.alias or name: field for name, field in table.model_fields.items()}


def table_in(field: FieldInfo) -> type[Table] | None:
    """Name the table that a key holds, once or as a list; None for a plain value."""
    for kind in (field.annotation, *get_args(field.annotation)):
        if isinstance(kind, type) and issubclass(kind, Table):
            return kind
    return None


def is_list(field: FieldInfo) -> bool:
    """Whether a key holds several values or tables."""
    return bool(get_args(field.annotation)) and get_args(field.annotation)[-1] is ...


def is_named(field: FieldInfo) -> bool:
    """Whether a key holds tables under names that the file chooses."""
    return get_origin(field.annotation) is dict


def table_at(place: Place) -> type[Table] | None:
    """Find the table that stands at `place`, in a list or not; None where there can be none."""
    table: type[Table] | None = File
    names = iter([part for part in place if isinstance(part, str)])
    for name in names:
        field = keys_of(table).get(name) if table else None
        table = table_in(field) if field else None
        if field and is_named(field) and next(names, None) is None:
            return None
    return table


def key_at(place: Place) -> FieldInfo | None:
    """Find the key that `place` leads to; None where there is no such key."""
    table = table_at(place[:-1])
    return keys_of(table).get(str(place[-1])) if table else None


def guess(word: str, known: Iterable[str]) -> str:
    """Offer the known word that was probably meant, or nothing."""
    near = get_close_matches(word.lower(), list(known), n=1)
    return f"did you mean '{near[0]}'?" if near else ""


def explain(place: Place, error: ErrorDetails) -> Problem:
    """Turn what pydantic found at `place` into a problem. Secret values are never repeated."""
    kind, key, limits = error["type"], dotted(place), error.get("ctx", {})
    if kind == "extra_forbidden":
        parent = table_at(place[:-1])
        return Problem(key, "unknown key", guess(str(place[-1]), keys_of(parent) if parent else ()))
    if kind in {"tuple_type", "model_type"}:
        return Problem(key, "must be a list" if kind == "tuple_type" else "must be a table", _heading(place))
    if kind == "missing":
        return Problem(key, "is missing", _sentence(place))
    if kind == "value_error":
        return Problem(key, str(limits["error"]))
    if kind in {"literal_error", "enum"}:
        return _not_among(place, error["input"], limits["expected"])
    wanted = _WANTED.get(kind, error["msg"]).format(**limits)
    return Problem(key, f"{wanted}{_instead(place, error['input'])}")


def _sentence(place: Place) -> str:
    field = key_at(place)
    return (field.description or "").rstrip(".") if field else ""


def _heading(place: Place) -> str:
    """Show how a table is written, where one is wanted at `place`."""
    field = File.model_fields.get(str(place[0])) if len(place) == 1 else key_at(place)
    if field is None or table_in(field) is None:
        return ""
    name = ".".join(part for part in place if isinstance(part, str))
    return f"write [[{name}]]" if is_list(field) else f"write [{name}]"


def _not_among(place: Place, given: Any, expected: str) -> Problem:
    """Refuse a word; `expected` is pydantic's list of the right ones: "'a', 'b' or 'c'"."""
    choices = [word for word in expected.split("'") if word.isidentifier()]
    meant = guess(given, choices) if isinstance(given, str) else ""
    return Problem(dotted(place), f"must be {expected}{_instead(place, given)}", meant)


def _instead(place: Place, given: Any) -> str:
    """Repeat what was given, where it is short, plain and no secret."""
    if set(place) & set(SECRET_FILES.values()) or isinstance(given, Mapping | list | tuple | BaseModel):
        return ""
    shown = repr(given)
    return f", not {shown}" if len(shown) <= _SHORT else ""


_WANTED = {
    "string_type": "must be text",
    "int_type": "must be a whole number",
    "bool_type": "must be true or false",
    "bytes_type": "must be text",
    "path_type": "must be a path",
    "string_unicode": "must be UTF-8 text",
    "string_too_short": "must not be empty",
    "too_short": "must not be empty",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
}
