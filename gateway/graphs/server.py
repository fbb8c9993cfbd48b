"""Drives graphs on a LangGraph Server: it runs them, and is told each answer at most once.

The server lets one run at a time onto a thread, and refuses another while that one lasts; it does not
consume an answer once. So every run of ours carries a key by which it is found again: what may have been
told is not told again. Each answer is addressed to a question that was just seen, and asked to be refused
where that question is gone by then: else it would answer the next one that the same node asks.

Nothing that a server says is believed beyond its own threads: it gets neither keys nor actions of ours.
"""

import asyncio
import base64
import json
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, TypeVar
from uuid import UUID

import httpx
from langgraph._internal._constants import CONFIG_KEY_STRICT_RESUME
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.errors import (
    APIStatusError,
    AuthenticationError,
    ConflictError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
)
from langgraph_sdk.schema import Command, Config
from pydantic import BaseModel, TypeAdapter, ValidationError

from gateway.core.payload import BREAKPOINT
from gateway.core.visible import one_line
from gateway.graphs.engine import (
    GraphBusyError,
    GraphChangedError,
    GraphFailedError,
    GraphInDoubtError,
    GraphsUnavailableError,
    NotPendingError,
    Pending,
    Progress,
)

# Below this level the libraries write addresses and headers to their logs.
for _library in ("httpx", "httpcore"):
    logging.getLogger(_library).setLevel(logging.WARNING)

_CONNECT_SECONDS = 5.0
_LARGEST = 4 * 1024 * 1024
"""Octets that one answer of a server may have."""
_AT_ONCE = 4
"""How many threads of one server are driven at a time, so that a slow one leaves workers for the rest."""
_PAGE = 100
_PAGES = 10
_RUNS = 100
_LONGEST_WORDS = 300
_LONGEST_RESULT = 10_000
"""Characters of a result that are kept."""
_KEY = "approval_gateway"
_INTERRUPT_ID = re.compile(r"[0-9a-f]{32}")
_THREAD_ID = re.compile(r"[A-Z2-7]{26}")
_UNDER_WAY = frozenset({"pending", "running"})
_STRICTLY: Config = {"configurable": {CONFIG_KEY_STRICT_RESUME: True}}
"""Has the engine refuse an answer to what is not pending; `strict_resume` alone is ignored by servers."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """Where a server is and how long it may take.

    `assistant` is the id of one, or the name of a graph, whose own assistant is meant then. `call_seconds`
    bound each request, `run_seconds` how long a run is waited for before it is looked at again later.
    """

    url: str
    assistant: str
    api_key: str | None = field(default=None, repr=False)
    call_seconds: float = 15.0
    run_seconds: float = 20.0


@dataclass(frozen=True, slots=True)
class Waiting:
    """A thread that a server says is interrupted, by the names that it may have here, and when it changed."""

    names: tuple[str, str]
    updated_at: str


class _Asked(BaseModel):
    id: str = ""
    value: Any = None
    response_schema: Any = None


class _Failure(BaseModel):
    error: str = ""
    message: str = ""


class _Thread(BaseModel):
    status: str
    updated_at: str = ""
    error: _Failure | str | None = None


class _Listed(BaseModel):
    thread_id: UUID
    updated_at: str = ""


class _Task(BaseModel):
    interrupts: list[_Asked] = []


class _State(BaseModel):
    values: Any = None
    next: list[str] = []
    tasks: list[_Task] = []
    created_at: str | None = None


class _Run(BaseModel):
    run_id: UUID
    status: str
    metadata: dict[str, Any] | None = None


class _Assistant(BaseModel):
    assistant_id: UUID
    metadata: dict[str, Any] | None = None


class _Schemas(BaseModel):
    input_schema: dict[str, Any] | None = None
    state_schema: dict[str, Any] | None = None


class _NotThereError(GraphFailedError):
    """The server has no such thing."""


class Server:
    """The threads of one assistant on a LangGraph Server. It is closed by whoever made it."""

    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings
        headers = {"User-Agent": "approval-gateway", "Accept-Encoding": "identity"}
        if settings.api_key:
            headers["x-api-key"] = settings.api_key
        self._http = httpx.AsyncClient(
            base_url=settings.url,
            transport=_Guarded(httpx.AsyncHTTPTransport(trust_env=False)),
            timeout=httpx.Timeout(settings.call_seconds + settings.run_seconds, connect=_CONNECT_SECONDS),
            headers=headers,
            trust_env=False,
        )
        self._client = LangGraphClient(self._http)
        self._assistant_id: str | None = None
        self._driven = 0
        self._next_page = 0

    async def aclose(self) -> None:
        """Close its connections."""
        await self._http.aclose()

    async def start(self, thread: str, request: Mapping[str, Any]) -> Progress:
        """Run a new thread until it asks or ends; one that was begun before is only brought that far.

        Raises:
            GraphBusyError: it still runs, or the server has enough to do; look again later.
            GraphFailedError: a node raised, or the server does not take it.
            GraphsUnavailableError: the server cannot be used now; another attempt is safe.
        """
        with self._driving():
            there, key = _there(thread), _key(thread)
            run = await self._run_of(there, key)
            if run is None:
                await self._call(
                    self._client.threads.create(
                        thread_id=there, if_exists="do_nothing", metadata={_KEY: thread}
                    )
                )
                if progress := await self._look(there):
                    return progress
                run = await self._begin(there, key, given=await self._input(request))
            await self._join(there, run)
            return await self._look(there) or Progress(pending=(), finished=False)

    async def resume(self, thread: str, interrupt: str, value: Any, *, asked: str = "") -> Progress:
        """Answer one pending question and run the thread until it asks the next one or ends.

        An answer that an earlier attempt told is not told again. With `asked`, it is answered only if it is
        the question that it was.

        Raises:
            NotPendingError: it does not wait for this answer: somebody else gave one, or it is gone.
            GraphBusyError: something runs on the thread, or the server has enough to do; look again later.
            GraphFailedError: a node raised, or the server does not take it.
            GraphInDoubtError: the server was told, stopped, and still asks; it is not told again.
            GraphsUnavailableError: the server cannot be used now; another attempt is safe.
        """
        if not _INTERRUPT_ID.fullmatch(interrupt):
            raise NotPendingError(f"{one_line(interrupt)!r} is no interrupt's id")
        with self._driving():
            there, key = _there(thread), _key(thread, interrupt)
            run = await self._run_of(there, key)
            if run is None:
                await self._see_pending(there, interrupt, asked)
                run = await self._begin(there, key, command={"resume": {interrupt: value}})
            await self._join(there, run)
            progress = await self._look(there)
        if progress is None or progress.asks(interrupt):
            raise GraphInDoubtError(
                "the server was given the answer, and its run ended without taking it; it is not told again"
            )
        return progress

    async def pending(self, thread: str) -> Progress | None:
        """Read where a thread stands; None where the server has nothing of it.

        Raises:
            GraphBusyError: something runs on it.
            GraphFailedError: a node raised, or what the server says makes no sense.
            GraphsUnavailableError: the server cannot be used now.
        """
        try:
            return await self._look(_there(thread))
        except NotPendingError as error:
            raise GraphFailedError(str(error)) from None

    async def waiting(self) -> tuple[Waiting, ...]:
        """List threads of the assistant that are interrupted, oldest first; what is left out comes next time.

        Raises:
            GraphFailedError: the server has no such assistant, or what it says makes no sense.
            GraphsUnavailableError: the server cannot be used now.
        """
        assistant = await self._assistant()
        found: list[Waiting] = []
        for _ in range(_PAGES):
            listed = await self._asked(
                list[_Listed],
                self._client.threads.search(
                    status="interrupted",
                    metadata={"assistant_id": assistant},
                    limit=_PAGE,
                    offset=self._next_page * _PAGE,
                    sort_by="created_at",
                    sort_order="asc",
                    select=["thread_id", "updated_at"],
                ),
            )
            found += (_waiting(each) for each in listed)
            self._next_page = self._next_page + 1 if len(listed) >= _PAGE else 0
            if not self._next_page:
                break
        return tuple(found)

    @contextmanager
    def _driving(self) -> Iterator[None]:
        if self._driven >= _AT_ONCE:
            raise GraphBusyError(f"{_AT_ONCE} threads of this server are driven already")
        self._driven += 1
        try:
            yield
        finally:
            self._driven -= 1

    async def _see_pending(self, there: str, interrupt: str, asked: str) -> None:
        progress = await self._look(there)
        question = progress.question(interrupt) if progress else None
        if question is None:
            raise NotPendingError(
                "the server does not wait for this answer: it has one from elsewhere, or is gone"
            )
        if asked and question.asked != asked:
            raise GraphChangedError("what the server asks is no longer what people were shown")

    async def _begin(
        self,
        there: str,
        key: str,
        given: Mapping[str, Any] | None = None,
        command: Command | None = None,
    ) -> _Run:
        return await self._asked(
            _Run,
            self._client.runs.create(
                there,
                await self._assistant(),
                input=given,
                command=command,
                config=_STRICTLY if command else None,
                strict_resume=True if command else None,
                multitask_strategy="reject",
                durability="sync",
                metadata={_KEY: key},
            ),
        )

    async def _run_of(self, there: str, key: str) -> _Run | None:
        """Find the run that carries a key."""
        try:
            runs = await self._asked(
                list[_Run],
                self._client.runs.list(there, limit=_RUNS, select=["run_id", "status", "metadata"]),
            )
        except _NotThereError:
            return None
        return next((run for run in runs if (run.metadata or {}).get(_KEY) == key), None)

    async def _join(self, there: str, run: _Run) -> None:
        """Wait for a run, but not for ever; how it ended is then for the thread to say."""
        if run.status in _UNDER_WAY:
            # Not the SDK's own, which connects again and again by itself.
            path = f"/threads/{there}/runs/{run.run_id}/join"
            with suppress(GraphsUnavailableError, _NotThereError):
                await self._call(self._client.http.get(path), self._settings.run_seconds)

    async def _look(self, there: str) -> Progress | None:
        try:
            before = await self._thread(there)
            _refuse_moving(before)
            state = await self._asked(_State, self._client.threads.get_state(there))
        except _NotThereError:
            return None
        if state.created_at is None:
            return None
        pending = tuple(_pending(each) for task in state.tasks for each in task.interrupts)
        if state.next and not pending:
            # A run may have begun since the first look; only what stood still all the time is a breakpoint.
            after = await self._thread(there)
            _refuse_moving(after)
            if after != before:
                raise GraphBusyError("the thread moved while it was looked at")
            pending = (Pending("", {"type": BREAKPOINT, "nodes": state.next}),)
        said = state.values if isinstance(state.values, Mapping) else {}
        return Progress(
            pending=pending,
            finished=not state.next and not pending,
            result=str(said.get("final_result") or _last_words(said))[:_LONGEST_RESULT],
            error=None if said.get("error") is None else str(said["error"])[:_LONGEST_RESULT],
        )

    async def _thread(self, there: str) -> _Thread:
        return await self._asked(_Thread, self._client.threads.get(there))

    async def _assistant(self) -> str:
        """Find the id of the assistant; a graph's name stands for the one that the server made for it."""
        if self._assistant_id is None:
            name = self._settings.assistant
            with suppress(ValueError):
                self._assistant_id = str(UUID(name))
                return self._assistant_id
            found = await self._asked(
                list[_Assistant],
                self._client.assistants.search(graph_id=name, metadata={"created_by": "system"}, limit=1),
            )
            if not found:
                raise GraphFailedError(f"the server has no assistant {name!r}")
            self._assistant_id = str(found[0].assistant_id)
        return self._assistant_id

    async def _input(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Give a graph the request; one that only knows conversations begins with what is wanted."""
        schemas = await self._asked(_Schemas, self._client.assistants.get_schemas(await self._assistant()))
        known = (schemas.input_schema or schemas.state_schema or {}).get("properties", {})
        given = dict(request)
        if "messages" in known and "messages" not in given and "user_request" not in known:
            given["messages"] = [{"role": "user", "content": request.get("user_request", "")}]
        return given

    async def _asked(self, kind: type[T], asking: Awaitable[Any]) -> T:
        """Take what a server says for what it should be."""
        said = await self._call(asking)
        try:
            return TypeAdapter(kind).validate_python(said)
        except ValidationError as error:
            raise GraphFailedError(
                f"what the server says makes no sense: {error.error_count()} errors"
            ) from None

    async def _call(self, asking: Awaitable[T], seconds: float | None = None) -> T:
        """Wait for one request, within its time, and say by whose fault it failed.

        The causes are cut off: they hold the request with its key.
        """
        seconds = seconds or self._settings.call_seconds
        try:
            async with asyncio.timeout(seconds):
                return await asking
        except ConflictError:
            raise GraphBusyError("something else runs on the thread") from None
        except NotFoundError:
            raise _NotThereError("the server has no such thread, run or assistant") from None
        except (AuthenticationError, PermissionDeniedError) as error:
            raise GraphsUnavailableError(f"the server refuses our key: {error.status_code}") from None
        except RateLimitError:
            raise GraphsUnavailableError("the server is asked too often") from None
        except APIStatusError as error:
            kind = GraphsUnavailableError if error.status_code >= httpx.codes.INTERNAL_SERVER_ERROR else None
            raise (kind or GraphFailedError)(f"the server answered {error.status_code}") from None
        except TimeoutError:
            raise GraphsUnavailableError(f"the server gave no answer in {seconds:g} seconds") from None
        except httpx.HTTPError as error:
            raise GraphsUnavailableError(f"the server cannot be reached: {type(error).__name__}") from None
        except (ValueError, RecursionError):
            raise GraphFailedError("what the server says is no JSON") from None


class _Guarded(httpx.AsyncBaseTransport):
    """Takes answers of a bounded size from the address itself, and from nowhere that it points to."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self._inner.handle_async_request(request)
        fault = ""
        if httpx.codes.is_redirect(response.status_code):
            fault = "the server points elsewhere, which is not followed: give its own url"
        elif response.headers.get("content-encoding", "identity") != "identity":
            fault = "the server answers compressed, although it was asked not to"
        if fault:
            await response.aclose()
            raise GraphFailedError(fault)
        assert isinstance(response.stream, httpx.AsyncByteStream)
        response.stream = _Capped(response.stream)
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


class _Capped(httpx.AsyncByteStream):
    def __init__(self, inner: httpx.AsyncByteStream) -> None:
        self._inner = inner

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left = _LARGEST
        async for chunk in self._inner:
            left -= len(chunk)
            if left < 0:
                raise GraphFailedError(f"the server says more than {_LARGEST} octets at once")
            yield chunk

    async def aclose(self) -> None:
        await self._inner.aclose()


def _there(thread: str) -> str:
    """Spell a thread's id as a server wants it: a UUID; ours are made of as many random octets."""
    if _THREAD_ID.fullmatch(thread):
        return str(UUID(bytes=base64.b32decode(f"{thread}======")))
    try:
        return str(UUID(thread))
    except ValueError:
        raise GraphFailedError(f"{one_line(thread)!r} is no thread of a LangGraph Server: no UUID") from None


def _waiting(listed: _Listed) -> Waiting:
    ours = base64.b32encode(listed.thread_id.bytes).decode().rstrip("=")
    return Waiting((ours, str(listed.thread_id)), listed.updated_at)


def _key(thread: str, interrupt: str = "start") -> str:
    return sha256(f"{thread}/{interrupt}".encode()).hexdigest()


def _refuse_moving(thread: _Thread) -> None:
    """Pass over threads that run, and tell those that broke."""
    if thread.status == "busy":
        raise GraphBusyError("the server still runs this thread")
    if thread.status == "error":
        failure = thread.error if isinstance(thread.error, _Failure) else _Failure(error=thread.error or "")
        if failure.error == "UnknownInterruptError":
            raise NotPendingError("the server does not wait for this answer: it has one from elsewhere")
        words = one_line(f"{failure.error or 'a node raised'}: {failure.message}")
        raise GraphFailedError(words[:_LONGEST_WORDS].rstrip(" :"))


def _pending(asked: _Asked) -> Pending:
    if not _INTERRUPT_ID.fullmatch(asked.id):
        raise GraphFailedError(f"{one_line(asked.id)[:_LONGEST_WORDS]!r} is no interrupt's id")
    try:
        whole = json.dumps([asked.value, asked.response_schema], sort_keys=True)
    except RecursionError:
        raise GraphFailedError("what the server asks is nested too deeply") from None
    return Pending(asked.id, asked.value, asked.response_schema, sha256(whole.encode()).hexdigest())


def _last_words(said: Mapping[str, Any]) -> str:
    """Take an agent's last message for its result, where its state is a conversation."""
    messages = said.get("messages")
    last = messages[-1] if isinstance(messages, Sequence) and messages else None
    content = last.get("content") if isinstance(last, Mapping) else None
    return content if isinstance(content, str) else ""
