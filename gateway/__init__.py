"""Email-driven approval gateway for LangGraph agents."""

import os
from typing import Any

# Before anything imports LangGraph: its default deserialiser runs code named in a crafted checkpoint row.
os.environ["LANGGRAPH_STRICT_MSGPACK"] = "true"

__version__ = "0.1.0"

__all__ = ["__version__", "act"]


def __getattr__(name: str) -> Any:
    """Import what graphs use when they use it: commands that only look do without LangGraph."""
    if name == "act":
        from gateway.agent.act import act  # noqa: PLC0415

        return act
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
