# ruff: noqa: INP001  examples are files to copy, not a package
"""A graph that asks several questions at once: two in parallel, one of them twice, and one in a subgraph.

    [graphs.release]
    path = "several_questions:make"

Each is an approval of its own, answered in any order. `make` is a factory: it is given the gateway's saver.
"""

import operator
from typing import Annotated, Any, Literal, TypedDict

from langgraph.graph import END, START, StateGraph
from langgraph.types import interrupt
from pydantic import BaseModel


class Verdict(BaseModel):
    """What a question wants back; the gateway words the answer by this type."""

    decision: Literal["approve", "reject"]
    comment: str = ""


class State(TypedDict, total=False):
    """The answers, in the order in which they came."""

    user_request: str
    verdicts: Annotated[list[str], operator.add]
    final_result: str


def ask(question: str) -> str:
    """Ask one question and return the decision."""
    verdict: Any = interrupt({"question": question}, response_schema=Verdict)
    return f"{question} {verdict.decision}"


def security(state: State) -> State:
    """Two questions in one node: the second is asked when the first is answered."""
    release = state["user_request"]
    return {"verdicts": [ask(f"Is {release} free of secrets?"), ask(f"Are the keys of {release} rotated?")]}


def legal(state: State) -> State:
    """One question in a subgraph."""
    return {"verdicts": [ask(f"Are the licences of {state['user_request']} fine?")]}


def conclude(state: State) -> State:
    """Go on when all are answered."""
    return {"final_result": "; ".join(sorted(state["verdicts"]))}


def make(saver: Any) -> Any:
    """Build the graph over the saver that the gateway gives."""
    inner = StateGraph(State)
    inner.add_node("legal", legal)
    inner.add_edge(START, "legal")
    inner.add_edge("legal", END)
    graph = StateGraph(State)
    graph.add_node("security", security)
    graph.add_node("legal_department", inner.compile())
    graph.add_node("conclude", conclude)
    for asking in ("security", "legal_department"):
        graph.add_edge(START, asking)
    graph.add_edge(["security", "legal_department"], "conclude")
    graph.add_edge("conclude", END)
    return graph.compile(checkpointer=saver)
