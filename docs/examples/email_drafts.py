# ruff: noqa: INP001  examples are files to copy, not a package
"""A graph that has its emails approved and sent by the gateway, with one call.

    [graphs.invitations]
    path = "email_drafts:graph"

`act` stops the node, people are asked by mail, the gateway sends exactly what they approved, and the node
goes on with the receipt.
"""

from typing import NotRequired, TypedDict

from langgraph.graph import END, START, StateGraph

from gateway import act


class State(TypedDict):
    """Whom to invite, and what came of it."""

    user_request: str
    final_result: NotRequired[str]


def invite(state: State) -> dict[str, str]:
    """Have the invitation sent; nothing above the call has an effect, since it runs again afterwards."""
    receipt = act(
        {
            "action_type": "send_email",
            "description": "Invites to the review.",
            "parameters": {
                "to": [state["user_request"]],
                "subject": "Quarterly review",
                "body": "Hello,\n\nplease join us on Friday.\n",
            },
        }
    )
    return {"final_result": f"{receipt['status']}: {receipt['summary']}"}


graph = StateGraph(State)
graph.add_node("invite", invite)
graph.add_edge(START, "invite")
graph.add_edge("invite", END)
