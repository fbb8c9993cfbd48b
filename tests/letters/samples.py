"""Examples of approvals and postings that the letters' tests write about."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from functools import cache
from typing import Any

from gateway.core.action import Action, Change, Field, FieldType, diff, digest
from gateway.core.approval import Answer, Approval, Channel, Item, State, Verdict, Vote
from gateway.core.effects import Letter
from gateway.core.payload import APPROVAL_REQUEST, HITL, Option, Terms
from gateway.core.policy import Risk, Rule
from gateway.letters import Letterhead, Letters, Posting, Recipient, Row, packaged_templates

NOW = datetime(2026, 3, 3, 12, 59, 30, tzinfo=UTC)
REPLY = "abcdefghijklmnopqrstuvwxyz234567abcdefghij"
LINK = "zyxwvutsrqponmlkjihgfedcba765432zyxwvutsrq"
ROOT = f"<{REPLY}.1@example.com>"

BODY = "Hi team,\n\nthe Q1 report is ready.\nRevenue is up 4 %.\n\nBest regards\nThe finance agent"
EMAIL = Action(
    "send_email",
    {
        "from": "agent@example.com",
        "to": ["team@example.com"],
        "cc": ["head@example.com"],
        "subject": "Q1 report",
        "body": BODY,
    },
)
EDITABLE = (
    Field("to", FieldType.STRINGS),
    Field("cc", FieldType.STRINGS),
    Field("subject", FieldType.STRING),
    Field("body", FieldType.STRING),
)
LETTERHEAD = Letterhead(
    name="Example approvals",
    sender="gateway@example.com",
    reply_to="approvals@example.com",
    base_url="https://gateway.example.com",
    domain="example.com",
)
GRACE = Recipient("grace@example.com", "Grace Hopper", "Europe/Berlin")


def item(action: Action = EMAIL, **changed: Any) -> Item:
    made = Item(
        action=action,
        digest=digest(action),
        summary="Send “Q1 report” to team@example.com and 1 other",
        note="The finance team asked for this.\nIt is safe to approve.",
        editable=EDITABLE,
    )
    return replace(made, **changed)


def approval(**changed: Any) -> Approval:
    made = Approval(
        id="7Q2M4K",
        thread="thread-1",
        graph="assistant",
        interrupt="interrupt-1",
        dialect=APPROVAL_REQUEST,
        items=(item(),),
        risk=Risk.HIGH,
        rule=Rule(expires=timedelta(hours=4)),
        reviewers=("grace@example.com", "ada@example.com"),
        requester="alice@example.com",
        opened_at=NOW,
        expires_at=NOW + timedelta(hours=3, minutes=40, seconds=59),
    )
    return replace(made, **changed)


def voted(verdict: Verdict, comment: str = "", **changed: Any) -> Approval:
    state = {
        Verdict.APPROVE: State.APPROVED,
        Verdict.REJECT: State.REJECTED,
        Verdict.MODIFY: State.SUPERSEDED,
    }[verdict]
    at = NOW + timedelta(minutes=7)
    vote = Vote(by=GRACE.email, verdict=verdict, channel=Channel.REPLY, at=at, comment=comment)
    return approval(**{"state": state, "votes": (vote,), "decided_at": at, **changed})


def several(*votes: Vote, **changed: Any) -> Approval:
    """Ask about two tool calls of somebody else's agent."""
    actions = [Action("tool:refund", {"order": order, "cents": 2500}) for order in ("A17", "B8")]
    items = tuple(
        item(each, summary=f"refund(order={each.parameters['order']})", note="", editable=())
        for each in actions
    )
    terms = Terms(allows=((Option.APPROVE, Option.REJECT),) * 2)
    values = {"dialect": HITL, "items": items, "terms": terms, "votes": votes}
    return approval(**values | changed)


def vote(by: str, verdict: Verdict, item: int, comment: str = "") -> Vote:
    at = NOW + timedelta(minutes=7)
    return Vote(by=by, verdict=verdict, channel=Channel.REPLY, at=at, comment=comment, item=item)


def numbered() -> tuple[Row, ...]:
    return tuple(
        Row(f"{n}. {label}", value)
        for n, order in ((1, "A17"), (2, "B8"))
        for label, value in (("Tool", "refund"), ("order", order), ("cents", "2500"))
    )


def posting(number: int = 1, **changed: Any) -> Posting:
    made = Posting(
        to=GRACE,
        message_id=f"<{REPLY}.{number}@example.com>",
        date=NOW + timedelta(minutes=number - 1),
        root_id=None if number == 1 else ROOT,
        reply_handle=REPLY,
        link_handle=LINK,
        audience="reviewer",
    )
    return replace(made, **changed)


def rows(action: Action = EMAIL) -> tuple[Row, ...]:
    shown = {
        name: value if isinstance(value, str) else ", ".join(value)
        for name, value in action.parameters.items()
    }
    return tuple(Row(name.capitalize(), value) for name, value in shown.items())


@cache
def letters(letterhead: Letterhead) -> Letters:
    return Letters(letterhead, [packaged_templates()])


@dataclass(frozen=True)
class Sample:
    """The arguments of one letter."""

    letter: Letter
    approval: Approval | None
    posting: Posting
    rows: tuple[Row, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)
    changes: tuple[Change, ...] = ()

    def write(self, letterhead: Letterhead = LETTERHEAD) -> EmailMessage:
        """Write it with the packaged templates."""
        return letters(letterhead).write(
            self.letter,
            self.approval,
            self.posting,
            rows=self.rows,
            details=self.details,
            changes=self.changes,
        )


EDITED = Action(
    "send_email", {**EMAIL.parameters, "to": ["ada@example.com"], "body": BODY.replace("up 4 %", "up 5 %")}
)
TOLD = {"audience": "requester", "reply_handle": None, "link_handle": None}
ALICE = Recipient("alice@example.com", "Alice Ørsted", "America/New_York")
OPERATOR = posting(
    11, to=Recipient("ops@example.com", "", "UTC"), root_id=None, **{**TOLD, "audience": "operator"}
)

SAMPLES: Mapping[str, Sample] = {
    "ask": Sample(Letter.ASK, approval(), posting(), rows()),
    "ask-edited": Sample(
        Letter.ASK,
        approval(id="9XK3TB", items=(item(EDITED),), replaces="7Q2M4K", rule=Rule(quorum=2)),
        posting(2),
        rows(EDITED),
        changes=diff(EMAIL, EDITED),
    ),
    "ask-several": Sample(Letter.ASK, several(), posting(16, root_id=None), numbered()),
    "receipt-item": Sample(
        Letter.RECEIPT,
        several(vote(GRACE.email, Verdict.REJECT, 1, "too expensive")),
        posting(17),
        details={"answer": Answer.RECORDED},
    ),
    "already-decided-item": Sample(
        Letter.ALREADY_DECIDED,
        several(vote("ada@example.com", Verdict.REJECT, 1, "too expensive")),
        posting(18),
        details={"reason": "already-decided"},
    ),
    "outcome-decided": Sample(
        Letter.OUTCOME,
        several(
            vote(GRACE.email, Verdict.REJECT, 1, "too expensive"),
            vote("ada@example.com", Verdict.APPROVE, 2),
            state=State.DECIDED,
            decided_at=NOW + timedelta(minutes=7),
        ),
        posting(19),
        numbered(),
        {"result": "decided"},
    ),
    "receipt": Sample(
        Letter.RECEIPT, voted(Verdict.APPROVE, "Thanks!"), posting(3), details={"answer": Answer.APPROVED}
    ),
    "receipt-modified": Sample(
        Letter.RECEIPT,
        voted(Verdict.MODIFY, replaced_by="9XK3TB"),
        posting(4),
        details={"answer": Answer.MODIFIED},
        changes=diff(EMAIL, EDITED),
    ),
    "outcome": Sample(
        Letter.OUTCOME,
        voted(Verdict.APPROVE),
        posting(5, to=ALICE, **TOLD),
        rows(),
        {"result": "done", "answer": "250 2.0.0 Ok: queued as 4F1", "message_id": "<5d2f@example.com>"},
    ),
    "outcome-in-doubt": Sample(
        Letter.OUTCOME,
        voted(Verdict.APPROVE),
        posting(6),
        details={"result": "in doubt", "answer": "no answer within 120 seconds"},
    ),
    "outcome-bounced": Sample(
        Letter.OUTCOME,
        voted(Verdict.APPROVE),
        posting(15, to=ALICE, **TOLD),
        details={"result": "bounced", "answer": "team@example.com: 5.1.1 550 no such user"},
    ),
    "unclear": Sample(
        Letter.UNCLEAR,
        approval(),
        posting(7),
        details={"reason": "hedged", "line": "APPROVE if legal agrees"},
    ),
    "comment": Sample(
        Letter.COMMENT,
        approval(),
        posting(13),
        details={"by": GRACE.email, "comment": "Who are the recipients?"},
    ),
    "comment-passed-on": Sample(
        Letter.COMMENT,
        approval(),
        posting(14, to=ALICE, **TOLD),
        details={"by": GRACE.email, "comment": "Who are the recipients?"},
    ),
    "already-decided": Sample(
        Letter.ALREADY_DECIDED,
        voted(Verdict.REJECT, "Not this quarter."),
        posting(8),
        details={"state": "rejected"},
    ),
    "expired": Sample(Letter.EXPIRED, approval(state=State.EXPIRED), posting(9)),
    "withdrawn": Sample(
        Letter.WITHDRAWN,
        approval(state=State.CANCELLED),
        posting(10),
        details={"by": "alice@example.com", "reason": "sent by hand"},
    ),
    "alert": Sample(
        Letter.ALERT,
        None,
        OPERATOR,
        details={
            "what": "an email may or may not have been sent.",
            "next": "look into the Sent folder, then settle it with: gateway resolve 7Q2M4K",
            "facts": {"Action": "Send “Q1 report” to team@example.com", "Last word": "timeout after DATA"},
        },
    ),
}
