"""The gateway's side of reading: hand mails to the child, wait until the deadline, trust no answer."""

import asyncio
import math
import os
import pickle
import socket
import subprocess
import sys
from asyncio import StreamReader, StreamWriter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from gateway.core.authentication import Trust
from gateway.core.gist import Gist
from gateway.core.reply import Context, Reading
from gateway.core.visible import one_line
from gateway.log import log
from gateway.reading.child import DONE, LENGTH

T = TypeVar("T")

DEADLINE_SECONDS = 10.0
MEMORY = 300 * 1000 * 1000
"""Octets of address space, which the system's libraries are a part of."""
_START_SECONDS = 30.0
_LARGEST_ANSWER = 8 * 1024 * 1024
# Where a Python that was not installed in the usual place finds itself; no other variable is handed on.
_ENVIRONMENT = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PYTHONHOME")

_GIST: TypeAdapter[Gist] = TypeAdapter(Gist)
_READING: TypeAdapter[Reading] = TypeAdapter(Reading)
_TEXT: TypeAdapter[str] = TypeAdapter(str)


class ReadingFailedError(Exception):
    """This mail could not be read: it broke the process that reads, or took too long."""


class ReaderUnavailableError(Exception):
    """The process that reads does not start, which is no mail's fault."""


@dataclass(frozen=True, slots=True)
class _Child:
    process: subprocess.Popen[bytes]
    answers: StreamReader
    requests: StreamWriter


class Reader:
    """Reads mails in one other process, started when it is needed and replaced when a mail broke it.

    Args:
        deadline: seconds that one step with one mail may take.
        memory: the most octets that the process may have; not kept on macOS.
        program: the module that is run, with the memory as its argument.
    """

    def __init__(
        self,
        *,
        deadline: float = DEADLINE_SECONDS,
        memory: int = MEMORY,
        program: str = "gateway.reading.child",
    ) -> None:
        self._deadline = deadline
        self._memory = memory
        self._program = program
        self._lock = asyncio.Lock()
        self._child: _Child | None = None
        self._ended: list[subprocess.Popen[bytes]] = []

    @property
    def pid(self) -> int | None:
        """The process that reads, if there is one at this moment."""
        return self._child.process.pid if self._child else None

    async def survey(self, octets: bytes, own: Iterable[str] = (), trust: Trust | None = None) -> Gist:
        """Read what a mail shows of itself; `own` are our addresses, `trust` says which server is ours.

        Raises:
            ReadingFailedError: this mail cannot be read.
            ReaderUnavailableError: no mail can be read at present.
        """
        return await self._ask(_GIST, "survey", octets, tuple(own), trust)

    async def read(self, octets: bytes, context: Context) -> Reading:
        """Read a mail as the answer to the approval of `context`; raises what `survey` raises."""
        return await self._ask(_READING, "read", octets, context)

    async def text(self, octets: bytes) -> str:
        """Read a mail's text as its reader sees it; raises what `survey` raises."""
        return await self._ask(_TEXT, "text", octets)

    async def close(self) -> None:
        """End the process and wait until it has gone."""
        self._discard()
        for process in self._ended:
            await asyncio.to_thread(process.wait)
        self._ended.clear()

    async def _ask(self, answer: TypeAdapter[T], step: str, *given: Any) -> T:
        async with self._lock:
            child = await self._running()
            request = pickle.dumps((step, math.ceil(self._deadline), given), pickle.HIGHEST_PROTOCOL)
            try:
                async with asyncio.timeout(self._deadline):
                    child.requests.write(LENGTH.pack(len(request)) + request)
                    kind, octets = await _answer(child.answers)
                found = answer.validate_json(octets, strict=True) if kind == DONE else None
                why = None if kind == DONE else _TEXT.validate_json(octets, strict=True)
            except BaseException as error:
                # Whatever it still says would be taken for the answer to the next mail.
                self._discard()
                if isinstance(error, Exception):
                    raise ReadingFailedError(_reason(error, self._deadline)) from error
                raise
        if found is None:
            raise ReadingFailedError(one_line(str(why)))
        return found

    async def _running(self) -> _Child:
        if self._child is not None and self._child.process.poll() is not None:
            self._discard()  # it ended while nobody asked it anything, which is not the next mail's doing
        return self._child or await self._start()

    async def _start(self) -> _Child:
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                process = subprocess.Popen(  # noqa: S603, ASYNC220 - returns when the program is loaded
                    [sys.executable, "-s", "-B", "-P", "-m", self._program, str(self._memory)],
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    env=_environment(),
                    cwd="/",
                    start_new_session=True,
                )
            except OSError as error:
                ours.close()
                raise ReaderUnavailableError(f"no process could be started to read mail: {error}") from error
        answers, requests = await asyncio.open_connection(sock=ours)
        child = self._child = _Child(process, answers, requests)
        try:
            async with asyncio.timeout(_START_SECONDS):
                await _answer(answers)
        except BaseException as error:
            self._discard()
            if isinstance(error, Exception):
                raise ReaderUnavailableError("the process that reads mail ended before it began") from error
            raise
        log.info("reader.started", pid=process.pid)
        return child

    def _discard(self) -> None:
        """End the process, whatever it is at; its remains are collected later, without waiting."""
        self._ended = [process for process in self._ended if process.poll() is None]
        if self._child is not None:
            self._child.requests.transport.abort()
            self._child.process.kill()
            self._ended.append(self._child.process)
            self._child = None


async def _answer(answers: StreamReader) -> tuple[bytes, bytes]:
    kind = await answers.readexactly(1)
    (size,) = LENGTH.unpack(await answers.readexactly(LENGTH.size))
    if size > _LARGEST_ANSWER:
        raise ValueError(f"an answer of {size} octets")
    return kind, await answers.readexactly(size)


def _reason(error: Exception, deadline: float) -> str:
    match error:
        case TimeoutError():
            return f"reading took longer than {deadline:g} seconds"
        case ValidationError() | ValueError():
            return "the process that reads gave an answer that is none"
        case _:
            return "the process that reads died over it"


def _environment() -> dict[str, str]:
    """Hand on where modules are found, and no secret."""
    kept = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    places = [str(Path(place).absolute()) for place in sys.path if place]
    return kept | {"PYTHONPATH": os.pathsep.join(places)}
