# ruff: noqa: INP001  examples are files to copy, not a package
"""A LangChain agent whose tool calls are reviewed: nothing in it knows of the gateway.

    [graphs.refunds]
    path = "langchain_agent:graph"

The model is a stand-in that understands "refund ORDER CENTS" and needs no key; put your own in its place.
"""

import re
from collections.abc import Sequence
from typing import Any

from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.tools import tool


@tool
def refund(order: str, cents: int) -> str:
    """Pay money back to whoever ordered."""
    return f"refunded {cents} cents for order {order}"


class StandIn(BaseChatModel):
    """Calls `refund` for each "refund ORDER CENTS" that it is asked for, and then says what came of it."""

    @property
    def _llm_type(self) -> str:
        return "stand-in"

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Runnable[Any, AIMessage]:  # noqa: ARG002
        """Take the tools as known."""
        return self

    def _generate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        results = [str(each.content) for each in messages if isinstance(each, ToolMessage)]
        wanted = re.findall(r"refund (\w+) (\d+)", str(messages[0].content))
        calls = [
            {"name": "refund", "args": {"order": order, "cents": int(cents)}, "id": f"call-{n}"}
            for n, (order, cents) in enumerate(wanted)
        ]
        said = AIMessage("; ".join(results)) if results else AIMessage("", tool_calls=calls)
        return ChatResult(generations=[ChatGeneration(message=said)])


graph = create_agent(
    StandIn(),
    [refund],
    middleware=[HumanInTheLoopMiddleware(interrupt_on={"refund": True})],
)
