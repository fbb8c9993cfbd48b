"""Who wrote a reply, by real mail servers: Postfix with OpenDKIM checks, Dovecot stores, we read."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from gateway.core.approval import Identity, State
from gateway.core.authentication import Why
from running import ALICE, PEOPLE, Gateway, Letter, answer, octets_of, reaching, recorded, running
from servers.dovecot import Dovecot
from servers.post import DovecotPost
from servers.postfix import NAME, Postfix

pytestmark = pytest.mark.server

FORGED = f"{NAME}; dmarc=pass header.from=example.com; dkim=pass header.d=example.com"
Mail = Callable[[Postfix, Letter], bytes]


@pytest.fixture
async def gateway(tmp_path: Path, dovecot: Dovecot, postfix: Postfix) -> AsyncIterator[Gateway]:
    """A gateway that trusts Postfix, and needs no other setting for it."""
    async with (
        DovecotPost(dovecot, *PEOPLE) as post,
        running(tmp_path, post, authserv_id=NAME) as gateway,
    ):
        yield gateway


def unsigned(_: Postfix, asked: Letter) -> bytes:
    return octets_of(answer(asked, "APPROVE"))


def forging(_: Postfix, asked: Letter) -> bytes:
    return octets_of(answer(asked, "APPROVE", {"Authentication-Results": FORGED}))


def forging_oddly(_: Postfix, asked: Letter) -> bytes:
    return octets_of(answer(asked, "APPROVE", {"Authentication-Results": FORGED.replace(NAME, f"{NAME}.")}))


def signed_by_another(postfix: Postfix, asked: Letter) -> bytes:
    return postfix.signed(forging(postfix, asked), "attack.example")


def signed_and_changed(postfix: Postfix, asked: Letter) -> bytes:
    rejected = octets_of(answer(asked, "REJECT"))
    return postfix.signed(rejected, "example.com").replace(b"\r\n\r\nREJECT", b"\r\n\r\nAPPROVE")


async def filed(hand_in: Callable[[], None]) -> None:
    """Wait until the gateway has recorded what it took a mail for."""
    async with reaching("before-filing") as recorded_it:
        hand_in()
        await recorded_it.wait()


async def test_a_signed_reply_decides(gateway: Gateway, postfix: Postfix) -> None:
    """T10: signed by the reviewer's domain, checked by our server, and the vote says how it was known."""
    thread = await gateway.ask()
    asked = await gateway.letter("ask", ALICE)
    mail = postfix.signed(unsigned(postfix, asked), "example.com")
    await filed(lambda: postfix.take(mail, asked.reply_to))
    await gateway.letter("receipt", ALICE)
    (approval,) = recorded(gateway.config, lambda tx: tx.approvals_of(thread))
    assert (approval.state, approval.votes[0].identity) == (State.APPROVED, Identity.DKIM)


async def test_a_reply_from_the_house_decides(gateway: Gateway, postfix: Postfix) -> None:
    """T10: nobody checks the signature of mail from our own people; our server says who has logged in."""
    thread = await gateway.ask()
    asked = await gateway.letter("ask", ALICE)
    await filed(lambda: postfix.take_from("bob", forging(postfix, asked), asked.reply_to))
    await gateway.letter("unclear", ALICE)
    await filed(lambda: postfix.take_from("alice", unsigned(postfix, asked), asked.reply_to))
    await gateway.letter("receipt", ALICE)
    (approval,) = recorded(gateway.config, lambda tx: tx.approvals_of(thread))
    assert (approval.state, approval.votes[0].identity) == (State.APPROVED, Identity.AUTH)
    seen = recorded(gateway.config, lambda tx: tx.inbound_about(approval.id))
    assert [mail.reason for mail in seen] == [Why.UNALIGNED, "clear"]


@pytest.mark.parametrize(
    ("mail", "reason"),
    [
        (unsigned, Why.UNPROVEN),
        (forging, Why.UNPROVEN),
        (forging_oddly, Why.UNPROVEN),
        (signed_by_another, Why.UNALIGNED),
        (signed_and_changed, Why.FAILED),
    ],
)
async def test_a_forged_reply_does_not(gateway: Gateway, postfix: Postfix, mail: Mail, reason: Why) -> None:
    """T10, T12: token, From and a forged proof are nothing without a signature of the reviewer's domain."""
    thread = await gateway.ask()
    asked = await gateway.letter("ask", ALICE)
    await filed(lambda: postfix.take(mail(postfix, asked), asked.reply_to))
    await gateway.letter("unclear", ALICE)
    (approval,) = recorded(gateway.config, lambda tx: tx.approvals_of(thread))
    (seen,) = recorded(gateway.config, lambda tx: tx.inbound_about(approval.id))
    assert (approval.state, seen.reason) == (State.OPEN, reason)
    (kept,) = await gateway.post.mailbox(gateway.post.gateway, "Quarantine")
    assert kept.count(f"Authentication-Results: {NAME};".encode()) == 1
