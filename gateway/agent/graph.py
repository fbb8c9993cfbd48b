"""The built-in graph: planner → approval_gate → executor → responder.

It has no effects of its own. The gate asks for every action, whatever its risk: policy may answer, but that
is a vote too. The executor asks the gateway to do what was granted and learns what really happened.
Everything in the state is plain JSON, and no node raises because of what it is answered with: LangGraph
keeps an answer that made a node raise, and the thread would never get past it.
"""

from typing import Any, Literal, NotRequired, TypedDict, TypeVar

from langgraph.graph import END, START, StateGraph
from langgraph.types import interrupt

from gateway.agent.planner import Declined, Planner, PlannerError
from gateway.core.payload import APPROVAL_REQUEST, EFFECT_REQUEST

T = TypeVar("T")


class ProposedAction(TypedDict):
    """What the planner proposes, as the gate shows it to the gateway."""

    action_type: str
    description: str
    parameters: dict[str, Any]
    risk_level: str


class Grant(TypedDict):
    """Which approval covers the action, and the digest of exactly what was approved."""

    approval: str
    digest: str


class Request(TypedDict):
    """All that a thread may be started with: nobody brings a grant along.

    A proposed action is put to people as it is, without a planner.
    """

    user_request: str
    proposed_action: NotRequired[ProposedAction]


class State(TypedDict, total=False):
    """One request on its way; each node fills in its part.

    `error` says what kept the request from being fulfilled, unless people rejected it: that is no error.
    """

    user_request: str
    proposed_action: ProposedAction
    approval_status: Literal["pending", "approved", "rejected", "modified"]
    human_feedback: str
    modified_parameters: dict[str, Any]
    grant: Grant
    receipt: dict[str, Any]
    final_result: str
    error: str


def build(planner: Planner) -> StateGraph[State, None, Request, State]:
    """Return the graph around `planner`, still to be compiled with a saver."""

    async def plan(state: State) -> State:
        if state.get("proposed_action"):
            return {"approval_status": "pending"}
        try:
            outcome = await planner(state["user_request"])
        except PlannerError as error:
            return {"error": str(error)}
        if isinstance(outcome, Declined):
            return {"error": outcome.reason}
        action: ProposedAction = {
            "action_type": outcome.action_type,
            "description": outcome.description,
            "parameters": dict(outcome.parameters),
            "risk_level": outcome.risk_level,
        }
        return {"proposed_action": action, "approval_status": "pending"}

    graph = StateGraph(State, input_schema=Request)
    graph.add_node("planner", plan)
    graph.add_node("approval_gate", _approval_gate)
    graph.add_node("executor", _executor)
    graph.add_node("responder", _responder)
    graph.add_edge(START, "planner")
    graph.add_conditional_edges("planner", _after_planner)
    graph.add_conditional_edges("approval_gate", _after_gate)
    graph.add_edge("executor", "responder")
    graph.add_edge("responder", END)
    return graph


def _after_planner(state: State) -> Literal["approval_gate", "responder"]:
    return "approval_gate" if state.get("proposed_action") else "responder"


def _after_gate(state: State) -> Literal["executor", "responder"]:
    return "executor" if state.get("grant") else "responder"


async def _approval_gate(state: State) -> State:
    answer = interrupt({"type": APPROVAL_REQUEST, "action": state["proposed_action"]})
    try:
        return _decided(answer)
    except _NotUnderstoodError as error:
        why = f"the gate's answer was not understood: {error}"
        return {"approval_status": "rejected", "human_feedback": why, "error": why}


async def _executor(state: State) -> State:
    receipt = interrupt({"type": EFFECT_REQUEST, **state["grant"]})
    try:
        status, summary = _read(receipt, "status", str), _read(receipt, "summary", str)
    except _NotUnderstoodError as error:
        return {"error": f"nobody knows whether it was done, the receipt was not understood: {error}"}
    return {"receipt": receipt} if status == "done" else {"receipt": receipt, "error": summary}


async def _responder(state: State) -> State:
    return {"final_result": _result(state)}


def _result(state: State) -> str:
    if receipt := state.get("receipt"):
        return str(receipt["summary"])
    if error := state.get("error"):
        return error if state.get("grant") else f"Nothing was done: {error}"
    feedback = state.get("human_feedback")
    return f"Nothing was done: the action was rejected{f' ({feedback})' if feedback else ''}."


class _NotUnderstoodError(ValueError):
    """An answer is not of the agreed shape; the message names the field."""


def _decided(answer: Any) -> State:
    word, feedback = _read(answer, "decision", str), _read(answer, "feedback", str)
    if word == "rejected":
        return {"approval_status": "rejected", "human_feedback": feedback}
    grant: Grant = {"approval": _read(answer, "approval", str), "digest": _read(answer, "digest", str)}
    if not all(grant.values()):
        raise _NotUnderstoodError("it approves without naming approval and digest")
    if word == "approved":
        return {"approval_status": "approved", "human_feedback": feedback, "grant": grant}
    if word != "modified":
        raise _NotUnderstoodError(f"{word!r} is no decision")
    edited: dict[str, Any] = _read(answer, "modified_parameters", dict)
    return {
        "approval_status": "modified",
        "human_feedback": feedback,
        "modified_parameters": edited,
        "grant": grant,
    }


def _read(answer: Any, name: str, kind: type[T]) -> T:
    value = answer.get(name) if isinstance(answer, dict) else None
    if not isinstance(value, kind):
        raise _NotUnderstoodError(f"it has no {name}")
    return value
