"""The values of the core as rows: JSON in, the same values out."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import TypeAdapter

from gateway.core.approval import (
    Answered,
    Approval,
    Commented,
    Denied,
    Fact,
    Granted,
    Item,
    Lapsed,
    Opened,
    Overtaken,
    Settled,
    Superseded,
    VoteCounted,
    Withdrawn,
)
from gateway.core.effects import Effect, Perform, ResumeGraph, SendLetter, StartGraph
from gateway.core.execution import (
    AskRefused,
    Bounced,
    Doubted,
    EffectRequested,
    ExecutionFact,
    Performed,
    Resolved,
    RowState,
    ThreadEnded,
    ThreadParked,
    ThreadStarted,
    ThreadState,
)

AnyFact = Fact | ExecutionFact


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadRow:
    """A graph's thread; `facts` and `head` are the length and the last hash of its chain."""

    id: str
    graph: str
    state: ThreadState
    requester: str
    request: Mapping[str, Any]
    result: str
    idempotency_key: str | None
    facts: int
    head: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxRow:
    """An effect and how far it has come; `evidence` is what a person needs to resolve a doubt."""

    id: str
    effect: Effect
    thread: str | None
    approval: str | None
    state: RowState
    attempts: int
    generation: int
    due_at: datetime
    evidence: Mapping[str, Any]
    note: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class InboundRow:
    """A mail that arrived: where it was found, what it was taken for, and its masked octets.

    `n` is the number that the store gives it, `size` what the mail server says, `line` what was read for a
    verb, `note` what an operator did with it since.
    """

    account: str
    folder: str
    uidvalidity: int
    uid: int
    filing: str
    reason: str
    tries: int = 1
    message_id: str | None = None
    sha256: str | None = None
    approval: str | None = None
    received_at: datetime
    handled_at: datetime
    octets: bytes | None = None
    n: int = 0
    size: int | None = None
    line: str | None = None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreachableRow:
    """A person whose letters come back; `status` and `diagnostic` are the first bounce's, made visible."""

    reviewer: str
    since: datetime
    status: str
    diagnostic: str


@dataclass(frozen=True, slots=True)
class StoredFact:
    """A fact as the chain holds it; `data` is the JSON that hash and MAC cover."""

    thread: str
    n: int
    approval: str | None
    kind: str
    at: datetime
    data: str
    prev_hash: str
    mac: str


_EFFECTS: Mapping[str, TypeAdapter[Any]] = {
    kind.__name__: TypeAdapter(kind) for kind in (SendLetter, StartGraph, ResumeGraph, Perform)
}
_FACTS: Mapping[str, TypeAdapter[Any]] = {
    kind.__name__: TypeAdapter(kind)
    for kind in (
        Opened,
        VoteCounted,
        Commented,
        Granted,
        Answered,
        Denied,
        Settled,
        Lapsed,
        Withdrawn,
        Superseded,
        Overtaken,
        ThreadStarted,
        AskRefused,
        ThreadParked,
        ThreadEnded,
        EffectRequested,
        Performed,
        Doubted,
        Resolved,
        Bounced,
    )
}
_APPROVAL = TypeAdapter(Approval)
_ITEM = TypeAdapter(Item)


def dump_time(at: datetime) -> str:
    """Write a moment as UTC text of fixed width, so that text order is time order."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def load_time(text: str) -> datetime:
    """Read what `dump_time` wrote."""
    return datetime.fromisoformat(text)


def dump_json(value: Any) -> str:
    """Write plain JSON, compact."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def dump_approval(approval: Approval) -> str:
    """Write an approval without its items, which have rows of their own."""
    return _APPROVAL.dump_json(approval, exclude={"items"}).decode()


def load_approval(data: str, items: list[str]) -> Approval:
    """Read an approval from its row and its items' rows."""
    return _APPROVAL.validate_python({**json.loads(data), "items": [json.loads(item) for item in items]})


def dump_item(item: Item) -> str:
    """Write one item."""
    return _ITEM.dump_json(item).decode()


def dump_fact(fact: AnyFact) -> str:
    """Write a fact; its class name is its kind."""
    return _FACTS[type(fact).__name__].dump_json(fact).decode()


def load_fact(kind: str, data: str) -> AnyFact:
    """Read a fact."""
    fact: AnyFact = _FACTS[kind].validate_json(data)
    return fact


def dump_effect(effect: Effect) -> str:
    """Write an effect; its class name is its kind."""
    return _EFFECTS[type(effect).__name__].dump_json(effect).decode()


def load_effect(kind: str, data: str) -> Effect:
    """Read an effect."""
    effect: Effect = _EFFECTS[kind].validate_json(data)
    return effect


def fact_time(fact: AnyFact) -> datetime:
    """When a fact came to hold."""
    if isinstance(fact, Opened):
        return fact.approval.opened_at
    return fact.vote.at if isinstance(fact, VoteCounted) else fact.at


def fact_approval(fact: AnyFact) -> str | None:
    """The approval a fact is about, if it is about one."""
    if isinstance(fact, Opened):
        return fact.approval.id
    if isinstance(fact, EffectRequested | Performed | Doubted | Resolved | Bounced):
        return fact.approval
    if isinstance(fact, ThreadStarted | AskRefused | ThreadParked | ThreadEnded):
        return None
    return fact.id


def effect_key(effect: Effect) -> str:
    """Name an effect so that the same one is never recorded twice."""
    match effect:
        case SendLetter():
            return f"letter/{effect.letter}/{effect.approval or ''}/{effect.to}/{effect.occasion}"
        case StartGraph():
            return f"start/{effect.thread}"
        case ResumeGraph():
            return f"resume/{effect.thread}/{effect.interrupt}"
        case Perform():
            return f"perform/{effect.approval}"
