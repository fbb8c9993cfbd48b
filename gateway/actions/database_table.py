"""What a database's own catalogue says of one table, and what else a change of it would touch."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Self

import sqlalchemy as sa
from sqlalchemy.engine.interfaces import ReflectedColumn
from sqlalchemy.types import TypeEngine

from gateway.actions.refusal import ActionRefusedError

_FOREIGN_KEYS = sa.text("SELECT * FROM pragma_foreign_key_list(:name)")
_SPREADING = {"c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT"}
"""What a foreign key does to other rows, by PostgreSQL's letters for it (pg_constraint)."""
_TABLE = sa.text("""
    SELECT c.oid, n.nspname AS schema
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.oid = to_regclass(quote_ident(:name)) AND c.relkind IN ('r', 'p') AND c.relpersistence <> 't'
        AND n.nspname NOT IN ('pg_catalog', 'information_schema')
""")
_FAMILY = """
    WITH RECURSIVE family (oid) AS (
        SELECT CAST(:oid AS oid)
        UNION SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN family f ON i.inhparent = f.oid
    )
"""
"""A table with its partitions and all that inherit from it, in whatever schema."""


def _of_family(query: str) -> sa.TextClause:
    return sa.text(_FAMILY + query)


_HEIRS = _of_family("""
    SELECT CAST(c.oid AS regclass)::text FROM pg_catalog.pg_class c JOIN family USING (oid)
    WHERE c.oid <> :oid AND NOT c.relispartition ORDER BY 1
""")
_RULES = _of_family("""
    SELECT r.rulename FROM pg_catalog.pg_rewrite r JOIN family f ON r.ev_class = f.oid
    WHERE r.rulename <> '_RETURN' ORDER BY 1
""")
_REFERENCES = _of_family("""
    SELECT CAST(k.conrelid AS regclass)::text AS other, k.confdeltype::text AS on_delete,
        k.confupdtype::text AS on_update, ARRAY(
            SELECT a.attname::text FROM pg_catalog.pg_attribute a
            WHERE a.attrelid = k.confrelid AND a.attnum = ANY (k.confkey)
        ) AS columns
    FROM pg_catalog.pg_constraint k JOIN family f ON k.confrelid = f.oid WHERE k.contype = 'f' ORDER BY 1
""")
_MOVES = _of_family("""
    SELECT EXISTS (
        SELECT FROM pg_catalog.pg_partitioned_table p JOIN family f ON p.partrelid = f.oid
            CROSS JOIN unnest(p.partattrs) AS k (attnum)
            LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = p.partrelid AND a.attnum = k.attnum
        WHERE k.attnum = 0 OR a.attname = ANY (CAST(:written AS text[]))
    )
""")
_TRIGGERS = _of_family("""
    SELECT t.tgname AS name, concat_ws(E'\\n', CAST(t.tgrelid AS regclass), t.tgenabled,
        pg_get_triggerdef(t.oid), pg_get_functiondef(t.tgfoid)) AS definition
    FROM pg_catalog.pg_trigger t JOIN family f ON t.tgrelid = f.oid WHERE NOT t.tgisinternal ORDER BY 1, 2
""")
# Keys over expressions or some rows alone are left to the database.
_KEYS = sa.text("""
    SELECT ARRAY(
        SELECT a.attname::text FROM unnest(i.indkey) WITH ORDINALITY AS k (attnum, place)
            JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
        WHERE k.place <= i.indnkeyatts ORDER BY k.place
    ) FROM pg_catalog.pg_index i
    WHERE i.indrelid = :oid AND i.indisunique AND i.indexprs IS NULL AND i.indpred IS NULL ORDER BY 1
""")
_KEYS_IN_A_FILE = sa.text("""
    SELECT l.name AS key, i.name AS "column" FROM pragma_index_list(:name) l, pragma_index_info(l.name) i
    WHERE l."unique" AND NOT l.partial ORDER BY l.seq, i.seqno
""")
# What a trigger writes can set off triggers of other tables, so these belong to it.
_TRIGGERS_OF_A_FILE = sa.text("""
    SELECT name, sql AS definition FROM sqlite_master WHERE type = 'trigger' AND EXISTS (
        SELECT 1 FROM sqlite_master WHERE type = 'trigger' AND lower(tbl_name) = lower(:name)
    ) ORDER BY name
""")


@dataclass(frozen=True, slots=True)
class Table:
    """One table as its database describes it.

    `schema` is None in SQLite. `triggers` has what a change sets off: names, and the SHA-256 of how they are
    defined. `filled` are columns that are never null, `needed` those of them that each new row must be given,
    and `keys` the columns that no two rows have the same values in.
    """

    name: str
    schema: str | None
    columns: Mapping[str, TypeEngine[Any]]
    triggers: Mapping[str, str]
    filled: frozenset[str]
    needed: frozenset[str]
    keys: tuple[tuple[str, ...], ...]

    @classmethod
    def found(cls, connection: sa.Connection, name: str, operation: str, written: Collection[str]) -> Self:
        """Look a table up, and refuse a change of these columns that would touch what people are not shown.

        Raises:
            ActionRefusedError: there is none, or rules, heirs or foreign keys would touch other rows.
            sqlalchemy.exc.SQLAlchemyError: the database does not answer.
        """
        inspector = sa.inspect(connection)
        if connection.dialect.name == "sqlite":
            if name not in inspector.get_table_names():
                raise _absent(name)
            schema, spreads = None, _spreads_in_a_file(connection, name, operation, written)
            triggers = connection.execute(_TRIGGERS_OF_A_FILE, {"name": name})
            columns = inspector.get_columns(name)
            keys = _keys_in_a_file(connection, name, columns)
        else:
            entry = connection.execute(_TABLE, {"name": name}).one_or_none()
            if entry is None:
                raise _absent(name)
            _check_own(connection, name, entry.oid, operation)
            schema, spreads = entry.schema, _spreads(connection, entry, operation, written)
            triggers = connection.execute(_TRIGGERS, {"oid": entry.oid})
            columns = inspector.get_columns(name, schema=schema)
            keys = tuple(map(tuple, connection.scalars(_KEYS, {"oid": entry.oid})))
        for other, rule in spreads:
            raise ActionRefusedError(
                f"table: {operation} in {name} would also change {other} ({rule} of its foreign key),"
                " which people are not shown"
            )
        filled = [column for column in columns if not column["nullable"]]
        hashes = _hashed(triggers.all())
        # A trigger may give a value before PostgreSQL asks for one.
        needed = [] if hashes else [each for each in filled if not _is_given(each)]
        return cls(
            name,
            schema,
            {column["name"]: column["type"] for column in columns},
            hashes,
            frozenset(column["name"] for column in filled),
            frozenset(column["name"] for column in needed),
            keys,
        )


def _is_given(column: ReflectedColumn) -> bool:
    """Whether a database gives the column of a new row a value by itself."""
    # In SQLite an integer that is the primary key is the number of the row.
    is_row_number = isinstance(column["type"], sa.Integer) and column.get("primary_key")
    own = (column["default"], column.get("identity"), column.get("computed"))
    return bool(is_row_number) or any(each is not None for each in own)


def _keys_in_a_file(
    connection: sa.Connection, name: str, columns: Sequence[ReflectedColumn]
) -> tuple[tuple[str, ...], ...]:
    keys = {"": [column["name"] for column in columns if column.get("primary_key")]}
    for entry in connection.execute(_KEYS_IN_A_FILE, {"name": name}):
        keys.setdefault(entry.key, []).append(entry.column)
    return tuple(tuple(key) for key in keys.values() if key and None not in key)


def hold(connection: sa.Connection, name: str) -> None:
    """Keep triggers, rules and foreign keys of a table in PostgreSQL as they are until the transaction ends.

    Raises:
        ActionRefusedError: there is none.
        sqlalchemy.exc.SQLAlchemyError: the database does not answer, or others hold the table.
    """
    entry = connection.execute(_TABLE, {"name": name}).one_or_none()
    if entry is None:
        raise _absent(name)
    quoted = connection.dialect.identifier_preparer.format_table(sa.table(name, schema=entry.schema))
    connection.exec_driver_sql(f"LOCK TABLE {quoted} IN ROW EXCLUSIVE MODE")


def _absent(name: str) -> ActionRefusedError:
    return ActionRefusedError(f"table: there is no table {name} in the database")


def _check_own(connection: sa.Connection, name: str, oid: int, operation: str) -> None:
    if rules := connection.scalars(_RULES, {"oid": oid}).all():
        raise ActionRefusedError(
            f"table: {name} has rules ({', '.join(rules)}); what they would do is not shown to people"
        )
    heirs = connection.scalars(_HEIRS, {"oid": oid}).all()
    if heirs and operation != "insert":
        raise ActionRefusedError(
            f"table: {operation} in {name} would also change {', '.join(heirs)}, which inherit from it;"
            " people are not shown all their columns"
        )


def _spreads(
    connection: sa.Connection, entry: sa.Row[Any], operation: str, written: Collection[str]
) -> Iterator[tuple[str, str]]:
    """Yield what a foreign key would do to which other table."""
    # A row that moves to another partition is deleted from its own.
    is_deleted = operation == "delete" or (
        operation == "update"
        and connection.scalar(_MOVES, {"oid": entry.oid, "written": list(written)}) is True
    )
    for key in connection.execute(_REFERENCES, {"oid": entry.oid}):
        if is_deleted and key.on_delete in _SPREADING:
            yield key.other, _SPREADING[key.on_delete]
        if operation == "update" and key.on_update in _SPREADING and not set(written).isdisjoint(key.columns):
            yield key.other, _SPREADING[key.on_update]


def _spreads_in_a_file(
    connection: sa.Connection, name: str, operation: str, written: Collection[str]
) -> Iterator[tuple[str, str]]:
    lower = {column.lower() for column in written}
    # SQLAlchemy reads the rules there from the text of the schema, and overlooks some.
    for other in sa.inspect(connection).get_table_names():
        for key in connection.execute(_FOREIGN_KEYS, {"name": other}).mappings():
            rule = str(key.get(f"on_{operation}", "")).upper()
            # No column means the primary key.
            is_touched = operation == "delete" or key["to"] is None or key["to"].lower() in lower
            if key["table"].lower() == name.lower() and rule in _SPREADING.values() and is_touched:
                yield other, rule


def _hashed(triggers: Sequence[sa.Row[Any]]) -> Mapping[str, str]:
    definitions: dict[str, str] = {}
    for each in triggers:
        definitions[each.name] = definitions.get(each.name, "") + each.definition
    return {name: sha256(text.encode()).hexdigest() for name, text in definitions.items()}
