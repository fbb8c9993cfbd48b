"""The measured process takes commands from standard input: whoever asks and measures is outside of it."""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Protocol

REVIEWER, REQUESTER, GATEWAY = "alice@example.com", "rita@example.com", "approvals@example.com"
PASSWORD = "known on loopback"


class Engine(Protocol):
    """What is measured; a `key` names one approval."""

    async def start(self, key: str) -> None:
        """Have the agent propose its action."""

    async def approve(self, key: str) -> None:
        """Decide the question that came of it; on return the decision counts."""

    async def settle(self) -> None:
        """Wait until nothing is left to be done."""


@dataclass(frozen=True, slots=True)
class Answer:
    """When a command began and ended, and all CPU seconds the process has used by then.

    `resumed` are the moments since the last `settle` at which a graph had taken an answer.
    """

    began: float
    ended: float
    cpu: float
    resumed: list[float] = field(default_factory=list)


def request(key: str) -> str:
    """Ask the agent for a mail that is recognised at its destination."""
    return f"Send an email to team+{key}@example.com about the Q1 report"


async def serve(engine: Engine, resumed: list[float]) -> None:
    """Carry out commands, as many at once as come, until standard input ends."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    commands: Mapping[str, Callable[[str], Awaitable[None]]] = {
        "start": engine.start,
        "approve": engine.approve,
        "settle": lambda _: engine.settle(),
    }
    async with asyncio.TaskGroup() as group:
        while line := await reader.readline():
            number, command, key = json.loads(line)
            group.create_task(_carry_out(number, commands[command], key, resumed))


async def _carry_out(
    number: int, command: Callable[[str], Awaitable[None]], key: str, resumed: list[float]
) -> None:
    began = time.time()
    await command(key)
    answer = Answer(began, time.time(), time.process_time(), [] if key else [*resumed])
    if not key:
        resumed.clear()
    print(json.dumps([number, asdict(answer)]), flush=True)
