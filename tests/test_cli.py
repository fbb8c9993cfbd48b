"""Commands for people: what they print, and what their exit codes say."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import structlog
from typer.testing import CliRunner, Result

from builders import NOW
from gateway import __version__
from gateway.cli import Exit, app
from gateway.core.approval import Approval, State
from gateway.store import InboundRow, SqliteStore
from office import BOTH, FOREIGN, open_office

CONFIG = """
[gateway]
base_url = "https://gateway.example.com"
data_dir = "data"
operators = ["ops@example.com"]
[smtp]
host = "localhost"
security = "none"
from = "approvals@example.com"
[imap]
host = "localhost"
security = "none"
username = "approvals"
password_file = "secret"
[mail]
reply_to = "approvals@example.com"
authserv_id = "mx.example.com"
[[keys]]
file = "key"
created = 2026-01-01
[planner]
kind = "offline"
[[reviewers]]
name = "Alice"
email = "alice@example.com"
aliases = ["a.lee@example.org"]
[[reviewers]]
name = "Bob"
email = "bob@example.com"
"""


@pytest.fixture(autouse=True)
def _logging() -> Iterator[None]:
    """Commands configure logging for a process of their own; here the next test gets the default back."""
    yield
    structlog.reset_defaults()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "config.toml").write_text(CONFIG, "utf-8")
    for name in ("secret", "key"):
        (tmp_path / name).touch(mode=0o600)
        (tmp_path / name).write_text("k" * 32, "utf-8")
    return tmp_path


@pytest.fixture
def approval(home: Path) -> Approval:
    """An open question in the database that the commands look at."""

    async def ask() -> Approval:
        async with open_office(home / "data" / "gateway.sqlite3") as office:
            office.later(days=36_500)
            return await office.asked()

    return asyncio.run(ask())


def gateway(home: Path, *arguments: str, code: Exit = Exit.DONE) -> Result:
    """Run a command and check its exit code."""
    result = CliRunner().invoke(app, [*arguments], env={"GATEWAY_CONFIG": str(home / "config.toml")})
    assert result.exit_code == code, result.output
    return result


def printed(home: Path, *arguments: str, code: Exit = Exit.DONE) -> Any:
    return json.loads(gateway(home, *arguments, "--json", code=code).stdout)


def state_of(home: Path, approval: Approval) -> State:
    async def look() -> State:
        store = SqliteStore(home / "data" / "gateway.sqlite3", [b"k" * 32])
        found = await store.read(lambda tx: tx.approval(approval.id))
        await store.close()
        return found.state

    return asyncio.run(look())


def test_the_version_is_the_packages(home: Path) -> None:
    """For people and for machines."""
    assert gateway(home, "version").stdout.strip() == __version__
    assert printed(home, "version") == {"version": __version__}


def test_a_good_configuration_is_said_to_be_good(home: Path) -> None:
    """Exit code 0, and the file's name."""
    assert "good" in gateway(home, "config", "check").stdout
    assert printed(home, "config", "check")["good"]


def test_a_wrong_configuration_prints_all_errors_at_once(home: Path) -> None:
    """Each with its key and a hint, exit code 78; `run` prints the same and starts nothing."""
    broken = CONFIG.replace("base_url", "bas_url").replace('security = "none"', 'security = "nonne"', 1)
    (home / "config.toml").write_text(broken, "utf-8")
    text = gateway(home, "config", "check", code=Exit.BAD_CONFIG).stdout
    assert "gateway.bas_url: unknown key (did you mean 'base_url'?)" in text
    assert "smtp.security" in text
    assert gateway(home, "run", code=Exit.BAD_CONFIG).stderr.count("error:") >= 2
    assert not (home / "data").exists()


def test_looking_before_the_first_run_says_what_to_do(home: Path) -> None:
    """There is no database yet: that is unavailable, not a crash."""
    assert "gateway run" in gateway(home, "list", code=Exit.UNAVAILABLE).stderr


def test_open_questions_are_listed(home: Path, approval: Approval) -> None:
    """With number, risk, deadline and what would be done."""
    text = gateway(home, "list").stdout
    assert approval.id in text
    assert "Send email to team@example.com: Q1 report" in text
    (row,) = printed(home, "list")["approvals"]
    assert (row["id"], row["state"], row["risk"]) == (approval.id, "open", "medium")
    assert printed(home, "list", "--state", "approved")["approvals"] == []
    assert "no state 'opne'" in gateway(home, "list", "--state", "opne", code=Exit.USAGE).stderr


def test_one_approval_is_told_as_a_story(home: Path, approval: Approval) -> None:
    """The number may be typed in any case; an unknown one is not found."""
    told = printed(home, "show", approval.id.lower())
    assert [entry["what"] for entry in told["timeline"]] == ["Opened"]
    assert told["actions"][0]["parameters"]["subject"] == "Q1 report"
    assert "opened" in gateway(home, "show", approval.id).stdout
    assert "no approval NOTHING1" in gateway(home, "show", "nothing1", code=Exit.NOT_FOUND).stderr


def test_a_reviewer_decides_from_the_command_line(home: Path, approval: Approval) -> None:
    """By any of their addresses; a second decision is told that it is too late."""
    decided = printed(home, "decide", approval.id, "reject", "--as", "A.Lee@example.org", "--comment", "no")
    assert decided["answer"] == "rejected"
    assert "said reject by cli (os-user, user " in gateway(home, "show", approval.id).stdout
    assert state_of(home, approval) is State.REJECTED
    late = printed(home, "decide", approval.id, "approve", "--as", "bob@example.com", code=Exit.NOT_SO)
    assert late["answer"] == "already-decided"


def test_one_item_of_several_is_decided_by_its_number(home: Path) -> None:
    """`ID.2` is the second; the story says how each stands, and an item that is not there is refused."""

    async def ask() -> str:
        async with open_office(home / "data" / "gateway.sqlite3", FOREIGN) as office:
            office.later(days=36_500)
            return (await office.asked_at_once(BOTH, BOTH)).id

    number = asyncio.run(ask())
    decided = printed(home, "decide", f"#{number.lower()}.2", "reject", "--as", "bob@example.com")
    assert (decided["answer"], decided["state"], decided["undecided"]) == ("recorded", "open", [1])
    told = gateway(home, "show", number).stdout
    assert "1. tool:refund: undecided, approved by 0\n  order: A1\n2. tool:refund: reject" in told
    assert "bob@example.com said reject to item 2 by cli" in told
    late = gateway(
        home, "decide", f"{number}.2", "approve", "--as", "alice@example.com", code=Exit.NOT_SO
    ).stdout
    assert "already decided; still undecided: 1" in late
    assert "such as" in gateway(home, "decide", f"{number}.b", "approve", "--as", "x", code=Exit.USAGE).stderr
    nowhere = printed(home, "decide", f"{number}.3", "approve", "--as", "bob@example.com", code=Exit.REFUSED)
    assert nowhere["answer"] == "no-such-item"
    assert printed(home, "decide", number, "approve", "--as", "alice@example.com")["state"] == "decided"
    assert "1. tool:refund: approve" in gateway(home, "show", number).stdout


def test_only_a_reviewer_decides(home: Path, approval: Approval) -> None:
    """Anybody else is refused by policy, and the question stays open."""
    refused = printed(home, "decide", approval.id, "approve", "--as", "x@example.com", code=Exit.REFUSED)
    assert refused["answer"] == "not-a-reviewer"
    assert state_of(home, approval) is State.OPEN


def test_an_edit_from_the_command_line_is_typed_json(home: Path, approval: Approval) -> None:
    """Values are JSON; what is no JSON, or no field, is explained."""
    command = ("decide", approval.id, "modify", "--as", "alice@example.com", "--set")
    assert "needs quotes" in gateway(home, *command, "subject=Hello", code=Exit.USAGE).stderr
    assert "FIELD=JSON" in gateway(home, *command, "subject", code=Exit.USAGE).stderr
    refused = printed(home, *command, 'from="x@example.com"', code=Exit.REFUSED)
    assert "from cannot be changed" in refused["problems"][0]
    assert printed(home, *command, 'subject="Hello"')["state"] == "superseded"


def test_a_question_is_taken_back(home: Path, approval: Approval) -> None:
    """And only once."""
    assert printed(home, "cancel", approval.id, "--reason", "wrong month")["answer"] == "cancelled"
    assert printed(home, "cancel", approval.id, code=Exit.NOT_SO)["answer"] == "already-decided"


@pytest.mark.parametrize("command", [("graphs", "check"), ("adopt",)])
def test_help_names_the_table_of_a_graph(tmp_path: Path, command: tuple[str, ...]) -> None:
    """What stands in brackets is taken for markup by the help's printer, and would be missing."""
    assert "graphs.NAME" in gateway(tmp_path, *command, "--help").stdout


def test_there_must_be_a_doubt_to_resolve(home: Path, approval: Approval) -> None:
    """Resolving needs the word, and something to resolve."""
    assert "in doubt" in gateway(home, "resolve", approval.id, "--done", code=Exit.NOT_SO).stderr
    assert "--done or --not-done" in gateway(home, "resolve", approval.id, code=Exit.USAGE).stderr


@pytest.fixture
def stranger(home: Path) -> InboundRow:
    """A mail in quarantine, as the daemon records it."""
    row = InboundRow(
        account="a",
        folder="INBOX",
        uidvalidity=1,
        uid=5,
        filing="quarantine",
        reason="no-token",
        sha256="ff",
        received_at=NOW,
        handled_at=NOW,
        octets=b"From: a@b.example\r\nSubject: hi\xe2\x80\xaedden\r\n\r\nAPPR=\r\n",
        size=40,
    )

    async def record() -> None:
        async with open_office(home / "data" / "gateway.sqlite3") as office:
            await office.store.write(lambda tx: tx.record_inbound(row))

    asyncio.run(record())
    return row


@pytest.mark.usefixtures("stranger")
def test_quarantine_is_listed_shown_and_released(home: Path) -> None:
    """By a number that can be typed; releasing asks the gateway, and asking twice asks once."""
    assert "hi⟦U+202E⟧dden" in gateway(home, "quarantine", "list").stdout
    (row,) = printed(home, "quarantine", "list")
    assert (row["id"], row["reason"], row["from"]) == (1, "no-token", "a@b.example")
    assert "APPR=" in gateway(home, "quarantine", "show", "1").stdout
    assert printed(home, "quarantine", "show", "1")["text"] == "APPR=\n"
    assert printed(home, "quarantine", "release", "1", "--by", "olga") == {"id": 1, "filing": "releasing"}
    gateway(home, "quarantine", "release", "1")
    assert printed(home, "quarantine", "list")[0]["note"].startswith("released by olga")


@pytest.mark.usefixtures("stranger")
def test_an_unknown_mail_is_not_found(home: Path) -> None:
    """Exit codes say what is not there, and what is no number."""
    for command in ("show", "release"):
        assert "no mail 2" in gateway(home, "quarantine", command, "2", code=Exit.NOT_FOUND).stderr
        gateway(home, "quarantine", command, "x", code=Exit.USAGE)


def test_what_was_never_fetched_is_not_released(home: Path, stranger: InboundRow) -> None:
    """T73: there is nothing to read; what to do instead is said."""

    async def record() -> None:
        async with open_office(home / "data" / "gateway.sqlite3") as office:
            large = replace(stranger, uid=6, reason="too-large", sha256=None, octets=None, size=9_000_000)
            await office.store.write(lambda tx: tx.record_inbound(large))

    asyncio.run(record())
    assert "max_size" in gateway(home, "quarantine", "release", "2", code=Exit.NOT_SO).stderr
    assert "9000000 bytes" in gateway(home, "quarantine", "show", "2").stdout


def test_a_request_is_recorded_for_the_daemon(home: Path) -> None:
    """Without a daemon it waits on disk; it carries text, or an action as it is."""
    recorded = printed(home, "submit", "Send an email to team@example.com about the Q1 report")
    assert recorded["thread_id"]
    action = json.dumps({"action_type": "send_email", "parameters": {}})
    assert printed(home, "submit", "--action", action)["thread_id"] != recorded["thread_id"]
    gateway(home, "submit", code=Exit.USAGE)
    assert "not JSON" in gateway(home, "submit", "--action", "{", code=Exit.USAGE).stderr


def test_the_manual_and_the_schema_are_printed(home: Path) -> None:
    """For people and for editors."""
    assert "base_url" in gateway(home, "config", "describe").stdout
    assert json.loads(gateway(home, "config", "schema").stdout)["type"] == "object"


def test_times_are_compared_in_the_future(approval: Approval) -> None:
    """The fixture's question is open whenever these tests run."""
    assert approval.expires_at.year > NOW.year + 50


def test_a_thread_is_shown_with_all_that_it_asked(home: Path, approval: Approval) -> None:
    """Also one that asked nobody: a refused action would be nowhere else to be seen."""
    assert [each["id"] for each in printed(home, "show", approval.thread)["approvals"]] == [approval.id]
    refused = printed(home, "submit", "Send an email to team@example.com about lunch")["thread_id"]
    assert "has put no question to anybody" in gateway(home, "show", refused).stdout
    gateway(home, "show", "NOTHING", code=Exit.NOT_FOUND)
