"""What one kind of action is done with, and by what."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from gateway.core.action import Action
from gateway.core.execution import Receipt


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try at an approved action; every try at the same one has the same `approval` and `message_id`.

    `point_of_no_return` commits that the outside world may now be told; until it is awaited, nothing is. It
    is given what a person needs to find out whether the action was done, should no answer come: plain JSON,
    with half a sentence under `look` that says where.
    """

    approval: str
    message_id: str
    date: datetime
    point_of_no_return: Callable[[Mapping[str, Any]], Awaitable[None]]


class Performer(Protocol):
    """Does one kind of action; it is called with what was approved, and with nothing else."""

    async def perform(self, action: Action, attempt: Attempt) -> Receipt:
        """Do it exactly as the action says, and tell how it ended: a refusal that is final is a receipt too.

        Raises:
            ActionRefusedError: it cannot be done as it was approved; nothing was done.
            NothingDoneError: nothing was done, it may be tried again.
            InDoubtError: it may have been done; nobody can know.
        """
