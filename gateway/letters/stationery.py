"""What is given to write a letter with: the letterhead, the addressee, and the exact facts."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

Audience = Literal["reviewer", "requester", "operator"]
"""Whom a letter speaks to; only a reviewer's letter carries handles."""

_LONG = 84
_LONG_LABEL = 60


@dataclass(frozen=True, slots=True)
class Recipient:
    """The reader of a letter; times are worded in `timezone`, an IANA name."""

    email: str
    name: str
    timezone: str

    @property
    def zone(self) -> ZoneInfo:
        """The reader's time zone.

        Raises:
            ValueError: there is no zone of that name.
        """
        try:
            return ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError(f"{self.timezone!r} is not a time zone") from error


@dataclass(frozen=True, slots=True)
class Row:
    """One exact fact under its label; it is shown in full, line by line."""

    label: str
    value: str

    @property
    def block(self) -> bool:
        """Whether the value stands below its label, on lines of its own."""
        return "\n" in self.value or len(self.value) > _LONG or self.has_long_label

    @property
    def has_long_label(self) -> bool:
        """Whether the label would move the values of other rows if it stood beside its own."""
        return len(self.label) > _LONG_LABEL

    @property
    def lines(self) -> tuple[str, ...]:
        """The value's lines; a final line feed shows as an empty last line."""
        return tuple(self.value.split("\n"))


@dataclass(frozen=True, slots=True)
class Letterhead:
    """What is the same on every letter of an installation.

    `reply_to` is the address that is read for answers; with `plus_addressing` it carries the reviewer's
    handle behind a plus, without it the body carries it as `ref: HANDLE`.
    """

    name: str
    sender: str
    reply_to: str
    base_url: str
    domain: str
    plus_addressing: bool = True

    def reply_address(self, handle: str | None) -> str:
        """Return the address for answers to a letter with this handle."""
        if handle is None or not self.plus_addressing:
            return self.reply_to
        local, at, domain = self.reply_to.rpartition("@")
        return f"{local}+{handle}{at}{domain}"

    def reference(self, handle: str | None) -> str | None:
        """Return the handle where the body has to carry it, because the address cannot."""
        return None if self.plus_addressing else handle

    def page(self, handle: str) -> str:
        """Return the address of the decision page; it names no decision."""
        return f"{self.base_url.rstrip('/')}/a/{handle}"


@dataclass(frozen=True, slots=True)
class Posting:
    """One copy of a letter: who gets it, under which id, in which mail thread.

    `root_id` is the Message-ID of the question that a follow-up belongs to. Only a reviewer's copy may carry
    handles: they are what a reviewer answers with.
    """

    to: Recipient
    message_id: str
    date: datetime
    root_id: str | None
    reply_handle: str | None
    link_handle: str | None
    audience: Audience

    def __post_init__(self) -> None:
        if self.audience != "reviewer" and (self.reply_handle or self.link_handle):
            raise ValueError(f"a letter to the {self.audience} must not carry handles")
