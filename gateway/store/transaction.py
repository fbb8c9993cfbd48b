"""One open transaction with every query of ours, and what a store must be able to do."""

from collections.abc import Callable
from typing import Protocol, TypeVar

from gateway.store.approvals import ApprovalQueries
from gateway.store.inbound import InboundQueries
from gateway.store.outbox import OutboxQueries

T = TypeVar("T")


class Transaction(ApprovalQueries, OutboxQueries, InboundQueries):
    """All queries over one transaction, whatever the database."""


class Store(Protocol):
    """Runs functions over a transaction; a conformance suite says what every store must hold to."""

    async def write(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` in a transaction of its own return once it is durable, or raise and change nothing."""

    async def read(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` over a consistent snapshot."""

    async def close(self) -> None:
        """Finish what was handed in and let go of the database."""
