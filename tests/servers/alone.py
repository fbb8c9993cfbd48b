"""An IMAP server that looks into no mail, so that none can hurt it, in a process of its own.

As a program it serves the files of a directory, in the order of their names, to whoever logs in, and ends
with its standard input. It knows the commands that the gateway gives, and no others.
"""

import asyncio
import re
import sys
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path


@asynccontextmanager
async def serving_alone(directory: Path, mails: Sequence[bytes]) -> AsyncIterator[int]:
    """Serve these mails from files in a directory; yields the port."""
    for n, octets in enumerate(mails):
        (directory / f"{n:05}").write_bytes(octets)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, __file__, str(directory)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield int(await process.stdout.readline())
    finally:
        process.stdin.close()
        await process.wait()


class _Server:
    """One mailbox; what is moved is gone."""

    def __init__(self, directory: Path) -> None:
        self._mails = {n: path.read_bytes() for n, path in enumerate(sorted(directory.iterdir()), 1)}
        self._next = len(self._mails) + 1
        self._commands: dict[bytes, Callable[[bytes], bytes]] = {
            rb"(?:UID SEARCH|uid search) UID (\d+):\*": self._search,
            rb"(?i:UID FETCH) (\d+) \(UID RFC822.SIZE INTERNALDATE\)": self._describe,
            rb"(?i:UID FETCH) (\d+) \(UID BODY.PEEK\[\]\)": self._fetch,
            rb"(?i:UID MOVE) (\d+) .*": self._move,
            rb"(?i:SELECT) .*": lambda _: b"* OK [UIDVALIDITY 1] .\r\n* OK [UIDNEXT %d] .\r\n" % self._next,
            rb"(?i:CAPABILITY)": lambda _: b"* CAPABILITY IMAP4rev1 IDLE MOVE\r\n",
            rb"(?i:LIST|CREATE|LOGIN|NOOP|LOGOUT|DONE)\b.*": lambda _: b"",
        }

    async def serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        writer.write(b"* OK [CAPABILITY IMAP4rev1 IDLE MOVE] ready\r\n")
        tag = b""
        while line := (await reader.readline()).rstrip():
            if line.upper() != b"DONE":
                tag, _, line = line.partition(b" ")
            if line.upper() == b"IDLE":
                writer.write(b"+ idling\r\n")
            else:
                writer.write(self._answer(line) + tag + b" OK done\r\n")
        writer.close()

    def _answer(self, line: bytes) -> bytes:
        for pattern, answer in self._commands.items():
            if match := re.fullmatch(pattern, line):
                return answer(match[1] if match.re.groups else b"")
        raise ValueError(line)

    def _search(self, uid: bytes) -> bytes:
        found = [n for n in self._mails if n >= int(uid)]
        return b"* SEARCH " + b" ".join(b"%d" % n for n in found) + b"\r\n"

    def _describe(self, uid: bytes) -> bytes:
        size = len(self._mails[int(uid)])
        return b'* 1 FETCH (UID %s RFC822.SIZE %d INTERNALDATE "02-Mar-2026 09:30:00 +0000")\r\n' % (
            uid,
            size,
        )

    def _fetch(self, uid: bytes) -> bytes:
        octets = self._mails[int(uid)]
        return b"* 1 FETCH (UID %s BODY[] {%d}\r\n%s)\r\n" % (uid, len(octets), octets)

    def _move(self, uid: bytes) -> bytes:
        del self._mails[int(uid)]
        return b""


async def _serve(directory: Path) -> None:
    server = await asyncio.start_server(_Server(directory).serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201 - what its starter waits for
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1])))
