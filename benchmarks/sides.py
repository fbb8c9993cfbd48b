"""The sides of the comparison: the same approvals, asked of a measured process over its standard input."""

import asyncio
import json
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import psutil

from benchmarks.outside import Outside
from benchmarks.subject import Answer

_ROOT = Path(__file__).resolve().parent.parent
_LAST_WORDS = 2000


class DiedError(RuntimeError):
    """A measured process ended by itself; the message is the end of its log."""


class Measured:
    """A process under measurement; its commands may be under way all at once."""

    def __init__(self, process: Process, databases: list[Path], journal: Path) -> None:
        self.databases = databases
        self._process = process
        self._journal = journal
        self._numbers = count()
        self._answers: dict[int, asyncio.Future[Answer]] = {}

    async def start(self, key: str) -> Answer:
        """Have the agent propose its action."""
        return await self._ask("start", key)

    async def approve(self, key: str) -> Answer:
        """Have the question decided."""
        return await self._ask("approve", key)

    async def settle(self) -> Answer:
        """Wait until all work is done."""
        return await self._ask("settle", "")

    @property
    def rss(self) -> int:
        """Bytes of memory in use."""
        return int(psutil.Process(self._process.pid).memory_info().rss)

    async def listen(self) -> None:
        """Hand each answer to whoever waits for it, until there are no more."""
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            number, answer = json.loads(line)
            self._answers.pop(number).set_result(Answer(**answer))
        for waiting in self._answers.values():
            waiting.set_exception(DiedError(self._journal.read_text("utf-8")[-_LAST_WORDS:]))

    async def _ask(self, command: str, key: str) -> Answer:
        assert self._process.stdin is not None
        number = next(self._numbers)
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        self._process.stdin.write(json.dumps([number, command, key]).encode() + b"\n")
        return await answer


@dataclass(frozen=True, slots=True)
class Sample:
    """Milliseconds of one approval: from the request to the question, and from the answer to the effect.

    `answered` is the moment of the answer.
    """

    asked: float
    done: float
    answered: float


@dataclass(frozen=True, slots=True)
class Side:
    """One way to have an approval; `one` goes through it."""

    name: str
    measured: Measured
    one: Callable[[str], Awaitable[Sample]]


def bare(measured: Measured, outside: Outside) -> Side:
    """The floor: the question is there once the graph has stopped, the answer resumes it at once."""

    async def one(key: str) -> Sample:
        started = await measured.start(key)
        effect = outside.expect("email", key)
        resuming = await measured.approve(key)
        return _sample(started.began, started.ended, resuming.began, (await effect).at)

    return Side("bare engine", measured, one)


def decided(measured: Measured, outside: Outside) -> Side:
    """The gateway: the question is a mail, the answer counts once it is on disk."""

    async def one(key: str) -> Sample:
        question, effect = outside.expect("ask", key), outside.expect("email", key)
        started = await measured.start(key)
        asked = await question
        answered = await measured.approve(key)
        return _sample(started.began, asked.at, answered.ended, (await effect).at)

    return Side("gateway", measured, one)


def replied(measured: Measured, outside: Outside) -> Side:
    """The gateway, answered by a mail that lies in its mailbox."""

    async def one(key: str) -> Sample:
        question, effect = outside.expect("ask", key), outside.expect("email", key)
        started = await measured.start(key)
        asked = await question
        answered = await outside.reply(asked)
        return _sample(started.began, asked.at, answered, (await effect).at)

    return Side("gateway, by reply", measured, one)


@asynccontextmanager
async def bare_process(place: Path, outside: Outside) -> AsyncIterator[Measured]:
    """Run the bare engine in a process of its own."""
    databases = [place / "checkpoints.sqlite3"]
    async with _measured("benchmarks.bare", place, databases, outside.smtp_port) as measured:
        yield measured


@asynccontextmanager
async def gateway_process(place: Path, outside: Outside, profile: Path | None) -> AsyncIterator[Measured]:
    """Run the gateway in a process of its own; with `profile`, its event loop is profiled into that file."""
    databases = [place / "data" / name for name in ("gateway.sqlite3", "checkpoints.sqlite3")]
    arguments = (outside.smtp_port, outside.imap_port, *([profile] if profile else ()))
    async with _measured("benchmarks.whole", place, databases, *arguments) as measured:
        yield measured


@asynccontextmanager
async def _measured(
    module: str, place: Path, databases: list[Path], *arguments: object
) -> AsyncIterator[Measured]:
    journal = _journal(place)
    with journal.open("wb") as file:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", module, str(place), *map(str, arguments),
            stdin=PIPE, stdout=PIPE, stderr=file, cwd=_ROOT,
        )  # fmt: skip
    measured = Measured(process, databases, journal)
    listening = asyncio.create_task(measured.listen())
    try:
        await measured.settle()
        yield measured
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()
        await listening


def _journal(place: Path) -> Path:
    place.mkdir()
    return place / "journal"


def _sample(began: float, asked: float, answered: float, done: float) -> Sample:
    return Sample((asked - began) * 1000, (done - answered) * 1000, answered)
