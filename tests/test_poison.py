"""A mailbox full of poison: every good mail behind it is decided, and none is taken apart in our process."""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from random import Random
from time import perf_counter
from types import FrameType
from typing import Any

import psutil
import pytest

import gateway.core
from builders import FIELDS
from gateway import inbound
from gateway.core.approval import Approval, State
from gateway.core.authentication import Trust
from gateway.core.reply import Context, Said
from gateway.core.tokens import Purpose
from gateway.core.transport import Security
from gateway.inbound import Inbound, Mail
from gateway.mailbox import Arrival, Filing, ImapSettings, Mailbox
from gateway.reading.reader import Reader
from office import Office, open_office
from poison import LARGEST, SHAPES, poison
from running import reaching
from servers.alone import serving_alone
from servers.dovecot import PASSWORD

SEED = 20260302
ADDRESS = "approvals@example.com"
TRUST = Trust(server="mx.example.com")
PARSERS = {
    str(Path(gateway.core.__file__).with_name(f"{name}.py"))
    for name in (
        *("authentication", "automatic", "bounce", "edits", "fresh", "gist", "grammar", "mail", "markup"),
        *("notices", "quotes", "sender", "signature"),
    )
}
RECEIVES = str(inbound.__file__)
TARGET = b"approvals+" + b"a" * 42 + b"@example.com"
_BEAT_SECONDS = 0.01
_OPEN = "SELECT COUNT(*) FROM approvals WHERE state = 'open'"
_COUNT = "SELECT COUNT(*) FROM inbound"
SLOWEST_SECONDS, MOST_MEMORY, LONGEST_LAG_SECONDS = 2, 300 * 10**6, 0.25


async def a_reply(office: Office, approval: Approval) -> bytes:
    to = f"approvals+{await office.handle(approval, Purpose.REPLY)}@example.com"
    return (
        "Authentication-Results: mx.example.com; dmarc=pass header.from=example.com\r\n"
        f"From: Alice <alice@example.com>\r\nTo: {to}\r\nSubject: Re: Approve?\r\n"
        f"Message-ID: <{approval.id}@phone.example.com>\r\n\r\nAPPROVE\r\n\r\nThank you!\r\n"
    ).encode()


@asynccontextmanager
async def watching(office: Office, port: int) -> AsyncIterator[None]:
    """Watch the mailbox as the daemon does."""
    reader = Reader()
    desk = Inbound(
        store=office.store,
        service=office.service,
        policy=office.policy,
        reader=reader,
        own=[ADDRESS],
        trust=TRUST,
        clock=office.clock,
    )

    async def receive(arrival: Arrival) -> Filing:
        mail = Mail(
            account="approvals",
            folder="INBOX",
            uidvalidity=arrival.uidvalidity,
            uid=arrival.uid,
            size=arrival.size,
            received_at=arrival.received_at,
            octets=arrival.octets,
        )
        return Filing(await desk.receive(mail))

    async def baseline(uidvalidity: int, uidnext: int) -> int:
        return await desk.floor("approvals", "INBOX", uidvalidity, uidnext)

    settings = ImapSettings("127.0.0.1", port, Security.NONE, ADDRESS, PASSWORD)
    task = asyncio.create_task(Mailbox(settings, receive=receive, baseline=baseline).run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await reader.close()


@asynccontextmanager
async def heartbeat(lags: list[float]) -> AsyncIterator[None]:
    """Note how late each beat of the event loop is, in seconds."""

    async def beat() -> None:
        while True:
            expected = perf_counter() + _BEAT_SECONDS
            await asyncio.sleep(_BEAT_SECONDS)
            lags.append(perf_counter() - expected)

    task = asyncio.create_task(beat())
    try:
        yield
    finally:
        task.cancel()


async def only_the_victim_is_open(office: Office) -> None:
    while True:
        async with reaching("decision-committed") as more:
            if await office.store.read(lambda tx: tx._execute(_OPEN, {}).fetchone()[0]) == 1:
                return
            await more.wait()


async def besiege(place: Path, bad: list[bytes], good: int) -> list[float]:
    """Lay poison ahead of good replies, have all of them decided, and return how late the loop was meanwhile.

    The poison carries the reply address of a question that stays open.
    """
    lags: list[float] = []
    async with open_office(place / "gateway.sqlite3") as office:
        victim = await office.asked(interrupt="victim")
        to = f"approvals+{await office.handle(victim, Purpose.REPLY)}@example.com".encode()
        asked = [await office.asked(interrupt=f"good-{n}") for n in range(good)]
        replies = [await a_reply(office, approval) for approval in asked]
        (place / "mails").mkdir()
        mails = [*(octets.replace(TARGET, to) for octets in bad), *replies]
        async with (
            serving_alone(place / "mails", mails) as port,
            heartbeat(lags),
            watching(office, port),
        ):
            await only_the_victim_is_open(office)
        assert {await office.state(approval) for approval in asked} == {State.APPROVED}
        assert await office.state(victim) is State.OPEN
        count = await office.store.read(lambda tx: tx._execute(_COUNT, {}).fetchone()[0])
        assert count >= len(mails)
    return lags


@contextmanager
def files_run() -> Iterator[set[str]]:
    """Collect the source files of every function that this thread calls."""
    seen: set[str] = set()

    def note(frame: FrameType, event: str, _: Any) -> None:
        if event == "call":
            seen.add(frame.f_code.co_filename)

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        yield seen
    finally:
        sys.setprofile(before)


async def test_good_mails_behind_poison_are_decided(tmp_path: Path) -> None:
    """T72, T73, F45: all of them, and no function that takes a mail apart is ever called in this process."""
    with files_run() as files:
        await besiege(tmp_path, poison(SEED, 24, TARGET.decode(), largest=100_000), good=100)
    assert RECEIVES in files
    assert not files & PARSERS


def test_every_shape_is_in_every_flood() -> None:
    """The same seed writes the same mails, and as many as there are shapes show each at its worst."""
    mails = poison(SEED, len(SHAPES), ADDRESS)
    assert mails == poison(SEED, len(SHAPES), ADDRESS)
    assert max(map(len, mails)) > LARGEST
    assert len(set(mails)) > 0.9 * len(SHAPES)


def memory_of(process: psutil.Process) -> int:
    """The most that a process ever had, where the system tells, or what it has now."""
    status = Path(f"/proc/{process.pid}/status")
    if not status.exists():
        return process.memory_info().rss
    (line,) = [line for line in status.read_text().splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024


def report(capsys: pytest.CaptureFixture[str], *lines: str) -> None:
    """Print the figures for whoever runs the sweep."""
    with capsys.disabled():
        sys.stdout.write("\n" + "\n".join(lines) + "\n")


@pytest.mark.sweep
@pytest.mark.timeout(280)
@pytest.mark.parametrize("size", [LARGEST, 395_000, 100_000])
async def test_no_bomb_takes_two_seconds_or_much_memory(
    size: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """T73, V7: each shape at the limits of a mail and of its text, and below, read as an answer."""
    reader, table = Reader(), []
    for name, shape in SHAPES.items():
        octets = shape(Random(SEED), size, TARGET)
        began = perf_counter()
        await reader.survey(octets, [ADDRESS])
        reading = await reader.read(octets, Context(fields=FIELDS))
        seconds = perf_counter() - began
        assert reading.said is not Said.APPROVE, name
        table.append((seconds, memory_of(psutil.Process(reader.pid)), name))
    await reader.close()
    slowest = [
        f"  {seconds:5.2f} s  {memory // 10**6:4} MB  {name}"
        for seconds, memory, name in sorted(table, reverse=True)[:5]
    ]
    report(capsys, f"{len(table)} shapes of {size} octets; the slowest:", *slowest)
    assert max(seconds for seconds, _, _ in table) < SLOWEST_SECONDS
    assert max(memory for _, memory, _ in table) < MOST_MEMORY


@pytest.mark.sweep
@pytest.mark.timeout(280)
async def test_the_loop_stays_quick_under_a_siege(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """T72, T73, F45: 200 poison mails ahead of 1,000 good ones; the loop is never 250 ms late."""
    lags = await besiege(tmp_path, poison(SEED, 200, TARGET.decode()), good=1000)
    report(capsys, f"1,000 good mails decided behind 200 of poison; longest lag {max(lags) * 1000:.0f} ms")
    assert max(lags) < LONGEST_LAG_SECONDS
