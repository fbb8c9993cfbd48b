"""What was measured, for machines and for people."""

import json
import os
import platform
import sqlite3
import statistics
import tempfile
import time
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.rounds import Played, Round

FLOOR, GATEWAY, BY_REPLY = "bare engine", "gateway", "gateway, by reply"
BEGIN, END = "<!-- figures: written by make bench -->", "<!-- end of figures -->"
_LIBRARIES = ("langgraph", "langgraph-checkpoint-sqlite", "aiosqlite", "aiosmtplib", "aioimaplib")
_SYNCS = 100
_PUSH = "Push by IDLE → graph resumed, one at a time: {p50:.0f} ms (p50), {p99:.0f} ms (p99)."


def summarise(played: Played, place: Path) -> dict[str, Any]:
    """Return everything as plain JSON; times are milliseconds."""
    concurrencies = list(dict.fromkeys(each.concurrency for each in played.rounds))
    sides = list(dict.fromkeys(each.side for each in played.rounds))
    rows = {
        (side, concurrency): _row(
            [each for each in played.rounds if (each.side, each.concurrency) == (side, concurrency)],
            played.commits[side, concurrency],
        )
        for concurrency in concurrencies
        for side in sides
    }
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": _machine(place),
        "rounds": len(played.rounds) // len(rows),
        "cpu_ratio": {str(n): _ratio(rows[GATEWAY, n], rows[FLOOR, n]) for n in concurrencies},
        "cpu_ratio_by_reply": {str(n): _ratio(rows[BY_REPLY, n], rows[FLOOR, n]) for n in concurrencies},
        "push_to_resumed_ms": _spread(_pushes(played.rounds)),
        "rows": list(rows.values()),
    }


def save(results: Mapping[str, Any], path: Path) -> None:
    """Write the results."""
    path.write_text(json.dumps(results, indent=2) + "\n", "utf-8")


def load(path: Path) -> dict[str, Any]:
    """Read results that were saved."""
    results: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return results


def tables(results: Mapping[str, Any]) -> str:
    """Lay the results out as Markdown."""
    machine = results["machine"]
    libraries = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    head = (
        f"{results['at'][:10]}, {machine['cores']} cores, {machine['system']}, an fsync takes"
        f" {machine['fsync_ms']} ms; {libraries}. Medians of {results['rounds']} interleaved rounds;"
        " times in milliseconds."
    )
    ratios = [
        [n, f"{ratio:.2f}", f"{results['cpu_ratio_by_reply'][n]:.2f}"]
        for n, ratio in results["cpu_ratio"].items()
    ]
    return "\n\n".join(
        [
            head,
            _table(("at once", "CPU ÷ bare engine", "CPU by reply ÷ bare engine"), ratios),
            _table(_COLUMNS, [_cells(row) for row in results["rows"]]),
            _PUSH.format(**results["push_to_resumed_ms"]),
        ]
    )


def insert(page: str, figures: str) -> str:
    """Return the page with the figures between their markers."""
    before, rest = page.split(BEGIN)
    return f"{before}{BEGIN}\n\n{figures}\n\n{END}{rest.split(END)[1]}"


_COLUMNS = (
    "at once", "side", "CPU", "lowest-highest", "start → asked p50 / p99", "answer → effect p50 / p99",
    "approvals/s", "commits", "mails", "RSS MB",
)  # fmt: skip


def _cells(row: Mapping[str, Any]) -> list[str]:
    return [
        str(row["concurrency"]),
        row["side"],
        f"{row['cpu_ms']:.1f}",
        f"{min(row['cpu_ms_by_round']):.1f}-{max(row['cpu_ms_by_round']):.1f}",
        "{p50:.0f} / {p99:.0f}".format(**row["start_to_asked_ms"]),
        "{p50:.0f} / {p99:.0f}".format(**row["answer_to_effect_ms"]),
        f"{row['per_second']:.1f}",
        f"{row['commits']:.1f}",
        f"{row['mails']:.0f}",
        f"{row['rss_mb']:.0f}",
    ]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _row(rounds: Sequence[Round], commits: float) -> dict[str, Any]:
    approvals = len(rounds[0].samples)
    samples = [sample for each in rounds for sample in each.samples]
    cpu = [each.cpu * 1000 / approvals for each in rounds]
    return {
        "side": rounds[0].side,
        "concurrency": rounds[0].concurrency,
        "approvals": len(samples),
        "cpu_ms": round(statistics.median(cpu), 2),
        "cpu_ms_by_round": [round(each, 2) for each in cpu],
        "outside_cpu_ms": round(statistics.median(each.outside_cpu * 1000 / approvals for each in rounds), 2),
        "start_to_asked_ms": _spread(sample.asked for sample in samples),
        "answer_to_effect_ms": _spread(sample.done for sample in samples),
        "per_second": round(statistics.median(approvals / each.wall for each in rounds), 1),
        "commits": round(commits, 1),
        "mails": round(sum(each.mails for each in rounds) / len(samples), 1),
        "rss_mb": round(max(each.rss for each in rounds) / 2**20, 1),
    }


def _ratio(gateway: Mapping[str, Any], floor: Mapping[str, Any]) -> float:
    """Compare round by round, since neighbours in time had the same machine."""
    pairs = zip(gateway["cpu_ms_by_round"], floor["cpu_ms_by_round"], strict=True)
    ratios: list[float] = [ours / theirs for ours, theirs in pairs]
    return round(statistics.median(ratios), 2)


def _pushes(rounds: Iterable[Round]) -> Iterator[float]:
    """Take from each reply that came alone how long until the graph had its answer."""
    for each in rounds:
        if (each.side, each.concurrency) == (BY_REPLY, 1):
            resumed = sorted(each.resumed)
            for sample in each.samples:
                yield (resumed[bisect_left(resumed, sample.answered)] - sample.answered) * 1000


def _spread(values: Iterable[float]) -> dict[str, float]:
    """Give the nearest ranks."""
    ranked = sorted(values)
    return {f"p{rank}": round(ranked[(len(ranked) * rank - 1) // 100], 2) for rank in (50, 99)}


def _machine(place: Path) -> dict[str, Any]:
    return {
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "fsync_ms": _fsync(place),
        "versions": {
            "Python": platform.python_version(),
            "SQLite": sqlite3.sqlite_version,
            **{name: version(name) for name in _LIBRARIES},
        },
    }


def _fsync(place: Path) -> float:
    """Measure what a commit has to wait for on this disk."""
    times: list[float] = []
    with tempfile.TemporaryFile(dir=place, buffering=0) as file:
        for _ in range(_SYNCS):
            file.write(bytes(4096))
            began = time.perf_counter()
            os.fsync(file.fileno())
            times.append((time.perf_counter() - began) * 1000)
    return round(statistics.median(times), 2)
