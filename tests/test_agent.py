"""The built-in graph asks for every action, has only what was granted done, and gets stuck on no answer."""

from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver

from gateway.agent import Declined, PlannerError, Proposed, build
from gateway.core import payload
from gateway.core.payload import Decision, EffectRequest, Option, Question, Terms
from gateway.graphs import Graphs, Pending, Progress

PROPOSED = Proposed("send_email", "Sends the report.", {"to": ["team@example.com"]}, "high")
DONE: dict[str, Any] = {"status": "done", "summary": "Sent to team@example.com: 250 ok", "detail": {}}


class Thread:
    """One thread of the graph around a planner with a fixed outcome, answered the way the gateway does."""

    def __init__(self, outcome: Proposed | Declined | Exception = PROPOSED, attempts: int = 1) -> None:
        self.requests: list[str] = []

        async def planner(request: str) -> Proposed | Declined:
            self.requests.append(request)
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        self.graphs = Graphs(InMemorySaver(), {"builtin": build(planner, attempts)})
        self.progress = Progress(pending=(), finished=False)

    async def start(self, **more: Any) -> Pending:
        await self.run(**more)
        return self.question

    async def run(self, **more: Any) -> Progress:
        self.progress = await self.graphs.start("builtin", "t", {"user_request": "Send the report"} | more)
        return self.progress

    @property
    def question(self) -> Pending:
        (question,) = self.progress.pending
        return question

    async def answer(self, value: Any) -> Progress:
        self.progress = await self.graphs.resume("builtin", "t", self.question.id, value, again=False)
        return self.progress

    async def decide(self, option: Option, **decision: Any) -> Progress:
        values = {"approval": "7Q2M4KXP", "digest": "d" * 64, **decision}
        decided = Decision(option=option, **values)
        return await self.answer(payload.answer("approval_request", Terms(), [decided]))

    async def state(self) -> dict[str, Any]:
        state = await self.graphs._graphs["builtin"].engine.aget_state({"configurable": {"thread_id": "t"}})
        return dict(state.values)


async def test_the_gate_asks_in_words_that_the_gateway_reads() -> None:
    """The payload is one proposal with everything that the planner said."""
    thread = Thread()
    asked = payload.read((await thread.start()).value)
    assert isinstance(asked, Question)
    (proposal,) = asked.proposals
    assert (proposal.type, proposal.parameters, proposal.risk) == (
        "send_email",
        PROPOSED.parameters,
        "high",
    )
    assert (await thread.state())["approval_status"] == "pending"


@pytest.mark.parametrize("risk", ["low", "medium", "high", "none of these"])
async def test_the_gate_asks_whatever_the_risk(risk: str) -> None:
    """T27: no word of the planner leads past the gate."""
    thread = Thread(Proposed("send_email", "", {}, risk))
    assert isinstance(payload.read((await thread.start()).value), Question)


async def test_an_approved_action_is_asked_for_by_its_grant_alone() -> None:
    """T27: the executor does nothing itself; it names approval and digest, and reports what happened."""
    thread = Thread()
    await thread.start()
    await thread.decide(Option.APPROVE)
    assert payload.read(thread.question.value) == EffectRequest("7Q2M4KXP", "d" * 64)
    progress = await thread.answer(DONE)
    assert progress == Progress(pending=(), finished=True, result=DONE["summary"])
    state = await thread.state()
    assert (state["approval_status"], state["receipt"]) == ("approved", DONE)


async def test_a_modified_action_is_carried_out_and_not_cancelled() -> None:
    """'modified' keeps the reviewer's parameters in the state and goes on to the executor."""
    thread = Thread()
    await thread.start()
    await thread.decide(Option.EDIT, parameters={"to": ["ceo@example.com"]}, message="better so")
    assert payload.read(thread.question.value) == EffectRequest("7Q2M4KXP", "d" * 64)
    state = await thread.state()
    assert state["approval_status"] == "modified"
    assert state["modified_parameters"] == {"to": ["ceo@example.com"]}
    assert state["proposed_action"]["parameters"] == PROPOSED.parameters


async def test_a_rejection_reaches_the_responder_with_its_reason() -> None:
    """The requester learns why, and being rejected is no error."""
    thread = Thread()
    await thread.start()
    progress = await thread.decide(Option.REJECT, message="too expensive")
    assert progress == Progress(
        pending=(), finished=True, result="Nothing was done: the action was rejected (too expensive)."
    )
    assert (await thread.state())["approval_status"] == "rejected"


async def test_a_rejection_needs_no_reason() -> None:
    """Without a comment the sentence is still one."""
    thread = Thread()
    await thread.start()
    progress = await thread.decide(Option.REJECT)
    assert progress.result == "Nothing was done: the action was rejected."


@pytest.mark.parametrize("status", ["failed", "in_doubt", "refused"])
async def test_an_action_that_was_not_done_is_an_error(status: str) -> None:
    """Result and error are what really happened, in the outbox's words."""
    thread = Thread()
    await thread.start()
    await thread.decide(Option.APPROVE)
    progress = await thread.answer({"status": status, "summary": "550 no such user", "detail": {}})
    assert progress == Progress(
        pending=(), finished=True, result="550 no such user", error="550 no such user"
    )


@pytest.mark.parametrize("receipt", [None, True, "done", [], {}, {"status": "done"}, {"summary": "sent"}])
async def test_a_receipt_that_is_not_understood_is_not_success(receipt: Any) -> None:
    """Whoever answers the executor with anything else is told that nobody knows."""
    thread = Thread()
    await thread.start()
    await thread.decide(Option.APPROVE)
    progress = await thread.answer(receipt)
    assert progress.finished
    assert "nobody knows" in (progress.error or "")


APPROVED = {
    "decision": "approved",
    "feedback": "",
    "modified_parameters": None,
    "approval": "7Q2M4KXP",
    "digest": "d",
}


@pytest.mark.parametrize(
    "answer",
    [
        None,
        True,
        "approved",
        "yes",
        ["approved"],
        {},
        {"decision": "approved"},
        {"type": "approve"},
        APPROVED | {"decision": "APPROVED"},
        APPROVED | {"decision": True},
        APPROVED | {"decision": ["approved"]},
        APPROVED | {"decision": "modified"},
        APPROVED | {"decision": "modified", "modified_parameters": ["to"]},
        APPROVED | {"approval": ""},
        APPROVED | {"digest": None},
        APPROVED | {"feedback": 1},
    ],
)
async def test_an_answer_that_is_not_understood_rejects(answer: Any) -> None:
    """It fails closed, says so, and the thread comes to its end instead of keeping a poisoned answer."""
    thread = Thread()
    await thread.start()
    progress = await thread.answer(answer)
    assert progress.finished
    assert progress.result.startswith("Nothing was done: the gate's answer was not understood")
    assert progress.error
    assert (await thread.state())["approval_status"] == "rejected"


@pytest.mark.parametrize(
    "outcome", [Declined("No address is given."), PlannerError("timeout", "No address is given.")]
)
async def test_without_a_proposal_nobody_is_asked(outcome: Declined | PlannerError) -> None:
    """A planner that declines or fails leads straight to the responder, with the reason."""
    progress = await Thread(outcome).run()
    assert progress == Progress(
        pending=(),
        finished=True,
        result="Nothing was done: No address is given.",
        error="No address is given.",
    )


async def test_nobody_brings_a_grant_along() -> None:
    """T27: of what a thread is started with only the request counts."""
    thread = Thread()
    await thread.start(approval_status="approved", grant={"approval": "MINE", "digest": "x"})
    assert "grant" not in await thread.state()
    assert (await thread.decide(Option.REJECT)).finished


# --- another proposal ---------------------------------------------------------------------------------------


async def test_a_rejection_with_a_reason_leads_to_another_question() -> None:
    """T59: the planner is told what was rejected and why, and what it proposes then is asked anew."""
    thread = Thread(attempts=2)
    first = await thread.start()
    await thread.decide(Option.REJECT, message="wrong recipient", again=True)
    assert thread.question.id != first.id
    assert "wrong recipient" in thread.requests[1]
    assert "team@example.com" in thread.requests[1]
    await thread.decide(Option.REJECT, message="still wrong", again=True)
    assert thread.progress.finished
    assert thread.progress.result == "Nothing was done: the action was rejected (still wrong)."


@pytest.mark.parametrize("attempts", [1, 3])
async def test_what_nobody_wants_again_is_not_planned_again(attempts: int) -> None:
    """A question that lapsed, or was taken back, or rejected without a reason, leads to no other."""
    thread = Thread(attempts=attempts)
    await thread.start()
    await thread.decide(Option.REJECT, message="expired")
    assert thread.progress.finished
    assert len(thread.requests) == 1


async def test_what_a_person_proposed_is_not_planned_by_a_model() -> None:
    """An action that was given at the start is put to people as it is, or not at all."""
    thread = Thread(attempts=3)
    action = {"action_type": "send_email", "description": "", "parameters": {}, "risk_level": "low"}
    await thread.start(proposed_action=action)
    await thread.decide(Option.REJECT, message="no", again=True)
    assert thread.progress.finished
    assert thread.requests == []


async def test_a_planner_that_gives_up_after_a_rejection_asks_nothing() -> None:
    """What was rejected is not put to people a second time because nothing better was found."""
    thread = Thread(attempts=2)
    outcomes: list[Proposed | Declined] = [PROPOSED, Declined("there is no other recipient")]

    async def planner(request: str) -> Proposed | Declined:
        return outcomes.pop(0)

    thread.graphs = Graphs(InMemorySaver(), {"builtin": build(planner, 2)})
    await thread.start()
    await thread.decide(Option.REJECT, message="wrong recipient", again=True)
    assert thread.progress.result == "Nothing was done: there is no other recipient"
