"""What a node of any graph calls to have an action approved by people and carried out by the gateway."""

from collections.abc import Mapping
from typing import Any

from langgraph.types import interrupt

from gateway.core.payload import ACT


def act(action: Mapping[str, Any]) -> dict[str, Any]:
    """Have an action done, and return what really happened; for nodes of graphs that the gateway runs.

    It is one interrupt: the node stops here, people are asked, the gateway does exactly what they approved,
    at most once, and the node runs again from its beginning up to this call, which then returns. So nothing
    above the call may have an effect.

    Args:
        action: `action_type` is a kind of action that the gateway can do, such as `send_email`, `parameters`
            what that kind takes; `description` says why, and `risk_level` may only raise the risk.

    Returns:
        The receipt: `status` is done, failed or refused, `summary` says it in a sentence, and `detail` holds
        the evidence. Rejected, expired and withdrawn actions are refused, with the reason as summary.
    """
    given = {name: action.get(name) for name in ("action_type", "parameters", "description", "risk_level")}
    # What does not say a risk leaves it to the gateway's own assessment.
    asked = {**given, "risk_level": given["risk_level"] or "low"}
    receipt: dict[str, Any] = interrupt({"type": ACT, "action": asked})
    return receipt
