"""All that is read from a mail's octets before anybody knows which question it answers."""

from dataclasses import dataclass

from gateway.core import reply, sender
from gateway.core.sender import Sender


@dataclass(frozen=True, slots=True, kw_only=True)
class Gist:
    """What a mail shows of itself; none of it is verified."""

    handles: tuple[str, ...]
    """What may be handles of ours, likeliest first."""
    author: Sender
    message_id: str | None


def survey(raw: bytes) -> Gist:
    """Read what a mail shows of itself. Never raises."""
    return Gist(handles=reply.handles(raw), author=sender.identify(raw), message_id=reply.message_id(raw))
