"""A real LangGraph Server, driven by the client alone and by the whole gateway through mail."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from dev_server import DevServer
from gateway.graphs import (
    GraphBusyError,
    GraphFailedError,
    GraphsUnavailableError,
    NotPendingError,
    Progress,
    Server,
    ServerSettings,
)
from running import ALICE, HIGH, OPS, PEOPLE, Gateway, Letter, install, reaching, running, serving
from servers.post import Post
from servers.proxy import Proxy

pytestmark = [pytest.mark.langgraph_server, pytest.mark.timeout(120)]
ACCEPT = [{"type": "accept", "args": None}]
OURS = "A" * 26
REMOTE = """
[graphs.remote]
url = "{url}"
assistant = "agent"
poll = "1s"
"""


@pytest.fixture
async def dev(tmp_path: Path) -> AsyncIterator[DevServer]:
    place = tmp_path / "server"
    place.mkdir()
    async with DevServer(place) as server:
        yield server


def client(url: str, assistant: str = "agent", run_seconds: float = 20.0) -> aclosing[Server]:
    return aclosing(Server(ServerSettings(url=url, assistant=assistant, run_seconds=run_seconds)))


async def settled(server: Server, thread: str) -> Progress:
    """Look until nothing runs on the thread any more."""
    while True:
        try:
            progress = await server.pending(thread)
        except GraphBusyError:
            continue
        assert progress is not None
        return progress


async def persistent(resuming: Any, attempts: int = 200) -> Progress:
    """Do as the outbox does: busy or away, it is tried again."""
    for _ in range(attempts):
        try:
            return await resuming()  # type: ignore[no-any-return]
        except (GraphBusyError, GraphsUnavailableError):
            continue
    raise AssertionError("it never came to an end")


# --- the client alone -------------------------------------------------------------------------------------


async def test_a_thread_is_started_once_and_answered(dev: DevServer) -> None:
    """A thread of ours runs to its question and, answered, to its end; starting it again only looks."""
    async with client(dev.url) as server:
        asked = await server.start(OURS, {"user_request": "ship it"})
        again = await server.start(OURS, {"user_request": "ship it"})
        assert asked == again
        (question,) = asked.pending
        assert question.value[0]["action_request"] == {"action": "deploy", "args": {"what": "ship it"}}

        ended = await server.resume(OURS, question.id, ACCEPT, asked=question.asked)
        assert ended.finished
        assert ended.result == "done: accept"
        assert dev.done == ["accept: ship it"]


async def test_two_resumes_at_once_run_it_once(dev: DevServer) -> None:
    """Of two answers at the same moment one is taken; the other learns so, and nothing runs twice (T08)."""
    thread, interrupt = await dev.ask(user_request="ship it")
    async with client(dev.url) as one, client(dev.url) as other:
        both = await asyncio.gather(
            *(server.resume(thread, interrupt, ACCEPT) for server in (one, other)), return_exceptions=True
        )
        assert any(isinstance(each, Progress) for each in both)
        assert all(isinstance(each, Progress | GraphBusyError) for each in both), both
        await settled(one, thread)
    assert dev.done == ["accept: ship it"]


async def test_an_answer_whose_confirmation_was_lost_is_not_told_again(dev: DevServer) -> None:
    """The line is cut once the answer has gone out; the next attempt finds its own run and waits (T08)."""
    thread, interrupt = await dev.ask("asks_twice", user_request="ship it")
    async with Proxy(dev.port) as proxy, client(f"http://127.0.0.1:{proxy.port}/", "asks_twice") as server:

        def lose_the_answer(octets: bytes) -> bytes:
            if f"POST /threads/{thread}/runs ".encode() not in proxy.sent:
                return octets
            proxy.down = bytes
            proxy.cut()
            return b""

        proxy.down = lose_the_answer
        with pytest.raises(GraphsUnavailableError):
            await server.resume(thread, interrupt, ACCEPT)
        progress = await persistent(lambda: server.resume(thread, interrupt, ACCEPT))
    (second,) = progress.pending
    assert second.value[0]["action_request"]["action"] == "announce"
    assert len(await dev.client.runs.list(thread)) == 2  # the one that asked, and one answer
    assert dev.done == []


async def test_an_answer_too_late_does_not_answer_the_next_question(dev: DevServer) -> None:
    """When somebody else answers after our look, the server refuses ours; it would fit the next question."""
    thread, first = await dev.ask("asks_twice", user_request="ship it")
    async with client(dev.url, "asks_twice") as server:
        await server._see_pending(thread, first, "")
        await dev.answer(thread, first, "asks_twice")
        run = await server._begin(thread, "key", command={"resume": {first: ACCEPT}})
        await server._join(thread, run)
        with pytest.raises(NotPendingError):
            await server._look(thread)
    state = await dev.client.threads.get_state(thread)
    assert [each["value"][0]["action_request"]["action"] for each in state["interrupts"]] == ["announce"]
    assert dev.done == []


async def test_a_long_run_is_come_back_to(dev: DevServer) -> None:
    """A run that outlasts our patience is no error: it is busy, and later found at its end."""
    thread, interrupt = await dev.ask(user_request="ship it", seconds=3.0)
    async with client(dev.url, run_seconds=0.5) as server:
        with pytest.raises(GraphBusyError):
            await server.resume(thread, interrupt, ACCEPT)
        assert (await persistent(lambda: server.resume(thread, interrupt, ACCEPT), 10_000)).finished
    assert dev.done == ["accept: ship it"]


async def test_a_node_that_breaks_is_told_with_its_words(dev: DevServer) -> None:
    """A run that ends in an error fails the thread, and is not run again by asking again (F50)."""
    thread, interrupt = await dev.ask(user_request="ship it", breaks=True)
    async with client(dev.url) as server:
        for _ in range(2):
            with pytest.raises(GraphFailedError, match="RuntimeError: the node broke"):
                await server.resume(thread, interrupt, ACCEPT)
    assert len(await dev.client.runs.list(thread)) == 2


async def test_interrupted_threads_of_the_assistant_are_listed(dev: DevServer) -> None:
    """Only threads that wait, and only those of the assistant."""
    thread, _ = await dev.ask()
    await dev.ask("asks_twice")
    answered, interrupt = await dev.ask()
    await dev.answer(answered, interrupt)
    async with client(dev.url) as server:
        assert [each.names[1] for each in await server.waiting()] == [thread]


# --- through mail -----------------------------------------------------------------------------------------


async def asked_about(gateway: Gateway) -> Letter:
    return await gateway.letter("ask", ALICE)


@pytest.mark.parametrize(("word", "done"), [("APPROVE", "accept"), ("REJECT", "ignore")])
async def test_a_thread_that_others_started_is_decided_by_mail(
    dev: DevServer, tmp_path: Path, word: str, done: str
) -> None:
    """A thread found on the server is asked about once, and goes on there as the reply says (T64)."""
    thread, _ = await dev.ask(user_request="ship it")
    async with Post(*PEOPLE) as post, running(tmp_path, post, HIGH + REMOTE.format(url=dev.url)) as gateway:
        question = await asked_about(gateway)
        async with reaching("server-looked-at", times=2) as looked:
            await looked.wait()
        async with reaching("stop-recorded") as resumed:
            await gateway.reply(question, word)
            await resumed.wait()
        assert dev.done == [f"{done}: ship it"]
        assert len(gateway.letters("ask", ALICE)) == 1
        assert (await gateway.status(thread))["result"] == f"done: {done}"


async def test_a_request_through_us_runs_there(dev: DevServer, tmp_path: Path) -> None:
    """POST /start with the graph's name starts a thread on the server, and its end is ours to tell."""
    async with Post(*PEOPLE) as post, running(tmp_path, post, HIGH + REMOTE.format(url=dev.url)) as gateway:
        thread = await gateway.ask("ship it", graph="remote")
        await gateway.reply(await asked_about(gateway), "APPROVE")
        await gateway.letter("receipt", ALICE)
        assert (await gateway.ended(thread))["status"] == "finished"
        assert len(gateway.letters("ask", ALICE)) == 1
    assert dev.done == ["accept: ship it"]
    assert len(await dev.client.threads.search()) == 1


async def test_an_action_that_is_handed_over_is_done_here_once(dev: DevServer, tmp_path: Path) -> None:
    """A mail that a served graph leaves to us is asked about and sent, and the receipt goes back."""
    await dev.ask("hands_over", user_request="ship it")
    table = REMOTE.format(url=dev.url).replace('"agent"', '"hands_over"')
    async with Post(*PEOPLE) as post, running(tmp_path, post, HIGH + table) as gateway:
        question = await asked_about(gateway)
        async with reaching("stop-recorded") as resumed:
            await gateway.reply(question, "APPROVE")
            await resumed.wait()
        assert [mail.message["Subject"] for mail in gateway.emails] == ["Shipped"]
    assert dev.done == ["done: ship it"]


async def test_answered_elsewhere_is_told_and_a_later_reply_changes_nothing(
    dev: DevServer, tmp_path: Path
) -> None:
    """Whoever was asked hears that the agent has its answer; approving after that does nothing."""
    thread, interrupt = await dev.ask(user_request="ship it")
    async with Post(*PEOPLE) as post, running(tmp_path, post, HIGH + REMOTE.format(url=dev.url)) as gateway:
        question = await asked_about(gateway)
        await dev.answer(thread, interrupt)
        told = await gateway.letter("withdrawn", ALICE)
        assert "answered elsewhere" in told.text
        await gateway.reply(question, "REJECT")
        assert "answered elsewhere" in (await gateway.letter("already-decided", ALICE)).text
        assert (await gateway.client.get(question.link)).status_code == 410
        status = await gateway.status(thread)
        assert (status["status"], status["approval_status"]) == ("finished", "superseded")
        assert gateway.letters("alert", OPS) == []
    assert dev.done == ["accept: ship it"]


async def test_a_server_that_was_away_loses_nothing(dev: DevServer, tmp_path: Path) -> None:
    """Approved while the server is down, the answer waits for it, and is told once when it is back (T08)."""
    await dev.ask(user_request="ship it")
    async with Post(*PEOPLE) as post:
        config = install(tmp_path, post, HIGH + REMOTE.format(url=dev.url))
        async with serving(config, post) as gateway:
            question = await asked_about(gateway)
            await dev.stop()
            async with reaching("put-back") as put_back:
                await gateway.reply(question, "APPROVE")
                await put_back.wait()
        await dev.start()
        async with reaching("stop-recorded") as resumed, serving(config, post) as gateway:
            gateway.clock.skip(minutes=1)
            await resumed.wait()
            assert len(gateway.letters("ask", ALICE)) == 1
            assert gateway.letters("alert", OPS) == []
    assert dev.done == ["accept: ship it"]
