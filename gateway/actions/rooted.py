"""Find files below one directory and nowhere else: each folder on the way is opened by itself, no link is."""

import errno
import os
import stat
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from gateway.actions.refusal import ActionRefusedError
from gateway.core.visible import has_odd_blank, hidden

LARGEST_OLD_FILE = 64 * 1024 * 1024
"""Bytes of a file that is replaced; a larger one is left alone."""
_LONGEST_PATH = 1000
_LONGEST_NAME = 200
_CHUNK = 1024 * 1024
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
# Without O_NONBLOCK, opening a pipe that somebody put there would wait for its other end.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Found:
    """A file as it was when it was looked at; `head` and `tail` are its first and last octets."""

    sha256: str
    size: int
    head: bytes
    tail: bytes


def names(path: str, *, dotfiles: bool) -> tuple[str, ...]:
    """Take a relative path apart into its folders and the file's name.

    Raises:
        ActionRefusedError: it could mean another place than it seems to.
    """
    parts = tuple(path.split("/"))
    for wrong, why in (
        (not path, "must name a file"),
        (path.startswith("/"), "must be relative: it begins below the configured root"),
        ("\0" in path or hidden(path) > 0 or "\n" in path, "must hold no control or invisible characters"),
        (has_odd_blank(path), "must hold no blank but the space"),
        ("\\" in path, "must separate folders by /, not by \\"),
        (len(path) > _LONGEST_PATH, f"must have at most {_LONGEST_PATH} characters"),
        ("" in parts, "must have no empty folder or file name"),
        ("." in parts or ".." in parts, "must not contain . or .. as a folder"),
        (not dotfiles and any(part.startswith(".") for part in parts), "must not name hidden files"),
        (any(part != part.strip() for part in parts), "must have no blanks around names"),
        (unicodedata.normalize("NFC", path) != path, "must be in Unicode's composed form (NFC)"),
    ):
        if wrong:
            raise ActionRefusedError(f"path: {why}")
    if any(len(part.encode()) > _LONGEST_NAME for part in parts):
        raise ActionRefusedError(f"path: each name must have at most {_LONGEST_NAME} bytes")
    return parts


@contextmanager
def folder_of(root: Path, parts: Sequence[str]) -> Iterator[int]:
    """Hold the folder that the last of `parts` lies in open, as a descriptor that no link was followed for.

    Raises:
        ActionRefusedError: one of the folders is not there, or is a link.
        OSError: one of them cannot be opened.
    """
    here = os.open(root, _FOLDER)
    try:
        for depth, part in enumerate(parts[:-1], 1):
            try:
                below = os.open(part, _FOLDER | os.O_NOFOLLOW, dir_fd=here)
            except OSError as error:
                if error.errno not in {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}:
                    raise
                where = "/".join(parts[:depth])
                raise ActionRefusedError(f"path: there is no folder {where} in {root}") from None
            os.close(here)
            here = below
        yield here
    finally:
        os.close(here)


def look(folder: int, name: str, edge: int) -> Found | None:
    """Look at a file in an open folder, with `edge` octets of its beginning and end; None if there is none.

    Raises:
        ActionRefusedError: what has this name is no plain file, or too large.
        OSError: it cannot be read.
    """
    try:
        descriptor = os.open(name, _FILE, dir_fd=folder)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno not in {errno.ELOOP, errno.ENXIO}:
            raise
        raise ActionRefusedError(f"path: {name} is a link or a device, not a plain file") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ActionRefusedError(f"path: {name} is a folder or a device, not a plain file")
    with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor, not a path
        digest, size, head, tail = sha256(), 0, b"", b""
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
            head += chunk[: edge - len(head)] if len(head) < edge else b""
            tail = (tail + chunk)[-edge:] if edge else b""
            if size > LARGEST_OLD_FILE:
                raise ActionRefusedError(f"path: {name} is larger than {LARGEST_OLD_FILE:,} bytes")
    return Found(digest.hexdigest(), size, head, tail)
