"""Write down what an event means, in the caller's transaction: facts, handles, effects, and who is told."""

import base64
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from gateway.core import tokens
from gateway.core.approval import Approval, Fact, Opened, Outcome
from gateway.core.effects import Effect, Letter, Perform, ResumeGraph, SendLetter
from gateway.core.execution import (
    Doubted,
    EffectRequested,
    Receipt,
    ReceiptStatus,
    RowState,
    ThreadParked,
    ThreadState,
)
from gateway.core.tokens import Claim, Purpose
from gateway.store import OutboxRow, Transaction

APPROVAL_ID_BYTES = 5
"""Makes eight characters that fit into a subject and can be read out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """What operators are told: what happened, what to do next, and the facts to do it with."""

    what: str
    next: str
    facts: Mapping[str, str]


class Ledger:
    """Knows how things are recorded, and nothing of why."""

    def __init__(
        self, *, operators: Iterable[str], clock: Callable[[], datetime], entropy: Callable[[int], bytes]
    ) -> None:
        self._operators = tuple(operators)
        self._clock = clock
        self._entropy = entropy

    def commit(self, tx: Transaction, thread: str, outcome: Outcome, now: datetime) -> None:
        """Record an outcome whole: its facts, handles for what they open, and its effects."""
        tx.record(thread, outcome.facts)
        for fact in outcome.facts:
            self._make_handles(tx, fact, now)
        self.enqueue(tx, thread, outcome.effects, now)
        for effect in outcome.effects:
            if isinstance(effect, Perform):
                self._spend_at_once(tx, effect, now)
        if any(isinstance(effect, ResumeGraph | Perform) for effect in outcome.effects):
            tx.set_thread(thread, ThreadState.RUNNING, now)
        if outcome.parks:
            self.park(tx, thread, outcome.parks, now)

    def _spend_at_once(self, tx: Transaction, effect: Perform, now: datetime) -> None:
        """Let the interrupt that asked for the grant wait for the receipt of what was granted."""
        approval = tx.approval(effect.approval)
        asked = EffectRequested(approval.thread, approval.id, approval.interrupt, effect.digest, now)
        tx.record(approval.thread, [asked])
        tx.add_effect_request(approval.id, approval.interrupt)

    def enqueue(self, tx: Transaction, thread: str | None, effects: Iterable[Effect], now: datetime) -> None:
        """Record that effects must happen; those already recorded stay as they are."""
        for effect in effects:
            tx.enqueue(self.new_id(tokens.JTI_BYTES).lower(), effect, thread, now)

    def hand_over(
        self, tx: Transaction, approval: Approval, receipt: Mapping[str, Any], now: datetime
    ) -> None:
        """Resume every interrupt that waits for this receipt; each only once, by its key."""
        waiting = tx.effect_requests(approval.id)
        resumes = [
            ResumeGraph(approval.graph, approval.thread, each, receipt, _asked(approval, each))
            for each in waiting
        ]
        self.enqueue(tx, approval.thread, resumes, now)
        tx.set_thread(approval.thread, ThreadState.RUNNING, now)

    def tell_outcome(
        self, tx: Transaction, approval: Approval, receipt: Receipt, now: datetime, occasion: str = ""
    ) -> None:
        """Tell everybody concerned how the action ended, and operators when it did not end well."""
        done = receipt.status is ReceiptStatus.DONE
        # What a person says after a doubt is passed on as their word, not as the outside world's.
        result = "resolved" if done and occasion else str(receipt.status)
        details = {"result": result, "answer": receipt.summary}
        self.enqueue(tx, approval.thread, _outcome(approval, {**receipt.detail, **details}, occasion), now)
        if not done:
            alert = Alert(
                what="An approved action failed.",
                next="It is not tried again; ask anew if it is still needed.",
                facts={**_named(approval), "reason": receipt.summary},
            )
            self.alert(tx, alert, approval.id, now)

    def doubt(self, tx: Transaction, row: OutboxRow, stage: str) -> None:
        """Put an action that was begun, and got no answer, into a person's hands."""
        now = self._clock()
        approval = tx.approval(str(row.approval))
        evidence = dict(row.evidence)
        look = evidence.pop("look", "Find out whether it was done")
        evidence |= {"stage": stage, "begun_at": row.updated_at.isoformat()}
        tx.move(row, RowState.IN_DOUBT, now, evidence=evidence, note=f"in doubt: {stage}")
        tx.record(approval.thread, [Doubted(approval.id, evidence, now)])
        tx.set_thread(approval.thread, ThreadState.WAITING, now)
        details = {"result": "in doubt", "answer": stage, "message_id": evidence.get("message_id", "")}
        self.enqueue(tx, approval.thread, _outcome(approval, details, "in-doubt"), now)
        alert = Alert(
            what="An approved action is in doubt.",
            next=(
                f"{look}, then run gateway resolve {approval.id} with --done or --not-done."
                " It is never done again by itself."
            ),
            facts={**_named(approval), **{name: str(value) for name, value in evidence.items()}},
        )
        self.alert(tx, alert, approval.id, now)

    def tell_bounce(
        self, tx: Transaction, approval: Approval, recipient: str, why: str, now: datetime
    ) -> None:
        """Tell whoever asked for a mail, and operators, that it came back from one recipient."""
        if "@" in approval.requester:
            details = {"result": "bounced", "answer": f"{recipient}: {why}"}
            occasion = f"bounced-{recipient}"
            letter = SendLetter(Letter.OUTCOME, approval.requester, approval.id, details, occasion)
            self.enqueue(tx, approval.thread, [letter], now)
        alert = Alert(
            what=f"An approved mail to {recipient} came back.",
            next="Check the address; ask anew if the mail is still needed. Other recipients may have got it.",
            facts={**_named(approval), "reason": why},
        )
        self.alert(tx, alert, approval.id, now)

    def park(self, tx: Transaction, thread: str, why: str, now: datetime) -> None:
        """Stop a thread that cannot go on without a person."""
        tx.record(thread, [ThreadParked(thread, why, now)])
        tx.set_thread(thread, ThreadState.PARKED, now, why)
        alert = Alert(
            what="A thread is parked.",
            next=(
                f"It stays where it is; gateway show {thread} tells what it has asked. Before you ask"
                " anew, see what its nodes may have done by then."
            ),
            facts={"thread": thread, "reason": why},
        )
        self.alert(tx, alert, None, now)

    def replace_handles(
        self, tx: Transaction, approval: Approval, reviewer: str, user: str, now: datetime
    ) -> None:
        """Retire the handles that `user` has got hold of, ask their reviewer anew, and tell operators."""
        tx.retire_handles(approval.id, reviewer, now)
        self._add_handles(tx, approval, reviewer, now)
        ask = SendLetter(
            Letter.ASK, reviewer, approval.id, {"reason": "used-by-another"}, occasion="used-by-another"
        )
        self.enqueue(tx, approval.thread, [ask], now)
        alert = Alert(
            what="Somebody else used a reviewer's reply address.",
            next=(
                "Nothing was decided. The reviewer is asked again, and reply address and link of the earlier"
                " mail are worthless now. If the sender is the reviewer, add the address to the aliases."
            ),
            facts={**_named(approval), "reviewer": reviewer, "sender": user},
        )
        self.alert(tx, alert, approval.id, now)

    def alert(
        self, tx: Transaction, alert: Alert, approval: str | None, now: datetime, occasion: str = ""
    ) -> None:
        """Write to every operator, of one occasion only once."""
        occasion = occasion or self.new_id(APPROVAL_ID_BYTES)
        letters = [SendLetter(Letter.ALERT, to, approval, asdict(alert), occasion) for to in self._operators]
        self.enqueue(tx, None, letters, now)

    def new_id(self, size: int) -> str:
        """Make an id of `size` random bytes that reads well aloud: upper-case base32."""
        return base64.b32encode(self._entropy(size)).decode().rstrip("=")

    def _make_handles(self, tx: Transaction, fact: Fact, now: datetime) -> None:
        if not isinstance(fact, Opened):
            return
        for reviewer in fact.approval.reviewers:
            self._add_handles(tx, fact.approval, reviewer, now)

    def _add_handles(self, tx: Transaction, approval: Approval, reviewer: str, now: datetime) -> None:
        for purpose in Purpose:
            claim = Claim(purpose, approval.id, reviewer, approval.digest)
            tx.add_handle(self._entropy(tokens.JTI_BYTES).hex(), claim, now)


def _asked(approval: Approval, interrupt: str) -> str:
    """Say what an interrupt asked, where it is the approval's own; an executor's is known by its grant."""
    return approval.asked if interrupt == approval.interrupt else ""


def _outcome(approval: Approval, details: Mapping[str, Any], occasion: str) -> list[SendLetter]:
    requester = (approval.requester,) if "@" in approval.requester else ()
    people = dict.fromkeys((*approval.reviewers, *requester))
    return [SendLetter(Letter.OUTCOME, person, approval.id, details, occasion) for person in people]


def _named(approval: Approval) -> dict[str, str]:
    return {"approval": approval.id, "action": "; ".join(item.summary for item in approval.items)}
