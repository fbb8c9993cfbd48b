"""Named events, structured: one line each, never a token, a password or a mail's text.

`step` names the points of an approval's life between which a crash must lose nothing; tests stop there.
"""

import logging
import sys
from collections.abc import Callable

import structlog

log: structlog.stdlib.BoundLogger = structlog.get_logger("gateway")

on_step: list[Callable[[str], None]] = []
"""Called with the name of every step reached; tests hook in here."""


def step(name: str) -> None:
    """Mark a point that the life of an approval has reached."""
    for listener in on_step:
        listener(name)


def configure(*, json: bool, debug: bool = False, quiet: bool = False) -> None:
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
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.DEBUG if debug else logging.ERROR if quiet else logging.INFO
        ),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
    )
