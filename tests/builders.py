"""Values for tests: each builder makes a good one, and takes what the test is about."""

from datetime import UTC, datetime, timedelta
from typing import Any

from gateway.core import action as core_action
from gateway.core.action import Action, Field, FieldType
from gateway.core.approval import Approval, Channel, Item, Verdict, Vote
from gateway.core.policy import Policy, Reviewer, Risk, Rule

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
ALICE = Reviewer(email="alice@example.com", name="Alice", aliases=("a.lee@example.org",), roles=("senior",))
BOB = Reviewer(email="bob@example.com", name="Bob", roles=("senior",))
CAROL = Reviewer(email="carol@example.com", name="Carol")
FIELDS = (
    Field("to", FieldType.STRINGS),
    Field("cc", FieldType.STRINGS),
    Field("subject", FieldType.STRING),
    Field("body", FieldType.STRING),
)


def email_action(**changes: Any) -> Action:
    parameters = {
        "from": "approvals@example.com",
        "to": ["team@example.com"],
        "cc": [],
        "subject": "Q1 report",
        "body": "Dear team,\n\nhere is the report.\n",
        "envelope_from": "approvals@example.com",
    }
    return Action("send_email", parameters | changes)


def item(action: Action | None = None, **changes: Any) -> Item:
    action = action or email_action()
    values: dict[str, Any] = {
        "action": action,
        "digest": core_action.digest(action),
        "summary": "Send email to team@example.com: Q1 report",
        "note": "Sends the Q1 report to the team.",
        "editable": FIELDS,
    }
    return Item(**(values | changes))


def rule(**changes: Any) -> Rule:
    return Rule(**changes)


def approval(**changes: Any) -> Approval:
    values: dict[str, Any] = {
        "id": "7Q2M4KXP",
        "thread": "THREAD",
        "graph": "builtin",
        "interrupt": "interrupt-1",
        "dialect": "approval_request",
        "items": (item(),),
        "risk": Risk.MEDIUM,
        "rule": rule(),
        "reviewers": (ALICE.email, BOB.email),
        "requester": "rita@example.com",
        "opened_at": NOW,
        "expires_at": NOW + timedelta(hours=24),
    }
    return Approval(**(values | changes))


def vote(verdict: Verdict = Verdict.APPROVE, by: str = ALICE.email, **changes: Any) -> Vote:
    values: dict[str, Any] = {"by": by, "verdict": verdict, "channel": Channel.LINK, "at": NOW}
    return Vote(**(values | changes))


def policy(**rules: Rule) -> Policy:
    defaults = {risk: Rule() for risk in Risk}
    return Policy({**defaults, **{Risk(name): each for name, each in rules.items()}}, (ALICE, BOB, CAROL))
