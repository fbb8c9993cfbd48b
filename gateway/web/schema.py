"""What programs send to the API and get from it."""

import json
import re
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from gateway.core.address import is_address
from gateway.core.approval import Answer, Approval, Channel, Identity, State, Verdict
from gateway.core.execution import RowState, ThreadState
from gateway.core.policy import Risk

_DEPTH = 64
_NAME = re.compile(r"[^@\x00-\x20\x7f]+")


def _plain_json(value: dict[str, Any]) -> dict[str, Any]:
    """Take only what can be stored and digested: no NaN, no half surrogates, no endless nesting."""
    if _is_deeper(value, _DEPTH):
        raise ValueError(f"must not be nested deeper than {_DEPTH} levels")
    try:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except ValueError:
        raise ValueError("must be plain JSON") from None
    return value


def _is_deeper(value: Any, levels: int) -> bool:
    """Look level by level, since recursion ends where the nesting is the sender's choice."""
    level = [value]
    for _ in range(levels):
        inner = [each.values() if isinstance(each, dict) else each for each in level]
        level = [each for group in inner for each in group if isinstance(each, dict | list)]
        if not level:
            return False
    return True


def _requester(text: str) -> str:
    if not is_address(text) and not _NAME.fullmatch(text):
        raise ValueError("must be one plain email address, or a name without spaces and @")
    return text


Id = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9_-]+$")]
Requester = Annotated[str, StringConstraints(max_length=254), AfterValidator(_requester)]
PlainJson = Annotated[dict[str, Any], AfterValidator(_plain_json)]


class _Sent(BaseModel):
    model_config = ConfigDict(extra="forbid")


class StartRequest(_Sent):
    """A request for an agent."""

    user_request: str = Field(min_length=1, max_length=20_000, description="What is wanted, in words.")
    user_id: Requester | None = Field(
        None, description="Who asks; an email address is told the outcome. Without it, the token's name."
    )
    graph: str = Field("builtin", max_length=100, description="The agent to start.")
    input: PlainJson | None = Field(None, description="Further fields for the graph's input.")


class ApproveRequest(_Sent):
    """A reviewer's decision on one approval, named by its own id or by its thread's."""

    thread_id: Id | None = None
    approval_id: Id | None = None
    item: int | None = Field(
        None,
        ge=1,
        description="The action that is decided, counted from 1 in `actions`; without it, all that are"
        " still undecided. One of several cannot be modified.",
    )
    decision: Literal["approved", "rejected", "modified", "answered"]
    feedback: str = Field("", max_length=20_000, description="Reason or comment; the agent is told.")
    modified_parameters: PlainJson | None = Field(
        None, description="The parameters that change, with their exact values; only with `modified`."
    )

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if (self.thread_id is None) == (self.approval_id is None):
            raise ValueError("give either thread_id or approval_id")
        if (self.decision == "modified") != bool(self.modified_parameters):
            raise ValueError("modified_parameters belong to the decision modified, and only to it")
        return self


class VoteView(BaseModel):
    """What one person said."""

    by: str
    verdict: Verdict
    channel: Channel
    identity: Identity
    at: datetime
    comment: str
    item: int | None = Field(description="The one action it is about; null for all.")


class ActionView(BaseModel):
    """What exactly would be done, and what was decided about it: null as long as it is not."""

    type: str
    parameters: dict[str, Any]
    offers: list[Verdict] = Field(description="What may be answered about this one.")
    verdict: Verdict | None
    approved_by: list[str] = Field(description="Who has approved it so far, by a vote for it or for all.")


class ApprovalView(BaseModel):
    """One question put to people, and how far its action has come."""

    id: str
    thread_id: str
    state: State
    risk: Risk
    summary: str
    action: ActionView = Field(description="The first of `actions`.")
    actions: list[ActionView] = Field(description="All that one question asks about.")
    offers: list[Verdict] = Field(description="What may be answered without an `item`.")
    digest: str
    requester: str
    reviewers: list[str]
    quorum: int
    votes: list[VoteView]
    opened_at: datetime
    expires_at: datetime
    decided_at: datetime | None
    replaces: str | None
    replaced_by: str | None
    execution: RowState | None = Field(description="Where the approved action stands, once it was begun.")
    execution_note: str


class ThreadView(BaseModel):
    """A request's thread and what it has asked so far."""

    thread_id: str
    status: ThreadState
    approvals: list[ApprovalView]


class StatusView(ThreadView):
    """Where a request stands. `approval_status` is that of its latest question."""

    approval_status: (
        Literal[
            "pending",
            "approved",
            "modified",
            "rejected",
            "expired",
            "cancelled",
            "superseded",
            "answered",
            "decided",
        ]
        | None
    )
    result: str | None
    error: str | None


class ApprovalsView(BaseModel):
    """Approvals, newest first."""

    approvals: list[ApprovalView]


class DecisionView(BaseModel):
    """What became of a decision; `replaced_by` is the new question that an edit has made."""

    approval_id: str
    thread_id: str
    answer: Answer
    state: State
    undecided: list[int] = Field(description="The actions that still wait for a decision, by number.")
    replaced_by: str | None


class HealthView(BaseModel):
    """Whether the gateway is there, or ready, and what each part says of itself."""

    status: Literal["ok", "unavailable"]
    parts: dict[str, str] = Field(default_factory=dict)


class ErrorView(BaseModel):
    """Why a request was refused: a word for programs, a sentence for people."""

    error: str
    detail: str
    problems: list[str] | None = None
    approvals: list[str] | None = None


def approval_view(approval: Approval, execution: RowState | None, note: str) -> ApprovalView:
    """Show an approval to a program."""
    actions = [
        ActionView(
            type=action.type,
            parameters=dict(action.parameters),
            offers=sorted(approval.offers_for(n)),
            verdict=standing.verdict,
            approved_by=list(standing.approvers),
        )
        for n, (action, standing) in enumerate(
            zip(approval.actions, approval.standings, strict=True), start=1
        )
    ]
    return ApprovalView(
        id=approval.id,
        thread_id=approval.thread,
        state=approval.state,
        risk=approval.risk,
        summary="; ".join(each.summary for each in approval.items),
        action=actions[0],
        actions=actions,
        offers=sorted(approval.offers),
        digest=approval.digest,
        requester=approval.requester,
        reviewers=list(approval.reviewers),
        quorum=approval.rule.quorum,
        votes=[
            VoteView(
                by=vote.by,
                verdict=vote.verdict,
                channel=vote.channel,
                identity=vote.identity,
                at=vote.at,
                comment=vote.comment,
                item=vote.item,
            )
            for vote in approval.votes
        ],
        opened_at=approval.opened_at,
        expires_at=approval.expires_at,
        decided_at=approval.decided_at,
        replaces=approval.replaces,
        replaced_by=approval.replaced_by,
        execution=execution,
        execution_note=note,
    )
