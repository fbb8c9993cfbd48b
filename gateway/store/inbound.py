"""Queries about mail that arrived."""

from dataclasses import asdict, fields

from gateway.store import rows
from gateway.store.queries import NotFoundError, Queries, Row
from gateway.store.rows import InboundRow, UnreachableRow

_COLUMNS = {
    field.name: {"approval": "approval_id"}.get(field.name, field.name) for field in fields(InboundRow)
}
_PLACE = ("account", "folder", "uidvalidity", "uid")
_LASTING = (*_PLACE, "n", "note")
_VALUES = {name: f":{name}" for name in _COLUMNS} | {"n": "(SELECT COALESCE(MAX(n), 0) + 1 FROM inbound)"}
_RECORD = (
    f"INSERT INTO inbound ({', '.join(_COLUMNS.values())})"
    f" VALUES ({', '.join(_VALUES.values())})"
    f" ON CONFLICT ({', '.join(_PLACE)}) DO UPDATE SET "
    + ", ".join(f"{column} = excluded.{column}" for column in _COLUMNS.values() if column not in _LASTING)
)
_HEADER = 64 * 1024
_BRIEF = ", ".join(
    f"substr(octets, 1, {_HEADER}) AS octets" if column == "octets" else column
    for column in _COLUMNS.values()
)
_ASIDE = "filing IN ('quarantine', 'releasing')"


class InboundQueries(Queries):
    """Arrived mail: each handled once, whatever the mail server says."""

    def inbound(self, account: str, folder: str, uidvalidity: int, uid: int) -> InboundRow | None:
        """Find what a mail was taken for, if it was seen before at this place."""
        row = self._execute(
            "SELECT * FROM inbound WHERE account = :account AND folder = :folder"
            " AND uidvalidity = :uidvalidity AND uid = :uid",
            {"account": account, "folder": folder, "uidvalidity": uidvalidity, "uid": uid},
        ).fetchone()
        return _inbound(row) if row else None

    def inbound_like(self, sha256_hex: str) -> InboundRow | None:
        """Find a handled mail with exactly these octets, wherever it lay: a copy decides nothing again.

        What an operator has released is not handled: it is there to be read once more.
        """
        row = self._execute(
            "SELECT * FROM inbound WHERE sha256 = :sha256"
            " AND filing NOT IN ('later', 'releasing', 'released') LIMIT 1",
            {"sha256": sha256_hex},
        ).fetchone()
        return _inbound(row) if row else None

    def inbound_about(self, approval: str) -> list[InboundRow]:
        """List the mails that were read as answers to an approval, oldest first."""
        found = self._execute(
            "SELECT * FROM inbound WHERE approval_id = :id ORDER BY handled_at", {"id": approval}
        )
        return [_inbound(row) for row in found.fetchall()]

    def record_inbound(self, mail: InboundRow) -> None:
        """Record what a mail was taken for; a further try replaces the earlier word, not number and note."""
        values = asdict(mail) | {
            "received_at": rows.dump_time(mail.received_at),
            "handled_at": rows.dump_time(mail.handled_at),
        }
        self._execute(_RECORD, values)

    def inbound_numbered(self, n: int) -> InboundRow:
        """Find a mail by its number.

        Raises:
            NotFoundError: there is none with this number.
        """
        row = self._execute("SELECT * FROM inbound WHERE n = :n", {"n": n}).fetchone()
        if row is None:
            raise NotFoundError(f"no mail {n}")
        return _inbound(row)

    def quarantined(self, limit: int) -> list[InboundRow]:
        """List what lies in quarantine, newest first, each with no more of its octets than a header has."""
        found = self._execute(
            f"SELECT {_BRIEF} FROM inbound WHERE {_ASIDE} ORDER BY handled_at DESC, n DESC LIMIT :limit",
            {"limit": limit},
        )
        return [_inbound(row) for row in found.fetchall()]

    def release(self, sha256_hex: str, note: str) -> None:
        """Ask for the mail with these octets to be read again; its copies in quarantine go with it."""
        self._execute(
            "UPDATE inbound SET filing = 'releasing', note = :note WHERE sha256 = :sha256"
            " AND filing = 'quarantine'",
            {"sha256": sha256_hex, "note": note},
        )

    def releasing(self) -> list[InboundRow]:
        """List the mails that are to be taken out of quarantine, each like `quarantined` gives it."""
        found = self._execute(
            f"SELECT {_BRIEF} FROM inbound WHERE {_ASIDE} AND filing = 'releasing' ORDER BY n", {}
        )
        return [_inbound(row) for row in found.fetchall()]

    def released(self, sha256_hex: str) -> None:
        """Record that the mail lies where it is read again."""
        self._execute(
            "UPDATE inbound SET filing = 'released' WHERE sha256 = :sha256 AND filing = 'releasing'",
            {"sha256": sha256_hex},
        )

    def not_released(self, sha256_hex: str, note: str) -> None:
        """Record that the mail could not be taken out of quarantine, and why."""
        self._execute(
            "UPDATE inbound SET filing = 'quarantine', note = :note WHERE sha256 = :sha256"
            " AND filing = 'releasing'",
            {"sha256": sha256_hex, "note": note},
        )

    def add_unreachable(self, person: UnreachableRow) -> bool:
        """Note that a person's letters come back; False if that was known."""
        added = self._execute(
            "INSERT INTO unreachable (reviewer, since, status, diagnostic)"
            " VALUES (:reviewer, :since, :status, :diagnostic) ON CONFLICT (reviewer) DO NOTHING",
            asdict(person) | {"since": rows.dump_time(person.since)},
        )
        return added.rowcount > 0

    def unreachable(self) -> list[UnreachableRow]:
        """List the people whose letters come back, longest first."""
        found = self._execute("SELECT * FROM unreachable ORDER BY since, reviewer", {})
        return [
            UnreachableRow(
                reviewer=row["reviewer"],
                since=rows.load_time(row["since"]),
                status=row["status"],
                diagnostic=row["diagnostic"],
            )
            for row in found.fetchall()
        ]

    def reached(self, reviewer: str) -> None:
        """Note that a person has our letters after all."""
        self._execute("DELETE FROM unreachable WHERE reviewer = :reviewer", {"reviewer": reviewer})

    def floor(self, account: str, folder: str, uidvalidity: int, uidnext: int) -> int:
        """Return the UID up to which mail is left alone.

        On the first look at a mailbox that is all there is. When the server has numbered the mailbox anew
        it is nothing: everything is looked at again, and what was handled is known by its octets.
        """
        row = self._execute(
            "SELECT uidvalidity, floor FROM mailboxes WHERE account = :account AND folder = :folder",
            {"account": account, "folder": folder},
        ).fetchone()
        if row is not None and row["uidvalidity"] == uidvalidity:
            return int(row["floor"])
        floor = 0 if row is not None else uidnext - 1
        self._execute(
            "INSERT INTO mailboxes (account, folder, uidvalidity, floor)"
            " VALUES (:account, :folder, :uidvalidity, :floor) ON CONFLICT (account, folder)"
            " DO UPDATE SET uidvalidity = excluded.uidvalidity, floor = excluded.floor",
            {"account": account, "folder": folder, "uidvalidity": uidvalidity, "floor": floor},
        )
        return floor


def _inbound(row: Row) -> InboundRow:
    return InboundRow(
        account=row["account"],
        folder=row["folder"],
        uidvalidity=row["uidvalidity"],
        uid=row["uid"],
        filing=row["filing"],
        reason=row["reason"],
        tries=row["tries"],
        message_id=row["message_id"],
        sha256=row["sha256"],
        approval=row["approval_id"],
        received_at=rows.load_time(row["received_at"]),
        handled_at=rows.load_time(row["handled_at"]),
        octets=row["octets"],
        n=row["n"],
        size=row["size"],
        line=row["line"],
        note=row["note"],
    )
