"""The use cases: what is committed when a graph stops, a person votes, or the world has answered."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from builders import ALICE, BOB, NOW, policy, rule
from gateway.actions import Actions
from gateway.actions.send_email import NAME
from gateway.actions.write_file import WriteFile
from gateway.core import tokens
from gateway.core.action import Action, digest
from gateway.core.approval import Answer, Approval, Channel, Identity, State, Verdict
from gateway.core.bounce import Failure
from gateway.core.effects import Letter, Perform, ResumeGraph, StartGraph
from gateway.core.execution import Receipt, ReceiptStatus, RowState, ThreadState
from gateway.core.policy import POLICY, Decider, Policy
from gateway.core.tokens import Purpose
from gateway.graphs import Pending, Progress
from gateway.service import Ballot, IdempotencyKeyReusedError, NotInDoubtError
from gateway.service.reports import QUESTIONS_PER_THREAD
from gateway.store import NotFoundError, Transaction
from gateway.store.rows import dump_item
from letters.samples import posting
from office import OPERATOR, PROPOSED, Office, open_office, question

SENT = Receipt(ReceiptStatus.DONE, "Email sent to team@example.com", {"message_id": "<sent@example.com>"})


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with open_office(tmp_path / "gateway.sqlite3") as opened:
        yield opened


async def thread_state(office: Office, thread: str) -> ThreadState:
    return (await office.store.read(lambda tx: tx.thread(thread))).state


async def resumes(office: Office) -> list[ResumeGraph]:
    return [effect for effect in await office.effects() if isinstance(effect, ResumeGraph)]


async def test_a_request_with_the_same_key_is_the_same_request(office: Office) -> None:
    """A caller who repeats a request after a lost answer starts nothing twice."""
    first = await office.service.start("builtin", {"user_request": "x"}, "rita", "key-1")
    again = await office.service.start("builtin", {"user_request": "x"}, "rita", "key-1")
    assert first.id == again.id
    assert len(await office.effects()) == 1
    with pytest.raises(IdempotencyKeyReusedError):
        await office.service.start("builtin", {"user_request": "y"}, "rita", "key-1")


async def test_a_question_is_opened_with_a_deadline_and_handles(office: Office) -> None:
    """Each reviewer gets a reply and a link handle of their own, bound to the digest."""
    approval = await office.asked()
    assert approval.expires_at == office.now + approval.rule.expires
    handles = {
        await office.handle(approval, purpose, person) for purpose in Purpose for person in approval.reviewers
    }
    assert len(handles) == 2 * len(approval.reviewers)
    assert await thread_state(office, approval.thread) is ThreadState.WAITING


async def test_the_same_interrupt_reported_again_asks_nobody_again(office: Office) -> None:
    """T64: a graph that is looked at a second time joins the question that it had asked."""
    thread = await office.started()
    row = await office.row(thread)
    progress = Progress((Pending("interrupt-1", question()),), finished=False)
    await office.service.graph_stopped(row, progress)
    before = await office.effects()
    await office.service.start("builtin", {}, "rita")
    other = (await office.claimed())[-1]
    moved = other.__class__(**{name: getattr(other, name) for name in other.__slots__} | {"thread": thread})
    await office.service.graph_stopped(moved, progress)
    assert len(await office.effects()) == len(before) + 1


async def test_a_thread_that_never_stops_asking_is_parked(office: Office) -> None:
    """T63: each attempt is a question of its own, and a loop of them ends before people are worn out."""
    asked = await office.asked()
    thread = asked.thread
    for n in range(1, QUESTIONS_PER_THREAD + 1):
        await office.votes(asked, Verdict.REJECT, comment="no")
        await office.stops(thread, Pending(f"again-{n}", question()))
        found = await office.store.read(lambda tx: tx.approvals_of(thread))
        asked = next((each for each in found if each.state is State.OPEN), asked)
    assert len(found) == QUESTIONS_PER_THREAD
    assert await thread_state(office, thread) is ThreadState.PARKED


async def test_low_risk_passes_by_policy_and_is_recorded_like_any_vote(tmp_path: Path) -> None:
    """One path for every risk: the gate interrupts, policy votes, the interrupt is resumed."""
    people = policy(low=rule(decide=Decider.AUTO))
    async with open_office(tmp_path / "gateway.sqlite3", people) as office:
        approval = await office.asked(PROPOSED | {"risk_level": "low"})
        assert approval.state is State.APPROVED
        assert [vote.by for vote in approval.votes] == [POLICY]
        assert not await office.letters(Letter.ASK)
        assert len(await resumes(office)) == 1


async def test_an_action_that_cannot_be_done_is_refused_before_anybody_is_asked(office: Office) -> None:
    """The graph is told why; no letter is written."""
    thread = await office.started()
    await office.stops(thread, Pending("i", question(PROPOSED | {"action_type": "write_file"})))
    (resume,) = await resumes(office)
    assert resume.value["decision"] == "rejected"
    assert "needs a table [actions.write_file]" in resume.value["feedback"]
    assert not await office.letters(Letter.ASK)


@pytest.mark.parametrize("payload", ["free text", {"type": "other"}, {"type": "approval_request"}, None, [1]])
async def test_an_unknown_question_is_parked_and_never_answered_by_guess(
    office: Office, payload: object
) -> None:
    """Operators are told; nothing is resumed."""
    thread = await office.started()
    await office.stops(thread, Pending("i", payload))
    assert await thread_state(office, thread) is ThreadState.PARKED
    assert not await resumes(office)
    assert [letter.to for letter in await office.letters(Letter.ALERT)] == [OPERATOR]


GMAIL_FOLDS = 102_400


@pytest.mark.parametrize(
    "line", ["word " * 12 + "\n", "<&>\n", "\N{SNOWMAN}" * 40 + "\n", "x" * 500, "\n.\n"]
)
@pytest.mark.parametrize("length", [2_000, 20_000, 49_000])
async def test_a_letter_too_long_to_be_read_takes_no_reply(office: Office, line: str, length: int) -> None:
    """T53: where a mail program would fold the letter, people decide on the page, which shows all of it."""
    body = (line * (length // len(line)))[:length].strip() + "\n"
    parameters = {"to": ["a@example.net"], "subject": "Q1 report", "body": body}
    asked = await office.asked({**PROPOSED, "parameters": parameters})
    rows = office.actions.rows(*asked.actions)
    letter = office.secretary.write(Letter.ASK, asked, posting(), rows=rows)
    part = letter.get_body(("html",))
    assert part is not None
    octets = len(part.get_content().encode())
    takes_reply = Channel.REPLY in asked.rule.channels
    assert not (octets > GMAIL_FOLDS and takes_reply)
    assert takes_reply or octets > GMAIL_FOLDS * 0.7
    if not takes_reply:
        voted = await office.votes(asked, channel=Channel.REPLY, identity=Identity.DMARC)
        assert voted.answer is Answer.CHANNEL_REFUSED


async def test_a_rule_that_nobody_can_meet_parks_the_thread(tmp_path: Path) -> None:
    """A quorum larger than the people asked would wait for ever."""
    async with open_office(tmp_path / "gateway.sqlite3", policy(medium=rule(quorum=9))) as office:
        thread = await office.started()
        await office.stops(thread, Pending("i", question()))
        assert await thread_state(office, thread) is ThreadState.PARKED


async def test_a_grant_is_spent_on_exactly_what_was_approved(office: Office) -> None:
    """T09, T27: only the granted digest, in its own thread, leads to the action."""
    approval = await office.asked()
    await office.votes(approval)
    row = await office.in_flight(approval)
    assert row.effect == Perform(approval.id, approval.digest)


@pytest.mark.parametrize("lie", ["digest", "approval", "state", "thread"])
async def test_an_effect_that_was_not_granted_parks_the_thread(office: Office, lie: str) -> None:
    """T27: another digest, an unknown approval, an open one, or another thread's: nothing is done."""
    approval = await office.asked()
    grant = {"type": "gateway.effect", "approval": approval.id, "digest": approval.digest}
    thread = approval.thread
    if lie != "state":
        await office.votes(approval)
    if lie == "digest":
        grant["digest"] = "0" * 64
    if lie == "approval":
        grant["approval"] = "UNKNOWN1"
    if lie in {"state", "thread"}:
        thread = await office.started()
    await office.stops(thread, Pending("effect-1", grant))
    assert await thread_state(office, thread) is ThreadState.PARKED
    assert not [effect for effect in await office.effects() if isinstance(effect, Perform)]


async def test_a_stored_action_that_was_changed_is_not_granted(office: Office) -> None:
    """T09: the digest is computed anew from the stored item, whatever its row says."""
    approval = await office.asked()
    await office.votes(approval)

    def tamper(tx: Transaction) -> None:
        tx._execute("UPDATE items SET data = replace(data, 'team@', 'evil@')", {})

    await office.store.write(tamper)
    grant = {"type": "gateway.effect", "approval": approval.id, "digest": approval.digest}
    await office.stops(approval.thread, Pending("effect-1", grant))
    assert await thread_state(office, approval.thread) is ThreadState.PARKED


async def test_an_effect_asked_for_twice_is_done_once_and_receipted_twice(office: Office) -> None:
    """T08: a graph that runs again after a crash gets the same receipt, not a second mail."""
    approval = await office.asked()
    await office.votes(approval)
    row = await office.in_flight(approval)
    await office.service.performed(row, SENT)
    grant = {"type": "gateway.effect", "approval": approval.id, "digest": approval.digest}
    await office.stops(approval.thread, Pending("effect-2", grant))
    effects = await office.effects()
    assert len([effect for effect in effects if isinstance(effect, Perform)]) == 1
    receipts = {e.interrupt: e.value for e in await resumes(office) if e.interrupt.startswith("effect")}
    assert receipts["effect-1"] == receipts["effect-2"]
    assert receipts["effect-1"]["status"] == "done"


async def test_everybody_concerned_is_told_what_really_happened(office: Office) -> None:
    """The outcome goes to reviewers and requester once it was observed."""
    approval = await office.asked()
    await office.votes(approval)
    assert not await office.letters(Letter.OUTCOME)
    await office.service.performed(await office.in_flight(approval), SENT)
    told = [letter.to for letter in await office.letters(Letter.OUTCOME)]
    assert sorted(told) == sorted([*approval.reviewers, "rita@example.com"])


async def test_a_failed_action_is_told_to_the_operators_too(office: Office) -> None:
    """F22: a refusal for good is a failed receipt, an outcome, and an alert."""
    approval = await office.asked()
    await office.votes(approval)
    failed = Receipt(ReceiptStatus.FAILED, "550 no such user", {})
    await office.service.performed(await office.in_flight(approval), failed)
    assert [letter.to for letter in await office.letters(Letter.ALERT)] == [OPERATOR]
    row = await office.store.read(lambda tx: tx.perform_row(approval.id))
    assert row is not None
    assert row.state is RowState.FAILED


async def test_a_bounce_of_an_approved_mail_is_recorded_once(office: Office) -> None:
    """T90: the fact and the letters name whom it did not reach; a report for strangers says nothing."""
    approval = await office.asked()
    await office.votes(approval)
    row = await office.in_flight(approval)
    await office.service.performed(row, SENT)
    reports = [
        Failure("TEAM@example.com", "5.1.1", "550 no\u202e such user"),
        Failure("eve@attack.example", None),
    ]
    for _ in range(2):
        await office.store.write(lambda tx: office.service.action_bounced(tx, row.id, reports))
    (fact,) = [
        fact
        for fact in await office.store.read(lambda tx: tx.facts_about(approval.id))
        if fact.kind == "Bounced"
    ]
    known = json.loads(fact.data)
    assert (known["recipient"], known["status"]) == ("team@example.com", "5.1.1")
    assert known["diagnostic"] == "550 no⟦U+202E⟧ such user"
    (told,) = [each for each in await office.letters(Letter.OUTCOME) if each.details["result"] == "bounced"]
    assert told.to == "rita@example.com"
    (alert,) = await office.letters(Letter.ALERT)
    assert alert.details["what"] == "An approved mail to team@example.com came back."
    assert await office.state(approval) is State.APPROVED
    assert await office.store.read(lambda tx: tx.chain_is_whole(approval.thread))


async def test_a_bounce_says_nothing_of_what_was_not_sent(office: Office) -> None:
    """T90: neither of an action that only waits, nor under the id of a letter or of nothing."""
    approval = await office.asked()
    await office.votes(approval)
    before = len(await office.effects())
    rows = await office.store.read(lambda tx: tx.outbox_of(approval.id))
    report = [Failure("team@example.com", "5.1.1")]

    def note(tx: Transaction) -> None:
        for row_id in (*(row.id for row in rows), "a" * 16, ""):
            office.service.action_bounced(tx, row_id, report)

    await office.store.write(note)
    assert len(await office.effects()) == before


async def test_what_was_in_flight_at_a_restart_is_in_doubt(office: Office) -> None:
    """T31, F04: it is never started again by itself; operators get the Message-ID."""
    approval = await office.asked()
    await office.votes(approval)
    await office.in_flight(approval)
    await office.service.recover()
    row = await office.store.read(lambda tx: tx.perform_row(approval.id))
    assert row is not None
    assert row.state is RowState.IN_DOUBT
    (alert,) = await office.letters(Letter.ALERT)
    assert alert.details["facts"]["message_id"] == "<sent@example.com>"
    assert not [row for row in await office.claimed() if isinstance(row.effect, Perform)]


@pytest.mark.parametrize(("done", "status"), [(True, "done"), (False, "failed")])
async def test_a_person_resolves_a_doubt_once(office: Office, done: bool, status: str) -> None:
    """The graph waits until then, and gets the person's word as the receipt."""
    approval = await office.asked()
    await office.votes(approval)
    await office.service.doubted(await office.in_flight(approval), "end-of-data")
    assert not [each for each in await resumes(office) if each.interrupt == "effect-1"]
    await office.service.resolve(approval.id, "ops", done=done)
    (resume,) = [each for each in await resumes(office) if each.interrupt == "effect-1"]
    assert resume.value["status"] == status
    with pytest.raises(NotInDoubtError):
        await office.service.resolve(approval.id, "ops", done=done)


async def test_what_was_claimed_at_a_restart_starts_over(office: Office) -> None:
    """F05: before the point of no return nothing is lost and nothing was done."""
    await office.started()
    (row,) = await office.claimed()
    await office.service.recover()
    (again,) = await office.claimed()
    assert (again.id, again.attempts) == (row.id, 2)


async def test_the_clock_ends_what_nobody_decided(office: Office) -> None:
    """T29, F36: also when it strikes very late, once, and never as an approval."""
    approval = await office.asked()
    office.later(days=400)
    assert await office.service.strike() == 1
    assert await office.service.strike() == 0
    assert await office.state(approval) is State.EXPIRED
    assert (await resumes(office))[0].value["feedback"] == "expired"


async def test_a_clock_set_back_brings_nothing_back(office: Office) -> None:
    """F37: what is decided stays decided."""
    approval = await office.asked()
    office.later(days=2)
    await office.service.strike()
    office.later(days=-3)
    assert (await office.votes(approval)).answer is Answer.ALREADY_DECIDED


async def test_an_edit_becomes_a_question_of_its_own(office: Office) -> None:
    """The old question is superseded, the new one has its own id, digest and handles."""
    approval = await office.asked()
    reply = await office.votes(approval, Verdict.MODIFY, edits={"subject": "Q1 figures"})
    assert reply.answer is Answer.MODIFIED
    replaced_by = (await office.approval(approval)).replaced_by
    assert replaced_by is not None
    new = await office.store.read(lambda tx: tx.approval(replaced_by))
    assert new.items[0].action.parameters["subject"] == "Q1 figures"
    assert new.original == approval.items
    assert await office.handle(new, Purpose.REPLY) != await office.handle(approval, Purpose.REPLY)


async def test_an_edit_that_sends_outside_is_decided_by_the_rule_for_high_risk(tmp_path: Path) -> None:
    """T20: the edited action is assessed anew, and asks the people that its risk asks for."""
    people = policy(high=rule(roles=("senior",), quorum=2))
    async with open_office(tmp_path / "gateway.sqlite3", people) as office:
        approval = await office.asked()
        reply = await office.votes(approval, Verdict.MODIFY, edits={"to": ["x@elsewhere.example"]})
        assert reply.approval.replaced_by is not None
        new = await office.store.read(lambda tx: tx.approval(str(reply.approval.replaced_by)))
        assert (new.risk, new.reviewers, new.rule.quorum) == ("high", (ALICE.email, BOB.email), 2)


@pytest.mark.parametrize("edits", [{"from": "x@example.com"}, {"subject": "a\nBcc: x@attack.example"}, {}])
async def test_an_edit_that_is_no_good_changes_nothing(office: Office, edits: dict[str, str]) -> None:
    """The editor is told what is wrong with it; the question stays open."""
    approval = await office.asked()
    before = await office.fingerprint()
    reply = await office.votes(approval, Verdict.MODIFY, edits=edits)
    assert reply.answer is Answer.EDIT_REFUSED
    assert reply.problems
    assert await office.fingerprint() == before


async def test_a_link_opens_for_its_reviewer_and_a_reply_handle_is_no_link(office: Office) -> None:
    """T06: a handle for one purpose is refused for the other, like one that was never ours."""
    approval = await office.asked()
    view = await office.service.view(await office.handle(approval, Purpose.LINK, BOB.email))
    assert (view.approval, view.reviewer) == (approval, BOB.email)
    with pytest.raises(tokens.ForgedTokenError):
        await office.service.view(await office.handle(approval, Purpose.REPLY))


async def test_a_vote_on_nothing_is_named(office: Office) -> None:
    """An unknown number is an error of the caller, not a crash."""
    with pytest.raises(NotFoundError, match="no approval NOTHING1"):
        await office.service.vote(
            Ballot(
                approval="NOTHING1",
                by="a",
                verdict=Verdict.APPROVE,
                channel=Channel.CLI,
                identity=Identity.OS_USER,
            )
        )


async def test_a_graph_that_breaks_parks_its_thread(office: Office) -> None:
    """F50: it is recorded, visible, and told; nothing is tried again blindly."""
    thread = await office.started()
    await office.service.graph_failed(await office.row(thread), "ValueError: boom")
    assert await thread_state(office, thread) is ThreadState.PARKED
    assert [letter.to for letter in await office.letters(Letter.ALERT)] == [OPERATOR]


async def test_a_graph_that_ends_is_recorded_with_its_result(office: Office) -> None:
    """Also an end with an error is an end that people can see."""
    for error, state in ((None, ThreadState.FINISHED), ("planner: timeout", ThreadState.FAILED)):
        thread = await office.started()
        await office.stops(thread, result="done", error=error)
        assert await thread_state(office, thread) is state


async def test_every_thread_has_a_whole_chain_from_its_first_fact(office: Office) -> None:
    """T70: whatever happened, the chain verifies."""
    approval = await office.asked()
    await office.votes(approval, Verdict.MODIFY, edits={"subject": "Q1 figures"})
    assert await office.store.read(lambda tx: tx.chain_is_whole(approval.thread))
    kinds = [fact.kind for fact in await office.store.read(lambda tx: tx.facts(approval.thread))]
    assert kinds == ["ThreadStarted", "Opened", "VoteCounted", "Superseded", "Opened"]


async def test_rows_that_say_approved_are_not_enough(office: Office) -> None:
    """T28: an approval that was edited into the database is not carried out; no sealed fact grants it."""
    approval = await office.asked()

    def forge(tx: Transaction) -> None:
        state = "UPDATE approvals SET state = 'approved', data = replace(data, '\"open\"', '\"approved\"')"
        tx._execute(state, {})

    await office.store.write(forge)
    forged = await office.approval(approval)
    assert forged.state is State.APPROVED
    assert not await office.store.read(lambda tx: tx.grant_is_sealed(forged))
    grant = {"type": "gateway.effect", "approval": approval.id, "digest": approval.digest}
    again = StartGraph("other", approval.thread)
    await office.store.write(lambda tx: tx._execute("DELETE FROM outbox", {}) and None)
    await office.store.write(lambda tx: tx.enqueue("forged", again, None, NOW))
    await office.stops(approval.thread, Pending("effect-1", grant))
    assert await thread_state(office, approval.thread) is ThreadState.PARKED


async def test_a_changed_chain_grants_nothing(office: Office) -> None:
    """T28, T70: one fact edited anywhere in the thread, and none of its grants is spent."""
    approval = await office.asked()
    await office.votes(approval)
    granted = await office.approval(approval)
    assert await office.store.read(lambda tx: tx.grant_is_sealed(granted))
    await office.store.write(lambda tx: tx._execute("UPDATE facts SET data = '{}' WHERE n = 1", {}))
    assert not await office.store.read(lambda tx: tx.grant_is_sealed(granted))


async def test_what_was_done_is_spent(office: Office) -> None:
    """T31: a done row that is edited back to queued finds its grant spent."""
    approval = await office.asked()
    await office.votes(approval)
    row = await office.in_flight(approval)
    assert not await office.store.read(lambda tx: tx.is_spent(approval.id))
    await office.service.performed(row, SENT)
    assert await office.store.read(lambda tx: tx.is_spent(approval.id))


async def test_a_link_is_good_only_for_what_was_mailed(office: Office) -> None:
    """T09: an action that was edited in the database, digest and all, is not shown to anybody as asked."""
    approval = await office.asked()
    link = await office.handle(approval, Purpose.LINK)
    changed = Action(NAME, {**approval.items[0].action.parameters, "to": ["sink@attack.example"]})
    item = replace(approval.items[0], action=changed, digest=digest(changed))

    def tamper(tx: Transaction) -> None:
        tx._execute(
            "UPDATE items SET data = :data, digest = :digest",
            {"data": dump_item(item), "digest": item.digest},
        )

    await office.store.write(tamper)
    with pytest.raises(tokens.ForgedTokenError):
        await office.service.view(link)


async def test_a_person_who_left_the_configuration_opens_nothing(tmp_path: Path) -> None:
    """T37: links of somebody who is no reviewer any more are like links that were never ours."""
    async with open_office(tmp_path / "gateway.sqlite3") as office:
        approval = await office.asked()
        link = await office.handle(approval, Purpose.LINK, ALICE.email)
        assert (await office.service.view(link)).reviewer == ALICE.email
    async with open_office(tmp_path / "gateway.sqlite3", Policy(policy().rules, (BOB,))) as office:
        with pytest.raises(tokens.ForgedTokenError):
            await office.service.view(link)


async def test_a_lease_that_ran_out_is_taken_up_while_running(office: Office) -> None:
    """F10: what a full disk left held is taken up again, but not what a worker still has in hand."""
    await office.started()
    (row,) = await office.claimed()
    await office.service.recover(leased_until=office.now, besides=frozenset())
    assert not await office.claimed()
    office.later(minutes=2)
    await office.service.recover(leased_until=office.now, besides=frozenset({row.id}))
    assert not await office.claimed()
    await office.service.recover(leased_until=office.now, besides=frozenset())
    assert [each.id for each in await office.claimed()] == [row.id]


async def test_a_restart_tries_what_was_waiting(office: Office) -> None:
    """An operator who has mended the password restarts, and need not wait for a quarter of an hour."""
    await office.started()
    (row,) = await office.claimed()
    await office.service.put_back(row, office.now + timedelta(minutes=15), "login refused")
    assert not await office.claimed()
    await office.service.recover()
    assert len(await office.claimed()) == 1


# --- what an editor has seen --------------------------------------------------------------------------------


@pytest.fixture
async def filing(tmp_path: Path) -> AsyncIterator[tuple[Office, Path]]:
    """An office that writes files below a directory, where an edit counts as its editor's approval."""
    root = tmp_path / "root"
    root.mkdir()
    people = policy(high=rule(edit_approves=True))
    async with open_office(tmp_path / "gateway.sqlite3", people) as office:
        office.actions = Actions({"write_file": WriteFile(root=root)})
        office.service._actions = office.actions
        yield office, root


async def successor(office: Office, asked: Approval) -> Approval:
    found = await office.store.read(lambda tx: tx.approvals_of(asked.thread))
    return next(each for each in found if each.replaces == asked.id)


FILED = {
    "action_type": "write_file",
    "description": "",
    "parameters": {"path": "a.txt", "content": "one\n"},
    "risk_level": "high",
}


@pytest.mark.parametrize("is_page", [True, False])
async def test_an_edit_approves_only_what_its_editor_has_seen(
    filing: tuple[Office, Path], is_page: bool
) -> None:
    """T09, T20: what came into the action besides, such as a file that is there now, is asked about anew."""
    office, root = filing
    asked = await office.asked(FILED)
    edits = {"content": "two\n"}
    seen = await office.service.preview(asked, edits)
    (root / "a.txt").write_text("somebody's work")
    shown = {"shown": seen.digest} if is_page else {}
    reply = await office.votes(asked, Verdict.MODIFY, edits=edits, diff_seen=True, **shown)
    new = await successor(office, asked)
    assert (reply.answer, new.state) == (Answer.MODIFIED, State.OPEN)
    assert new.items[0].action.parameters["old_sha256"] is not None


@pytest.mark.parametrize("is_page", [True, False])
async def test_an_edit_that_was_seen_approves(filing: tuple[Office, Path], is_page: bool) -> None:
    """Where nothing else has changed meanwhile, the editor need not confirm twice."""
    office, _ = filing
    asked = await office.asked(FILED)
    edits = {"content": "two\n"}
    shown = {"shown": (await office.service.preview(asked, edits)).digest} if is_page else {}
    await office.votes(asked, Verdict.MODIFY, edits=edits, diff_seen=True, **shown)
    assert (await successor(office, asked)).state is State.APPROVED
