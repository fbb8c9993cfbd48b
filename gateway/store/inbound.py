"""Queries about mail that arrived."""

from dataclasses import asdict, fields

from gateway.store import rows
from gateway.store.queries import Queries, Row
from gateway.store.rows import InboundRow

_COLUMNS = {
    field.name: {"approval": "approval_id"}.get(field.name, field.name) for field in fields(InboundRow)
}
_PLACE = ("account", "folder", "uidvalidity", "uid")
_RECORD = (
    f"INSERT INTO inbound ({', '.join(_COLUMNS.values())})"
    f" VALUES ({', '.join(f':{name}' for name in _COLUMNS)})"
    f" ON CONFLICT ({', '.join(_PLACE)}) DO UPDATE SET "
    + ", ".join(f"{column} = excluded.{column}" for column in _COLUMNS.values() if column not in _PLACE)
)


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
        """Find a handled mail with exactly these octets, wherever it lay: a copy decides nothing again."""
        row = self._execute(
            "SELECT * FROM inbound WHERE sha256 = :sha256 AND filing != 'later' LIMIT 1",
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
        """Record what a mail was taken for; a further try replaces the earlier word."""
        values = asdict(mail) | {
            "received_at": rows.dump_time(mail.received_at),
            "handled_at": rows.dump_time(mail.handled_at),
        }
        self._execute(_RECORD, values)

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
    )
