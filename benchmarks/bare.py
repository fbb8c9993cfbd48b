"""The floor: the built-in graph's shape on LangGraph alone, which sends the mail in its node.

`python -m benchmarks.bare DIRECTORY SMTP_PORT`. It writes no letters, keeps no record of who decided, and has
nothing but the checkpoints to survive a crash with.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiosmtplib import SMTP
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import Command, interrupt

from benchmarks.subject import GATEWAY, request, serve
from gateway.actions import send_email
from gateway.agent import Proposed, ProposedAction, Request, State, offline_planner
from gateway.core.action import Action

Send = Callable[[str], Awaitable[str]]


def build(send: Send) -> StateGraph[State, None, Request, State]:
    """Make the graph; `send` gets the recipient and returns the server's answer."""
    planner = offline_planner()

    async def plan(state: State) -> State:
        proposed = await planner(state["user_request"])
        assert isinstance(proposed, Proposed)
        action: ProposedAction = {
            "action_type": proposed.action_type,
            "description": proposed.description,
            "parameters": dict(proposed.parameters),
            "risk_level": proposed.risk_level,
        }
        return {"proposed_action": action, "approval_status": "pending"}

    async def ask(state: State) -> State:
        answer = interrupt({"type": "approval_request", "action": state["proposed_action"]})
        return {"approval_status": answer["decision"], "human_feedback": answer["feedback"]}

    async def execute(state: State) -> State:
        (to,) = state["proposed_action"]["parameters"]["to"]
        return {"receipt": {"status": "done", "summary": f"Email sent to {to}", "answer": await send(to)}}

    async def respond(state: State) -> State:
        return {"final_result": state["receipt"]["summary"]}

    graph = StateGraph(State, input_schema=Request)
    graph.add_node("planner", plan)
    graph.add_node("approval_gate", ask)
    graph.add_node("executor", execute)
    graph.add_node("responder", respond)
    graph.add_edge(START, "planner")
    graph.add_edge("planner", "approval_gate")
    graph.add_edge("approval_gate", "executor")
    graph.add_edge("executor", "responder")
    graph.add_edge("responder", END)
    return graph


class Bare:
    """Drives the graph with full durability at every step."""

    def __init__(self, graph: CompiledStateGraph[State, None, Request, State]) -> None:
        self._graph = graph
        self._pending: dict[str, str] = {}

    async def start(self, key: str) -> None:
        stopped = await self._run({"user_request": request(key)}, key)
        (question,) = stopped.interrupts
        self._pending[key] = question.id

    async def approve(self, key: str) -> None:
        answer = {"decision": "approved", "feedback": ""}
        await self._run(Command(resume={self._pending.pop(key): answer}), key)

    async def settle(self) -> None:
        """Do nothing: each command returns when all of it is done."""

    async def _run(self, step: Any, key: str) -> Any:
        config: Any = {"configurable": {"thread_id": key}}
        return await self._graph.ainvoke(step, config, durability="sync", version="v2")


def _mail() -> bytes:
    """Build the mail that the gateway sends, once; only the recipient differs from approval to approval."""
    parameters = {
        "from": GATEWAY,
        "to": ["RECIPIENT@example.com"],
        "cc": [],
        "subject": "Q1 report",
        "body": "Hello,\n\nI am writing about the Q1 report.\n\nKind regards\n",
        "envelope_from": GATEWAY,
    }
    return send_email.build(Action(send_email.NAME, parameters), "<RECIPIENT@example.com>", datetime.now(UTC))


async def main(place: Path, smtp_port: int) -> None:
    """Serve commands over the stock saver and one SMTP connection."""
    mail = _mail()
    smtp = SMTP(hostname="127.0.0.1", port=smtp_port, start_tls=False)

    async def send(to: str) -> str:
        octets = mail.replace(b"RECIPIENT@example.com", to.encode())
        return (await smtp.sendmail(GATEWAY, [to], octets))[1]

    async with AsyncSqliteSaver.from_conn_string(str(place / "checkpoints.sqlite3")) as saver, smtp:
        await saver.setup()
        await saver.conn.execute("PRAGMA synchronous=FULL")
        await serve(Bare(build(send).compile(checkpointer=saver)), [])


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
