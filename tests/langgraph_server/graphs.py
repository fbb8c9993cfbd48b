"""Graphs as somebody else serves them: they write to the file LEDGER what they really do."""

import os
import time
from pathlib import Path
from typing import Any, TypedDict

from langgraph.graph import END, START, StateGraph
from langgraph.types import interrupt

ALLOWED = {"allow_accept": True, "allow_ignore": True, "allow_edit": False, "allow_respond": False}


class State(TypedDict, total=False):
    """What is wanted, how slowly it is done, and what people said."""

    user_request: str
    seconds: float
    breaks: bool
    answers: list[Any]
    final_result: str


def _ask(action: str, request: str | None) -> Any:
    asked = {"action_request": {"action": action, "args": {"what": request or ""}}, "config": ALLOWED}
    return interrupt([asked])[0]


def gate(state: State) -> State:
    """Ask once."""
    return {"answers": [_ask("deploy", state.get("user_request"))]}


def twice(state: State) -> State:
    """Ask twice in one node, which is where an answer can reach the wrong question."""
    return {"answers": [_ask(action, state.get("user_request")) for action in ("deploy", "announce")]}


def work(state: State) -> State:
    """Do what was accepted, and write it down."""
    time.sleep(state.get("seconds") or 0)
    if state.get("breaks"):
        raise RuntimeError("the node broke")
    done = ", ".join(answer["type"] for answer in state["answers"])
    with Path(os.environ["LEDGER"]).open("a", encoding="utf-8") as ledger:
        ledger.write(f"{done}: {state.get('user_request')}\n")
    return {"final_result": f"done: {done}"}


def hand_over(state: State) -> State:
    """Leave a mail to the gateway, as `gateway.act` does, and tell what came of it."""
    mail = {"to": ["team@example.com"], "subject": "Shipped", "body": "It is out.\n"}
    receipt = interrupt({"type": "gateway.act", "action": {"action_type": "send_email", "parameters": mail}})
    return {"answers": [{"type": receipt["status"]}]}


def _built(asking: Any) -> Any:
    builder = StateGraph(State)
    builder.add_node("gate", asking)
    builder.add_node("work", work)
    builder.add_edge(START, "gate")
    builder.add_edge("gate", "work")
    builder.add_edge("work", END)
    return builder.compile()


agent = _built(gate)
asks_twice = _built(twice)
hands_over = _built(hand_over)
