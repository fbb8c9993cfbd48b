"""One approval from question to delivered mail, on our own mail server, answered by a scripted reviewer."""

import asyncio
import email
import json
import secrets
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass, field
from email import policy as mail_policy
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from pathlib import Path
from typing import Any

from aiosmtplib import SMTP

from gateway import daemon, web
from gateway.actions import send_email
from gateway.config import load
from gateway.core.approval import Approval, State
from gateway.core.execution import BUILTIN, ThreadState
from gateway.demo.mailserver import HOSTNAME, Delivered, MailServer

REQUEST = "Send an email to team@example.com about the Q1 report"
REQUESTER, REVIEWER, TEAM, GATEWAY = (
    "rita@example.com",
    "alice@example.com",
    "team@example.com",
    "approvals@example.com",
)
_PATIENCE_SECONDS = 30.0
_CONFIG = """\
# The configuration of the demo; everything in it lives on this machine.
[gateway]
name = "Demo gateway"
base_url = "http://127.0.0.1:{http_port}"
data_dir = "data"

[smtp]
host = "127.0.0.1"
port = {smtp_port}
security = "none"
from = "approvals@example.com"

[imap]
host = "127.0.0.1"
port = {imap_port}
security = "none"
username = "approvals@example.com"
password_file = "secrets/imap-password"

[mail]
reply_to = "approvals@example.com"
# The demo's mail server says who has logged in to send a mail.
authserv_id = "{authserv_id}"

[http]
port = {http_port}

[[keys]]
file = "secrets/signing-key"
created = 2026-01-01

[planner]
kind = "offline"

[[reviewers]]
name = "Alice"
email = "alice@example.com"
roles = ["senior"]

[policy.high]
roles = ["senior"]
"""


class DemoFailedError(RuntimeError):
    """The demo did not get to its end, or what arrived is not what was approved."""


@dataclass(slots=True)
class Facts:
    """What happened, for people and machines; times are seconds since the request."""

    approval: str = ""
    digest: str = ""
    decided_by: str = ""
    envelope: bool = False
    headers: bool = False
    body: bool = False
    result: str = ""
    seconds: dict[str, float] = field(default_factory=dict)
    mails: list[str] = field(default_factory=list)

    @property
    def faithful(self) -> bool:
        """Whether the mail that arrived is the one that was approved."""
        return self.envelope and self.headers and self.body


async def run(keep: Path | None, tell: Callable[[str], None]) -> Facts:
    """Play the whole story, telling each step; with `keep`, leave configuration, store and mails there.

    Raises:
        DemoFailedError: a step did not happen in time, or the delivered mail differs from the approved one.
    """
    with _directory(keep) as place:
        people = {who: _password() for who in (REQUESTER, REVIEWER, TEAM)}
        async with MailServer(people | _login(place)) as server:
            try:
                async with asyncio.timeout(_PATIENCE_SECONDS), _daemon(place, server) as parts:
                    facts = await _play(parts, server, tell, people[REVIEWER])
            except TimeoutError:
                raise DemoFailedError(
                    "a step did not happen in time; gateway demo --debug shows the log"
                ) from None
            finally:
                _keep_mails(place, server)
    if not facts.faithful:
        raise DemoFailedError("the mail that arrived is not the one that was approved")
    return facts


def as_json(facts: Facts) -> str:
    """Print the facts for machines."""
    return json.dumps({**asdict(facts), "faithful": facts.faithful}, indent=2)


async def _play(parts: daemon.Parts, server: MailServer, tell: Callable[[str], None], password: str) -> Facts:
    facts, watch = Facts(), _Stopwatch()
    tell(f"{watch}  {REQUESTER} asks the agent: “{REQUEST}”")
    thread = await parts.service.start(BUILTIN, {"user_request": REQUEST}, REQUESTER)

    asked = await server.delivered(_letter_to(REVIEWER))
    question = _parsed(asked)
    facts.seconds["asked"] = watch.seconds
    tell(f"{watch}  the agent stops and the gateway mails {REVIEWER}: {question['Subject']}")

    await _reply(server, password, question, "APPROVE\n\nLooks good.")
    tell(f"{watch}  {REVIEWER} answers that mail with one word: APPROVE")

    sent = await server.delivered(lambda mail: mail.recipient == TEAM)
    facts.seconds["delivered"] = watch.seconds
    (approval,) = await parts.store.read(lambda tx: tx.approvals_of(thread.id))
    _compare(facts, approval, sent)
    tell(f"{watch}  the gateway sends exactly what was approved; it lies in {TEAM}'s mailbox")

    await server.delivered(_about(question["Message-ID"]), after=server.deliveries.index(sent))
    ended = await _ended(parts, thread.id)
    facts.seconds["ended"] = watch.seconds
    facts.result = ended
    facts.mails = [f"{_kind(mail)}: {mail.mail_from} → {_box(mail.recipient)}" for mail in server.deliveries]
    tell(f"{watch}  {REVIEWER} and {REQUESTER} are told; the agent ends with: {ended}")
    tell("")
    tell(f"Approval {approval.id}: {approval.risk} risk, {facts.decided_by}, digest {approval.digest[:16]}…")
    tell("Envelope, headers and body of the delivered mail are what was approved." if facts.faithful else "")
    return facts


def _compare(facts: Facts, approval: Approval, sent: Delivered) -> None:
    """Hold the delivered octets against the stored action, reading them like any mail program."""
    approved = approval.items[0].action.parameters
    mail = _parsed(sent)
    authored = {
        "From": approved["from"],
        "To": ", ".join(approved["to"]),
        "Cc": ", ".join(approved["cc"]) or None,
        "Reply-To": approved.get("reply_to"),
        "Subject": approved["subject"],
    }
    facts.approval, facts.digest = approval.id, approval.digest
    facts.decided_by = f"{approval.votes[-1].by} by {approval.votes[-1].channel}" if approval.votes else ""
    facts.envelope = sent.mail_from == approved["envelope_from"] and [sent.recipient] == list(
        send_email.recipients(approval.items[0].action)
    )
    facts.headers = all(mail[name] == value for name, value in authored.items())
    wanted = approved["body"].replace("\n", "\r\n").encode()
    facts.body = sent.octets.split(b"\r\n\r\n", 1)[1] == wanted and approval.state is State.APPROVED


async def _reply(server: MailServer, password: str, question: EmailMessage, text: str) -> None:
    """Answer a mail as a phone does: logged in, on top, the question quoted below."""
    shown = question.get_body(("plain",))
    quoted = "".join(f"> {line}\n" for line in shown.get_content().splitlines()) if shown else ""
    reply = EmailMessage()
    reply["From"] = f"Alice <{REVIEWER}>"
    reply["To"] = question["Reply-To"]
    reply["Subject"] = f"Re: {question['Subject']}"
    reply["Date"] = formatdate(localtime=False)
    reply["Message-ID"] = make_msgid(domain="phone.example.com")
    reply["In-Reply-To"] = question["Message-ID"]
    reply.set_content(f"{text}\n\nOn Monday, Demo gateway <{GATEWAY}> wrote:\n{quoted}")
    to = question["Reply-To"].addresses[0].addr_spec
    async with SMTP(hostname=server.host, port=server.smtp_port, start_tls=False) as smtp:
        octets = reply.as_bytes(policy=mail_policy.SMTP.clone(max_line_length=998))
        await smtp.login(REVIEWER, password)
        await smtp.sendmail(REVIEWER, [to], octets)


async def _ended(parts: daemon.Parts, thread: str) -> str:
    """Wait for the graph's end; the outbox has it as good as done when the outcome is out."""
    while True:
        row = await parts.store.read(lambda tx: tx.thread(thread))
        if row.state not in {ThreadState.RUNNING, ThreadState.WAITING}:
            return row.result
        await asyncio.sleep(0.01)


@asynccontextmanager
async def _daemon(place: Path, server: MailServer) -> AsyncIterator[daemon.Parts]:
    """Run the real daemon on a real configuration file, and stop it as SIGTERM would."""
    text = _CONFIG.format(
        smtp_port=server.smtp_port,
        imap_port=server.imap_port,
        http_port=_free_port(),
        authserv_id=HOSTNAME,
    )
    (place / "config.toml").write_text(text, "utf-8")
    stop, started = asyncio.Event(), asyncio.get_running_loop().create_future()
    running = asyncio.create_task(
        daemon.run(load(place / "config.toml", {}), stop=stop, ready=started.set_result)
    )
    try:
        done, _ = await asyncio.wait([started, running], return_when=asyncio.FIRST_COMPLETED)
        if running in done:
            await running
        yield started.result()
    finally:
        stop.set()
        await running


def _keep_mails(place: Path, server: MailServer) -> None:
    folder = place / "mail"
    folder.mkdir(exist_ok=True)
    for n, mail in enumerate(server.deliveries, start=1):
        name = f"{n:02}-{_kind(mail)}-{_box(mail.recipient).split('@')[0]}.eml"
        (folder / name).write_bytes(mail.octets)


def _kind(mail: Delivered) -> str:
    """Name a mail by what it is: a letter of ours by its own header, an answer, or the approved mail."""
    letter = _parsed(mail)["X-Approval-Letter"]
    return str(letter) if letter else "reply" if mail.mail_from == REVIEWER else "email"


def _box(recipient: str) -> str:
    """Name the mailbox of an address, without the handle behind its plus."""
    local, domain = recipient.rsplit("@", 1)
    return f"{local.split('+', 1)[0]}@{domain}"


def _letter_to(person: str) -> Callable[[Delivered], bool]:
    return lambda mail: mail.recipient == person


def _about(root_id: str) -> Callable[[Delivered], bool]:
    """Recognise the outcome in a mail thread."""
    return lambda mail: _kind(mail) == "outcome" and root_id in str(_parsed(mail)["References"])


def _parsed(mail: Delivered) -> EmailMessage:
    parsed: Any = email.message_from_bytes(mail.octets, policy=mail_policy.default)
    assert isinstance(parsed, EmailMessage)
    return parsed


@contextmanager
def _directory(keep: Path | None) -> Iterator[Path]:
    """Make a place for the demo, which goes with it unless it is to be kept."""
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="gateway-demo-") as name:
            yield Path(name)
        return
    if keep.exists() and any(keep.iterdir()):
        raise DemoFailedError(f"{keep} is not empty; name a new directory")
    try:
        keep.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DemoFailedError(f"{keep} cannot be made: {error.strerror}") from None
    yield keep


def _login(place: Path) -> dict[str, str]:
    """Make keys and password of the demo's gateway, readable by nobody else."""
    secret = place / "secrets"
    secret.mkdir(mode=0o700)
    password = _password()
    for name, content in (("imap-password", password), ("signing-key", secrets.token_hex(32))):
        (secret / name).touch(mode=0o600)
        (secret / name).write_text(content, "utf-8")
    return {GATEWAY: password}


def _password() -> str:
    return secrets.token_urlsafe(16)


def _free_port() -> int:
    with web.bind("127.0.0.1", 0) as sock:
        return int(sock.getsockname()[1])


class _Stopwatch:
    """Seconds since the start, also as the head of a line."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds since the start, to the millisecond."""
        return round(time.monotonic() - self._start, 3)

    def __str__(self) -> str:
        return f"{self.seconds:6.2f} s"
