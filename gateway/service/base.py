"""What every use case works with, and the values that go in and out."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from gateway.actions import Actions
from gateway.core.approval import Answer, Approval, Channel, Identity, Verdict
from gateway.core.policy import Policy
from gateway.core.tokens import Signatory
from gateway.service.ledger import Ledger
from gateway.store import Store


class NotInDoubtError(RuntimeError):
    """There is nothing to resolve about this approval."""


class IdempotencyKeyReusedError(ValueError):
    """The key came with another request before; use a new key for a new request."""


class ThreadKnownError(ValueError):
    """The thread is ours already."""


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
    identity: Identity
    comment: str = ""
    evidence: str = ""
    edits: Mapping[str, Any] = field(default_factory=dict)
    diff_seen: bool = False
    """Whether the voter confirmed an edit's difference, or typed its exact values."""
    shown: str = ""
    """The digest of the edited action whose difference was confirmed; empty where values were typed."""
    item: int | None = None
    """The one item it is about, counted from 1; None is all that are still undecided."""


@dataclass(frozen=True, slots=True)
class View:
    """What a verified link opens: the approval, for one reviewer."""

    approval: Approval
    reviewer: str
    jti: str


class UseCases:
    """The parts that a use case needs. A use case is one event; it returns after its commit."""

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
        self._clock = clock
        self._ledger = Ledger(operators=operators, clock=clock, entropy=entropy)
        self.work_waits = asyncio.Event()
        """Set after a commit that left something to do; the outbox clears it."""
