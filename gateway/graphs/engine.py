"""Starts threads, reads what they ask, and answers each question at most once.

LangGraph does not consume an answer once: two resumes at the same moment both run, a bare value answers
whatever is asked next, and a command sent again may answer the following question. So here each thread
moves one step at a time, an answer is addressed to a question that was just seen pending, and what an
earlier attempt may have left behind is played out before anything is answered again.
"""

import asyncio
import json
import re
import sqlite3
from collections.abc import AsyncIterator, Container, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol
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
from langgraph.types import Command, Durability, Interrupt, StateSnapshot

from gateway.core.payload import BREAKPOINT
from gateway.graphs.foreign import Engine, Foreign

Builder = StateGraph[Any, Any, Any, Any]

_BUSY_SECONDS = 10.0
_INTERRUPT_ID = re.compile(r"[0-9a-f]{32}")
_NOTHING_NEW = None
"""The input that has LangGraph take the steps that are due, with the answers that are stored."""


class GraphsError(Exception):
    """A thread could not be moved on; the subclass says by whose fault."""


class NotPendingError(GraphsError):
    """The thread does not wait for an answer to this question; nothing was run."""


class GraphChangedError(NotPendingError):
    """The graph's code has no longer the node that asked, or is other code than asked; nothing was run."""


class GraphInDoubtError(GraphsError):
    """A foreign graph was cut off while it ran: its nodes may have had effects, and are not run again."""


class GraphFailedError(GraphsError):
    """A node raised; the thread stands before it, and another attempt runs it again."""


class GraphBusyError(GraphsError):
    """Something runs on the thread elsewhere, perhaps what we began; it is to be looked at again later."""


class GraphsUnavailableError(GraphsError):
    """The checkpoints, or the server, cannot be used now; another attempt is safe."""


class UnsafeCheckpointsError(GraphsError):
    """Code named in a checkpoint would be run when it is read."""


@dataclass(frozen=True, slots=True)
class Pending:
    """A question that a thread waits on; `value` is its payload, `schema` that of the answer if it has one.

    `asked` is a digest of both and of the graph's shape, by which a foreign graph's question is known again;
    our own graph has none.
    """

    id: str
    value: Any
    schema: Any = None
    asked: str = ""


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a thread stands; `result` and `error` are what its state has said of them so far."""

    pending: tuple[Pending, ...]
    finished: bool
    result: str = ""
    error: str | None = None

    def asks(self, interrupt: str) -> bool:
        """Whether this question is among those that wait."""
        return self.question(interrupt) is not None

    def question(self, interrupt: str) -> Pending | None:
        """Find a question among those that wait."""
        return next((question for question in self.pending if question.id == interrupt), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Graph:
    """A graph as it is driven; one of ours has no fingerprint."""

    engine: Engine
    fingerprint: str = ""
    may_replay: bool = True
    stops: tuple[str, ...] = ()
    inputs: frozenset[str] = frozenset()


class Remote(Protocol):
    """A graph that runs elsewhere; see `server.Server` for what each of these raises."""

    async def start(self, thread: str, request: Mapping[str, Any]) -> Progress:
        """Run a new thread until it asks or ends."""
        ...

    async def resume(self, thread: str, interrupt: str, value: Any, *, asked: str = "") -> Progress:
        """Answer one pending question."""
        ...

    async def pending(self, thread: str) -> Progress | None:
        """Read where a thread stands; None where there is nothing of it."""
        ...


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
        foreign: Mapping[str, Foreign] = {},
        remote: Mapping[str, Remote] = {},
    ) -> None:
        """Compile every graph.

        Args:
            saver: keeps the checkpoints of all of them.
            builders: the graphs by name.
            replayable_starts: those that have no effects before their first question. They are saved only
                when they stop there, which is cheaper; a crash before that starts them anew.
            foreign: the graphs of others by name, over the same saver. Each of their steps is saved before
                the next, and a crash in the middle of one leaves the thread in doubt, unless they may replay.
            remote: the graphs by name that run elsewhere, with checkpoints of their own.

        Raises:
            UnsafeCheckpointsError: as `assert_strict`.
        """
        assert_strict()
        self._saver = saver
        own = {name: _Graph(engine=builder.compile(checkpointer=saver)) for name, builder in builders.items()}
        theirs = {
            name: _Graph(
                engine=each.engine,
                fingerprint=each.fingerprint,
                may_replay=each.replay,
                stops=each.breakpoints,
                inputs=each.inputs,
            )
            for name, each in foreign.items()
        }
        self._graphs = own | theirs
        self._remote = remote
        self._replayable_starts = replayable_starts
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @property
    def names(self) -> frozenset[str]:
        """The graphs that can be started."""
        return frozenset(self._graphs) | frozenset(self._remote)

    async def start(self, graph: str, thread: str, request: Mapping[str, Any]) -> Progress:
        """Run a new thread until it asks or ends; one that was begun before is only brought that far.

        Raises:
            GraphFailedError: a node raised.
            GraphChangedError: the thread waits at a node that is gone.
            GraphInDoubtError: it was begun and cut off, and must not be replayed.
            GraphBusyError: it runs elsewhere, and has not come so far.
            GraphsUnavailableError: the checkpoints cannot be used.
        """
        if remote := self._remote.get(graph):
            return await remote.start(thread, request)
        driven = self._graphs[graph]
        durability: Durability = "exit" if graph in self._replayable_starts else "sync"
        async with self._turn(thread):
            progress = await self._look(driven, thread)
            if progress is None:
                return await self._run(driven, _input(driven, request), _thread(thread), durability)
            if progress.pending or progress.finished:
                return progress
            return await self._replay(driven, thread, durability)

    async def resume(
        self, graph: str, thread: str, interrupt: str, value: Any, *, again: bool, asked: str = ""
    ) -> Progress:
        """Answer one pending question and run the thread until it asks the next one or ends.

        With `again`, an earlier attempt may have got through before it was cut off: the thread is then
        first brought on, and is answered only if it still asks the same. With `asked`, it is answered only if
        payload and graph are what they were.

        Raises:
            NotPendingError: the thread is unknown, waits for something else, or its graph has changed.
            GraphFailedError: a node raised.
            GraphInDoubtError: an earlier attempt was cut off, and must not be replayed.
            GraphBusyError: it runs elsewhere, and has not come so far.
            GraphsUnavailableError: the checkpoints cannot be used.
        """
        if remote := self._remote.get(graph):
            return await remote.resume(thread, interrupt, value, asked=asked)
        driven = self._graphs[graph]
        async with self._turn(thread):
            if not again and not asked:
                # LangGraph itself refuses what is not pending, so the usual case needs no look beforehand.
                with suppress(NotPendingError):
                    return await self._answer(driven, thread, interrupt, value)
            progress = await self._catch_up(driven, thread, interrupt, asked, again=again)
            if not progress.asks(interrupt):
                return progress
            return await self._answer(driven, thread, interrupt, value)

    async def pending(self, graph: str, thread: str) -> Progress:
        """Read where a thread stands; one that was never started neither asks nor has finished.

        Raises:
            GraphChangedError: the thread waits at a node that is gone.
            GraphsUnavailableError: the checkpoints cannot be used.
        """
        if remote := self._remote.get(graph):
            progress = await remote.pending(thread)
        else:
            progress = await self._look(self._graphs[graph], thread)
        return progress or Progress(pending=(), finished=False)

    @asynccontextmanager
    async def _turn(self, thread: str) -> AsyncIterator[None]:
        # The dictionary forgets a lock once nobody holds it or waits for it.
        turn = self._turns.setdefault(thread, asyncio.Lock())
        async with turn:
            yield

    async def _answer(self, driven: _Graph, thread: str, interrupt: str, value: Any) -> Progress:
        if not _INTERRUPT_ID.fullmatch(interrupt):
            # LangGraph would not see an address in it, and give the whole mapping to whatever is asked.
            raise NotPendingError(f"{interrupt!r} is no interrupt's id")
        return await self._run(driven, Command(resume={interrupt: value}), _strictly(thread))

    async def _catch_up(
        self, driven: _Graph, thread: str, interrupt: str, asked: str, *, again: bool
    ) -> Progress:
        """Play out what an earlier attempt to answer `interrupt` has left; a waiting node asks again."""
        progress = await self._look(driven, thread)
        if progress is None:
            raise NotPendingError(f"thread {thread} was never started")
        if progress.finished:
            return progress
        question = progress.question(interrupt)
        if progress.pending and question is None:
            if again:
                return progress
            raise NotPendingError(f"thread {thread} does not wait for {interrupt}")
        if question is not None and asked and question.asked != asked:
            raise GraphChangedError("the graph or what it asks is no longer what people were shown")
        if asked and not again:
            return progress
        return await self._replay(driven, thread)

    async def _replay(self, driven: _Graph, thread: str, durability: Durability = "sync") -> Progress:
        """Take the steps that are due once more; those of a foreign graph may have had their effects."""
        if not driven.may_replay:
            raise GraphInDoubtError(
                "the gateway stopped while this graph ran, so that nobody can know how far its nodes came;"
                " they are not run again (replay = true in its table would allow it)"
            )
        return await self._run(driven, _NOTHING_NEW, _thread(thread), durability)

    async def _run(
        self, driven: _Graph, step: Any, config: RunnableConfig, durability: Durability = "sync"
    ) -> Progress:
        with _blame():
            output = await driven.engine.ainvoke(step, config, durability=durability, version="v2")
            if not output.interrupts:
                if driven.stops and (stopped := _stop(await driven.engine.aget_state(config))):
                    return stopped
                await self._refuse_changed(config)
            return self._progress(driven, output.value, output.interrupts, finished=not output.interrupts)

    async def _look(self, driven: _Graph, thread: str) -> Progress | None:
        with _blame():
            config = _thread(thread)
            state = await driven.engine.aget_state(config)
            if state.created_at is None:
                return None
            if driven.stops and (stopped := _stop(state)):
                return stopped
            # Not `next`: that leaves out a node whose writes are stored but not yet in a checkpoint.
            if not state.tasks:
                await self._refuse_changed(config)
            return self._progress(driven, state.values, state.interrupts, finished=not state.tasks)

    def _progress(
        self, driven: _Graph, values: Any, interrupts: Iterable[Interrupt], *, finished: bool
    ) -> Progress:
        said = values if isinstance(values, Mapping) else getattr(values, "__dict__", {})
        pending = tuple(Pending(each.id, each.value, each.response_schema) for each in interrupts)
        if driven.fingerprint:
            pending = tuple(self._known(driven, each) for each in pending)
        return Progress(
            pending=pending,
            finished=finished,
            result=str(said.get("final_result") or _last_words(said)),
            error=None if said.get("error") is None else str(said["error"]),
        )

    def _known(self, driven: _Graph, question: Pending) -> Pending:
        """Take a question as it is read back from a checkpoint, so that it is the same before and after."""
        serde = self._saver.serde
        value, schema = serde.loads_typed(serde.dumps_typed([question.value, question.schema]))
        whole = json.dumps([value, schema, driven.fingerprint], sort_keys=True, default=repr)
        return replace(question, value=value, schema=schema, asked=sha256(whole.encode()).hexdigest())

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


def _input(driven: _Graph, request: Mapping[str, Any]) -> dict[str, Any]:
    """Give a graph the request in the fields that it has: a conversation begins with what is wanted."""
    given = {name: value for name, value in request.items() if not driven.inputs or name in driven.inputs}
    if "messages" in driven.inputs and "messages" not in given and "user_request" not in driven.inputs:
        given["messages"] = [{"role": "user", "content": request.get("user_request", "")}]
    return given


def _stop(state: StateSnapshot) -> Progress | None:
    """Tell a static breakpoint: something is due, nothing is asked, and nothing was begun or broke."""
    if not state.next or state.interrupts or any(task.error or task.result for task in state.tasks):
        return None
    question = Pending("", {"type": BREAKPOINT, "nodes": list(state.next)})
    return Progress(pending=(question,), finished=False)


def _last_words(said: Mapping[str, Any]) -> str:
    """Take an agent's last message for its result, where its state is a conversation."""
    messages = said.get("messages")
    content = getattr(messages[-1], "content", "") if isinstance(messages, list) and messages else ""
    return content if isinstance(content, str) else ""
