"""Write an approved file: beside its place first, then there in one step, if nothing has changed since."""

import asyncio
import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from gateway.actions import rooted
from gateway.actions.perform.attempt import Attempt
from gateway.actions.refusal import ActionRefusedError
from gateway.actions.write_file import digest_of
from gateway.core.action import Action
from gateway.core.execution import (
    InDoubtError,
    MisconfiguredError,
    NothingDoneError,
    Receipt,
    ReceiptStatus,
)

_BESIDE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_OPERATORS = frozenset(
    {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR, errno.EOPNOTSUPP}
)
"""Errors that stay until somebody changes something: rights, a read-only disk, the root itself gone."""
_REFUSALS = _OPERATORS | {errno.EISDIR, errno.EMLINK, errno.ENOSPC, errno.EDQUOT, errno.EXDEV}
"""Answers of the disk to a new name that leave no doubt that it was not given."""


class FileWriter:
    """Writes what `WriteFile` has prepared, below the same `root` and by the same rule for hidden files."""

    def __init__(self, root: Path, *, dotfiles: bool = False) -> None:
        self._root = root
        self._dotfiles = dotfiles

    async def perform(self, action: Action, attempt: Attempt) -> Receipt:
        """Write the file; the point of no return lies between the finished copy beside it and its place.

        Raises:
            ActionRefusedError: the file has changed, came or went since it was shown, or the root was moved.
            NothingDoneError: the disk did not take it.
            InDoubtError: it is in its place, and the disk did not confirm that it stays.
        """
        shown = action.parameters
        if shown["root"] != str(self._root):
            raise ActionRefusedError(f"root is {self._root} now, not {shown['root']}; nothing was written")
        parts = rooted.names(shown["path"], dotfiles=self._dotfiles)
        target = _Target(action, parts, f".{attempt.approval}.approval-gateway")
        octets = shown["content"].encode()
        told = {"file": f"{self._root}/{shown['path']}", "sha256": digest_of(action), "bytes": len(octets)}
        await asyncio.to_thread(self._lay_beside, target, octets)
        look = "Compare the SHA-256 of the file with the one below"
        await attempt.point_of_no_return({**told, "old_sha256": shown["old_sha256"], "look": look})
        await asyncio.to_thread(self._put_in_place, target)
        return Receipt(ReceiptStatus.DONE, f"File written: {told['file']}, {len(octets):,} bytes", told)

    def _lay_beside(self, target: "_Target", octets: bytes) -> None:
        with _nothing_done(), rooted.folder_of(self._root, target.parts) as folder:
            target.compare(folder)
            # Only a try of the same approval before this one can have left it.
            with suppress(FileNotFoundError):
                os.unlink(target.beside, dir_fd=folder)
            try:
                with open(os.open(target.beside, _BESIDE, 0o600, dir_fd=folder), "wb") as file:  # noqa: PTH123 - a descriptor, not a path
                    file.write(octets)
                    file.flush()
                    os.fchmod(file.fileno(), target.mode)
                    os.fsync(file.fileno())
            except OSError:
                target.clear(folder)
                raise

    def _put_in_place(self, target: "_Target") -> None:
        # The folder is found anew: what was opened before may have been moved out of the root since.
        with _nothing_done(), rooted.folder_of(self._root, target.parts) as folder:
            try:
                target.compare(folder)
                target.place(folder)
            except (OSError, ActionRefusedError) as error:
                if isinstance(error, OSError) and error.errno not in _REFUSALS:
                    raise InDoubtError(
                        f"the disk does not say whether it was written: {error.strerror}"
                    ) from error
                target.clear(folder)
                raise
            try:
                os.fsync(folder)
            except OSError as error:
                raise InDoubtError(f"the disk did not confirm it: {error.strerror}") from error


@dataclass(frozen=True, slots=True)
class _Target:
    """Where a file goes, and the name of its copy beside that; descriptors of its folder are passed in."""

    action: Action
    parts: tuple[str, ...]
    beside: str

    @property
    def mode(self) -> int:
        return int(self.action.parameters["mode"], 8)

    def compare(self, folder: int) -> None:
        """Refuse unless what is there now is what people were shown."""
        found = rooted.look(folder, self.parts[-1], 0)
        now, shown = found and found.sha256, self.action.parameters["old_sha256"]
        if now != shown:
            how = "is there now" if shown is None else "is gone" if now is None else "has changed"
            raise ActionRefusedError(
                f"{self.action.parameters['path']} {how} since it was shown; nothing was written"
            )

    def place(self, folder: int) -> None:
        """Give the copy its name; as a link, a new file cannot replace one that came this very moment."""
        name = self.parts[-1]
        if self.action.parameters["old_sha256"] is not None:
            os.rename(self.beside, name, src_dir_fd=folder, dst_dir_fd=folder)
            return
        try:
            os.link(self.beside, name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
        except FileExistsError:
            raise ActionRefusedError(
                f"{self.action.parameters['path']} is there now; nothing was written"
            ) from None
        self.clear(folder)

    def clear(self, folder: int) -> None:
        """Take the copy away, if it can be."""
        with suppress(OSError):
            os.unlink(self.beside, dir_fd=folder)


@contextmanager
def _nothing_done() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        kind = MisconfiguredError if error.errno in _OPERATORS else NothingDoneError
        raise kind(f"not written: {error.strerror}") from error
