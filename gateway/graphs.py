"""Drives LangGraph: starts threads, reads what they ask, and answers each question at most once.

LangGraph does not consume an answer once: two resumes at the same moment both run, a bare value answers
whatever is asked next, and a command sent again may answer the following question. So here each thread
moves one step at a time, an answer is addressed to a question that was just seen pending, and what an
earlier attempt may have left behind is played out before anything is answered again.
"""

import asyncio
import re
import sqlite3
from collections.abc import AsyncIterator, Container, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import aiosqlite
from langchain_core.runnables import RunnableConfig
from langgraph._internal._constants import CONFIG_KEY_STRICT_RESUME
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.serde import _msgpack
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.errors import UnknownInterruptError
from langgraph.graph import StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import Command, Durability, Interrupt

Builder = StateGraph[Any, Any, Any, Any]
_Engine = CompiledStateGraph[Any, Any, Any, Any]

_BUSY_SECONDS = 10.0
_INTERRUPT_ID = re.compile(r"[0-9a-f]{32}")
_NOTHING_NEW = None
"""The input that has LangGraph take the steps that are due, with the answers that are stored."""


class GraphsError(Exception):
    """A thread could not be moved on; the subclass says by whose fault."""


class NotPendingError(GraphsError):
    """The thread does not wait for an answer to this question; nothing was run."""


class GraphChangedError(NotPendingError):
    """The graph's code no longer has the node that asked; nothing was run."""


class GraphFailedError(GraphsError):
    """A node raised; the thread stands before it, and another attempt runs it again."""


class GraphsUnavailableError(GraphsError):
    """The checkpoints cannot be read or written now; another attempt is safe."""


class UnsafeCheckpointsError(GraphsError):
    """Code named in a checkpoint would be run when it is read."""


@dataclass(frozen=True, slots=True)
class Pending:
    """A question that a thread waits on; `value` is its payload."""

    id: str
    value: Any


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a thread stands; `result` and `error` are what its state has said of them so far."""

    pending: tuple[Pending, ...]
    finished: bool
    result: str = ""
    error: str | None = None

    def asks(self, interrupt: str) -> bool:
        """Whether this question is among those that wait."""
        return any(question.id == interrupt for question in self.pending)


class Graphs:
    """The graphs of this installation by name, over one saver; a thread belongs to one of them.

    A thread is moved by one caller at a time in this process; between processes, and over time, the claim
    on the recorded effect must see to that.
    """

    def __init__(
        self,
        saver: BaseCheckpointSaver[str],
        builders: Mapping[str, Builder],
        *,
        replayable_starts: Container[str] = frozenset(),
    ) -> None:
        """Compile every graph.

        Args:
            saver: keeps the checkpoints of all of them.
            builders: the graphs by name.
            replayable_starts: those that have no effects before their first question. They are saved only
                when they stop there, which is cheaper; a crash before that starts them anew.

        Raises:
            UnsafeCheckpointsError: as `assert_strict`.
        """
        assert_strict()
        self._saver = saver
        self._engines = {name: builder.compile(checkpointer=saver) for name, builder in builders.items()}
        self._replayable_starts = replayable_starts
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @property
    def names(self) -> frozenset[str]:
        """The graphs that can be started."""
        return frozenset(self._engines)

    async def start(self, graph: str, thread: str, request: Mapping[str, Any]) -> Progress:
        """Run a new thread until it asks or ends; one that was begun before is only brought that far.

        Raises:
            GraphFailedError: a node raised.
            GraphChangedError: the thread waits at a node that is gone.
            GraphsUnavailableError: the checkpoints cannot be used.
        """
        engine = self._engines[graph]
        durability: Durability = "exit" if graph in self._replayable_starts else "sync"
        async with self._turn(thread):
            progress = await self._look(engine, thread)
            if progress is None:
                return await self._run(engine, dict(request), _thread(thread), durability)
            if progress.pending or progress.finished:
                return progress
            return await self._run(engine, _NOTHING_NEW, _thread(thread), durability)

    async def resume(self, graph: str, thread: str, interrupt: str, value: Any, *, again: bool) -> Progress:
        """Answer one pending question and run the thread until it asks the next one or ends.

        With `again`, an earlier attempt may have got through before it was cut off: the thread is then
        first brought on, and is answered only if it still asks the same.

        Raises:
            NotPendingError: the thread is unknown, waits for something else, or its graph has changed.
            GraphFailedError: a node raised.
            GraphsUnavailableError: the checkpoints cannot be used.
        """
        engine = self._engines[graph]
        async with self._turn(thread):
            if not again:
                # LangGraph itself refuses what is not pending, so the usual case needs no look beforehand.
                with suppress(NotPendingError):
                    return await self._answer(engine, thread, interrupt, value)
            progress = await self._catch_up(engine, thread, interrupt, again=again)
            if not progress.asks(interrupt):
                return progress
            return await self._answer(engine, thread, interrupt, value)

    async def pending(self, graph: str, thread: str) -> Progress:
        """Read where a thread stands; one that was never started neither asks nor has finished.

        Raises:
            GraphChangedError: the thread waits at a node that is gone.
            GraphsUnavailableError: the checkpoints cannot be used.
        """
        progress = await self._look(self._engines[graph], thread)
        return progress or Progress(pending=(), finished=False)

    @asynccontextmanager
    async def _turn(self, thread: str) -> AsyncIterator[None]:
        # The dictionary forgets a lock once nobody holds it or waits for it.
        turn = self._turns.setdefault(thread, asyncio.Lock())
        async with turn:
            yield

    async def _answer(self, engine: _Engine, thread: str, interrupt: str, value: Any) -> Progress:
        if not _INTERRUPT_ID.fullmatch(interrupt):
            # LangGraph would not see an address in it, and give the whole mapping to whatever is asked.
            raise NotPendingError(f"{interrupt!r} is no interrupt's id")
        return await self._run(engine, Command(resume={interrupt: value}), _strictly(thread))

    async def _catch_up(self, engine: _Engine, thread: str, interrupt: str, *, again: bool) -> Progress:
        """Play out what an earlier attempt to answer `interrupt` has left; a waiting node asks again."""
        progress = await self._look(engine, thread)
        if progress is None:
            raise NotPendingError(f"thread {thread} was never started")
        if progress.finished:
            return progress
        if progress.pending and not progress.asks(interrupt):
            if again:
                return progress
            raise NotPendingError(f"thread {thread} does not wait for {interrupt}")
        return await self._run(engine, _NOTHING_NEW, _thread(thread))

    async def _run(
        self, engine: _Engine, step: Any, config: RunnableConfig, durability: Durability = "sync"
    ) -> Progress:
        with _blame():
            output = await engine.ainvoke(step, config, durability=durability, version="v2")
            if not output.interrupts:
                await self._refuse_changed(config)
        return _progress(output.value, output.interrupts, finished=not output.interrupts)

    async def _look(self, engine: _Engine, thread: str) -> Progress | None:
        with _blame():
            config = _thread(thread)
            state = await engine.aget_state(config)
            if state.created_at is None:
                return None
            # Not `next`: that leaves out a node whose writes are stored but not yet in a checkpoint.
            if not state.tasks:
                await self._refuse_changed(config)
        return _progress(state.values, state.interrupts, finished=not state.tasks)

    async def _refuse_changed(self, config: RunnableConfig) -> None:
        """Tell the end of a thread from a step whose node is gone; LangGraph takes both for the end."""
        head = await self._saver.aget_tuple(config)
        if head is not None and head.pending_writes:
            raise GraphChangedError("the thread waits at a node that its graph no longer has")


def assert_strict() -> None:
    """Make sure that reading a checkpoint builds plain values only.

    Raises:
        UnsafeCheckpointsError: something imported LangGraph before `gateway`, which asks it to be strict.
    """
    if not _msgpack.STRICT_MSGPACK_ENABLED:
        raise UnsafeCheckpointsError(
            "LangGraph would run code named in its checkpoints: "
            "set LANGGRAPH_STRICT_MSGPACK=true, or import gateway before langgraph"
        )


@asynccontextmanager
async def sqlite_saver(path: Path) -> AsyncIterator[BaseCheckpointSaver[str]]:
    """Open the checkpoints in `path`, readable by this user only and safe against a loss of power."""
    _keep_private(path)
    async with aiosqlite.connect(path, timeout=_BUSY_SECONDS) as connection:
        await connection.execute("PRAGMA synchronous=FULL")
        saver = AsyncSqliteSaver(connection, serde=JsonPlusSerializer(allowed_msgpack_modules=None))
        await saver.setup()
        yield saver


def _keep_private(path: Path) -> None:
    path.touch(mode=0o600)
    path.chmod(0o600)


@contextmanager
def _blame() -> Iterator[None]:
    """Tell by whose fault LangGraph raised."""
    try:
        yield
    except GraphsError:
        raise
    except UnknownInterruptError as error:
        raise NotPendingError(str(error)) from error
    except sqlite3.Error as error:
        raise GraphsUnavailableError(f"the checkpoints cannot be used: {error}") from error
    except Exception as error:
        raise GraphFailedError(f"{type(error).__name__}: {error}") from error


def _thread(thread: str) -> RunnableConfig:
    return {"configurable": {"thread_id": thread}}


def _strictly(thread: str) -> RunnableConfig:
    """Have LangGraph refuse answers to what is not pending; losing its private key is an import error."""
    return {"configurable": {"thread_id": thread, CONFIG_KEY_STRICT_RESUME: True}}


def _progress(values: Any, interrupts: Iterable[Interrupt], *, finished: bool) -> Progress:
    said = values if isinstance(values, Mapping) else {}
    return Progress(
        pending=tuple(Pending(interrupt.id, interrupt.value) for interrupt in interrupts),
        finished=finished,
        result=str(said.get("final_result") or ""),
        error=None if said.get("error") is None else str(said["error"]),
    )
