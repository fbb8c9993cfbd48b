"""Hand an event to the core and commit what it means: the only place where facts are recorded."""

from gateway.service.base import (
    Ballot,
    IdempotencyKeyReusedError,
    NotInDoubtError,
    Reply,
    ThreadKnownError,
    View,
)
from gateway.service.sightings import Sightings

__all__ = [
    "Ballot",
    "IdempotencyKeyReusedError",
    "NotInDoubtError",
    "Reply",
    "Service",
    "ThreadKnownError",
    "View",
]


class Service(Sightings):
    """All use cases. Every public coroutine is one event and returns after its commit."""
