"""A mail server in our own event loop, all in memory: SMTP in, IMAP out; for the demo and for tests."""

import asyncio
import logging
import re
import secrets
from argparse import Namespace
from asyncio import StreamReader, StreamWriter
from collections.abc import Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Final, Self

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from proxyprotocol.result import ProxyResultUnknown
from proxyprotocol.sock import SocketInfo
from pymap.backend.dict import Config, DictBackend
from pymap.backend.dict.filter import FilterSet
from pymap.backend.dict.mailbox import MailboxSet
from pymap.concurrent import Event
from pymap.context import connection_exit
from pymap.imap import IMAPConnection
from pymap.imap.state import ConnectionState
from pymap.parsing.command.select import IdleCommand
from pymap.parsing.message import AppendMessage
from pymap.parsing.response import UntaggedResponse
from pymap.user import UserMetadata
from pysasl.hashing import Cleartext

HOSTNAME: Final = "mail.gateway.test"
"""The server's name, also in the Authentication-Results that it writes."""
# A field in any spelling, with its continuation lines; what only looks like one goes as well.
_RESULTS: Final = re.compile(
    rb"^authentication-results[ \t]*:.*(?:\r?\n[ \t].*)*(?:\r?\n|\Z)", re.IGNORECASE | re.MULTILINE
)
_EMPTY_LINE: Final = re.compile(rb"\A\r?\n|\r?\n\r?\n")
_LARGEST_MAIL: Final = 50_000_000


@dataclass(frozen=True, slots=True)
class Delivered:
    """One mail for one recipient; `octets` are exactly what came between DATA and the dot.

    `login` is the one its sender had logged in with, empty without.
    """

    mail_from: str
    recipient: str
    octets: bytes
    at: datetime
    login: str = ""

    @property
    def stamped(self) -> bytes:
        """The octets as they are stored: who logged in, said on top and by us alone."""
        results = f"auth=pass smtp.auth={self.login}" if self.login else "none"
        stamp = f"Authentication-Results: {HOSTNAME}; {results}\r\n"
        trace = f"Received: by {HOSTNAME}; {format_datetime(self.at)}\r\n"
        return (stamp + trace).encode() + _without_forgeries(self.octets)


class MailServer:
    """Serves mailboxes over IMAP and takes mail for them over SMTP, as an async context manager.

    Args:
        users: password by login. A login is a whole address, or a local part that receives for every domain;
            either also gets what is sent to `local+anything@domain`. Mail for anybody else is refused.
        host: address to listen on.
        smtp_port: port for mail coming in; 0 takes a free one, which the attribute holds after the start.
        imap_port: likewise, for mail going out.

    SMTP accepts mail with or without AUTH, since all of it is local. A mail's copy in the mailbox has
    Return-Path, Delivered-To, Authentication-Results and Received above the octets, which are untouched but
    for Authentication-Results that were forged in our name.
    """

    def __init__(
        self, users: Mapping[str, str], *, host: str = "127.0.0.1", smtp_port: int = 0, imap_port: int = 0
    ) -> None:
        self.host = host
        self.smtp_port = smtp_port
        self.imap_port = imap_port
        self.deliveries: list[Delivered] = []
        self._users = {login.lower(): password for login, password in users.items()}
        self._news = asyncio.Condition()
        self._boxes: dict[str, MailboxSet] = {}
        self._servers: list[asyncio.Server] = []
        self._connections: set[StreamWriter] = set()

    async def __aenter__(self) -> Self:
        # aiosmtpd warns at every login that an attribute of its own is deprecated.
        logging.getLogger("mail.log").setLevel(logging.ERROR)
        # Cleartext on purpose: hashing a demo's password costs 100 ms of a thread at every login.
        backend, config = await DictBackend.init(
            _arguments(self.host), hash_context=Cleartext(), max_append_len=_LARGEST_MAIL
        )
        config.apply_context()
        for login, password in self._users.items():
            self._add_user(backend, config, login, password)
        self._backend, self._config = backend, config
        imap = await asyncio.start_server(self._serve_imap, self.host, self.imap_port, limit=2**20)
        smtp = await asyncio.get_running_loop().create_server(self._make_smtp, self.host, self.smtp_port)
        self._servers = [imap, smtp]
        self.imap_port = imap.sockets[0].getsockname()[1]
        self.smtp_port = smtp.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        # No wait_closed(): since Python 3.12 it waits until every client has left.
        for server in self._servers:
            server.close()
        self.hang_up()

    def hang_up(self) -> None:
        """Cut every IMAP connection, as a server that restarts does."""
        for writer in self._connections:
            writer.close()

    async def delivered(self, wanted: Callable[[Delivered], bool], *, after: int = 0) -> Delivered:
        """Wait for the first mail that is `wanted`, leaving out the `after` first deliveries of all."""
        async with self._news:
            while True:
                for delivery in self.deliveries[after:]:
                    if wanted(delivery):
                        return delivery
                await self._news.wait()

    def _add_user(self, backend: DictBackend, config: Config, login: str, password: str) -> None:
        backend.login.users_dict[login] = UserMetadata(config, login, password=password)
        self._boxes[login] = MailboxSet()
        config.set_cache[login] = (self._boxes[login], FilterSet())

    async def _serve_imap(self, reader: StreamReader, writer: StreamWriter) -> None:
        # Not pymap's own service: it drops the reference to the connection's task, and the next garbage
        # collection takes an idle connection away.
        peer = SocketInfo.get(writer, ProxyResultUnknown(), unique_id=secrets.token_bytes(8))
        state = _State(self._backend.login, self._config)
        self._connections.add(writer)
        try:
            async with AsyncExitStack() as stack:
                connection_exit.set(stack)
                await IMAPConnection(self._config.commands, self._config, reader, writer, peer).run(state)
        finally:
            writer.close()
            self._connections.discard(writer)

    def _make_smtp(self) -> SMTP:
        return SMTP(
            self,
            hostname=HOSTNAME,
            enable_SMTPUTF8=True,
            data_size_limit=_LARGEST_MAIL,
            auth_require_tls=False,
            authenticator=self._authenticate,
            loop=asyncio.get_running_loop(),
        )

    def _authenticate(
        self, _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, given: object
    ) -> AuthResult:
        known = isinstance(given, LoginPassword) and (
            self._users.get(given.login.decode().lower()) == given.password.decode()
        )
        login = given.login.decode().lower() if isinstance(given, LoginPassword) else ""
        return AuthResult(success=known, handled=False, auth_data=login)

    def _login_of(self, address: str) -> str | None:
        local, _, domain = address.lower().rpartition("@")
        name = local.partition("+")[0]
        return next((login for login in (f"{name}@{domain}", name) if login in self._users), None)

    async def handle_RCPT(  # noqa: N802  the name is aiosmtpd's
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """Answer aiosmtpd whether we have a mailbox for `address`."""
        if self._login_of(address) is None:
            return "550 5.1.1 no such user"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 ok"

    async def handle_DATA(self, _server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802  aiosmtpd's name
        """Put a copy into the mailbox of each recipient, and tell whoever waits for it."""
        now = datetime.now(UTC)
        for recipient in envelope.rcpt_tos:
            delivery = Delivered(
                envelope.mail_from or "",
                recipient,
                envelope.original_content or b"",
                now,
                str(session.auth_data or "") if session.authenticated else "",
            )
            await self._store(delivery)
            self.deliveries.append(delivery)
        async with self._news:
            self._news.notify_all()
        return f"250 2.0.0 delivered {len(envelope.rcpt_tos)}"

    async def _store(self, delivery: Delivered) -> None:
        login = self._login_of(delivery.recipient)
        assert login is not None, "refused at RCPT"
        trace = f"Return-Path: <{delivery.mail_from}>\r\nDelivered-To: {delivery.recipient}\r\n"
        copy = AppendMessage(trace.encode() + delivery.stamped, delivery.at, frozenset())
        inbox = await self._boxes[login].get_mailbox("INBOX")
        await inbox.append(copy, recent=True)


class _State(ConnectionState):
    """Tells a client at the start of IDLE what it has missed since its last command.

    pymap only tells what happens from then on, so that a mail between SEARCH and IDLE would lie there unseen.
    """

    async def receive_updates(self, cmd: IdleCommand, done: Event) -> Iterable[UntaggedResponse]:
        """Answer the updates that are there, or else wait for the next."""
        selected = await self.session.check_mailbox(self.selected)
        self._selected, missed = selected.fork(cmd)
        return list(missed) or await super().receive_updates(cmd, done)


def _without_forgeries(octets: bytes) -> bytes:
    """Take out every Authentication-Results that mentions our name (RFC 8601, 5)."""
    end = _EMPTY_LINE.search(octets)
    header, body = (octets[: end.start()], octets[end.start() :]) if end else (octets, b"")
    own = HOSTNAME.encode()
    return _RESULTS.sub(lambda field: b"" if own in field[0].lower() else field[0], header) + body


def _arguments(host: str) -> Namespace:
    """What pymap would read from its command line; its demo user gets a password that nobody knows."""
    return Namespace(
        cert=None,
        debug=False,
        demo_data=False,
        demo_password=secrets.token_hex(16),
        demo_user=secrets.token_hex(8),
        host=host,
        inherited_sockets=None,
        key=None,
        passlib_cfg=None,
        port=0,
        proxy_protocol=None,
        tls=False,
    )
