"""The world around what is measured: a sink that takes every mail, a mailbox with IMAP, and a reviewer."""

import asyncio
import email
import re
import time
from collections import Counter
from dataclasses import dataclass
from email import policy
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import Self

import aiosmtplib
from aiosmtpd.smtp import SMTP, Envelope, Session

from benchmarks.subject import GATEWAY, PASSWORD, REVIEWER
from gateway.demo.mailserver import MailServer

_KEY = re.compile(rb"team\+(\d+)@")
_LETTER = re.compile(rb"^X-Approval-Letter: (\S+)\r$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail as it was taken, and when."""

    at: float
    octets: bytes


class Outside:
    """Takes mail on `smtp_port`, keeps the gateway's mailbox on `imap_port`, and answers questions.

    `mails` counts what was taken.
    """

    def __init__(self) -> None:
        self.mails: Counter[str] = Counter()
        self._expected: dict[tuple[str, str], asyncio.Future[Mail]] = {}
        self._mailbox = MailServer({GATEWAY: PASSWORD, REVIEWER: PASSWORD})

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        await self._mailbox.__aenter__()
        self._sink = await loop.create_server(
            lambda: SMTP(self, enable_SMTPUTF8=True, loop=loop), "127.0.0.1", 0
        )
        self.smtp_port: int = self._sink.sockets[0].getsockname()[1]
        self.imap_port = self._mailbox.imap_port
        self._pen = aiosmtplib.SMTP(hostname="127.0.0.1", port=self._mailbox.smtp_port, start_tls=False)
        await self._pen.connect()
        await self._pen.login(REVIEWER, PASSWORD)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._pen.quit()
        self._sink.close()
        await self._mailbox.__aexit__()

    def expect(self, kind: str, key: str) -> asyncio.Future[Mail]:
        """Tell when the mail of this kind about this approval is taken: `ask`, `email`, or another letter."""
        return self._expected.setdefault((kind, key), asyncio.get_running_loop().create_future())

    async def reply(self, question: Mail) -> float:
        """Answer like a phone does, APPROVE above the quoted mail; return when that lay in the mailbox."""
        answer, to = _answer(question)
        before = len(self._mailbox.deliveries)
        await self._pen.sendmail(REVIEWER, [to], answer)
        delivered = await self._mailbox.delivered(lambda mail: mail.recipient == to, after=before)
        return delivered.at.timestamp()

    async def handle_DATA(  # noqa: N802  the name is aiosmtpd's
        self, _server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        """Take a mail and tell whoever expects it."""
        mail = Mail(time.time(), envelope.original_content or b"")
        letter, about = _LETTER.search(mail.octets), _KEY.search(mail.octets)
        assert about is not None, "a mail about none of our approvals"
        kind = letter[1].decode() if letter else "email"
        self.mails[kind] += 1
        if waiting := self._expected.pop((kind, about[1].decode()), None):
            waiting.set_result(mail)
        return "250 2.0.0 taken"


def _answer(question: Mail) -> tuple[bytes, str]:
    asked = email.message_from_bytes(question.octets, policy=policy.default)
    shown = asked.get_body(("plain",))
    assert shown is not None
    quoted = "".join(f"> {line}\n" for line in shown.get_content().splitlines())
    reply = EmailMessage()
    reply["From"] = f"Alice <{REVIEWER}>"
    reply["To"] = asked["Reply-To"]
    reply["Subject"] = f"Re: {asked['Subject']}"
    reply["Date"] = formatdate(localtime=False)
    reply["Message-ID"] = make_msgid(domain="phone.example.com")
    reply["In-Reply-To"] = asked["Message-ID"]
    reply.set_content(f"APPROVE\n\nOn Monday, Approval gateway <{GATEWAY}> wrote:\n{quoted}")
    octets = reply.as_bytes(policy=policy.SMTP.clone(max_line_length=998))
    return octets, asked["Reply-To"].addresses[0].addr_spec
