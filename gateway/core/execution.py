"""Whether the world was told: states of an outbox row, facts about what was done, when to retry."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

BUILTIN = "builtin"
"""The name of the graph that comes with the gateway."""


class RowState(StrEnum):
    """Where an effect stands.

    QUEUED waits for a worker; CLAIMED is being worked on and may start over; IN_FLIGHT has passed the
    point of no return; DONE and FAILED are final; IN_DOUBT waits for a person, who makes it DONE or FAILED.
    """

    QUEUED = "queued"
    CLAIMED = "claimed"
    IN_FLIGHT = "in_flight"
    DONE = "done"
    FAILED = "failed"
    IN_DOUBT = "in_doubt"


# What is not in this table is forbidden. From IN_FLIGHT an explicit answer is an answer;
# only silence is doubt.
ROW_TRANSITIONS: Mapping[RowState, frozenset[RowState]] = {
    RowState.QUEUED: frozenset({RowState.CLAIMED}),
    RowState.CLAIMED: frozenset({RowState.QUEUED, RowState.IN_FLIGHT, RowState.DONE, RowState.FAILED}),
    RowState.IN_FLIGHT: frozenset({RowState.QUEUED, RowState.DONE, RowState.FAILED, RowState.IN_DOUBT}),
    RowState.IN_DOUBT: frozenset({RowState.DONE, RowState.FAILED}),
    RowState.DONE: frozenset(),
    RowState.FAILED: frozenset(),
}


class ThreadState(StrEnum):
    """Where a graph's thread stands; PARKED threads wait for an operator."""

    RUNNING = "running"
    WAITING = "waiting"
    FINISHED = "finished"
    FAILED = "failed"
    PARKED = "parked"


class ReceiptStatus(StrEnum):
    """How an action ended, in the words that the graph and the outcome letter get."""

    DONE = "done"
    FAILED = "failed"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Receipt:
    """What really happened to an approved action; `detail` is plain JSON with the evidence."""

    status: ReceiptStatus
    summary: str
    detail: Mapping[str, Any]


class NothingDoneError(Exception):
    """The outside world has done nothing; it may be tried again later."""


class MisconfiguredError(NothingDoneError):
    """The outside world has done nothing, and will not before an operator changes something."""


class InDoubtError(Exception):
    """The outside world was told and fell silent; it is never told again unasked."""


@dataclass(frozen=True, slots=True)
class ThreadStarted:
    """Somebody asked an agent for something."""

    thread: str
    graph: str
    requester: str
    request: Mapping[str, Any]
    at: datetime


@dataclass(frozen=True, slots=True)
class AskRefused:
    """The graph proposed what cannot be done; nobody was asked and the graph was told."""

    thread: str
    interrupt: str
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True)
class ThreadParked:
    """The thread cannot go on without a person; nothing of it runs until then."""

    thread: str
    why: str
    at: datetime


@dataclass(frozen=True, slots=True)
class ThreadEnded:
    """The graph has come to its end, or broke."""

    thread: str
    state: ThreadState
    result: str
    at: datetime


@dataclass(frozen=True, slots=True)
class EffectRequested:
    """The graph, resumed with the grant, asked for the approved action to be done."""

    thread: str
    approval: str
    interrupt: str
    digest: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Performed:
    """The action ended with an explicit answer of the outside world."""

    approval: str
    receipt: Receipt
    at: datetime


@dataclass(frozen=True, slots=True)
class Doubted:
    """The action was begun and no answer came: nobody can know, so a person must look."""

    approval: str
    evidence: Mapping[str, Any]
    at: datetime


@dataclass(frozen=True, slots=True)
class Resolved:
    """A person looked and says whether the action in doubt was done."""

    approval: str
    by: str
    done: bool
    at: datetime


@dataclass(frozen=True, slots=True)
class Bounced:
    """A delivery report says that an approved mail did not reach a recipient; it may be forged."""

    approval: str
    recipient: str
    status: str
    diagnostic: str
    at: datetime


ExecutionFact = (
    ThreadStarted
    | AskRefused
    | ThreadParked
    | ThreadEnded
    | EffectRequested
    | Performed
    | Doubted
    | Resolved
    | Bounced
)

GIVE_UP_AFTER = timedelta(hours=24)
"""How long a temporary refusal is retried before it counts as final."""
AFTER_MISCONFIGURATION = timedelta(minutes=15)
"""How long to wait when the mail server refuses our login: no storm of failed logins."""
WHILE_BUSY = timedelta(seconds=5)
"""How long to wait before another look at a graph that runs elsewhere."""

_FIRST_RETRY = timedelta(seconds=5)
_LONGEST_RETRY = timedelta(minutes=15)


def retry_delay(attempts: int, jitter: float) -> timedelta:
    """Say how long to wait after the `attempts`-th failure; `jitter` in [0, 1) spreads a crowd of rows."""
    doubled: timedelta = min(_FIRST_RETRY * 2 ** min(attempts - 1, 20), _LONGEST_RETRY)
    return doubled * (0.75 + jitter / 2)
