"""Hand an event to the core and commit what it means: the only place where facts are recorded."""

import asyncio
import base64
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any

from gateway.actions import ActionRefusedError, Actions
from gateway.core import action as core_action
from gateway.core import payload, tokens
from gateway.core.action import EditRefusedError
from gateway.core.approval import (
    Answer,
    Approval,
    Asked,
    Channel,
    ClockStruck,
    Effect,
    Event,
    Fact,
    Item,
    Letter,
    Opened,
    Outcome,
    Perform,
    Recalled,
    ResumeGraph,
    SendLetter,
    StartGraph,
    State,
    Verdict,
    Vote,
    Voted,
    decide,
)
from gateway.core.execution import (
    AskRefused,
    Doubted,
    EffectRequested,
    Performed,
    Receipt,
    ReceiptStatus,
    Resolved,
    RowState,
    ThreadEnded,
    ThreadParked,
    ThreadStarted,
    ThreadState,
)
from gateway.core.policy import Decider, Policy, Risk, higher
from gateway.core.tokens import Claim, Purpose, Signatory
from gateway.graphs import Pending, Progress
from gateway.log import log, step
from gateway.store import NotFoundError, OutboxRow, Store, ThreadRow, Transaction

_ID_BYTES = 5
_DUE_AT_ONCE = 100
_NOBODY = Claim(Purpose.LINK, "", "", "")


class NotInDoubtError(RuntimeError):
    """There is nothing to resolve about this approval."""


class IdempotencyKeyReusedError(ValueError):
    """The key came with another request before; use a new key for a new request."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What became of a vote or command: the answer, and the approval as it is now."""

    answer: Answer
    approval: Approval
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ballot:
    """One person's decision at any of the doors; `by` is the reviewer's identity."""

    approval: str
    by: str
    verdict: Verdict
    channel: Channel
    comment: str = ""
    evidence: str = ""
    edits: Mapping[str, Any] = field(default_factory=dict)
    diff_seen: bool = False


@dataclass(frozen=True, slots=True)
class View:
    """What a verified link opens: the approval, for one reviewer."""

    approval: Approval
    reviewer: str
    jti: str


@dataclass(frozen=True, slots=True)
class _Ask:
    approval: Approval


@dataclass(frozen=True, slots=True)
class _Refuse:
    interrupt: str
    dialect: str
    reason: str


@dataclass(frozen=True, slots=True)
class _Do:
    interrupt: str
    request: payload.EffectRequest


@dataclass(frozen=True, slots=True)
class _Park:
    why: str


_Step = _Ask | _Refuse | _Do | _Park


class Service:
    """The use cases. Every public coroutine is one event; it returns after its commit."""

    def __init__(
        self,
        *,
        store: Store,
        signatory: Signatory,
        policy: Policy,
        actions: Actions,
        operators: Iterable[str],
        clock: Callable[[], datetime],
        entropy: Callable[[int], bytes],
    ) -> None:
        self._store = store
        self._signatory = signatory
        self._policy = policy
        self._actions = actions
        self._operators = tuple(operators)
        self._clock = clock
        self._entropy = entropy
        self.work_waits = asyncio.Event()
        """Set after a commit that left something to do; the outbox clears it."""

    # --- requests ---

    async def start(
        self, graph: str, request: Mapping[str, Any], requester: str, idempotency_key: str | None = None
    ) -> ThreadRow:
        """Record a request for an agent; the graph is started by the outbox.

        Raises:
            IdempotencyKeyReusedError: the key belongs to another request.
        """
        now = self._clock()
        thread = self._new_id(16)

        def work(tx: Transaction) -> ThreadRow:
            known = tx.thread_by_idempotency_key(idempotency_key) if idempotency_key else None
            if known is not None:
                if (known.graph, dict(known.request)) != (graph, dict(request)):
                    raise IdempotencyKeyReusedError("this Idempotency-Key came with another request before")
                return known
            tx.add_thread(
                ThreadRow(
                    id=thread,
                    graph=graph,
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
            tx.record(thread, [ThreadStarted(thread, graph, requester, request, now)])
            self._enqueue(tx, thread, [StartGraph(graph, thread)], now)
            return tx.thread(thread)

        started = await self._store.write(work)
        self.work_waits.set()
        log.info("thread.started", thread=started.id, graph=graph)
        return started

    # --- decisions ---

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
        vote = Vote(
            by=ballot.by,
            verdict=ballot.verdict,
            channel=ballot.channel,
            at=self._clock(),
            comment=ballot.comment,
            evidence=ballot.evidence,
        )
        if ballot.verdict is not Verdict.MODIFY:
            return Voted(vote)
        approval = await self._store.read(lambda tx: tx.approval(ballot.approval))
        if approval.state is not State.OPEN:
            return Voted(vote)
        try:
            edited = await self._edited(approval, ballot.edits)
        except EditRefusedError as error:
            return Reply(Answer.EDIT_REFUSED, approval, error.problems)
        except ActionRefusedError as error:
            return Reply(Answer.EDIT_REFUSED, approval, (str(error),))
        return Voted(vote, edited, ballot.diff_seen)

    async def preview(self, approval: Approval, edits: Mapping[str, Any]) -> Approval:
        """Show what an edit would make of an approval, recording nothing.

        Raises:
            EditRefusedError, ActionRefusedError: the edit is no good; the message says why.
        """
        return await self._edited(approval, edits)

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
        self._commit(tx, seen.thread, outcome, now)
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
            await self.handle(approval.id, ClockStruck())
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
        """Say what a handle of this purpose stands for: the one verifier for every place a token comes from.

        Raises:
            ForgedTokenError: we did not sign it for this purpose.
        """
        claim = tx.claim_of(handle.jti.hex()) or _NOBODY
        self._signatory.verify(handle, claim)
        if claim.purpose is not purpose:
            raise tokens.ForgedTokenError("this token was made for another use")
        return claim, tx.approval(claim.approval)

    # --- what graphs report ---

    async def graph_stopped(self, row: OutboxRow, progress: Progress) -> None:
        """Record where a started or resumed graph has stopped: at questions, at an effect, or at its end."""
        thread = await self._store.read(lambda tx: tx.thread(str(row.thread)))
        steps = [await self._step(thread, pending) for pending in progress.pending]

        def work(tx: Transaction) -> list[Answer]:
            now = self._clock()
            answers = [answer for each in steps if (answer := self._take(tx, thread, each, now))]
            if progress.finished:
                state = ThreadState.FAILED if progress.error else ThreadState.FINISHED
                result = progress.error or progress.result
                tx.record(thread.id, [ThreadEnded(thread.id, state, result, now)])
                tx.set_thread(thread.id, state, now, result)
            elif tx.thread(thread.id).state is not ThreadState.PARKED:
                waits = tx.has_open(thread.id)
                tx.set_thread(thread.id, ThreadState.WAITING if waits else ThreadState.RUNNING, now)
            tx.move(row, RowState.DONE, now)
            return answers

        answers = await self._store.write(work)
        log.info("graph.stopped", thread=thread.id, finished=progress.finished, answers=answers)
        self.work_waits.set()

    async def graph_failed(self, row: OutboxRow, why: str) -> None:
        """Record that a graph broke or cannot be resumed; the thread is parked and operators are told."""

        def work(tx: Transaction) -> None:
            now = self._clock()
            tx.move(row, RowState.FAILED, now, note=why)
            self._park(tx, str(row.thread), why, now)

        await self._store.write(work)
        log.error("graph.failed", thread=row.thread, why=why)
        self.work_waits.set()

    async def _step(self, thread: ThreadRow, pending: Pending) -> _Step:
        """Read one pending interrupt and prepare what it asks for."""
        match payload.read(pending.value):
            case payload.EffectRequest() as request:
                return _Do(pending.id, request)
            case payload.Unknown(why=why):
                return _Park(f"interrupt {pending.id}: {why}")
            case payload.Question(dialect=dialect, proposals=(proposal,)):
                try:
                    item, risk = await self._actions.prepare(proposal)
                except ActionRefusedError as error:
                    return _Refuse(pending.id, dialect, str(error))
                return self._question(thread, pending.id, dialect, item, risk)
            case payload.Question(proposals=proposals):
                return _Park(f"interrupt {pending.id}: {len(proposals)} actions in one question")

    def _question(
        self, thread: ThreadRow, interrupt: str, dialect: str, item: Item, risk: Risk
    ) -> _Ask | _Park:
        now = self._clock()
        ruling = self._policy.ruling(risk)
        if ruling.rule.decide is Decider.PEOPLE and len(ruling.reviewers) < ruling.rule.quorum:
            return _Park(f"{len(ruling.reviewers)} reviewers for {risk} risk, {ruling.rule.quorum} needed")
        return _Ask(
            Approval(
                id=self._new_id(_ID_BYTES),
                thread=thread.id,
                graph=thread.graph,
                interrupt=interrupt,
                dialect=dialect,
                items=(item,),
                risk=risk,
                rule=ruling.rule,
                reviewers=ruling.reviewers,
                requester=thread.requester,
                opened_at=now,
                expires_at=now + ruling.rule.expires,
            )
        )

    def _take(self, tx: Transaction, thread: ThreadRow, asked: _Step, now: datetime) -> Answer | None:
        match asked:
            case _Ask(approval=approval):
                if tx.is_asked(thread.id, approval.interrupt):
                    return None
                outcome = decide(approval, Asked(approval), now)
                self._commit(tx, thread.id, outcome, now)
                return outcome.answer
            case _Refuse(interrupt=interrupt, dialect=dialect, reason=reason):
                tx.record(thread.id, [AskRefused(thread.id, interrupt, reason, now)])
                value = payload.refusal(dialect, reason)
                self._enqueue(tx, thread.id, [ResumeGraph(thread.graph, thread.id, interrupt, value)], now)
            case _Do(interrupt=interrupt, request=request):
                self._effect_asked(tx, thread, interrupt, request, now)
            case _Park(why=why):
                self._park(tx, thread.id, why, now)
        return None

    def _effect_asked(
        self,
        tx: Transaction,
        thread: ThreadRow,
        interrupt: str,
        request: payload.EffectRequest,
        now: datetime,
    ) -> None:
        """Let a graph spend a grant: same thread, granted, and the digest of what is stored."""
        try:
            approval = tx.approval(request.approval)
        except NotFoundError:
            self._park(
                tx, thread.id, f"an effect was asked for under the unknown approval {request.approval}", now
            )
            return
        stored = core_action.digest_of(core_action.digest(item.action) for item in approval.items)
        granted = approval.state is State.APPROVED and approval.thread == thread.id
        if not granted or not stored == approval.digest == request.digest:
            self._park(tx, thread.id, f"the effect asked for is not what {approval.id} granted", now)
            return
        tx.record(thread.id, [EffectRequested(thread.id, approval.id, interrupt, stored, now)])
        tx.add_effect_request(approval.id, interrupt)
        row = tx.perform_row(approval.id)
        if row is None:
            self._enqueue(tx, thread.id, [Perform(approval.id, stored)], now)
        elif row.state in {RowState.DONE, RowState.FAILED}:
            self._hand_over(tx, approval, row.evidence["receipt"], now)

    # --- what the outbox reports ---

    async def letter_done(self, row: OutboxRow, note: str) -> None:
        """Record that a letter was handed to the mail server, or is no longer needed."""
        await self._store.write(lambda tx: tx.move(row, RowState.DONE, self._clock(), note=note))

    async def letter_failed(self, row: OutboxRow, why: str) -> None:
        """Record that a letter will not arrive, and tell the operators."""
        letter = row.effect
        assert isinstance(letter, SendLetter)

        def work(tx: Transaction) -> None:
            now = self._clock()
            tx.move(row, RowState.FAILED, now, note=why)
            if letter.letter is not Letter.ALERT:
                what = f"A letter ({letter.letter}) to {letter.to} could not be delivered."
                facts = {"approval": row.approval or "", "reason": why}
                self._alert(
                    tx, what, "Check the address and the mail server's log.", facts, row.approval, now
                )

        await self._store.write(work)
        log.error("letter.failed", letter=letter.letter, approval=row.approval, why=why)
        self.work_waits.set()

    async def put_back(self, row: OutboxRow, due_at: datetime, why: str) -> None:
        """Record that a row waits for another try."""
        await self._store.write(
            lambda tx: tx.move(row, RowState.QUEUED, self._clock(), due_at=due_at, note=why)
        )
        log.warning("outbox.put_back", row=row.id, approval=row.approval, attempts=row.attempts, why=why)
        step("put-back")

    async def point_of_no_return(self, row: OutboxRow, evidence: Mapping[str, Any]) -> OutboxRow:
        """Record that the outside world may know from now on; the action is never started again by itself."""
        begun = await self._store.write(
            lambda tx: tx.move(row, RowState.IN_FLIGHT, self._clock(), evidence=evidence)
        )
        step("before-data")
        return begun

    async def performed(self, row: OutboxRow, receipt: Receipt) -> None:
        """Record how an action ended, hand the receipt to the graph and tell people."""

        def work(tx: Transaction) -> None:
            now = self._clock()
            approval = tx.approval(str(row.approval))
            word = {ReceiptStatus.DONE: RowState.DONE}.get(receipt.status, RowState.FAILED)
            evidence = {**row.evidence, "receipt": asdict(receipt)}
            tx.move(row, word, now, evidence=evidence, note=receipt.summary)
            tx.record(approval.thread, [Performed(approval.id, receipt, now)])
            self._hand_over(tx, approval, asdict(receipt), now)
            self._tell_outcome(tx, approval, receipt, now)

        await self._store.write(work)
        log.info("action.performed", approval=row.approval, status=receipt.status)
        self.work_waits.set()

    async def doubted(self, row: OutboxRow, stage: str) -> None:
        """Record that nobody can know whether an action was done; a person has to look."""

        def work(tx: Transaction) -> None:
            self._doubt(tx, row, stage)

        await self._store.write(work)
        log.error("action.in_doubt", approval=row.approval, stage=stage)
        self.work_waits.set()

    async def resolve(self, approval: str, by: str, *, done: bool) -> Receipt:
        """Take a person's word on an action in doubt; it closes the row and never does it again.

        Raises:
            NotFoundError: there is no such approval.
            NotInDoubtError: nothing about it is in doubt.
        """
        word = "was done" if done else "was not done"
        status = ReceiptStatus.DONE if done else ReceiptStatus.FAILED

        def work(tx: Transaction) -> Receipt:
            now = self._clock()
            seen = tx.approval(approval)
            row = tx.perform_row(approval)
            if row is None or row.state is not RowState.IN_DOUBT:
                raise NotInDoubtError(f"nothing about {approval} is in doubt")
            receipt = Receipt(status, f"{by} looked: it {word}", {"resolved_by": by, **row.evidence})
            evidence = {**row.evidence, "receipt": asdict(receipt)}
            tx.move(row, RowState(status.value), now, evidence=evidence, note=receipt.summary)
            tx.record(seen.thread, [Resolved(approval, by, done, now)])
            self._hand_over(tx, seen, asdict(receipt), now)
            self._tell_outcome(tx, seen, receipt, now, occasion="resolved")
            return receipt

        receipt = await self._store.write(work)
        log.info("action.resolved", approval=approval, done=done)
        self.work_waits.set()
        return receipt

    async def recover(self) -> None:
        """Take up what a daemon before us left: claimed rows start over, those in flight are in doubt."""

        def work(tx: Transaction) -> tuple[int, int]:
            claimed, in_flight = tx.outbox_in([RowState.CLAIMED]), tx.outbox_in([RowState.IN_FLIGHT])
            for row in claimed:
                tx.move(
                    row, RowState.QUEUED, self._clock(), due_at=self._clock(), note="taken up after a restart"
                )
            for row in in_flight:
                self._doubt(tx, row, "the gateway stopped before the answer came")
            return len(claimed), len(in_flight)

        claimed, in_doubt = await self._store.write(work)
        log.info("outbox.recovered", claimed=claimed, in_doubt=in_doubt)

    # --- within a transaction ---

    def write_to(self, tx: Transaction, approval: Approval, letter: SendLetter) -> None:
        """Record a letter about an approval."""
        self._enqueue(tx, approval.thread, [letter], self._clock())

    def _commit(self, tx: Transaction, thread: str, outcome: Outcome, now: datetime) -> None:
        tx.record(thread, outcome.facts)
        for fact in outcome.facts:
            self._make_handles(tx, fact, now)
        self._enqueue(tx, thread, outcome.effects, now)
        if any(isinstance(effect, ResumeGraph) for effect in outcome.effects):
            tx.set_thread(thread, ThreadState.RUNNING, now)

    def _make_handles(self, tx: Transaction, fact: Fact, now: datetime) -> None:
        if not isinstance(fact, Opened):
            return
        for reviewer in fact.approval.reviewers:
            for purpose in Purpose:
                claim = Claim(purpose, fact.approval.id, reviewer, fact.approval.digest)
                tx.add_handle(self._entropy(tokens.JTI_BYTES).hex(), claim, now)

    def _enqueue(self, tx: Transaction, thread: str | None, effects: Iterable[Effect], now: datetime) -> None:
        for effect in effects:
            tx.enqueue(self._new_id(tokens.JTI_BYTES).lower(), effect, thread, now)

    def _hand_over(
        self, tx: Transaction, approval: Approval, receipt: Mapping[str, Any], now: datetime
    ) -> None:
        """Resume every interrupt that waits for this receipt; each only once, by its key."""
        waiting = tx.effect_requests(approval.id)
        self._enqueue(
            tx,
            approval.thread,
            [ResumeGraph(approval.graph, approval.thread, interrupt, receipt) for interrupt in waiting],
            now,
        )
        tx.set_thread(approval.thread, ThreadState.RUNNING, now)

    def _tell_outcome(
        self, tx: Transaction, approval: Approval, receipt: Receipt, now: datetime, occasion: str = ""
    ) -> None:
        result = "sent" if receipt.status is ReceiptStatus.DONE else str(receipt.status)
        details = {"result": result, "answer": receipt.summary, **receipt.detail}
        self._enqueue(tx, approval.thread, _to_all(approval, Letter.OUTCOME, details, occasion), now)
        if receipt.status is not ReceiptStatus.DONE:
            facts = {"approval": approval.id, "action": approval.items[0].summary, "reason": receipt.summary}
            what = "An approved action failed."
            self._alert(tx, what, "It is not tried again; ask anew if needed.", facts, approval.id, now)

    def _doubt(self, tx: Transaction, row: OutboxRow, stage: str) -> None:
        now = self._clock()
        approval = tx.approval(str(row.approval))
        evidence = {**row.evidence, "stage": stage}
        tx.move(row, RowState.IN_DOUBT, now, evidence=evidence, note=f"in doubt: {stage}")
        tx.record(approval.thread, [Doubted(approval.id, evidence, now)])
        tx.set_thread(approval.thread, ThreadState.WAITING, now)
        details = {"result": "in doubt", "answer": stage, "message_id": row.evidence.get("message_id", "")}
        self._enqueue(tx, approval.thread, _to_all(approval, Letter.OUTCOME, details, "in-doubt"), now)
        next_step = (
            "Look in the Sent folder or the mail server's log, then run"
            f" gateway resolve {approval.id} with --done or --not-done. It is never sent again by itself."
        )
        facts = {"approval": approval.id, "action": approval.items[0].summary, **_texts(evidence)}
        self._alert(tx, "An approved action is in doubt.", next_step, facts, approval.id, now)

    def _park(self, tx: Transaction, thread: str, why: str, now: datetime) -> None:
        tx.record(thread, [ThreadParked(thread, why, now)])
        tx.set_thread(thread, ThreadState.PARKED, now, why)
        next_step = "Nothing of it runs until somebody has looked; gateway list shows it."
        self._alert(tx, "A thread is parked.", next_step, {"thread": thread, "reason": why}, None, now)

    def _alert(
        self,
        tx: Transaction,
        what: str,
        next_step: str,
        facts: Mapping[str, str],
        approval: str | None,
        now: datetime,
    ) -> None:
        details = {"what": what, "next": next_step, "facts": dict(facts)}
        occasion = self._new_id(_ID_BYTES)
        letters = [SendLetter(Letter.ALERT, to, approval, details, occasion) for to in self._operators]
        self._enqueue(tx, None, letters, now)

    async def _edited(self, approval: Approval, edits: Mapping[str, Any]) -> Approval:
        item, assessed = await self._actions.edit(approval.items[0], edits)
        risk = higher(approval.risk, assessed)
        ruling = self._policy.ruling(risk)
        if len(ruling.reviewers) < ruling.rule.quorum:
            raise EditRefusedError([f"nobody may decide about a change of {risk} risk"])
        now = self._clock()
        return replace(
            approval,
            id=self._new_id(_ID_BYTES),
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

    def _new_id(self, size: int) -> str:
        """Make an id of `size` random bytes that reads well aloud: upper-case base32."""
        return base64.b32encode(self._entropy(size)).decode().rstrip("=")


def _to_all(
    approval: Approval, letter: Letter, details: Mapping[str, Any], occasion: str
) -> list[SendLetter]:
    requester = (approval.requester,) if "@" in approval.requester else ()
    people = dict.fromkeys((*approval.reviewers, *requester))
    return [SendLetter(letter, person, approval.id, details, occasion) for person in people]


def _texts(values: Mapping[str, Any]) -> dict[str, str]:
    return {name: value for name, value in values.items() if isinstance(value, str)}
