"""A planner that asks a language model, for one structured answer within one deadline.

Whatever the server or the libraries do, a call ends in a proposal, a refusal to propose, or a `PlannerError`.
"""

import asyncio

import openai
import rfc8785
from langchain_core.exceptions import ContextOverflowError
from langchain_openai import ChatOpenAI
from langchain_openai.chat_models.base import OpenAIRefusalError
from pydantic import SecretStr

from gateway.agent.planner import Declined, Method, PlannerError, Proposed
from gateway.agent.schema import NoAction, Plan

_MAX_TOKENS = 4096
_RETRIES = 1
_INSTRUCTIONS = """\
You plan one action for an approval gateway. People decide on it before anything is done.
Choose the one action that fulfils the request, complete and exactly as it is to be carried out.
Use only addresses, names, paths and URLs that the request gives; invent none.
If no action fits, or something needed is missing, choose "none" and say in one sentence what is missing.
"""

# The first row that fits is the reason.
_REASONS: tuple[tuple[type[Exception], str], ...] = (
    (TimeoutError, "timeout"),
    (openai.APITimeoutError, "timeout"),
    (openai.APIConnectionError, "unreachable"),
    (openai.RateLimitError, "rate-limited"),
    (openai.AuthenticationError, "unauthorized"),
    (openai.PermissionDeniedError, "unauthorized"),
    (openai.InternalServerError, "server-error"),
    (ContextOverflowError, "too-long"),
    (openai.APIStatusError, "bad-request"),
    (openai.ContentFilterFinishReasonError, "refused"),
    (OpenAIRefusalError, "refused"),
    (openai.LengthFinishReasonError, "truncated"),
)


class ModelPlanner:
    """Asks a model behind an OpenAI-compatible API; see `openai_planner`."""

    def __init__(
        self, *, model: str, base_url: str, api_key: str | None, timeout: float, method: Method
    ) -> None:
        self._model = model
        self._base_url = base_url
        self._key = SecretStr(api_key or "none")
        self._timeout = timeout
        self._method = method

    async def __call__(self, request: str) -> Proposed | Declined:
        """Ask once; a temporary failure is tried again within the same deadline.

        Raises:
            PlannerError: there was no usable answer; its `reason` says why.
        """
        try:
            async with asyncio.timeout(self._timeout):
                return _understood(await self._ask(request))
        except Exception as error:
            reason = next((word for kind, word in _REASONS if isinstance(error, kind)), "bad-response")
            raise PlannerError(reason, _explained(reason, error)) from error

    async def _ask(self, request: str) -> object:
        # Requests are rare: a connection kept open would mostly be found cut by the next one.
        async with openai.DefaultAsyncHttpxClient() as http:
            chat = ChatOpenAI(
                model=self._model,
                base_url=self._base_url,
                api_key=self._key,
                timeout=self._timeout,
                max_retries=_RETRIES,
                max_completion_tokens=_MAX_TOKENS,
                http_async_client=http,
            )
            ask = chat.with_structured_output(Plan, method=self._method, strict=True)
            return await ask.ainvoke([("system", _INSTRUCTIONS), ("human", request)])


def _understood(answer: object) -> Proposed | Declined:
    if not isinstance(answer, Plan):
        raise TypeError(f"the model answered with {type(answer).__name__} and not with a plan")
    if isinstance(answer.action, NoAction):
        return Declined(answer.action.reason)
    parameters = answer.action.parameters()
    # What has no canonical JSON has no digest, so nobody could approve it.
    rfc8785.dumps(parameters)
    return Proposed(answer.action.action_type, answer.description, parameters, answer.risk_level)


def _explained(reason: str, error: Exception) -> str:
    return f"the planner's model gave no usable answer ({reason}): {type(error).__name__}: {error}"[:500]
