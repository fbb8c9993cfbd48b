from pathlib import Path

from benchmarks import report
from benchmarks.__main__ import PAGE, RESULTS
from benchmarks.rounds import Plan, play


async def test_the_harness_measures_all_sides(tmp_path: Path) -> None:
    """Both engines get two approvals done and every figure is there, the mails that we send above all."""
    played = await play(Plan(rounds=1, approvals={1: 2}), tmp_path)
    results = report.summarise(played, tmp_path)
    assert results.keys() >= {"at", "machine", "rounds", "rows", "cpu_ratio", "push_to_resumed_ms"}
    assert results["machine"].keys() == {"cores", "system", "fsync_ms", "versions"}
    assert results["cpu_ratio"].keys() == results["cpu_ratio_by_reply"].keys() == {"1"}
    assert {row["side"]: row["mails"] for row in results["rows"]} == {
        "bare engine": 1,
        "gateway": 5,
        "gateway, by reply": 5,
    }
    assert all(row["commits"] > 0 for row in results["rows"])


def test_the_page_shows_the_committed_results() -> None:
    """The tables in the manual are those of the results beside it."""
    results = report.load(RESULTS)
    assert report.tables(results) in PAGE.read_text("utf-8")
