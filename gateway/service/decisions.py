"""What people do: ask for something, decide, take back; and the clock, which decides for nobody."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from gateway import claims
from gateway.actions import ActionRefusedError
from gateway.core import tokens
from gateway.core.action import EditRefusedError, diff
from gateway.core.approval import (
    Answer,
    Approval,
    ClockStruck,
    Event,
    Recalled,
    State,
    Verdict,
    Vote,
    Voted,
    VotedByItem,
    decide,
    unanswerable,
)
from gateway.core.effects import SendLetter, StartGraph
from gateway.core.execution import ThreadStarted, ThreadState
from gateway.core.policy import higher
from gateway.core.tokens import Claim, Purpose
from gateway.log import log, step
from gateway.service.base import (
    Ballot,
    IdempotencyKeyReusedError,
    Reply,
    ThreadKnownError,
    UseCases,
    View,
)
from gateway.service.ledger import APPROVAL_ID_BYTES
from gateway.store import NotFoundError, ThreadRow, Transaction

_THREAD_ID_BYTES = 16
_DUE_AT_ONCE = 100


class Decisions(UseCases):
    """The use cases of requesters, reviewers and the clock."""

    async def start(
        self, graph: str, request: Mapping[str, Any], requester: str, idempotency_key: str | None = None
    ) -> ThreadRow:
        """Record a request for an agent; the graph is started by the outbox.

        Raises:
            IdempotencyKeyReusedError: the key belongs to another request.
        """
        thread = self._ledger.new_id(_THREAD_ID_BYTES)

        def work(tx: Transaction) -> ThreadRow:
            known = tx.thread_by_idempotency_key(idempotency_key) if idempotency_key else None
            if known is not None:
                if (known.graph, known.requester, dict(known.request)) != (graph, requester, dict(request)):
                    raise IdempotencyKeyReusedError("this Idempotency-Key came with another request before")
                return known
            return self._begin(tx, StartGraph(graph, thread), requester, request, idempotency_key)

        started = await self._store.write(work)
        self.work_waits.set()
        log.info("thread.started", thread=started.id, graph=graph)
        return started

    async def adopt(self, graph: str, thread: str, requester: str) -> ThreadRow:
        """Take over a thread that was started elsewhere over our checkpoints; people are asked what it asks.

        Raises:
            ThreadKnownError: it is ours already.
        """

        def work(tx: Transaction) -> ThreadRow:
            try:
                tx.thread(thread)
            except NotFoundError:
                return self._begin(tx, StartGraph(graph, thread, adopted=True), requester, {})
            raise ThreadKnownError(f"thread {thread} is known here already")

        adopted = await self._store.write(work)
        self.work_waits.set()
        log.info("thread.adopted", thread=thread, graph=graph)
        return adopted

    def _begin(
        self,
        tx: Transaction,
        start: StartGraph,
        requester: str,
        request: Mapping[str, Any],
        idempotency_key: str | None = None,
    ) -> ThreadRow:
        now = self._clock()
        tx.add_thread(
            ThreadRow(
                id=start.thread,
                graph=start.graph,
                state=ThreadState.RUNNING,
                requester=requester,
                request=request,
                result="",
                idempotency_key=idempotency_key,
                facts=0,
                head="",
                created_at=now,
                updated_at=now,
            )
        )
        tx.record(start.thread, [ThreadStarted(start.thread, start.graph, requester, request, now)])
        self._ledger.enqueue(tx, start.thread, [start], now)
        return tx.thread(start.thread)

    async def vote(self, ballot: Ballot) -> Reply:
        """Count a decision made by link, command or API.

        Raises:
            NotFoundError: there is no such approval.
        """
        event = await self.as_event(ballot)
        if isinstance(event, Reply):
            return event
        return await self.handle(ballot.approval, event)

    async def as_event(self, ballot: Ballot) -> Voted | Reply:
        """Turn a ballot into the event it is, or answer at once that its edit is no good."""
        vote = self._vote(ballot, self._clock())
        if ballot.verdict is not Verdict.MODIFY:
            return Voted(vote)
        approval = await self._store.read(lambda tx: tx.approval(ballot.approval))
        if approval.state is not State.OPEN or Verdict.MODIFY not in approval.offers:
            return Voted(vote)
        try:
            edited = await self.preview(approval, ballot.edits)
        except EditRefusedError as error:
            return Reply(Answer.EDIT_REFUSED, approval, error.problems)
        except ActionRefusedError as error:
            return Reply(Answer.EDIT_REFUSED, approval, (str(error),))
        return Voted(vote, edited, diff_seen=ballot.diff_seen and _is_what_was_seen(ballot, approval, edited))

    async def vote_by_item(self, ballots: Sequence[Ballot]) -> Reply:
        """Count what one person decided about several items of one approval, all of it or nothing.

        Raises:
            NotFoundError: there is no such approval.
        """
        return await self.handle(ballots[0].approval, self.as_event_by_item(ballots))

    def as_event_by_item(self, ballots: Iterable[Ballot]) -> VotedByItem:
        """Turn the ballots of one answer into the event they are; none of them may be an edit."""
        now = self._clock()
        return VotedByItem(tuple(self._vote(ballot, now) for ballot in ballots))

    def _vote(self, ballot: Ballot, at: datetime) -> Vote:
        return Vote(
            by=ballot.by,
            verdict=ballot.verdict,
            channel=ballot.channel,
            at=at,
            comment=ballot.comment,
            evidence=ballot.evidence,
            identity=ballot.identity,
            item=ballot.item,
        )

    async def recall(self, approval: str, by: str, reason: str = "") -> Reply:
        """Take a question back.

        Raises:
            NotFoundError: there is no such approval.
        """
        return await self.handle(approval, Recalled(by, reason))

    async def handle(self, approval: str, event: Event) -> Reply:
        """Let the core decide on an event about an approval, and commit it."""
        reply = await self._store.write(lambda tx: self.decide_in(tx, approval, event))
        self.announce(reply)
        return reply

    def decide_in(self, tx: Transaction, approval: str, event: Event) -> Reply:
        """Decide and record within the caller's transaction; the caller announces after its commit."""
        now = self._clock()
        seen = tx.approval(approval)
        outcome = decide(seen, event, now)
        self._ledger.commit(tx, seen.thread, outcome, now)
        return Reply(outcome.answer, tx.approval(approval) if outcome.facts else seen)

    def announce(self, reply: Reply) -> None:
        """Log a committed answer and wake the outbox."""
        log.info(
            "approval.handled", approval=reply.approval.id, answer=reply.answer, state=reply.approval.state
        )
        step("decision-committed")
        self.work_waits.set()

    async def strike(self) -> int:
        """Let the clock strike: end the questions whose time is over. Returns how many."""
        due = await self._store.read(lambda tx: tx.due(self._clock(), _DUE_AT_ONCE))
        for approval in due:
            try:
                await self.handle(approval.id, ClockStruck())
            except Exception:  # noqa: BLE001 - one broken row must not keep the others open
                log.exception("clock.broke", approval=approval.id)
        return len(due)

    async def view(self, token: str) -> View:
        """Open a link.

        Raises:
            TokenError: it is not a link of ours; tell a stranger nothing more.
        """
        handle = tokens.read(token)
        claim, approval = await self._store.read(lambda tx: self.verified(tx, handle, Purpose.LINK))
        return View(approval, claim.reviewer, handle.jti.hex())

    def verified(self, tx: Transaction, handle: tokens.Handle, purpose: Purpose) -> tuple[Claim, Approval]:
        """Say what a handle stands for; raises what `claims.verified` raises."""
        return claims.verified(tx, handle, purpose, self._signatory, self._policy)

    def replace_handles(self, tx: Transaction, claim: Claim, user: str) -> None:
        """Make a reviewer's handles worthless, since `user` has used one, and ask again under new ones.

        All of them go: the mail that shows one shows the others. It happens once per approval and reviewer,
        so that a stranger cannot make us write as often as they like.
        """
        approval = tx.approval(claim.approval)
        if approval.state is State.OPEN and not tx.has_retired_handles(approval.id, claim.reviewer):
            self._ledger.replace_handles(tx, approval, claim.reviewer, user, self._clock())

    def write_to(self, tx: Transaction, approval: Approval, letter: SendLetter) -> None:
        """Record a letter about an approval."""
        self._ledger.enqueue(tx, approval.thread, [letter], self._clock())

    async def preview(self, approval: Approval, edits: Mapping[str, Any]) -> Approval:
        """Make of an open approval what an edit would replace it with; nothing is recorded.

        Raises:
            EditRefusedError, ActionRefusedError: the edit is no good; the message says why.
        """
        item, assessed = await self._actions.edit(approval.items[0], edits)
        risk = higher(approval.risk, assessed)
        ruling = self._policy.ruling(risk, is_long=self._actions.is_long((item,)))
        if len(ruling.reviewers) < ruling.rule.quorum:
            raise EditRefusedError([f"nobody may decide about a change of {risk} risk"])
        now = self._clock()
        edited = replace(
            approval,
            id=self._ledger.new_id(APPROVAL_ID_BYTES),
            items=(item,),
            risk=risk,
            rule=ruling.rule,
            reviewers=ruling.reviewers,
            opened_at=now,
            expires_at=now + ruling.rule.expires,
            votes=(),
            replaces=approval.id,
            original=approval.original or approval.items,
        )
        if why := unanswerable(edited):
            raise EditRefusedError([why])
        return edited


def _is_what_was_seen(ballot: Ballot, approval: Approval, edited: Approval) -> bool:
    """Whether an edit makes exactly what its editor saw or typed: files and rows may change meanwhile."""
    if ballot.shown:
        return ballot.shown == edited.digest
    changes = diff(approval.items[0].action, edited.items[0].action)
    return {change.field for change in changes} <= ballot.edits.keys()
