"""What graphs and outbox report: where a thread has stopped, what became of a letter or an action."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import reduce
from typing import Any

from gateway.actions import ActionRefusedError, send_email
from gateway.core import action as core_action
from gateway.core import payload
from gateway.core.approval import Answer, Approval, Asked, Item, State, decide
from gateway.core.bounce import Failure
from gateway.core.effects import Letter, Perform, ResumeGraph, SendLetter
from gateway.core.execution import (
    BUILTIN,
    AskRefused,
    Bounced,
    EffectRequested,
    Performed,
    Receipt,
    ReceiptStatus,
    Resolved,
    RowState,
    ThreadEnded,
    ThreadState,
)
from gateway.core.payload import Option
from gateway.core.policy import Decider, GraphRule, Risk, higher
from gateway.core.visible import one_line
from gateway.graphs import Pending, Progress
from gateway.log import log, step
from gateway.service.base import NotInDoubtError, UseCases
from gateway.service.ledger import APPROVAL_ID_BYTES, Alert
from gateway.store import NotFoundError, OutboxRow, ThreadRow, Transaction, UnreachableRow


@dataclass(frozen=True, slots=True)
class _Ask:
    approval: Approval


@dataclass(frozen=True, slots=True)
class _Refuse:
    interrupt: str
    dialect: str
    terms: payload.Terms
    reason: str
    asked: str


@dataclass(frozen=True, slots=True)
class _Do:
    interrupt: str
    request: payload.EffectRequest


@dataclass(frozen=True, slots=True)
class _Park:
    why: str


QUESTIONS_PER_THREAD = 100
"""Questions that a thread may put to people; a loop that never ends would wear them out."""
_SENT = frozenset({RowState.DONE, RowState.IN_DOUBT})
"""States of an action that may have left."""

_Step = _Ask | _Refuse | _Do | _Park


class Reports(UseCases):
    """The use cases of those who carry out: graphs, mailer and actions; and of the operator who looked."""

    async def graph_stopped(self, row: OutboxRow, progress: Progress) -> None:
        """Record where a started or resumed graph has stopped: at questions, at an effect, or at its end."""
        thread = await self._store.read(lambda tx: tx.thread(str(row.thread)))
        steps = [await self._named_step(thread, pending) for pending in progress.pending]

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
        step("stop-recorded")
        log.info(
            "graph.stopped",
            thread=thread.id,
            finished=progress.finished,
            answers=[str(answer) for answer in answers],
            error=progress.error,
        )
        self.work_waits.set()

    async def graph_failed(self, row: OutboxRow, why: str) -> None:
        """Record that a graph broke or cannot be resumed; the thread is parked and operators are told."""

        def work(tx: Transaction) -> None:
            now = self._clock()
            tx.move(row, RowState.FAILED, now, note=why)
            self._ledger.park(tx, str(row.thread), why, now)

        await self._store.write(work)
        log.error("graph.failed", thread=row.thread, why=why)
        self.work_waits.set()

    async def _named_step(self, thread: ThreadRow, pending: Pending) -> _Step:
        """Read one pending interrupt; what parks its thread names it, so that it is known when seen again."""
        step = await self._step(thread, pending)
        if isinstance(step, _Park) and pending.id not in step.why:
            return _Park(f"interrupt {pending.id}: {step.why}")
        return step

    async def _step(self, thread: ThreadRow, pending: Pending) -> _Step:
        """Read one pending interrupt and prepare what it asks for."""
        known = self._policy.graphs.get(thread.graph, GraphRule())
        # By its name, so that a graph that is no longer configured is not taken for ours.
        foreign = thread.graph != BUILTIN
        match payload.read(pending.value, pending.schema, known.answers, foreign=foreign):
            case payload.EffectRequest() as request:
                return _Do(pending.id, request)
            case payload.Unknown(why=why):
                return _Park(f"interrupt {pending.id}: {why}")
            case payload.Question() as question if payload.is_foreign(question.dialect):
                return self._foreign(thread, pending, question)
            case payload.Question() as question:
                try:
                    prepared = [await self._actions.prepare(each) for each in question.proposals]
                except ActionRefusedError as error:
                    return _Refuse(pending.id, question.dialect, question.terms, str(error), pending.asked)
                risk = reduce(higher, (risk for _, risk in prepared))
                return self._question(thread, pending, question, tuple(item for item, _ in prepared), risk)

    def _foreign(self, thread: ThreadRow, pending: Pending, question: payload.Question) -> _Ask | _Park:
        """Ask about what a foreign graph will do by itself; its own word on the risk means nothing."""
        known = self._policy.graphs.get(thread.graph, GraphRule()).risks
        allows = question.terms.allows
        items = tuple(
            self._actions.show(each, allowed)
            for each, allowed in zip(question.proposals, allows, strict=True)
        )
        risk = reduce(higher, (known.get(each.type, Risk.HIGH) for each in question.proposals))
        # Policy can only approve: where that is no answer, or what is asked has no name that says what it
        # does, it is people who are asked.
        if not payload.names_tools(question.dialect) or any(
            Option.APPROVE not in allowed for allowed in allows
        ):
            risk = higher(risk, Risk.MEDIUM)
        return self._question(thread, pending, question, items, risk)

    def _question(
        self,
        thread: ThreadRow,
        pending: Pending,
        question: payload.Question,
        items: tuple[Item, ...],
        risk: Risk,
    ) -> _Ask | _Park:
        now = self._clock()
        ruling = self._policy.ruling(risk, is_long=self._actions.is_long(items))
        if ruling.rule.decide is Decider.PEOPLE and len(ruling.reviewers) < ruling.rule.quorum:
            return _Park(f"{len(ruling.reviewers)} reviewers for {risk} risk, {ruling.rule.quorum} needed")
        if not ruling.rule.channels:
            return _Park("it is too long to be decided by mail, and policy leaves no other door")
        approval = Approval(
            id=self._ledger.new_id(APPROVAL_ID_BYTES),
            thread=thread.id,
            graph=thread.graph,
            interrupt=pending.id,
            dialect=question.dialect,
            items=items,
            risk=risk,
            rule=ruling.rule,
            reviewers=ruling.reviewers,
            requester=thread.requester,
            opened_at=now,
            expires_at=now + ruling.rule.expires,
            terms=question.terms,
            asked=pending.asked,
        )
        numbers = range(1, len(items) + 1)
        if mute := next((n for n in numbers if not approval.offers_for(n)), None):
            return _Park(f"interrupt {pending.id}: no answer that people can give is allowed for item {mute}")
        return _Ask(approval)

    def _take(self, tx: Transaction, thread: ThreadRow, asked: _Step, now: datetime) -> Answer | None:
        match asked:
            case _Ask(approval=approval):
                if tx.is_asked(thread.id, approval.interrupt):
                    return None
                if len({each.interrupt for each in tx.approvals_of(thread.id)}) >= QUESTIONS_PER_THREAD:
                    why = f"it has asked {QUESTIONS_PER_THREAD} questions, and is not let ask any more"
                    self._ledger.park(tx, thread.id, why, now)
                    return None
                outcome = decide(approval, Asked(approval), now)
                self._ledger.commit(tx, thread.id, outcome, now)
                return outcome.answer
            case _Refuse(interrupt=interrupt, reason=reason):
                tx.record(thread.id, [AskRefused(thread.id, interrupt, reason, now)])
                value = payload.refusal(asked.dialect, asked.terms, reason)
                resume = ResumeGraph(thread.graph, thread.id, interrupt, value, asked.asked)
                self._ledger.enqueue(tx, thread.id, [resume], now)
            case _Do():
                self._effect_asked(tx, thread, asked, now)
            case _Park(why=why):
                self._ledger.park(tx, thread.id, why, now)
        return None

    def _effect_asked(self, tx: Transaction, thread: ThreadRow, asked: _Do, now: datetime) -> None:
        """Let a graph spend a grant, or learn again what came of one that it has spent."""
        try:
            approval = _granted(tx, thread, asked.request)
        except _UngrantedError as error:
            self._ledger.park(tx, thread.id, f"interrupt {asked.interrupt}: {error}", now)
            return
        requested = EffectRequested(thread.id, approval.id, asked.interrupt, approval.digest, now)
        tx.record(thread.id, [requested])
        tx.add_effect_request(approval.id, asked.interrupt)
        row = tx.perform_row(approval.id)
        if row is None:
            self._ledger.enqueue(tx, thread.id, [Perform(approval.id, approval.digest)], now)
        elif row.state in {RowState.DONE, RowState.FAILED}:
            self._ledger.hand_over(tx, approval, row.evidence["receipt"], now)

    async def letter_written(self, row: OutboxRow, to: str, text: str) -> None:
        """Record what a letter says that may be answered; to be done before it is sent."""
        await self._store.write(lambda tx: tx.keep_letter(row, to, text, self._clock()))

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
                alert = Alert(
                    what=f"A letter ({letter.letter}) to {letter.to} could not be delivered.",
                    next="Check the address and the mail server's log.",
                    facts={"approval": row.approval or "", "reason": why},
                )
                self._ledger.alert(tx, alert, row.approval, now)

        await self._store.write(work)
        log.error("letter.failed", letter=letter.letter, approval=row.approval, why=why)
        self.work_waits.set()

    def bounced(self, tx: Transaction, reviewer: str, failure: Failure, approval: str | None) -> None:
        """Note in the caller's transaction that letters to a person come back; operators hear of it once.

        Anybody can write a bounce, so nothing else follows from it: nobody is asked less, and nothing ends.
        """
        now = self._clock()
        status, diagnostic = one_line(failure.status or ""), one_line(failure.diagnostic)
        person = UnreachableRow(reviewer=reviewer, since=now, status=status, diagnostic=diagnostic)
        if tx.add_unreachable(person):
            alert = Alert(
                what=f"Letters to {reviewer} come back.",
                next=(
                    "Check the address. Whoever else is asked can still decide; gateway list shows this until"
                    " a mail of theirs arrives."
                ),
                facts={"approval": approval or "", "status": status, "diagnostic": diagnostic},
            )
            self._ledger.alert(tx, alert, approval, now)

    def action_bounced(self, tx: Transaction, row_id: str, failures: Iterable[Failure]) -> None:
        """Note in the caller's transaction that an approved mail came back; requester and operators hear.

        Whoever got the mail could write such a report, so it counts for its recipients alone, once for each,
        and nothing is undone or sent again.
        """
        row = tx.action_row(row_id)
        if row is None or row.approval is None or row.state not in _SENT:
            return
        now, approval = self._clock(), tx.approval(row.approval)
        left = _unreported(tx, approval)
        for failure in failures:
            recipient = left.pop(failure.address.lower(), None)
            if recipient is None:
                continue
            status, diagnostic = one_line(failure.status or ""), one_line(failure.diagnostic)
            tx.record(approval.thread, [Bounced(approval.id, recipient, status, diagnostic, now)])
            self._ledger.tell_bounce(tx, approval, recipient, f"{status} {diagnostic}".strip(), now)
            log.warning("action.bounced", approval=approval.id, status=status)

    def put_aside(self, tx: Transaction, why: str) -> None:
        """Tell operators in the caller's transaction that a mail broke the reader; once a day, for floods."""
        now = self._clock()
        alert = Alert(
            what="A mail could not be read and was put aside.",
            next="Run gateway quarantine list; there may be more, today's are told only once.",
            facts={"reason": why},
        )
        self._ledger.alert(tx, alert, None, now, occasion=f"poison-{now:%Y-%m-%d}")

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
            self._ledger.hand_over(tx, approval, asdict(receipt), now)
            self._ledger.tell_outcome(tx, approval, receipt, now)

        await self._store.write(work)
        log.info("action.performed", approval=row.approval, status=receipt.status)
        self.work_waits.set()

    async def doubted(self, row: OutboxRow, stage: str) -> None:
        """Record that nobody can know whether an action was done; a person has to look."""
        await self._store.write(lambda tx: self._ledger.doubt(tx, row, stage))
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
                raise NotInDoubtError(_not_in_doubt(approval, row))
            receipt = Receipt(status, f"{by} looked: it {word}", {"resolved_by": by, **row.evidence})
            evidence = {**row.evidence, "receipt": asdict(receipt)}
            tx.move(row, RowState(status.value), now, evidence=evidence, note=receipt.summary)
            tx.record(seen.thread, [Resolved(approval, by, done, now)])
            self._ledger.hand_over(tx, seen, asdict(receipt), now)
            self._ledger.tell_outcome(tx, seen, receipt, now, occasion="resolved")
            return receipt

        receipt = await self._store.write(work)
        log.info("action.resolved", approval=approval, done=done)
        self.work_waits.set()
        return receipt

    async def recover(
        self, leased_until: datetime | None = None, besides: frozenset[str] = frozenset()
    ) -> None:
        """Take up what a worker before us left: claimed rows start over, those in flight are in doubt.

        Without a moment it is everything, as at a start, and what waited for another try is tried at once: a
        restart is how operators say that they mended it. With one it is the rows whose lease ended before it,
        but for those that the caller still works on.
        """

        def work(tx: Transaction) -> tuple[int, int]:
            now = self._clock()
            left = [row for row in tx.leased(leased_until) if row.id not in besides]
            claimed = [row for row in left if row.state is RowState.CLAIMED]
            in_flight = [row for row in left if row.state is RowState.IN_FLIGHT]
            for row in claimed:
                tx.move(row, RowState.QUEUED, now, due_at=now, note="taken up again")
            for row in in_flight:
                self._ledger.doubt(tx, row, "the gateway stopped before the answer came")
            if leased_until is None:
                tx.wake_queued(now)
            return len(claimed), len(in_flight)

        claimed, in_doubt = await self._store.write(work)
        if claimed or in_doubt:
            log.warning("outbox.recovered", claimed=claimed, in_doubt=in_doubt)
            self.work_waits.set()


def _not_in_doubt(approval: str, row: OutboxRow | None) -> str:
    if row is not None and row.state is RowState.IN_FLIGHT:
        return f"the action of {approval} is under way; if no gateway runs, start one, and it will know more"
    return f"nothing about {approval} is in doubt"


class _UngrantedError(Exception):
    """What the graph wants done is not what was approved; the message says why."""


def _granted(tx: Transaction, thread: ThreadRow, request: payload.EffectRequest) -> Approval:
    """Find the approval that a graph may spend: its own, granted, for the digest of what is stored.

    Raises:
        _UngrantedError: there is no such grant.
    """
    try:
        approval = tx.approval(request.approval)
    except NotFoundError:
        raise _UngrantedError(f"an effect was asked for under the unknown {request.approval}") from None
    stored = core_action.digest_of(core_action.digest(item.action) for item in approval.items)
    if payload.is_foreign(approval.dialect):
        raise _UngrantedError(f"{approval.id} is about what a graph does by itself, and grants nothing here")
    if approval.state is not State.APPROVED or approval.thread != thread.id:
        raise _UngrantedError(f"an effect was asked for under {approval.id}, which does not grant it")
    if not stored == approval.digest == request.digest:
        raise _UngrantedError(f"the effect asked for is not what {approval.id} granted")
    if not tx.grant_is_sealed(approval):
        raise _UngrantedError(f"no sealed fact says that {approval.id} was granted; its rows were changed")
    return approval


def _unreported(tx: Transaction, approval: Approval) -> dict[str, str]:
    """Map each recipient of an approved mail, in lower case, to its address, unless it is known to bounce."""
    facts = (fact for fact in tx.facts_about(approval.id) if fact.kind == Bounced.__name__)
    known = {json.loads(fact.data)["recipient"] for fact in facts}
    actions = (item.action for item in approval.items if item.action.type == send_email.NAME)
    addresses = (address for action in actions for address in send_email.recipients(action))
    return {address.lower(): address for address in addresses if address not in known}
