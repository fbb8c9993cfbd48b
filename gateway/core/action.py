"""The proposed action: what exactly would be done, its digest, and how a reviewer's edits change it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from hashlib import sha256
from typing import Any

import rfc8785

DIGEST_VERSION = 1


class FieldType(StrEnum):
    """The JSON type of an editable field; it decides how typed text becomes a value, and stays what it is."""

    STRING = "string"
    STRINGS = "strings"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    JSON = "json"
    """An object, a list of other things than texts, or null."""

    @classmethod
    def of(cls, value: Any) -> "FieldType":
        """Return the type of a value; an empty list is one of texts."""
        if isinstance(value, list) and all(isinstance(each, str) for each in value):
            return cls.STRINGS
        return _TYPES.get(type(value), cls.JSON)


@dataclass(frozen=True, slots=True)
class Field:
    """A parameter that a reviewer may change."""

    name: str
    type: FieldType


@dataclass(frozen=True, slots=True)
class Action:
    """An action with every default filled in: executing it needs nothing that is not in here.

    `parameters` is plain JSON and is never changed in place.
    """

    type: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Change:
    """One parameter before and after an edit."""

    field: str
    old: Any
    new: Any


class EditRefusedError(ValueError):
    """The edit names fields that cannot be changed or values of the wrong type; `problems` says which."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(self.problems))


def digest(action: Action) -> str:
    """Return the SHA-256, in hex, of the action's canonical JSON (RFC 8785)."""
    return _sha256({"version": DIGEST_VERSION, "type": action.type, "parameters": dict(action.parameters)})


def digest_of(digests: Iterable[str]) -> str:
    """Return one digest for several actions that are decided together; a single one stands for itself."""
    each = list(digests)
    return each[0] if len(each) == 1 else _sha256({"version": DIGEST_VERSION, "items": each})


def edit(action: Action, edits: Mapping[str, Any], editable: Iterable[Field]) -> Action:
    """Merge `edits` shallowly into `action`.

    The result still has to be prepared and shown again before anything is done with it.

    Raises:
        EditRefusedError: a field is unknown or not editable, a value has the wrong type, or nothing changes.
    """
    fields = {field.name: field for field in editable}
    problems = [
        f"{name} cannot be changed; you can change {', '.join(fields) or 'nothing'}"
        for name in edits
        if name not in fields
    ]
    problems += [
        f"{name} must be {_WANTED[fields[name].type]}"
        for name, value in edits.items()
        if name in fields and not _fits(value, fields[name].type)
    ]
    if problems:
        raise EditRefusedError(problems)
    if inexact := [name for name, value in edits.items() if not _is_exact(value)]:
        raise EditRefusedError([f"{name} {_INEXACT}" for name in inexact])
    edited = replace(action, parameters={**action.parameters, **edits})
    if not diff(action, edited):
        raise EditRefusedError(["nothing would change"])
    return edited


def diff(old: Action, new: Action) -> tuple[Change, ...]:
    """List the parameters that differ as JSON, where 1 is not true, in the new action's order."""
    names = dict.fromkeys((*new.parameters, *old.parameters))
    changes = (Change(name, old.parameters.get(name), new.parameters.get(name)) for name in names)
    return tuple(each for each in changes if rfc8785.dumps(each.old) != rfc8785.dumps(each.new))


def _is_exact(value: Any) -> bool:
    """Whether there is one canonical form of the value, which every reader takes for the same."""
    try:
        rfc8785.dumps(value)
    except (ValueError, TypeError, RecursionError):
        return False
    return True


_INEXACT = "cannot be kept exactly: whole numbers go up to 9007199254740991, text is whole characters"
_TYPES = {str: FieldType.STRING, int: FieldType.INTEGER, float: FieldType.NUMBER, bool: FieldType.BOOLEAN}
_WANTED = {
    FieldType.STRING: "text",
    FieldType.STRINGS: "a list of texts",
    FieldType.INTEGER: "a whole number",
    FieldType.NUMBER: "a number",
    FieldType.BOOLEAN: "true or false",
    FieldType.JSON: "JSON",
}


def _fits(value: Any, wanted: FieldType) -> bool:
    match wanted:
        case FieldType.STRINGS:
            return isinstance(value, list | tuple) and all(isinstance(each, str) for each in value)
        case FieldType.NUMBER:
            return type(value) in {int, float}
        case FieldType.JSON:
            return True
        case _:
            return _TYPES.get(type(value)) is wanted


def _sha256(value: Any) -> str:
    return sha256(rfc8785.dumps(value)).hexdigest()
