"""Queries about approvals, the facts that move them, and the handles that stand for them."""

import hmac
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from hashlib import sha256
from typing import Any

from gateway.core.approval import (
    Answered,
    Approval,
    Denied,
    Granted,
    Lapsed,
    Opened,
    Overtaken,
    Settled,
    State,
    Superseded,
    VoteCounted,
    Withdrawn,
    evolve,
)
from gateway.core.execution import Doubted, Performed
from gateway.core.tokens import Claim, Purpose
from gateway.store import rows
from gateway.store.queries import ConflictError, NotFoundError, Row, names, values_of
from gateway.store.rows import AnyFact, StoredFact
from gateway.store.threads import ThreadQueries

_SPENT = frozenset({Performed.__name__, Doubted.__name__})
_MOVES = (VoteCounted, Granted, Answered, Denied, Settled, Lapsed, Withdrawn, Superseded, Overtaken)


class ApprovalQueries(ThreadQueries):
    """Approvals: what was asked and what people said; every change is a fact in the thread's chain."""

    def record(self, thread: str, facts: Iterable[AnyFact]) -> None:
        """Append facts to the thread's chain and move the approvals they are about.

        Raises:
            ConflictError: an approval was moved by somebody else since it was read.
            ForbiddenTransitionError: a fact does not fit its approval.
        """
        opened: dict[str, Approval] = {}
        moved: dict[str, Approval] = {}
        for fact in facts:
            self._append(thread, fact)
            if isinstance(fact, Opened):
                opened[fact.approval.id] = fact.approval
            elif isinstance(fact, _MOVES):
                group = opened if fact.id in opened else moved
                group[fact.id] = evolve(group.get(fact.id) or self.approval(fact.id), fact)
        for approval in moved.values():
            self._update_approval(approval)
        for approval in opened.values():
            self._insert_approval(approval)

    def approval(self, approval: str) -> Approval:
        """Find an approval with its items.

        Raises:
            NotFoundError: there is none with this id.
        """
        found = self._approvals("id = :id", {"id": approval})
        if not found:
            raise NotFoundError(f"no approval {approval}")
        return found[0]

    def approvals(self, states: Sequence[State] = tuple(State), limit: int = 100) -> list[Approval]:
        """List the approvals in any of `states`, newest first."""
        where = f"state IN {names('s', states)} ORDER BY opened_at DESC LIMIT :limit"
        return self._approvals(where, {**values_of("s", states), "limit": limit})

    def approvals_of(self, thread: str) -> list[Approval]:
        """List a thread's approvals, oldest first."""
        return self._approvals("thread_id = :thread ORDER BY opened_at, id", {"thread": thread})

    def is_asked(self, thread: str, interrupt: str) -> bool:
        """Whether a question for this interrupt was ever opened."""
        found = self._execute(
            "SELECT 1 FROM approvals WHERE thread_id = :thread AND interrupt_id = :interrupt LIMIT 1",
            {"thread": thread, "interrupt": interrupt},
        )
        return found.fetchone() is not None

    def has_open(self, thread: str) -> bool:
        """Whether people are being asked about this thread."""
        found = self._execute(
            "SELECT 1 FROM approvals WHERE thread_id = :thread AND state = 'open' LIMIT 1", {"thread": thread}
        )
        return found.fetchone() is not None

    def open_of(self, graph: str) -> list[Approval]:
        """List the open approvals of a graph's threads, oldest first."""
        where = (
            "state = 'open' AND thread_id IN (SELECT id FROM threads WHERE graph = :graph)"
            " ORDER BY opened_at, id"
        )
        return self._approvals(where, {"graph": graph})

    def due(self, now: datetime, limit: int) -> list[Approval]:
        """List the open approvals whose time is over, longest overdue first."""
        where = "state = 'open' AND expires_at <= :now ORDER BY expires_at LIMIT :limit"
        return self._approvals(where, {"now": rows.dump_time(now), "limit": limit})

    def facts(self, thread: str | None = None) -> list[StoredFact]:
        """List the facts of one thread, or of all, in the order of their chains."""
        where = "WHERE thread_id = :thread" if thread else ""
        found = self._execute(f"SELECT * FROM facts {where} ORDER BY thread_id, n", {"thread": thread})
        return [_fact(row) for row in found.fetchall()]

    def facts_about(self, approval: str) -> list[StoredFact]:
        """List the facts about one approval, in order."""
        found = self._execute(
            "SELECT * FROM facts WHERE approval_id = :id ORDER BY thread_id, n", {"id": approval}
        )
        return [_fact(row) for row in found.fetchall()]

    def chain_is_whole(self, thread: str) -> bool:
        """Recompute a thread's chain: every hash, every MAC, and the head that the thread row holds."""
        head = ""
        for fact in self.facts(thread):
            sealed = _sealed(fact.thread, fact.n, fact.approval, fact.kind, fact.data, fact.prev_hash)
            if fact.prev_hash != head or not self._is_sealed(sealed, fact.mac):
                return False
            head = sha256(sealed).hexdigest()
        return head == self.thread(thread).head

    def grant_is_sealed(self, approval: Approval) -> bool:
        """Whether the thread's chain is whole and holds the grant of exactly this approval.

        A row that says approved is not enough: rows can be edited, sealed facts cannot.
        """
        found = [fact for fact in self.facts_about(approval.id) if fact.kind == Granted.__name__]
        grants = [rows.load_fact(fact.kind, fact.data) for fact in found]
        named = any(isinstance(each, Granted) and each.digest == approval.digest for each in grants)
        return named and self.chain_is_whole(approval.thread)

    def is_spent(self, approval: str) -> bool:
        """Whether a fact says that the approved action was done, or begun without an answer."""
        return any(fact.kind in _SPENT for fact in self.facts_about(approval))

    def _is_sealed(self, sealed: bytes, mac: str) -> bool:
        return any(hmac.compare_digest(seal(sealed), mac) for seal in self._seals)

    def _append(self, thread: str, fact: AnyFact) -> None:
        row = self._execute("SELECT facts, head FROM threads WHERE id = :id", {"id": thread}).fetchone()
        n, head = row["facts"] + 1, row["head"]
        kind, data, approval = type(fact).__name__, rows.dump_fact(fact), rows.fact_approval(fact)
        sealed = _sealed(thread, n, approval, kind, data, head)
        self._execute(
            "INSERT INTO facts (thread_id, n, approval_id, kind, at, data, prev_hash, mac)"
            " VALUES (:thread, :n, :approval, :kind, :at, :data, :prev_hash, :mac)",
            {
                "thread": thread,
                "n": n,
                "approval": approval,
                "kind": kind,
                "at": rows.dump_time(rows.fact_time(fact)),
                "data": data,
                "prev_hash": head,
                "mac": self._seals[-1](sealed),
            },
        )
        self._execute(
            "UPDATE threads SET facts = :n, head = :head WHERE id = :id",
            {"id": thread, "n": n, "head": sha256(sealed).hexdigest()},
        )

    def _approvals(self, where: str, values: Mapping[str, Any]) -> list[Approval]:
        found = self._execute(f"SELECT id, version, data FROM approvals WHERE {where}", values).fetchall()
        self._versions.update({row["id"]: row["version"] for row in found})
        return [rows.load_approval(row["data"], self._items(row["id"])) for row in found]

    def _items(self, approval: str) -> list[str]:
        found = self._execute("SELECT data FROM items WHERE approval_id = :id ORDER BY n", {"id": approval})
        return [row["data"] for row in found.fetchall()]

    def _insert_approval(self, approval: Approval) -> None:
        self._execute(
            "INSERT INTO approvals (id, thread_id, interrupt_id, state, version, opened_at, expires_at, data)"
            " VALUES (:id, :thread, :interrupt, :state, 0, :opened_at, :expires_at, :data)",
            {
                "id": approval.id,
                "thread": approval.thread,
                "interrupt": approval.interrupt,
                "state": approval.state,
                "opened_at": rows.dump_time(approval.opened_at),
                "expires_at": rows.dump_time(approval.expires_at),
                "data": rows.dump_approval(approval),
            },
        )
        for n, item in enumerate(approval.items, start=1):
            self._execute(
                "INSERT INTO items (approval_id, n, digest, data) VALUES (:approval, :n, :digest, :data)",
                {"approval": approval.id, "n": n, "digest": item.digest, "data": rows.dump_item(item)},
            )

    def _update_approval(self, approval: Approval) -> None:
        seen = self._versions[approval.id]
        moved = self._execute(
            "UPDATE approvals SET state = :state, version = version + 1, data = :data"
            " WHERE id = :id AND version = :seen",
            {"id": approval.id, "state": approval.state, "data": rows.dump_approval(approval), "seen": seen},
        )
        if moved.rowcount != 1:
            raise ConflictError(f"approval {approval.id} was moved by somebody else")
        self._versions[approval.id] = seen + 1

    def add_handle(self, jti: str, claim: Claim, now: datetime) -> None:
        """Remember what a handle stands for."""
        self._execute(
            "INSERT INTO handles (jti, approval_id, reviewer, purpose, digest, created_at)"
            " VALUES (:jti, :approval, :reviewer, :purpose, :digest, :now)",
            {**asdict(claim), "jti": jti, "now": rows.dump_time(now)},
        )

    def claim_of(self, jti: str) -> Claim | None:
        """Say what a handle was made for; the caller still verifies its MAC."""
        row = self._execute("SELECT * FROM handles WHERE jti = :jti", {"jti": jti}).fetchone()
        return _claim(row) if row else None

    def is_retired(self, jti: str) -> bool:
        """Whether a handle was replaced."""
        found = self._execute(
            "SELECT 1 FROM handles WHERE jti = :jti AND retired_at IS NOT NULL", {"jti": jti}
        )
        return found.fetchone() is not None

    def has_retired_handles(self, approval: str, reviewer: str) -> bool:
        """Whether a reviewer's handles were replaced before."""
        found = self._execute(
            "SELECT 1 FROM handles WHERE approval_id = :approval AND reviewer = :reviewer"
            " AND retired_at IS NOT NULL LIMIT 1",
            {"approval": approval, "reviewer": reviewer},
        )
        return found.fetchone() is not None

    def retire_handles(self, approval: str, reviewer: str, now: datetime) -> None:
        """Make a reviewer's handles count no more."""
        self._execute(
            "UPDATE handles SET retired_at = :now WHERE approval_id = :approval AND reviewer = :reviewer"
            " AND retired_at IS NULL",
            {"approval": approval, "reviewer": reviewer, "now": rows.dump_time(now)},
        )

    def handle_of(self, approval: str, reviewer: str, purpose: Purpose) -> tuple[str, Claim] | None:
        """Find the jti of the handle that a reviewer has now, to be signed for a letter."""
        row = self._execute(
            "SELECT * FROM handles WHERE approval_id = :approval AND reviewer = :reviewer"
            " AND purpose = :purpose AND retired_at IS NULL",
            {"approval": approval, "reviewer": reviewer, "purpose": purpose},
        ).fetchone()
        return (row["jti"], _claim(row)) if row else None


def _sealed(thread: str, n: int, approval: str | None, kind: str, data: str, prev_hash: str) -> bytes:
    return rows.dump_json([thread, n, approval, kind, data, prev_hash]).encode()


def _fact(row: Row) -> StoredFact:
    return StoredFact(
        row["thread_id"],
        row["n"],
        row["approval_id"],
        row["kind"],
        rows.load_time(row["at"]),
        row["data"],
        row["prev_hash"],
        row["mac"],
    )


def _claim(row: Row) -> Claim:
    return Claim(Purpose(row["purpose"]), row["approval_id"], row["reviewer"], row["digest"])
