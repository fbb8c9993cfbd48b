"""Graphs of others: loaded, driven and adopted, and what the service makes of their questions."""

import sys
import types
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, TypedDict

import pytest
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import interrupt
from pydantic import BaseModel

from builders import policy, rule
from gateway import act
from gateway.core.approval import Answer, Approval, Channel, Remarked, State, Verdict
from gateway.core.effects import Letter, Perform, ResumeGraph
from gateway.core.execution import Receipt, ReceiptStatus, ThreadState
from gateway.core.payload import TUTORIAL
from gateway.core.policy import Answers, Decider, GraphRule, Policy, Risk
from gateway.graphs import (
    Foreign,
    GraphFailedError,
    GraphInDoubtError,
    GraphLoadError,
    Graphs,
    Kind,
    Pending,
    Progress,
    load,
    sqlite_saver,
)
from gateway.service import ThreadKnownError
from office import OPERATOR, PROPOSED, Office, open_office, question
from test_payload import DECISION, batch, inbox

Saver = BaseCheckpointSaver[str]


class Values(TypedDict, total=False):
    user_request: str
    final_result: str


@pytest.fixture
async def saver(tmp_path: Path) -> AsyncIterator[Saver]:
    async with sqlite_saver(tmp_path / "checkpoints.db") as opened:
        yield opened


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A directory for modules; what they leave behind in the interpreter is taken away again."""
    paths, modules = [*sys.path], {*sys.modules}
    yield tmp_path
    sys.path[:] = paths
    for name in {*sys.modules} - modules:
        del sys.modules[name]


MODULE = """
from typing import TypedDict
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph

class State(TypedDict):
    user_request: str

builder = StateGraph(State)
builder.add_node("work", lambda state: {})
builder.add_edge(START, "work")
builder.add_edge("work", END)
compiled = builder.compile(checkpointer=InMemorySaver())
stopping = builder.compile(interrupt_before=["work"])
number = 7

class Holder:
    graph = builder

def factory(saver):
    return builder.compile(checkpointer=saver)

def half(saver):
    return builder

def broken(saver):
    raise OSError("no network")

def empty(saver):
    return None

async def later(saver):
    return builder

unfinished = StateGraph(State)
unfinished.add_edge("nowhere", END)
"""


@pytest.mark.parametrize(
    ("attribute", "kind", "had_saver"),
    [
        ("builder", Kind.BUILDER, False),
        ("Holder.graph", Kind.BUILDER, False),
        ("compiled", Kind.COMPILED, True),
        ("factory", Kind.FACTORY, False),
        ("half", Kind.FACTORY, False),
    ],
)
def test_a_graph_is_loaded_in_whatever_form_it_is(
    place: Path, saver: Saver, attribute: str, kind: Kind, had_saver: bool
) -> None:
    """From a module beside the configuration, and always over our own saver."""
    (place / "form_of_graph.py").write_text(MODULE)
    found = load(f"form_of_graph:{attribute}", place, saver)
    assert (found.kind, found.had_saver, found.nodes) == (kind, had_saver, ("work",))
    assert found.engine.checkpointer is saver
    assert found.inputs == {"user_request"}


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("no_such_module:graph", "there is no module 'no_such_module'"),
        ("form_of_graph:grph", "has no grph; graphs in it: builder, compiled, stopping, unfinished"),
        ("form_of_graph:number", "is a int; it must be a compiled graph"),
        ("form_of_graph:broken", "called with the saver, raised OSError: no network"),
        ("form_of_graph:empty", "returned a NoneType, and no graph"),
        ("form_of_graph:later", "is async; a factory must be a plain function"),
        ("form_of_graph:unfinished", "does not compile"),
        ("raises_at_once:graph", "importing raises_at_once raised ZeroDivisionError"),
        ("form_of_graph", "is no path of a graph"),
    ],
)
def test_what_cannot_be_loaded_is_said(place: Path, saver: Saver, path: str, why: str) -> None:
    """The message names what was found there instead."""
    (place / "form_of_graph.py").write_text(MODULE)
    (place / "raises_at_once.py").write_text("1 / 0")
    with pytest.raises(GraphLoadError, match=why):
        load(path, place, saver)


def test_a_module_beside_the_configuration_stands_in_for_nothing(place: Path, saver: Saver) -> None:
    """What is installed is found first: the directory is the last place that is looked at."""
    (place / "json.py").write_text(MODULE)
    (place / "form_of_graph.py").write_text(MODULE)
    load("form_of_graph:builder", place, saver)
    assert sys.path[-1] == str(place)
    with pytest.raises(GraphLoadError, match="has no builder"):
        load("json:builder", place, saver)


def test_other_nodes_or_edges_have_another_fingerprint(place: Path, saver: Saver) -> None:
    """The same shape is known again, wherever it comes from; a breakpoint is part of it."""
    (place / "form_of_graph.py").write_text(MODULE)
    prints = {
        name: load(f"form_of_graph:{name}", place, saver).fingerprint
        for name in ("builder", "compiled", "factory", "stopping")
    }
    assert prints["builder"] == prints["compiled"] == prints["factory"] != prints["stopping"]


# --- driven -----------------------------------------------------------------------------------------------


class Node:
    """A graph of one node that counts what it did, and breaks when it is told to."""

    def __init__(self) -> None:
        self.done = 0
        self.breaks = False

    def builder(self) -> Any:
        def work(state: Values) -> Values:
            answer = interrupt(batch(("write", {"n": 1})))
            self.done += 1
            if self.breaks:
                raise ConnectionError("cut off")
            return {"final_result": str(answer)}

        builder = StateGraph(Values)
        builder.add_node("work", work)
        builder.add_edge(START, "work")
        builder.add_edge("work", END)
        return builder

    def driven(self, saver: Saver, **more: Any) -> Graphs:
        engine = self.builder().compile(checkpointer=saver, **more.pop("compiled", {}))
        return Graphs(saver, {}, foreign={"g": Foreign(engine=engine, kind=Kind.BUILDER, **more)})


async def begun(graphs: Graphs) -> Pending:
    (pending,) = (await graphs.start("g", "t", {"user_request": "x", "other": 1})).pending
    return pending


@pytest.mark.parametrize("replay", [False, True])
async def test_a_node_that_was_cut_off_runs_again_only_with_consent(saver: Saver, replay: bool) -> None:
    """F06: its effect may have happened, so without `replay` nobody starts it a second time by himself."""
    node = Node()
    graphs = node.driven(saver, replay=replay)
    asked = await begun(graphs)
    node.breaks = True
    with pytest.raises(GraphFailedError):
        await graphs.resume("g", "t", asked.id, "yes", again=False, asked=asked.asked)
    node.breaks = False
    if replay:
        end = await graphs.resume("g", "t", asked.id, "yes", again=True, asked=asked.asked)
        assert (end.finished, node.done) == (True, 2)
    else:
        with pytest.raises(GraphInDoubtError, match="replay = true"):
            await graphs.resume("g", "t", asked.id, "yes", again=True, asked=asked.asked)
        assert node.done == 1


async def test_an_answer_that_got_through_is_not_given_again(saver: Saver) -> None:
    """F06: cut off after the graph had ended, the second attempt learns that, without replay too."""
    node = Node()
    graphs = node.driven(saver)
    asked = await begun(graphs)
    end = await graphs.resume("g", "t", asked.id, "yes", again=False, asked=asked.asked)
    assert await graphs.resume("g", "t", asked.id, "yes", again=True, asked=asked.asked) == end
    assert node.done == 1


async def test_a_static_breakpoint_is_no_end(saver: Saver) -> None:
    """It asks nothing, so it is reported as what it is, at the start and whenever it is looked at."""
    graphs = Node().driven(saver, compiled={"interrupt_before": ["work"]})
    stopped = await graphs.start("g", "t", {"user_request": "x"})
    assert not stopped.finished
    assert [each.value for each in stopped.pending] == [{"type": "gateway.breakpoint", "nodes": ["work"]}]
    assert await graphs.pending("g", "t") == stopped


async def test_act_is_one_interrupt_and_returns_the_receipt(saver: Saver) -> None:
    """What a node gives to `act` is the payload, and what the gateway answers is what it gets back."""

    def work(state: Values) -> Values:
        return {"final_result": act(PROPOSED)["summary"]}

    builder = StateGraph(Values)
    builder.add_node("work", work)
    builder.add_edge(START, "work")
    engine = builder.compile(checkpointer=saver)
    graphs = Graphs(saver, {}, foreign={"g": Foreign(engine=engine, kind=Kind.BUILDER)})
    asked = await begun(graphs)
    assert asked.value == {"type": "gateway.act", "action": PROPOSED}
    receipt = {"status": "done", "summary": "Sent.", "detail": {}}
    end = await graphs.resume("g", "t", asked.id, receipt, again=False, asked=asked.asked)
    assert end.result == "Sent."


class Order(BaseModel):
    cents: int


class Orders(BaseModel):
    user_request: str = ""
    order: Order | None = None
    final_result: str = ""


async def test_a_state_of_the_graphs_own_types_survives_a_restart(place: Path) -> None:
    """T26: the types that its state names are read back as such, and only those."""

    def plan(state: Orders) -> dict[str, Any]:
        return {"order": Order(cents=7)}

    def work(state: Orders) -> dict[str, Any]:
        interrupt(inbox())
        assert state.order is not None
        return {"final_result": f"{type(state.order).__name__} of {state.order.cents}"}

    builder = StateGraph(Orders)
    builder.add_node("plan", plan)
    builder.add_node("work", work)
    builder.add_edge(START, "plan")
    builder.add_edge("plan", "work")
    sys.modules["its_own_types"] = types.ModuleType("its_own_types")
    vars(sys.modules["its_own_types"])["graph"] = builder.compile()
    path = place / "checkpoints.db"
    async with sqlite_saver(path) as saver:
        found = load("its_own_types:graph", place, saver)
        asked = await begun(Graphs(saver, {}, foreign={"g": found}))
    async with sqlite_saver(path) as saver:
        found = load("its_own_types:graph", place, saver)
        graphs = Graphs(saver, {}, foreign={"g": found})
        end = await graphs.resume("g", "t", asked.id, [], again=False, asked=asked.asked)
    assert end.result == "Order of 7"


# --- what the service makes of it -------------------------------------------------------------------------


def people(**changes: Any) -> Policy:
    known = GraphRule(risks={"read": Risk.LOW, "draft": Risk.MEDIUM}, **changes)
    made = policy(low=rule(decide=Decider.AUTO))
    return Policy(made.rules, made.reviewers, made.words, {"theirs": known})


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with open_office(tmp_path / "gateway.sqlite3", people()) as opened:
        yield opened


async def stopped(office: Office, *values: Any, schema: Any = None) -> tuple[str, list[Approval]]:
    """Start a thread of a foreign graph that asks all of these at once."""
    thread = (await office.service.start("theirs", {"user_request": "x"}, "rita@example.com")).id
    await office.stops(
        thread, *(Pending(f"i{n}", each, schema, f"asked-{n}") for n, each in enumerate(values))
    )
    found = await office.store.read(lambda tx: tx.approvals_of(thread))
    return thread, sorted(found, key=lambda each: each.interrupt)


async def resumes(office: Office) -> list[ResumeGraph]:
    return [effect for effect in await office.effects() if isinstance(effect, ResumeGraph)]


async def thread_state(office: Office, thread: str) -> ThreadState:
    return (await office.store.read(lambda tx: tx.thread(thread))).state


@pytest.mark.parametrize(
    ("tools", "risk"),
    [(("draft",), Risk.MEDIUM), (("draft", "read"), Risk.MEDIUM), (("draft", "pay"), Risk.HIGH)],
)
async def test_a_batch_has_the_gravest_risk_of_its_tools(
    office: Office, tools: tuple[str, ...], risk: Risk
) -> None:
    """A tool that no rule knows is high, and the payload's own word on it means nothing."""
    calls = [(tool, {"risk_level": "low", "reviewers": ["eve@example.com"]}) for tool in tools]
    _, (approval,) = await stopped(office, batch(*calls) | {"risk_level": "low"})
    assert approval.risk is risk
    assert len(approval.items) == len(tools)
    assert "eve@example.com" not in approval.reviewers


async def test_a_low_tool_passes_by_policy_only_where_it_can_be_approved(office: Office) -> None:
    """Policy says approve; where the payload does not take that, people are asked."""
    _, (passed,) = await stopped(office, batch(("read", {})))
    assert passed.state is State.APPROVED
    _, (asked,) = await stopped(office, batch(("read", {}), allowed=("respond",)))
    assert (asked.state, asked.risk) == (State.OPEN, Risk.MEDIUM)


async def test_a_vote_that_the_payload_does_not_take_is_not_counted(office: Office) -> None:
    """Nothing is recorded, and the question stays open for one that it takes."""
    _, (approval,) = await stopped(office, batch(("pay", {"n": 1}), allowed=("approve", "reject")))
    assert approval.offers == {Verdict.APPROVE, Verdict.REJECT}
    for verdict in (Verdict.MODIFY, Verdict.RESPOND):
        reply = await office.votes(approval, verdict, comment="x", edits={})
        assert reply.answer in {Answer.NOT_OFFERED, Answer.EDIT_REFUSED}
    assert await office.state(approval) is State.OPEN


async def test_a_comment_is_a_comment_where_the_payload_takes_no_words(office: Office) -> None:
    """It goes to the requester and ends nothing; where words are taken, it is the answer."""
    remark = Remarked(by="alice@example.com", text="Why?", channel=Channel.REPLY)
    _, (plain,) = await stopped(office, batch(("pay", {}), allowed=("approve", "reject")))
    assert (await office.service.handle(plain.id, remark)).answer is Answer.COMMENTED
    _, (talking,) = await stopped(office, batch(("pay", {})))
    assert (await office.service.handle(talking.id, remark)).answer is Answer.ANSWERED
    (resume,) = await resumes(office)
    assert resume.value == {"decisions": [{"type": "respond", "message": "Why?"}]}


async def test_a_no_that_the_payload_has_no_word_for_parks_the_thread(office: Office) -> None:
    """A reviewer can always refuse: the action is not approved, the graph stays, and operators are told."""
    thread, (approval,) = await stopped(office, batch(("pay", {}), allowed=("approve",)))
    reply = await office.votes(approval, Verdict.REJECT)
    assert reply.answer is Answer.REJECTED
    assert not await resumes(office)
    assert await thread_state(office, thread) is ThreadState.PARKED
    assert [letter.to for letter in await office.letters(Letter.ALERT)] == [OPERATOR]


async def test_an_expired_question_without_a_refusal_parks_the_thread(office: Office) -> None:
    """Silence is never an approval, and never an answer that the graph did not ask for."""
    thread, (approval,) = await stopped(office, inbox(allow_ignore=False))
    office.later(hours=25)
    await office.service.strike()
    assert await office.state(approval) is State.EXPIRED
    assert not await resumes(office)
    assert await thread_state(office, thread) is ThreadState.PARKED


async def test_policy_consents_to_no_question_of_a_stranger(office: Office) -> None:
    """T15: a tool's name says what the tool does, and nothing of what an MCP server asks in its name."""
    form = {"type": "object", "properties": {"confirm": {"type": "boolean"}}, "required": ["confirm"]}
    request = {"key": "k", "message": "Delete all data?", "requested_schema": form}
    asked = {"type": "mcp_elicitation", "tool_name": "read", "requests": [request]}
    _, (approval,) = await stopped(office, asked)
    assert (approval.risk, approval.state) == (Risk.MEDIUM, State.OPEN)


async def test_what_no_single_word_can_answer_is_answered_item_by_item(office: Office) -> None:
    """One call of the batch can only be approved and the other only answered: each takes its own."""
    value = batch(("pay", {}), ("ask", {}), allowed=("approve",))
    value["review_configs"][1]["allowed_decisions"] = ["respond"]
    thread, (asked,) = await stopped(office, value)
    assert [{Verdict.APPROVE, Verdict.RESPOND} & set(asked.offers_for(n)) for n in (1, 2)] == [
        {Verdict.APPROVE},
        {Verdict.RESPOND},
    ]
    assert await thread_state(office, thread) is ThreadState.WAITING


async def test_each_question_of_a_thread_is_an_approval_of_its_own(office: Office) -> None:
    """T64: answered apart, each resume names its own interrupt and what that asked."""
    thread, (first, second) = await stopped(office, batch(("pay", {"n": 1})), inbox("drop", {"n": 2}))
    await office.votes(second)
    await office.votes(first, Verdict.REJECT, comment="no")
    two, one = sorted(await resumes(office), key=lambda each: each.interrupt)
    assert (one.interrupt, one.asked, one.value[0]["type"]) == ("i1", "asked-1", "accept")
    assert (two.interrupt, two.asked, two.value["decisions"][0]["type"]) == ("i0", "asked-0", "reject")
    assert await thread_state(office, thread) is ThreadState.RUNNING


@pytest.mark.parametrize("dialect", ["batch", "tutorial"])
async def test_the_grant_of_a_foreign_tool_buys_nothing_here(office: Office, dialect: str) -> None:
    """T27: even a tool that is named like an action of ours is the graph's own to do."""
    asked = batch(("send_email", PROPOSED["parameters"])) if dialect == "batch" else question()  # type: ignore[arg-type]
    thread, (approval,) = await stopped(office, asked)
    await office.votes(approval)
    grant = {"type": "gateway.effect", "approval": approval.id, "digest": approval.digest}
    await office.stops(thread, Pending("effect", grant))
    assert await thread_state(office, thread) is ThreadState.PARKED
    assert not [effect for effect in await office.effects() if isinstance(effect, Perform)]


async def test_a_graph_that_is_no_longer_configured_is_not_taken_for_ours(office: Office) -> None:
    """T27: what it asks stays foreign, of high risk, and buys nothing here."""
    thread = (await office.service.start("gone", {"user_request": "x"}, "rita@example.com")).id
    await office.stops(thread, Pending("i0", question(), None, "asked"))
    (approval,) = await office.store.read(lambda tx: tx.approvals_of(thread))
    assert (approval.dialect, approval.risk) == (TUTORIAL, Risk.HIGH)


async def test_an_edit_keeps_types_and_is_asked_again(office: Office) -> None:
    """The old question is superseded, both share one interrupt, and the resume holds the edited call."""
    _, (approval,) = await stopped(office, batch(("draft", {"n": 1, "note": "a"})))
    reply = await office.votes(approval, Verdict.MODIFY, edits={"n": 2})
    assert reply.answer is Answer.MODIFIED
    edited = await office.store.read(lambda tx: tx.approval(str(reply.approval.replaced_by)))
    refused = await office.votes(edited, Verdict.MODIFY, edits={"n": "3"})
    assert refused.answer is Answer.EDIT_REFUSED
    await office.votes(edited)
    (resume,) = await resumes(office)
    call = {"name": "draft", "args": {"n": 2, "note": "a"}}
    assert resume.value == {"decisions": [{"type": "edit", "edited_action": call}]}


async def test_an_unknown_question_is_answered_as_the_configuration_says(tmp_path: Path) -> None:
    """Shown as it is; without such words it would be parked."""
    words = people(answers=Answers(approve={"go": True}, reject={"go": False}))
    async with open_office(tmp_path / "gateway.sqlite3", words) as office:
        _, (approval,) = await stopped(office, {"deploy": "v2"})
        assert approval.items[0].action.parameters == {"deploy": "v2"}
        await office.votes(approval)
        assert [resume.value for resume in await resumes(office)] == [{"go": True}]


async def test_a_typed_question_is_asked_and_answered(office: Office) -> None:
    """By the interrupt's own schema, which travels with the approval."""
    _, (approval,) = await stopped(office, "Deploy?", schema=DECISION)
    await office.votes(approval, Verdict.REJECT, comment="no")
    assert [resume.value for resume in await resumes(office)] == [{"decision": "reject", "comment": "no"}]


# --- actions that are handed to us ------------------------------------------------------------------------


def handed(**changes: Any) -> dict[str, Any]:
    return {"type": "gateway.act", "action": {**PROPOSED, **changes}}


async def test_what_is_handed_over_is_done_at_once_when_it_is_granted(office: Office) -> None:
    """The grant is the effect, not a resume; the receipt resumes the interrupt that asked, once."""
    thread, (approval,) = await stopped(office, handed())
    await office.votes(approval)
    assert not await resumes(office)
    row = await office.row(thread)
    assert row.effect == Perform(approval.id, approval.digest)
    begun = await office.service.point_of_no_return(row, {"message_id": "<m@example.com>"})
    await office.service.performed(begun, Receipt(ReceiptStatus.DONE, "Sent.", {}))
    (resume,) = await resumes(office)
    assert (resume.interrupt, resume.asked, resume.value["status"]) == ("i0", "asked-0", "done")


async def test_what_is_handed_over_and_expires_is_a_refused_receipt(office: Office) -> None:
    """Nothing is done, and the node is told why."""
    await stopped(office, handed())
    office.later(hours=25)
    await office.service.strike()
    (resume,) = await resumes(office)
    assert resume.value == {"status": "refused", "summary": "expired", "detail": {}}
    assert not [effect for effect in await office.effects() if isinstance(effect, Perform)]


async def test_what_is_handed_over_and_cannot_be_done_is_refused_at_once(office: Office) -> None:
    """Nobody is asked about it."""
    _, approvals = await stopped(office, handed(action_type="tool:send_email"))
    assert not approvals
    (resume,) = await resumes(office)
    assert (resume.interrupt, resume.value["status"]) == ("i0", "refused")


# --- adopted ----------------------------------------------------------------------------------------------


async def test_a_thread_from_elsewhere_is_adopted_once(office: Office) -> None:
    """It is looked at and never started, and its questions are asked like any other's."""
    adopted = await office.service.adopt("theirs", "elsewhere/7", "rita@example.com")
    row = await office.row(adopted.id)
    assert getattr(row.effect, "adopted", False)
    await office.service.graph_stopped(row, Progress((Pending("i0", inbox()),), finished=False))
    (approval,) = await office.store.read(lambda tx: tx.approvals_of("elsewhere/7"))
    assert approval.requester == "rita@example.com"
    with pytest.raises(ThreadKnownError):
        await office.service.adopt("theirs", "elsewhere/7", "rita@example.com")


def test_a_scratch_saver_is_for_looking_only(place: Path) -> None:
    """`graphs check` compiles over it, so that looking makes no file."""
    (place / "form_of_graph.py").write_text(MODULE)
    before = {*place.iterdir()}
    found = load("form_of_graph:stopping", place, InMemorySaver())
    assert found.breakpoints == ("work",)
    assert {each for each in place.iterdir() if each.name != "__pycache__"} == before
