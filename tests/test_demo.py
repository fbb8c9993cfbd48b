"""The demo: one approval from the request to the delivered mail, and what it leaves behind."""

import json
from email import message_from_bytes
from pathlib import Path

import pytest

from gateway.config import load
from gateway.core.approval import State
from gateway.demo import story
from gateway.store import open_reader


def listing(place: Path) -> list[str]:
    return sorted(path.name for path in place.iterdir())


async def test_story(tmp_path: Path) -> None:
    """The demo tells each step, and what arrives is what was approved, octet for octet."""
    lines: list[str] = []
    facts = await story.run(tmp_path / "kept", lines.append)
    assert (facts.envelope, facts.headers, facts.body, facts.faithful) == (True, True, True, True)
    assert facts.decided_by == "alice@example.com by reply"
    assert facts.result == "Email sent to team@example.com"
    told = "\n".join(lines)
    for word in ("rita@example.com", "alice@example.com", "APPROVE", "team@example.com", facts.approval):
        assert word in told


async def test_json(tmp_path: Path) -> None:
    """Machines get every fact under a name of its own."""
    printed = json.loads(story.as_json(await story.run(tmp_path / "kept", lambda _: None)))
    assert set(printed) == {
        "approval",
        "digest",
        "decided_by",
        "envelope",
        "headers",
        "body",
        "faithful",
        "result",
        "seconds",
        "mails",
    }
    assert set(printed["seconds"]) == {"asked", "delivered", "ended"}
    assert printed["faithful"] is True
    assert len(printed["digest"]) == 64


async def test_kept(tmp_path: Path) -> None:
    """The demo leaves configuration, store and each mail, by number, kind and recipient, where told."""
    place = tmp_path / "kept"
    await story.run(place, lambda _: None)
    names = listing(place / "mail")
    assert [name.split("-")[0] for name in names] == [f"{n:02}" for n in range(1, len(names) + 1)]
    assert sorted(name.partition("-")[2] for name in names) == [
        "ask-alice.eml",
        "email-team.eml",
        "outcome-alice.eml",
        "outcome-rita.eml",
        "receipt-alice.eml",
        "reply-approvals.eml",
    ]
    (email,) = (place / "mail").glob("*-email-team.eml")
    assert message_from_bytes(email.read_bytes())["Subject"] == "Q1 report"
    config = load(place / "config.toml", {})
    with open_reader(config.store_path) as tx:
        assert [approval.state for approval in tx.approvals()] == [State.APPROVED]


async def test_kept_elsewhere(tmp_path: Path) -> None:
    """A directory that holds something is not written to."""
    (tmp_path / "mine").write_text("precious")
    with pytest.raises(story.DemoFailedError, match="not empty"):
        await story.run(tmp_path, lambda _: None)
    assert listing(tmp_path) == ["mine"]
