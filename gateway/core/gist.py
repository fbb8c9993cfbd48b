"""All that is read from a mail's octets before anybody knows which question it answers."""

import re
from dataclasses import dataclass
from itertools import islice

from gateway.core import bounce, reply, sender, tokens
from gateway.core.bounce import Failure
from gateway.core.sender import Sender


@dataclass(frozen=True, slots=True, kw_only=True)
class Gist:
    """What a mail shows of itself; none of it is verified."""

    handles: tuple[str, ...]
    """What may be handles of ours, likeliest first."""
    author: Sender
    message_id: str | None
    failures: tuple[Failure, ...] = ()
    """Whom a letter did not reach, if this is a bounce."""
    returned: tuple[str, ...] = ()
    """What may be handles of ours in the letter that the bounce brings back."""


def survey(raw: bytes) -> Gist:
    """Read what a mail shows of itself. Never raises."""
    failures = bounce.failures(raw)
    return Gist(
        handles=reply.handles(raw),
        author=sender.identify(raw),
        message_id=reply.message_id(raw),
        failures=failures,
        returned=_returned(raw) if failures else (),
    )


_RETURNED_ID = re.compile(
    rb"^message-id:\s{0,5}<(%b)\." % tokens.PATTERN.pattern.encode(), re.IGNORECASE | re.MULTILINE
)


def _returned(raw: bytes) -> tuple[str, ...]:
    found = (match[1].decode().lower() for match in islice(_RETURNED_ID.finditer(raw), reply.MAX_HANDLES))
    return tuple(dict.fromkeys(found))
