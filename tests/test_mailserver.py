"""The embedded server delivers what it is sent, unchanged, to whom it was sent, and tells who waits."""

import asyncio
import imaplib

import pytest

from gateway.core.authentication import Method, Trust, Verdict, Why, verify
from gateway.core.transport import Security
from gateway.demo.mailserver import HOSTNAME, MailServer
from gateway.mailer import ConfigurationError, Mailer, PermanentError, SmtpSettings

MAIL = b"Subject: hello\r\n\r\n.dot \t\r\n\r\nCaf\xc3\xa9\r\n\r\n"


async def send(
    server: MailServer, *recipients: str, password: str | None = None, octets: bytes = MAIL
) -> None:
    username = None if password is None else "alice@example.com"
    mailer = Mailer(SmtpSettings(server.host, server.smtp_port, Security.NONE, username, password))
    try:
        await mailer.send("carol@example.org", recipients, octets)
    finally:
        await mailer.close()


def inbox(server: MailServer, login: str, password: str) -> list[bytes]:
    with imaplib.IMAP4(server.host, server.imap_port) as client:
        client.login(f'"{login}"', password)
        client.select()
        found = client.search(None, "ALL")[1][0].split()
        texts = [client.fetch(number.decode(), "(BODY.PEEK[])")[1][0] for number in found]
    return [text[1] for text in texts if isinstance(text, tuple)]


async def test_a_copy_for_each_recipient(mail_server: MailServer) -> None:
    """Every envelope recipient gets the octets untouched, below a trace of their way."""
    await send(mail_server, "Alice@Example.com", "bob+handle@example.com")
    delivery = await mail_server.delivered(lambda mail: mail.recipient == "bob+handle@example.com")
    assert (delivery.mail_from, delivery.octets) == ("carol@example.org", MAIL)
    [copy] = await asyncio.to_thread(inbox, mail_server, "bob@example.com", "builder")
    trace, _, below = copy.partition(b"Subject: ")
    assert b"Subject: " + below == MAIL
    lines = trace.decode().splitlines()
    assert lines[:2] == ["Return-Path: <carol@example.org>", "Delivered-To: bob+handle@example.com"]
    assert f" by {HOSTNAME}; {delivery.at:%a}" in lines[3]
    assert len(await asyncio.to_thread(inbox, mail_server, "alice@example.com", "wonderland")) == 1


async def test_strangers_are_refused(mail_server: MailServer) -> None:
    """A recipient without a mailbox is answered 550, and nobody else gets the mail."""
    with pytest.raises(PermanentError) as caught:
        await send(mail_server, "alice@example.com", "alice@example.net")
    assert caught.value.refused == {"alice@example.net": "550 5.1.1 no such user"}
    assert mail_server.deliveries == []


async def test_a_local_part_receives_for_every_domain() -> None:
    """A login without a domain is a mailbox wherever the mail was addressed to."""
    async with MailServer({"approvals": "secret"}) as server:
        await send(server, "approvals@example.com", "approvals+token@gateway.example.net")
        assert len(await asyncio.to_thread(inbox, server, "approvals", "secret")) == 2


async def test_waiting_for_a_delivery(mail_server: MailServer) -> None:
    """A test waits for the mail it wants, leaving out what came before, and not for time."""
    await send(mail_server, "alice@example.com")
    waiting = asyncio.create_task(mail_server.delivered(lambda mail: True, after=1))
    await send(mail_server, "bob@example.com")
    assert (await waiting).recipient == "bob@example.com"
    assert (await mail_server.delivered(lambda mail: True)).recipient == "alice@example.com"


async def test_who_logged_in_is_said_on_top(mail_server: MailServer) -> None:
    """RFC 8601: the server vouches for the login, and says that it knows nothing of others."""
    await send(mail_server, "bob@example.com", password="wonderland")
    await send(mail_server, "bob@example.com")
    copies = await asyncio.to_thread(inbox, mail_server, "bob@example.com", "builder")
    trust = Trust(server=HOSTNAME, received=0)
    verdicts = [verify(copy, "alice@example.com", trust) for copy in copies]
    assert verdicts == [Verdict(Method.AUTH, Why.AUTHENTICATED), Verdict(None, Why.UNPROVEN)]
    assert verify(copies[0], "carol@example.org", trust).why is Why.UNALIGNED


@pytest.mark.parametrize(
    "forged",
    [
        f"Authentication-Results: {HOSTNAME}; auth=pass smtp.auth=alice@example.com",
        f"AUTHENTICATION-RESULTS:\r\n\t{HOSTNAME.upper()};\r\n auth=pass smtp.auth=alice@example.com",
        f"Authentication-Results : (x) {HOSTNAME}; auth=pass smtp.auth=alice@example.com",
    ],
)
async def test_its_own_word_is_not_taken_from_others(mail_server: MailServer, forged: str) -> None:
    """T12: what a mail brings under the server's name is taken out, what others have said stays."""
    others = "Authentication-Results: mx.example.net; none\r\n"
    octets = f"{others}{forged}\r\n".encode() + MAIL + f"{forged}\r\n".encode()
    await send(mail_server, "bob@example.com", octets=octets)
    [copy] = await asyncio.to_thread(inbox, mail_server, "bob@example.com", "builder")
    header, _, body = copy.partition(b"\r\n\r\n")
    assert b"auth=pass" not in header
    assert header.endswith(others.encode() + b"Subject: hello")
    assert body.endswith(f"{forged}\r\n".encode())
    assert verify(copy, "alice@example.com", Trust(server=HOSTNAME)).why is Why.UNPROVEN


async def test_passwords_are_checked(mail_server: MailServer) -> None:
    """SMTP and IMAP let nobody in with a wrong password; SMTP takes local mail without one."""
    await send(mail_server, "bob@example.com", password="wonderland")
    with pytest.raises(ConfigurationError):
        await send(mail_server, "bob@example.com", password="looking-glass")
    with pytest.raises(imaplib.IMAP4.error):
        await asyncio.to_thread(inbox, mail_server, "bob@example.com", "wonderland")
