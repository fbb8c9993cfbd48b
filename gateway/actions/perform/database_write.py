"""Carry out an approved statement: in a transaction of its own, over exactly the rows that people saw."""

import asyncio
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from gateway.actions.database import Change, Database, Statement
from gateway.actions.database_write import change_of, check_allowed, reason
from gateway.actions.perform.attempt import Attempt
from gateway.actions.refusal import ActionRefusedError
from gateway.core.action import Action
from gateway.core.execution import InDoubtError, NothingDoneError, Receipt, ReceiptStatus

_LATER = ("40", "53", "55", "57")
"""Classes of SQLSTATE that pass: conflicts with others, lack of resources, locks, an administrator's stop."""
_NO_ANSWER = ("08", "57P", "40003")
"""SQLSTATE of connections that end: a commit may have been made before, as in synchronous replication."""
_LATER_IN_SQLITE = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL})
_FINAL_IN_SQLITE = frozenset(
    {
        sqlite3.SQLITE_ERROR,
        sqlite3.SQLITE_CONSTRAINT,
        sqlite3.SQLITE_MISMATCH,
        sqlite3.SQLITE_AUTH,
        sqlite3.SQLITE_READONLY,
    }
)
_PRIMARY = 0xFF


class _RefusedError(Exception):
    """The database's final word; the transaction was taken back."""


class DatabaseWriter:
    """Carries out what `DatabaseWrite` has prepared, in databases of the same names."""

    def __init__(self, databases: Sequence[Database]) -> None:
        self._databases = {database.name: database for database in databases}

    async def perform(self, action: Action, attempt: Attempt) -> Receipt:
        """Execute the statement, compare what it touched, and commit; the commit is the point of no return.

        Raises:
            ActionRefusedError: settings, table or rows are no longer what people saw; nothing was done.
            NothingDoneError: the database does not answer, or others hold the rows; all was taken back.
            InDoubtError: the answer to the commit did not come.
        """
        shown = action.parameters
        database = self._databases.get(shown["database"])
        if database is None:
            raise ActionRefusedError(f"{shown['database']} is no longer configured; nothing was changed")
        change = change_of(action)
        check_allowed(database, change)
        told = {name: shown[name] for name in ("database", "statement", "values", "where") if name in shown}
        try:
            with _nothing_done():
                connection, count = await asyncio.to_thread(_execute, database, change, shown)
            try:
                look = "Look in the database whether the statement below took effect"
                await attempt.point_of_no_return({**told, "rows": count, "look": look})
                await asyncio.to_thread(_commit, connection)
            finally:
                await asyncio.to_thread(connection.close)
        except _RefusedError as error:
            return Receipt(ReceiptStatus.FAILED, f"not done, the database refused: {error}", told)
        rows = f"{count} row{'' if count == 1 else 's'}"
        summary = f"{change.operation} done: {rows} of {change.table} in {database.name}".capitalize()
        return Receipt(ReceiptStatus.DONE, summary, {**told, "rows": count})


def _execute(database: Database, change: Change, shown: Mapping[str, Any]) -> tuple[sa.Connection, int]:
    """Run the statement, and leave its transaction open."""
    connection = database.writing(change.operation, change.table)
    try:
        return connection, _executed(connection, _held(database, change, shown), database, shown)
    except BaseException:
        connection.close()
        raise


def _held(database: Database, change: Change, shown: Mapping[str, Any]) -> Statement:
    """Build the statement anew, of a table that stays as it is read here until the commit."""
    with database.reading() as reader:
        statement = Statement(reader, database, change)
    if (statement.text, statement.triggers) != (shown["statement"], shown.get("triggers")):
        raise ActionRefusedError(
            f"{change.table} or its triggers have changed since they were shown; nothing was done"
        )
    return statement


def _executed(
    connection: sa.Connection, statement: Statement, database: Database, shown: Mapping[str, Any]
) -> int:
    before = statement.rows(connection, 0, lock=True)
    if (before.count, before.sha256) != (shown["rows"], shown["rows_sha256"]):
        raise ActionRefusedError("the rows have changed since they were shown; nothing was done")
    count = statement.execute(connection)
    wanted = 1 if shown["operation"] == "insert" else shown["rows"]
    if count != wanted or count > database.max_rows:
        raise ActionRefusedError(f"it would touch {count} rows, not the {wanted} that were shown")
    return count


def _commit(connection: sa.Connection) -> None:
    try:
        if connection.dialect.name == "sqlite":
            # SQLAlchemy has begun nothing there that it could commit: SQLite's transaction is our own.
            connection.exec_driver_sql("COMMIT")
        else:
            connection.commit()
    except SQLAlchemyError as error:
        raise _understood(
            error, InDoubtError(f"the answer to the commit did not come: {reason(error)}")
        ) from error


@contextmanager
def _nothing_done() -> Iterator[None]:
    """Before the commit, no answer is no doubt: the database takes back what was not committed."""
    try:
        yield
    except SQLAlchemyError as error:
        unanswered = NothingDoneError(f"the database does not answer: {reason(error)}")
        raise _understood(error, unanswered) from error


def _understood(error: SQLAlchemyError, unanswered: Exception) -> Exception:
    """Tell what the database said: a refusal for good, one for now, or nothing that is an answer."""
    said = reason(error)
    cause = error.orig if isinstance(error, DBAPIError) else None
    if isinstance(cause, sqlite3.Error):
        code = getattr(cause, "sqlite_errorcode", 0) & _PRIMARY
        if code in _LATER_IN_SQLITE:
            return NothingDoneError(said)
        return _RefusedError(said) if code in _FINAL_IN_SQLITE else unanswered
    state = getattr(cause, "sqlstate", None)
    if state is None or state.startswith(_NO_ANSWER):
        return unanswered
    return NothingDoneError(said) if state.startswith(_LATER) else _RefusedError(said)
