"""Forks daemons from one process that has imported everything, and kills each at the step it is told.

An order is one line of JSON on standard input, `{"config": FILE, "step": NAME, "nth": N}`; without a step the
daemon lives. Each thing that happens is one line of JSON on standard output. Daemons run one at a time.
"""

import asyncio
import gc
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NoReturn

from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from gateway import daemon, log
from gateway.config import load


def main() -> None:
    gc.freeze()
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            _run(**json.loads(line))
        _say(pid=pid)
        _say(ended=os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


def _run(config: str, step: str | None = None, nth: int = 1) -> NoReturn:
    os.dup2(os.open(Path(config).with_name("log"), os.O_CREAT | os.O_WRONLY | os.O_APPEND), 2)
    log.configure(json=False)
    log.on_step.append(_Killer(step, nth))
    _mark_checkpoints()
    asyncio.run(_daemon(Path(config)))
    os._exit(0)


async def _daemon(config: Path) -> None:
    stop = asyncio.Event()
    daemon.stop_on_signals(stop)
    await daemon.run(load(config, {}), stop=stop, ready=lambda _: _say(ready=True))


def _mark_checkpoints() -> None:
    """Make steps of what the engine saves by itself, too."""
    for name, step in {"aput": "checkpoint-saved", "aput_writes": "writes-saved"}.items():
        setattr(AsyncSqliteSaver, name, _marked(getattr(AsyncSqliteSaver, name), step))


def _marked(save: Callable[..., Awaitable[Any]], step: str) -> Callable[..., Awaitable[Any]]:
    async def marked(*given: Any) -> Any:
        saved = await save(*given)
        log.step(step)
        return saved

    return marked


class _Killer:
    """Tells of every step, and does not survive the one it was told."""

    def __init__(self, step: str | None, nth: int) -> None:
        self._step = step
        self._nth = nth
        self._seen: Counter[str] = Counter()

    def __call__(self, step: str) -> None:
        self._seen[step] += 1
        _say(step=step, nth=self._seen[step])
        if step == self._step and self._seen[step] == self._nth:
            os.kill(os.getpid(), signal.SIGKILL)


def _say(**what: Any) -> None:
    # One write, so that lines of parent and child do not mix.
    os.write(1, json.dumps(what).encode() + b"\n")


if __name__ == "__main__":
    main()
