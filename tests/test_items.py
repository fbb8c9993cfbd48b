"""Several items under one approval: each has its verdict, and the interrupt one answer for all of them."""

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import ALICE, BOB, NOW, approval, item, rule, vote
from gateway.actions.perform import Attempt, Job, UnapprovedError, perform
from gateway.core.action import Action
from gateway.core.approval import (
    Answer,
    Approval,
    Channel,
    ClockStruck,
    Denied,
    Granted,
    Identity,
    Lapsed,
    Outcome,
    Recalled,
    Settled,
    State,
    Verdict,
    Vote,
    VoteCounted,
    Voted,
    VotedByItem,
    decide,
    fold,
)
from gateway.core.effects import Letter, Perform, ResumeGraph, SendLetter
from gateway.core.execution import ThreadState
from gateway.core.payload import HITL, Option, Terms
from gateway.graphs import Pending
from gateway.service import Ballot
from gateway.store.rows import dump_fact, load_fact
from office import BOTH, FOREIGN, Office, open_office, tool_calls

APPROVE, REJECT, RESPOND = Verdict.APPROVE, Verdict.REJECT, Verdict.RESPOND
DECISIONS = (Option.APPROVE, Option.REJECT, Option.RESPOND)


def batch(n: int = 3, *, allows: Sequence[tuple[Option, ...]] = (), **changes: Any) -> Approval:
    """Tool calls of one turn, as LangChain's middleware asks about them."""
    items = tuple(item(Action("tool:refund", {"order": f"A{at}"})) for at in range(1, n + 1))
    terms = Terms(allows=tuple(allows) or (DECISIONS,) * n, names=("refund",) * n)
    return approval(**{"dialect": HITL, "items": items, "terms": terms, **changes})


def say(asked: Approval, *votes: Vote) -> tuple[Outcome, Approval]:
    outcome = decide(asked, VotedByItem(votes), NOW)
    return outcome, fold(asked, outcome.facts)


def answers(outcome: Outcome) -> list[dict[str, Any]]:
    """What the middleware is told, in the order of its calls."""
    (resume,) = [effect for effect in outcome.effects if isinstance(effect, ResumeGraph)]
    decisions: list[dict[str, Any]] = resume.value["decisions"]
    return decisions


def letters(outcome: Outcome) -> list[SendLetter]:
    return [effect for effect in outcome.effects if isinstance(effect, SendLetter)]


# --- votes ------------------------------------------------------------------------------------------------


def test_each_item_has_its_own_verdict_and_reason() -> None:
    """Votes on single items leave the question open until the last; then one resume answers all, in order."""
    first, asked = say(batch(), vote(item=1))
    assert (first.answer, asked.state, asked.undecided) == (Answer.RECORDED, State.OPEN, (2, 3))
    second, asked = say(asked, vote(REJECT, BOB.email, item=3, comment="too expensive"))
    assert (second.answer, asked.undecided) == (Answer.RECORDED, (2,))
    assert not [effect for effect in second.effects if isinstance(effect, ResumeGraph)]
    last, asked = say(asked, vote(RESPOND, item=2, comment="Ask sales."))
    assert (last.answer, asked.state) == (Answer.DECIDED, State.DECIDED)
    assert answers(last) == [
        {"type": "approve"},
        {"type": "respond", "message": "Ask sales."},
        {"type": "reject", "message": "too expensive"},
    ]
    told = [each.to for each in letters(last) if each.letter is Letter.OUTCOME]
    assert told == [ALICE.email, BOB.email, "rita@example.com"]


@pytest.mark.parametrize(
    ("verdict", "state", "fact"), [(APPROVE, State.APPROVED, Granted), (REJECT, State.REJECTED, Denied)]
)
def test_items_decided_alike_end_as_if_one_word_had_decided_them(
    verdict: Verdict, state: State, fact: type
) -> None:
    """Approved one by one is approved, rejected one by one is rejected."""
    outcome, asked = say(batch(), *(vote(verdict, item=n) for n in (3, 1, 2)))
    assert asked.state is state
    assert type(outcome.facts[-1]) is fact
    assert {each["type"] for each in answers(outcome)} == {verdict.value}


def test_a_word_without_a_number_is_for_what_is_still_undecided() -> None:
    """What was decided before stays decided: rejecting the rest undoes no approval, and takes none over."""
    _, asked = say(batch(), vote(item=2))
    outcome = decide(asked, Voted(vote(REJECT, BOB.email, comment="no")), NOW)
    assert outcome.answer is Answer.DECIDED
    assert [each["type"] for each in answers(outcome)] == ["reject", "approve", "reject"]


def test_approving_all_passes_over_what_cannot_be_approved() -> None:
    """An item that takes no approval stays open, and nobody's approval is read into it."""
    asked = batch(2, allows=(DECISIONS, (Option.REJECT, Option.RESPOND)))
    outcome = decide(asked, Voted(vote()), NOW)
    assert outcome.answer is Answer.RECORDED
    assert fold(asked, outcome.facts).undecided == (2,)
    assert say(asked, vote(item=2))[0].answer is Answer.NOT_OFFERED


def test_rejecting_all_rejects_also_what_has_no_word_for_it() -> None:
    """No part of what a person refused whole waits for another's approval; its thread has to be looked at."""
    asked = batch(2, allows=(DECISIONS, (Option.APPROVE,)))
    outcome = decide(asked, Voted(vote(REJECT)), NOW)
    assert outcome.answer is Answer.REJECTED
    assert "cannot be told" in outcome.parks
    assert not [effect for effect in outcome.effects if isinstance(effect, ResumeGraph)]


def test_a_quorum_is_one_of_persons_for_each_item_apart() -> None:
    """T66: two approvals of two items by two persons are one for each; the same person counts once."""
    asked = batch(2, rule=rule(quorum=2))
    _, asked = say(asked, vote(item=1))
    _, asked = say(asked, vote(by=BOB.email, item=2))
    assert asked.undecided == (1, 2)
    assert say(asked, vote(item=1, channel=Channel.API))[0].answer is Answer.ALREADY_VOTED
    outcome, asked = say(asked, vote())
    assert (outcome.answer, asked.undecided) == (Answer.RECORDED, (1,))
    outcome, asked = say(asked, vote(by=BOB.email))
    assert (outcome.answer, asked.state) == (Answer.APPROVED, State.APPROVED)


def test_one_rejection_decides_its_item_whatever_the_quorum() -> None:
    """Who has approved an item may still refuse it, until others have made the decision."""
    asked = batch(2, rule=rule(quorum=2))
    _, asked = say(asked, vote())
    _, asked = say(asked, vote(REJECT, item=1))
    assert [each.verdict for each in asked.standings] == [REJECT, None]
    outcome, asked = say(asked, vote(by=BOB.email))
    assert [each["type"] for each in answers(outcome)] == ["reject", "approve"]


def test_what_is_decided_is_passed_over_and_the_rest_counts() -> None:
    """T07: whoever comes second about an item changes nothing there; alone, they are told so."""
    _, asked = say(batch(2), vote(item=1))
    assert say(asked, vote(REJECT, BOB.email, item=1))[0] == Outcome(Answer.ALREADY_DECIDED)
    outcome, asked = say(asked, vote(REJECT, BOB.email, item=1), vote(by=BOB.email, item=2))
    assert (outcome.answer, asked.state) == (Answer.APPROVED, State.APPROVED)


@pytest.mark.parametrize(
    ("bad", "answer"),
    [
        (vote(item=3), Answer.NO_SUCH_ITEM),
        (vote(item=0), Answer.NO_SUCH_ITEM),
        (vote(item=-1), Answer.NO_SUCH_ITEM),
        (vote(Verdict.MODIFY, item=2), Answer.NOT_OFFERED),
        (vote(Verdict.MODIFY), Answer.NOT_OFFERED),
        (vote(RESPOND, comment="Ask sales."), Answer.NOT_OFFERED),
        (vote(RESPOND, item=2), Answer.UNCLEAR),
        (vote(by="mallory@example.com", item=2), Answer.NOT_A_REVIEWER),
        (vote(channel=Channel.CLI, item=2), Answer.CHANNEL_REFUSED),
    ],
)
def test_one_vote_that_is_no_good_keeps_the_others_from_counting(bad: Vote, answer: Answer) -> None:
    """Of an answer that cannot be taken whole, nothing is taken."""
    asked = batch(2, rule=rule(channels=("link",)))
    assert say(asked, vote(item=1), bad)[0] == Outcome(answer)
    assert decide(asked, Voted(bad), NOW) == Outcome(answer)


def test_no_votes_at_all_decide_nothing() -> None:
    """An answer that names no item is no answer."""
    assert decide(batch(), VotedByItem(()), NOW) == Outcome(Answer.UNCLEAR)


def test_each_answer_of_a_person_is_acknowledged() -> None:
    """Receipts for two items are two letters, not one and its repetition."""
    occasions = [letters(say(batch(), vote(item=n))[0])[0].occasion for n in (1, 2)]
    assert occasions == ["1-approve", "2-approve"]


@pytest.mark.parametrize("event", [ClockStruck(), Recalled("rita@example.com", "wrong month")])
def test_what_was_decided_of_an_unfinished_question_keeps_nothing(event: ClockStruck | Recalled) -> None:
    """T29: a question that ends before all of it is decided is refused whole; silence approves no item."""
    _, asked = say(batch(), vote(item=1))
    late = NOW + timedelta(hours=24) if isinstance(event, ClockStruck) else NOW
    outcome = decide(asked, event, late)
    reason = "expired" if isinstance(event, ClockStruck) else "wrong month"
    assert answers(outcome) == [{"type": "reject", "message": reason}] * 3


def test_an_unfinished_question_that_cannot_be_refused_waits_for_an_operator() -> None:
    """What takes no refusal gets no other answer in its place."""
    _, asked = say(batch(2, allows=((Option.APPROVE,), DECISIONS)), vote(item=1))
    outcome = decide(asked, ClockStruck(), NOW + timedelta(hours=24))
    assert [type(fact) for fact in outcome.facts] == [Lapsed]
    assert "cannot be told" in outcome.parks


def test_the_number_of_a_single_item_says_nothing_new() -> None:
    """Item 1 of one is the question itself, in every dialect."""
    assert decide(approval(), Voted(vote(item=1)), NOW).answer is Answer.APPROVED
    assert decide(approval(), Voted(vote(item=2)), NOW).answer is Answer.NO_SUCH_ITEM


def test_votes_that_were_recorded_before_there_were_items_are_for_all() -> None:
    """A fact without the field is read as what it was: a word for everything."""
    dumped = dump_fact(VoteCounted("7Q2M4KXP", vote())).replace(',"item":null', "")
    assert "item" not in dumped
    read = load_fact("VoteCounted", dumped)
    assert isinstance(read, VoteCounted)
    asked = fold(batch(), [read])
    assert [each.verdict for each in asked.standings] == [APPROVE] * 3


@given(
    st.lists(
        st.builds(
            vote,
            st.sampled_from([APPROVE, REJECT]),
            st.sampled_from([ALICE.email, BOB.email]),
            item=st.sampled_from([None, 1, 2, 3]),
        ),
        max_size=12,
    ),
    st.integers(1, 2),
    st.booleans(),
)
def test_no_item_is_approved_without_its_quorum(votes: list[Vote], quorum: int, each_alone: bool) -> None:
    """Whatever is said in whatever order and company: one resume, when all is decided, and in it only those
    items approved which as many persons as needed had approved before anybody rejected them."""
    asked = batch(rule=rule(quorum=quorum))
    approved: list[set[str]] = [set() for _ in asked.items]
    decided: dict[int, str] = {}
    for each in votes:
        for n in range(3) if each.item is None else (each.item - 1,):
            if n in decided:
                continue
            approved[n] |= {each.by} if each.verdict is APPROVE else set()
            if each.verdict is REJECT or len(approved[n]) == quorum:
                decided[n] = each.verdict.value
    resumes: list[dict[str, Any]] = []
    for event in [Voted(each) for each in votes] if each_alone else [VotedByItem(tuple(votes))]:
        outcome = decide(asked, event, NOW)
        asked = fold(asked, outcome.facts)
        if any(isinstance(effect, ResumeGraph) for effect in outcome.effects):
            resumes += answers(outcome)
        assert not any(isinstance(effect, Perform) for effect in outcome.effects)
    if len(decided) < 3:
        assert (resumes, asked.state) == ([], State.OPEN)
    else:
        assert [each["type"] for each in resumes] == [decided[n] for n in range(3)]
        words = set(decided.values())
        mixed = len(words) > 1
        alike = State.APPROVED if words == {"approve"} else State.REJECTED
        assert asked.state is (State.DECIDED if mixed else alike)


# --- what may be done -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "n"), [(State.APPROVED, 2), (State.DECIDED, 2), (State.DECIDED, 1), (State.OPEN, 1)]
)
async def test_only_a_single_approved_item_is_ever_performed(state: State, n: int) -> None:
    """T27: a batch and a mixed verdict are refused at the one way to an action, even with a grant in hand."""
    asked = batch(n, state=state)

    async def never() -> None:
        pytest.fail("nothing may be begun")

    attempt = Attempt(
        approval=asked.id, message_id="<1@example.com>", date=NOW, point_of_no_return=lambda _: never()
    )
    with pytest.raises(UnapprovedError):
        await perform(Job(approval=asked, is_granted=True, digest=asked.digest, attempt=attempt), {})


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with open_office(tmp_path / "gateway.sqlite3", FOREIGN) as opened:
        yield opened


async def test_neither_a_batch_nor_a_mixed_verdict_grants_a_graph_anything(office: Office) -> None:
    """T27: a graph that asks to have them carried out here is stopped, and nothing is to be performed."""
    for second in (Verdict.APPROVE, Verdict.REJECT):
        asked = await office.asked_at_once(BOTH, BOTH)
        await office.votes(asked, item=1)
        await office.votes(asked, second, item=2)
        effect = {"type": "gateway.effect", "approval": asked.id, "digest": asked.digest}
        await office.stops(asked.thread, Pending("effect-1", effect))
        (parked,) = await office.store.read(lambda tx: tx.threads([ThreadState.PARKED], 1))
        assert parked.id == asked.thread
    assert not [effect for effect in await office.effects() if isinstance(effect, Perform)]


async def test_a_batch_without_a_common_answer_is_asked_and_decided_item_by_item(office: Office) -> None:
    """What one word cannot decide, two can; the store tells the same story as the facts."""
    asked = await office.asked_at_once(("approve",), ("reject",))
    assert (set(asked.offers), asked.undecided) == ({APPROVE}, (1, 2))
    first = await office.votes(asked)
    assert (first.answer, first.approval.undecided) == (Answer.RECORDED, (2,))
    last = await office.votes(asked, REJECT, item=2, comment="no")
    assert last.answer is Answer.DECIDED
    facts = await office.store.read(lambda tx: tx.facts_about(asked.id))
    assert [fact.kind for fact in facts] == ["Opened", "VoteCounted", "VoteCounted", Settled.__name__]
    replayed = fold(asked, [load_fact(fact.kind, fact.data) for fact in facts])  # type: ignore[misc]
    assert replayed == await office.approval(asked)
    (resume,) = [effect for effect in await office.effects() if isinstance(effect, ResumeGraph)]
    assert resume.value == {"decisions": [{"type": "approve"}, {"type": "reject", "message": "no"}]}
    assert await office.store.read(lambda tx: tx.chain_is_whole(asked.thread))


async def test_an_item_that_nobody_can_answer_parks_the_thread(office: Office) -> None:
    """An item that can only be edited, and is one of several, is not put to people."""
    thread = await office.started()
    await office.stops(thread, Pending("interrupt-1", tool_calls(("approve",), ("edit",))))
    assert not await office.store.read(lambda tx: tx.approvals_of(thread))
    (alert, *_) = await office.letters(Letter.ALERT)
    assert "no answer that people can give is allowed for item 2" in alert.details["facts"]["reason"]


async def test_the_items_of_one_answer_are_recorded_together(office: Office) -> None:
    """Several ballots are one event: one receipt, and all of them or none."""
    asked = await office.asked_at_once(BOTH, BOTH)
    ballots = [
        Ballot(
            approval=asked.id,
            by=ALICE.email,
            verdict=verdict,
            channel=Channel.LINK,
            identity=Identity.LINK,
            item=n,
        )
        for n, verdict in ((1, APPROVE), (2, REJECT))
    ]
    reply = await office.service.vote_by_item(ballots)
    assert (reply.answer, reply.approval.state) == (Answer.DECIDED, State.DECIDED)
    assert [letter.to for letter in await office.letters(Letter.RECEIPT)] == [ALICE.email]
