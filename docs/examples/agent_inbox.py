# ruff: noqa: INP001  examples are files to copy, not a package
"""A graph that asks as those for Agent Inbox do, and drafts again when it is told what to change.

    [graphs.posts]
    path = "agent_inbox:graph"
    medium_risk = ["publish"]

Each draft is a question of its own: a reply in words is given to the graph, which then asks anew.
"""

from typing import Literal, NotRequired, TypedDict

from langgraph.graph import END, START, StateGraph
from langgraph.types import interrupt


class State(TypedDict):
    """What is written, what was said to it, and how it ended."""

    user_request: str
    draft: NotRequired[str]
    wish: NotRequired[str]
    final_result: NotRequired[str]


def write(state: State) -> dict[str, str]:
    """Draft the post; a model would do it here."""
    wish = f" ({state['wish']})" if state.get("wish") else ""
    return {"draft": f"News: {state['user_request']}{wish}", "wish": ""}


def review(state: State) -> dict[str, str]:
    """Ask, and take each of the four answers."""
    request = {
        "action_request": {"action": "publish", "args": {"text": state["draft"], "pinned": False}},
        "config": {"allow_accept": True, "allow_edit": True, "allow_respond": True, "allow_ignore": True},
        "description": "A draft for the front page.",
    }
    (answer,) = interrupt([request])
    match answer["type"]:
        case "response":
            return {"wish": answer["args"]}
        case "ignore":
            return {"final_result": "nothing was published"}
        case _:
            post = answer["args"]["args"]
            return {"final_result": f"published{' and pinned' if post['pinned'] else ''}: {post['text']}"}


def after_review(state: State) -> Literal["write", "__end__"]:
    """Draft again after a wish."""
    return "write" if state.get("wish") else "__end__"


graph = StateGraph(State)
graph.add_node("write", write)
graph.add_node("review", review)
graph.add_edge(START, "write")
graph.add_edge("write", "review")
graph.add_conditional_edges("review", after_review, ["write", END])
