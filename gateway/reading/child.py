"""The program that takes foreign octets apart: one request after the other on standard input, until it ends.

It starts with one argument, the most memory in octets that it may ever have. A request is pickled: a
step's name, the seconds it may take, its arguments. An answer is JSON: its reader must not trust its writer.
"""

import json
import os
import pickle
import resource
import signal
import struct
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, is_dataclass
from typing import Any, BinaryIO

from gateway.core import gist, mail, markup, reply

LENGTH = struct.Struct("!I")
"""Stands before each request and each answer: how many octets follow."""
DONE, FAILED = b"+", b"-"
"""Stands before an answer's length: JSON of what was read follows, or of the reason why nothing was."""

_OPEN_FILES = 32
_LARGEST_REASON = 200


def text(raw: bytes) -> str:
    """Return a mail's text as its reader sees it, or raise what `mail.parse` raises."""
    taken_apart = mail.parse(raw)
    return taken_apart.text or markup.to_text(taken_apart.html or "")


STEPS: Mapping[str, Callable[..., Any]] = {"survey": gist.survey, "read": reply.read, "text": text}


def main() -> None:
    """Answer requests until the gateway closes the line, or dies."""
    _limit_memory(int(sys.argv[1]))
    line = _take_line()
    with open(line, "rb") as requests, open(line, "wb", closefd=False) as answers:  # noqa: PTH123 - a descriptor
        _write(answers, DONE, "ready")
        while header := requests.read(LENGTH.size):
            step, seconds, given = pickle.loads(requests.read(*LENGTH.unpack(header)))  # noqa: S301 - from the gateway
            _limit_time(seconds)
            _answer(answers, step, given)
            signal.alarm(0)


def _answer(answers: BinaryIO, step: str, given: tuple[Any, ...]) -> None:
    try:
        found = STEPS[step](*given)
    except MemoryError:
        raise  # nobody knows what is left half done; a new process does
    except Exception as error:  # noqa: BLE001 - what breaks here is the mail's business, and told
        _write(answers, FAILED, f"{type(error).__name__}: {error}"[:_LARGEST_REASON])
    else:
        _write(answers, DONE, asdict(found) if is_dataclass(found) else found)  # type: ignore[arg-type]  # no class


def _write(answers: BinaryIO, kind: bytes, value: Any) -> None:
    # Lone surrogates, which some charsets decode to, are no JSON.
    octets = json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")
    answers.write(kind + LENGTH.pack(len(octets)) + octets)
    answers.flush()


def _take_line() -> int:
    """Keep the line to the gateway, and leave nothing open by which anything could be said to others."""
    # Terminals and service managers signal whole groups; the end of the line is what ends us.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    line = os.dup(0)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nowhere, standard)
    os.close(nowhere)
    return line


def _limit_memory(octets: int) -> None:
    """Give up what reading never needs: memory beyond the limit, files to write, processes, core dumps.

    macOS takes the limit on memory and does not keep it.
    """
    limits = {
        resource.RLIMIT_AS: octets,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NPROC: 0,
        resource.RLIMIT_NOFILE: _OPEN_FILES,
    }
    for limit, most in limits.items():
        try:
            resource.setrlimit(limit, (most, most))
        except (ValueError, OSError):  # not on this system
            continue


def _limit_time(seconds: int) -> None:
    """Die by ourselves a moment after the deadline, should nobody be there any more to end us."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    resource.setrlimit(
        resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime) + seconds + 2, resource.RLIM_INFINITY)
    )
    signal.alarm(seconds + 2)


if __name__ == "__main__":
    main()
