"""Named events, structured: one line each, never a token, a password or a mail's text.

`step` names the points of an approval's life between which a crash must lose nothing; tests stop there.
"""

import logging
import sys
from collections.abc import Callable
from io import TextIOBase
from typing import TextIO, cast

import structlog

log: structlog.stdlib.BoundLogger = structlog.get_logger("gateway")

on_step: list[Callable[[str], None]] = []
"""Called with the name of every step reached; tests hook in here."""


class _StandardError(TextIOBase):
    """Standard error as it is when something is written, not as it was when logging was configured."""

    def write(self, text: str, /) -> int:
        """Write to it."""
        return sys.stderr.write(text)

    def flush(self) -> None:
        """Flush it."""
        sys.stderr.flush()


def step(name: str) -> None:
    """Mark a point that the life of an approval has reached."""
    for listener in on_step:
        listener(name)


def configure(*, json: bool, quiet: bool = False) -> None:
    """Write events to standard error, as JSON for machines or text for people; `quiet` is errors only."""
    renderer = (
        structlog.processors.JSONRenderer()
        if json
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR if quiet else logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(cast(TextIO, _StandardError())),
        cache_logger_on_first_use=not quiet,  # a command that says nothing has nothing to gain by it
    )
