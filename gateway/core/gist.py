"""All that is read from a mail's octets before anybody knows which question it answers."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

from gateway.core import authentication, bounce, loops, mail, reply, sender, tokens
from gateway.core.authentication import Trust, Verdict
from gateway.core.bounce import Failure
from gateway.core.loops import Standing
from gateway.core.sender import Sender


@dataclass(frozen=True, slots=True, kw_only=True)
class Gist:
    """What a mail shows of itself; none of it is verified."""

    handles: tuple[str, ...]
    """What may be handles of ours, likeliest first."""
    author: Sender
    shown: Verdict | None = None
    """Whether our own server shows who wrote it; None where nobody asked, or nobody is named in From."""
    message_id: str | None
    standing: Standing = Standing.PERSONAL
    failures: tuple[Failure, ...] = ()
    """Whom a letter did not reach, if this is a bounce."""
    returned: tuple[str, ...] = ()
    """What may be handles of ours in the letter that the bounce brings back."""
    sent: tuple[str, ...] = ()
    """What may be outbox rows of ours: where the mail that comes back was an action and no letter."""


def survey(raw: bytes, own: Iterable[str] = (), trust: Trust | None = None) -> Gist:
    """Read what a mail shows of itself; `own` are our addresses, `trust` our mail server. Never raises."""
    author, failures = sender.identify(raw), bounce.failed_recipients(raw)
    return Gist(
        handles=reply.handles(raw),
        author=author,
        shown=authentication.verify(raw, author.address, trust) if trust and author.address else None,
        message_id=reply.message_id(raw),
        standing=_standing(raw, author, own),
        failures=failures,
        returned=_found(_RETURNED_HANDLE, raw) if failures else (),
        sent=_found(_RETURNED_ROW, raw) if failures else (),
    )


def _standing(raw: bytes, author: Sender, own: Iterable[str]) -> Standing:
    try:
        return loops.standing(mail.headers(raw), author.address, own)
    except mail.TooLargeError:
        return Standing.LISTED


_RETURNED_HANDLE = re.compile(
    rb"^message-id:\s{0,5}<(%b)\." % tokens.PATTERN.pattern.encode(), re.IGNORECASE | re.MULTILINE
)
_RETURNED_ROW = re.compile(rb"^message-id:\s{0,5}<([a-z2-7]{16})@", re.IGNORECASE | re.MULTILINE)


def _found(pattern: re.Pattern[bytes], raw: bytes) -> tuple[str, ...]:
    found = (match[1].decode().lower() for match in islice(pattern.finditer(raw), reply.MAX_HANDLES))
    return tuple(dict.fromkeys(found))
