"""The client of a LangGraph Server against a peer that goes wrong; the real server has tests of its own."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest

from gateway.graphs import (
    GraphBusyError,
    GraphChangedError,
    GraphFailedError,
    GraphInDoubtError,
    GraphsError,
    GraphsUnavailableError,
    NotPendingError,
    Server,
    ServerSettings,
)
from servers.http import answer, web
from servers.langgraph import (
    CUT_AFTER,
    CUT_BEFORE,
    INTERRUPT,
    LIST,
    NEXT,
    QUESTION,
    RUN,
    STATE,
    THREAD,
    Peer,
    peer,
)

KEY = "canary-4f1d0c7e"
OURS = "A" * 26
VALUE = [{"type": "accept", "args": None}]


@pytest.fixture
async def other() -> AsyncIterator[Peer]:
    """A peer whose one thread asks one question."""
    async with peer() as other:
        yield other


def client(other: Peer, **more: Any) -> aclosing[Server]:
    return aclosing(Server(ServerSettings(url=other.url, assistant="agent", api_key=KEY, **more)))


async def refused(other: Peer, kind: type[GraphsError], **more: Any) -> str:
    """Try to answer the question, and return how that failed."""
    async with client(other, **more) as server:
        with pytest.raises(kind) as caught:
            await server.resume(THREAD, INTERRUPT, VALUE)
    assert type(caught.value) is kind
    return str(caught.value)


# --- told once --------------------------------------------------------------------------------------------


async def test_an_answer_is_addressed_strict_and_refuses_to_wait_in_a_queue(other: Peer) -> None:
    """A run resumes one interrupt, only if it is pending and nothing else runs, and is saved step by step."""
    async with client(other) as server:
        progress = await server.resume(THREAD, INTERRUPT, VALUE)
    assert (progress.finished, progress.result) == (True, "deployed")
    (run,) = other.taken
    assert run["command"] == {"resume": {INTERRUPT: VALUE}}
    assert run["config"]["configurable"]["__pregel_strict_resume"] is True
    assert (run["multitask_strategy"], run["durability"], "input" in run) == ("reject", "sync", False)


@pytest.mark.parametrize("cut", [CUT_BEFORE, CUT_AFTER])
async def test_a_lost_answer_is_looked_for_and_not_repeated(other: Peer, cut: bytes) -> None:
    """Whether it got through before the line was cut is looked up: told again if not, and only then (T08)."""
    other.faults[RUN] = cut
    async with client(other) as server:
        with pytest.raises(GraphsUnavailableError):
            await server.resume(THREAD, INTERRUPT, VALUE)
        del other.faults[RUN]
        assert (await server.resume(THREAD, INTERRUPT, VALUE)).finished
        assert (await server.resume(THREAD, INTERRUPT, VALUE)).finished
    assert len(other.taken) == 1


async def test_a_lost_start_runs_once(other: Peer) -> None:
    """A thread that was begun before the line was cut is not begun again."""
    other.exists, other.then = False, {INTERRUPT: QUESTION}
    other.faults[RUN] = CUT_AFTER
    async with client(other) as server:
        with pytest.raises(GraphsUnavailableError):
            await server.start(OURS, {"user_request": "ship it"})
        del other.faults[RUN]
        for _ in range(2):
            assert (await server.start(OURS, {"user_request": "ship it"})).asks(INTERRUPT)
    assert [run["input"] for run in other.taken] == [{"user_request": "ship it"}]


async def test_a_graph_that_only_converses_is_given_a_message(other: Peer) -> None:
    """What is wanted becomes the first message where the graph's input knows nothing else."""
    other.exists, other.schema = False, {"properties": {"messages": {}}}
    async with client(other) as server:
        await server.start(OURS, {"user_request": "ship it"})
    assert other.taken[0]["input"]["messages"] == [{"role": "user", "content": "ship it"}]


async def test_a_run_that_took_no_answer_is_in_doubt(other: Peer) -> None:
    """When our run has ended and the same is still asked, it is not told again (T31)."""
    other.takes = False
    assert "not told again" in await refused(other, GraphInDoubtError)
    await refused(other, GraphInDoubtError)
    assert len(other.taken) == 1


async def test_a_long_run_is_no_error(other: Peer) -> None:
    """It is busy, and whoever comes back finds its end; four at a time, the rest come back too."""
    other.runs_on = True
    async with client(other, run_seconds=0.2) as server:
        with pytest.raises(GraphBusyError):
            await server.resume(THREAD, INTERRUPT, VALUE)
        tries = [server.resume(THREAD, INTERRUPT, VALUE) for _ in range(6)]
        assert {type(each) for each in await asyncio.gather(*tries, return_exceptions=True)} == {
            GraphBusyError
        }
        other.runs_on = False
        other.answered_elsewhere(**{NEXT: QUESTION})
        assert (await server.resume(THREAD, INTERRUPT, VALUE)).asks(NEXT)
    assert len(other.taken) == 1


# --- not ours to answer -----------------------------------------------------------------------------------


async def test_what_is_no_longer_asked_is_not_answered(other: Peer) -> None:
    """Answered elsewhere, gone, or asked under another id: nothing is sent."""
    for change in ({"pending": {NEXT: QUESTION}}, {"pending": {}, "status": "idle"}, {"exists": False}):
        for name, value in change.items():
            setattr(other, name, value)
        await refused(other, NotPendingError)
    assert other.taken == []


async def test_a_question_that_was_swapped_is_not_answered(other: Peer) -> None:
    """What people saw is what is answered: another payload under the same id is refused (T09)."""
    async with client(other) as server:
        progress = await server.pending(THREAD)
        assert progress is not None
        other.pending[INTERRUPT] = {**QUESTION, "action_request": {"action": "drop", "args": {}}}
        with pytest.raises(GraphChangedError):
            await server.resume(THREAD, INTERRUPT, VALUE, asked=progress.pending[0].asked)
    assert other.taken == []


async def test_a_thread_that_runs_is_left_alone(other: Peer) -> None:
    """While the server is at it, nobody looks at half a step, and nothing is queued behind it."""
    other.status = "busy"
    await refused(other, GraphBusyError)
    async with client(other) as server:
        with pytest.raises(GraphBusyError):
            await server.pending(THREAD)
    assert other.taken == []


async def test_a_static_breakpoint_is_told(other: Peer) -> None:
    """A thread that stops without asking is seen as such, and only when it stood still all the while."""
    other.says[STATE] = {"values": {}, "next": ["work"], "tasks": [], "created_at": "2026-03-02T09:00:00Z"}
    async with client(other) as server:
        progress = await server.pending(THREAD)
        assert progress is not None
        assert progress.pending[0].value == {"type": "gateway.breakpoint", "nodes": ["work"]}
        other.restless = True
        with pytest.raises(GraphBusyError):
            await server.pending(THREAD)


# --- faults -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("409 Conflict", GraphBusyError),
        ("429 Too Many Requests", GraphsUnavailableError),
        ("500 Internal Server Error", GraphsUnavailableError),
        ("503 Service Unavailable", GraphsUnavailableError),
        ("401 Unauthorized", GraphsUnavailableError),
        ("403 Forbidden", GraphsUnavailableError),
        ("422 Unprocessable Entity", GraphFailedError),
    ],
)
async def test_refusals(other: Peer, status: str, kind: type[GraphsError]) -> None:
    """What may pass is tried again, what will not is told, and in no words of the server's (T62)."""
    other.faults[RUN] = answer(status, json.dumps({"detail": f"your key {KEY} is no good"}).encode())
    assert KEY not in await refused(other, kind)
    assert other.taken == []


async def test_a_server_that_hangs_is_given_up(other: Peer) -> None:
    """An answer that never comes costs a call its time and no more (F35)."""
    other.faults[STATE] = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"
    await refused(other, GraphsUnavailableError, call_seconds=0.2)


async def test_a_server_that_is_down_is_away() -> None:
    """A refused connection is tried again later."""
    async with peer() as gone:
        pass
    await refused(gone, GraphsUnavailableError)


async def test_more_than_can_be_read_is_not_read(other: Peer) -> None:
    """An answer is read up to four megabytes, announced or not, and not decompressed."""
    endless = b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n" + b" " * (4 * 1024 * 1024 + 1)
    other.faults[STATE] = endless
    assert "octets" in await refused(other, GraphFailedError)
    other.faults[STATE] = answer("200 OK", b"x", "Content-Encoding: gzip")
    assert "compressed" in await refused(other, GraphFailedError)


@pytest.mark.parametrize("status", ["301 Moved Permanently", "302 Found", "307 Temporary Redirect"])
async def test_redirects_are_not_followed(other: Peer, status: str) -> None:
    """Neither key nor answer goes where a server points to."""
    async with web() as elsewhere:
        for route in (STATE, RUN, "GET /threads/T/runs"):
            other.faults = {route: answer(status, b"", f"Location: http://127.0.0.1:{elsewhere.port}/")}
            assert "not followed" in await refused(other, GraphFailedError)
        assert elsewhere.connects == 0
    assert other.taken == []


@pytest.mark.parametrize("said", [None, 1, "x", [], {"tasks": 1}, {"tasks": [{"interrupts": [{"id": "x"}]}]}])
async def test_nonsense_fails_the_thread(other: Peer, said: Any) -> None:
    """Whatever a server says in place of a state ends in one of our errors, and nothing is sent (T15)."""
    other.says[STATE] = {"created_at": "x", **said} if isinstance(said, dict) else said
    await refused(other, GraphFailedError)
    assert other.taken == []


@pytest.mark.parametrize("octets", [b"<html>", b"\xff\xfe", b"[" * 100_000, b"NaN"])
async def test_what_is_no_json_fails_the_thread(other: Peer, octets: bytes) -> None:
    """Answers that are no JSON, or nested without end, end in our error too."""
    other.faults[STATE] = answer("200 OK", octets)
    await refused(other, GraphFailedError)


async def test_a_node_that_broke_is_told_in_one_short_line(other: Peer) -> None:
    """The error of a graph is passed on visibly and cut."""
    other.status, other.error = "error", {"error": "ValueError", "message": "no\n\x1b[31m" + "x" * 1000}
    said = await refused(other, GraphFailedError)
    assert said.startswith("ValueError: no")
    assert len(said) <= 300
    assert said.isprintable()


async def test_the_key_is_sent_and_nowhere_shown(other: Peer, caplog: pytest.LogCaptureFixture) -> None:
    """The API key goes to the server in its header, and into no log, error or repr (T62)."""
    caplog.set_level(logging.DEBUG)
    settings = ServerSettings(url=other.url, assistant="agent", api_key=KEY)
    said = [repr(settings)]
    other.faults[RUN] = answer("500 Internal Server Error")
    said.append(await refused(other, GraphsUnavailableError))
    assert all(f"x-api-key: {KEY}".encode() in head for head in other.heads)
    assert KEY not in "".join((*said, caplog.text))


async def test_ids_that_are_none_are_refused(other: Peer) -> None:
    """A thread must be a UUID and an interrupt a digest before anything is asked about them."""
    async with client(other) as server:
        with pytest.raises(GraphFailedError):
            await server.pending("../assistants")
        with pytest.raises(NotPendingError):
            await server.resume(THREAD, "x", VALUE)
    assert other.asked == []


# --- lists ------------------------------------------------------------------------------------------------


async def test_lists_are_paged_and_go_on_where_they_were_left(other: Peer) -> None:
    """A thousand threads are listed at a time; those behind come with the next call, then it begins anew."""
    other.listed = [f"{n:08x}-0d3a-4f0e-8a57-5f8a4f6f2f10" for n in range(1250)]
    async with client(other) as server:
        lists = [[each.names[1] for each in await server.waiting()] for _ in range(3)]
    assert lists == [other.listed[:1000], other.listed[1000:], other.listed[:1000]]
    assert set(other.asked) == {"POST /assistants/search", LIST}


async def test_our_own_threads_are_known_by_their_name(other: Peer) -> None:
    """A thread that was started through us is listed under the id that we gave it."""
    other.exists = False
    async with client(other) as server:
        await server.start(OURS, {})
        other.listed = ["00000000-0000-0000-0000-000000000000"]
        (listed,) = await server.waiting()
    assert OURS in listed.names
