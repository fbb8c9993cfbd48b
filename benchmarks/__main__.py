"""`python -m benchmarks`: measure, print, and write the results and the page about them."""

import argparse
import asyncio
import tempfile
from pathlib import Path

from benchmarks import report
from benchmarks.rounds import Plan, play

_ROOT = Path(__file__).resolve().parent.parent
RESULTS, PAGE = _ROOT / "benchmarks" / "results" / "latest.json", _ROOT / "docs" / "performance.md"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=4, help="interleaved rounds of each kind")
    parser.add_argument(
        "--profile", type=Path, help="write here where the gateway's CPU time goes, and no results"
    )
    options = parser.parse_args()
    plan = Plan(rounds=options.rounds, profile=options.profile and options.profile.resolve())
    with tempfile.TemporaryDirectory(prefix="gateway-bench-") as place:
        results = report.summarise(asyncio.run(play(plan, Path(place))), Path(place))
    figures = report.tables(results)
    print(figures)
    if not plan.profile:
        report.save(results, RESULTS)
        PAGE.write_text(report.insert(PAGE.read_text("utf-8"), figures), "utf-8")


if __name__ == "__main__":
    main()
