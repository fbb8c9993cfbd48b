"""A peer that speaks as a LangGraph Server does, holds one thread, and goes wrong on command."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from servers.http import answer

THREAD = "0f2f4c1e-0d3a-4f0e-8a57-5f8a4f6f2f10"
ASSISTANT = "fe096781-5601-53d2-b2f6-0d3403f7e9ca"
INTERRUPT = "875ecce47101258885a916377d142b66"
NEXT = "1a67fa63bf65f4bea250c4bfa2af5384"
QUESTION = {"action_request": {"action": "deploy", "args": {}}, "config": {"allow_accept": True}}
RUN = "POST /threads/T/runs"
STATE = "GET /threads/T/state"
LIST = "POST /threads/search"
CUT_BEFORE, CUT_AFTER = b"before", b"after"
"""The line is cut before the request is taken, or once it is."""


@dataclass
class Peer:
    """The running peer. `faults` say for a route what to answer instead of the truth, until they are removed.

    `says` replaces what the truth is for a route. `taken` are the runs' bodies. A run ends at once unless
    `runs_on` is set, and then asks `then`, or nothing.
    """

    pending: dict[str, Any] = field(default_factory=lambda: {INTERRUPT: QUESTION})
    status: str = "interrupted"
    error: Any = None
    then: dict[str, Any] = field(default_factory=dict)
    exists: bool = True
    begun: bool = True
    runs_on: bool = False
    takes: bool = True
    """Whether a run takes the answer that it is given."""
    restless: bool = False
    """Whether the thread is another one at every look."""
    listed: list[str] = field(default_factory=lambda: [THREAD])
    schema: dict[str, Any] | None = None
    faults: dict[str, bytes] = field(default_factory=dict)
    says: dict[str, Any] = field(default_factory=dict)
    taken: list[dict[str, Any]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    heads: list[bytes] = field(default_factory=list)
    version: int = 0
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def answered_elsewhere(self, **then: Any) -> None:
        """Somebody else's run has ended."""
        self.pending, self.version = then, self.version + 1
        self.status = "interrupted" if then else "idle"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(OSError, asyncio.IncompleteReadError):
                while (said := await self._heard(reader)) not in {CUT_BEFORE, CUT_AFTER}:
                    writer.write(said)
                    await writer.drain()
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _heard(self, reader: asyncio.StreamReader) -> bytes:
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", head)
        body = await reader.readexactly(int(length[1]) if length else 0)
        self.heads.append(head)
        return await self._answer(head, body)

    async def _answer(self, head: bytes, body: bytes) -> bytes:
        route = re.sub(r"\?.*", "", " ".join(head.split(b"\r\n")[0].decode().split(" ")[:2]))
        route = re.sub(r"/[0-9a-f-]{36}(?=/|$)", "/T", route)
        self.asked.append(route)
        fault = self.faults.get(route, b"")
        if fault and fault != CUT_AFTER:
            return fault
        status, value = await self._truth(route, json.loads(body or b"null"))
        if fault:
            return fault
        return answer(
            status, json.dumps(self.says.get(route, value)).encode(), "Content-Type: application/json"
        )

    async def _truth(self, route: str, body: Any) -> tuple[str, Any]:
        truths: dict[str, Callable[[Any], Any]] = {
            "POST /threads": self._create,
            LIST: self._search,
            "GET /threads/T": lambda _: self._thread(),
            STATE: lambda _: self._state(),
            "GET /threads/T/runs": lambda _: [self._run(each) for each in self.taken],
            RUN: self._begin,
            "POST /assistants/search": lambda _: [{"assistant_id": ASSISTANT}],
            "GET /assistants/T/schemas": lambda _: {"input_schema": self.schema, "state_schema": None},
        }
        if route == "GET /threads/T/runs/T/join":
            if self.runs_on:
                await asyncio.Event().wait()
            return "200 OK", {}
        if "/threads/T" in route and not self.exists:
            return "404 Not Found", {"detail": "no such thread"}
        if route == RUN and self.status == "busy":
            return "409 Conflict", {"detail": "already running"}
        return "200 OK", truths[route](body)

    def _create(self, body: Any) -> Any:
        if not self.exists:
            self.exists, self.begun, self.pending, self.status = True, False, {}, "idle"
        return {"thread_id": body["thread_id"]}

    def _search(self, body: Any) -> Any:
        page = self.listed[body["offset"] :][: body["limit"]]
        return [{"thread_id": each, "updated_at": str(self.version)} for each in page]

    def _thread(self) -> Any:
        self.version += self.restless
        return {"status": self.status, "updated_at": str(self.version), "error": self.error}

    def _state(self) -> Any:
        tasks = [{"interrupts": [{"id": key, "value": value} for key, value in self.pending.items()]}]
        return {
            "values": {"final_result": "" if self.pending else "deployed"},
            "next": ["gate"] if self.pending else [],
            "tasks": tasks if self.pending else [],
            "created_at": "2026-03-02T09:00:00Z" if self.begun else None,
        }

    def _begin(self, body: Any) -> Any:
        self.taken.append(body)
        self.begun = True
        if self.runs_on:
            self.status = "busy"
        elif self.takes:
            self.answered_elsewhere(**self.then)
        return self._run(body)

    def _run(self, body: Any) -> Any:
        n = self.taken.index(body)
        status = "running" if self.runs_on else "success"
        return {"run_id": str(UUID(int=n)), "status": status, "metadata": body["metadata"]}


@asynccontextmanager
async def peer(**state: Any) -> AsyncIterator[Peer]:
    """Serve on loopback."""
    served = Peer(**state)
    lines: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        lines.add(task)
        with suppress(asyncio.CancelledError):
            await served.serve(reader, writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        served.port = server.sockets[0].getsockname()[1]
        try:
            yield served
        finally:
            for line in lines:
                line.cancel()
            await asyncio.gather(*lines, return_exceptions=True)
