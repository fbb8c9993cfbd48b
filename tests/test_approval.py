"""The question put to people: what each event does to it, and what can never happen."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import ALICE, BOB, CAROL, FIELDS, NOW, approval, email_action, item, rule, vote
from gateway.core.approval import (
    TRANSITIONS,
    Answer,
    AnsweredElsewhere,
    Approval,
    Asked,
    Channel,
    ClockStruck,
    Commented,
    Denied,
    Event,
    Fact,
    ForbiddenTransitionError,
    Granted,
    Lapsed,
    Opened,
    Outcome,
    Recalled,
    Remarked,
    State,
    Superseded,
    Verdict,
    VoteCounted,
    Voted,
    decide,
    evolve,
    fold,
)
from gateway.core.effects import Letter, ResumeGraph, SendLetter
from gateway.core.policy import POLICY, Decider, Risk

LATE = NOW + timedelta(hours=24)


def letters(outcome: Outcome, kind: Letter) -> list[str]:
    return [
        effect.to for effect in outcome.effects if isinstance(effect, SendLetter) and effect.letter is kind
    ]


def resumes(outcome: Outcome) -> list[ResumeGraph]:
    return [effect for effect in outcome.effects if isinstance(effect, ResumeGraph)]


def kinds(outcome: Outcome) -> list[type]:
    return [type(fact) for fact in outcome.facts]


def remark(by: str = ALICE.email, text: str = "Who are they?") -> Remarked:
    return Remarked(by=by, text=text, channel=Channel.REPLY, evidence="<1@phone.example.com>")


def test_a_comment_is_kept_and_passed_on_and_decides_nothing() -> None:
    """It is a fact of the question, told to whoever asked; the question stays open and nothing resumes."""
    asked = approval()
    outcome = decide(asked, remark(), NOW)
    assert (outcome.answer, kinds(outcome)) == (Answer.COMMENTED, [Commented])
    assert letters(outcome, Letter.COMMENT) == ["rita@example.com"]
    assert not resumes(outcome)
    assert fold(asked, outcome.facts) == asked


def test_a_comment_for_nobody_with_an_address_stays_recorded() -> None:
    """A request from the command line has no mailbox to tell."""
    outcome = decide(approval(requester="root"), remark(), NOW)
    assert (kinds(outcome), outcome.effects) == ([Commented], ())


def test_only_who_is_asked_may_comment() -> None:
    """A stranger's words are not passed on, and a decided question takes none."""
    assert decide(approval(), remark(by=CAROL.email), NOW).answer is Answer.NOT_A_REVIEWER
    assert decide(approval(state=State.APPROVED), remark(), NOW).answer is Answer.ALREADY_DECIDED


def test_a_question_is_mailed_to_every_reviewer_and_resumes_nothing() -> None:
    """Opening asks each reviewer once; nothing is resumed before somebody decided."""
    asked = approval()
    outcome = decide(asked, Asked(asked), NOW)
    assert outcome.answer is Answer.OPENED
    assert letters(outcome, Letter.ASK) == [ALICE.email, BOB.email]
    assert not resumes(outcome)


def test_what_policy_lets_pass_is_a_recorded_vote_by_policy() -> None:
    """An auto rule opens, votes and grants in one outcome, and asks nobody."""
    asked = approval(rule=rule(decide=Decider.AUTO), reviewers=(), risk=Risk.LOW)
    outcome = decide(asked, Asked(asked), NOW)
    assert kinds(outcome) == [Opened, VoteCounted, Granted]
    assert outcome.facts[1].vote.by == POLICY  # type: ignore[union-attr]
    assert not letters(outcome, Letter.ASK)
    assert resumes(outcome)[0].value["decision"] == "approved"


def test_an_approval_resumes_the_interrupt_with_digest_and_approval() -> None:
    """The grant that the graph gets names the approval and the digest that people saw."""
    asked = approval()
    outcome = decide(asked, Voted(vote()), NOW)
    (resume,) = resumes(outcome)
    assert (resume.thread, resume.interrupt) == (asked.thread, asked.interrupt)
    assert resume.value["approval"] == asked.id
    assert resume.value["digest"] == asked.digest
    assert letters(outcome, Letter.RECEIPT) == [ALICE.email]


def test_a_rejection_ends_the_question_with_its_reason() -> None:
    """The reason reaches the graph, and everybody concerned is told."""
    outcome = decide(approval(), Voted(vote(Verdict.REJECT, comment="too early")), NOW)
    assert kinds(outcome) == [VoteCounted, Denied]
    assert resumes(outcome)[0].value == {
        "decision": "rejected",
        "feedback": "too early",
        "modified_parameters": None,
        "approval": "7Q2M4KXP",
        "digest": approval().digest,
        "again": True,
    }
    assert letters(outcome, Letter.OUTCOME) == [ALICE.email, BOB.email, "rita@example.com"]


def test_a_quorum_counts_persons_and_not_votes() -> None:
    """T66: the same person approving twice is one person."""
    two = approval(rule=rule(quorum=2))
    first = decide(two, Voted(vote()), NOW)
    assert first.answer is Answer.RECORDED
    assert not resumes(first)
    one_vote = fold(two, first.facts)
    assert decide(one_vote, Voted(vote(channel=Channel.REPLY)), NOW).answer is Answer.ALREADY_VOTED
    second = decide(one_vote, Voted(vote(by=BOB.email)), NOW)
    assert second.answer is Answer.APPROVED
    assert len(resumes(second)) == 1


@pytest.mark.parametrize("state", [state for state in State if state is not State.OPEN])
def test_a_decided_question_stays_decided(state: State) -> None:
    """T07, F41: whoever comes second changes nothing, whatever they say."""
    decided = approval(state=state)
    for event in (Voted(vote()), Voted(vote(Verdict.REJECT)), ClockStruck(), Recalled("op")):
        assert decide(decided, event, NOW) == Outcome(Answer.ALREADY_DECIDED)


def test_a_stranger_decides_nothing() -> None:
    """A known person who was not asked has no vote here."""
    assert decide(approval(), Voted(vote(by=CAROL.email)), NOW) == Outcome(Answer.NOT_A_REVIEWER)


def test_a_vote_through_a_door_that_the_rule_does_not_name_decides_nothing() -> None:
    """The channels of a risk are part of its rule."""
    reply_only = approval(rule=rule(channels=("reply",)))
    assert decide(reply_only, Voted(vote(channel=Channel.API)), NOW) == Outcome(Answer.CHANNEL_REFUSED)


def test_time_passing_never_approves() -> None:
    """T29: at the deadline the question lapses, resumed as rejected with the reason."""
    outcome = decide(approval(), ClockStruck(), LATE)
    assert kinds(outcome) == [Lapsed]
    assert resumes(outcome)[0].value["decision"] == "rejected"
    assert resumes(outcome)[0].value["feedback"] == "expired"
    assert decide(approval(), ClockStruck(), LATE - timedelta(seconds=1)).answer is Answer.NOT_DUE


def test_an_approval_that_comes_after_the_deadline_expires_the_question() -> None:
    """A late yes is not a yes, even when the clock has not struck yet."""
    outcome = decide(approval(), Voted(vote()), LATE)
    assert outcome.answer is Answer.EXPIRED
    assert kinds(outcome) == [Lapsed]


def test_an_edit_by_reply_is_asked_again_as_a_diff() -> None:
    """MODIFY supersedes the question; everybody is asked about the new digest; nothing is resumed."""
    old = approval()
    new = edited(old)
    outcome = decide(old, Voted(vote(Verdict.MODIFY), new), NOW)
    assert outcome.answer is Answer.MODIFIED
    assert kinds(outcome) == [VoteCounted, Superseded, Opened]
    assert letters(outcome, Letter.ASK) == [ALICE.email, BOB.email]
    assert letters(outcome, Letter.RECEIPT) == [ALICE.email]
    assert not resumes(outcome)
    assert fold(old, outcome.facts).replaced_by == new.id


def test_an_edit_seen_as_a_diff_is_also_its_editors_approval() -> None:
    """The graph is resumed once, as modified, with the parameters that people can edit."""
    old = approval(rule=rule(edit_approves=True))
    outcome = decide(old, Voted(vote(Verdict.MODIFY), edited(old), diff_seen=True), NOW)
    assert outcome.answer is Answer.APPROVED
    assert resumes(outcome)[0].value["decision"] == "modified"
    assert resumes(outcome)[0].value["modified_parameters"] == {
        field.name: ("Q1 figures" if field.name == "subject" else email_action().parameters[field.name])
        for field in FIELDS
    }


def test_an_edit_seen_as_a_diff_still_needs_the_quorum() -> None:
    """The others are asked about the edited action; the editor is not asked again."""
    old = approval(rule=rule(edit_approves=True, quorum=2))
    outcome = decide(old, Voted(vote(Verdict.MODIFY), edited(old), diff_seen=True), NOW)
    assert outcome.answer is Answer.RECORDED
    assert letters(outcome, Letter.ASK) == [BOB.email]
    assert not resumes(outcome)


@pytest.mark.parametrize(
    "new_rule",
    [
        {"edit_approves": False},
        {"edit_approves": True, "channels": ("reply",)},
        {"edit_approves": True, "reviewers": (BOB.email,)},
    ],
)
def test_an_edit_counts_only_by_the_rule_that_it_brings_about(new_rule: dict[str, Any]) -> None:
    """T20: who may approve the old action need not be one who may approve what an edit makes of it."""
    old = approval(rule=rule(edit_approves=True))
    reviewers = new_rule.pop("reviewers", old.reviewers)
    new = replace(edited(old), rule=rule(**new_rule), risk=Risk.HIGH, reviewers=reviewers)
    outcome = decide(old, Voted(vote(Verdict.MODIFY), new, diff_seen=True), NOW)
    assert outcome.answer is Answer.MODIFIED
    assert letters(outcome, Letter.ASK) == list(reviewers)
    assert not resumes(outcome)


def test_a_recalled_question_resumes_as_rejected() -> None:
    """Whoever was asked learns that the question is gone."""
    outcome = decide(approval(), Recalled("rita@example.com", "wrong month"), NOW)
    assert outcome.answer is Answer.CANCELLED
    assert resumes(outcome)[0].value["feedback"] == "wrong month"
    assert letters(outcome, Letter.WITHDRAWN) == [ALICE.email, BOB.email, "rita@example.com"]


@pytest.mark.parametrize("now", [NOW, LATE])
def test_a_question_that_was_answered_elsewhere_tells_people_and_not_the_graph(now: datetime) -> None:
    """Its graph waits for nothing any more, so it gets no answer, also when the time for one was over."""
    outcome = decide(approval(), AnsweredElsewhere(), now)
    assert outcome.answer is Answer.OVERTAKEN
    assert not resumes(outcome)
    assert letters(outcome, Letter.WITHDRAWN) == [ALICE.email, BOB.email, "rita@example.com"]
    ended = fold(approval(), outcome.facts)
    assert (ended.state, ended.replaced_by) == (State.SUPERSEDED, None)
    assert decide(ended, AnsweredElsewhere(), now) == Outcome(Answer.ALREADY_DECIDED)


def test_what_is_not_in_the_table_is_forbidden() -> None:
    """Every fact that is no row of the table is refused, in every state."""
    for state in State:
        for fact in (Granted("7Q2M4KXP", "d", NOW), Denied("7Q2M4KXP", NOW), VoteCounted("7Q2M4KXP", vote())):
            if type(fact) in TRANSITIONS[state]:
                continue
            with pytest.raises(ForbiddenTransitionError):
                evolve(approval(state=state), fact)


def test_the_table_names_every_state_and_only_open_has_a_way_out() -> None:
    """A question leaves OPEN once; each fact but the opening has its row."""
    assert set(TRANSITIONS) == set(State)
    assert all(not TRANSITIONS[state] for state in State if state is not State.OPEN)
    assert set(TRANSITIONS[State.OPEN]) == set(get_args(Fact)) - {Opened}


def edited(old: Approval) -> Approval:
    new_item = item(email_action(subject="Q1 figures"))
    return approval(id="NEW", items=(new_item,), rule=old.rule, replaces=old.id, original=old.items)


def events() -> st.SearchStrategy[Event]:
    votes = st.builds(
        vote,
        st.sampled_from([Verdict.APPROVE, Verdict.REJECT]),
        st.sampled_from([ALICE.email, BOB.email, CAROL.email]),
    )
    return st.one_of(
        st.builds(Voted, votes),
        st.just(ClockStruck()),
        st.just(Recalled("operator")),
        st.just(Voted(vote(Verdict.MODIFY))),
    )


@given(
    st.lists(st.tuples(events(), st.timedeltas(timedelta(0), timedelta(hours=30))), max_size=12),
    st.integers(1, 2),
)
def test_no_order_of_events_resumes_an_interrupt_twice(
    happening: list[tuple[Event, timedelta]], quorum: int
) -> None:
    """Invariant 4: whatever comes, in whatever order, one question gives at most one resume, and only a
    quorum of different persons before the deadline makes it an approval."""
    asked = approval(rule=rule(quorum=quorum))
    count = 0
    for event, after in sorted(happening, key=lambda pair: pair[1]):
        outcome = decide(asked, event, NOW + after)
        asked = fold(asked, outcome.facts)
        count += len(resumes(outcome))
        assert (count == 1) == (asked.state is not State.OPEN)
    if asked.state is State.APPROVED:
        assert len({each.by for each in asked.votes}) >= quorum
        assert asked.decided_at is not None
        assert asked.decided_at < asked.expires_at
