"""Machines that answer our letters, on a running gateway: none gets more than one letter out of us."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from gateway.core.effects import Letter, SendLetter
from gateway.core.execution import RowState
from gateway.inbound import HELP_LIMIT
from running import ALICE, BOB, PEOPLE, Gateway, install, reaching, recorded, running, serving
from servers.post import Post

ROUNDS = 6
SECOND = "second@example.com"
EXCUSES = (
    "Thank you for your message.",
    "We have received your request and will come back to you.",
    "Ticket 4711 was opened.",
    "Your mail is important to us!",
    "Ihre Nachricht ist bei uns eingegangen.",
    "Please do not be alarmed: this mailbox is read on Mondays.",
)


@pytest.fixture
async def post() -> AsyncIterator[Post]:
    async with Post(*PEOPLE, SECOND) as post:
        yield post


def letters_to(config: Path, person: str) -> list[Letter]:
    """Every letter to a person that was ever recorded, sent or not, but for questions."""
    rows = recorded(config, lambda tx: tx.outbox_in(list(RowState)))
    letters = [row.effect for row in rows if isinstance(row.effect, SendLetter)]
    return [each.letter for each in letters if each.to == person and each.letter is not Letter.ASK]


async def answers(gateway: Gateway, person: str, **headers: str) -> None:
    """Let a machine answer the newest letter that it has, round after round, each time in other words."""
    letter = await gateway.letter("ask", person)
    for n in range(ROUNDS):
        async with reaching("before-filing") as filed:
            await gateway.reply(letter, EXCUSES[n % len(EXCUSES)], **headers)
            await filed.wait()
        if Letter.UNCLEAR in letters_to(gateway.config, person) and n == 0:
            letter = await gateway.letter("unclear", person)


async def test_a_strict_vacation_bot_gets_nothing(tmp_path: Path, post: Post) -> None:
    """T74, RFC 3834: what says that it is automatic decides nothing and is never answered."""
    async with running(tmp_path, post) as gateway:
        thread = await gateway.ask()
        await answers(gateway, ALICE, Auto_Submitted="auto-replied", Precedence="bulk")
        assert letters_to(gateway.config, ALICE) == []
        assert (await gateway.status(thread))["approval_status"] == "pending"


async def test_a_rude_bot_gets_one_letter(tmp_path: Path, post: Post) -> None:
    """T74: nothing tells it from a person who is hard to understand, so it gets help once, and no storm."""
    async with running(tmp_path, post) as gateway:
        thread = await gateway.ask()
        await answers(gateway, BOB)
        (written,) = letters_to(gateway.config, BOB)
        assert written in {Letter.UNCLEAR, Letter.COMMENT}
        assert (await gateway.status(thread))["approval_status"] == "pending"


async def test_a_rude_bot_that_lives_on_gets_three_letters(tmp_path: Path, post: Post) -> None:
    """T74: however long the question is open."""
    async with running(tmp_path, post) as gateway:
        await gateway.ask()
        letter = await gateway.letter("ask", BOB)
        for n in range(ROUNDS):
            async with reaching("before-filing") as filed:
                await gateway.reply(letter, EXCUSES[n])
                await filed.wait()
            gateway.clock.skip(minutes=11)
        assert len(letters_to(gateway.config, BOB)) == HELP_LIMIT


async def test_two_gateways_have_nothing_to_say_to_each_other(tmp_path: Path, post: Post) -> None:
    """T74: each is the other's reviewer and gets its question; neither answers, decides or asks back."""
    async with AsyncExitStack() as stack:
        gateways = []
        for me, other in ((post.gateway, SECOND), (SECOND, post.gateway)):
            (tmp_path / me).mkdir()
            config = install(tmp_path / me, post)
            text = config.read_text().replace(ALICE, other)
            config.write_text(text.replace(f'"{post.gateway}"', f'"{me}"', 3))
            gateways.append((await stack.enter_async_context(serving(config, post)), other))
        both_filed = await stack.enter_async_context(reaching("before-filing", times=2))
        threads = [await gateway.ask() for gateway, _ in gateways]
        await both_filed.wait()
        for (gateway, other), thread in zip(gateways, threads, strict=True):
            assert letters_to(gateway.config, other) == []
            assert (await gateway.status(thread))["approval_status"] == "pending"
            assert await gateway.command("quarantine", "list") == []
