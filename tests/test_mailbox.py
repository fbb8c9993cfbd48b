"""The mailbox hands over every new mail, files it, and outlives what servers do; on both kinds of server."""

import asyncio
import imaplib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway.core.transport import Security
from gateway.demo.mailserver import MailServer
from gateway.mailbox import Arrival, Filing, ImapSettings, Mailbox, Wanted, retry_delay
from gateway.mailbox.link import SetupError, connected
from servers.dovecot import PASSWORD, Dovecot
from servers.fixtures import Account
from servers.proxy import Proxy


def mail(subject: str, text: str = "Approve.") -> bytes:
    return f"Subject: {subject}\r\n\r\n{text}\r\n".encode()


def subject(arrival: Arrival) -> str:
    assert arrival.octets is not None
    return arrival.octets.partition(b"Subject: ")[2].partition(b"\r\n")[0].decode()


class Desk:
    """Receives as the gateway would: keeps a baseline for each UIDVALIDITY, and decides by subject."""

    def __init__(self) -> None:
        self.arrivals: asyncio.Queue[Arrival] = asyncio.Queue()
        self.floors: dict[int, int] = {}
        self.ready = asyncio.Event()
        self.decide: Callable[[Arrival], Filing] = lambda _: Filing.PROCESSED

    async def receive(self, arrival: Arrival) -> Filing:
        self.arrivals.put_nowait(arrival)
        return self.decide(arrival)

    async def baseline(self, uidvalidity: int, uidnext: int) -> int:
        floor = self.floors.setdefault(uidvalidity, uidnext - 1)
        self.ready.set()
        return floor

    async def subjects(self, count: int) -> list[str]:
        return [subject(await self.arrivals.get()) for _ in range(count)]

    async def until(self, name: str) -> None:
        """Wait for one mail; others may come again, because a connection broke before they were filed."""
        while await self.subjects(1) != [name]:
            pass


def settings(account: Account, proxy: Proxy, **changed: object) -> ImapSettings:
    values = {
        "host": "127.0.0.1",
        "port": proxy.port,
        "security": Security.NONE,
        "username": account.login,
        "password": account.password,
        "timeout": 5,
        "retry": 0.01,
    }
    return ImapSettings(**{**values, **changed})  # type: ignore[arg-type]


@asynccontextmanager
async def watching(account: Account, proxy: Proxy, desk: Desk, **changed: object) -> AsyncIterator[Mailbox]:
    """A mailbox that has its baseline when the test begins."""
    mailbox = Mailbox(settings(account, proxy, **changed), receive=desk.receive, baseline=desk.baseline)
    task = asyncio.create_task(mailbox.run())
    try:
        await desk.ready.wait()
        yield mailbox
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def proxy(imap_server: Account) -> AsyncIterator[Proxy]:
    async with Proxy(imap_server.imap_port) as proxy:
        yield proxy


@pytest.fixture
def desk() -> Desk:
    return Desk()


async def folder(account: Account, name: str) -> list[str]:
    """The subjects in a folder, as another client sees them."""
    return await asyncio.to_thread(_folder, account, name)


def _folder(account: Account, name: str) -> list[str]:
    with imaplib.IMAP4("127.0.0.1", account.imap_port) as client:
        client.login(account.login, account.password)
        assert client.select(f'"{name}"')[0] == "OK", name
        found = client.search(None, "ALL")[1][0].split()
        texts = [client.fetch(number.decode(), "(BODY.PEEK[])")[1][0] for number in found]
    octets = [text[1] for text in texts if isinstance(text, tuple)]
    return [text.partition(b"Subject: ")[2].partition(b"\r\n")[0].decode() for text in octets]


async def test_old_mail_is_left_alone(imap_server: Account, proxy: Proxy, desk: Desk) -> None:
    """What lay in the box before the first connect is neither received nor filed."""
    await imap_server.post(mail("old"))
    async with watching(imap_server, proxy, desk):
        await imap_server.post(mail("new"))
        assert await desk.subjects(1) == ["new"]
        await proxy.heard(b"MOVE", then=b"IDLE")
    assert await folder(imap_server, "INBOX") == ["old"]
    assert await folder(imap_server, "Processed") == ["new"]


async def test_new_mail_is_pushed_as_it_came(imap_server: Account, proxy: Proxy, desk: Desk) -> None:
    """Octets, size, time and number of a mail are the server's; the mailbox knows that it is well."""
    octets = mail("Café", "naïve \t \r\n.\r\n\r\n)\r\n* OK {3}\r\nA1 OK\r\n" + "x" * 900)
    async with watching(imap_server, proxy, desk, mailbox="inbox") as mailbox:
        await imap_server.post(octets, tag="+handle")
        arrival = await desk.arrivals.get()
        assert mailbox.connected
        assert mailbox.last_error is None
        assert mailbox.last_round_at is not None
    assert arrival.octets is not None
    assert arrival.octets.endswith(octets)
    assert arrival.size == len(arrival.octets)
    assert abs(arrival.received_at - datetime.now(UTC)) < timedelta(minutes=5)
    assert desk.floors == {arrival.uidvalidity: arrival.uid - 1}
    assert not mailbox.connected


async def test_mail_is_filed_as_decided(imap_server: Account, proxy: Proxy, desk: Desk) -> None:
    """Processed and quarantined mails land in their folders, whose names may need encoding."""
    names = {"processed": "Done & geprüft", "quarantine": 'Un"known\\'}
    desk.decide = lambda arrival: Filing.QUARANTINE if subject(arrival) == "bad" else Filing.PROCESSED
    async with watching(imap_server, proxy, desk, **names):
        await imap_server.post(mail("good"))
        await imap_server.post(mail("bad"))
        assert await desk.subjects(2) == ["good", "bad"]
        await proxy.heard(b"MOVE", 2, then=b"IDLE")
    assert await folder(imap_server, "INBOX") == []
    assert await folder(imap_server, "Done &- gepr&APw-ft") == ["good"]
    assert await folder(imap_server, r"Un\"known\\") == ["bad"]


async def test_mails_that_come_together_are_all_received(
    imap_server: Account, proxy: Proxy, desk: Desk
) -> None:
    """One push may stand for many mails."""
    async with watching(imap_server, proxy, desk):
        await asyncio.gather(*(imap_server.post(mail(f"mail {number}")) for number in range(5)))
        assert sorted(await desk.subjects(5)) == [f"mail {number}" for number in range(5)]
    assert desk.arrivals.empty()


async def test_mail_for_later_is_tried_again(imap_server: Account, proxy: Proxy, desk: Desk) -> None:
    """LATER leaves the mail where it is until the next round, without holding up others."""
    answers = iter([Filing.LATER, Filing.LATER])
    desk.decide = lambda arrival: (
        next(answers, Filing.PROCESSED) if subject(arrival) == "later" else Filing.PROCESSED
    )
    async with watching(imap_server, proxy, desk, poll=0.05):
        await imap_server.post(mail("later"))
        assert await desk.subjects(3) == ["later"] * 3
        await imap_server.post(mail("next"))
        assert await desk.subjects(1) == ["next"]
    assert (await folder(imap_server, "Processed"))[:1] == ["later"]


async def test_a_mail_that_nobody_can_handle_stops_no_other(
    imap_server: Account, proxy: Proxy, desk: Desk
) -> None:
    """T72: an exception while receiving leaves the mail for later, and the next one is received."""

    def decide(arrival: Arrival) -> Filing:
        if subject(arrival) == "poison":
            raise RecursionError
        return Filing.PROCESSED

    desk.decide = decide
    with capture_logs() as logs:
        async with watching(imap_server, proxy, desk):
            await imap_server.post(mail("poison"))
            await imap_server.post(mail("good"))
            await desk.until("good")
            await proxy.heard(b"MOVE", then=b"IDLE")
    assert await folder(imap_server, "INBOX") == ["poison"]
    assert {entry["event"] for entry in logs} >= {"mailbox.connected", "mailbox.receive_failed"}


async def test_large_mail_is_never_fetched(imap_server: Account, proxy: Proxy, desk: Desk) -> None:
    """T73: the size is asked first, and octets beyond the limit do not come over the line."""
    async with watching(imap_server, proxy, desk, max_size=2000):
        await imap_server.post(mail("large", "x" * 900 + "\r\n" + "y" * 900 + "\r\n" + "z" * 900))
        arrival = await desk.arrivals.get()
    assert arrival.octets is None
    assert arrival.size > 2700
    assert b"BODY" not in proxy.sent


async def test_a_cut_connection_misses_nothing(imap_server: Account, proxy: Proxy, desk: Desk) -> None:
    """F29: after a reset in the middle of IDLE we are back, and receive what came meanwhile."""
    async with watching(imap_server, proxy, desk) as mailbox:
        target, proxy.target = proxy.target, 1
        proxy.cut()
        await imap_server.post(mail("meanwhile"))
        proxy.target = target
        assert await desk.subjects(1) == ["meanwhile"]
        assert mailbox.connected
    assert len(desk.floors) == 1


async def test_a_dead_connection_is_noticed(imap_server: Account, proxy: Proxy, desk: Desk) -> None:
    """F29, F35: where nothing passes and nothing fails, renewing IDLE finds out and connects anew."""
    async with watching(imap_server, proxy, desk, renew_idle=0.1, timeout=0.3):
        proxy.freeze()
        await imap_server.post(mail("new"))
        assert await desk.subjects(1) == ["new"]
    assert proxy.connections == 2


async def test_a_server_without_idle_is_polled(imap_server: Account, proxy: Proxy, desk: Desk) -> None:
    """Mail arrives without pushes too."""
    proxy.down = lambda octets: octets.replace(b" IDLE", b" XDLE")
    async with watching(imap_server, proxy, desk, poll=0.05):
        await imap_server.post(mail("new"))
        assert await desk.subjects(1) == ["new"]
    assert b"IDLE" not in proxy.sent


@pytest.mark.parametrize("missing", [(b" MOVE",), (b" MOVE", b" UIDPLUS")])
async def test_a_server_without_move_still_files(
    imap_server: Account, proxy: Proxy, desk: Desk, missing: tuple[bytes, ...]
) -> None:
    """Copying and deleting does what MOVE would."""

    def without(octets: bytes) -> bytes:
        for word in missing:
            octets = octets.replace(word, b" X")
        return octets

    proxy.down = without
    async with watching(imap_server, proxy, desk):
        await imap_server.post(mail("new"))
        await desk.subjects(1)
        await proxy.heard(b"EXPUNGE", then=b"IDLE")
    assert await folder(imap_server, "INBOX") == []
    assert await folder(imap_server, "Processed") == ["new"]


async def test_a_mail_that_cannot_be_filed_stays(imap_server: Account, proxy: Proxy, desk: Desk) -> None:
    """F33: it is not offered again on this connection, stops nothing, and is offered on the next one."""
    proxy.up = lambda octets: octets.replace(b"UID MOVE", b"UID XOVE")
    async with watching(imap_server, proxy, desk):
        await imap_server.post(mail("first"))
        assert await desk.subjects(1) == ["first"]
        await proxy.heard(b"MOVE", then=b"IDLE")
        await imap_server.post(mail("second"))
        assert await desk.subjects(1) == ["second"]
        await proxy.heard(b"MOVE", 2, then=b"IDLE")
        proxy.up = bytes
        proxy.cut()
        assert await desk.subjects(2) == ["first", "second"]
        await proxy.heard(b"MOVE", 4, then=b"IDLE")
    assert await folder(imap_server, "Processed") == ["first", "second"]


async def test_missing_folders_stop_nothing(imap_server: Account, proxy: Proxy, desk: Desk) -> None:
    """F33: a server that lets us create no folder still lets us read."""
    proxy.up = lambda octets: octets.replace(b"CREATE", b"XREATE")
    async with watching(imap_server, proxy, desk):
        await imap_server.post(mail("new"))
        assert await desk.subjects(1) == ["new"]


@pytest.mark.parametrize("literal", [b"BODY[] {x", b"BODY[] NIL", b"BODY[] {99999999"])
async def test_an_unreadable_mail_is_reported_without_text(
    imap_server: Account, proxy: Proxy, desk: Desk, literal: bytes
) -> None:
    """F32: a malformed or endless literal costs three tries at most, and the next mail is read."""
    desk.decide = lambda arrival: Filing.QUARANTINE if arrival.octets is None else Filing.PROCESSED
    async with watching(imap_server, proxy, desk, timeout=0.3):
        proxy.down = lambda octets: octets.replace(b"BODY[] {", literal)
        await imap_server.post(mail("broken"))
        assert (await desk.arrivals.get()).octets is None
        proxy.down = bytes
        await imap_server.post(mail("good"))
        assert await desk.subjects(1) == ["good"]
    assert await folder(imap_server, "Quarantine") == ["broken"]


async def test_a_mail_that_breaks_the_connection_is_given_up(
    imap_server: Account, proxy: Proxy, desk: Desk
) -> None:
    """F32, T72: after three lost connections over one mail it is reported without its text."""

    def breaking(octets: bytes) -> bytes:
        if b"BODY" in octets and b"+BREAK" not in octets:
            proxy.cut()
        return octets

    async with watching(imap_server, proxy, desk):
        proxy.up = breaking
        await imap_server.post(mail("broken"))
        assert (await desk.arrivals.get()).octets is None
        proxy.up = bytes
        await imap_server.post(mail("good"))
        assert await desk.subjects(1) == ["good"]
    assert proxy.connections == 4


async def test_a_flood_of_updates_costs_no_mail(imap_server: Account, proxy: Proxy, desk: Desk) -> None:
    """F29: another client marks thousands of mails; the library chokes on it, and we connect anew."""
    async with watching(imap_server, proxy, desk):
        proxy.inject(b"* 1 FETCH (FLAGS (\\Seen))\r\n" * 5000)
        await imap_server.post(mail("new"))
        assert await desk.subjects(1) == ["new"]


async def test_a_wrong_password_does_not_storm(imap_server: Account, proxy: Proxy, desk: Desk) -> None:
    """F28: one attempt, then minutes of silence; the operator is told why, and the password is not."""
    account = Account(imap_server.login, "correct horse", imap_server.imap_port, imap_server.smtp_port)
    mailbox = Mailbox(settings(account, proxy), receive=desk.receive, baseline=desk.baseline)
    with capture_logs() as logs:
        task = asyncio.create_task(mailbox.run())
        await proxy.heard(b"LOGIN")
        await proxy.deserted()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert [entry["event"] for entry in logs] == ["mailbox.disconnected"]
    assert logs[0]["retry_in"] >= 60
    assert mailbox.last_error is not None
    assert "refused the login" in mailbox.last_error
    assert "correct horse" not in f"{logs} {mailbox.last_error} {settings(account, proxy)!r}"


def wanted(arrival: Arrival, **changed: Any) -> Wanted:
    values: dict[str, Any] = {
        "sha256": sha256(arrival.octets or b"").hexdigest(),
        "size": arrival.size,
        "uidvalidity": arrival.uidvalidity,
        "uid": arrival.uid,
    }
    return Wanted(**(values | changed))


@pytest.mark.parametrize("size", ["known", "unknown"])
async def test_what_was_put_aside_is_taken_back(
    imap_server: Account, proxy: Proxy, desk: Desk, size: str
) -> None:
    """T72, T88: found by size and octets among others that look alike, it is received like a new mail."""
    desk.decide = lambda _: Filing.QUARANTINE
    async with watching(imap_server, proxy, desk) as mailbox:
        for text in ("one", "two", "six"):
            await imap_server.post(mail("same", text))
        arrivals = [await desk.arrivals.get() for _ in range(3)]
        await proxy.heard(b"MOVE", 3, then=b"IDLE")
        desk.decide = lambda _: Filing.PROCESSED
        middle = wanted(arrivals[1], **({} if size == "known" else {"size": None}))
        gone = wanted(arrivals[0], sha256="00" * 32)
        assert await mailbox.take_back([middle, gone]) == {middle.sha256}
        again = await desk.arrivals.get()
        assert again.octets == arrivals[1].octets
        assert again.uid > arrivals[2].uid
        await proxy.heard(b"MOVE", 5, then=b"IDLE")
    assert len(await folder(imap_server, "Quarantine")) == 2
    assert await folder(imap_server, "Processed") == ["same"]
    assert b"HEADER" not in proxy.sent


async def test_what_could_not_be_filed_is_taken_back_where_it_lies(
    imap_server: Account, proxy: Proxy, desk: Desk
) -> None:
    """F33: with no folder to put it aside in, a mail is received again in its place, at once."""
    desk.decide = lambda _: Filing.QUARANTINE
    proxy.up = lambda octets: octets.replace(b"UID MOVE", b"UID XOVE")
    async with watching(imap_server, proxy, desk) as mailbox:
        await imap_server.post(mail("new"))
        arrival = await desk.arrivals.get()
        await proxy.heard(b"MOVE", then=b"IDLE")
        assert await mailbox.take_back([wanted(arrival)]) == {wanted(arrival).sha256}
        assert (await desk.arrivals.get()).uid == arrival.uid


async def test_nothing_is_taken_back_from_an_empty_quarantine(
    imap_server: Account, proxy: Proxy, desk: Desk
) -> None:
    """What somebody has moved or deleted is said not to be there."""
    async with watching(imap_server, proxy, desk) as mailbox:
        await imap_server.post(mail("new"))
        arrival = await desk.arrivals.get()
        await proxy.heard(b"MOVE", then=b"IDLE")
        assert await mailbox.take_back([wanted(arrival)]) == set()
    assert desk.arrivals.empty()


async def test_a_store_that_fails_is_asked_again(imap_server: Account, proxy: Proxy, desk: Desk) -> None:
    """When no baseline can be had, no mail is touched, and the next connect asks for it again."""
    failures = [OSError("disk full")] * 2

    async def baseline(uidvalidity: int, uidnext: int) -> int:
        if failures:
            raise failures.pop()
        return await Desk.baseline(desk, uidvalidity, uidnext)

    desk.baseline = baseline  # type: ignore[method-assign]
    async with watching(imap_server, proxy, desk):
        await imap_server.post(mail("new"))
        assert await desk.subjects(1) == ["new"]
    assert proxy.connections == 3


async def test_a_cancelled_mailbox_says_goodbye(imap_server: Account, proxy: Proxy, desk: Desk) -> None:
    """Stopping the daemon ends IDLE and logs out, and leaves no task behind."""
    before = asyncio.all_tasks()
    async with watching(imap_server, proxy, desk):
        await proxy.heard(b"IDLE")
    await proxy.deserted()
    assert proxy.sent.endswith(b"LOGOUT\r\n")
    assert b"DONE\r\n" in proxy.sent
    assert [task for task in asyncio.all_tasks() - before if "aioimaplib" in repr(task)] == []


async def test_a_new_uidvalidity_has_a_new_baseline(desk: Desk) -> None:
    """F30: when the server numbers its mails anew, the old numbers mean nothing."""
    async with MailServer({"approvals": PASSWORD}) as first:
        account = Account("approvals", PASSWORD, first.imap_port, first.smtp_port)
        async with Proxy(first.imap_port) as proxy, watching(account, proxy, desk):
            await account.post(mail("one"))
            assert await desk.subjects(1) == ["one"]
            async with MailServer({"approvals": PASSWORD}) as second:
                proxy.target = second.imap_port
                desk.ready.clear()
                first.hang_up()
                await desk.ready.wait()
                await Account("approvals", PASSWORD, second.imap_port, second.smtp_port).post(mail("two"))
                assert await desk.subjects(1) == ["two"]
    assert len(desk.floors) == 2


@pytest.mark.server
async def test_a_restarted_server_misses_nothing(
    dovecot: Dovecot, dovecot_account: Account, desk: Desk
) -> None:
    """F29: BYE, and a server that is killed and started again, both end in a new connection."""
    async with Proxy(dovecot.imap_port) as proxy, watching(dovecot_account, proxy, desk):
        dovecot.kick(dovecot_account.login)
        await dovecot_account.post(mail("after BYE"))
        await desk.until("after BYE")
        dovecot.kill()
        dovecot.start()
        await dovecot_account.post(mail("after restart"))
        await desk.until("after restart")


@pytest.mark.server
@pytest.mark.parametrize("security", [Security.TLS, Security.STARTTLS])
async def test_mail_is_read_under_tls(
    dovecot: Dovecot,
    dovecot_account: Account,
    desk: Desk,
    security: Security,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """T76: both kinds of TLS carry login and mail, and nothing of either is readable on the way."""
    monkeypatch.setenv("SSL_CERT_FILE", str(dovecot.certificate))
    port = dovecot.imaps_port if security is Security.TLS else dovecot.imap_port
    async with Proxy(port) as proxy, watching(dovecot_account, proxy, desk, security=security):
        await dovecot_account.post(mail("new"))
        assert await desk.subjects(1) == ["new"]
    assert b"LOGIN" not in proxy.sent


async def refusal(account: Account, proxy: Proxy, security: Security) -> str:
    with pytest.raises(SetupError) as caught:
        async with connected(settings(account, proxy, security=security)):
            pytest.fail("connected")
    return str(caught.value)


@pytest.mark.server
@pytest.mark.parametrize("security", [Security.TLS, Security.STARTTLS])
async def test_an_unknown_certificate_gets_no_password(
    dovecot: Dovecot, dovecot_account: Account, security: Security
) -> None:
    """T76, F27: a certificate that no authority signed is refused before LOGIN."""
    async with Proxy(dovecot.imaps_port if security is Security.TLS else dovecot.imap_port) as proxy:
        assert "certificate" in await refusal(dovecot_account, proxy, security)
    assert b"LOGIN" not in proxy.sent


async def test_a_stripped_starttls_gets_no_password(imap_server: Account, proxy: Proxy) -> None:
    """T76, F27: where STARTTLS is asked for and not offered, we leave before LOGIN."""
    proxy.down = lambda octets: octets.replace(b" STARTTLS", b" XTARTTLS")
    assert "STARTTLS" in await refusal(imap_server, proxy, Security.STARTTLS)
    assert b"LOGIN" not in proxy.sent


@pytest.mark.server
async def test_words_before_tls_are_not_believed(dovecot: Dovecot, dovecot_account: Account) -> None:
    """T76: an answer that somebody put in between STARTTLS and TLS ends the connection (CVE-2011-0411)."""
    async with Proxy(dovecot.imap_port) as proxy:
        proxy.down = lambda octets: octets.replace(b"negotiation now.\r\n", b"negotiation now.\r\n* BYE")
        assert "between" in await refusal(dovecot_account, proxy, Security.STARTTLS)


async def test_a_password_needs_tls_unless_the_server_is_this_machine() -> None:
    """T76: without TLS no connection is made to another machine."""
    with pytest.raises(SetupError, match="TLS"):
        async with connected(ImapSettings("mail.example.com", 143, Security.NONE, "u", "p")):
            pytest.fail("connected")


@pytest.mark.parametrize("injected", ["a\r\nb", "a\0b"])
async def test_a_login_name_cannot_carry_a_command(imap_server: Account, proxy: Proxy, injected: str) -> None:
    """T88: a line break in a name is refused by us, before the server could obey it."""
    account = Account(injected, "pw", imap_server.imap_port, imap_server.smtp_port)
    with pytest.raises(ValueError, match="not allowed"):
        async with connected(settings(account, proxy)):
            pytest.fail("connected")
    assert b"LOGIN" not in proxy.sent


def test_pauses_grow_to_a_limit() -> None:
    """F29: the first retry comes within the first pause, later ones are at most the longest apart."""
    pauses = [retry_delay(failures, 1, 60) for failures in range(1, 2000)]
    assert 0.5 <= pauses[0] <= 1
    assert all(30 <= pause <= 60 for pause in pauses[6:])
