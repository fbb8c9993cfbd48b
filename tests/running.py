"""A whole gateway on a real configuration file, and what people and programs do with it from outside."""

import asyncio
import email
import itertools
import json
import re
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email import policy as mail_policy
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from pathlib import Path
from typing import Any

import httpx

from gateway import daemon, log, web
from gateway.config import load
from gateway.demo.mailserver import HOSTNAME, Delivered
from gateway.store import StoredFact, Transaction, open_reader
from servers.dovecot import PASSWORD
from servers.post import Post
from website import defaults

ALICE, BOB, RITA, TEAM, OPS = (f"{name}@example.com" for name in ("alice", "bob", "rita", "team", "ops"))
PEOPLE = (ALICE, BOB, RITA, TEAM, OPS)
REQUEST = "Send an email to team@example.com about the Q1 report"
STARTER, VOTER = "starter-" + "s" * 32, "voter-" + "v" * 32
_CONFIG = """\
[gateway]
base_url = "http://127.0.0.1:{http_port}"
operators = ["ops@example.com"]

[smtp]
host = "127.0.0.1"
port = {smtp_port}
security = "none"
from = "{gateway}"

[imap]
host = "127.0.0.1"
port = {imap_port}
security = "none"
username = "{gateway}"
password_file = "secrets/imap"

[mail]
reply_to = "{gateway}"
authserv_id = "{authserv_id}"

[http]
port = {http_port}

[[http.tokens]]
name = "starter"
file = "secrets/starter"
may = ["start", "status"]

[[http.tokens]]
name = "voter"
file = "secrets/voter"
may = ["approve"]
reviewer = "alice@example.com"

[[keys]]
file = "secrets/key"
created = 2026-01-01

[planner]
kind = "offline"

[[reviewers]]
name = "Alice"
email = "alice@example.com"
roles = ["senior"]

[[reviewers]]
name = "Bob"
email = "bob@example.com"
roles = ["senior"]

"""
HIGH = """\
[policy.high]
roles = ["senior"]
"""


class Clock:
    """The present, which a test may move on."""

    def __init__(self) -> None:
        self._ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self._ahead

    def skip(self, **period: float) -> None:
        self._ahead += timedelta(**period)


@dataclass(frozen=True)
class Letter:
    """A mail as its reader has it open."""

    delivered: Delivered
    message: EmailMessage

    @property
    def text(self) -> str:
        part = self.message.get_body(("plain",))
        assert part is not None
        return str(part.get_content()).replace("\r\n", "\n")

    @property
    def link(self) -> str:
        """The path of its page."""
        found = re.search(r"http://[^/\s]+(/a/\S+)", self.text)
        assert found is not None
        return found[1]

    @property
    def reply_to(self) -> str:
        return str(self.message["Reply-To"].addresses[0].addr_spec)

    @property
    def handles(self) -> list[str]:
        """What is secret in it."""
        return [self.reply_to.partition("+")[2].partition("@")[0], self.link.removeprefix("/a/")]


def opened(delivered: Delivered) -> Letter:
    parsed: Any = email.message_from_bytes(delivered.octets, policy=mail_policy.default)
    return Letter(delivered, parsed)


def kind_of(delivered: Delivered) -> str:
    """Which kind of letter it is; empty for mail that is not the gateway's own."""
    return str(opened(delivered).message["X-Approval-Letter"] or "")


def answer(letter: Letter, text: str, headers: Mapping[str, str] = {}) -> EmailMessage:
    """Write a reply as a phone does: on top, the question quoted below."""
    mail = EmailMessage()
    fields = {
        "From": letter.delivered.recipient,
        "To": letter.reply_to,
        "Subject": f"Re: {letter.message['Subject'].removeprefix('Re: ')}",
        "Date": formatdate(),
        "Message-ID": make_msgid(domain="phone.example.com"),
        "In-Reply-To": letter.message["Message-ID"],
        "References": letter.message["Message-ID"],
    }
    for name, value in {**fields, **headers}.items():
        mail[name] = value
    asker = letter.message["From"].addresses[0].addr_spec
    quoted = "".join(f"> {line}\n" for line in letter.text.splitlines())
    mail.set_content(f"{text}\n\nOn Monday, Approval gateway <{asker}> wrote:\n{quoted}")
    return mail


def octets_of(mail: EmailMessage) -> bytes:
    return mail.as_bytes(policy=mail_policy.SMTP.clone(max_line_length=998))


class Gateway:
    """A running gateway: its letters, its pages, its API and its commands."""

    def __init__(self, config: Path, post: Post, client: httpx.AsyncClient, clock: Clock) -> None:
        self.config = config
        self.post = post
        self.client = client
        self.clock = clock
        self._keys = itertools.count()
        self._requests: dict[str, dict[str, Any]] = {}
        self._read: list[Delivered] = []

    # --- letters ---

    async def letter(self, kind: str, to: str, about: str = "") -> Letter:
        """Wait for the next letter of a kind to a person that was not taken out yet."""

        def wanted(mail: Delivered) -> bool:
            if mail.recipient != to or any(mail is read for read in self._read):
                return False
            return kind_of(mail) == kind and about in str(opened(mail).message["Subject"])

        delivered = await self.post.delivered(wanted)
        self._read.append(delivered)
        return opened(delivered)

    async def reply(self, letter: Letter, text: str, **headers: str) -> None:
        mail = answer(letter, text, {name.replace("_", "-"): value for name, value in headers.items()})
        person = letter.delivered.recipient
        await self.post.send(person, letter.reply_to, octets_of(mail), login=person)

    def letters(self, kind: str, to: str) -> list[Delivered]:
        """What has been delivered by now."""
        return [mail for mail in self.post.deliveries if mail.recipient == to and kind_of(mail) == kind]

    @property
    def emails(self) -> list[Letter]:
        """What the team has got by now."""
        return [opened(mail) for mail in self.post.deliveries if mail.recipient == TEAM]

    # --- API ---

    async def ask(self, text: str = REQUEST, key: str = "", **body: Any) -> str:
        """Start a request and wait for its first question or its end; return the thread's id.

        With a `key` that was used before, it is the same request again.
        """
        request = {"user_request": text, "user_id": RITA} | body
        key = key or f"request-{next(self._keys)}"
        answered = await self._start(request, key)
        thread = str(answered["thread_id"])
        self._requests[thread] = {"request": request, "key": key}
        return thread

    async def ended(self, thread: str) -> dict[str, Any]:
        """Wait until a request that is decided has come to its end, and return its status."""
        await self._start(**self._requests[thread])
        return await self.status(thread)

    async def status(self, thread: str) -> dict[str, Any]:
        return await self.api("GET", f"/status/{thread}")

    async def api(self, method: str, path: str, token: str = STARTER, **more: Any) -> dict[str, Any]:
        answered = await self.client.request(
            method, path, headers={"Authorization": f"Bearer {token}"} | more.pop("headers", {}), **more
        )
        body: dict[str, Any] = answered.json()
        return {"http": answered.status_code, **body}

    async def _start(self, request: Mapping[str, Any], key: str) -> dict[str, Any]:
        return await self.api("POST", "/start?wait=30", json=dict(request), headers={"Idempotency-Key": key})

    # --- pages ---

    async def choose(self, path: str, **fields: str) -> httpx.Response:
        """Open a page, fill in its form and send it; the answer is not followed."""
        form = defaults((await self.client.get(path)).text)
        return await self.client.post(path, data=form | fields)

    # --- the operator ---

    async def command(self, *words: str) -> Any:
        """Run a command of the console script and read its JSON."""
        program = Path(sys.executable).with_name("gateway")
        process = await asyncio.create_subprocess_exec(
            program, *words, "--json", "--config", self.config, stdout=asyncio.subprocess.PIPE
        )
        printed, _ = await process.communicate()
        return json.loads(printed)

    async def shell(self, *words: str) -> int:
        """Run a command of the console script and return its exit code."""
        program = Path(sys.executable).with_name("gateway")
        process = await asyncio.create_subprocess_exec(program, *words, "--config", self.config)
        return await process.wait()

    def facts(self, thread: str) -> list[StoredFact]:
        """The facts of a thread, once their chain is seen to be whole."""
        found: list[StoredFact] = recorded(self.config, lambda tx: _facts(tx, thread))
        return found

    def kinds(self, thread: str) -> list[str]:
        return [fact.kind for fact in self.facts(thread)]


def recorded(config: Path, look: Callable[[Transaction], Any]) -> Any:
    """Look into the store of an installation, running or not."""
    loaded = load(config, {})
    with open_reader(loaded.store_path, daemon.audit_keys(loaded)) as tx:
        return look(tx)


def _facts(tx: Transaction, thread: str) -> list[StoredFact]:
    assert tx.chain_is_whole(thread)
    return tx.facts(thread)


def install(place: Path, post: Post, policy: str = HIGH, authserv_id: str = HOSTNAME) -> Path:
    """Write a configuration with its secrets, as an operator does."""
    secrets = place / "secrets"
    secrets.mkdir(mode=0o700)
    for name, content in {"imap": PASSWORD, "starter": STARTER, "voter": VOTER, "key": "k" * 64}.items():
        (secrets / name).touch(mode=0o600)
        (secrets / name).write_text(content)
    with web.bind("127.0.0.1", 0) as sock:
        http_port = sock.getsockname()[1]
    ports = {"smtp_port": post.smtp_port, "imap_port": post.imap_port, "http_port": http_port}
    config = place / "config.toml"
    config.write_text(_CONFIG.format(gateway=post.gateway, authserv_id=authserv_id, **ports) + policy)
    return config


@asynccontextmanager
async def running(
    place: Path, post: Post, policy: str = HIGH, authserv_id: str = HOSTNAME
) -> AsyncIterator[Gateway]:
    """Run a new installation."""
    async with serving(install(place, post, policy, authserv_id), post) as gateway:
        yield gateway


@asynccontextmanager
async def serving(config: Path, post: Post) -> AsyncIterator[Gateway]:
    """Run the daemon in this loop, and stop it as SIGTERM would."""
    clock = Clock()
    settings = load(config, {})
    stop, ready = asyncio.Event(), asyncio.Event()
    async with (
        httpx.AsyncClient(base_url=settings.gateway.base_url, timeout=60) as client,
        asyncio.TaskGroup() as group,
    ):
        group.create_task(daemon.run(settings, stop=stop, ready=lambda _: ready.set(), clock=clock))
        await ready.wait()
        try:
            yield Gateway(config, post, client, clock)
        finally:
            stop.set()


@asynccontextmanager
async def reaching(name: str, times: int = 1) -> AsyncIterator[asyncio.Event]:
    """Tell when the daemon in this loop reaches a step, for the so-manieth time."""
    reached = asyncio.Event()
    left = times

    def listen(step: str) -> None:
        nonlocal left
        left -= step == name
        if left == 0:
            reached.set()

    log.on_step.append(listen)
    try:
        yield reached
    finally:
        log.on_step.remove(listen)
