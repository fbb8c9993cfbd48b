"""The mail of a whole installation: everybody's mailbox on one server, and a record of what was delivered."""

import asyncio
import imaplib
import itertools
import smtplib
from asyncio import StreamReader, StreamWriter
from collections import defaultdict, deque
from typing import Any, Self

import aiosmtplib
from aiosmtpd.smtp import SMTP, Envelope, Session

from gateway.demo.mailserver import Delivered, MailServer
from servers.dovecot import PASSWORD, Dovecot

_numbers = itertools.count(1)


class Post(MailServer):
    """The embedded server with moods.

    `at_rcpt` and `at_dot` hold the refusals that await a recipient, first to last. A mail for somebody who
    has a gate is put into the mailbox, but its acceptance is said only when the gate is open. IMAP says
    nothing unless it is `awake`.
    """

    def __init__(self, *people: str, gateway: str = "approvals@example.com") -> None:
        super().__init__(dict.fromkeys((*people, gateway), PASSWORD))
        self.gateway = gateway
        self.at_rcpt: dict[str, deque[str]] = defaultdict(deque)
        self.at_dot: dict[str, deque[str]] = defaultdict(deque)
        self.gates: dict[str, asyncio.Event] = {}
        self.awake = asyncio.Event()
        self.awake.set()

    async def handle_RCPT(  # noqa: N802  the name is aiosmtpd's
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.at_rcpt[address]:
            return self.at_rcpt[address].popleft()
        return await super().handle_RCPT(server, session, envelope, address, options)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802  aiosmtpd's name
        for address in envelope.rcpt_tos:
            if self.at_dot[address]:
                return self.at_dot[address].popleft()
        answer = await super().handle_DATA(server, session, envelope)
        for address in envelope.rcpt_tos:
            if address in self.gates:
                await self.gates[address].wait()
        return answer

    async def send(self, sender: str, recipient: str, octets: bytes, *, login: str = "") -> None:
        """Hand in a mail, as a person with a mailbox here or as anybody can."""
        async with aiosmtplib.SMTP(hostname=self.host, port=self.smtp_port, start_tls=False) as line:
            if login:
                await line.login(login, PASSWORD)
            await line.sendmail(sender, [recipient], octets)

    async def mailbox(self, address: str, folder: str = "INBOX") -> list[bytes]:
        """Read a person's mails as a mail program does."""
        return await asyncio.to_thread(self._read, address, folder)

    async def empty(self, address: str, folder: str) -> None:
        """Delete what is in a folder, as its owner can."""
        await asyncio.to_thread(self._empty, address, folder)

    async def restart(self) -> None:
        """Take the IMAP server away from its clients and bring it back."""
        self.hang_up()

    async def _serve_imap(self, reader: StreamReader, writer: StreamWriter) -> None:
        await self.awake.wait()
        await super()._serve_imap(reader, writer)

    def _empty(self, address: str, folder: str) -> None:
        with imaplib.IMAP4(self.host, self.imap_port, timeout=10) as line:
            line.login(address, PASSWORD)
            line.select(folder)
            line.store("1:*", "+FLAGS", r"(\Deleted)")
            line.expunge()

    def _read(self, address: str, folder: str) -> list[bytes]:
        with imaplib.IMAP4(self.host, self.imap_port, timeout=10) as line:
            line.login(address, PASSWORD)
            line.select(folder, readonly=True)
            numbers = line.search(None, "ALL")[1][0].split()
            found: list[Any] = [line.fetch(number.decode(), "(BODY.PEEK[])")[1][0] for number in numbers]
        return [mail[1] for mail in found]


class DovecotPost(Post):
    """Dovecot's mailboxes, filled over LMTP; they outlive a test, so the gateway's is always a new one."""

    def __init__(self, dovecot: Dovecot, *people: str) -> None:
        super().__init__(*people, gateway=f"gateway{next(_numbers)}@example.com")
        self._dovecot = dovecot

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        self.imap_port = self._dovecot.imap_port
        return self

    async def restart(self) -> None:
        await asyncio.to_thread(self._dovecot.kill)
        await asyncio.to_thread(self._dovecot.start)

    async def _store(self, delivery: Delivered) -> None:
        await asyncio.to_thread(self._deliver, delivery)

    def _deliver(self, delivery: Delivered) -> None:
        with smtplib.LMTP("127.0.0.1", self._dovecot.lmtp_port) as line:
            line.sendmail(delivery.mail_from, [delivery.recipient], delivery.stamped)
