"""The planner before a real server and a real model, so small that it plans badly: what the gate is for.

What it proposes is not asserted, only that every request ends before its deadline in a proposal that can be
digested, in a refusal to propose, or in a named reason.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from time import perf_counter

import pytest
import pytest_asyncio

from gateway.agent import Declined, Method, Planner, PlannerError, Proposed, openai_planner
from gateway.core.action import Action, digest

pytestmark = [pytest.mark.llm, pytest.mark.timeout(300), pytest.mark.asyncio(loop_scope="module")]
SERVER = Path(__file__).parent / "small_server.py"
DEADLINE_SECONDS = 60.0
GRACE_SECONDS = 5.0
REASONS = {"timeout", "truncated", "bad-response", "too-long", "server-error", "bad-request"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def base_url() -> AsyncIterator[str]:
    server = await asyncio.create_subprocess_exec(
        sys.executable, SERVER, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    assert server.stdout is not None
    yield (await server.stdout.readline()).decode().strip()
    server.terminate()
    await server.wait()


@pytest.mark.parametrize(
    ("method", "request_text"),
    [
        ("json_schema", "Send an email to team@example.com about the Q1 report"),
        ("json_schema", "Delete the order 17 from the table orders"),
        ("function_calling", "Write the meeting notes to notes/monday.txt: we ship on Friday"),
    ],
)
async def test_a_small_models_answer_is_a_proposal_or_a_named_reason(
    base_url: str, request_text: str, method: Method
) -> None:
    """Whatever a real model says ends in an action with a digest, a refusal, or one of the known reasons."""
    started = perf_counter()
    outcome = await _outcome(
        openai_planner("smollm2", base_url, None, DEADLINE_SECONDS, method), request_text
    )
    match outcome:
        case Proposed():
            assert digest(Action(outcome.action_type, dict(outcome.parameters)))
        case PlannerError():
            assert outcome.reason in REASONS, outcome
    assert perf_counter() - started < DEADLINE_SECONDS + GRACE_SECONDS


async def test_a_deadline_holds_while_the_model_still_thinks(base_url: str) -> None:
    """The outer deadline cuts a request off, and the server goes on serving."""
    with pytest.raises(PlannerError) as caught:
        await openai_planner("smollm2", base_url, None, 0.05)("Send an email to team@example.com")
    assert caught.value.reason == "timeout"


async def _outcome(planner: Planner, request_text: str) -> Proposed | Declined | PlannerError:
    try:
        return await planner(request_text)
    except PlannerError as error:
        return error
