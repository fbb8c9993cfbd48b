"""What was put aside can be seen, judged and handed in once more, and is read by the same rules then."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from builders import NOW
from gateway import quarantine
from gateway.core.tokens import Purpose
from gateway.demo.mailserver import HOSTNAME
from gateway.inbound import Filing
from gateway.quarantine import NotReleasableError
from gateway.reading.reader import Reader
from gateway.store import InboundRow, NotFoundError
from office import open_office
from running import ALICE, HIGH, PEOPLE, install, reaching, serving
from servers.post import DovecotPost, Post
from test_inbound import Box

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def reader() -> AsyncIterator[Reader]:
    reader = Reader()
    yield reader
    await reader.close()


@pytest_asyncio.fixture(loop_scope="module")
async def box(tmp_path: Path, reader: Reader) -> AsyncIterator[Box]:
    async with open_office(tmp_path / "gateway.sqlite3") as office:
        yield Box(office, reader)


@pytest_asyncio.fixture(
    loop_scope="module", params=["embedded", pytest.param("dovecot", marks=pytest.mark.server)]
)
async def post(request: pytest.FixtureRequest) -> AsyncIterator[Post]:
    is_dovecot = request.param == "dovecot"
    async with (
        DovecotPost(request.getfixturevalue("dovecot"), *PEOPLE) if is_dovecot else Post(*PEOPLE) as post
    ):
        yield post


async def listed(box: Box) -> list[dict[str, Any]]:
    return await box.office.store.read(lambda tx: quarantine.listing(tx, 100))


async def release(box: Box, n: int) -> InboundRow:
    return await box.office.store.write(lambda tx: quarantine.release(tx, n, "olga", NOW))


async def row(box: Box, n: int) -> InboundRow:
    return await box.office.store.read(lambda tx: tx.inbound_numbered(n))


async def test_mails_are_numbered_and_listed_newest_first(box: Box) -> None:
    """T72: each with sender, subject and reason; what was processed is not among them."""
    approval = await box.office.asked()
    await box.receives(b"From: a@b.example\r\nSubject: =?utf-8?q?gr=C3=BC=C3=9Fe?=\r\n\r\nAPPROVE\r\n")
    await box.receives(await box.reply(approval, "hm"))
    await box.receives(None, size=9_000_000)
    large, stranger = await listed(box)
    assert (large["id"], large["reason"], large["size"], large["from"]) == (3, "too-large", 9_000_000, None)
    assert (stranger["id"], stranger["reason"]) == (1, "no-token")
    assert (stranger["from"], stranger["subject"]) == ("a@b.example", "grüße")
    assert "grüße" in quarantine.listing_text([stranger])
    assert "nothing" in quarantine.listing_text([])


async def test_evidence_shows_what_is_hidden_and_no_handle(box: Box) -> None:
    """T33, T81: what was typed, from whom, and why it was refused; handles are masked in encoded text too."""
    approval = await box.office.asked()
    handle = await box.office.handle(approval, Purpose.REPLY)
    octets = await box.reply(
        approval,
        f"APPROVE\u202e\r\n\r\n> {handle[:20]}=\r\n{handle[20:]}\r\n> {handle}",
        From="Mallory <m@attack.example>",
        Content_Transfer_Encoding="quoted-printable",
        Subject="hi\u200bdden",
    )
    await box.receives(octets)
    kept = await row(box, 1)
    text = await box.inbound._reader.text(octets)
    told = quarantine.evidence(kept, text)
    assert told["why"] == "its From is not the person whom the handle was made for"
    assert told["line"] == "APPROVE⟦U+202E⟧"
    assert told["subject"] == "hi⟦U+200B⟧dden"
    assert "from: Mallory <m@attack.example>" in told["headers"]
    shown = quarantine.evidence_text(told)
    assert "APPROVE⟦U+202E⟧" in shown
    assert handle not in shown.replace("\n", "").replace(" ", "")


async def test_a_long_text_is_cut_for_terminals_only(box: Box) -> None:
    """An operator's screen is spared, and says where the rest is; a mail without text says so."""
    await box.receives(b"\r\n" + b"x\n" * 30_000)
    told = quarantine.evidence(await row(box, 1), "x\n" * 30_000)
    assert quarantine.evidence_text(told).endswith("and 40000 characters more, see --json")
    assert len(told["text"]) == 60_000
    assert "no text" in quarantine.evidence_text(quarantine.evidence(await row(box, 1), None))


async def test_a_released_mail_is_read_by_the_same_rules(box: Box) -> None:
    """T47: it is refused again for the same reason, under a new number; the old one says who released it."""
    stranger = b"From: a@b.example\r\n\r\nAPPROVE\r\n"
    await box.receives(stranger)
    await release(box, 1)
    assert [(each["id"], each["note"]) for each in await listed(box)] == [
        (1, "released by olga at 2026-03-02 09:30:00Z")
    ]
    assert await box.receives(stranger) is Filing.QUARANTINE
    await box.office.store.write(lambda tx: tx.released(str((tx.inbound_numbered(1)).sha256)))
    assert [(each["id"], each["reason"]) for each in await listed(box)] == [(2, "no-token")]
    assert await box.receives(stranger) is Filing.QUARANTINE
    assert (await box.row()).reason == "duplicate"


async def test_a_mail_released_in_its_place_keeps_its_number(box: Box) -> None:
    """F33: where it could not be filed it is read again at the same UID, with three tries of its own."""
    stranger = b"From: a@b.example\r\n\r\nAPPROVE\r\n"
    await box.receives(stranger, uid=7)
    await release(box, 1)
    assert await box.receives(stranger, uid=7) is Filing.QUARANTINE
    (again,) = await listed(box)
    assert (again["id"], again["tries"]) == (1, 1)
    assert again["note"].startswith("released by olga")


async def test_copies_are_released_together(box: Box) -> None:
    """The same octets in several places are one mail, which is read once."""
    stranger = b"From: a@b.example\r\n\r\nAPPROVE\r\n"
    for _ in range(3):
        await box.receives(stranger)
    await release(box, 2)
    await box.receives(stranger)
    await box.receives(stranger)
    assert [(each.filing, each.reason) for n in range(1, 6) for each in [await row(box, n)]] == [
        ("releasing", "no-token"),
        ("releasing", "duplicate"),
        ("releasing", "duplicate"),
        ("quarantine", "no-token"),
        ("quarantine", "duplicate"),
    ]


async def test_only_what_was_put_aside_is_released(box: Box) -> None:
    """A mail that was processed, or was never fetched, is refused with what to do instead."""
    approval = await box.office.asked()
    await box.receives(await box.reply(approval, "APPROVE"))
    await box.receives(None, size=9_000_000)
    with pytest.raises(NotReleasableError, match="not in quarantine: it is processed"):
        await release(box, 1)
    with pytest.raises(NotReleasableError, match=r"\[mail\] max_size"):
        await release(box, 2)
    with pytest.raises(NotFoundError, match="no mail 3"):
        await release(box, 3)


async def test_released_by_an_operator_it_decides_once_its_cause_is_mended(
    tmp_path: Path, post: Post
) -> None:
    """T72: the running gateway fetches it from the mail server; first refused again, then it decides."""
    config = install(tmp_path, post)
    right, wrong = f'authserv_id = "{HOSTNAME}"', 'authserv_id = "mx.example.net"'
    config.write_text(config.read_text().replace(right, wrong))
    async with serving(config, post) as gateway:
        thread = await gateway.ask()
        asked = await gateway.letter("ask", ALICE)
        async with reaching("before-filing") as filed:
            await gateway.reply(asked, "APPROVE")
            await filed.wait()
        (put_aside,) = await gateway.command("quarantine", "list")
        assert (put_aside["id"], put_aside["reason"]) == (1, "foreign")
        told = await gateway.command("quarantine", "show", "1")
        assert told["line"] == "APPROVE"
        assert not any(handle in str(told) for handle in asked.handles)
        async with reaching("before-filing") as filed:
            await gateway.command("quarantine", "release", "1")
            await filed.wait()
        (again,) = await gateway.command("quarantine", "list")
        assert (again["id"], again["reason"]) == (2, "foreign")
        assert (await gateway.status(thread))["approval_status"] == "pending"
    config.write_text(config.read_text().replace(wrong, right))
    async with serving(config, post) as gateway:
        await gateway.command("quarantine", "release", "2")
        await gateway.letter("outcome", ALICE)
        assert (await gateway.status(thread))["approval_status"] == "approved"
        assert await gateway.command("quarantine", "list") == []
        assert len(gateway.emails) == 1


async def test_a_mail_that_somebody_took_away_is_said_to_be_gone(tmp_path: Path) -> None:
    """F33: the request ends with a note instead of being looked for for ever."""
    async with Post(*PEOPLE) as post, serving(install(tmp_path, post, HIGH), post) as gateway:
        await gateway.ask()  # so that no mail counts as older than the gateway
        async with reaching("before-filing") as filed:
            await post.send("a@b.example", post.gateway, b"From: a@b.example\r\n\r\nAPPROVE\r\n")
            await filed.wait()
        while not await post.mailbox(post.gateway, "Quarantine"):
            pass
        await post.empty(post.gateway, "Quarantine")
        async with reaching("release-noted") as noted:
            await gateway.command("quarantine", "release", "1")
            await noted.wait()
        (row,) = await gateway.command("quarantine", "list")
        assert row["note"] == "not released: it is no longer on the mail server"
