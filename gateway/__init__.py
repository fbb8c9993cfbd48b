"""Email-driven approval gateway for LangGraph agents."""

import os

# Before anything imports LangGraph: its default deserialiser runs code named in a crafted checkpoint row.
os.environ["LANGGRAPH_STRICT_MSGPACK"] = "true"

__version__ = "0.1.0"
