"""The answers that we word, taken by the real thing: LangChain's middleware, and graphs of each dialect.

Every test drives a compiled graph over the real saver, as a foreign graph is driven.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any, Literal, TypedDict

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, ToolCall
from langchain_core.runnables import Runnable
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import interrupt
from pydantic import BaseModel

from gateway.core import payload
from gateway.core.payload import Decision, Option, Question, UnanswerableError
from gateway.graphs import (
    Foreign,
    GraphChangedError,
    GraphFailedError,
    Graphs,
    Kind,
    Pending,
    Progress,
    sqlite_saver,
)

Saver = BaseCheckpointSaver[str]


class Scripted(GenericFakeChatModel):
    """A model that says what it was told to, whatever tools it is given."""

    def bind_tools(self, tools: Sequence[Any], **more: Any) -> Runnable[Any, Any]:
        return self


class State(TypedDict, total=False):
    final_result: str


class Driven:
    """A foreign graph and the thread that runs in it."""

    def __init__(self, saver: Saver, engine: Any) -> None:
        on_saver = engine.copy({"checkpointer": saver})
        self.graphs = Graphs(saver, {}, foreign={"g": Foreign(engine=on_saver, kind=Kind.COMPILED)})
        self.progress = Progress((), finished=False)

    async def start(self, **request: Any) -> list[Question]:
        self.progress = await self.graphs.start("g", "t", request)
        return self.questions()

    def questions(self) -> list[Question]:
        return [self.question(each) for each in self.progress.pending]

    @staticmethod
    def question(pending: Pending) -> Question:
        question = payload.read(pending.value, pending.schema, foreign=True)
        assert isinstance(question, Question), question
        return question

    async def decide(self, *decisions: Decision, n: int = 0) -> Progress:
        pending = self.progress.pending[n]
        question = self.question(pending)
        value = payload.answer(question.dialect, question.terms, decisions)
        self.progress = await self.graphs.resume(
            "g", "t", pending.id, value, again=False, asked=pending.asked
        )
        return self.progress


@pytest.fixture
async def saver(tmp_path: Path) -> AsyncIterator[Saver]:
    async with sqlite_saver(tmp_path / "checkpoints.db") as opened:
        yield opened


class Files:
    """Tools that write down how they were called."""

    def __init__(self) -> None:
        self.written: list[tuple[str, int]] = []

    def write_lines(self, path: str, lines: int = 1) -> str:
        """Write some lines."""
        self.written.append((path, lines))
        return f"wrote {lines} to {path}"

    def agent(self, mode: Literal["batched", "per_call"], *calls: dict[str, Any], allowed: Any = True) -> Any:
        wanted = [
            ToolCall(name="write_lines", args=args, id=f"call-{n}", type="tool_call")
            for n, args in enumerate(calls)
        ]
        model = Scripted(messages=iter([AIMessage("", tool_calls=wanted), AIMessage("That is all.")]))
        gate = HumanInTheLoopMiddleware(interrupt_on={"write_lines": allowed}, interrupt_mode=mode)
        return create_agent(model, [self.write_lines], middleware=[gate])


def hello() -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": "Write it."}]}


def approve(**parameters: Any) -> Decision:
    return Decision(option=Option.APPROVE, parameters=parameters)


def edit(**parameters: Any) -> Decision:
    return Decision(option=Option.EDIT, parameters=parameters)


def reject(message: str = "") -> Decision:
    return Decision(option=Option.REJECT, message=message)


def respond(message: str) -> Decision:
    return Decision(option=Option.RESPOND, message=message)


# --- LangChain's middleware -------------------------------------------------------------------------------


async def test_a_batch_is_decided_call_by_call(saver: Saver) -> None:
    """Approved, edited, rejected and answered by one resume: the tool runs for the first two, as decided."""
    files = Files()
    calls = [{"path": name, "lines": 2} for name in ("a", "b", "c", "d")]
    thread = Driven(saver, files.agent("batched", *calls))
    (question,) = await thread.start(**hello())
    assert question.dialect == payload.HITL
    assert [dict(each.parameters) for each in question.proposals] == calls
    end = await thread.decide(
        approve(path="a", lines=2), edit(path="B", lines=7), reject("too long"), respond("as if")
    )
    assert (end.finished, end.result) == (True, "That is all.")
    assert sorted(files.written) == [("B", 7), ("a", 2)]


async def test_calls_that_ask_one_by_one_are_answered_one_by_one(saver: Saver) -> None:
    """Each call is an interrupt of its own; after each answer the others still wait under the same ids."""
    files = Files()
    calls = [{"path": name, "lines": 2} for name in ("a", "b", "c", "d")]
    thread = Driven(saver, files.agent("per_call", *calls))
    questions = await thread.start(**hello())
    assert {question.dialect for question in questions} == {payload.TOOL_APPROVAL}
    ids = [each.id for each in thread.progress.pending]
    answers = [approve(path="a", lines=2), edit(path="B", lines=7), reject("too long"), respond("as if")]
    for n, decision in enumerate(answers):
        await thread.decide(decision)
        assert [each.id for each in thread.progress.pending] == ids[n + 1 :]
    assert (thread.progress.finished, thread.progress.result) == (True, "That is all.")
    assert sorted(files.written) == [("B", 7), ("a", 2)]


@pytest.mark.parametrize("mode", ["batched", "per_call"])
async def test_only_what_a_tool_allows_is_recognised_as_allowed(
    saver: Saver, mode: Literal["batched", "per_call"]
) -> None:
    """In both modes the configured decisions are found, and no others."""
    allowed = {"allowed_decisions": ["approve", "reject"]}
    thread = Driven(saver, Files().agent(mode, {"path": "a"}, allowed=allowed))
    (question,) = await thread.start(**hello())
    assert question.terms.allows == ((Option.APPROVE, Option.REJECT),)
    with pytest.raises(UnanswerableError):
        await thread.decide(edit(path="b"))


async def test_a_typed_call_takes_no_edit_of_another_type(saver: Saver) -> None:
    """The tool's own schema refuses it here, and the question is still there to be answered."""
    files = Files()
    thread = Driven(saver, files.agent("per_call", {"path": "a", "lines": 1}))
    await thread.start(**hello())
    with pytest.raises(UnanswerableError, match="'two' is not of type 'integer'"):
        await thread.decide(edit(path="a", lines="two"))
    assert (await thread.decide(edit(path="a", lines=2))).finished
    assert files.written == [("a", 2)]


async def test_a_wrong_count_does_poison_the_real_thread(saver: Saver) -> None:
    """What is kept from happening does happen where we do not look: the bad answer is never got rid of."""
    thread = Driven(saver, Files().agent("batched", {"path": "a"}, {"path": "b"}))
    await thread.start(**hello())
    (pending,) = thread.progress.pending
    for value in ({"decisions": [{"type": "approve"}]}, {"decisions": [{"type": "approve"}] * 2}):
        with pytest.raises(GraphFailedError, match="Number of human decisions"):
            await thread.graphs.resume("g", "t", pending.id, value, again=False)


# --- graphs of the other dialects -------------------------------------------------------------------------


def asking(value: Any, schema: Any = None, accept: Callable[[Any], str] = repr, more: str = "") -> Any:
    """A graph of one node that asks and says what it was answered."""

    def ask(state: State) -> State:
        answer = interrupt(value, response_schema=schema)
        return {"final_result": accept(answer)}

    builder = StateGraph(State)
    builder.add_node("ask", ask)
    builder.add_edge(START, "ask")
    builder.add_edge("ask", END)
    if more:
        builder.add_node(more, lambda state: {})
        builder.add_edge("ask", more)
    return builder.compile()


def in_the_inbox(answers: Any) -> str:
    """Handle an answer as the graphs of Agent Inbox do."""
    (response,) = answers
    match response["type"]:
        case "accept" | "edit":
            return f"{response['type']} {response['args']['action']} {response['args']['args']}"
        case "response":
            return f"told {response['args']}"
        case "ignore":
            return "ignored"
    raise ValueError(response)


@pytest.mark.parametrize("as_list", [False, True])
@pytest.mark.parametrize(
    ("decision", "result"),
    [
        (approve(id=7), "accept delete {'id': 7}"),
        (edit(id=8), "edit delete {'id': 8}"),
        (respond("later"), "told later"),
        (reject("never"), "ignored"),
    ],
)
async def test_an_agent_inbox_graph_takes_every_answer(
    saver: Saver, decision: Decision, result: str, as_list: bool
) -> None:
    """Its node understands each of the four, whether it asked with one request or a list."""
    words = ("allow_accept", "allow_edit", "allow_respond", "allow_ignore")
    request = {
        "action_request": {"action": "delete", "args": {"id": 7}},
        "config": dict.fromkeys(words, True),
        "description": "It is old.",
    }
    thread = Driven(saver, asking([request] if as_list else request, accept=in_the_inbox))
    (question,) = await thread.start()
    assert question.dialect == payload.HUMAN_INTERRUPT
    assert (await thread.decide(decision)).result == result


class Verdict(BaseModel):
    """What a typed node wants back."""

    approved: bool
    feedback: str

    def __str__(self) -> str:
        return f"{self.approved}, {self.feedback!r}"


@pytest.mark.parametrize(
    ("decision", "approved", "feedback"), [(approve(), True, ""), (reject("no"), False, "no")]
)
async def test_a_typed_question_is_answered_by_its_type(
    saver: Saver, decision: Decision, approved: bool, feedback: str
) -> None:
    """LangGraph checks the answer against the type itself, and takes ours."""
    thread = Driven(saver, asking({"deploy": "v2"}, Verdict, str))
    (question,) = await thread.start()
    assert question.dialect == payload.TYPED
    assert (await thread.decide(decision)).result == f"{approved}, {feedback!r}"


async def test_the_tutorials_question_is_answered_in_its_words(saver: Saver) -> None:
    """A foreign graph that asks as the tutorial does gets a decision, feedback and what was modified."""
    action = {"action_type": "send_email", "parameters": {"to": "a"}, "description": "", "risk_level": "low"}
    thread = Driven(
        saver, asking({"type": "approval_request", "action": action}, accept=lambda a: a["decision"])
    )
    await thread.start()
    assert (await thread.decide(edit(to="b"))).result == "modified"


@pytest.mark.parametrize("changed", ["question", "nodes"])
async def test_an_answer_to_other_code_or_another_payload_is_refused(saver: Saver, changed: str) -> None:
    """F49: what asks something else, or has one node more, is not answered, and nothing of it runs."""
    thread = Driven(saver, asking({"deploy": "v2"}, Verdict))
    await thread.start()
    same = Driven(saver, asking({"deploy": "v2"}, Verdict, str))
    (pending,) = thread.progress.pending
    assert await same.graphs.pending("g", "t") == thread.progress
    asked = pending.asked
    if changed == "nodes":
        thread = Driven(saver, asking({"deploy": "v2"}, Verdict, str, more="audit"))
    else:
        # The payload lies in the checkpoint, so only another question could have another digest.
        asked = "0" * 64
    with pytest.raises(GraphChangedError, match="no longer what people were shown"):
        await thread.graphs.resume("g", "t", pending.id, {}, again=False, asked=asked)
    answer = {"approved": True, "feedback": ""}
    end = await same.graphs.resume("g", "t", pending.id, answer, again=False, asked=pending.asked)
    assert end.result == "True, ''"
