"""Insert, update or delete rows of one table: one statement with bound values, over rows that people saw."""

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError

from gateway.actions.database import Change, Database, Rows, Statement, is_name
from gateway.actions.refusal import ActionRefusedError
from gateway.core.action import Action, Field, FieldType
from gateway.core.policy import Risk
from gateway.letters import Row

NAME = "database_write"
SHOWN_ROWS = 5
"""Rows that are shown of those that a statement would touch."""
_OPERATIONS = ("insert", "update", "delete")
_AUTHORED = ("database", "operation", "table", "values", "where")


class DatabaseWrite:
    """Prepares changes of the configured databases."""

    editable = (Field("values", FieldType.JSON), Field("where", FieldType.JSON))

    def __init__(self, databases: Sequence[Database]) -> None:
        self._databases = {database.name: database for database in databases}

    async def prepare(self, parameters: Mapping[str, Any]) -> Action:
        """Check every name against settings and database, build the statement, and read what it would touch.

        Raises:
            ActionRefusedError: it is not allowed, does not fit the table, or touches no row or too many.
        """
        if unknown := [name for name in parameters if name not in _AUTHORED]:
            raise ActionRefusedError(
                f"{NAME} takes {', '.join(_AUTHORED)}; not {', '.join(map(str, unknown))}"
            )
        database = self._database(parameters.get("database"))
        change = _change(parameters)
        check_allowed(database, change)
        try:
            statement, rows = await asyncio.to_thread(_looked_up, database, change)
        except (DataError, IntegrityError) as error:
            raise ActionRefusedError(
                f"values, where: {database.name} refuses what they hold: {reason(error)}"
            ) from error
        except SQLAlchemyError as error:
            raise ActionRefusedError(f"database: {database.name} does not answer: {reason(error)}") from error
        if change.operation != "insert":
            _check_count(rows.count, database.max_rows)
        return Action(
            NAME,
            {
                "database": database.name,
                "operation": change.operation,
                "table": change.table,
                **({"values": dict(change.values)} if change.values else {}),
                **({"where": dict(change.where)} if change.where else {}),
                "statement": statement.text,
                "triggers": dict(statement.triggers),
                "rows": rows.count,
                "rows_sha256": rows.sha256,
                "first_rows": [dict(row) for row in rows.first],
            },
        )

    def _database(self, name: Any) -> Database:
        if name is None and len(self._databases) == 1:
            return next(iter(self._databases.values()))
        found = self._databases.get(name) if isinstance(name, str) else None
        if found is None:
            unknown = "" if name is None else f"{name!r} is not known; "
            raise ActionRefusedError(f"database: {unknown}name one of {', '.join(sorted(self._databases))}")
        return found

    def proposed(self, action: Action) -> Mapping[str, Any]:
        """Keep what an agent or editor may say; statement and rows are found out anew."""
        return {name: action.parameters[name] for name in _AUTHORED if name in action.parameters}

    def summary(self, action: Action) -> str:
        """Say what happens to how many rows of which table."""
        shown = action.parameters
        where = f"{shown['table']} in {shown['database']}"
        if shown["operation"] == "insert":
            return f"Insert a row into {where}"
        count = f"{shown['rows']} row{'' if shown['rows'] == 1 else 's'}"
        return f"{shown['operation'].capitalize()} {count} of {where}"

    def rows(self, action: Action) -> tuple[Row, ...]:
        """Show the statement, the values that are bound in it, and the rows as they are now."""
        return tuple(_rows(action.parameters))

    def risk(self, action: Action) -> Risk:
        """High for what changes or deletes, medium for what only adds."""
        return Risk.MEDIUM if action.parameters["operation"] == "insert" else Risk.HIGH


def change_of(action: Action) -> Change:
    """Take the change out of a prepared action."""
    shown = action.parameters
    return Change(shown["operation"], shown["table"], shown.get("values", {}), shown.get("where", {}))


def check_allowed(database: Database, change: Change) -> None:
    """Compare a change with what its database's settings allow.

    Raises:
        ActionRefusedError: this operation on this table is not allowed.
    """
    tables = database.tables.get(change.operation, frozenset())
    if change.table not in tables:
        known = ", ".join(sorted(tables)) or "none"
        raise ActionRefusedError(
            f"table: {change.operation} in {database.name} is allowed for {known}, not for {change.table!r}"
        )


def reason(error: SQLAlchemyError) -> str:
    """Say why the database refused, in its own words, on one line and without our values."""
    return " ".join(str(getattr(error, "orig", None) or error).split()) or type(error).__name__


def _looked_up(database: Database, change: Change) -> tuple[Statement, Rows]:
    with database.reading() as connection:
        statement = Statement(connection, database, change)
        statement.check_fit(connection)
        return statement, statement.rows(connection, SHOWN_ROWS)


def _change(parameters: Mapping[str, Any]) -> Change:
    operation, table = parameters.get("operation"), parameters.get("table")
    if not isinstance(operation, str) or operation not in _OPERATIONS:
        raise ActionRefusedError(f"operation: one of {', '.join(_OPERATIONS)} is needed")
    if not is_name(table):
        raise ActionRefusedError("table: the plain name of one table is needed")
    values, where = (_by_column(name, parameters.get(name)) for name in ("values", "where"))
    for given, wanted, why in (
        (values, operation != "delete", "values: columns and their values are needed"),
        (where, operation != "insert", "where: columns and the values that rows must have are needed"),
    ):
        if wanted and not given:
            raise ActionRefusedError(why)
        if given and not wanted:
            raise ActionRefusedError(f"{why.partition(':')[0]}: there are none in {operation}")
    return Change(operation, str(table), values, where)


def _by_column(name: str, given: Any) -> Mapping[str, Any]:
    if given is None:
        return {}
    if not isinstance(given, Mapping) or not all(map(is_name, given)):
        raise ActionRefusedError(f"{name}: an object is needed, of plain column names and their values")
    return {column: _plain_number(value) for column, value in given.items()}


def _plain_number(value: Any) -> Any:
    """Write 3.0 as 3: JSON has one kind of number, and models name whole ones either way."""
    if isinstance(value, list | tuple):
        return [_plain_number(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _check_count(count: int, most: int) -> None:
    if not count:
        raise ActionRefusedError("where: no row has these values, so nothing would change")
    if count > most:
        raise ActionRefusedError(
            f"where: more than {most} rows have these values, at most {most} may be touched"
        )


def _rows(shown: Mapping[str, Any]) -> Iterator[Row]:
    yield Row("Database", shown["database"])
    yield Row("Statement", shown["statement"])
    if shown["triggers"]:
        yield Row(
            "Triggers", "\n".join(f"{name}: SHA-256 {each}" for name, each in shown["triggers"].items())
        )
    for name in ("values", "where"):
        if name in shown:
            yield Row(name.capitalize(), _json(shown[name]))
    if shown["operation"] == "insert":
        return
    yield Row("Rows now", f"{shown['rows']}, SHA-256 {shown['rows_sha256']}")
    for number, row in enumerate(shown["first_rows"], 1):
        yield Row(f"Row {number}", "\n".join(f"{name}: {_json(value)}" for name, value in row.items()))
    if more := shown["rows"] - len(shown["first_rows"]):
        yield Row("Not shown", f"{more} more rows")


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
