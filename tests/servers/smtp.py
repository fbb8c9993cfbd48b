"""An SMTP server that answers as the test tells it: properly, with a refusal, with a reset or not at all."""

import asyncio
import ssl
from asyncio import StreamReader, StreamWriter
from collections.abc import Mapping
from pathlib import Path
from typing import Self

RESET = "reset"
SILENCE = "silence"

PROPER = {
    "connect": "220 peer.test",
    "EHLO": "250-peer.test\r\n250-8BITMIME\r\n250-AUTH PLAIN LOGIN CRAM-MD5\r\n250 SIZE 1000000",
    "AUTH": "235 2.7.0 welcome",
    "STARTTLS": "220 2.0.0 go ahead",
    "MAIL": "250 2.1.0 ok",
    "RCPT": "250 2.1.5 ok",
    "DATA": "354 go ahead",
    ".": "250 2.0.0 queued as 1",
    "RSET": "250 2.0.0 ok",
    "QUIT": "221 2.0.0 bye",
}


class Peer:
    """`replies` overrides `PROPER` by verb or by whole command; change it while the test runs."""

    def __init__(
        self, replies: Mapping[str, str], certificate: Path | None = None, *, tls: bool = False
    ) -> None:
        self.replies = {**PROPER, **replies}
        self.commands: list[str] = []
        self.mails: list[bytes] = []
        self.connections = 0
        self.left = asyncio.Event()
        self._news = asyncio.Condition()
        self._certificate = certificate
        self._tls = tls
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        context = self._context() if self._tls else None
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=context)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def verbs(self) -> list[str]:
        return [command.partition(" ")[0] for command in self.commands]

    async def heard(self, verb: str) -> None:
        """Wait until a client has said `verb`."""
        async with self._news:
            await self._news.wait_for(lambda: verb in self.verbs)

    def hang_up(self) -> None:
        """Close every connection, as servers do that have waited long enough."""
        for task in self._tasks:
            task.cancel()

    def _context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        assert self._certificate is not None
        context.load_cert_chain(self._certificate)
        return context

    async def _serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        try:
            await self._answer(writer, "connect")
            while line := await reader.readline():
                await self._obey(line.decode().rstrip("\r\n"), reader, writer)
        except (ConnectionError, asyncio.CancelledError, ssl.SSLError):
            pass
        finally:
            self._tasks.discard(task)
            writer.close()
            self.left.set()

    async def _obey(self, command: str, reader: StreamReader, writer: StreamWriter) -> None:
        async with self._news:
            self.commands.append(command)
            self._news.notify_all()
        verb = command.partition(" ")[0]
        await self._answer(writer, command if command in self.replies else verb)
        if verb == "DATA" and self.replies["DATA"].startswith("354"):
            self.mails.append(await reader.readuntil(b"\r\n.\r\n"))
            await self._answer(writer, ".")
        if verb == "STARTTLS" and self._certificate is not None:
            await writer.start_tls(self._context())

    async def _answer(self, writer: StreamWriter, to: str) -> None:
        reply = self.replies[to]
        if reply == RESET:
            writer.transport.abort()
            raise ConnectionResetError
        if reply == SILENCE:
            await asyncio.Event().wait()
        writer.write(reply.encode() + b"\r\n")
        await writer.drain()
