"""Tables, queries and migrations: what is true, what must still happen, and how it gets to the disk.

A `Transaction` has all queries; a `Store` runs functions over one, durably, and tells when they are on disk.
"""

from gateway.store.queries import ConflictError, FencedError, NotFoundError
from gateway.store.rows import InboundRow, OutboxRow, StoredFact, ThreadRow, UnreachableRow
from gateway.store.sqlite import SqliteStore, StoreInUseError, StoreUnavailableError, open_reader
from gateway.store.transaction import Store, Transaction

__all__ = [
    "ConflictError",
    "FencedError",
    "InboundRow",
    "NotFoundError",
    "OutboxRow",
    "SqliteStore",
    "Store",
    "StoreInUseError",
    "StoreUnavailableError",
    "StoredFact",
    "ThreadRow",
    "Transaction",
    "UnreachableRow",
    "open_reader",
]
