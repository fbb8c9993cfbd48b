"""A real LangGraph Server on loopback: `langgraph dev`, from an environment of its own."""

import asyncio
import json
import os
import shutil
from asyncio.subprocess import PIPE, STDOUT, Process
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from langgraph_sdk import get_client
from langgraph_sdk.client import LangGraphClient

from gateway import web

HERE = Path(__file__).parent
PROGRAM = HERE.parents[1] / ".langgraph-server" / "bin" / "langgraph"
GRAPHS = {name: f"./graphs.py:{name}" for name in ("agent", "asks_twice", "hands_over")}
_STARTED = b"Application started up"


class DevServer:
    """One installation of the server, which may be stopped and started again; `client` is somebody else's."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._ledger = place / "ledger"
        self._ledger.touch()
        self._process: Process | None = None
        self._reading: asyncio.Task[bytes] | None = None
        shutil.copy(HERE / "graphs.py", place)
        (place / "langgraph.json").write_text(json.dumps({"dependencies": ["."], "graphs": GRAPHS}))
        with web.bind("127.0.0.1", 0) as sock:
            self.port = sock.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/"
        self.client: LangGraphClient = get_client(url=self.url, api_key=None)

    @property
    def done(self) -> list[str]:
        """What its graphs have really done."""
        return self._ledger.read_text().splitlines()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.client.aclose()
        await self.stop()

    async def start(self) -> None:
        """Start it and wait until it serves."""
        env = {
            "PATH": os.environ["PATH"],
            "LEDGER": str(self._ledger),
            "LANGSMITH_TRACING": "false",
            "LANGGRAPH_CLI_NO_ANALYTICS": "1",
        }
        self._process = await asyncio.create_subprocess_exec(
            *(PROGRAM, "dev", "--no-browser", "--no-reload"),
            *("--host", "127.0.0.1", "--port", str(self.port)),
            cwd=self._place,
            env=env,
            stdout=PIPE,
            stderr=STDOUT,
            limit=2**20,
        )
        assert self._process.stdout is not None
        said = []
        while line := await self._process.stdout.readline():
            said.append(line.decode(errors="replace"))
            if _STARTED in line:
                self._reading = asyncio.create_task(self._process.stdout.read())
                return
        raise RuntimeError("".join(said))

    async def stop(self) -> None:
        """Stop it in order: it keeps its threads."""
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
            await self._process.wait()
        if self._reading is not None:
            await self._reading

    async def ask(self, graph: str = "agent", **given: Any) -> tuple[str, str]:
        """Run a graph until it asks, as somebody who knows no gateway; returns thread and interrupt."""
        thread = await self.client.threads.create()
        said: Any = await self.client.runs.wait(thread["thread_id"], graph, input=given)
        return thread["thread_id"], said["__interrupt__"][0]["id"]

    async def answer(self, thread: str, interrupt: str, graph: str = "agent") -> None:
        """Accept what a thread asks, past the gateway."""
        await self.client.runs.wait(
            thread, graph, command={"resume": {interrupt: [{"type": "accept", "args": None}]}}
        )
