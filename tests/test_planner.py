"""Planners propose one action or say why not; whatever a model's server does ends in a named reason."""

import asyncio
import json
import subprocess
import sys
from typing import Any

import pytest
from openai.lib._pydantic import to_strict_json_schema

from gateway.agent import Declined, Method, PlannerError, Proposed, offline_planner, openai_planner
from gateway.agent.offline import UNDERSTOOD
from gateway.agent.schema import Plan
from servers.llm import Model, Reply, completion, model, refusal, tool_call

EMAIL = {
    "action_type": "send_email",
    "to": ["team@example.com"],
    "cc": [],
    "subject": "Q1 report",
    "body": "Dear team,\n\nhere it is.\n",
}


def plan(action: dict[str, Any], **changes: Any) -> str:
    return json.dumps({"description": "Sends the report.", "risk_level": "low", "action": action} | changes)


async def ask(server: Model, *, deadline: float = 20, method: Method = "json_schema") -> Proposed | Declined:
    planner = openai_planner("m", server.base_url, "secret", deadline, method)
    return await planner("Send the Q1 report to the team")


async def failure(*script: Reply, deadline: float = 20, method: Method = "json_schema") -> str:
    async with model(*script) as server:
        with pytest.raises(PlannerError) as caught:
            await ask(server, deadline=deadline, method=method)
    return caught.value.reason


# --- offline -----------------------------------------------------------------------------------------------


async def offline(request: str) -> dict[str, Any]:
    outcome = await offline_planner()(request)
    assert isinstance(outcome, Proposed), outcome
    assert (outcome.action_type, outcome.risk_level) == ("send_email", "low")
    return dict(outcome.parameters)


async def test_the_sentence_of_the_tutorial_becomes_a_mail() -> None:
    """Recipients, subject and a short text come from the sentence, and nothing is invented besides."""
    assert await offline("Send an email to team@example.com about the Q1 report") == {
        "to": ["team@example.com"],
        "cc": [],
        "subject": "Q1 report",
        "body": "Hello,\n\nI am writing about the Q1 report.\n\nKind regards\n",
    }


@pytest.mark.parametrize(
    ("request_text", "expected"),
    [
        (
            "please send email to a@example.com, b@example.com about lunch.",
            ["a@example.com", "b@example.com"],
        ),
        ("Email a@example.com and b@example.com about lunch", ["a@example.com", "b@example.com"]),
        ("Write a mail to a@example.com; a@example.com regarding lunch", ["a@example.com"]),
        ("send an e-mail to o.p+q@mail.example.com cc c@example.com about lunch", ["o.p+q@mail.example.com"]),
    ],
)
async def test_recipients_are_read_in_the_usual_spellings(request_text: str, expected: list[str]) -> None:
    """Lists with commas, semicolons and 'and' name every recipient once."""
    mail = await offline(request_text)
    assert mail["to"] == expected
    assert mail["subject"] == "Lunch"


async def test_a_mail_may_name_its_copy() -> None:
    """What follows 'cc' goes there and not to the recipients."""
    mail = await offline("Send an email to a@example.com, cc c@example.com about lunch")
    assert (mail["to"], mail["cc"]) == (["a@example.com"], ["c@example.com"])


@pytest.mark.parametrize(
    ("request_text", "subject", "body"),
    [
        ("email a@example.com saying We meet at noon.", "We meet at noon", "We meet at noon.\n"),
        ('email a@example.com with the subject "Lunch" saying "At noon."', "Lunch", "At noon.\n"),
        ("email a@example.com subject: Lunch saying: At noon.\nOr later.", "Lunch", "At noon.\nOr later.\n"),
        ("email a@example.com about the lunch saying At noon", "Lunch", "At noon\n"),
        (
            "email a@example.com subject Lunch",
            "Lunch",
            "Hello,\n\nI am writing about Lunch.\n\nKind regards\n",
        ),
    ],
)
async def test_words_that_are_given_are_used_as_they_are(request_text: str, subject: str, body: str) -> None:
    """A given subject or text is taken literally."""
    mail = await offline(request_text)
    assert (mail["subject"], mail["body"]) == (subject, body)


@pytest.mark.parametrize(
    "request_text",
    [
        "",
        "Write the meeting notes to a file",
        "Call the weather API",
        "Delete all users",
        "Send an email to Alice about lunch",
        "Send an email to a@example.com",
        "Send an email to a@example.com saying .",
        "Send an email to a@example.com about lunch. Then delete all users",
        "Send an email to a@example.com about lunch\nand delete all users",
        "Send an email to a@example.com about " + "x" * 5000,
    ],
)
async def test_what_is_not_understood_is_declined(request_text: str) -> None:
    """The offline planner proposes nothing by guess and says what it understands."""
    assert await offline_planner()(request_text) == Declined(UNDERSTOOD)


# --- with a model ------------------------------------------------------------------------------------------


async def test_a_valid_answer_becomes_a_proposal() -> None:
    """The model's answer arrives as plain parameters, and the server got the key and a strict schema."""
    async with model(completion(plan(EMAIL))) as server:
        proposed = await ask(server)
    expected = {name: value for name, value in EMAIL.items() if name != "action_type"}
    assert proposed == Proposed("send_email", "Sends the report.", expected, "low")
    (asked,) = server.asked
    assert server.keys == ["secret"]
    assert asked["response_format"]["json_schema"]["strict"] is True
    assert asked["max_completion_tokens"] > 0


async def test_function_calling_is_the_other_way_to_ask() -> None:
    """A server that knows tools but no response format serves as well."""
    async with model(tool_call("Plan", plan(EMAIL))) as server:
        proposed = await ask(server, method="function_calling")
    assert isinstance(proposed, Proposed)
    assert proposed.parameters["to"] == ["team@example.com"]


@pytest.mark.parametrize(
    ("action", "parameters"),
    [
        (
            {"action_type": "write_file", "path": "notes.txt", "content": "hi"},
            {"path": "notes.txt", "content": "hi"},
        ),
        (
            {
                "action_type": "api_call",
                "method": "POST",
                "url": "https://example.com/",
                "body_json": '{"a": 1}',
            },
            {"method": "POST", "url": "https://example.com/", "body": {"a": 1}},
        ),
        (
            {"action_type": "api_call", "method": "GET", "url": "https://example.com/", "body_json": ""},
            {"method": "GET", "url": "https://example.com/", "body": None},
        ),
        (
            {
                "action_type": "database_write",
                "operation": "update",
                "table": "users",
                "values": [{"name": "active", "value": False}],
                "where": [{"name": "name", "value": "Bob"}],
            },
            {
                "operation": "update",
                "table": "users",
                "values": {"active": False},
                "where": {"name": "Bob"},
            },
        ),
    ],
)
async def test_every_kind_of_action_is_handed_on_as_plain_parameters(
    action: dict[str, Any], parameters: dict[str, Any]
) -> None:
    """JSON text and name/value pairs, which strict servers need, become what they stand for."""
    async with model(completion(plan(action))) as server:
        proposed = await ask(server)
    assert isinstance(proposed, Proposed)
    assert (proposed.action_type, proposed.parameters) == (action["action_type"], parameters)


async def test_a_model_may_decline() -> None:
    """'none' with its reason is an answer, not a failure."""
    async with model(completion(plan({"action_type": "none", "reason": "No address is given."}))) as server:
        assert await ask(server) == Declined("No address is given.")


@pytest.mark.parametrize(
    ("status", "code", "reason", "attempts"),
    [
        (401, "invalid_api_key", "unauthorized", 1),
        (403, "permission_denied", "unauthorized", 1),
        (404, "model_not_found", "bad-request", 1),
        (400, "context_length_exceeded", "too-long", 1),
        (400, "invalid_request_error", "bad-request", 1),
        (429, "rate_limit_exceeded", "rate-limited", 2),
        (500, "server_error", "server-error", 2),
    ],
)
async def test_an_http_error_has_a_reason(status: int, code: str, reason: str, attempts: int) -> None:
    """Temporary errors are tried once more, final ones are not, and each has its own word."""
    async with model(refusal(status, code)) as server:
        with pytest.raises(PlannerError) as caught:
            await ask(server)
    assert caught.value.reason == reason
    assert len(server.asked) == attempts


async def test_a_temporary_error_is_got_over() -> None:
    """The second attempt's answer counts."""
    async with model(refusal(500, "server_error"), completion(plan(EMAIL))) as server:
        assert isinstance(await ask(server), Proposed)


async def test_a_server_that_never_comes_to_an_end_meets_the_deadline() -> None:
    """F26: the deadline bounds the whole request, however often something arrives."""
    assert await failure(Reply(None), deadline=0.2) == "timeout"


async def test_a_server_that_is_not_there_is_unreachable() -> None:
    """A refused connection is told apart from a slow one."""
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    with pytest.raises(PlannerError) as caught:
        await openai_planner("m", f"http://127.0.0.1:{port}/v1", None, 20)("anything")
    assert caught.value.reason == "unreachable"


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (completion(None, refusal="I cannot help with that."), "refused"),
        (completion("", finish="content_filter"), "refused"),
        (completion(plan(EMAIL)[:60], finish="length"), "truncated"),
        (completion(plan(EMAIL)[:60]), "bad-response"),
        (completion("Sure! I will send it."), "bad-response"),
        (completion(None), "bad-response"),
        (completion(plan(EMAIL | {"bcc": ["eve@example.com"]})), "bad-response"),
        (completion(plan(EMAIL | {"to": "team@example.com"})), "bad-response"),
        (completion(plan(EMAIL, risk_level="none at all")), "bad-response"),
        (completion(plan({"action_type": "launch_rocket"})), "bad-response"),
        (
            completion(
                plan(
                    {
                        "action_type": "api_call",
                        "method": "POST",
                        "url": "https://example.com/",
                        "body_json": "{",
                    }
                )
            ),
            "bad-response",
        ),
        (
            completion(
                plan(
                    {
                        "action_type": "database_write",
                        "operation": "delete",
                        "table": "users",
                        "values": [],
                        "where": [{"name": "id", "value": "1"}, {"name": "id", "value": "2"}],
                    }
                )
            ),
            "bad-response",
        ),
        (
            completion(
                plan(
                    {
                        "action_type": "api_call",
                        "method": "POST",
                        "url": "https://example.com/",
                        "body_json": "[1e400]",
                    }
                )
            ),
            "bad-response",
        ),
        (Reply({"choices": []}), "bad-response"),
        (Reply({}), "bad-response"),
    ],
)
async def test_an_answer_that_is_no_plan_is_never_an_action(reply: Reply, reason: str) -> None:
    """Refusals, cut answers, extra fields and wrong types end with a reason, never repaired into a plan."""
    assert await failure(reply) == reason


@pytest.mark.parametrize(
    "reply",
    [completion("I will."), tool_call("Plan", plan(EMAIL)[:60], finish="length"), tool_call("Plan", "{}")],
)
async def test_a_function_call_that_is_no_plan_is_never_an_action(reply: Reply) -> None:
    """No call, a cut one and an empty one are bad responses too."""
    assert await failure(reply, method="function_calling") == "bad-response"


def test_the_schema_is_one_that_strict_servers_accept() -> None:
    """Every object is closed with all fields required, and a choice is an anyOf."""
    schema = to_strict_json_schema(Plan)
    assert "oneOf" not in json.dumps(schema)
    assert len(schema["properties"]["action"]["anyOf"]) == 5
    for each in (schema, *schema["$defs"].values()):
        assert each["additionalProperties"] is False
        assert sorted(each["required"]) == sorted(each["properties"])


def test_the_model_library_is_loaded_only_when_it_is_used() -> None:
    """Importing the agent leaves the slow library alone."""
    code = "import sys, gateway.agent; sys.exit('langchain_openai' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
