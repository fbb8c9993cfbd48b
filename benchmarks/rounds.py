"""Plays approvals in interleaved rounds, so that whatever else the machine does falls on all sides alike."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from benchmarks import commits, sides
from benchmarks.outside import Outside
from benchmarks.sides import Sample, Side

_PATIENCE_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Plan:
    """How many rounds, and how many approvals in each by how many are under way at once."""

    rounds: int = 4
    approvals: Mapping[int, int] = field(default_factory=lambda: {1: 12, 16: 48, 64: 96})
    profile: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What one side needed for some approvals, until all that follows from them was done."""

    side: str
    concurrency: int
    samples: Sequence[Sample]
    resumed: Sequence[float]
    cpu: float
    outside_cpu: float
    wall: float
    rss: int
    mails: int


@dataclass(frozen=True, slots=True)
class Played:
    """All rounds of a run, and commits per approval by side and concurrency."""

    rounds: Sequence[Round]
    commits: Mapping[tuple[str, int], float]


async def play(plan: Plan, place: Path) -> Played:
    """Run all sides in turn, at each concurrency."""
    rounds: list[Round] = []
    counted: dict[tuple[str, int], float] = {}
    async with Outside() as outside, _line_up(plan, place, outside) as line_up:
        keys = (f"{n:06}" for n in count(1))
        for concurrency, approvals in plan.approvals.items():
            for side in line_up:
                counted[side.name, concurrency] = await _count(side, _take(keys, approvals), concurrency)
            for side in line_up * plan.rounds:
                played = await _play(side, outside, _take(keys, approvals), concurrency)
                rounds.append(played)
    return Played(rounds, counted)


@asynccontextmanager
async def _line_up(plan: Plan, place: Path, outside: Outside) -> AsyncIterator[list[Side]]:
    async with (
        sides.bare_process(place / "bare", outside) as floor,
        sides.gateway_process(place / "gateway", outside, plan.profile) as gateway,
    ):
        yield [sides.bare(floor, outside), sides.decided(gateway, outside), sides.replied(gateway, outside)]


async def _play(side: Side, outside: Outside, keys: Sequence[str], concurrency: int) -> Round:
    before, mails = await side.measured.settle(), outside.mails.total()
    began, own = time.perf_counter(), time.process_time()
    samples = await _approvals(side, keys, concurrency)
    after = await side.measured.settle()
    return Round(
        side=side.name,
        concurrency=concurrency,
        samples=samples,
        resumed=after.resumed,
        cpu=after.cpu - before.cpu,
        outside_cpu=time.process_time() - own,
        wall=time.perf_counter() - began,
        rss=side.measured.rss,
        mails=outside.mails.total() - mails,
    )


async def _count(side: Side, keys: Sequence[str], concurrency: int) -> float:
    """Count the commits of an approval in a round of its own, which also warms up: looking costs time."""
    await side.measured.settle()
    async with commits.counted(side.measured.databases) as counted:
        await _approvals(side, keys, concurrency)
        await side.measured.settle()
    return counted.total() / len(keys)


async def _approvals(side: Side, keys: Sequence[str], concurrency: int) -> list[Sample]:
    """Keep so many approvals under way until each has had its effect."""
    waiting, samples = iter(keys), list[Sample]()

    async def client() -> None:
        for key in waiting:
            samples.append(await side.one(key))

    async with asyncio.timeout(_PATIENCE_SECONDS), asyncio.TaskGroup() as group:
        for _ in range(concurrency):
            group.create_task(client())
    return samples


def _take(keys: Iterator[str], number: int) -> list[str]:
    return [next(keys) for _ in range(number)]
