"""One database that agents may write to, and the one statement that is made for an approved change of it.

A statement is built from names that the database itself gave us and from bound values, never from text.
"""

import json
import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from hashlib import sha256
from typing import Any
from urllib.parse import quote
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.dialects.sqlite.base import SQLiteDialect
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.sql.expression import TableClause
from sqlalchemy.types import NullType, TypeEngine

from gateway.actions.database_table import Table, hold
from gateway.actions.refusal import ActionRefusedError

SQLITE = "sqlite:///"
LARGEST_INTEGER = 2**53 - 1
"""What canonical JSON can hold (RFC 8785)."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
_VERBS = {"insert": sqlite3.SQLITE_INSERT, "update": sqlite3.SQLITE_UPDATE, "delete": sqlite3.SQLITE_DELETE}
_HARMLESS = frozenset(
    {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_TRANSACTION, sqlite3.SQLITE_RECURSIVE}
)
_NEVER_REPLACE = "OR ABORT"
"""Outdoes `ON CONFLICT REPLACE` of a table in SQLite, which would delete a row that nobody was shown."""

Scalar = str | int | float | bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """A database and what may be done in it: for each operation, the tables.

    `url` is `sqlite:///PATH` or `postgresql://[USER@]HOST[:PORT]/NAME`; `max_rows` is how many rows one
    statement may touch; `timeout` bounds the wait for the database and for each statement.
    """

    name: str
    url: str
    password: str | None = field(default=None, repr=False)
    tables: Mapping[str, frozenset[str]]
    max_rows: int = 10
    timeout: timedelta = timedelta(seconds=30)

    @property
    def is_sqlite(self) -> bool:
        """Whether it is a file; if not, it is PostgreSQL."""
        return self.url.startswith(SQLITE)

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """Connect in a way that cannot write.

        Raises:
            sqlalchemy.exc.SQLAlchemyError: the database does not answer.
        """
        engine = self._engine(mode="ro")
        try:
            with engine.connect() as connection:
                if not self.is_sqlite:
                    connection.exec_driver_sql("SET TRANSACTION READ ONLY")
                yield connection
        finally:
            engine.dispose()

    def writing(self, operation: str, table: str) -> sa.Connection:
        """Connect for one operation on one table, with a transaction begun; closing it takes all back.

        Until then nobody else can give the table triggers, rules or foreign keys.

        Raises:
            ActionRefusedError: there is no such table.
            sqlalchemy.exc.SQLAlchemyError: the database does not answer, or is locked.
        """
        connection = self._engine(mode="rw").connect()
        try:
            if self.is_sqlite:
                connection.exec_driver_sql("PRAGMA foreign_keys = ON")
                _confine(connection, _VERBS[operation], table)
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            else:
                hold(connection, table)
        except BaseException:
            connection.close()
            raise
        return connection

    def _engine(self, mode: str) -> sa.Engine:
        seconds = self.timeout.total_seconds()
        if self.is_sqlite:
            path = quote(self.url.removeprefix(SQLITE))

            def connect() -> sqlite3.Connection:
                # Steps of one transaction run in several threads, one after the other.
                return sqlite3.connect(
                    f"file:{path}?mode={mode}",
                    uri=True,
                    timeout=seconds,
                    isolation_level=None,
                    check_same_thread=False,
                )

            return sa.create_engine("sqlite://", creator=connect, poolclass=sa.NullPool, hide_parameters=True)
        url = sa.make_url(self.url).set(drivername="postgresql+psycopg", password=self.password)
        limits = f"-c statement_timeout={seconds:.0f}s -c lock_timeout={seconds:.0f}s"
        return sa.create_engine(
            url,
            poolclass=sa.NullPool,
            hide_parameters=True,
            connect_args={"connect_timeout": max(2, round(seconds)), "options": limits},
        )


def _confine(connection: sa.Connection, verb: int, table: str) -> None:
    """Have SQLite refuse all but one kind of write to one table, and what the table's own triggers do.

    What foreign keys would delete or change elsewhere is refused with it: nobody was shown that.
    """

    def allowed(
        action: int, first: str | None, second: str | None, _: str | None, trigger: str | None
    ) -> int:
        is_own = action == verb and first is not None and first.lower() == table.lower()
        is_triggered = action in _VERBS.values() and trigger is not None
        is_function = action == sqlite3.SQLITE_FUNCTION and second != "load_extension"
        if action in _HARMLESS or is_own or is_triggered or is_function:
            return sqlite3.SQLITE_OK
        return sqlite3.SQLITE_DENY

    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    driver.set_authorizer(allowed)


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be changed, in the words of a proposal."""

    operation: str
    table: str
    values: Mapping[str, Scalar]
    where: Mapping[str, Scalar | Sequence[Scalar]]


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows that a change would touch, as they are now; `first` are some of them, to be shown."""

    count: int
    sha256: str
    first: tuple[Mapping[str, Scalar], ...]


class Statement:
    """The one statement for a change, and how to find the rows that it is about."""

    def __init__(self, connection: sa.Connection, database: Database, change: Change) -> None:
        """Look the names up in the database and bind the values.

        Raises:
            ActionRefusedError: a table, column or value does not fit.
            sqlalchemy.exc.SQLAlchemyError: the database does not answer.
        """
        self._database, self._change = database, change
        self._found = found = Table.found(connection, change.table, change.operation, change.values)
        self._columns, self.triggers = found.columns, found.triggers
        kinds = {name: NullType() if database.is_sqlite else kind for name, kind in self._columns.items()}
        columns = (sa.column(name, kind) for name, kind in kinds.items())
        self._table = sa.table(change.table, *columns, schema=found.schema)
        self.values = {
            f"set_{name}": self._bound("values", name, each) for name, each in change.values.items()
        }
        self.where: dict[str, Any] = {}
        conditions = [self._condition(name, each) for name, each in change.where.items()]
        self._rows = sa.select(self._table).where(*conditions)
        self._statement = _statement(self._table, change, conditions)
        dialect = SQLiteDialect if database.is_sqlite else PGDialect
        self.text = str(self._statement.compile(dialect=dialect(paramstyle="named")))

    def rows(self, connection: sa.Connection, shown: int, *, lock: bool = False) -> Rows:
        """Read the rows as they are now, at most one more than may be touched; `lock` keeps them so.

        Raises:
            sqlalchemy.exc.SQLAlchemyError: the database does not answer.
        """
        if self._change.operation == "insert":
            return Rows(0, _digest([]), ())
        asked = self._rows.limit(self._database.max_rows + 1)
        asked = asked.with_for_update() if lock and not self._database.is_sqlite else asked
        found = connection.execute(asked, self.where).mappings()
        plain = sorted(
            ({name: _plain(value) for name, value in row.items()} for row in found),
            key=lambda row: json.dumps(row, sort_keys=True),
        )
        return Rows(len(plain), _digest(plain), tuple(plain[:shown]))

    def execute(self, connection: sa.Connection) -> int:
        """Carry it out in the connection's transaction, and say how many rows it touched.

        Raises:
            ActionRefusedError: a value was stored as another one; the transaction is to be taken back.
            sqlalchemy.exc.SQLAlchemyError: the database refused, or does not answer.
        """
        if self._change.operation == "delete":
            counted = self._statement.execution_options(preserve_rowcount=True)
            return connection.execute(counted, self.where).rowcount
        written = [self._table.c[name] for name in self._change.values]
        stored = connection.execute(self._statement.returning(*written), {**self.values, **self.where}).all()
        for row in stored:
            self._check_stored(row)
        return len(stored)

    def check_fit(self, connection: sa.Connection) -> None:
        """Refuse, before people are asked, what the table's definition and rows would not let in as it is.

        Raises:
            ActionRefusedError: a value is missing, repeats a key, or would be stored as another one.
            sqlalchemy.exc.SQLAlchemyError: the database refuses a value, or does not answer.
        """
        given = {name for name, value in self._change.values.items() if value is not None}
        if empty := self._found.filled & (self._change.values.keys() - given):
            raise ActionRefusedError(f"values: {', '.join(sorted(empty))} must not be null")
        if self._change.operation == "insert":
            self._check_new(connection, given)
        # SQLite has no types of its own to ask: there it is seen when it is stored.
        if not self._database.is_sqlite and self.values:
            kinds = [self._columns[name] for name in self._change.values]
            keys = zip(self.values, kinds, strict=True)
            cast = sa.select(*(sa.cast(sa.bindparam(key, type_=kind), kind) for key, kind in keys))
            self._check_stored(connection.execute(cast, self.values).one())

    def _check_new(self, connection: sa.Connection, given: set[str]) -> None:
        table = self._change.table
        if missing := self._found.needed - given:
            raise ActionRefusedError(f"values: a row of {table} needs {', '.join(sorted(missing))} too")
        for key in self._found.keys:
            if given >= set(key):
                same = (self._table.c[name] == sa.bindparam(f"set_{name}") for name in key)
                bound = {f"set_{name}": self.values[f"set_{name}"] for name in key}
                if connection.execute(sa.select(sa.true()).where(*same).limit(1), bound).first():
                    raise ActionRefusedError(
                        f"values: {table} has a row with this {', '.join(key)} already, and takes only one"
                    )

    def _check_stored(self, row: Sequence[Any]) -> None:
        for name, told, stored in zip(self._change.values, self.values.values(), row, strict=True):
            kind = self._columns[name]
            if not _is_same(told, stored, kind):
                found = json.dumps(_plain(stored), ensure_ascii=False)
                raise ActionRefusedError(f"values: {name} ({kind}) would be stored as {found}, not as shown")

    def _condition(self, name: str, wanted: Any) -> ColumnElement[bool]:
        column = self._table.c[name] if name in self._columns else None
        if column is None:
            raise self._unknown("where", name)
        if wanted is None:
            return column.is_(None)
        if not isinstance(wanted, list | tuple):
            self.where[f"where_{name}"] = self._bound("where", name, wanted)
            return column == sa.bindparam(f"where_{name}", type_=column.type)
        if not wanted or None in wanted:
            raise ActionRefusedError(f"where: {name} needs a list of values, without null")
        bound = {f"where_{name}_{n}": self._bound("where", name, each) for n, each in enumerate(wanted, 1)}
        self.where |= bound
        return column.in_([sa.bindparam(key, type_=column.type) for key in bound])

    def _bound(self, where: str, name: str, value: Any) -> Any:
        kind = self._columns.get(name)
        if kind is None:
            raise self._unknown(where, name)
        try:
            _check_plain(value)
            fitted = _fitted_loosely(value, kind) if self._database.is_sqlite else _fitted(value, kind)
        except (ValueError, InvalidOperation, OverflowError) as error:
            raise ActionRefusedError(f"{where}: {name} ({kind}) {error}") from None
        return fitted

    def _unknown(self, where: str, name: str) -> ActionRefusedError:
        known = ", ".join(self._columns)
        return ActionRefusedError(f"{where}: {self._change.table} has no column {name!r}; it has {known}")


def is_name(text: Any) -> bool:
    """Whether a table or column of this name is ever used: plain letters, digits and underscores."""
    return isinstance(text, str) and _NAME.fullmatch(text) is not None


def _statement(
    table: TableClause, change: Change, conditions: Sequence[ColumnElement[bool]]
) -> sa.Insert | sa.Update | sa.Delete:
    values = {name: sa.bindparam(f"set_{name}", type_=table.c[name].type) for name in change.values}
    match change.operation:
        case "insert":
            return sa.insert(table).prefix_with(_NEVER_REPLACE, dialect="sqlite").values(values)
        case "update":
            update = sa.update(table).prefix_with(_NEVER_REPLACE, dialect="sqlite")
            return update.values(values).where(*conditions)
        case _:
            return sa.delete(table).where(*conditions)


def _check_plain(value: Any) -> None:
    """Refuse what is no single JSON value that every database can hold."""
    if isinstance(value, str):
        if "\0" in value or not _is_text(value):
            raise ValueError("must not hold NUL or half a character (a lone surrogate)")
    elif isinstance(value, float):
        if value != value or value in {float("inf"), float("-inf")}:  # noqa: PLR0124 - not a number differs from itself
            raise ValueError("must be a finite number")
    elif isinstance(value, int):
        if abs(value) > LARGEST_INTEGER:
            raise ValueError(f"must be at most {LARGEST_INTEGER}")
    elif value is not None:
        raise ValueError("must be one text, number, true, false or null")


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _fitted_loosely(value: Scalar, kind: TypeEngine[Any]) -> Scalar:
    """Check a value against what SQLite's column was declared as; it is stored as it was shown."""
    wanted: tuple[type, ...] | None = None
    match kind:
        case sa.LargeBinary():
            raise ValueError("cannot be written, it holds binary data")
        case sa.Boolean():
            wanted = (bool,)
        case sa.Integer():
            wanted = (int,)
        case sa.Numeric() | sa.Float():
            wanted = (int, float)
        case sa.String() | sa.Date() | sa.DateTime() | sa.Time():
            wanted = (str,)
    if value is not None and wanted and type(value) not in wanted:
        raise ValueError(f"needs {' or '.join(_WORDS[each] for each in wanted)}")
    return value


def _fitted(value: Scalar, kind: TypeEngine[Any]) -> Any:
    """Turn a value into what the column of a strictly typed database takes."""
    if value is None:
        return None
    try:
        wanted = kind.python_type
    except NotImplementedError:
        raise ValueError("cannot be written, its type is not supported") from None
    if wanted in _FROM_TEXT and isinstance(value, str):
        form, read = _FROM_TEXT[wanted]
        if not form.fullmatch(value):
            raise ValueError(f"needs the plain form of {_FORMS[wanted]}")
        fitted = read(value)
        if wanted in {datetime, time} and (fitted.tzinfo is not None) != getattr(kind, "timezone", False):
            has_zone = fitted.tzinfo is not None
            raise ValueError("keeps no offset" if has_zone else "needs an offset, such as +01:00 or Z")
        return fitted
    if wanted is Decimal and type(value) in {int, float}:
        return Decimal(repr(value))
    if wanted is float and type(value) is int:
        return float(value)
    if wanted not in _WORDS:
        needed = "needs a text" if wanted in _FROM_TEXT else "cannot be written, its type is not supported"
        raise ValueError(needed)
    if type(value) is not wanted:
        raise ValueError(f"needs {_WORDS[wanted]}")
    length = getattr(kind, "length", None)
    if isinstance(value, str) and length is not None and len(value) > length:
        raise ValueError(f"takes at most {length} characters, not {len(value)}")
    return value


_WORDS: Mapping[type, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
}
_FORMS: Mapping[type, str] = {
    date: "2026-03-31",
    datetime: "2026-03-31T23:59:59",
    time: "23:59:59",
    Decimal: "1234.50",
    UUID: "01234567-89ab-cdef-0123-456789abcdef",
}
_DATE, _TIME = r"\d{4}-\d\d-\d\d", r"\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:Z|[+-]\d\d:\d\d)?"
# Python reads more forms, of which people would not see what they mean: 2026-W01-1, NaN, 1_0, other digits.
_FROM_TEXT: Mapping[type, tuple[re.Pattern[str], Any]] = {
    date: (re.compile(_DATE, re.ASCII), date.fromisoformat),
    datetime: (re.compile(f"{_DATE}[T ]{_TIME}", re.ASCII), datetime.fromisoformat),
    time: (re.compile(_TIME, re.ASCII), time.fromisoformat),
    Decimal: (re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?", re.ASCII), Decimal),
    UUID: (re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"), UUID),
}


def _is_same(told: Any, stored: Any, kind: TypeEngine[Any]) -> bool:
    if isinstance(told, str) and isinstance(stored, str) and isinstance(kind, sa.CHAR):
        # PostgreSQL fills these up with spaces, which count for nothing.
        return told.rstrip(" ") == stored.rstrip(" ")
    return bool(told == stored)


def _plain(value: Any) -> Scalar:
    """Word a value of a row as JSON that people can read."""
    if isinstance(value, bytes | memoryview):
        octets = bytes(value)
        return f"{len(octets)} bytes, SHA-256 {sha256(octets).hexdigest()}"
    if isinstance(value, int) and abs(value) <= LARGEST_INTEGER:
        return value
    if isinstance(value, float) and value == value and abs(value) != float("inf"):  # noqa: PLR0124 - see above
        return value
    return value if value is None else str(value)


def _digest(rows: Sequence[Mapping[str, Scalar]]) -> str:
    return sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()
