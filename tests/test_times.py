from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.times import moment, period

WHEN = datetime(2026, 3, 3, 16, 40, 59, tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "words"),
    [
        ("Europe/Berlin", "Tuesday 3 March 2026, 17:40 CET (UTC+01:00)"),
        ("America/New_York", "Tuesday 3 March 2026, 11:40 EST (UTC-05:00)"),
        ("Asia/Kathmandu", "Tuesday 3 March 2026, 22:25 UTC+05:45"),
        ("Pacific/Kiritimati", "Wednesday 4 March 2026, 06:40 UTC+14:00"),
        ("UTC", "Tuesday 3 March 2026, 16:40 UTC"),
    ],
)
def test_a_moment_is_worded_in_the_readers_zone(zone: str, words: str) -> None:
    """A moment names its day, its minute and its zone in a way that holds everywhere."""
    assert moment(WHEN, ZoneInfo(zone)) == words


@pytest.mark.parametrize(
    ("length", "words"),
    [
        (timedelta(hours=3, minutes=40), "3 hours 40 minutes"),
        (timedelta(hours=3, minutes=59, seconds=59), "3 hours 59 minutes"),
        (timedelta(days=1, minutes=1), "1 day 1 minute"),
        (timedelta(hours=2), "2 hours"),
        (timedelta(seconds=59), "less than a minute"),
        (timedelta(0), "less than a minute"),
    ],
)
def test_a_period_is_exact(length: timedelta, words: str) -> None:
    """A period is worded to the minute."""
    assert period(length) == words


@given(st.timedeltas(min_value=timedelta(minutes=1), max_value=timedelta(days=400)))
def test_a_period_is_never_rounded_up(length: timedelta) -> None:
    """The worded period is at most a minute shorter than the real one, and never longer."""
    parts = period(length).split()
    counted = zip(parts[::2], parts[1::2], strict=True)
    worded = sum((timedelta(**{f"{unit.rstrip('s')}s": int(count)}) for count, unit in counted), timedelta())
    assert timedelta(0) <= length - worded < timedelta(minutes=1)
