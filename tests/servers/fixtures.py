"""Servers for tests: the embedded mail server everywhere, the real ones where they are installed."""

import itertools
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.core.transport import Security
from gateway.demo.mailserver import MailServer
from gateway.mailer import Mailer, SmtpSettings
from servers.certificate import make_certificate
from servers.dovecot import PASSWORD, Dovecot, Front, find_dovecot
from servers.postfix import Postfix, find_postfix
from servers.postgresql import Postgresql, find_postgresql

_logins = (f"approvals{number}" for number in itertools.count())


@dataclass(frozen=True)
class Account:
    """One empty mailbox on a server that has others too."""

    login: str
    password: str
    imap_port: int
    smtp_port: int

    async def post(self, octets: bytes, *, tag: str = "") -> None:
        """Deliver a mail into the mailbox, through the door that strangers use."""
        mailer = Mailer(SmtpSettings("127.0.0.1", self.smtp_port, Security.NONE))
        await mailer.send("alice@example.com", [f"{self.login}{tag}@example.com"], octets)
        await mailer.close()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Key and certificate for localhost, trusted by whoever sets SSL_CERT_FILE to it."""
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
async def mail_server() -> AsyncIterator[MailServer]:
    """The embedded server, with mailboxes for alice and bob at example.com."""
    users = {"alice@example.com": "wonderland", "bob@example.com": "builder"}
    async with MailServer(users) as server:
        yield server


@pytest.fixture(scope="session")
def dovecot() -> Iterator[Dovecot]:
    """A running Dovecot; without it the test is skipped, or fails where all servers are promised."""
    program = find_dovecot()
    if program is None:
        give_up = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        give_up("Dovecot is not installed: run tests/servers/install")
    with Dovecot(program) as server:
        yield server


@pytest.fixture(scope="session")
def postfix(dovecot: Dovecot) -> Iterator[Postfix]:
    """A running Postfix with OpenDKIM in front of Dovecot; without it as for Dovecot."""
    program = find_postfix()
    if program is None:
        give_up = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        give_up("Postfix with OpenDKIM is not installed, or not for us: run tests/servers/install as root")
    with Postfix(program, dovecot, "example.com", "attack.example") as server:
        yield server


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Postgresql]:
    """A running PostgreSQL; without it as for Dovecot."""
    programs = find_postgresql()
    if programs is None:
        give_up = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        give_up("PostgreSQL is not installed, or not for us: run tests/servers/install as root")
    with Postgresql(programs) as server:
        yield server


@pytest.fixture
async def dovecot_account(dovecot: Dovecot) -> AsyncIterator[Account]:
    """An empty mailbox on Dovecot."""
    async with _on_dovecot(dovecot) as account:
        yield account


@pytest.fixture(params=["embedded", pytest.param("dovecot", marks=pytest.mark.server)])
async def imap_server(request: pytest.FixtureRequest) -> AsyncIterator[Account]:
    """An empty mailbox, once on each kind of server."""
    # By name, because asking for the fixture would start Dovecot for the embedded server's tests too.
    there = _on_dovecot(request.getfixturevalue("dovecot")) if request.param == "dovecot" else _embedded()
    async with there as account:
        yield account


@asynccontextmanager
async def _on_dovecot(dovecot: Dovecot) -> AsyncIterator[Account]:
    async with Front(dovecot.lmtp_port) as front:
        yield Account(next(_logins), PASSWORD, dovecot.imap_port, front.port)


@asynccontextmanager
async def _embedded() -> AsyncIterator[Account]:
    login = next(_logins)
    async with MailServer({login: PASSWORD}) as server:
        yield Account(login, PASSWORD, server.imap_port, server.smtp_port)
