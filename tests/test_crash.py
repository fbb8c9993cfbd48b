"""The gateway as a process: killed at every step of an approval, stopped at work, and stopped when idle."""

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from crashing import Daemons, Point, aftermath, approve, closing_line, installed, sweep
from gateway.core.execution import RowState
from gateway.demo.mailserver import Delivered
from running import ALICE, OPS, TEAM, Gateway

STOP_SECONDS = 5.0


@pytest.fixture
async def daemons() -> AsyncIterator[Daemons]:
    """Daemons to be started and killed."""
    async with Daemons() as daemons:
        yield daemons


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    """An installation whose daemon the test starts."""
    async with installed(tmp_path) as gateway:
        yield gateway


def is_email(mail: Delivered) -> bool:
    return mail.recipient == TEAM


async def being_sent(daemons: Daemons, gateway: Gateway) -> str:
    """Bring an approval to where its email is delivered and the mail server's answer is held back."""
    gateway.post.gates[TEAM] = asyncio.Event()
    await daemons.start(gateway.config)
    thread = await gateway.ask()
    await approve(gateway)
    await gateway.post.delivered(is_email)
    return thread


@pytest.mark.timeout(300)
async def test_killed_at_every_step(
    daemons: Daemons, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """F02, F05-F09: whichever step the gateway dies at, nothing is lost, done twice, renamed or stuck."""
    found = await sweep(daemons, tmp_path, lambda _: None)
    with capsys.disabled():
        print(f"\n{closing_line(found)}")  # noqa: T201 - the figure that CI shows
    assert [each for each in found if not each.good] == []
    swept = {each.point.step for each in found if each.point}
    assert swept >= {
        "decision-committed",
        "claimed-ResumeGraph",
        "before-data",
        "after-answer",
        "before-filing",
    }
    in_doubt = {each.point for each in found if each.in_doubt}
    assert in_doubt == {Point("before-data", 1), Point("after-answer", 1)}


async def test_killed_while_the_server_answers(daemons: Daemons, gateway: Gateway) -> None:
    """F04: death between the mail and its answer leaves a doubt that is told and never sent again."""
    thread = await being_sent(daemons, gateway)
    daemons.send(signal.SIGKILL)
    assert await daemons.ended() == -signal.SIGKILL
    gateway.post.gates.clear()
    await daemons.start(gateway.config)
    alert = await gateway.letter("alert", OPS)
    await gateway.letter("outcome", ALICE)
    assert await daemons.stopped() == 0

    (email,) = gateway.emails
    assert email.message["Message-ID"] in alert.text
    left = aftermath(gateway, thread)
    assert (left.execution, left.lost, left.twice, left.stuck) == (RowState.IN_DOUBT, False, False, False)


@pytest.mark.parametrize(("done", "status"), [("--done", "done"), ("--not-done", "failed")])
async def test_doubt_is_resolved(daemons: Daemons, gateway: Gateway, done: str, status: str) -> None:
    """F04: `gateway resolve` ends a doubt by a person's word; the agent goes on, nothing is sent again."""
    thread = await being_sent(daemons, gateway)
    daemons.send(signal.SIGKILL)
    await daemons.ended()
    gateway.post.gates.clear()
    await daemons.start(gateway.config)
    await gateway.letter("outcome", ALICE)
    (approval,) = (await gateway.status(thread))["approvals"]
    resolved = await gateway.command("resolve", approval["id"], done, "--by", OPS)
    assert resolved["status"] == status
    await gateway.letter("outcome", ALICE)
    ended = await gateway.ended(thread)
    assert OPS in (ended["result"] or ended["error"])
    assert len(gateway.emails) == 1
    assert await daemons.stopped() == 0


async def test_stopped_when_idle(daemons: Daemons, gateway: Gateway) -> None:
    """SIGTERM ends a gateway that has nothing to do within five seconds, with exit code 0."""
    await daemons.start(gateway.config)
    async with asyncio.timeout(STOP_SECONDS):
        assert await daemons.stopped() == 0


async def test_stopped_while_asking(daemons: Daemons, gateway: Gateway) -> None:
    """SIGTERM also ends a gateway that programs wait on, and the question is open at the next start."""
    await daemons.start(gateway.config)
    thread = await gateway.ask()
    async with asyncio.timeout(STOP_SECONDS):
        assert await daemons.stopped() == 0
    await daemons.start(gateway.config)
    await approve(gateway)
    assert (await gateway.ended(thread))["approval_status"] == "approved"
    assert await daemons.stopped() == 0


async def test_stopped_during_a_send(daemons: Daemons, gateway: Gateway) -> None:
    """F03: a send that is under way at SIGTERM is finished first, and recorded as done."""
    thread = await being_sent(daemons, gateway)
    async with asyncio.timeout(STOP_SECONDS):
        daemons.send(signal.SIGTERM)
        gateway.post.gates[TEAM].set()
        assert await daemons.ended() == 0
    await daemons.start(gateway.config)
    await gateway.ended(thread)
    await gateway.letter("outcome", ALICE)
    assert await daemons.stopped() == 0
    left = aftermath(gateway, thread)
    assert (left.execution, left.twice, left.stuck) == (RowState.DONE, False, False)


async def test_stopped_during_a_send_that_does_not_end(daemons: Daemons, gateway: Gateway) -> None:
    """F03: a send without an answer holds the stop for at most five seconds and is then in doubt."""
    thread = await being_sent(daemons, gateway)
    async with asyncio.timeout(STOP_SECONDS):
        assert await daemons.stopped() == 0
    gateway.post.gates.clear()
    await daemons.start(gateway.config)
    await gateway.letter("alert", OPS)
    assert await daemons.stopped() == 0
    left = aftermath(gateway, thread)
    assert (left.emails, left.execution, left.stuck) == (1, RowState.IN_DOUBT, False)
