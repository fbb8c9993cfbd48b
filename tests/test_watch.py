"""Watching a LangGraph Server: a real store and service, and a peer that holds one thread."""

import asyncio
from base64 import b32decode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import UUID

import pytest

from builders import policy
from gateway.core import payload
from gateway.core.approval import Approval, State, Verdict
from gateway.core.effects import Letter, Perform, ResumeGraph, StartGraph
from gateway.core.execution import ThreadState
from gateway.core.policy import GraphRule, Risk, Rule
from gateway.graphs import Pending, Progress, Server, ServerSettings
from gateway.store import ThreadRow
from gateway.watch import Watch
from office import OPERATOR, Office, open_office
from running import ALICE, HIGH, PEOPLE, VOTER, reaching, running
from servers.http import answer
from servers.langgraph import INTERRUPT, LIST, NEXT, QUESTION, STATE, THREAD, Peer, peer
from servers.post import Post

TABLE = """
[graphs.remote]
url = "{url}"
assistant = "agent"
api_key_file = "secrets/voter"
poll = "1s"
"""
ACCEPTED = [{"type": "accept", "args": QUESTION["action_request"]}]


@dataclass
class Watched:
    """A server that is watched, and the office that it is watched for."""

    office: Office
    other: Peer
    server: Server
    watch: Watch

    async def look(self) -> None:
        """Look once, and let what was found be looked into as the outbox does."""
        self.office.later(seconds=30)
        await self.watch.look()
        while rows := await self.office.claimed():
            for row in rows:
                if isinstance(row.effect, StartGraph):
                    progress = await self.server.pending(row.effect.thread)
                    assert progress is not None
                    await self.office.service.graph_stopped(row, progress)

    async def approvals(self, thread: str = THREAD) -> list[Approval]:
        return await self.office.store.read(lambda tx: tx.approvals_of(thread))

    async def thread(self) -> ThreadRow:
        return await self.office.store.read(lambda tx: tx.thread(THREAD))


@asynccontextmanager
async def watching(place: Path, **rules: Rule) -> AsyncIterator[Watched]:
    """A watched server whose one thread asks one question, which is of high risk."""
    people = replace(policy(**rules), graphs={"remote": GraphRule()})
    async with peer() as other, open_office(place / "gateway.sqlite3", people) as office:
        server = Server(ServerSettings(url=other.url, assistant="agent"))
        watch = Watch(
            graph="remote",
            server=server,
            store=office.store,
            service=office.service,
            poll=0.01,
            clock=office.clock,
        )
        yield Watched(office, other, server, watch)
        await server.aclose()


@pytest.fixture
async def watched(tmp_path: Path) -> AsyncIterator[Watched]:
    async with watching(tmp_path) as watched:
        yield watched


async def test_a_question_is_asked_once(watched: Watched) -> None:
    """However often it is seen, also by a gateway that was started anew, people are asked once (T64)."""
    for _ in range(3):
        watched.watch._seen.clear()
        await watched.look()
    (approval,) = await watched.approvals()
    assert (approval.state, approval.interrupt, approval.graph) == (State.OPEN, INTERRUPT, "remote")
    assert (await watched.thread()).requester == "LangGraph Server remote"


async def test_the_next_question_of_a_thread_is_asked_too(watched: Watched) -> None:
    """Somebody else answered and the thread asks again: the first is withdrawn, the second asked."""
    await watched.look()
    watched.other.answered_elsewhere(**{NEXT: QUESTION})
    await watched.look()
    first, second = await watched.approvals()
    assert (first.state, second.state) == (State.SUPERSEDED, State.OPEN)
    assert (second.interrupt, (await watched.thread()).state) == (NEXT, ThreadState.WAITING)


async def test_answered_elsewhere_ends_the_question_and_tells_everybody(watched: Watched) -> None:
    """A thread that went on without us: no answer is sent after it, people are told, its end is recorded."""
    await watched.look()
    watched.other.answered_elsewhere()
    watched.other.listed = []
    await watched.look()
    (approval,) = await watched.approvals()
    assert (approval.state, approval.replaced_by) == (State.SUPERSEDED, None)
    thread = await watched.thread()
    assert (thread.state, thread.result) == (ThreadState.FINISHED, "deployed")
    told = await watched.office.letters(Letter.WITHDRAWN)
    assert {letter.to for letter in told} == {*approval.reviewers}
    assert not [each for each in await watched.office.effects() if isinstance(each, ResumeGraph)]


async def test_expiry_is_not_told_to_a_thread_that_has_its_answer(watched: Watched) -> None:
    """Even when nobody decided in time, a question that was answered elsewhere ends as just that."""
    await watched.look()
    watched.other.answered_elsewhere()
    watched.other.listed = []
    watched.office.later(days=365)
    await watched.look()
    (approval,) = await watched.approvals()
    assert approval.state is State.SUPERSEDED


async def test_a_decision_is_not_withdrawn(watched: Watched) -> None:
    """What people have decided stays decided, whatever the server says of it afterwards (F41)."""
    await watched.look()
    (approval,) = await watched.approvals()
    await watched.office.votes(approval)
    watched.other.answered_elsewhere()
    watched.other.listed = []
    await watched.look()
    assert await watched.office.state(approval) is State.APPROVED


async def test_what_was_opened_after_the_look_is_left_open(watched: Watched) -> None:
    """A look that began before the question was opened says nothing about it."""
    await watched.look()
    (approval,) = await watched.approvals()
    await watched.office.service.seen(THREAD, None, approval.opened_at)
    assert await watched.office.state(approval) is State.OPEN


async def test_a_busy_thread_is_looked_at_later(watched: Watched) -> None:
    """Half a step proves nothing: the question stays open while the server runs the thread."""
    await watched.look()
    watched.other.status, watched.other.pending, watched.other.version = "busy", {}, 1
    await watched.look()
    (approval,) = await watched.approvals()
    assert approval.state is State.OPEN
    watched.other.status = "idle"
    await watched.look()
    assert await watched.office.state(approval) is State.SUPERSEDED


async def test_a_thread_is_gone_when_the_server_says_so_twice(watched: Watched) -> None:
    """One answer that there is no such thread ends nothing, the next one does (F49)."""
    await watched.look()
    (approval,) = await watched.approvals()
    watched.other.exists, watched.other.listed = False, []
    await watched.look()
    assert await watched.office.state(approval) is State.OPEN
    await watched.look()
    assert await watched.office.state(approval) is State.SUPERSEDED


async def test_what_cannot_be_asked_is_told_once(watched: Watched) -> None:
    """A question of no known schema parks its thread with one alert, however often it is seen."""
    watched.other.pending = {INTERRUPT: "?"}
    for _ in range(3):
        watched.watch._seen.clear()
        await watched.look()
    assert (await watched.thread()).state is ThreadState.PARKED
    assert [letter.to for letter in await watched.office.letters(Letter.ALERT)] == [OPERATOR]


async def test_what_nobody_may_decide_is_told_once(tmp_path: Path) -> None:
    """A question for which there are too few people parks its thread with one alert as well."""
    async with watching(tmp_path, high=Rule(quorum=9)) as watched:
        for _ in range(3):
            watched.watch._seen.clear()
            await watched.look()
        assert (await watched.thread()).state is ThreadState.PARKED
        assert len(await watched.office.letters(Letter.ALERT)) == 1


async def test_two_looks_at_once_record_once(watched: Watched) -> None:
    """Seen by two at the same moment, what is new is taken up by one of them."""
    await watched.look()
    unknown = Progress((Pending(NEXT, "?"),), finished=False)
    seeing = [watched.office.service.seen(THREAD, unknown, watched.office.now) for _ in range(2)]
    await asyncio.gather(*seeing)
    facts = await watched.office.store.read(lambda tx: tx.facts(THREAD))
    assert [fact.kind for fact in facts].count("ThreadParked") == 1


async def test_a_server_cannot_claim_a_thread_of_another_graph(watched: Watched) -> None:
    """A listed id that is a thread of ours elsewhere is passed over: nothing is asked or ended (T28)."""
    ours = await watched.office.asked()
    builtin = UUID(bytes=b32decode(f"{ours.thread}======"))
    watched.other.listed = [str(builtin)]
    await watched.look()
    assert [each.id for each in await watched.approvals(ours.thread)] == [ours.id]
    assert await watched.office.state(ours) is State.OPEN
    assert not [route for route in watched.other.asked if route == STATE]


async def test_reviewers_and_actions_come_from_the_configuration(watched: Watched) -> None:
    """Whom a server names, and what it calls its action, means nothing here (T15, T28)."""
    proposed = {"action_type": "send_email", "parameters": {"to": "a@example.net"}, "risk_level": "low"}
    forged = {"reviewers": ["mallory@example.net"], "approver": "mallory@example.net"}
    watched.other.pending = {INTERRUPT: {"type": "approval_request", "action": proposed | forged, **forged}}
    await watched.look()
    (approval,) = await watched.approvals()
    assert approval.reviewers == tuple(person.email for person in watched.office.policy.reviewers)
    assert (approval.risk, payload.is_foreign(approval.dialect)) == (Risk.HIGH, True)


async def test_an_effect_that_a_server_asks_for_is_not_done(watched: Watched) -> None:
    """A server that names another's grant gets its thread parked, and nothing is performed (T27, T28)."""
    granted = await watched.office.asked()
    await watched.office.votes(granted)
    granted = await watched.office.approval(granted)
    effect = {"type": "gateway.effect", "approval": granted.id, "digest": granted.digest}
    watched.other.pending = {INTERRUPT: effect}
    await watched.look()
    assert (await watched.thread()).state is ThreadState.PARKED
    assert not [each for each in await watched.office.effects() if isinstance(each, Perform)]


async def test_so_many_questions_are_open_at_a_time(watched: Watched) -> None:
    """A server that asks without end has a hundred questions open; the rest wait, and none is lost (T63)."""
    watched.other.listed = [f"{n:08x}-0d3a-4f0e-8a57-5f8a4f6f2f10" for n in range(103)]
    for _ in range(3):
        await watched.look()
    opened = await watched.office.store.read(lambda tx: tx.open_of("remote"))
    assert len(opened) == 100
    for approval in opened[:5]:
        await watched.office.votes(approval, Verdict.REJECT)
    await watched.look()
    assert len(await watched.office.store.read(lambda tx: tx.open_of("remote"))) == 98
    assert [await watched.approvals(thread) != [] for thread in watched.other.listed] == [True] * 103


async def test_a_server_that_is_down_is_said_once(
    watched: Watched, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its fall and its return are logged once each, and what it asked meanwhile is asked then."""
    watched.other.faults[LIST] = answer("503 Service Unavailable")
    async with reaching("server-looked-at", times=4) as looked:
        watching = asyncio.create_task(watched.watch.run())
        async with reaching("server-looked-at", times=2) as failed:
            await failed.wait()
        del watched.other.faults[LIST]
        await looked.wait()
    watching.cancel()
    printed = capsys.readouterr().out
    assert (printed.count("server.unavailable"), printed.count("server.back")) == (1, 1)
    assert printed.count("thread.adopted") == 1


async def test_an_approval_waits_for_a_thread_that_is_busy(tmp_path: Path) -> None:
    """In the daemon, an answer to a thread that just runs is put back and told when it stands (T08, T62)."""
    async with (
        peer() as other,
        Post(*PEOPLE) as post,
        running(tmp_path, post, HIGH + TABLE.format(url=other.url)) as gateway,
    ):
        checked = await gateway.command("graphs", "check", "remote")
        assert (checked["url"], checked["waiting"]) == (other.url, 1)
        question = await gateway.letter("ask", ALICE)
        other.status = "busy"
        async with reaching("put-back") as put_back:
            await gateway.reply(question, "APPROVE")
            await put_back.wait()
        assert other.taken == []
        other.status = "interrupted"
        async with reaching("stop-recorded") as resumed:
            gateway.clock.skip(seconds=10)
            await resumed.wait()
        assert (await gateway.status(THREAD))["result"] == "deployed"
    assert [run["command"] for run in other.taken] == [{"resume": {INTERRUPT: ACCEPTED}}]
    assert all(f"x-api-key: {VOTER}".encode() in head for head in other.heads)


async def test_answered_elsewhere_is_said_wherever_it_is_asked_about(tmp_path: Path) -> None:
    """Letter, page, reply and API say so, and a late reply sends nothing."""
    async with (
        peer() as other,
        Post(*PEOPLE) as post,
        running(tmp_path, post, HIGH + TABLE.format(url=other.url)) as gateway,
    ):
        question = await gateway.letter("ask", ALICE)
        other.answered_elsewhere()
        other.listed = []
        assert "answered elsewhere" in (await gateway.letter("withdrawn", ALICE)).text
        await gateway.reply(question, "APPROVE")
        assert "answered elsewhere" in (await gateway.letter("already-decided", ALICE)).text
        page = await gateway.client.get(question.link)
        assert (page.status_code, "This was answered elsewhere" in page.text) == (410, True)
        status = await gateway.status(THREAD)
        assert (status["status"], status["approval_status"]) == ("finished", "superseded")
    assert other.taken == []
