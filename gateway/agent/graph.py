"""The built-in graph: planner → approval_gate → executor → responder, or back from the gate to the planner.

It has no effects of its own. The gate asks for every action, whatever its risk: policy may answer, but that
is a vote too. The executor asks the gateway to do what was granted and learns what really happened.
Everything in the state is plain JSON, and no node raises because of what it is answered with: LangGraph
keeps an answer that made a node raise, and the thread would never get past it.
"""

import json
from typing import Any, Literal, NotRequired, TypedDict, TypeVar

from langgraph.graph import END, START, StateGraph
from langgraph.types import interrupt

from gateway.agent.planner import Declined, Planner, PlannerError
from gateway.core.payload import APPROVAL_REQUEST, EFFECT_REQUEST

T = TypeVar("T")
_LONGEST_REASON = 2000


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


class Rejection(TypedDict):
    """What a person did not want, and why."""

    proposed_action: ProposedAction
    feedback: str


class State(TypedDict, total=False):
    """One request on its way; each node fills in its part.

    `error` says what kept the request from being fulfilled, unless people rejected it: that is no error.
    """

    user_request: str
    proposed_action: ProposedAction
    approval_status: Literal["pending", "approved", "rejected", "modified"]
    human_feedback: str
    planned: bool
    again: bool
    rejections: list[Rejection]
    modified_parameters: dict[str, Any]
    grant: Grant
    receipt: dict[str, Any]
    final_result: str
    error: str


def build(planner: Planner, attempts: int = 1) -> StateGraph[State, None, Request, State]:
    """Return the graph around `planner`, still to be compiled with a saver.

    It makes at most `attempts` proposals for a request: another one where a person rejected the last and said
    why. What was proposed at the start is nobody's to plan anew.
    """

    async def plan(state: State) -> State:
        if state.get("proposed_action") and not state.get("rejections"):
            return {"approval_status": "pending"}
        try:
            outcome = await planner(_request(state))
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
        return {"proposed_action": action, "approval_status": "pending", "planned": True}

    def after_gate(state: State) -> Literal["executor", "planner", "responder"]:
        if state.get("grant"):
            return "executor"
        is_welcome = state.get("again") and state.get("planned")
        return "planner" if is_welcome and len(state["rejections"]) < attempts else "responder"

    graph = StateGraph(State, input_schema=Request)
    graph.add_node("planner", plan)
    graph.add_node("approval_gate", _approval_gate)
    graph.add_node("executor", _executor)
    graph.add_node("responder", _responder)
    graph.add_edge(START, "planner")
    graph.add_conditional_edges("planner", _after_planner)
    graph.add_conditional_edges("approval_gate", after_gate)
    graph.add_edge("executor", "responder")
    graph.add_edge("responder", END)
    return graph


def _after_planner(state: State) -> Literal["approval_gate", "responder"]:
    return "approval_gate" if state.get("approval_status") == "pending" else "responder"


def _request(state: State) -> str:
    """Word the request for the planner, with what people did not want of its earlier proposals."""
    told = [
        f"This was proposed and rejected:\n{json.dumps(each['proposed_action'], ensure_ascii=False)}\n"
        f"The reviewer's reason:\n{each['feedback'][:_LONGEST_REASON]}"
        for each in state.get("rejections", ())
    ]
    return "\n\n".join((state["user_request"], *told))


async def _approval_gate(state: State) -> State:
    answer = interrupt({"type": APPROVAL_REQUEST, "action": state["proposed_action"]})
    try:
        decided = _decided(answer)
    except _NotUnderstoodError as error:
        why = f"the gate's answer was not understood: {error}"
        return {"approval_status": "rejected", "human_feedback": why, "error": why, "again": False}
    again = decided["approval_status"] == "rejected" and answer.get("again") is True
    if not again:
        return {**decided, "again": False}
    rejected: Rejection = {"proposed_action": state["proposed_action"], "feedback": decided["human_feedback"]}
    return {**decided, "again": True, "rejections": [*state.get("rejections", ()), rejected]}


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
