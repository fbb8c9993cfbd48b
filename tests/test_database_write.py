"""Writing to a database: one statement with bound values, over the rows that were shown, committed once."""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from builders import approval
from gateway.actions import ActionRefusedError, Actions
from gateway.actions.database import Database
from gateway.actions.database_write import NAME, DatabaseWrite
from gateway.actions.perform import Attempt, Job, UnapprovedError, perform
from gateway.actions.perform.database_write import DatabaseWriter
from gateway.core.action import Action, digest
from gateway.core.approval import Item, State
from gateway.core.execution import InDoubtError, NothingDoneError, Receipt, ReceiptStatus
from gateway.core.payload import Proposal
from gateway.core.policy import Risk
from servers.postgresql import PASSWORD, Postgresql

SCHEMA = """
CREATE TABLE orders (id INTEGER PRIMARY KEY, status VARCHAR(20) NOT NULL, amount NUMERIC(10, 2), paid BOOLEAN,
    due DATE, note TEXT, weight DOUBLE PRECISION, picture {blob});
CREATE TABLE secrets (id INTEGER PRIMARY KEY, word TEXT);
CREATE TABLE customers (id INTEGER PRIMARY KEY, email TEXT UNIQUE);
CREATE TABLE items (id INTEGER PRIMARY KEY, customer INTEGER
    REFERENCES customers (id) ON DELETE CASCADE ON UPDATE SET NULL);
INSERT INTO orders (id, status, amount, paid, due) VALUES
    (1, 'open', 10.5, {false}, '2026-03-01'), (2, 'open', 20, {true}, '2026-03-02'),
    (3, 'sent', 30, {true}, NULL), (4, 'late', 1, {false}, NULL), (5, 'late', 1, {false}, NULL),
    (6, 'late', 1, {false}, NULL), (7, 'late', 1, {false}, NULL);
INSERT INTO secrets VALUES (1, 'swordfish');
INSERT INTO customers VALUES (1, 'ada@example.com');
INSERT INTO items VALUES (1, 1);
"""
TABLES = {
    "insert": frozenset({"orders", "customers"}),
    "update": frozenset({"orders", "customers"}),
    "delete": frozenset({"orders", "customers"}),
}
UPDATE: dict[str, Any] = {
    "operation": "update",
    "table": "orders",
    "values": {"status": "sent"},
    "where": {"status": "open"},
}


class Shop:
    """A database with four tables, and the action's two halves; `query` looks from outside."""

    def __init__(self, database: Database, query: Callable[[str], list[tuple[Any, ...]]]) -> None:
        self.database, self.query = database, query
        self.kind = DatabaseWrite([database])
        self.writer = DatabaseWriter([database])
        self.begun: list[Mapping[str, Any]] = []

    async def prepared(self, **changes: Any) -> Action:
        return await self.kind.prepare(UPDATE | changes)

    async def write(self, action: Action, interfere: Callable[[], Any] | None = None) -> Receipt:
        async def begin(evidence: Mapping[str, Any]) -> None:
            self.begun.append(evidence)
            if interfere:
                await asyncio.to_thread(interfere)

        attempt = Attempt(
            approval=approval().id,
            message_id="<row@example.com>",
            date=datetime(2026, 3, 2, tzinfo=UTC),
            point_of_no_return=begin,
        )
        return await self.writer.perform(action, attempt)

    def contents(self) -> list[Any]:
        tables = ("orders", "secrets", "items", "customers")
        return [self.query(f"SELECT * FROM {table} ORDER BY id") for table in tables]


def on_sqlite(place: Path, **changes: Any) -> Shop:
    path = place / "shop.sqlite3"

    def query(text: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(path, isolation_level=None, timeout=0)) as connection:
            return connection.execute(text).fetchall()

    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(SCHEMA.format(blob="BLOB", false="0", true="1"))
    values: dict[str, Any] = {
        "name": "shop",
        "url": f"sqlite:///{path}",
        "tables": TABLES,
        "max_rows": 3,
        "timeout": timedelta(seconds=1),
    }
    return Shop(Database(**(values | changes)), query)


def on_postgresql(server: Postgresql) -> Shop:
    url = server.made(SCHEMA.format(blob="BYTEA", false="false", true="true"))

    def query(text: str) -> list[tuple[Any, ...]]:
        with server.connect(url.rpartition("/")[2]) as connection:
            done = connection.execute(text)
            return list(done.fetchall()) if done.description else []

    database = Database(
        name="shop", url=url, password=PASSWORD, tables=TABLES, max_rows=3, timeout=timedelta(seconds=1)
    )
    return Shop(database, query)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.server)])
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Shop:
    """A shop on each kind of database."""
    is_file = request.param == "sqlite"
    return on_sqlite(tmp_path) if is_file else on_postgresql(request.getfixturevalue("postgresql"))


def shown(shop: Shop, action: Action) -> dict[str, str]:
    return {row.label: row.value for row in shop.kind.rows(action)}


# --- what is done ------------------------------------------------------------------------------------------


async def test_rows_are_updated_as_shown(shop: Shop) -> None:
    """People see the statement, each value and the rows; exactly these rows are changed."""
    action = await shop.prepared()
    facts = shown(shop, action)
    table = "OR ABORT orders" if shop.database.is_sqlite else "public.orders"
    assert facts["Statement"].startswith(f"UPDATE {table} SET status=:set_status")
    assert ":where_status" in facts["Statement"]
    assert (facts["Values"], facts["Where"]) == ('{"status": "sent"}', '{"status": "open"}')
    assert facts["Rows now"].startswith("2, SHA-256 ")
    assert facts["Row 1"].startswith('id: 1\nstatus: "open"\namount: ')
    assert shop.kind.summary(action) == "Update 2 rows of orders in shop"
    receipt = await shop.write(action)
    assert (receipt.status, receipt.summary) == (ReceiptStatus.DONE, "Update done: 2 rows of orders in shop")
    assert shop.query("SELECT id FROM orders WHERE status = 'sent' ORDER BY id") == [(1,), (2,), (3,)]
    (evidence,) = shop.begun
    assert evidence["statement"] == facts["Statement"]
    assert evidence["rows"] == 2


async def test_a_row_is_inserted_with_its_types(shop: Shop) -> None:
    """Text stays text, numbers numbers, and what is not given is left to the database."""
    values = {
        "id": 8,
        "status": "007",
        "amount": 19.99,
        "paid": True,
        "due": "2026-04-01",
        "note": "'; DROP TABLE orders; --",
        "weight": 3,
    }
    action = await shop.prepared(operation="insert", values=values, where=None)
    assert shop.kind.risk(action) is Risk.MEDIUM
    receipt = await shop.write(action)
    assert receipt.summary == "Insert done: 1 row of orders in shop"
    ((status, amount, paid, due, note, weight, picture),) = shop.query(
        "SELECT status, amount, paid, due, note, weight, picture FROM orders WHERE id = 8"
    )
    assert (status, float(amount), bool(paid), str(due), weight) == ("007", 19.99, True, "2026-04-01", 3.0)
    assert (note, picture) == ("'; DROP TABLE orders; --", None)


async def test_rows_are_deleted_by_a_list(shop: Shop) -> None:
    """A list of values means any of them; a deletion is of high risk."""
    action = await shop.prepared(operation="delete", values=None, where={"id": [1, 4], "note": None})
    assert shop.kind.risk(action) is Risk.HIGH
    facts = shown(shop, action)
    assert facts["Where"] == '{"id": [1, 4], "note": null}'
    assert "orders.note IS NULL" in facts["Statement"]
    await shop.write(action)
    assert shop.query("SELECT id FROM orders ORDER BY id") == [(2,), (3,), (5,), (6,), (7,)]


async def test_an_edit_is_prepared_anew(shop: Shop) -> None:
    """T20: a reviewer's other condition is looked up like a proposal, and touches no more than one may."""
    actions = Actions({NAME: shop.kind})
    action = await shop.prepared()
    item = Item(action=action, digest=digest(action), summary="", note="", editable=tuple(shop.kind.editable))
    edited, _ = await actions.edit(item, {"where": {"id": 3}})
    assert edited.action.parameters["rows"] == 1
    with pytest.raises(ActionRefusedError, match="more than 3 rows"):
        await actions.edit(item, {"where": {"status": "late"}})


async def test_a_whole_number_is_one_however_it_is_written(shop: Shop) -> None:
    """JSON does not tell 3.0 from 3, so neither does the action."""
    assert await shop.prepared(where={"id": [1.0, 2]}) == await shop.prepared(where={"id": [1, 2.0]})
    await shop.write(await shop.prepared(where={"id": 1.0}))
    assert shop.query("SELECT id FROM orders WHERE status = 'sent' ORDER BY id") == [(1,), (3,)]


# --- what is not done --------------------------------------------------------------------------------------

SHAPES: list[dict[str, Any]] = [
    {"table": "secrets"},
    {"table": "sqlite_master"},
    {"table": "pg_authid"},
    {"table": "orders; DROP TABLE secrets"},
    {"table": "orders --"},
    {"table": 'orders"'},
    {"table": "main.orders"},
    {"table": "orders, secrets"},
    {"table": "(SELECT * FROM secrets)"},
    {"table": "ORDERS"},
    {"table": ""},
    {"table": None},
    {"table": ["orders"]},
    {"operation": "select"},
    {"operation": "drop"},
    {"operation": "UPDATE"},
    {"operation": "replace"},
    {"operation": "insert or replace"},
    {"operation": "attach"},
    {"operation": "pragma"},
    {"operation": "with x as (delete from orders returning *) select"},
    {"operation": None},
    {"values": {}},
    {"values": "status = 'sent'"},
    {"values": ["status", "sent"]},
    {"values": {"status = 'x' WHERE 1=1 --": 1}},
    {"values": {"status": {"raw": "(SELECT word FROM secrets)"}}},
    {"values": {"status": ["a", "b"]}},
    {"values": {"nothing": 1}},
    {"values": {"rowid": 1}},
    {"values": {"status": 7}},
    {"values": {"status": "a\x00b"}},
    {"values": {"status": "\ud800"}},
    {"values": {"weight": float("nan")}},
    {"values": {"weight": float("inf")}},
    {"values": {"id": 2**63}},
    {"values": {"id": True}},
    {"values": {"id": "1 OR 1=1"}},
    {"values": {"picture": "x"}},
    {"where": {}},
    {"where": None},
    {"where": True},
    {"where": "1=1"},
    {"where": [["id", ">", 0]]},
    {"where": {"1=1 OR id": 1}},
    {"where": {"id": {"gt": 0}}},
    {"where": {"id": {"$ne": None}}},
    {"where": {"id": []}},
    {"where": {"id": [1, None]}},
    {"where": {"id": [[1], 2]}},
    {"where": {"id": "1 OR 1=1"}},
    {"where": {"or": [{"id": 1}, {"id": 2}]}},
    {"where": {"status": "late"}},
    {"where": {"status": "' OR '1'='1"}},
    {"where": {"status": "%"}},
    {"operation": "insert"},
    {"operation": "delete"},
    {"operation": "delete", "values": None, "where": {}},
    {"operation": "delete", "table": "secrets", "values": None, "where": {"id": 1}},
    {"returning": "*"},
    {"limit": 100},
    {"statement": "DELETE FROM secrets"},
    {"database": "other"},
    {"database": "sqlite:////etc/shadow"},
    {"rows": 100},
]


@pytest.mark.parametrize("change", SHAPES)
async def test_no_shape_becomes_another_statement(shop: Shop, change: dict[str, Any]) -> None:
    """T25: other tables, verbs, texts for names, endless conditions: refused, and nothing has changed."""
    before = shop.contents()
    with pytest.raises(ActionRefusedError):
        await shop.prepared(**change)
    assert shop.contents() == before


async def test_hostile_values_are_only_values(shop: Shop) -> None:
    """T25: what would end a statement or a text in it is stored as it stands."""
    hostile = "x'); DELETE FROM secrets; --\" ${x} %s :where_id \\"
    action = await shop.prepared(values={"note": hostile}, where={"id": 1})
    await shop.write(action)
    assert shop.query("SELECT note FROM orders WHERE id = 1") == [(hostile,)]
    assert shop.query("SELECT word FROM secrets") == [("swordfish",)]


async def test_a_stored_action_of_another_kind_of_change_is_refused(shop: Shop) -> None:
    """T09, T25: even an action that was put into the store is held against settings, schema and rows."""
    good = await shop.prepared()
    before = shop.contents()
    forged: list[dict[str, Any]] = [
        {"table": "secrets"},
        {"operation": "delete"},
        {"statement": "UPDATE secrets SET word=:set_word"},
        {"where": {}},
        {"where": {"id": 3}},
        {"values": {"status": "x", "note": "y"}},
        {"rows": 1},
        {"rows_sha256": "0" * 64},
        {"database": "other"},
    ]
    for change in forged:
        with pytest.raises(ActionRefusedError):
            await shop.write(replace(good, parameters={**good.parameters, **change}))
    assert shop.contents() == before
    assert shop.begun == []


async def test_no_changed_action_reaches_the_database(shop: Shop) -> None:
    """T09, T16: each parameter is under the digest; a change of any is refused at the gate."""
    action = await shop.prepared()
    item = Item(action=action, digest=digest(action), summary="", note="", editable=())
    for name in action.parameters:
        changed = replace(action, parameters={**action.parameters, name: "x"})
        stored = replace(approval(state=State.APPROVED), items=(replace(item, action=changed),))
        attempt = Attempt(
            approval=stored.id,
            message_id="",
            date=datetime(2026, 3, 2, tzinfo=UTC),
            point_of_no_return=_unreachable,
        )
        job = Job(approval=stored, is_granted=True, digest=item.digest, attempt=attempt)
        with pytest.raises(UnapprovedError):
            await perform(job, {NAME: shop.writer})


async def _unreachable(_: Mapping[str, Any]) -> None:
    pytest.fail("the point of no return was passed")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"operation": "delete", "values": None, "where": {"id": 1}}, "delete .* would also change items"),
        ({"values": {"id": 2}, "where": {"id": 1}}, "update .* would also change items"),
    ],
)
async def test_a_change_does_not_spread_to_other_tables(shop: Shop, change: dict[str, Any], why: str) -> None:
    """T25: what foreign keys would delete or empty elsewhere is not shown, so it is not done."""
    with pytest.raises(ActionRefusedError, match=why):
        await shop.prepared(**{"table": "customers", **change})
    await shop.write(await shop.prepared(table="customers", values={"email": "x"}, where={"id": 1}))


@pytest.mark.server
@pytest.mark.parametrize(
    ("schema", "change", "why"),
    [
        (
            "CREATE SCHEMA far; CREATE TABLE far.parts (i INTEGER REFERENCES orders (id) ON DELETE CASCADE)",
            {"operation": "delete"},
            r"would also change far.parts \(CASCADE",
        ),
        (
            'CREATE TABLE "Parts, old" (item INTEGER REFERENCES orders (id) ON DELETE SET NULL (item))',
            {"operation": "delete"},
            r'would also change "Parts, old" \(SET NULL',
        ),
        (
            "CREATE SCHEMA far; CREATE TABLE far.parts (i INTEGER REFERENCES orders (id) ON UPDATE CASCADE)",
            {"values": {"id": 9}},
            r"would also change far.parts \(CASCADE",
        ),
        (
            """CREATE SCHEMA far; CREATE TABLE far.old (PRIMARY KEY (id)) INHERITS (orders);
            CREATE TABLE far.parts (i INTEGER REFERENCES far.old (id) ON DELETE CASCADE)""",
            {"operation": "delete"},
            r"also change far.old, which inherit",
        ),
        ("CREATE TABLE old (word TEXT) INHERITS (orders)", {}, r"also change old, which inherit"),
        ("CREATE RULE more AS ON UPDATE TO orders DO ALSO DELETE FROM secrets", {}, r"has rules \(more\)"),
        ("CREATE RULE more AS ON UPDATE TO orders DO INSTEAD NOTHING", {}, r"has rules \(more\)"),
    ],
)
async def test_a_change_does_not_spread_within_postgresql(
    postgresql: Postgresql, schema: str, change: dict[str, Any], why: str
) -> None:
    """T25: keys in other schemas, heirs and rules touch rows that nobody is shown, whenever they came."""
    asked = {"where": {"id": 1}} | change
    if asked.get("operation") == "delete":
        asked["values"] = None
    shop = on_postgresql(postgresql)
    action = await shop.prepared(**asked)
    shop.query(schema)
    before = shop.contents()
    with pytest.raises(ActionRefusedError, match=why):
        await shop.prepared(**asked)
    with pytest.raises(ActionRefusedError, match=why):
        await shop.write(action)
    assert shop.contents() == before


@pytest.mark.server
@pytest.mark.parametrize(
    "change", [{"operation": "delete", "values": None}, {"operation": "update", "values": {"id": 2}}]
)
async def test_keys_to_a_partition_count(postgresql: Postgresql, change: dict[str, Any]) -> None:
    """T25: a key to one partition, in whatever schema, deletes as one to the whole table does."""
    url = postgresql.made("""
        CREATE TABLE orders (id INTEGER PRIMARY KEY, status TEXT) PARTITION BY LIST (id);
        CREATE SCHEMA far;
        CREATE TABLE far.first PARTITION OF orders FOR VALUES IN (1);
        CREATE TABLE far.parts (i INTEGER REFERENCES far.first (id) ON DELETE CASCADE);
        INSERT INTO orders VALUES (1);
    """)
    kind = DatabaseWrite([Database(name="shop", url=url, password=PASSWORD, tables=TABLES)])
    with pytest.raises(ActionRefusedError, match=r"would also change far\.parts"):
        await kind.prepare(UPDATE | {"where": {"id": 1}} | change)
    assert (await kind.prepare(UPDATE | {"where": {"id": 1}})).parameters["rows"] == 1


@pytest.mark.server
async def test_a_table_in_front_of_it_receives_nothing(postgresql: Postgresql) -> None:
    """T09, T25: the statement names the schema; a table that gets in front of it is another one."""
    shop = on_postgresql(postgresql)
    action = await shop.prepared()
    assert "public.orders" in shown(shop, action)["Statement"]
    shop.query("CREATE SCHEMA owner; CREATE TABLE owner.orders AS SELECT * FROM public.orders")
    with pytest.raises(ActionRefusedError, match="orders or its triggers have changed"):
        await shop.write(action)
    assert shop.query("SELECT * FROM owner.orders EXCEPT SELECT * FROM public.orders") == []


@pytest.mark.parametrize(
    "change",
    [
        {"operation": "insert", "values": {"id": 3, "name": "ada"}, "where": None},
        {"values": {"name": "ada"}, "where": {"id": 2}},
    ],
)
async def test_a_row_is_not_replaced(tmp_path: Path, change: dict[str, Any]) -> None:
    """T25: SQLite's ON CONFLICT REPLACE would delete a row that nobody was shown; here it is a conflict."""
    shop = on_sqlite(tmp_path, tables=dict.fromkeys(TABLES, frozenset({"people"})))
    shop.query("CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT UNIQUE ON CONFLICT REPLACE)")
    shop.query("INSERT INTO people VALUES (2, 'bob')")
    action = await shop.prepared(table="people", **change)
    shop.query("INSERT INTO people VALUES (1, 'ada')")
    receipt = await shop.write(action)
    assert receipt.status is ReceiptStatus.FAILED
    assert shop.query("SELECT * FROM people ORDER BY id") == [(1, "ada"), (2, "bob")]


def trigger(shop: Shop, word: str) -> str:
    """Word a trigger that writes something else than what it was asked about."""
    body = f"UPDATE secrets SET word = '{word}'"
    if shop.database.is_sqlite:
        return f"CREATE TRIGGER log AFTER UPDATE ON orders BEGIN {body}; END"
    return (
        "CREATE OR REPLACE FUNCTION log() RETURNS trigger LANGUAGE plpgsql"
        f" AS $$BEGIN {body}; RETURN NULL; END$$;"
        "CREATE OR REPLACE TRIGGER log AFTER UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION log()"
    )


async def test_a_trigger_belongs_to_what_is_shown(shop: Shop) -> None:
    """T09, T25: a trigger that came, or was rewritten, after the question does not run."""
    bare = await shop.prepared()
    assert "Triggers" not in shown(shop, bare)
    shop.query(trigger(shop, "a"))
    with pytest.raises(ActionRefusedError, match="its triggers have changed"):
        await shop.write(bare)
    action = await shop.prepared()
    assert shown(shop, action)["Triggers"].startswith("log: SHA-256 ")
    if shop.database.is_sqlite:
        shop.query("DROP TRIGGER log")
    shop.query(trigger(shop, "b"))
    with pytest.raises(ActionRefusedError, match="its triggers have changed"):
        await shop.write(action)
    assert shop.query("SELECT word FROM secrets") == [("swordfish",)]
    await shop.write(await shop.prepared())
    assert shop.query("SELECT word FROM secrets") == [("b",)]


@pytest.mark.server
def test_a_table_is_held_while_it_is_written_to(postgresql: Postgresql) -> None:
    """T09: from before the last look at the table's triggers and keys, nobody can add one until the end."""
    shop = on_postgresql(postgresql)
    add = "CREATE TABLE parts (item INTEGER REFERENCES orders (id) ON DELETE CASCADE)"
    with closing(shop.database.writing("delete", "orders")), pytest.raises(psycopg.errors.LockNotAvailable):
        shop.query(f"SET lock_timeout = '100ms'; {add}")
    shop.query(add)


KEPT: list[tuple[str, Any]] = [
    ("DATE", "2026-W01-1"),
    ("DATE", "20260101"),
    ("TIME", "T10"),
    ("TIMESTAMP", "2026-01-01"),
    ("TIMESTAMP", "2026-01-01T12:00:00+05:00"),
    ("TIMESTAMP WITH TIME ZONE", "2026-01-01T12:00:00"),
    ("TIMESTAMP(0)", "2026-01-01T23:59:59.9"),
    ("TIME(1)", "10:00:00.25"),
    ("NUMERIC", "NaN"),
    ("NUMERIC", "Infinity"),
    ("NUMERIC", "1_0"),
    ("NUMERIC", "1e3"),
    ("NUMERIC", "007"),
    ("NUMERIC", "\u0661\u0662"),
    ("NUMERIC(10, 2)", "1000.009"),
    ("NUMERIC(4, 1)", 99.96),
    ("NUMERIC(4, 1)", 1000),
    ("REAL", 16777217),
    ("SMALLINT", 70000),
    ("UUID", "{01234567-89ab-cdef-0123-456789abcdef}"),
    ("MONEY", "1000.009"),
    ("MOOD", "sad"),
]


@pytest.mark.server
@pytest.mark.parametrize(("kind", "value"), KEPT)
async def test_a_value_that_would_be_kept_as_another_is_refused(
    postgresql: Postgresql, kind: str, value: Any
) -> None:
    """T25: rounded, truncated or reworded values are not what people saw; nobody is asked about them."""
    shop = on_postgresql(postgresql)
    shop.query(f"CREATE TYPE mood AS ENUM ('glad'); ALTER TABLE orders ADD COLUMN v {kind}")
    with pytest.raises(ActionRefusedError, match="values"):
        await shop.prepared(values={"v": value}, where={"id": 1})


@pytest.mark.server
@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("DATE", "2026-01-01"),
        ("TIMESTAMP(0)", "2026-01-01 23:59:59"),
        ("TIMESTAMP WITH TIME ZONE", "2026-01-01T12:00:00.5+05:00"),
        ("TIME", "10:00"),
        ("NUMERIC(10, 2)", "-1000.50"),
        ("NUMERIC", 99.96),
        ("REAL", 0.1),
        ("DOUBLE PRECISION", 16777217),
        ("CHAR(5)", "a"),
        ("UUID", "01234567-89AB-cdef-0123-456789abcdef"),
        ("MOOD", "glad"),
    ],
)
async def test_a_value_is_kept_as_it_was_shown(postgresql: Postgresql, kind: str, value: Any) -> None:
    """What a column holds as it was shown is written."""
    shop = on_postgresql(postgresql)
    shop.query(f"CREATE TYPE mood AS ENUM ('glad'); ALTER TABLE orders ADD COLUMN v {kind}")
    await shop.write(await shop.prepared(values={"v": value}, where={"id": 1}))
    assert shop.query("SELECT id FROM orders WHERE v IS NOT NULL") == [(1,)]


@pytest.mark.server
async def test_what_a_trigger_stores_otherwise_is_taken_back(postgresql: Postgresql) -> None:
    """T09, T25: what the statement has stored is compared with what people saw, before the commit."""
    shop = on_postgresql(postgresql)
    shop.query(
        "CREATE FUNCTION double() RETURNS trigger LANGUAGE plpgsql"
        " AS $$BEGIN NEW.amount = 2 * NEW.amount; RETURN NEW; END$$;"
        "CREATE TRIGGER double BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION double()"
    )
    before = shop.contents()
    action = await shop.prepared(values={"amount": "7.50"})
    with pytest.raises(ActionRefusedError, match=r'amount \(NUMERIC\(10, 2\)\) .* "15.00", not as shown'):
        await shop.write(action)
    assert shop.contents() == before
    assert shop.begun == []


@pytest.mark.server
async def test_a_name_that_postgresql_cuts_off_is_taken_back(postgresql: Postgresql) -> None:
    """T25: what the look beforehand does not tell, the comparison of what was stored does."""
    shop = on_postgresql(postgresql)
    shop.query("ALTER TABLE orders ADD COLUMN v NAME")
    with pytest.raises(ActionRefusedError, match=f'would be stored as "{"x" * 63}", not as shown'):
        await shop.write(await shop.prepared(values={"v": "x" * 64}))
    assert shop.query("SELECT id FROM orders WHERE v IS NOT NULL") == []


async def test_what_a_file_stores_otherwise_is_taken_back(tmp_path: Path) -> None:
    """T25: SQLite makes numbers of such texts in columns of dates."""
    shop = on_sqlite(tmp_path)
    before = shop.contents()
    with pytest.raises(ActionRefusedError, match="would be stored as 2026, not as shown"):
        await shop.write(await shop.prepared(values={"due": "2026"}, where={"id": 1}))
    assert shop.contents() == before


@pytest.mark.parametrize(
    ("table", "values", "why"),
    [
        ("orders", {"id": 8, "note": "x"}, "a row of orders needs status too"),
        ("orders", {"id": 8, "status": None}, "status must not be null"),
        ("orders", {"id": 7, "status": "x"}, "orders has a row with this id already"),
        ("customers", {"id": 2, "email": "ada@example.com"}, "customers has a row with this email already"),
    ],
)
async def test_nobody_is_asked_about_a_row_that_does_not_fit(
    shop: Shop, table: str, values: dict[str, Any], why: str
) -> None:
    """A missing value, or a key that is taken, is told to the agent at once."""
    with pytest.raises(ActionRefusedError, match=why):
        await shop.prepared(operation="insert", table=table, values=values, where=None)


async def test_what_a_database_gives_by_itself_need_not_be_said(shop: Shop) -> None:
    """Defaults, row numbers and keys that hold null ask for no value; keys of several columns need all."""
    number = "INTEGER" if shop.database.is_sqlite else "INTEGER GENERATED ALWAYS AS IDENTITY"
    shop.query("DROP TABLE customers" + ("" if shop.database.is_sqlite else " CASCADE"))
    shop.query(
        f"CREATE TABLE customers (id {number} PRIMARY KEY NOT NULL, email TEXT UNIQUE,"
        " city TEXT NOT NULL DEFAULT 'x', street TEXT NOT NULL, UNIQUE (city, street))"
    )
    values: dict[str, Any] = {"street": "a", "email": None}
    for _ in "ab":
        await shop.write(
            await shop.prepared(operation="insert", table="customers", values=values, where=None)
        )
        values = {"street": "a", "city": "y"}
    with pytest.raises(ActionRefusedError, match="a row with this city, street already"):
        await shop.prepared(operation="insert", table="customers", values=values, where=None)
    assert len(shop.query("SELECT * FROM customers")) == 2


async def test_only_what_an_operation_has_is_shown_and_offered(shop: Shop) -> None:
    """An insert has no condition and a deletion no values: neither can be edited in."""
    actions = Actions({NAME: shop.kind})
    values = {"id": 8, "status": "open"}
    for asked, has, lacks in (
        ({"operation": "insert", "values": values, "where": None}, "values", "where"),
        ({"operation": "delete", "values": None, "where": {"id": 1}}, "where", "values"),
    ):
        proposal = Proposal(type=NAME, parameters=UPDATE | asked)
        item, _ = await actions.prepare(proposal)
        facts = shown(shop, item.action)
        assert has.capitalize() in facts
        assert lacks.capitalize() not in facts
        assert [field.name for field in item.editable] == [has]


async def test_a_database_that_is_not_known_is_named(shop: Shop) -> None:
    """Whoever mistyped a database reads what was not found, and what is there."""
    with pytest.raises(ActionRefusedError, match="'shopp' is not known; name one of shop"):
        await shop.prepared(database="shopp")


@pytest.mark.server
async def test_a_role_needs_its_operation_and_to_read_and_lock(postgresql: Postgresql) -> None:
    """Looking at definitions and holding them needs no right of its own; to delete, rows are locked."""
    owner = on_postgresql(postgresql)
    cases: dict[str, dict[str, Any]] = {
        "insert": {"values": {"id": 8, "status": "x"}, "where": None},
        "update": {"where": {"id": 1}},
        "delete": {"values": None, "where": {"id": 1}},
    }
    name = owner.database.url.rpartition("/")[2]
    for operation, asked in cases.items():
        role = f"{operation}_{name}"
        owner.query(
            f"CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}';"
            f"GRANT SELECT, {'UPDATE, ' if operation == 'delete' else ''}{operation} ON orders TO {role}"
        )
        database = replace(owner.database, url=owner.database.url.replace("owner@", f"{role}@"))
        shop = Shop(database, owner.query)
        receipt = await shop.write(await shop.prepared(operation=operation, **asked))
        assert receipt.status is ReceiptStatus.DONE


# --- over what ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "meanwhile",
    [
        "UPDATE orders SET status = 'open' WHERE id = 3",
        "UPDATE orders SET status = 'held' WHERE id = 1",
        "UPDATE orders SET note = 'call first' WHERE id = 1",
        "DELETE FROM orders WHERE id = 1",
    ],
)
async def test_rows_that_have_changed_are_left_alone(shop: Shop, meanwhile: str) -> None:
    """T09: one row more, one less, or the same ones with other values is not what people saw."""
    action = await shop.prepared()
    shop.query(meanwhile)
    before = shop.contents()
    with pytest.raises(ActionRefusedError, match="the rows have changed"):
        await shop.write(action)
    assert shop.contents() == before


async def test_a_lower_cap_counts_at_once(shop: Shop) -> None:
    """T25: a cap that was lowered after the approval holds; the transaction is taken back."""
    action = await shop.prepared()
    before = shop.contents()
    strict = DatabaseWriter([replace(shop.database, max_rows=1)])
    attempt = Attempt(
        approval="A", message_id="", date=datetime(2026, 3, 2, tzinfo=UTC), point_of_no_return=_unreachable
    )
    with pytest.raises(ActionRefusedError):
        await strict.perform(action, attempt)
    assert shop.contents() == before


async def test_a_schema_that_has_changed_is_not_written_to(shop: Shop) -> None:
    """A column that is gone cannot be what people saw."""
    action = await shop.prepared(values={"note": "x"})
    shop.query("ALTER TABLE orders RENAME COLUMN note TO remark")
    with pytest.raises(ActionRefusedError, match="has no column 'note'"):
        await shop.write(action)


async def test_nobody_sees_it_before_the_commit(shop: Shop) -> None:
    """At the point of no return the transaction is open and unseen: a crash there takes it back."""
    action = await shop.prepared()
    seen: list[Any] = []
    await shop.write(action, lambda: seen.extend(shop.query("SELECT id FROM orders WHERE status = 'sent'")))
    assert seen == [(3,)]


async def test_a_store_that_fails_at_the_point_of_no_return_takes_it_back(shop: Shop) -> None:
    """What could not be recorded as begun is not done."""
    before = shop.contents()

    def fail() -> None:
        raise ConnectionError("the store is full")

    with pytest.raises(ConnectionError):
        await shop.write(await shop.prepared(), fail)
    assert shop.contents() == before
    # Nothing holds the rows any more.
    await shop.write(await shop.prepared())


# --- how it ends otherwise ---------------------------------------------------------------------------------


async def test_what_the_database_refuses_has_failed(shop: Shop) -> None:
    """A constraint is a final answer: failed with the database's words, and nothing is left of it."""
    action = await shop.prepared(
        operation="insert", table="customers", values={"id": 2, "email": "bob@example.com"}, where=None
    )
    shop.query("UPDATE customers SET email = 'bob@example.com' WHERE id = 1")
    before = shop.contents()
    receipt = await shop.write(action)
    assert receipt.status is ReceiptStatus.FAILED
    assert "unique" in receipt.summary.lower()
    assert shop.contents() == before
    assert shop.begun == []


@contextmanager
def lock_on_sqlite(place: Path) -> Iterator[None]:
    with closing(sqlite3.connect(place / "shop.sqlite3", isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield


async def test_a_lock_passes(tmp_path: Path) -> None:
    """Rows that others hold are tried again later; nothing was done."""
    shop = on_sqlite(tmp_path, timeout=timedelta(seconds=0))
    action = await shop.prepared()
    with lock_on_sqlite(tmp_path), pytest.raises(NothingDoneError, match="locked"):
        await shop.write(action)
    assert (await shop.write(action)).status is ReceiptStatus.DONE


async def test_a_reader_in_the_way_of_the_commit_is_no_doubt(tmp_path: Path) -> None:
    """SQLite's refusal to commit while others read is an answer: taken back, and tried again later."""
    shop = on_sqlite(tmp_path, timeout=timedelta(seconds=0))
    with closing(sqlite3.connect(tmp_path / "shop.sqlite3", isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM orders").fetchall()
        with pytest.raises(NothingDoneError, match="locked"):
            await shop.write(await shop.prepared())
    assert len(shop.begun) == 1
    assert shop.query("SELECT count(*) FROM orders WHERE status = 'open'") == [(2,)]


async def test_a_file_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    """A wrong path is said, and no empty database appears."""
    shop = on_sqlite(tmp_path)
    action = await shop.prepared()
    (tmp_path / "shop.sqlite3").rename(tmp_path / "moved")
    with pytest.raises(NothingDoneError, match="unable to open"):
        await shop.write(action)
    with pytest.raises(ActionRefusedError, match="shop does not answer"):
        await shop.prepared()
    assert not (tmp_path / "shop.sqlite3").exists()


@pytest.mark.server
async def test_a_connection_lost_at_the_commit_is_in_doubt(postgresql: Postgresql) -> None:
    """Silence after COMMIT was sent is doubt, and never tried again."""
    shop = on_postgresql(postgresql)
    others = "pid <> pg_backend_pid() AND datname = current_database()"
    end = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}"
    with pytest.raises(InDoubtError, match="the answer to the commit did not come"):
        await shop.write(await shop.prepared(), lambda: shop.query(end))


@pytest.mark.server
async def test_a_row_that_others_hold_on_postgresql_passes(postgresql: Postgresql) -> None:
    """A lock that is not given within the timeout is tried again later."""
    shop = on_postgresql(postgresql)
    action = await shop.prepared()
    with postgresql.connect(shop.database.url.rpartition("/")[2]) as other, other.transaction():
        other.execute("SELECT * FROM orders FOR UPDATE")
        with pytest.raises(NothingDoneError, match="timeout"):
            await shop.write(action)


# --- SQLite's own walls ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "ATTACH ':memory:' AS other",
        "PRAGMA writable_schema = ON",
        "PRAGMA user_version = 7",
        "CREATE TABLE x (y)",
        "DROP TABLE orders",
        "ALTER TABLE orders ADD COLUMN x",
        "CREATE TRIGGER t AFTER UPDATE ON orders BEGIN SELECT 1; END",
        "CREATE TEMP TABLE x (y)",
        "REINDEX",
        "ANALYZE",
        "DELETE FROM orders",
        "INSERT INTO orders (id, status) VALUES (9, 'x')",
        "UPDATE secrets SET word = 'x'",
        "WITH x AS (SELECT 1) DELETE FROM secrets",
        "SELECT load_extension('x')",
        "SAVEPOINT x",
    ],
)
def test_the_connection_takes_one_verb_on_one_table(tmp_path: Path, text: str) -> None:
    """T25: the authorizer of the action's own connection refuses the rest, whoever would ask for it."""
    shop = on_sqlite(tmp_path)
    before = shop.contents()
    connection = shop.database.writing("update", "orders")
    driver = connection.connection.driver_connection
    assert driver is not None
    with closing(connection), pytest.raises(sqlite3.DatabaseError, match=r"not authorized|prohibited"):
        driver.execute(text)
    assert shop.contents() == before


async def test_a_trigger_of_the_table_works(tmp_path: Path) -> None:
    """What the database's owner has set up beside a table belongs to it, such as a log of changes."""
    shop = on_sqlite(tmp_path)
    shop.query("CREATE TRIGGER t AFTER UPDATE ON orders BEGIN UPDATE secrets SET word = new.status; END")
    await shop.write(await shop.prepared())
    assert shop.query("SELECT word FROM secrets") == [("sent",)]


async def test_odd_values_in_a_file_are_shown_as_they_are(tmp_path: Path) -> None:
    """SQLite keeps any value in any column; none stops the reading, and octets are shown by their hash."""
    shop = on_sqlite(tmp_path)
    shop.query(
        "UPDATE orders SET due = 'soon', amount = 'much', picture = x'00ff', weight = 9e999 WHERE id = 1"
    )
    facts = shown(shop, await shop.prepared(where={"id": 1}))
    assert 'due: "soon"' in facts["Row 1"]
    assert "2 bytes, SHA-256 " in facts["Row 1"]
    assert 'weight: "inf"' in facts["Row 1"]
