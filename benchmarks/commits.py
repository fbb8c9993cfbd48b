"""Counts a database's commits from outside, in its log: with synchronous=FULL each of them is one fsync."""

import asyncio
import struct
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

_FILE_HEADER, _FRAME_HEADER = 32, 24
_GLANCE_SECONDS = 0.005


@dataclass(frozen=True, slots=True)
class Log:
    """How many commits a log holds; `generation` changes when SQLite starts the log anew."""

    generation: bytes
    commits: int


def read(database: Path) -> Log:
    """Read the log of a database (https://www.sqlite.org/fileformat2.html#walformat)."""
    octets = database.with_name(database.name + "-wal").read_bytes()
    (page_size,) = struct.unpack_from(">I", octets, 8)
    generation = octets[16:24]
    commits = 0
    for start in range(_FILE_HEADER, len(octets) - _FRAME_HEADER, _FRAME_HEADER + page_size):
        _page, size_after_commit = struct.unpack_from(">II", octets, start)
        if octets[start + 8 : start + 16] != generation:
            break
        commits += size_after_commit > 0
    return Log(generation, commits)


@asynccontextmanager
async def counted(databases: Iterable[Path]) -> AsyncIterator[Counter[Path]]:
    """Count the commits of each database while the `with` lasts.

    It looks so often that hardly any are missed when SQLite begins a log anew; that takes time of its own.
    """
    seen = {path: read(path) for path in databases}
    commits: Counter[Path] = Counter()

    def look() -> None:
        for path, before in seen.items():
            now = seen[path] = read(path)
            commits[path] += now.commits - (before.commits if now.generation == before.generation else 0)

    async def watch() -> None:
        while True:
            await asyncio.sleep(_GLANCE_SECONDS)
            look()

    watching = asyncio.create_task(watch())
    try:
        yield commits
    finally:
        watching.cancel()
        look()
