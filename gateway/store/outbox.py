"""Queries about effects: what must still happen, who is at it, and how it went."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from gateway.core.effects import Effect, Perform, ResumeGraph, SendLetter, StartGraph
from gateway.core.execution import ROW_TRANSITIONS, RowState
from gateway.store import rows
from gateway.store.queries import FencedError, Queries, Row, names, values_of
from gateway.store.rows import OutboxRow


class OutboxQueries(Queries):
    """Effects: recorded once, claimed by one worker at a time, moved only by the one who holds them."""

    def enqueue(self, row_id: str, effect: Effect, thread: str | None, now: datetime) -> None:
        """Record that `effect` must happen; the same effect is recorded once, whoever asks again."""
        self._execute(
            "INSERT INTO outbox (id, key, kind, thread_id, approval_id, recipient, data, state, due_at,"
            " created_at, updated_at) VALUES (:id, :key, :kind, :thread, :approval, :recipient, :data,"
            " 'queued', :now, :now, :now) ON CONFLICT (key) DO NOTHING",
            {
                "id": row_id,
                "key": rows.effect_key(effect),
                "kind": type(effect).__name__,
                "thread": effect.thread if isinstance(effect, StartGraph | ResumeGraph) else thread,
                "approval": effect.approval if isinstance(effect, SendLetter | Perform) else None,
                "recipient": effect.to if isinstance(effect, SendLetter) else None,
                "data": rows.dump_effect(effect),
                "now": rows.dump_time(now),
            },
        )

    def claim(self, owner: str, now: datetime, lease: timedelta, limit: int) -> list[OutboxRow]:
        """Take up to `limit` rows that are due, oldest first; nobody else gets them until the lease ends.

        Whoever finds a lease ended takes the row up, see `leased`.
        """
        found = self._execute(
            "UPDATE outbox SET state = 'claimed', owner = :owner, generation = generation + 1,"
            " attempts = attempts + 1, lease_until = :lease, updated_at = :now WHERE id IN"
            " (SELECT id FROM outbox WHERE state = 'queued' AND due_at <= :now ORDER BY due_at, created_at"
            " LIMIT :limit) RETURNING *",
            {
                "owner": owner,
                "now": rows.dump_time(now),
                "lease": rows.dump_time(now + lease),
                "limit": limit,
            },
        )
        return sorted(
            (_outbox(row) for row in found.fetchall()), key=lambda row: (row.due_at, row.created_at)
        )

    def next_due(self) -> datetime | None:
        """Say when the next queued row is due."""
        row = self._execute("SELECT MIN(due_at) AS due FROM outbox WHERE state = 'queued'", {}).fetchone()
        return rows.load_time(row["due"]) if row["due"] else None

    def has_due(self, now: datetime) -> bool:
        """Whether a claim now would find anything."""
        due = self.next_due()
        return due is not None and due <= now

    def move(
        self,
        row: OutboxRow,
        state: RowState,
        now: datetime,
        *,
        due_at: datetime | None = None,
        evidence: Mapping[str, Any] | None = None,
        note: str | None = None,
    ) -> OutboxRow:
        """Move a row that the caller holds, and return it as it is now.

        Raises:
            FencedError: it is not the caller's any more, or not where the caller thinks.
            ValueError: the table of row states has no such step.
        """
        if state not in ROW_TRANSITIONS[row.state]:
            raise ValueError(f"an outbox row does not go from {row.state} to {state}")
        moved = self._execute(
            "UPDATE outbox SET state = :state, due_at = :due_at, evidence = :evidence, note = :note,"
            " updated_at = :now WHERE id = :id AND generation = :generation AND state = :seen RETURNING *",
            {
                "id": row.id,
                "generation": row.generation,
                "seen": row.state,
                "state": state,
                "due_at": rows.dump_time(due_at or row.due_at),
                "evidence": rows.dump_json(row.evidence if evidence is None else evidence),
                "note": row.note if note is None else note,
                "now": rows.dump_time(now),
            },
        ).fetchone()
        if moved is None:
            raise FencedError(f"outbox row {row.id} is no longer held by this worker")
        return _outbox(moved)

    def outbox_of(self, approval: str) -> list[OutboxRow]:
        """List the letters and the action of an approval, oldest first."""
        found = self._execute(
            "SELECT * FROM outbox WHERE approval_id = :id ORDER BY created_at, id", {"id": approval}
        )
        return [_outbox(row) for row in found.fetchall()]

    def perform_row(self, approval: str) -> OutboxRow | None:
        """Find the row that carries out an approval's action, if it was ever asked for."""
        row = self._execute(
            "SELECT * FROM outbox WHERE key = :key", {"key": rows.effect_key(Perform(approval, ""))}
        ).fetchone()
        return _outbox(row) if row else None

    def action_row(self, row_id: str) -> OutboxRow | None:
        """Find the row of this id, if it is one that carries out an action."""
        row = self._execute(
            "SELECT * FROM outbox WHERE id = :id AND kind = :kind", {"id": row_id, "kind": Perform.__name__}
        ).fetchone()
        return _outbox(row) if row else None

    def retrying(self, limit: int) -> list[OutboxRow]:
        """List the queued rows that were tried before, those due first in front."""
        found = self._execute(
            "SELECT * FROM outbox WHERE state = 'queued' AND attempts > 0 ORDER BY due_at LIMIT :limit",
            {"limit": limit},
        )
        return [_outbox(row) for row in found.fetchall()]

    def leased(self, until: datetime | None = None) -> list[OutboxRow]:
        """List the rows that a worker holds; with a moment, only those whose lease ended before it."""
        found = self._execute(
            "SELECT * FROM outbox WHERE state IN ('claimed', 'in_flight')"
            " AND (:until IS NULL OR lease_until < :until) ORDER BY created_at, id",
            {"until": rows.dump_time(until) if until else None},
        )
        return [_outbox(row) for row in found.fetchall()]

    def outbox_in(self, states: Sequence[RowState], limit: int = 1000) -> list[OutboxRow]:
        """List the rows in any of `states`, newest first."""
        found = self._execute(
            f"SELECT * FROM outbox WHERE state IN {names('s', states)} ORDER BY created_at DESC LIMIT :limit",
            {**values_of("s", states), "limit": limit},
        )
        return [_outbox(row) for row in found.fetchall()]

    def first_letter(self, approval: str, recipient: str) -> str | None:
        """Find the row of the letter that opened the mail thread with a person about an approval.

        New handles begin a new thread, since the ids of its letters are made of them.
        """
        row = self._execute(
            "SELECT id FROM outbox WHERE approval_id = :approval AND kind = 'SendLetter' AND recipient = :to"
            " AND created_at >= COALESCE((SELECT MAX(retired_at) FROM handles WHERE approval_id = :approval"
            " AND reviewer = :to), '') ORDER BY created_at, id LIMIT 1",
            {"approval": approval, "to": recipient},
        ).fetchone()
        return row["id"] if row else None

    def letters_to(self, approval: str, recipient: str, letter: str) -> list[datetime]:
        """List when letters of one kind were recorded for a person about an approval."""
        found = self._execute(
            "SELECT created_at, data FROM outbox WHERE approval_id = :approval AND kind = 'SendLetter'"
            " AND recipient = :to",
            {"approval": approval, "to": recipient},
        )
        return [
            rows.load_time(row["created_at"])
            for row in found.fetchall()
            if json.loads(row["data"])["letter"] == letter
        ]

    def keep_letter(self, row: OutboxRow, to: str, text: str, now: datetime) -> None:
        """Keep what a letter says before it is sent; what is tried again may say it in other words."""
        self._execute(
            "INSERT INTO letters (row_id, approval_id, recipient, text, written_at)"
            " VALUES (:row, :approval, :to, :text, :now) ON CONFLICT (row_id) DO UPDATE SET text = :text",
            {
                "row": row.id,
                "approval": row.approval,
                "to": to,
                "text": text,
                "now": rows.dump_time(now),
            },
        )

    def texts_to(self, approval: str, recipient: str, limit: int = 20) -> tuple[str, ...]:
        """List what was written to a person about an approval, newest first."""
        found = self._execute(
            "SELECT text FROM letters WHERE approval_id = :approval AND recipient = :to"
            " ORDER BY written_at DESC, row_id LIMIT :limit",
            {"approval": approval, "to": recipient, "limit": limit},
        )
        return tuple(row["text"] for row in found.fetchall())

    def wake_queued(self, now: datetime) -> None:
        """Make every queued row due, for what kept it waiting may have been mended."""
        self._execute(
            "UPDATE outbox SET due_at = :now WHERE state = 'queued' AND due_at > :now",
            {"now": rows.dump_time(now)},
        )

    def add_effect_request(self, approval: str, interrupt: str) -> None:
        """Remember that this interrupt waits for the approval's receipt."""
        self._execute(
            "INSERT INTO effect_requests (approval_id, interrupt_id) VALUES (:approval, :interrupt)"
            " ON CONFLICT DO NOTHING",
            {"approval": approval, "interrupt": interrupt},
        )

    def effect_requests(self, approval: str) -> list[str]:
        """List the interrupts that wait, or waited, for the approval's receipt."""
        found = self._execute(
            "SELECT interrupt_id FROM effect_requests WHERE approval_id = :id ORDER BY interrupt_id",
            {"id": approval},
        )
        return [row["interrupt_id"] for row in found.fetchall()]


def _outbox(row: Row) -> OutboxRow:
    return OutboxRow(
        id=row["id"],
        effect=rows.load_effect(row["kind"], row["data"]),
        thread=row["thread_id"],
        approval=row["approval_id"],
        state=RowState(row["state"]),
        attempts=row["attempts"],
        generation=row["generation"],
        due_at=rows.load_time(row["due_at"]),
        evidence=json.loads(row["evidence"]),
        note=row["note"],
        created_at=rows.load_time(row["created_at"]),
        updated_at=rows.load_time(row["updated_at"]),
    )
