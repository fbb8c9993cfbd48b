"""Cases of the field's fault bench.

In each nothing unapproved runs, nothing approved is lost or done twice, and whoever acted in vain is told.
"""

import asyncio
from pathlib import Path

import pytest

from running import ALICE, BOB, PEOPLE, Gateway, running
from servers.post import Post
from test_examples import with_examples


async def decided(gateway: Gateway, thread: str) -> list[str]:
    return sorted(each["state"] for each in (await gateway.status(thread))["approvals"])


async def told(gateway: Gateway, person: str) -> str:
    """Wait for what a person is told of their answer."""
    kinds = {
        asyncio.ensure_future(gateway.letter(kind, person)): kind for kind in ("receipt", "already-decided")
    }
    done, waiting = await asyncio.wait(kinds, return_when=asyncio.FIRST_COMPLETED)
    for each in waiting:
        each.cancel()
    return kinds[done.pop()]


async def test_late_duplicate_of_an_answered_question(tmp_path: Path) -> None:
    """Case 4, T08: the same answer again does not reach the question that came after it."""
    async with with_examples(tmp_path) as gateway:
        thread = await gateway.ask("v2", graph="release")
        first = await gateway.letter("ask", ALICE, about="secrets")
        await gateway.reply(first, "APPROVE")
        await gateway.letter("ask", ALICE, about="keys")
        await gateway.reply(first, "APPROVE", Message_ID="<again@phone.example.com>")
        await gateway.letter("already-decided", ALICE)
        again = await gateway.client.get(first.link)
        assert 'name="decision"' not in again.text
        assert await decided(gateway, thread) == ["approved", "open", "open"]


async def test_two_interrupts_in_one_node(tmp_path: Path) -> None:
    """Case 5, T08: each is a question of its own, and the second never gets the answer of the first."""
    async with with_examples(tmp_path) as gateway:
        thread = await gateway.ask("v2", graph="release")
        await gateway.reply(await gateway.letter("ask", ALICE, about="licences"), "APPROVE")
        await gateway.reply(await gateway.letter("ask", ALICE, about="secrets"), "APPROVE")
        await gateway.reply(await gateway.letter("ask", ALICE, about="keys"), "REJECT")
        for _ in range(3):
            await gateway.letter("receipt", ALICE)
        result = (await gateway.ended(thread))["result"]
        assert "Is v2 free of secrets? approve" in result
        assert "Are the keys of v2 rotated? reject" in result


@pytest.mark.parametrize("turn", range(3))
async def test_two_people_decide_at_the_same_moment_in_opposite_ways(tmp_path: Path, turn: int) -> None:
    """Case 6, T07: one of them decides, the other is told who did, and the mail is sent once or never."""
    async with Post(*PEOPLE) as post, running(tmp_path, post) as gateway:
        thread = await gateway.ask()
        alice, bob = await gateway.letter("ask", ALICE), await gateway.letter("ask", BOB)
        answers = [
            gateway.reply(alice, "APPROVE"),
            gateway.choose(bob.link, decision="reject") if turn else gateway.reply(bob, "REJECT"),
        ]
        await asyncio.gather(*(answers if turn < 2 else reversed(answers)))
        kinds = [await told(gateway, person) for person in (ALICE, BOB)[: 1 if turn else 2]]
        status = await gateway.ended(thread)
        (state,) = await decided(gateway, thread)
        assert status["approval_status"] == state
        assert len(gateway.emails) == (state == "approved")
        assert kinds == [
            "receipt" if state == verdict else "already-decided"
            for verdict, _ in zip(("approved", "rejected"), kinds, strict=False)
        ]


async def test_old_link_on_an_identical_new_request(tmp_path: Path) -> None:
    """Case 11, T06: what decided one question decides nothing about another in the same words."""
    async with Post(*PEOPLE) as post, running(tmp_path, post) as gateway:
        first = await gateway.ask()
        old = await gateway.letter("ask", ALICE)
        await gateway.reply(old, "REJECT")
        await gateway.letter("receipt", ALICE)
        await gateway.ended(first)
        second = await gateway.ask()
        new = await gateway.letter("ask", ALICE)
        assert new.link != old.link
        page = await gateway.client.get(old.link)
        assert 'name="decision"' not in page.text
        await gateway.reply(old, "APPROVE", Message_ID="<late@phone.example.com>")
        await gateway.letter("already-decided", ALICE)
        assert await decided(gateway, second) == ["open"]
        assert not gateway.emails
