"""The program that reads mail, but a word in a mail kills it, makes it hang, or makes it eat memory."""

import os
import signal
from typing import Any

from gateway.reading import child

KILL, HANG, EAT = b"kill the reader", b"hang the reader", b"eat all memory"


def frail(step: Any) -> Any:
    def survey(raw: bytes, *given: Any) -> Any:
        if KILL in raw:
            os.kill(os.getpid(), signal.SIGKILL)
        if HANG in raw:
            signal.pause()
        if EAT in raw:
            return [bytearray(2**24) for _ in range(2**16)]
        return step(raw, *given)

    return survey


if __name__ == "__main__":
    child.STEPS = {**child.STEPS, "survey": frail(child.STEPS["survey"])}
    child.main()
