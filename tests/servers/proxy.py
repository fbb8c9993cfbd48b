"""A TCP proxy that goes wrong on command: cuts, freezes or changes what passes through it."""

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import Callable
from typing import Self

Change = Callable[[bytes], bytes]


class Proxy:
    """Passes connections on to `port` on this machine; `up` changes what clients say, `down` the answers."""

    def __init__(self, port: int) -> None:
        self.target = port
        self.up: Change = bytes
        self.down: Change = bytes
        self.sent = b""
        """All that clients sent, over all connections."""
        self.connections = 0
        self._clients: set[StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._news = asyncio.Condition()
        self._flowing = asyncio.Event()
        self._flowing.set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.cut()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        """Reset every connection."""
        for writer in self._clients:
            writer.transport.abort()
        for task in self._tasks:
            task.cancel()

    def freeze(self) -> None:
        """Pass nothing on any more, and let nobody notice; later connections flow."""
        self._flowing.clear()
        self._flowing = asyncio.Event()
        self._flowing.set()

    def inject(self, octets: bytes) -> None:
        """Say something to the clients in the server's name."""
        for writer in self._clients:
            writer.write(octets)

    async def heard(self, words: bytes, times: int = 1, *, then: bytes = b"") -> None:
        """Wait until clients have sent `words` so many times, and `then` after that."""
        async with self._news:
            await self._news.wait_for(lambda: self._has_heard(words, times, then))

    def _has_heard(self, words: bytes, times: int, then: bytes) -> bool:
        parts = self.sent.split(words, times)
        return len(parts) > times and then in parts[-1]

    async def deserted(self) -> None:
        """Wait until every client has left."""
        async with self._news:
            await self._news.wait_for(lambda: self.connections > 0 and not self._clients)

    async def _serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._clients.add(writer)
        self.connections += 1
        try:
            upstream, downstream = await asyncio.open_connection("127.0.0.1", self.target)
            try:
                await self._connect(reader, writer, upstream, downstream)
            finally:
                downstream.close()
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
            self._tasks.discard(task)
            self._clients.discard(writer)
            await self._tell()

    async def _connect(
        self, reader: StreamReader, writer: StreamWriter, upstream: StreamReader, downstream: StreamWriter
    ) -> None:
        """Pass on both ways until either side has ended."""
        ways = {
            asyncio.create_task(self._pass_on(reader, downstream, self._hear)),
            asyncio.create_task(self._pass_on(upstream, writer, self._change)),
        }
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _pass_on(self, source: StreamReader, sink: StreamWriter, change: Change) -> None:
        flowing = self._flowing
        while octets := await source.read(2**20):
            await flowing.wait()
            sink.write(change(octets))
            await sink.drain()
            await self._tell()

    def _hear(self, octets: bytes) -> bytes:
        self.sent += octets
        return self.up(octets)

    def _change(self, octets: bytes) -> bytes:
        return self.down(octets)

    async def _tell(self) -> None:
        async with self._news:
            self._news.notify_all()
