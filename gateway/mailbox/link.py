"""One connection to an IMAP server: the only code that knows the library, and what it leaves undone."""

import asyncio
import logging
import re
import socket
import ssl
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, TypeVar

from aioimaplib import IMAP4, AioImapException, Command
from aioimaplib.aioimaplib import quoted

from gateway.core.transport import Security, may_send_password

# Below this level the library writes mails and passwords to its log.
logging.getLogger("aioimaplib").setLevel(logging.WARNING)

_FAREWELL_SECONDS: Final = 2
_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True)
class ImapSettings:
    """Where mail arrives and where it is filed; times are seconds, sizes octets.

    `renew_idle` is how long a silent connection is trusted to push, `poll` how often a server is asked that
    cannot push, and how soon a mail that was left for later is tried again. `timeout` bounds each answer.
    `retry` is the first pause after a lost connection; it doubles up to a minute.
    """

    host: str
    port: int
    security: Security
    username: str
    password: str = field(repr=False)
    mailbox: str = "INBOX"
    processed: str = "Processed"
    quarantine: str = "Quarantine"
    max_size: int = 2 * 1024 * 1024
    renew_idle: float = 540
    poll: float = 60
    timeout: float = 30
    retry: float = 1


class LinkError(Exception):
    """The connection is of no more use."""


class SetupError(Exception):
    """The server will not have us before an operator changes something."""


class RefusedError(Exception):
    """The server answered NO, BAD or gibberish to one command."""


class Link:
    """One connection: every answer has its deadline, and a lost connection wakes whoever waits.

    The library does neither for most commands, and takes NO for an answer like any other.
    """

    def __init__(self, settings: ImapSettings) -> None:
        self._settings = settings
        self._lost: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
        self._tls = None if settings.security == Security.NONE else ssl.create_default_context()
        self._client = IMAP4(
            settings.host,
            settings.port,
            timeout=settings.timeout,
            conn_lost_cb=self._note_loss,
            ssl_context=self._tls if settings.security == Security.TLS else None,
        )

    async def login(self) -> None:
        """Log in, under TLS if the settings say so, and learn what the server can do.

        Raises:
            SetupError: trying again soon would not help, and could get the account locked.
        """
        await self._within(self._client.wait_hello_from_server())
        self._keep_alive()
        if self._settings.security == Security.STARTTLS:
            await self._start_tls()
        if self._client.has_capability("LOGINDISABLED"):
            raise SetupError("the server takes no passwords over this connection")
        try:
            await self._ask(self._client.login(quoted(self._settings.username), self._settings.password))
        except RefusedError as error:
            if re.search(r"\[(UNAVAILABLE|INUSE|LIMIT|SERVERBUG)\]", str(error)):
                raise
            raise SetupError(f"the server refused the login: {error}") from error
        await self._within(self._client.protocol.capability())  # what it said before LOGIN holds no longer

    async def ensure_folder(self, name: str) -> None:
        """Create the folder unless it is there."""
        folder = _encode_folder(name)
        if len(await self._ask(self._client.list('""', folder))) == 1:
            await self._ask(self._client.create(folder))

    async def select(self, mailbox: str) -> tuple[int, int]:
        """Return UIDVALIDITY and UIDNEXT."""
        lines = b"\n".join(await self._ask(self._client.select(_encode_folder(mailbox))))
        return _number(rb"UIDVALIDITY (\d+)", lines), _number(rb"UIDNEXT (\d+)", lines)

    async def noop(self) -> None:
        """Let the server notice what was delivered: a SEARCH misses it otherwise."""
        await self._ask(self._client.noop())

    async def search(self, floor: int) -> tuple[list[int], int | None]:
        """Return the uids above `floor`, and how many mails there are if the server says so meanwhile.

        The NOOP is in flight with the SEARCH because the library drops an EXISTS that comes with any other
        answer, and the server would not push it again.
        """
        search = self._client.uid_search("UID", f"{floor + 1}:*", charset=None)
        found, heard = await asyncio.gather(self._ask(search), self._ask(self._client.noop()))
        uids = {int(word) for line in found[:-1] for word in line.split()}
        counts = [int(match[1]) for line in heard if (match := re.match(rb"(\d+) EXISTS", line))]
        # RFC 3501 section 6.4.4: n:* always names the last mail, also where its uid is below n.
        return sorted(uid for uid in uids if uid > floor), counts[-1] if counts else None

    async def describe(self, uid: int) -> tuple[int, datetime] | None:
        """Return size and time of arrival; None if the mail is gone."""
        lines = await self._ask(self._client.uid("fetch", str(uid), "(UID RFC822.SIZE INTERNALDATE)"))
        line = next((line for line in lines if re.search(rb"\bUID %d\b" % uid, line)), None)
        if line is None:
            return None
        date = re.search(rb'INTERNALDATE " ?([^"]+)"', line)
        if date is None:
            raise RefusedError("no date of arrival")
        return _number(rb"RFC822\.SIZE (\d+)", line), _date(date[1].decode("ascii", "replace"))

    async def sizes(self, uids: Sequence[int]) -> dict[int, int]:
        """Return the sizes of the mails that are there."""
        wanted = ",".join(map(str, uids))
        lines = await self._ask(self._client.uid("fetch", wanted, "(UID RFC822.SIZE)"))
        return {
            _number(rb"\bUID (\d+)", line): _number(rb"RFC822\.SIZE (\d+)", line)
            for line in lines
            if b"RFC822.SIZE" in line
        }

    async def fetch(self, uid: int) -> bytes:
        """Return the whole mail, without marking it as read."""
        lines = await self._ask(self._client.uid("fetch", str(uid), "(UID BODY.PEEK[])"))
        literals = [bytes(line) for line in lines if isinstance(line, bytearray)]
        if len(literals) != 1:
            raise RefusedError("no literal with the mail's text")
        return literals[0]

    async def move(self, uid: int, folder: str) -> None:
        """Move the mail, by hand where the server has no MOVE; it is copied before it is deleted."""
        number, target, client = str(uid), _encode_folder(folder), self._client
        if client.has_capability("MOVE"):
            await self._ask(client.uid("move", number, target))
            return
        await self._ask(client.uid("copy", number, target))
        await self._ask(client.uid("store", number, "+FLAGS.SILENT", r"(\Deleted)"))
        uidplus = client.has_capability("UIDPLUS")
        await self._ask(client.uid("expunge", number) if uidplus else client.expunge())

    async def append(self, folder: str, octets: bytes) -> None:
        """Lay a mail into a folder, as one that was read."""
        await self._ask(self._client.append(octets, _encode_folder(folder), r"\Seen"))

    async def wait(self, seconds: float, nudge: asyncio.Event) -> None:
        """Wait for a push or for `nudge`, but no longer than `seconds`."""
        nudged = asyncio.create_task(nudge.wait())
        try:
            if self._client.has_capability("IDLE"):
                await self._idle(seconds, nudged)
            else:
                limit = min(seconds, self._settings.poll)
                ends: set[asyncio.Future[Any]] = {self._lost, nudged}
                await asyncio.wait(ends, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
                self._check_lost()
        finally:
            nudged.cancel()

    async def close(self) -> None:
        """Log out if anybody listens, and leave nothing of the library behind."""
        if not self._lost.done():
            with suppress(LinkError):
                if self._client.has_pending_idle():
                    self._client.idle_done()
                await self._within(self._client.logout(), min(_FAREWELL_SECONDS, self._settings.timeout))
        protocol = self._client.protocol
        if protocol.transport is not None:
            protocol.transport.abort()
        for command in (*protocol.pending_async_commands.values(), protocol.pending_sync_command):
            if command is not None:
                command.close(b"connection closed", "KO")
        for task in (*self._client.tasks, *protocol.tasks):
            task.cancel()

    async def _idle(self, seconds: float, nudged: asyncio.Task[Any]) -> None:
        limit = seconds + self._settings.timeout
        idling: asyncio.Future[Any] = await self._within(self._client.idle_start(limit))
        push: asyncio.Future[Any] = asyncio.create_task(self._client.wait_server_push(limit))
        ends: set[asyncio.Future[Any]] = {idling, push, nudged, self._lost}
        await asyncio.wait(ends, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        push.cancel()
        self._check_lost()
        if self._client.has_pending_idle():
            self._client.idle_done()
        await self._within(idling)

    async def _start_tls(self) -> None:
        if not self._client.has_capability("STARTTLS"):
            raise SetupError("the server does not offer STARTTLS")
        protocol = self._client.protocol
        await self._ask(protocol.execute(Command("STARTTLS", protocol.new_tag(), loop=protocol.loop)))
        if protocol.incomplete_line:
            raise SetupError("somebody spoke between STARTTLS and TLS")  # CVE-2011-0411
        protocol.transport = await self._within(
            protocol.loop.start_tls(
                protocol.transport, protocol, self._tls, server_hostname=self._settings.host
            )
        )
        await self._within(protocol.capability())

    def _keep_alive(self) -> None:
        """Let the system find out within a minute that the other machine is gone, where it can."""
        line = self._client.protocol.transport.get_extra_info("socket")
        line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3)):
            if hasattr(socket, option):
                line.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)

    def _note_loss(self, error: Exception | None) -> None:
        if not self._lost.done():
            self._lost.set_result(error)

    def _check_lost(self) -> None:
        if self._lost.done():
            raise LinkError(str(self._lost.result() or "the server closed the connection"))

    async def _ask(self, command: Awaitable[Any]) -> Sequence[bytes]:
        response = await self._within(command)
        if response.result != "OK":
            raise RefusedError(bytes(response.lines[-1]).decode("utf-8", "replace"))
        return tuple(response.lines)

    async def _within(self, work: Awaitable[_Answer], seconds: float | None = None) -> _Answer:
        limit = self._settings.timeout if seconds is None else seconds
        task = asyncio.ensure_future(work)
        try:
            ends: set[asyncio.Future[Any]] = {task, self._lost}
            await asyncio.wait(ends, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
        except ssl.SSLCertVerificationError as error:
            raise SetupError(str(error)) from error
        except (AioImapException, OSError) as error:
            self._note_loss(error)
        finally:
            task.cancel()
        self._note_loss(TimeoutError(f"no answer within {limit:g} seconds"))
        raise LinkError(str(self._lost.result() or "the server closed the connection"))


@asynccontextmanager
async def connected(settings: ImapSettings) -> AsyncIterator[Link]:
    """Log in for the length of a `with`, and out again whatever happens inside."""
    if not may_send_password(settings.security, settings.host):
        raise SetupError("a password is never sent without TLS")
    link = Link(settings)
    try:
        await link.login()
        yield link
    finally:
        await link.close()


def _encode_folder(name: str) -> str:
    """Quote a folder's name, in modified UTF-7 where it is not ASCII (RFC 3501 section 5.1.3)."""

    def shift(run: re.Match[str]) -> str:
        return "&" + b64encode(run[0].encode("utf-16-be")).decode().rstrip("=").replace("/", ",") + "-"

    return str(quoted(re.sub(r"[^\x20-\x7e]+", shift, name.replace("&", "&-"))))


def _number(pattern: bytes, text: bytes) -> int:
    match = re.search(pattern, text)
    if match is None:
        raise RefusedError(f"no {pattern.decode().partition(' ')[0]} in the answer")
    return int(match[1])


def _date(text: str) -> datetime:
    """Read INTERNALDATE without asking the locale what months are called."""
    try:
        return parsedate_to_datetime(text.replace("-", " ", 2)).astimezone(UTC)
    except ValueError as error:
        raise RefusedError(f"not a date: {text}") from error
