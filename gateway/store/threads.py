"""Queries about threads of graphs."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime

from gateway.core.execution import ThreadState
from gateway.store import rows
from gateway.store.queries import NotFoundError, Queries, Row, names, values_of
from gateway.store.rows import ThreadRow


class ThreadQueries(Queries):
    """Threads: where each graph stands."""

    def add_thread(self, thread: ThreadRow) -> None:
        """Insert a thread that has no facts yet."""
        values = asdict(thread) | {
            "request": rows.dump_json(thread.request),
            "created_at": rows.dump_time(thread.created_at),
            "updated_at": rows.dump_time(thread.updated_at),
        }
        self._execute(
            "INSERT INTO threads (id, graph, state, requester, request, result, idempotency_key, facts, head,"
            " created_at, updated_at) VALUES (:id, :graph, :state, :requester, :request, :result,"
            " :idempotency_key, :facts, :head, :created_at, :updated_at)",
            values,
        )

    def thread(self, thread: str) -> ThreadRow:
        """Find a thread.

        Raises:
            NotFoundError: there is none with this id.
        """
        row = self._execute("SELECT * FROM threads WHERE id = :id", {"id": thread}).fetchone()
        if row is None:
            raise NotFoundError(f"no thread {thread}")
        return _thread(row)

    def thread_by_idempotency_key(self, key: str) -> ThreadRow | None:
        """Find the thread that an earlier request with this key started."""
        row = self._execute("SELECT * FROM threads WHERE idempotency_key = :key", {"key": key}).fetchone()
        return _thread(row) if row else None

    def threads(self, states: Sequence[ThreadState], limit: int) -> list[ThreadRow]:
        """List the threads in any of `states`, latest change first."""
        found = self._execute(
            f"SELECT * FROM threads WHERE state IN {names('s', states)}"
            " ORDER BY updated_at DESC LIMIT :limit",
            {**values_of("s", states), "limit": limit},
        )
        return [_thread(row) for row in found.fetchall()]

    def set_thread(self, thread: str, state: ThreadState, now: datetime, result: str = "") -> None:
        """Move a thread; `result` says what came of it or why it stopped."""
        self._execute(
            "UPDATE threads SET state = :state, result = :result, updated_at = :now WHERE id = :id",
            {"id": thread, "state": state, "result": result, "now": rows.dump_time(now)},
        )


def _thread(row: Row) -> ThreadRow:
    return ThreadRow(
        id=row["id"],
        graph=row["graph"],
        state=ThreadState(row["state"]),
        requester=row["requester"],
        request=json.loads(row["request"]),
        result=row["result"],
        idempotency_key=row["idempotency_key"],
        facts=row["facts"],
        head=row["head"],
        created_at=rows.load_time(row["created_at"]),
        updated_at=rows.load_time(row["updated_at"]),
    )
