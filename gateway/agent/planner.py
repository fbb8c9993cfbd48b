"""What a planner is: it turns a request into one proposed action, or says why not."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

Method = Literal["json_schema", "function_calling"]
"""How a server is asked for structured output; servers disagree on which one they do well."""


@dataclass(frozen=True, slots=True)
class Proposed:
    """One action for people to decide on; `parameters` is plain JSON, `risk_level` the planner's opinion."""

    action_type: str
    description: str
    parameters: Mapping[str, Any]
    risk_level: str


@dataclass(frozen=True, slots=True)
class Declined:
    """The planner worked and proposes nothing; `reason` is a sentence for the requester."""

    reason: str


class PlannerError(Exception):
    """The planner did not work, so nothing is proposed.

    Attributes:
        reason: one word for logs and metrics: timeout, unreachable, rate-limited, unauthorized,
            server-error, bad-request, too-long, refused, truncated or bad-response.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Planner(Protocol):
    """Makes of a request the action that would fulfil it."""

    async def __call__(self, request: str) -> Proposed | Declined:
        """Propose one action, without any effect of its own.

        Raises:
            PlannerError: there was no usable answer.
        """


def openai_planner(
    model: str, base_url: str, api_key: str | None, timeout: float, method: Method = "json_schema"
) -> Planner:
    """Ask a model behind an OpenAI-compatible API; `timeout` bounds a whole request, retries included.

    Without an `api_key` none is sent that means anything: the environment's is for another server.
    """
    from gateway.agent.model import ModelPlanner  # noqa: PLC0415  takes a second to import

    return ModelPlanner(model=model, base_url=base_url, api_key=api_key, timeout=timeout, method=method)
