"""Fuzz what reads a mail's octets: `make fuzz`, for FUZZ_SECONDS.

Starts from the golden mails. What leads somewhere new is kept in `.fuzz/corpus`, what breaks something in
`.fuzz/`.
"""

import os
import resource
import shutil
import sys
import zlib
from dataclasses import replace
from pathlib import Path
from time import perf_counter

import atheris

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
with atheris.instrument_imports(include=["gateway.core"]):
    from gateway.core import gist, reply
    from gateway.core.authentication import Trust
from adversary import LANGUAGES
from mutation import damaged
from oracle import mail_may_approve
from test_reply import CONTEXT, MAILS, REQUEST

SLOWEST_SECONDS, MOST_MEMORY_MB = 2, 300
TRUST = Trust(server="mx.example.com")
TONGUES = ((), *((language,) for language in LANGUAGES), LANGUAGES)
GOLDEN = [path.read_bytes() for path in MAILS]
KEPT = ROOT / ".fuzz"


def read_one(raw: bytes) -> None:
    languages = TONGUES[zlib.crc32(raw) % len(TONGUES)]
    began = perf_counter()
    reading = reply.read(raw, replace(CONTEXT, languages=languages))
    gist.survey(raw, ["approvals@example.com"], TRUST)
    seconds = perf_counter() - began
    assert seconds <= SLOWEST_SECONDS, f"{seconds:.1f} s"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < MOST_MEMORY_MB * 1024, "memory"
    if reading.said is reply.Said.APPROVE:
        assert mail_may_approve(raw, languages, REQUEST), reading


def mutate(raw: bytes, max_size: int, seed: int) -> bytes:
    """Damage a mail as one, or its octets as the library does."""
    if seed % 3 == 0:
        return bytes(atheris.Mutate(raw, max_size))
    return damaged(seed, raw, GOLDEN[seed % len(GOLDEN)])[:max_size]


def main() -> None:
    corpus, seeds = KEPT / "corpus", KEPT / "seeds"
    corpus.mkdir(parents=True, exist_ok=True)
    seeds.mkdir(exist_ok=True)
    for path in MAILS:
        shutil.copy(path, seeds)
    options = (
        f"-max_total_time={os.environ.get('FUZZ_SECONDS', '120')}",
        f"-artifact_prefix={KEPT}/",
        f"-rss_limit_mb={MOST_MEMORY_MB}",
        *("-timeout=10", "-max_len=100000", "-len_control=0", "-print_final_stats=1"),
    )
    atheris.Setup(
        [sys.argv[0], *options, *sys.argv[1:], str(corpus), str(seeds)], read_one, custom_mutator=mutate
    )
    atheris.Fuzz()


if __name__ == "__main__":
    main()
