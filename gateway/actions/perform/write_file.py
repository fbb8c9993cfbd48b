"""Write an approved file: without a name first, then to its place in one step, if nothing has changed since.

Whoever else may write to the folder can change what has a name in it. The copy is held open all the time,
and has no name before its place where the system can do that (Linux, `O_TMPFILE`); where it has one, what
has the name is compared with what is held before and after.
"""

import asyncio
import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

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

_BESIDE = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_HELD = Path("/proc/self/fd")
"""Names of what is open, by which Linux gives a file without a name its first one (open(2), O_TMPFILE)."""
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
        copy = await asyncio.to_thread(self._lay_down, target, octets)
        look = "Compare the SHA-256 of the file with the one below"
        try:
            await attempt.point_of_no_return({**told, "old_sha256": shown["old_sha256"], "look": look})
        except BaseException:
            copy.file.close()
            raise
        await asyncio.to_thread(self._put_in_place, target, copy)
        return Receipt(ReceiptStatus.DONE, f"File written: {told['file']}, {len(octets):,} bytes", told)

    def _lay_down(self, target: "_Target", octets: bytes) -> "_Copy":
        with _nothing_done(), rooted.folder_of(self._root, target.parts) as folder:
            target.compare(folder)
            target.clear(folder)  # only a try of the same approval before this one can have left it
            copy = target.opened(folder)
            file = copy.file
            try:
                file.write(octets)
                file.flush()
                os.fchmod(file.fileno(), target.mode)
                os.fsync(file.fileno())
            except OSError:
                file.close()
                target.clear(folder)
                raise
            return copy

    def _put_in_place(self, target: "_Target", copy: "_Copy") -> None:
        # The folder is found anew: what was opened before may have been moved out of the root since.
        with copy.file, _nothing_done(), rooted.folder_of(self._root, target.parts) as folder:
            try:
                target.compare(folder)
                target.place(folder, copy)
            except (OSError, ActionRefusedError, NothingDoneError) as error:
                if isinstance(error, OSError) and error.errno not in _REFUSALS:
                    raise InDoubtError(
                        f"the disk does not say whether it was written: {error.strerror}"
                    ) from error
                target.clear(folder)
                raise
            try:
                sound = target.is_copy(folder, target.parts[-1], copy)
                os.fsync(folder)
            except OSError as error:
                raise InDoubtError(f"the disk did not confirm it: {error.strerror}") from error
            if not sound:
                raise InDoubtError(
                    "the file is not what was approved: somebody else changed or replaced it meanwhile"
                )


@dataclass(frozen=True, slots=True)
class _Copy:
    """What will be the file, held open; `is_named` if it has the name beside its place already."""

    file: BinaryIO
    is_named: bool

    @property
    def held(self) -> Path:
        """The name by which the system itself knows what is held."""
        return _HELD / str(self.file.fileno())


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

    def opened(self, folder: int) -> _Copy:
        """Make the copy, without a name if the disk can do that and /proc is there to name it later."""
        try:
            nameless = os.open(".", os.O_RDWR | os.O_TMPFILE | os.O_CLOEXEC, 0o600, dir_fd=folder)
        # Only Linux has this flag, and not every disk can do it.
        except (AttributeError, OSError):
            pass
        else:
            if (_HELD / str(nameless)).exists():
                return _Copy(open(nameless, "w+b"), is_named=False)  # noqa: PTH123 - a descriptor, not a path
            os.close(nameless)
        named = os.open(self.beside, _BESIDE, 0o600, dir_fd=folder)
        return _Copy(open(named, "w+b"), is_named=True)  # noqa: PTH123 - a descriptor, not a path

    def place(self, folder: int, copy: _Copy) -> None:
        """Give the copy its name; as a link, a new file cannot replace one that came this very moment."""
        name = self.parts[-1]
        if self.action.parameters["old_sha256"] is not None:
            with suppress(FileExistsError):
                # Only a rename replaces, and it needs a name to start from.
                if not copy.is_named:
                    os.link(copy.held, self.beside, dst_dir_fd=folder, follow_symlinks=True)
            self._check_beside(folder, copy)
            os.rename(self.beside, name, src_dir_fd=folder, dst_dir_fd=folder)
            return
        try:
            if copy.is_named:
                self._check_beside(folder, copy)
                os.link(self.beside, name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
            else:
                os.link(copy.held, name, dst_dir_fd=folder, follow_symlinks=True)
        except FileExistsError:
            raise ActionRefusedError(
                f"{self.action.parameters['path']} is there now; nothing was written"
            ) from None
        self.clear(folder)

    def _check_beside(self, folder: int, copy: _Copy) -> None:
        if not self.is_copy(folder, self.beside, copy):
            raise NothingDoneError("not written: somebody else changed or replaced the copy beside it")

    def is_copy(self, folder: int, name: str, copy: _Copy) -> bool:
        """Whether this name is that of the copy, which still holds what was approved."""
        octets = self.action.parameters["content"].encode()
        try:
            named = os.stat(name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            return False
        # Not through the buffer of `copy`, which keeps what it has read.
        holds = os.pread(copy.file.fileno(), len(octets) + 1, 0) == octets
        return holds and os.path.samestat(named, os.fstat(copy.file.fileno()))

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
