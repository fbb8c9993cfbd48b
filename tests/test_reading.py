"""Foreign mail is read in a process of its own: it may hang, die or lie, and the gateway goes on."""

import asyncio
import os
import pickle
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

import frail_child
from builders import FIELDS
from frail_child import EAT, HANG, KILL
from gateway.core import gist, reply
from gateway.core.mail import MAX_BYTES
from gateway.core.reply import NO_CONTEXT, Context, Said
from gateway.core.sender import Why
from gateway.reading import child
from gateway.reading.reader import Reader, ReaderUnavailableError, ReadingFailedError

REPLIES = sorted((Path(__file__).parent / "replies").glob("*.eml"))
MAIL = b"From: alice@example.com\r\nSubject: Re: x\r\n\r\nAPPROVE\r\n"
LIE = """
import dataclasses, json, socket, sys
from gateway.core.gist import survey
from gateway.reading.child import DONE, FAILED, LENGTH
GOOD = dataclasses.asdict(survey(b""))
line = socket.socket(fileno=0)
say = lambda kind, octets: line.sendall(kind + LENGTH.pack(len(octets)) + octets)
say(DONE, b'"ready"')
line.recv(100)
{lie}
line.recv(1)
"""


@pytest.fixture
async def reader() -> AsyncIterator[Reader]:
    reader = Reader()
    yield reader
    await reader.close()


@pytest.fixture
async def process(reader: Reader) -> psutil.Process:
    """The process that has read its first mail."""
    await reader.survey(MAIL)
    return psutil.Process(reader.pid)


async def test_a_mail_is_read_there_as_here(reader: Reader) -> None:
    """Every golden reply comes back from the process as the same values of the same types."""
    context = Context(fields=FIELDS)
    for path in REPLIES:
        raw = path.read_bytes()
        assert await reader.survey(raw) == gist.survey(raw), path.name
        assert await reader.read(raw, context) == reply.read(raw, context), path.name


async def test_text_is_read_as_its_reader_sees_it(reader: Reader) -> None:
    """For evidence: decoded, or from HTML where there is nothing else."""
    assert await reader.text(MAIL) == "APPROVE\n"
    html = b"Content-Type: text/html\r\n\r\n<p>APPROVE</p><p hidden>REJECT</p>"
    assert (await reader.text(html)).strip() == "APPROVE"


async def test_what_no_json_can_hold_comes_back_replaced(reader: Reader) -> None:
    """T72: lone surrogates, which some charsets decode to, cost nobody a try."""
    raw = (
        b"From: =?utf-7?q?+2AA-?= <a@b.example>\r\nContent-Type: text/plain; charset=utf-16\r\n\r\n\x00\xd8\n"
    )
    assert (await reader.survey(raw)).author.address == "a@b.example"
    assert (await reader.read(raw, NO_CONTEXT)).said is not Said.APPROVE


@pytest.mark.parametrize(("word", "why"), [(HANG, "longer than 1 seconds"), (KILL, "died"), (EAT, "died")])
async def test_a_mail_that_breaks_the_process_fails_alone(word: bytes, why: str) -> None:
    """T72, T73, F46: hanging, dead or out of memory, it is replaced, and the next mail is read."""
    reader = Reader(program="frail_child", deadline=1)
    await reader.survey(MAIL)
    first = psutil.Process(reader.pid)
    with pytest.raises(ReadingFailedError, match=why):
        await reader.survey(MAIL + word)
    assert reader.pid is None
    assert (await reader.survey(MAIL)).author.why is Why.ONE_ADDRESS
    assert reader.pid != first.pid
    await reader.close()
    assert not first.is_running()


async def test_a_process_that_died_idle_costs_no_mail_a_try(reader: Reader, process: psutil.Process) -> None:
    """F46: whatever killed it between two mails, the next mail is read by a new one."""
    process.kill()
    await asyncio.to_thread(process.wait)
    assert await reader.survey(MAIL)
    assert reader.pid != process.pid


@pytest.mark.parametrize(
    "lie",
    [
        "say(DONE, b'null')",
        "say(DONE, b'{}')",
        "say(DONE, b'{')",
        "say(DONE, b'[' * 100_000)",
        "say(DONE, json.dumps({**GOOD, 'handles': 'x'}).encode())",
        "say(DONE, json.dumps({**GOOD, 'author': {'address': None, 'why': 'me'}}).encode())",
        "import pickle; say(DONE, pickle.dumps(print))",
        "line.sendall(DONE + LENGTH.pack(2**32 - 1))",
        "say(FAILED, b'{}')",
        "say(FAILED, b'\\xff')",
        "say(b'?', b'null')",
        "sys.exit()",
    ],
)
async def test_a_lie_fails_one_mail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lie: str) -> None:
    """T72: an answer that is not exactly what was asked for is no answer, and its writer is ended."""
    (tmp_path / "liar.py").write_text(LIE.format(lie=lie))
    monkeypatch.syspath_prepend(tmp_path)
    reader = Reader(program="liar")
    with pytest.raises(ReadingFailedError):
        await reader.survey(MAIL)
    assert reader.pid is None
    await reader.close()


async def test_the_liars_can_tell_the_truth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the lies that fail above, not how they are told."""
    (tmp_path / "liar.py").write_text(LIE.format(lie="say(DONE, json.dumps(GOOD).encode())"))
    monkeypatch.syspath_prepend(tmp_path)
    reader = Reader(program="liar")
    assert await reader.survey(MAIL) == gist.survey(b"")
    await reader.close()


async def test_a_reason_is_shown_without_tricks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a broken step says is logged with everything hidden made visible."""
    (tmp_path / "liar.py").write_text(LIE.format(lie="say(FAILED, b'\"a\\\\u202eb\"')"))
    monkeypatch.syspath_prepend(tmp_path)
    reader = Reader(program="liar")
    with pytest.raises(ReadingFailedError, match="a⟦U\\+202E⟧b"):
        await reader.survey(MAIL)
    await reader.close()


async def test_an_answer_after_its_time_is_nobodys(reader: Reader, process: psutil.Process) -> None:
    """Who stops waiting ends the process, so that no mail gets the answer to another."""
    process.suspend()
    reading = asyncio.create_task(reader.survey(MAIL))
    await asyncio.sleep(0)
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    assert reader.pid is None
    other = MAIL.replace(b"alice", b"bob")
    assert (await reader.survey(other)).author.address == "bob@example.com"


async def test_mails_are_read_one_after_the_other(reader: Reader) -> None:
    """Each caller gets the answer to its own mail."""
    names = [f"person{n}@example.com" for n in range(20)]
    read = await asyncio.gather(
        *(reader.survey(MAIL.replace(b"alice@example.com", n.encode())) for n in names)
    )
    assert [each.author.address for each in read] == names


async def test_a_process_that_does_not_start_is_no_mails_fault() -> None:
    """F47: then no mail can be read, which is told apart from a mail that cannot."""
    reader = Reader(program="no.such.module")
    with pytest.raises(ReaderUnavailableError):
        await reader.survey(MAIL)
    await reader.close()


async def test_the_process_has_nothing_but_its_line(monkeypatch: pytest.MonkeyPatch, reader: Reader) -> None:
    """T72: no secret of ours in its environment, no file or connection of ours, no way to start a program."""
    monkeypatch.setenv("GATEWAY_SMTP__PASSWORD", "secret")
    with socket.create_server(("127.0.0.1", 0)):
        await reader.survey(MAIL)
        process = psutil.Process(reader.pid)
        assert set(process.environ()) <= {"PYTHONPATH", "LD_LIBRARY_PATH", "PYTHONHOME", "LC_CTYPE"}
        assert not process.net_connections("inet")
        assert process.open_files() == []
    if sys.platform == "linux":
        assert process.rlimit(psutil.RLIMIT_NPROC) == (0, 0)
        assert process.rlimit(psutil.RLIMIT_FSIZE) == (0, 0)
    assert os.getsid(process.pid) != os.getsid(0)


async def test_a_signal_to_the_whole_group_ends_no_reading(reader: Reader, process: psutil.Process) -> None:
    """F04: a service manager's SIGTERM is for the gateway, which still finishes the mail it is at."""
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGINT)
    assert await reader.survey(MAIL)
    assert reader.pid == process.pid


def test_the_process_dies_with_the_gateway() -> None:
    """F01: killed outright, the gateway leaves nobody behind."""
    program = (
        "import asyncio, os, sys\n"
        "from gateway.reading.reader import Reader\n"
        "async def main():\n"
        "    reader = Reader()\n"
        "    await reader.survey(b'')\n"
        "    os.write(1, str(reader.pid).encode())\n"
        "    os.kill(os.getpid(), 9)\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    with suppress(psutil.NoSuchProcess):
        psutil.Process(int(done.stdout.split()[-1])).wait()


def test_a_hanging_step_ends_without_anybodys_help() -> None:
    """T72: the process has its own clock, should the gateway have died over the same mail."""
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            command = [sys.executable, frail_child.__file__, str(2**30)]
            process = subprocess.Popen(command, stdin=theirs.fileno())
        request = pickle.dumps(("survey", -1, (HANG,)))
        ours.sendall(child.LENGTH.pack(len(request)) + request)
        assert process.wait() == -signal.SIGALRM


async def test_a_step_that_breaks_is_told(reader: Reader) -> None:
    """A mail that a step gives up on costs no process: the reason comes back."""
    with pytest.raises(ReadingFailedError, match="TooLargeError"):
        await reader.text(b"x" * (MAX_BYTES + 1))
    assert reader.pid is not None
