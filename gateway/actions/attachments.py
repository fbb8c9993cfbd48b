"""Files that go along with a mail: of one directory, looked at when proposed, and the same ones when sent."""

import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any
from unicodedata import is_normalized

from gateway.actions import rooted
from gateway.actions.refusal import ActionRefusedError
from gateway.core import filetypes
from gateway.core.visible import has_odd_blank, hidden

_LONGEST_NAME = 100
_LONGEST_OCTETS = 200
_DEEPEST = 20
_BAD_IN_NAMES = frozenset('/\\:*?"<>|;')
# Without O_NONBLOCK, opening a pipe would wait for its writer.
_FILE = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


@dataclass(frozen=True, slots=True)
class Attachments:
    """Reads files below `root`: at most `most` for a mail, and `largest` octets of them together."""

    root: Path
    most: int = 10
    largest: int = 10 * 1024 * 1024

    def describe(self, paths: Any) -> tuple[list[dict[str, Any]], list[bytes]]:
        """Read the files that are proposed; return what is shown and digested of each, and their octets.

        Raises:
            ActionRefusedError: a path or a name is not fit, or a file is not there, is none, or is too large.
        """
        if not isinstance(paths, list | tuple) or not all(isinstance(path, str) for path in paths):
            raise ActionRefusedError("attachments: a list of paths is needed")
        if len(paths) > self.most:
            raise ActionRefusedError(f"attachments: {len(paths)} files, at most {self.most}")
        names = [_checked(path)[-1] for path in paths]
        if len(set(map(str.casefold, names))) < len(names):
            raise ActionRefusedError("attachments: two of the files have the same name")
        contents = self._read(paths)
        return [
            _fact(path, name, octets) for path, name, octets in zip(paths, names, contents, strict=True)
        ], contents

    def fetch(self, approved: Sequence[Mapping[str, Any]]) -> list[bytes]:
        """Read the files that were approved once more.

        Raises:
            ActionRefusedError: one of them is no longer what it was.
        """
        contents = self._read([fact["path"] for fact in approved])
        for fact, octets in zip(approved, contents, strict=True):
            if sha256(octets).hexdigest() != fact["sha256"]:
                raise ActionRefusedError(
                    f"attachments: {fact['path']} is no longer the file that was approved"
                )
        return contents

    def _read(self, paths: Sequence[str]) -> list[bytes]:
        contents: list[bytes] = []
        for path in paths:
            left = self.largest - sum(map(len, contents))
            try:
                octets = _read_below(self.root, _checked(path), left + 1)
            except (OSError, ActionRefusedError) as error:
                why = getattr(error, "strerror", None) or error
                raise ActionRefusedError(f"attachments: {path!r} cannot be read: {why}") from error
            if len(octets) > left:
                raise ActionRefusedError(f"attachments: more than {self.largest:,} bytes together")
            contents.append(octets)
        return contents


def _fact(path: str, name: str, octets: bytes) -> dict[str, Any]:
    return {
        "path": path,
        "name": name,
        "size": len(octets),
        "type": filetypes.declared(name),
        "looks": filetypes.looks_like(octets) or "",
        "sha256": sha256(octets).hexdigest(),
    }


def _checked(path: str) -> tuple[str, ...]:
    """Take a relative path apart; each of its names is plain, so that it shows as what it is."""
    parts = tuple(path.split("/"))
    if len(parts) > _DEEPEST or not all(map(_is_plain, parts)):
        raise ActionRefusedError(f"attachments: {path!r} is no relative path of plain names")
    return parts


def _is_plain(name: str) -> bool:
    short = 0 < len(name) <= _LONGEST_NAME and len(name.encode("utf-8", "replace")) <= _LONGEST_OCTETS
    dots = name.startswith(".") or name.endswith(".") or name != name.strip()
    visible = not (hidden(name) or has_odd_blank(name)) and is_normalized("NFC", name)
    return short and not dots and visible and _BAD_IN_NAMES.isdisjoint(name) and "=?" not in name


def _read_below(root: Path, parts: tuple[str, ...], most: int) -> bytes:
    """Read at most `most` octets of a regular file; no step on the way to it may be a symbolic link."""
    with rooted.folder_of(root, parts) as folder:
        descriptor = os.open(parts[-1], _FILE, dir_fd=folder)
    with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor, not a path
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ActionRefusedError("it is no regular file")
        return file.read(most)
