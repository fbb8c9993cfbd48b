"""What must still happen: the effects that the outbox carries out, each recorded once."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Letter(StrEnum):
    """The kinds of letter; each has its template."""

    ASK = "ask"
    RECEIPT = "receipt"
    OUTCOME = "outcome"
    UNCLEAR = "unclear"
    COMMENT = "comment"
    ALREADY_DECIDED = "already-decided"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"
    ALERT = "alert"


@dataclass(frozen=True, slots=True)
class SendLetter:
    """Tell one person. Letters may repeat, always with the same Message-ID, so repeating is safe."""

    letter: Letter
    to: str
    approval: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    occasion: str = ""
    """Tells letters of one kind to one person apart; the same occasion is the same letter."""


@dataclass(frozen=True, slots=True)
class StartGraph:
    """Run a thread from its request until it stops; one that was started elsewhere is only looked at."""

    graph: str
    thread: str
    adopted: bool = False


@dataclass(frozen=True, slots=True)
class ResumeGraph:
    """Answer one pending interrupt, once.

    `asked` is what the question was, as `graphs.Pending` has it; empty where any will do.
    """

    graph: str
    thread: str
    interrupt: str
    value: Any
    asked: str = ""


@dataclass(frozen=True, slots=True)
class Perform:
    """Do the approved action, at most once; `digest` is what was granted."""

    approval: str
    digest: str


Effect = SendLetter | StartGraph | ResumeGraph | Perform
