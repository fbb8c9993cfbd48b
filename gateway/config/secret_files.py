"""Fetch the secrets that a configuration names by file, and warn of those that stand in it."""

import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.config.environment import given
from gateway.config.problems import Place, Problem, dotted, is_named, key_at, keys_of, table_at
from gateway.config.tables import SECRET_FILES

_LARGEST = 64 * 1024
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True, slots=True)
class _Slot:
    """A place for a secret: under `key` in the table itself, or in the file that `file_key` names."""

    table: dict[str, Any]
    place: Place
    key: str
    file_key: str

    def key_from(self, environ: Mapping[str, str]) -> bool:
        return given((*self.place, self.key), environ)

    def file_from(self, environ: Mapping[str, str]) -> bool:
        return given((*self.place, self.file_key), environ)


def resolve(
    raw: dict[str, Any], environ: Mapping[str, str], base: Path, *, running: bool
) -> Iterator[Problem]:
    """Put what secret files contain into `raw`, beside the keys that name the files.

    What is wrong with a file is an error for a gateway that is `running`, and a warning before that.
    """
    for slot in list(_slots(raw)):
        if slot.key in slot.table and slot.file_key in slot.table:
            yield from _choose(slot, environ)
        if slot.key in slot.table and not slot.key_from(environ):
            hint = f"better in a file that {slot.file_key} names"
            yield Problem(dotted((*slot.place, slot.key)), "stands in the file itself", hint, warning=True)
        elif slot.key not in slot.table and isinstance(slot.table.get(slot.file_key), str):
            yield from _fetch(slot, base, running=running)


def _slots(raw: Any, place: Place = ()) -> Iterator[_Slot]:
    """Walk the tables that have a place in a configuration, and no deeper."""
    children: list[tuple[str | int, Any]] = []
    if isinstance(raw, list) and place and isinstance(place[-1], str):
        children = list(enumerate(raw))
    elif isinstance(raw, dict) and (table := table_at(place)):
        known = keys_of(table)
        yield from (_Slot(raw, place, key, file) for file, key in SECRET_FILES.items() if file in known)
        children = list(raw.items())
    elif isinstance(raw, dict) and place and (field := key_at(place)) and is_named(field):
        children = list(raw.items())
    for part, child in children:
        yield from _slots(child, (*place, part))


def _choose(slot: _Slot, environ: Mapping[str, str]) -> Iterator[Problem]:
    """Let the environment win over the file; beside each other, neither does."""
    if slot.key_from(environ) == slot.file_from(environ):
        yield Problem(
            dotted((*slot.place, slot.key)), f"stands beside {slot.file_key}", "give one of the two"
        )
    else:
        del slot.table[slot.file_key if slot.key_from(environ) else slot.key]


def _fetch(slot: _Slot, base: Path, *, running: bool) -> Iterator[Problem]:
    name = slot.table[slot.file_key]
    contents, fault, hint = _read(base / name)
    if contents:
        slot.table[slot.key] = contents
    if fault:
        yield Problem(dotted((*slot.place, slot.file_key)), f"{name} {fault}", hint, warning=not running)


def _read(path: Path) -> tuple[bytes, str, str]:
    """Return what the file contains, what is wrong with it, and what to do about that."""
    try:
        mode = path.stat().st_mode
        contents = path.read_bytes() if stat.S_ISREG(mode) else None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        return b"", f"cannot be read: {reason}", "put the secret there and chmod 600 it"
    if not contents or not contents.strip() or len(contents) > _LARGEST:
        return b"", "holds no secret", "it must be a file with the secret and nothing else"
    # An editor's newline at the end of a text is no part of the secret; random octets are taken as they are.
    secret = contents.strip() if contents.isascii() else contents
    open_to_others = mode & _OTHERS
    return secret, "is open to others" if open_to_others else "", "chmod 600" if open_to_others else ""
