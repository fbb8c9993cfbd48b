"""One approval, killed at every step it takes, and what is left of it once the gateway runs again.

The mail server lives here, outside of what is killed, so what it was given is the truth. As a program this
prints a line for each kill and the sum of them all.
"""

import asyncio
import json
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import httpx

from gateway.config import load
from gateway.core.effects import SendLetter
from gateway.core.execution import RowState, ThreadState
from gateway.store import Transaction
from running import ALICE, BOB, HIGH, OPS, PEOPLE, RITA, Clock, Gateway, install, recorded
from servers.post import Post

PATIENCE_SECONDS = 20.0
DOUBTFUL = frozenset({"before-data", "after-answer"})
"""The steps between which nobody can know."""
_KEY = "crash"
_NOT_NEEDED = "no longer needed"


@dataclass(frozen=True)
class Point:
    """The moment to die: the n-th time that a step is reached."""

    step: str
    nth: int


class Daemons:
    """Runs one daemon at a time, forked from a process that has imported everything."""

    async def __aenter__(self) -> Self:
        self._parent = await asyncio.create_subprocess_exec(
            sys.executable,
            Path(__file__).with_name("crash_daemon.py"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        self._pid: int | None = None
        self.steps: list[Point] = []
        return self

    async def __aexit__(self, *_: object) -> None:
        self.send(signal.SIGKILL)
        assert self._parent.stdin is not None
        self._parent.stdin.close()
        await self._parent.wait()

    async def start(self, config: Path, point: Point | None = None) -> None:
        """Start a daemon and wait until it is ready; one that still runs is killed first."""
        if self._pid is not None:
            self.send(signal.SIGKILL)
            await self.ended()
        order = {"config": str(config)} | ({"step": point.step, "nth": point.nth} if point else {})
        assert self._parent.stdin is not None
        self._parent.stdin.write(json.dumps(order).encode() + b"\n")
        self.steps.clear()
        await self._heard("ready")

    def send(self, number: signal.Signals) -> None:
        """Send the daemon a signal, if there is one."""
        if self._pid is not None:
            with suppress(ProcessLookupError):
                os.kill(self._pid, number)

    async def ended(self) -> int:
        """Wait for the daemon's end and return its exit code, or minus the signal that ended it."""
        code = int(await self._heard("ended"))
        self._pid = None
        return code

    async def stopped(self) -> int:
        """End the daemon as a service manager does."""
        self.send(signal.SIGTERM)
        return await self.ended()

    async def _heard(self, word: str) -> Any:
        assert self._parent.stdout is not None
        while line := await self._parent.stdout.readline():
            said = json.loads(line)
            self._pid = said.get("pid", self._pid)
            if "step" in said:
                self.steps.append(Point(**said))
            if word in said:
                return said[word]
        raise RuntimeError("the process that forks daemons has ended")


@dataclass(frozen=True, kw_only=True)
class Aftermath:
    """What there is when all is over; the defaults are what there is when it never was.

    `kinds` are those of the facts, `undelivered` the letters that never arrived, `renamed` those that came
    under several ids.
    """

    point: Point | None
    emails: int = 0
    kinds: Sequence[str] = ()
    thread: ThreadState = ThreadState.RUNNING
    execution: RowState | None = None
    undelivered: Sequence[str] = ()
    renamed: Sequence[str] = ()
    alerts: int = 0

    @property
    def in_doubt(self) -> bool:
        return self.execution is RowState.IN_DOUBT

    @property
    def lost(self) -> bool:
        decided = {"VoteCounted", "Granted"} <= set(self.kinds)
        told = self.alerts > 0 if self.in_doubt else self.emails > 0
        return bool(self.undelivered) or not decided or not told

    @property
    def twice(self) -> bool:
        once = ("Opened", "VoteCounted", "Granted", "EffectRequested", "Performed", "Doubted", "ThreadEnded")
        return self.emails > 1 or bool(self.renamed) or any(self.kinds.count(kind) > 1 for kind in once)

    @property
    def stuck(self) -> bool:
        return self.thread is not (ThreadState.WAITING if self.in_doubt else ThreadState.FINISHED)

    @property
    def wrongly_in_doubt(self) -> bool:
        return self.in_doubt and (self.point is None or self.point.step not in DOUBTFUL)

    @property
    def good(self) -> bool:
        return not (self.lost or self.twice or self.stuck or self.wrongly_in_doubt)


@asynccontextmanager
async def installed(place: Path, policy: str = HIGH) -> AsyncIterator[Gateway]:
    """A mail server here, and a gateway's configuration for whoever starts the daemon."""
    async with Post(*PEOPLE) as post:
        config = install(place, post, policy)
        base_url = load(config, {}).gateway.base_url
        async with httpx.AsyncClient(base_url=base_url, timeout=PATIENCE_SECONDS) as client:
            yield Gateway(config, post, client, Clock())


async def approve(gateway: Gateway) -> None:
    """Be Alice: answer the question, and see that the answer has arrived."""
    await gateway.reply(await gateway.letter("ask", ALICE), "APPROVE\n\nLooks good.")
    await gateway.letter("receipt", ALICE)


async def live_through(daemons: Daemons, place: Path, point: Point | None) -> Aftermath:
    """Play one approval with a death at `point`, start again, and look at what is left."""
    async with asyncio.timeout(PATIENCE_SECONDS), installed(place) as gateway, asyncio.TaskGroup() as group:
        alice = group.create_task(approve(gateway))
        if point is not None:
            await daemons.start(gateway.config, point)
            with suppress(httpx.TransportError):
                await gateway.ask(key=_KEY)
            if (code := await daemons.ended()) != -signal.SIGKILL:
                raise RuntimeError(f"the daemon ended with {code}, not at {point}")
        await daemons.start(gateway.config)
        thread = await gateway.ask(key=_KEY)
        await alice
        await gateway.ended(thread)
        await _all_told(gateway, thread)
        if await daemons.stopped() != 0:
            raise RuntimeError("the daemon did not stop in order")
    return aftermath(gateway, thread, point)


def aftermath(gateway: Gateway, thread: str, point: Point | None = None) -> Aftermath:
    """Hold the store against what the mail server was given."""

    def look(tx: Transaction) -> tuple[ThreadState, RowState | None, list[tuple[str, str]]]:
        (approval,) = tx.approvals_of(thread)
        row = tx.perform_row(approval.id)
        letters = [each for each in tx.outbox_in(list(RowState)) if isinstance(each.effect, SendLetter)]
        wanted = [(each.id, str(each.effect)) for each in letters if each.note != _NOT_NEEDED]
        return tx.thread(thread).state, row.state if row else None, wanted

    state, execution, letters = recorded(gateway.config, look)
    ids = {_message_id(mail.octets) for mail in gateway.post.deliveries}
    named = {letter: [each for each in ids if f"{row}@" in each] for row, letter in letters}
    return Aftermath(
        point=point,
        emails=len(gateway.emails),
        kinds=gateway.kinds(thread),
        thread=state,
        execution=execution,
        undelivered=[letter for letter, found in named.items() if not found],
        renamed=[letter for letter, found in named.items() if len(found) > 1],
        alerts=len(gateway.letters("alert", OPS)),
    )


async def sweep(daemons: Daemons, place: Path, tell: Callable[[Aftermath], None]) -> list[Aftermath]:
    """Go through an approval undisturbed, and then once for every step that it took."""
    (place / "undisturbed").mkdir()
    undisturbed = await live_through(daemons, place / "undisturbed", None)
    found = []
    for number, point in enumerate(tuple(daemons.steps)):
        (place / f"{number}").mkdir()
        try:
            found.append(await live_through(daemons, place / f"{number}", point))
        except TimeoutError:
            found.append(Aftermath(point=point))
        tell(found[-1])
    return [undisturbed, *found]


def closing_line(found: Sequence[Aftermath]) -> str:
    """Sum it up."""
    kills = sum(each.point is not None for each in found)
    lost, twice = sum(each.lost for each in found), sum(each.twice for each in found)
    stuck, in_doubt = sum(each.stuck for each in found), sum(each.in_doubt for each in found)
    return f"kills {kills}, lost {lost}, twice {twice}, stuck {stuck}, in doubt {in_doubt}"


async def _all_told(gateway: Gateway, thread: str) -> None:
    """Wait for the last letters: the outcome, and in doubt the alert."""
    for person in (ALICE, BOB, RITA):
        await gateway.letter("outcome", person)
    if (await gateway.status(thread))["approvals"][0]["execution"] == RowState.IN_DOUBT:
        await gateway.letter("alert", OPS)


def _message_id(octets: bytes) -> str:
    head = octets.partition(b"\r\n\r\n")[0].decode("ascii", "replace")
    return next(line for line in head.split("\r\n") if line.lower().startswith("message-id:"))


async def _main() -> int:
    with tempfile.TemporaryDirectory(prefix="gateway-crash-") as place:
        async with Daemons() as daemons:
            found = await sweep(daemons, Path(place), _tell)
    print(closing_line(found))  # noqa: T201 - a program's output
    return int(not all(each.good for each in found))


def _tell(found: Aftermath) -> None:
    assert found.point is not None
    ended = f"email sent {found.emails} times, execution {found.execution}, thread {found.thread}"
    print(f"killed at {found.point.step} {found.point.nth}: {ended}")  # noqa: T201 - a program's output


if __name__ == "__main__":
    sys.exit(asyncio.run(_main()))
