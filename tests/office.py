"""A service over a real store with its own clock; the graph's side of the talk is played by the test."""

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from builders import NOW, policy
from gateway.actions import Actions
from gateway.actions.send_email import NAME, SendEmail
from gateway.core.approval import Approval, Channel, Identity, State, Verdict
from gateway.core.effects import Effect, Letter, SendLetter
from gateway.core.execution import RowState
from gateway.core.policy import GraphRule, Policy, Risk
from gateway.core.tokens import Purpose, Signatory
from gateway.graphs import Pending, Progress
from gateway.letters import Letterhead, Letters, packaged_templates
from gateway.service import Ballot, Reply, Service
from gateway.store import OutboxRow, SqliteStore, Transaction

KEY = b"k" * 32
LETTERHEAD = Letterhead(
    name="Approvals",
    sender="approvals@example.com",
    reply_to="approvals@example.com",
    base_url="https://gateway.example.com",
    domain="example.com",
)
OPERATOR = "ops@example.com"
PROPOSED = {
    "action_type": NAME,
    "description": "Sends the Q1 report.",
    "parameters": {"to": ["team@example.com"], "cc": [], "subject": "Q1 report", "body": "Here it is.\n"},
    "risk_level": "medium",
}


FOREIGN = replace(policy(), graphs={"builtin": GraphRule()})
"""The same people, for whom the only graph is somebody else's."""
BOTH = ("approve", "reject")


class Office:
    """What a test talks to; `now` is the clock, to be moved at will."""

    def __init__(self, path: Path, people: Policy) -> None:
        self.now = NOW
        self.policy = people
        self.store = SqliteStore(path, [KEY])
        self.signatory = Signatory([KEY])
        send_email = SendEmail(
            sender="approvals@example.com",
            envelope_sender="approvals@example.com",
            internal_domains=frozenset({"example.com"}),
            internal_risk=Risk.LOW,
        )
        self.actions = Actions({NAME: send_email})
        self.secretary = Letters(LETTERHEAD, [packaged_templates()])
        self.service = Service(
            store=self.store,
            signatory=self.signatory,
            policy=people,
            actions=self.actions,
            operators=[OPERATOR],
            clock=self.clock,
            entropy=os.urandom,
        )

    def clock(self) -> datetime:
        return self.now

    def later(self, **period: float) -> None:
        self.now += timedelta(**period)

    async def asked(self, proposed: dict[str, Any] | None = None, interrupt: str = "interrupt-1") -> Approval:
        """Start a thread whose graph asks at once; return the question that was opened."""
        thread = await self.started()
        await self.stops(thread, Pending(interrupt, question(proposed)))
        (approval,) = await self.store.read(lambda tx: tx.approvals_of(thread))
        return approval

    async def asked_at_once(self, *allowed: Sequence[str]) -> Approval:
        """Let somebody else's graph ask about tool calls at once, by what may be decided about each."""
        thread = await self.started()
        await self.stops(thread, Pending("interrupt-1", tool_calls(*allowed)))
        (approval,) = await self.store.read(lambda tx: tx.approvals_of(thread))
        return approval

    async def started(self) -> str:
        row = await self.service.start("builtin", {"user_request": "x"}, "rita@example.com")
        return row.id

    async def stops(self, thread: str, *pending: Pending, result: str = "", error: str | None = None) -> None:
        """Play the graph: what was to be started or resumed has stopped here."""
        row = await self.row(thread)
        progress = Progress(pending, finished=not pending, result=result, error=error)
        await self.service.graph_stopped(row, progress)

    async def row(self, thread: str) -> OutboxRow:
        """Claim the one row that moves the thread's graph, leaving letters alone."""
        rows = await self.claimed()
        (mine,) = [row for row in rows if row.thread == thread and not isinstance(row.effect, SendLetter)]
        return mine

    async def claimed(self) -> list[OutboxRow]:
        return await self.store.write(lambda tx: tx.claim("test", self.now, timedelta(minutes=1), 100))

    async def votes(self, approval: Approval, verdict: Verdict = Verdict.APPROVE, **changes: Any) -> Reply:
        values: dict[str, Any] = {
            "approval": approval.id,
            "by": approval.reviewers[0],
            "verdict": verdict,
            "channel": Channel.LINK,
            "identity": Identity.LINK,
        }
        return await self.service.vote(Ballot(**(values | changes)))

    async def in_flight(self, approval: Approval) -> OutboxRow:
        """Bring an approved action to the point of no return."""
        resume = await self.row(approval.thread)
        assert hasattr(resume.effect, "value")
        grant = {name: resume.effect.value[name] for name in ("approval", "digest")}
        progress = Progress((Pending("effect-1", {"type": "gateway.effect", **grant}),), finished=False)
        await self.service.graph_stopped(resume, progress)
        perform = await self.row(approval.thread)
        return await self.service.point_of_no_return(perform, {"message_id": "<sent@example.com>"})

    async def approval(self, approval: Approval) -> Approval:
        return await self.store.read(lambda tx: tx.approval(approval.id))

    async def state(self, approval: Approval) -> State:
        return (await self.approval(approval)).state

    async def effects(self) -> list[Effect]:
        """List every recorded effect, oldest first."""
        rows = await self.store.read(lambda tx: tx.outbox_in(list(RowState)))
        return [row.effect for row in reversed(rows)]

    async def letters(self, letter: Letter) -> list[SendLetter]:
        return [
            each for each in await self.effects() if isinstance(each, SendLetter) and each.letter is letter
        ]

    async def handle(self, approval: Approval, purpose: Purpose, reviewer: str | None = None) -> str:
        """Sign a reviewer's handle, as the outbox does for a letter."""
        kept = await self.store.read(
            lambda tx: tx.handle_of(approval.id, reviewer or approval.reviewers[0], purpose)
        )
        assert kept is not None
        return self.signatory.sign(bytes.fromhex(kept[0]), kept[1])

    async def fingerprint(self) -> str:
        """Everything that the database holds, to see that nothing was written."""

        def dump(tx: Transaction) -> str:
            tables = tx._execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name", {})
            return repr(
                [
                    [tuple(row) for row in tx._execute(f"SELECT * FROM {table['name']}", {}).fetchall()]
                    for table in tables.fetchall()
                ]
            )

        return await self.store.read(dump)


def question(proposed: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"type": "approval_request", "action": proposed or PROPOSED}


def tool_calls(*allowed: Sequence[str]) -> dict[str, Any]:
    """The payload of LangChain's middleware for the tool calls of one turn."""
    calls = [{"name": "refund", "args": {"order": f"A{n}"}} for n in range(1, len(allowed) + 1)]
    configs = [{"action_name": "refund", "allowed_decisions": list(each)} for each in allowed]
    return {"action_requests": calls, "review_configs": configs}


@asynccontextmanager
async def open_office(path: Path, people: Policy | None = None) -> AsyncIterator[Office]:
    office = Office(path, people or policy())
    yield office
    await office.store.close()
