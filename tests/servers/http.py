"""An HTTP server of raw octets: it answers as its script says, and remembers what it was sent."""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
SILENCE = b""
"""Takes the request and never answers."""
HANG_UP = b"\x00"
"""Takes the request and closes the connection."""


@dataclass
class Web:
    """The running server: `answer` is what it says, `requests` what it got."""

    answer: bytes
    requests: list[bytes] = field(default_factory=list)
    connects: int = 0
    port: int = 0
    got: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connects += 1
        with suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"(?i)content-length: (\d+)", head)
            self.requests.append(head + await reader.readexactly(int(length[1]) if length else 0))
            self.got.set()
            if self.answer == SILENCE:
                await reader.read()
            elif self.answer != HANG_UP:
                writer.write(self.answer)
                await writer.drain()
        writer.close()


@asynccontextmanager
async def web(
    answer: bytes = OK, certificate: Path | None = None, host: str = "127.0.0.1"
) -> AsyncIterator[Web]:
    """Serve on loopback, under TLS if there is a certificate."""
    context = None
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
    served = Web(answer)
    server = await asyncio.start_server(served.serve, host, 0, ssl=context)
    async with server:
        served.port = server.sockets[0].getsockname()[1]
        yield served


def answer(status: str, body: bytes = b"", *headers: str) -> bytes:
    lines = (f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers)
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
