"""Speaks SMTP: hands one flattened mail to the server, and says by whose fault it could not.

One connection is reused while mails follow each other closely. Whatever happens before the first octet of the
mail has left, nothing was sent; only silence after that is doubt.
"""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from email.utils import parseaddr
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from aiosmtplib import (
    SMTP,
    SMTPDataError,
    SMTPException,
    SMTPRecipientRefused,
    SMTPResponseException,
    SMTPServerDisconnected,
)
from aiosmtplib.protocol import SMTPProtocol

from gateway.core.execution import InDoubtError, MisconfiguredError, NothingDoneError
from gateway.core.transport import Security, may_send_password
from gateway.log import log

IDLE_SECONDS: Final = 30
REFUSED_SECONDS: Final = 14 * 60
"""How long after a refused login no other is tried; a little less than callers wait with each mail."""
_LONGEST_REPLY: Final = 500
_LONGEST_ADDRESS: Final = 254
_GO_AHEAD: Final = 354


class Stage(StrEnum):
    """How far the talk with the server had come."""

    CONNECT = "connect"
    EHLO = "ehlo"
    STARTTLS = "starttls"
    AUTH = "auth"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    END_OF_DATA = "end-of-data"


class MailerError(Exception):
    """The mail was not accepted, or nobody knows; the subclass says what to do about it.

    Attributes:
        stage: where it went wrong.
        refused: each refused recipient with the server's reply, when recipients were the reason.
    """

    def __init__(
        self, message: str, *, stage: Stage, refused: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        super().__init__(message)
        self.stage = stage
        self.refused = refused


class TemporaryError(MailerError, NothingDoneError):
    """Nothing was sent; try again later."""


class PermanentError(MailerError):
    """Nothing was sent, and the same mail will never be accepted; tell people."""


class ConfigurationError(MailerError, MisconfiguredError):
    """Nothing was sent, and no mail will be before an operator changes something."""


class DoubtError(MailerError, InDoubtError):
    """The mail left and the server fell silent; never send it again unasked."""


@dataclass(frozen=True, slots=True)
class SmtpSettings:
    """Where and how to hand over mail.

    `timeout` bounds each answer and `deadline` the whole mail, in seconds; the answer that accepts the mail
    may take all that is left, because giving up on it means doubt.
    """

    host: str
    port: int
    security: Security
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    timeout: float = 30
    deadline: float = 120


class Mailer:
    """Sends mails one after the other over one connection."""

    def __init__(self, settings: SmtpSettings) -> None:
        self._settings = settings
        self._lock = asyncio.Lock()
        self._smtp: SMTP | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._refusal: ConfigurationError | None = None
        self._refused_until = 0.0

    async def send(
        self,
        sender: str,
        recipients: Sequence[str],
        octets: bytes,
        *,
        before_data: Callable[[], Awaitable[None]] | None = None,
    ) -> str:
        """Send `octets`, unchanged, to all `recipients` or to none; return the server's accepting answer.

        `before_data` is awaited when every recipient was accepted and nothing has been sent yet: commit the
        point of no return in it. If it raises, nothing is sent and its exception is yours again.

        Raises:
            TemporaryError, PermanentError, ConfigurationError: nothing was sent.
            DoubtError: it may have been sent.
        """
        _check(sender, recipients, octets)
        async with self._lock:
            self._stop_idling()
            try:
                return await self._send(sender, recipients, octets, before_data)
            except asyncio.CancelledError:
                self._drop()  # an answer may be under way that the next mail would take for its own
                raise
            finally:
                self._start_idling()

    async def close(self) -> None:
        """Say goodbye, after the mail that is being sent; the next `send` would connect again."""
        async with self._lock:
            self._stop_idling()
            if self._smtp is not None and self._smtp.is_connected:
                with suppress(SMTPException, OSError):
                    await self._smtp.quit(timeout=1)
            self._drop()

    async def _send(
        self,
        sender: str,
        recipients: Sequence[str],
        octets: bytes,
        before_data: Callable[[], Awaitable[None]] | None,
    ) -> str:
        deadline = asyncio.get_running_loop().time() + self._settings.deadline
        smtp = await self._begin(sender, octets, deadline)
        try:
            await _name_recipients(smtp, recipients, deadline)
            if before_data is not None:
                await before_data()
            line = await _open_data(smtp, deadline)
            return await _hand_over(smtp, line, octets, deadline)
        except Exception:
            await _reset(smtp, deadline)
            raise

    async def _begin(self, sender: str, octets: bytes, deadline: float) -> SMTP:
        """Have a connection on which MAIL was accepted.

        A server may have closed the reused connection for idleness, which is nobody's fault: connect again.
        """
        if self._smtp is not None and self._smtp.is_connected:
            try:
                await _name_sender(self._smtp, sender, octets, deadline)
            except TemporaryError:
                if self._smtp.is_connected:
                    raise
            else:
                return self._smtp
        self._smtp = await self._connect(deadline)
        await _name_sender(self._smtp, sender, octets, deadline)
        return self._smtp

    async def _connect(self, deadline: float) -> SMTP:
        """Connect, unless the server has lately refused our login: each failure brings a lock-out nearer."""
        now = asyncio.get_running_loop().time()
        if self._refusal is not None and now < self._refused_until:
            raise ConfigurationError(f"not tried again yet: {self._refusal}", stage=self._refusal.stage)
        try:
            smtp = await _connect(self._settings, deadline)
        except ConfigurationError as error:
            self._refusal, self._refused_until = error, now + REFUSED_SECONDS
            raise
        self._refusal = None
        return smtp

    def _start_idling(self) -> None:
        if self._smtp is not None:
            self._idle = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._leave)

    def _stop_idling(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None

    def _leave(self) -> None:
        """Quit without waiting for the answer, which nobody would read."""
        if self._smtp is not None and self._smtp.protocol is not None:
            with suppress(SMTPException):
                self._smtp.protocol.write(b"QUIT\r\n")
        self._drop()

    def _drop(self) -> None:
        if self._smtp is not None:
            self._smtp.close()
            self._smtp = None


def _check(sender: str, recipients: Sequence[str], octets: bytes) -> None:
    """Refuse before connecting what would be changed, cut or obeyed on the way."""
    _check_address(sender, Stage.MAIL)
    if not recipients:
        raise PermanentError("the mail has no recipients", stage=Stage.RCPT)
    for recipient in recipients:
        _check_address(recipient, Stage.RCPT)
    if re.search(rb"\r(?!\n)|(?<!\r)\n", octets):
        raise PermanentError("the mail has a line that does not end in CR LF", stage=Stage.DATA)


def _check_address(address: str, stage: Stage) -> None:
    """Let only an address through that is the same to every parser on the way."""
    plain = re.fullmatch(r"[!-;=?-~]+@[!-;=?-~]+", address) and parseaddr(address)[1] == address
    if not plain or len(address) > _LONGEST_ADDRESS:
        raise PermanentError(f"not an address that mail can be sent to: {address!r}", stage=stage)


async def _connect(settings: SmtpSettings, deadline: float) -> SMTP:
    if settings.username is not None and not may_send_password(settings.security, settings.host):
        raise ConfigurationError("a password is never sent without TLS", stage=Stage.AUTH)
    smtp = SMTP(
        hostname=settings.host,
        port=settings.port,
        timeout=settings.timeout,
        use_tls=settings.security == Security.TLS,
        start_tls=False,
    )
    try:
        async with _step(smtp, Stage.CONNECT, deadline):
            await smtp.connect()
        await _greet(smtp, deadline)
        if settings.security == Security.STARTTLS:
            await _start_tls(smtp, deadline)
        if settings.username is not None:
            await _authenticate(smtp, settings.username, settings.password or "", deadline)
    except BaseException:
        smtp.close()
        raise
    log.info("mailer.connected", host=settings.host, port=settings.port, security=settings.security)
    return smtp


async def _greet(smtp: SMTP, deadline: float) -> None:
    async with _step(smtp, Stage.EHLO, deadline):
        await smtp.ehlo()


async def _start_tls(smtp: SMTP, deadline: float) -> None:
    if not smtp.supports_extension("starttls"):
        raise ConfigurationError("the server does not offer STARTTLS", stage=Stage.STARTTLS)
    async with _step(smtp, Stage.STARTTLS, deadline):
        await smtp.starttls()
    await _greet(smtp, deadline)


async def _authenticate(smtp: SMTP, username: str, password: str, deadline: float) -> None:
    """Log in by one mechanism only: a wrong password that is tried three times gets accounts locked."""
    mechanisms = {"plain": smtp.auth_plain, "login": smtp.auth_login, "cram-md5": smtp.auth_crammd5}
    offered = [mechanism for name, mechanism in mechanisms.items() if name in smtp.server_auth_methods]
    if not offered:
        raise ConfigurationError("the server offers no way to log in that we know", stage=Stage.AUTH)
    async with _step(smtp, Stage.AUTH, deadline):
        await offered[0](username, password)


async def _name_sender(smtp: SMTP, sender: str, octets: bytes, deadline: float) -> None:
    options = []
    if smtp.supports_extension("size"):
        options.append(f"SIZE={len(octets)}")
    if not octets.isascii():
        if not smtp.supports_extension("8bitmime"):
            raise PermanentError("the server does not take 8-bit text", stage=Stage.MAIL)
        options.append("BODY=8BITMIME")
    async with _step(smtp, Stage.MAIL, deadline):
        await smtp.mail(sender, options=options)


async def _name_recipients(smtp: SMTP, recipients: Sequence[str], deadline: float) -> None:
    refusals: list[SMTPRecipientRefused] = []
    async with _step(smtp, Stage.RCPT, deadline):
        for recipient in recipients:
            try:
                await smtp.rcpt(recipient)
            except SMTPRecipientRefused as refusal:
                refusals.append(refusal)
                if not smtp.is_connected:
                    break
    if refusals:
        raise _refused_recipients(refusals)


async def _open_data(smtp: SMTP, deadline: float) -> SMTPProtocol:
    async with _step(smtp, Stage.DATA, deadline):
        reply = await smtp.execute_command(b"DATA")
        if reply.code != _GO_AHEAD:
            raise SMTPDataError(reply.code, reply.message)
        if smtp.protocol is None:
            raise SMTPServerDisconnected("the server hung up")
        return smtp.protocol


async def _hand_over(smtp: SMTP, line: SMTPProtocol, octets: bytes, deadline: float) -> str:
    """Send the mail itself, dots stuffed (RFC 5321 section 4.5.2), and wait for the server to take it."""
    ending = b"" if octets.endswith(b"\r\n") else b"\r\n"
    async with _step(smtp, Stage.END_OF_DATA, deadline):
        line.write(re.sub(rb"(?m)^\.", b"..", octets) + ending + b".\r\n")
        reply = await line.read_response()
        if reply.code not in range(200, 300):
            raise SMTPDataError(reply.code, reply.message)
    return _quote(reply.code, reply.message)


async def _reset(smtp: SMTP, deadline: float) -> None:
    """Make the server forget the envelope, where there still is a server."""
    with suppress(MailerError):
        async with _step(smtp, Stage.RCPT, deadline):
            await smtp.rset()


@asynccontextmanager
async def _step(smtp: SMTP, stage: Stage, deadline: float) -> AsyncIterator[None]:
    """Say what a failure at `stage` means, and hang up unless it was a proper answer."""
    try:
        async with asyncio.timeout_at(deadline):
            yield
    except SMTPResponseException as error:
        if error.code not in range(400, 600):
            smtp.close()
        raise _refusal(stage, error.code)(_quote(error.code, error.message), stage=stage) from error
    except (SMTPException, OSError) as error:
        smtp.close()
        raise _silence(stage, error)(f"{stage}: {str(error) or 'no answer in time'}", stage=stage) from error


def _refusal(stage: Stage, code: int) -> type[MailerError]:
    if code in range(400, 500):
        return TemporaryError
    if code in range(500, 600):
        return ConfigurationError if stage in {Stage.STARTTLS, Stage.AUTH} else PermanentError
    return DoubtError if stage is Stage.END_OF_DATA else TemporaryError


def _silence(stage: Stage, error: Exception) -> type[MailerError]:
    if isinstance(error, ssl.SSLCertVerificationError) or isinstance(
        error.__cause__, ssl.SSLCertVerificationError
    ):
        return ConfigurationError
    return DoubtError if stage is Stage.END_OF_DATA else TemporaryError


def _refused_recipients(refusals: Sequence[SMTPRecipientRefused]) -> MailerError:
    """Permanent if any refusal is: waiting for the others would not help the mail."""
    refused = {refusal.recipient: _quote(refusal.code, refusal.message) for refusal in refusals}
    permanent = any(_refusal(Stage.RCPT, refusal.code) is PermanentError for refusal in refusals)
    message = "; ".join(f"{address}: {reply}" for address, reply in refused.items())
    return (PermanentError if permanent else TemporaryError)(message, stage=Stage.RCPT, refused=refused)


def _quote(code: int, message: str) -> str:
    """One printable line of what the server said, which strangers wrote."""
    words = message.encode("utf-8", "replace").decode().split()
    text = "".join(letter for letter in " ".join(words) if letter.isprintable())
    return f"{code} {text}"[:_LONGEST_REPLY]
