"""An HTTP server of raw octets: it answers as its script says, and remembers what it was sent."""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
HANG_UP = b"\x00"
"""Takes the request and closes the connection."""


@dataclass
class Web:
    """The running server: `answer` is what it says, `requests` what it got."""

    answer: bytes
    stays: bool = False
    """Whether it keeps the line open, whatever it has said."""
    requests: list[bytes] = field(default_factory=list)
    connects: int = 0
    port: int = 0
    _lines: dict[asyncio.StreamWriter, asyncio.Task[None] | None] = field(default_factory=dict)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connects += 1
        self._lines[writer] = asyncio.current_task()
        with suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"(?i)content-length: (\d+)", head)
            self.requests.append(head + await reader.readexactly(int(length[1]) if length else 0))
            if self.answer != HANG_UP:
                writer.write(self.answer)
                await writer.drain()
            if self.stays:
                await reader.read()
        writer.close()

    async def hang_up(self) -> None:
        """Cut all lines and wait until nobody works on them."""
        for writer in self._lines:
            writer.transport.abort()
        await asyncio.gather(*(task for task in self._lines.values() if task))


@asynccontextmanager
async def web(
    answer: bytes = OK, certificate: Path | None = None, *, stays: bool = False
) -> AsyncIterator[Web]:
    """Serve on loopback, under TLS if there is a certificate."""
    context = None
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
    served = Web(answer, stays)
    server = await asyncio.start_server(served.serve, "127.0.0.1", 0, ssl=context)
    async with server:
        served.port = server.sockets[0].getsockname()[1]
        try:
            yield served
        finally:
            await served.hang_up()


def answer(status: str, body: bytes = b"", *headers: str) -> bytes:
    lines = (f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers)
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
