"""Files and databases through the running gateway: asked by mail, answered by mail, done, and told."""

import signal
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from crashing import Daemons, Point, installed
from gateway.core.execution import RowState
from running import ALICE, HIGH, OPS, PEOPLE, Gateway, running
from servers.post import Post
from website import defaults

TEXT = "Quarter 1\n=========\n\nSales: 120 — up 4%\n"
FILE = {
    "action_type": "write_file",
    "description": "Files the Q1 report.",
    "parameters": {"path": "reports/q1.txt", "content": TEXT},
    "risk_level": "low",
}
ROWS = {
    "action_type": "database_write",
    "description": "Closes the open orders.",
    "parameters": {
        "operation": "update",
        "table": "orders",
        "values": {"status": "closed"},
        "where": {"status": "open"},
    },
    "risk_level": "low",
}
ACTIONS = """
[actions.write_file]
root = "files"

[[actions.database_write]]
name = "shop"
url = "sqlite:///shop.sqlite3"
update = ["orders"]
"""


def furnish(place: Path) -> None:
    """Make a folder to write to, and a database with two open orders."""
    (place / "files" / "reports").mkdir(parents=True)
    with closing(sqlite3.connect(place / "shop.sqlite3")) as connection:
        connection.executescript(
            "CREATE TABLE orders (id INTEGER PRIMARY KEY, status TEXT);"
            "INSERT INTO orders VALUES (1, 'open'), (2, 'open'), (3, 'sent');"
        )


def statuses(place: Path) -> list[str]:
    with closing(sqlite3.connect(place / "shop.sqlite3")) as connection:
        return [status for (status,) in connection.execute("SELECT status FROM orders ORDER BY id")]


def report(place: Path) -> Path:
    return place / "files" / "reports" / "q1.txt"


def proposing(action: dict[str, Any]) -> dict[str, Any]:
    return {"input": {"proposed_action": action}}


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    """A gateway on the embedded server, with a folder and a database."""
    furnish(tmp_path)
    async with Post(*PEOPLE) as post, running(tmp_path, post, HIGH + ACTIONS) as gateway:
        yield gateway


async def test_an_approved_file_is_written(gateway: Gateway, tmp_path: Path) -> None:
    """The question shows place and content, APPROVE writes exactly that, and the outcome names the file."""
    thread = await gateway.ask(**proposing(FILE))
    asked = await gateway.letter("ask", ALICE)
    assert str(tmp_path / "files") in asked.text.replace("\n", "")
    assert "Sales: 120 — up 4%" in asked.text
    assert not report(tmp_path).exists()
    await gateway.reply(asked, "APPROVE")
    outcome = await gateway.letter("outcome", ALICE)
    assert report(tmp_path).read_text() == TEXT
    assert "carried out exactly as it was shown" in " ".join(outcome.text.split())
    status = await gateway.ended(thread)
    assert status["result"] == f"File written: {report(tmp_path)}, {len(TEXT.encode())} bytes"


async def test_a_rejected_file_is_not_written(gateway: Gateway, tmp_path: Path) -> None:
    """REJECT leaves the folder as it was."""
    await gateway.ask(**proposing(FILE))
    await gateway.reply(await gateway.letter("ask", ALICE), "REJECT")
    await gateway.letter("receipt", ALICE)
    assert list((tmp_path / "files" / "reports").iterdir()) == []


async def test_an_edited_file_is_asked_again(gateway: Gateway, tmp_path: Path) -> None:
    """MODIFY changes the path, the new question is about that, and only then it is written."""
    await gateway.ask(**proposing(FILE))
    await gateway.reply(await gateway.letter("ask", ALICE), "MODIFY\npath: reports/2026-q1.txt")
    again = await gateway.letter("ask", ALICE)
    assert "reports/2026-q1.txt" in again.text
    await gateway.reply(again, "APPROVE")
    await gateway.letter("outcome", ALICE)
    assert [path.name for path in (tmp_path / "files" / "reports").iterdir()] == ["2026-q1.txt"]


async def test_edited_rows_are_asked_again(gateway: Gateway, tmp_path: Path) -> None:
    """MODIFY in JSON changes the condition; the rows of the new question are the ones that are changed."""
    await gateway.ask(**proposing(ROWS))
    edit = 'MODIFY\nvalues: {"status": "\N{LATIN SMALL LETTER E WITH ACUTE}tabli"}\nwhere: {"id": [2]}'
    await gateway.reply(await gateway.letter("ask", ALICE), edit)
    await gateway.reply(await gateway.letter("ask", ALICE), "APPROVE")
    await gateway.letter("outcome", ALICE)
    assert statuses(tmp_path) == ["open", "établi", "sent"]


async def test_rows_are_edited_on_the_page(gateway: Gateway, tmp_path: Path) -> None:
    """The page takes JSON for a condition; what is none is said, and what is leads to other rows."""
    await gateway.ask(**proposing(ROWS))
    link = (await gateway.letter("ask", ALICE)).link
    refused = await gateway.choose(link, decision="modify", **{"edit.where": "id = 2"})
    assert (refused.status_code, "where must be JSON" in refused.text) == (422, True)
    shown = await gateway.choose(link, decision="modify", **{"edit.where": '{"id": 2}'})
    assert "Update 1 row of orders in shop" in shown.text
    confirmed = await gateway.client.post(link, data=defaults(shown.text) | {"decision": "modify"})
    assert confirmed.status_code in {200, 303}
    await gateway.choose((await gateway.letter("ask", ALICE)).link, decision="approve")
    await gateway.letter("outcome", ALICE)
    assert statuses(tmp_path) == ["open", "closed", "sent"]


async def test_a_file_that_came_meanwhile_is_told_and_kept(gateway: Gateway, tmp_path: Path) -> None:
    """T09: what changed after the question is refused at the last moment, and people hear why."""
    thread = await gateway.ask(**proposing(FILE))
    asked = await gateway.letter("ask", ALICE)
    report(tmp_path).write_text("mine")
    await gateway.reply(asked, "APPROVE")
    outcome, alert = await gateway.letter("outcome", ALICE), await gateway.letter("alert", OPS)
    assert "is there now" in " ".join(outcome.text.split())
    assert "is there now" in " ".join(alert.text.split())
    assert report(tmp_path).read_text() == "mine"
    assert "is there now" in (await gateway.ended(thread))["error"]


async def test_a_path_outside_is_refused_at_once(gateway: Gateway) -> None:
    """T23: nobody is asked, and the agent is told why."""
    outside = {**FILE, "parameters": {"path": "../../etc/cron.d/x", "content": "x"}}
    thread = await gateway.ask(**proposing(outside))
    status = await gateway.ended(thread)
    assert "path: must not contain . or .." in status["result"]
    assert gateway.letters("ask", ALICE) == []


async def test_approved_rows_are_changed(gateway: Gateway, tmp_path: Path) -> None:
    """The question shows statement and rows, APPROVE changes exactly these."""
    thread = await gateway.ask(**proposing(ROWS))
    asked = await gateway.letter("ask", ALICE)
    text = " ".join(asked.text.split())
    assert "UPDATE OR ABORT orders SET status=:set_status WHERE orders.status = :where_status" in text
    assert "2, SHA-256" in text
    assert statuses(tmp_path) == ["open", "open", "sent"]
    await gateway.reply(asked, "APPROVE")
    await gateway.letter("outcome", ALICE)
    assert statuses(tmp_path) == ["closed", "closed", "sent"]
    assert (await gateway.ended(thread))["result"] == "Update done: 2 rows of orders in shop"


@asynccontextmanager
async def killed(place: Path, action: dict[str, Any], step: str) -> AsyncIterator[tuple[Gateway, str]]:
    """A gateway that died at a step of its action and runs again; it is stopped in order."""
    furnish(place)
    async with installed(place, HIGH + ACTIONS) as gateway, Daemons() as daemons:
        await daemons.start(gateway.config, Point(step, 1))
        thread = await gateway.ask(**proposing(action))
        await gateway.reply(await gateway.letter("ask", ALICE), "APPROVE")
        assert await daemons.ended() == -signal.SIGKILL
        await daemons.start(gateway.config)
        yield gateway, thread
        assert await daemons.stopped() == 0


@pytest.mark.parametrize(
    ("step", "execution", "is_there"),
    [
        ("claimed-Perform", RowState.DONE, True),
        ("before-data", RowState.IN_DOUBT, False),
        ("after-answer", RowState.IN_DOUBT, True),
    ],
)
async def test_killed_while_a_file_is_written(
    tmp_path: Path, step: str, execution: RowState, is_there: bool
) -> None:
    """F02, F04: the file is whole or not there; past the point of no return its hash settles the doubt."""
    async with killed(tmp_path, FILE, step) as (gateway, thread):
        outcome = await gateway.letter("outcome", ALICE)
        assert (report(tmp_path).read_text() if is_there else None) == (TEXT if is_there else None)
        assert report(tmp_path).exists() is is_there
        (approval,) = (await gateway.status(thread))["approvals"]
        assert approval["execution"] == execution
        if execution is RowState.IN_DOUBT:
            alert = " ".join((await gateway.letter("alert", OPS)).text.split())
            assert "Compare the SHA-256 of the file" in alert
            assert sha256(TEXT.encode()).hexdigest() in alert
            assert "not known whether it was done" in " ".join(outcome.text.split())


@pytest.mark.parametrize(
    ("step", "execution", "after"),
    [
        ("claimed-Perform", RowState.DONE, "closed"),
        ("before-data", RowState.IN_DOUBT, "open"),
        ("after-answer", RowState.IN_DOUBT, "closed"),
    ],
)
async def test_killed_while_rows_are_changed(
    tmp_path: Path, step: str, execution: RowState, after: str
) -> None:
    """F02, F04: all rows are changed or none; past the point of no return a person can look."""
    async with killed(tmp_path, ROWS, step) as (gateway, thread):
        await gateway.letter("outcome", ALICE)
        assert statuses(tmp_path) == [after, after, "sent"]
        (approval,) = (await gateway.status(thread))["approvals"]
        assert approval["execution"] == execution
        if execution is RowState.IN_DOUBT:
            alert = " ".join((await gateway.letter("alert", OPS)).text.split())
            assert "UPDATE OR ABORT orders SET status=:set_status" in alert
