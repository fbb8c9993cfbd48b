"""The mailer sends to all or to none, unchanged, and says by whose fault when it could not."""

import asyncio
from collections.abc import Awaitable
from pathlib import Path

import pytest

from gateway import mailer
from gateway.core.transport import Security, may_send_password
from gateway.demo.mailserver import MailServer
from gateway.mailer import (
    ConfigurationError,
    DoubtError,
    Mailer,
    MailerError,
    PermanentError,
    SmtpSettings,
    TemporaryError,
)
from servers.certificate import make_certificate
from servers.smtp import RESET, SILENCE, Peer

MAIL = b"Subject: lunch\r\n\r\nAt noon.\r\n"
STAGES = {
    "connect": "connect",
    "EHLO": "ehlo",
    "AUTH": "auth",
    "MAIL": "mail",
    "RCPT": "rcpt",
    "DATA": "data",
    ".": "end-of-data",
}


def settings(peer: Peer | MailServer, **changed: object) -> SmtpSettings:
    port = peer.port if isinstance(peer, Peer) else peer.smtp_port
    values = {"host": "127.0.0.1", "port": port, "security": Security.NONE, "username": "u", "password": "pw"}
    return SmtpSettings(**{**values, **changed})  # type: ignore[arg-type]


async def send(
    peer: Peer, octets: bytes = MAIL, *, to: tuple[str, ...] = ("bob@example.com",), **changed: object
) -> str:
    sender = Mailer(settings(peer, **changed))
    try:
        return await sender.send("gateway@example.com", to, octets)
    finally:
        await sender.close()


async def failure(sending: Awaitable[str]) -> MailerError:
    with pytest.raises(MailerError) as caught:
        await sending
    return caught.value


@pytest.mark.parametrize("where", STAGES)
async def test_a_4xx_is_temporary_at_every_stage(where: str) -> None:
    """F21: an explicit 4xx puts the mail back into the queue, also after the dot."""
    async with Peer({where: "451 4.3.0 not now"}) as peer:
        error = await failure(send(peer))
    assert type(error) is TemporaryError
    assert error.stage == STAGES[where]
    assert "451 4.3.0 not now" in str(error)


@pytest.mark.parametrize("where", STAGES)
async def test_a_5xx_is_final_at_every_stage(where: str) -> None:
    """F22, F28: an explicit 5xx refuses the mail; at AUTH it is the operator's to mend."""
    async with Peer({where: "554 5.7.1 never"}) as peer:
        error = await failure(send(peer))
    assert type(error) is (ConfigurationError if where == "AUTH" else PermanentError)
    assert error.stage == STAGES[where]


@pytest.mark.parametrize("outcome", [RESET, SILENCE])
@pytest.mark.parametrize("where", [*STAGES, "STARTTLS"])
async def test_silence_is_doubt_only_after_the_mail_has_left(
    where: str, outcome: str, certificate: Path
) -> None:
    """F24, F25, F26, F35: a reset or no answer is temporary before the dot and doubt after it."""
    ehlo = "250-peer.test\r\n250-AUTH PLAIN\r\n250 STARTTLS"
    security = Security.STARTTLS if where == "STARTTLS" else Security.NONE
    async with Peer({"EHLO": ehlo, where: outcome}, certificate) as peer:
        error = await failure(send(peer, timeout=0.1, deadline=0.3, security=security))
    assert type(error) is (DoubtError if where == "." else TemporaryError)
    assert error.stage == STAGES.get(where, "starttls")


async def test_an_unintelligible_answer_to_the_mail_is_doubt() -> None:
    """F24: what is neither acceptance nor refusal after the dot is nobody's proof."""
    async with Peer({".": "hello world"}) as peer:
        assert type(await failure(send(peer))) is DoubtError


async def test_the_deadline_counts_for_the_whole_mail() -> None:
    """F26, F35: patience with a single answer does not hold us longer than the mail's deadline."""
    async with Peer({"RCPT": SILENCE}) as peer, asyncio.timeout(5):
        error = await failure(send(peer, timeout=60, deadline=0.1))
    assert (type(error), error.stage) == (TemporaryError, "rcpt")


async def test_no_server_is_temporary() -> None:
    """F34: nobody listening, or a name that does not resolve, is told in clear text and tried again."""
    async with Peer({}) as peer:
        pass
    refused = await failure(send(peer))
    unknown = await failure(send(peer, host="mail.invalid", username=None))
    assert (type(refused), refused.stage) == (TemporaryError, "connect")
    assert (type(unknown), unknown.stage) == (TemporaryError, "connect")
    assert "mail.invalid" in str(unknown)


@pytest.mark.parametrize(
    ("reply", "kind"), [("550 5.1.1 no such user", PermanentError), ("450 4.2.0 greylisted", TemporaryError)]
)
async def test_one_refused_recipient_stops_the_mail_for_all(reply: str, kind: type[MailerError]) -> None:
    """F23: the approval was for all recipients, so RSET, nobody gets it, and each refusal is told."""
    async with Peer({"RCPT TO:<eve@example.com>": reply}) as peer:
        error = await failure(send(peer, to=("bob@example.com", "eve@example.com", "zoe@example.com")))
    assert type(error) is kind
    assert error.refused == {"eve@example.com": reply}
    assert peer.verbs[-3:] == ["RCPT", "RSET", "QUIT"]
    assert not peer.mails


@pytest.mark.parametrize("reply", ["451 4.3.0 not now", "554 5.7.1 never"])
async def test_a_refused_mail_leaves_no_envelope_behind(reply: str) -> None:
    """F21, F22: after a refusal of the mail itself RSET, or servers that forget nothing refuse the next."""
    async with Peer({".": reply}) as peer:
        await failure(send(peer))
    assert peer.verbs[-3:] == ["DATA", "RSET", "QUIT"]


async def test_mixed_refusals_are_permanent() -> None:
    """F23: waiting for the temporary refusal would not help the one that is final."""
    replies = {"RCPT TO:<a@example.com>": "450 4.2.0 later", "RCPT TO:<b@example.com>": "550 5.1.1 never"}
    async with Peer(replies) as peer:
        error = await failure(send(peer, to=("a@example.com", "b@example.com", "c@example.com")))
    assert type(error) is PermanentError
    assert set(error.refused) == {"a@example.com", "b@example.com"}


async def test_the_point_of_no_return_lies_between_recipients_and_data() -> None:
    """The caller commits when every recipient is accepted and nothing has left."""
    async with Peer({}) as peer:
        seen: list[list[str]] = []

        async def commit() -> None:
            seen.append(peer.verbs)

        sender = Mailer(settings(peer))
        answer = await sender.send("gateway@example.com", ["bob@example.com"], MAIL, before_data=commit)
        await sender.close()
    assert seen == [["EHLO", "AUTH", "MAIL", "RCPT"]]
    assert answer == "250 2.0.0 queued as 1"


async def test_a_commit_that_fails_sends_nothing() -> None:
    """The caller's exception comes back, the envelope is forgotten and the connection lives on."""

    async def fail() -> None:
        raise LookupError("taken by another worker")

    async with Peer({}) as peer:
        sender = Mailer(settings(peer))
        with pytest.raises(LookupError):
            await sender.send("gateway@example.com", ["bob@example.com"], MAIL, before_data=fail)
        await sender.send("gateway@example.com", ["bob@example.com"], MAIL)
        await sender.close()
    assert peer.verbs == ["EHLO", "AUTH", "MAIL", "RCPT", "RSET", "MAIL", "RCPT", "DATA", "QUIT"]
    assert len(peer.mails) == peer.connections == 1


async def test_one_connection_serves_many_mails() -> None:
    """Mails that follow each other share a connection, also when one of them is refused."""
    async with Peer({"RCPT TO:<eve@example.com>": "550 5.1.1 no"}) as peer:
        sender = Mailer(settings(peer))
        for recipient in ("bob@example.com", "eve@example.com", "zoe@example.com"):
            try:
                await sender.send("gateway@example.com", [recipient], MAIL)
            except PermanentError:
                continue
        await sender.close()
    assert peer.connections == 1
    assert len(peer.mails) == 2


@pytest.mark.parametrize("goodbye", ["quietly", "with 421"])
async def test_a_connection_that_the_server_closed_is_opened_again(goodbye: str) -> None:
    """The server's idle timeout is nobody's fault: the next mail goes out on a new connection."""
    async with Peer({}) as peer:
        sender = Mailer(settings(peer))
        await sender.send("gateway@example.com", ["bob@example.com"], MAIL)
        if goodbye == "quietly":
            peer.hang_up()
        else:
            peer.replies["MAIL FROM:<second@example.com> SIZE=28"] = "421 4.4.2 idle for too long"
            peer.replies["EHLO"] = "250-peer.test\r\n250 AUTH PLAIN"
        await sender.send("second@example.com", ["bob@example.com"], MAIL)
        await sender.close()
    assert (peer.connections, len(peer.mails)) == (2, 2)


async def test_an_idle_connection_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that nobody used for a while says QUIT by itself."""
    monkeypatch.setattr(mailer, "IDLE_SECONDS", 0)
    async with Peer({}) as peer:
        sender = Mailer(settings(peer))
        await sender.send("gateway@example.com", ["bob@example.com"], MAIL)
        await peer.left.wait()
    assert peer.verbs[-1] == "QUIT"


async def test_a_cancelled_mail_leaves_no_answer_behind() -> None:
    """After a cancellation the next mail gets a connection on which questions and answers match."""
    async with Peer({"RCPT TO:<slow@example.com>": SILENCE}) as peer:
        sender = Mailer(settings(peer))
        slow = asyncio.create_task(sender.send("gateway@example.com", ["slow@example.com"], MAIL))
        await peer.heard("RCPT")
        slow.cancel()
        with pytest.raises(asyncio.CancelledError):
            await slow
        assert await sender.send("gateway@example.com", ["bob@example.com"], MAIL) == "250 2.0.0 queued as 1"
        await sender.close()
    assert peer.connections == 2


async def test_mails_are_sent_one_after_the_other() -> None:
    """Two senders at once share the connection without mixing their envelopes."""
    async with Peer({}) as peer:
        sender = Mailer(settings(peer))
        await asyncio.gather(
            *(sender.send("gateway@example.com", ["bob@example.com"], MAIL) for _ in range(3))
        )
        await sender.close()
    assert peer.connections == 1
    assert peer.verbs == ["EHLO", "AUTH", *["MAIL", "RCPT", "DATA"] * 3, "QUIT"]


@pytest.mark.parametrize(
    "address",
    [
        "bob@example.com\r\nRCPT TO:<eve@example.com>",
        "bob@example.com\n",
        "bob@example.com\0",
        "bob @example.com",
        "bob@example.com> SIZE=1",
        "bób@example.com",
        "bob@exämple.com",
        "Bob <bob@example.com>",
        "bob@example.com,eve@example.com",
        "bob(comment)@example.com",
        "bob",
        "",
        "b" * 250 + "@example.com",
    ],
)
async def test_an_address_that_is_a_command_never_reaches_the_server(address: str) -> None:
    """T51: addresses with control characters, spaces, brackets or non-ASCII are refused before connecting."""
    async with Peer({}) as peer:
        sender = Mailer(settings(peer))
        to = await failure(sender.send("gateway@example.com", ["bob@example.com", address], MAIL))
        by = await failure(sender.send(address, ["bob@example.com"], MAIL))
    assert (type(to), to.stage, type(by), by.stage) == (PermanentError, "rcpt", PermanentError, "mail")
    assert peer.connections == 0


async def test_a_mail_for_nobody_is_refused() -> None:
    """An empty list of recipients is a mistake of ours that the server need not hear of."""
    async with Peer({}) as peer:
        assert type(await failure(send(peer, to=()))) is PermanentError
    assert peer.connections == 0


@pytest.mark.parametrize("end", [b"\n.\n", b"\n.\r\n", b"\r.\r", b"\r\n.\n", b"\r.\r\n", b"\r\n.\r"])
async def test_a_body_cannot_end_the_mail_early(end: bytes) -> None:
    """T50, T52: what some server could take for the end of data is refused before connecting."""
    async with Peer({}) as peer:
        assert (
            type(await failure(send(peer, MAIL + end + b"MAIL FROM:<eve@example.com>\r\n"))) is PermanentError
        )
    assert peer.connections == 0


async def test_dots_are_stuffed(mail_server: MailServer) -> None:
    """T52: a line that is a single dot arrives as that, in one mail."""
    octets = MAIL + b".\r\n..\r\n.hidden\r\nMAIL FROM:<eve@example.com>\r\n"
    sender = Mailer(settings(mail_server, username=None))
    await sender.send("gateway@example.com", ["alice@example.com"], octets)
    await sender.close()
    assert [delivery.octets for delivery in mail_server.deliveries] == [octets]


async def test_every_octet_arrives(mail_server: MailServer) -> None:
    """What was approved is what the server receives: UTF-8, trailing blanks, long lines, no final newline."""
    octets = b"Subject: x\r\nReferences: <" + b"r" * 900 + b">\r\n\r\nCaf\xc3\xa9 \t \r\n\r\n\r\nend"
    sender = Mailer(settings(mail_server, username="alice@example.com", password="wonderland"))
    answer = await sender.send("gateway@example.com", ["alice@example.com", "bob@example.com"], octets)
    await sender.close()
    assert answer == "250 2.0.0 delivered 2"
    assert {(delivery.recipient, delivery.octets) for delivery in mail_server.deliveries} == {
        ("alice@example.com", octets + b"\r\n"),
        ("bob@example.com", octets + b"\r\n"),
    }


async def test_8_bit_text_is_announced_or_not_sent() -> None:
    """A server that does not take 8-bit text would change it, so it is not asked to."""
    text = MAIL + "Café\r\n".encode()
    async with Peer({}) as peer:
        await send(peer, text)
        peer.replies["EHLO"] = "250-peer.test\r\n250 AUTH PLAIN"
        assert type(await failure(send(peer, text))) is PermanentError
        await send(peer, MAIL)
    mails = [command for command in peer.commands if command.startswith("MAIL")]
    assert mails == [
        "MAIL FROM:<gateway@example.com> SIZE=35 BODY=8BITMIME",
        "MAIL FROM:<gateway@example.com>",
    ]


async def test_a_wrong_password_is_tried_once() -> None:
    """F28: one mechanism, one attempt, and the operator is to mend it; the password is in no message."""
    async with Peer({"AUTH": "535 5.7.8 wrong"}) as peer:
        error = await failure(send(peer, password="correct horse"))
    assert (type(error), error.stage) == (ConfigurationError, "auth")
    assert peer.verbs == ["EHLO", "AUTH"]
    assert "correct horse" not in f"{error!r} {settings(peer, password='correct horse')!r}"


async def test_many_mails_make_no_storm_of_logins() -> None:
    """F28: after a refused login the next mails fail without asking the server again."""
    async with Peer({"AUTH": "535 5.7.8 wrong"}) as peer:
        mailer = Mailer(settings(peer))
        for _ in range(20):
            error = await failure(mailer.send("gateway@example.com", ["bob@example.com"], MAIL))
            assert (type(error), error.stage) == (ConfigurationError, "auth")
        await mailer.close()
    assert peer.verbs.count("AUTH") == 1


async def test_a_server_without_login_is_a_configuration_error() -> None:
    """Credentials were configured; sending without them is not what the operator asked for."""
    async with Peer({"EHLO": "250 peer.test"}) as peer:
        error = await failure(send(peer))
    assert (type(error), error.stage) == (ConfigurationError, "auth")


async def test_a_stripped_starttls_sends_no_password() -> None:
    """F27, T76: where STARTTLS is asked for and not offered, we leave before AUTH and MAIL."""
    async with Peer({}) as peer:
        error = await failure(send(peer, security=Security.STARTTLS))
    assert (type(error), error.stage) == (ConfigurationError, "starttls")
    assert peer.verbs == ["EHLO"]


@pytest.mark.parametrize("security", [Security.TLS, Security.STARTTLS])
@pytest.mark.parametrize("certificate_for", ["stranger", "other.example.com"])
async def test_a_wrong_certificate_sends_no_password(
    security: Security,
    certificate_for: str,
    certificate: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """F27, T76: an unknown authority or another host's name is refused before AUTH."""
    if certificate_for != "stranger":
        certificate = make_certificate(tmp_path, certificate_for)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    replies = {"EHLO": "250-peer.test\r\n250-AUTH PLAIN\r\n250 STARTTLS"}
    async with Peer(replies, certificate, tls=security is Security.TLS) as peer:
        error = await failure(send(peer, security=security))
    assert type(error) is ConfigurationError
    assert "certificate" in str(error)
    assert "AUTH" not in peer.verbs


@pytest.mark.parametrize("security", [Security.TLS, Security.STARTTLS])
async def test_mail_travels_under_tls(
    security: Security, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T76: with a certificate of a known authority both kinds of TLS carry login and mail."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    replies = {"EHLO": "250-peer.test\r\n250-AUTH PLAIN\r\n250 STARTTLS"}
    async with Peer(replies, certificate, tls=security is Security.TLS) as peer:
        assert await send(peer, security=security) == "250 2.0.0 queued as 1"
    assert ("STARTTLS" in peer.verbs) is (security is Security.STARTTLS)


async def test_a_password_needs_tls_unless_the_server_is_this_machine() -> None:
    """T76: without TLS a password is sent to loopback only, and no connection is made otherwise."""
    async with Peer({}) as peer:
        error = await failure(send(peer, host="mail.example.com"))
    assert (type(error), error.stage) == (ConfigurationError, "auth")
    assert [
        may_send_password(Security.NONE, host)
        for host in ("localhost", "127.0.0.9", "::1", "10.0.0.1", "local")
    ] == [True, True, True, False, False]


async def test_what_the_server_says_is_made_printable() -> None:
    """A reply is a stranger's text: one line, no control characters, no broken encoding, not endless."""
    async with Peer({"MAIL": "550-first\r\n550 \x1b[31msecond " + "x" * 900}) as peer:
        error = await failure(send(peer))
    assert str(error).startswith("550 first [31msecond xxx")
    assert len(str(error)) == 500
