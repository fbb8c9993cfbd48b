"""Says where a process spends its CPU time, in all of its threads, with the standard library's profiler."""

import cProfile
import pstats
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def profiled(report: Path) -> Iterator[None]:
    """Profile this thread and all that it starts; afterwards `python -m pstats REPORT` reads the sum.

    Raises:
        RuntimeError: since Python 3.12 only one thread at a time can be profiled.
    """
    if sys.version_info >= (3, 12):
        raise RuntimeError("only Python 3.11 profiles every thread")
    profiles: list[cProfile.Profile] = []

    def begin(*_: object) -> None:
        # Taking over from the hook by which the thread called us; CPU time, so that waiting costs nothing.
        profiles.append(cProfile.Profile(time.thread_time))
        profiles[-1].enable()

    threading.setprofile(begin)
    begin()
    try:
        yield
    finally:
        threading.setprofile(None)
        pstats.Stats(*profiles).dump_stats(report)
