"""Write a text file below a configured directory: exactly the octets that people saw, over what they saw."""

import asyncio
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import unified_diff
from hashlib import sha256
from pathlib import Path
from typing import Any

from gateway.actions import rooted
from gateway.actions.refusal import ActionRefusedError
from gateway.core.action import Action, Field, FieldType
from gateway.core.policy import Risk
from gateway.letters import Row

NAME = "write_file"
WHOLE = 50_000
"""Bytes of the longest text that people are shown; they see every content whole."""
_AUTHORED = ("path", "content")
_EDGE = 500
_COMPARED_LINES = 1_000
"""Lines that two texts may have to be compared: the time for it grows with their product."""
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteFile:
    """Prepares files under one installation's settings.

    `root` is absolute; files get `mode`, whatever they had before. `max_bytes` limits the content.
    """

    root: Path
    max_bytes: int = WHOLE
    mode: int = 0o600
    dotfiles: bool = False

    editable = (Field("path", FieldType.STRING), Field("content", FieldType.STRING))

    async def prepare(self, parameters: Mapping[str, Any]) -> Action:
        """Check path and content, and take down what would be replaced.

        Raises:
            ActionRefusedError: the path leads elsewhere, or the content is not fit to be written.
        """
        if unknown := [name for name in parameters if name not in _AUTHORED]:
            raise ActionRefusedError(
                f"{NAME} takes {', '.join(_AUTHORED)}; not {', '.join(map(str, unknown))}"
            )
        path, content = (_text(name, parameters.get(name)) for name in _AUTHORED)
        if _CONTROL.search(content):
            raise ActionRefusedError("content: control characters are not allowed")
        size = len(content.encode())
        if size > self.max_bytes:
            raise ActionRefusedError(f"content: {size:,} bytes, at most {self.max_bytes:,}")
        parts = rooted.names(path, dotfiles=self.dotfiles)
        old = await asyncio.to_thread(self._found, parts)
        shown = {"root": str(self.root), "path": path, "content": content, "mode": f"{self.mode:04o}"}
        action = Action(NAME, {**shown, **_replaced(old)})
        if old and old.sha256 == digest_of(action):
            raise ActionRefusedError("nothing would change: the file already has this content")
        return action

    def _found(self, parts: tuple[str, ...]) -> rooted.Found | None:
        try:
            with rooted.folder_of(self.root, parts) as folder:
                return rooted.look(folder, parts[-1], WHOLE)
        except OSError as error:
            raise ActionRefusedError(f"path: it cannot be looked at: {error.strerror}") from error

    def proposed(self, action: Action) -> Mapping[str, Any]:
        """Keep what an agent or editor may say; the rest is found out anew."""
        return {name: action.parameters[name] for name in _AUTHORED}

    def summary(self, action: Action) -> str:
        """Name the file, and whether it is there."""
        return f"{'Replace' if action.parameters['old_sha256'] else 'Write'} file {action.parameters['path']}"

    def rows(self, action: Action) -> tuple[Row, ...]:
        """Show where, over what, and the whole content."""
        return tuple(_rows(action.parameters))

    def risk(self, action: Action) -> Risk:
        """High where something is replaced, else medium."""
        return Risk.MEDIUM if action.parameters["old_sha256"] is None else Risk.HIGH


def digest_of(action: Action) -> str:
    """Return the SHA-256 of the octets that the file will hold."""
    return sha256(action.parameters["content"].encode()).hexdigest()


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise ActionRefusedError(f"{name}: a text is needed")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ActionRefusedError(f"{name}: it holds half a character (a lone surrogate)") from None
    return value


def _replaced(old: rooted.Found | None) -> dict[str, Any]:
    """Say what is replaced: a text whole where people can read it all, of anything else the edges."""
    if old is None:
        return {"old_sha256": None}
    known = {"old_sha256": old.sha256, "old_bytes": old.size}
    text = _decoded(old.head) if old.size <= WHOLE else None
    if text is not None:
        return {**known, "old_text": text}
    return {**known, "old_head": _excerpt(old.head[:_EDGE]), "old_tail": _excerpt(old.tail[-_EDGE:])}


def _decoded(octets: bytes) -> str | None:
    try:
        text = octets.decode()
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text


def _excerpt(octets: bytes) -> str:
    return octets.decode("utf-8", "backslashreplace")


def _rows(shown: Mapping[str, Any]) -> Iterator[Row]:
    content: str = shown["content"]
    octets = content.encode()
    yield Row("Root", shown["root"])
    yield Row("Path", shown["path"])
    yield Row("Mode", shown["mode"])
    yield Row("Replaces", _old(shown))
    yield Row("Size", f"{len(octets):,} bytes")
    yield Row("SHA-256", sha256(octets).hexdigest())
    if "old_head" in shown:
        yield Row("Beginning of the old content", shown["old_head"])
        yield Row("End of the old content", shown["old_tail"])
    yield from _difference(shown.get("old_text"), content)
    yield Row("Content", content)


def _old(shown: Mapping[str, Any]) -> str:
    if shown["old_sha256"] is None:
        return "nothing: the file is new"
    return f"a file of {shown['old_bytes']:,} bytes with SHA-256 {shown['old_sha256']}"


def _difference(old: str | None, new: str) -> Iterator[Row]:
    if old is None:
        return
    before, after = old.split("\n"), new.split("\n")
    if max(len(before), len(after)) > _COMPARED_LINES:
        yield Row("Old content", old)
        return
    # The two lines of file names say nothing here.
    lines = list(unified_diff(before, after, lineterm=""))[2:]
    yield Row("Changes", "\n".join(lines))
