"""Interrupt payloads: what is recognised, how each is answered, and that nothing else is taken for it."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core import payload
from gateway.core.payload import (
    LONGEST,
    Decision,
    EffectRequest,
    Option,
    Proposal,
    Question,
    Terms,
    UnanswerableError,
    Unknown,
    answer,
    is_foreign,
    read,
    refusal,
)
from gateway.core.policy import Answers, Risk

ACTION = {"action_type": "send_email", "parameters": {"to": []}, "description": "d", "risk_level": "low"}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
PLAIN_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=3)
    ),
    max_leaves=6,
)
ARGS = st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), PLAIN_JSON, max_size=4)
ALL = ("approve", "edit", "reject", "respond")


def batch(*calls: tuple[str, Mapping[str, Any]], allowed: tuple[str, ...] = ALL) -> dict[str, Any]:
    return {
        "action_requests": [{"name": name, "args": args, "description": "why"} for name, args in calls],
        "review_configs": [{"action_name": name, "allowed_decisions": list(allowed)} for name, _ in calls],
    }


def inbox(action: str = "delete", args: Mapping[str, Any] = {}, **config: bool) -> dict[str, Any]:
    words = {"allow_accept": True, "allow_edit": True, "allow_respond": True, "allow_ignore": True}
    return {
        "action_request": {"action": action, "args": args},
        "config": words | config,
        "description": "why",
    }


def asked(value: Any, schema: Any = None, answers: Answers | None = None) -> Question:
    question = read(value, schema, answers, foreign=True)
    assert isinstance(question, Question), question
    return question


def said(question: Question, option: Option, message: str = "", **edits: Any) -> Any:
    """One option for every item, with the items' own parameters but for the edits."""
    decisions = [
        Decision(option=option, parameters={**each.parameters, **edits}, message=message)
        for each in question.proposals
    ]
    return answer(question.dialect, question.terms, decisions)


# --- our own ----------------------------------------------------------------------------------------------


def test_the_built_in_graphs_question_is_one_proposal() -> None:
    """Type, parameters, the agent's words and its own opinion of the risk."""
    proposal = Proposal(type="send_email", parameters={"to": []}, description="d", risk=Risk.LOW)
    assert read({"type": "approval_request", "action": ACTION}) == Question("approval_request", (proposal,))


@pytest.mark.parametrize("word", [[], {}, None, 7, "LOW", "none", True])
def test_a_risk_that_is_no_word_of_ours_is_the_gravest(word: Any) -> None:
    """An agent cannot make its action look harmless, or break the reader, by saying nonsense."""
    question = read({"type": "approval_request", "action": ACTION | {"risk_level": word}})
    assert isinstance(question, Question)
    assert question.proposals[0].risk is Risk.HIGH


def test_an_effect_is_asked_for_by_approval_and_digest() -> None:
    """Nothing else of the payload is looked at."""
    assert read({"type": "gateway.effect", "approval": "A", "digest": "d", "x": 1}) == EffectRequest("A", "d")
    assert isinstance(read({"type": "gateway.effect", "approval": "A"}), Unknown)


def test_each_decision_has_its_word() -> None:
    """Approved, modified with the parameters that were approved, or rejected with the reason."""

    def worded(option: Option, **more: Any) -> Any:
        return answer("approval_request", Terms(), [Decision(option=option, **more)])

    approved = worded(Option.APPROVE, approval="A", digest="d", parameters={"x": 0})
    assert (approved["decision"], approved["approval"], approved["digest"]) == ("approved", "A", "d")
    assert approved["modified_parameters"] is None
    edited = worded(Option.EDIT, parameters={"x": 1})
    assert (edited["decision"], edited["modified_parameters"]) == ("modified", {"x": 1})
    refused = refusal("approval_request", Terms(), "no such action")
    assert (refused["decision"], refused["feedback"]) == ("rejected", "no such action")


def test_a_foreign_graph_that_asks_in_our_words_still_acts_by_itself() -> None:
    """T27: the tutorial's question is answered in its words, and is never spendable here."""
    question = asked({"type": "approval_request", "action": ACTION})
    assert is_foreign(question.dialect)
    assert not is_foreign("approval_request")
    assert said(question, Option.APPROVE)["decision"] == "approved"


def test_an_action_that_is_handed_over_is_refused_by_a_receipt() -> None:
    """`act` gets what happened, and where nothing happened, why; granting it words no answer at all."""
    question = asked({"type": "gateway.act", "action": ACTION})
    assert not is_foreign(question.dialect)
    receipt = refusal(question.dialect, question.terms, "too late")
    assert receipt == {"status": "refused", "summary": "too late", "detail": {}}
    with pytest.raises(UnanswerableError):
        said(question, Option.APPROVE)


# --- LangChain --------------------------------------------------------------------------------------------


def test_a_batch_is_answered_by_position() -> None:
    """Two calls of one tool and one of another: a decision for each, in the order of the question."""
    question = asked(batch(("write", {"n": 1}), ("write", {"n": 2}), ("read", {})))
    assert [each.type for each in question.proposals] == ["write", "write", "read"]
    decisions = [
        Decision(option=Option.APPROVE),
        Decision(option=Option.EDIT, parameters={"n": 3}),
        Decision(option=Option.REJECT, message="no"),
    ]
    assert answer(question.dialect, question.terms, decisions) == {
        "decisions": [
            {"type": "approve"},
            {"type": "edit", "edited_action": {"name": "write", "args": {"n": 3}}},
            {"type": "reject", "message": "no"},
        ]
    }


def test_each_call_of_a_batch_has_its_own_config_by_position() -> None:
    """Two configs under one name are not taken for one another."""
    value = batch(("write", {}), ("write", {}))
    value["review_configs"][1]["allowed_decisions"] = ["reject"]
    assert asked(value).terms.allows == (tuple(Option), (Option.REJECT,))


@given(st.lists(st.tuples(st.text(), ARGS), min_size=1, max_size=4), st.integers(0, 6))
def test_a_wrong_count_of_decisions_is_never_produced(calls: list[Any], count: int) -> None:
    """A batch answered with another number of decisions would poison its thread for ever."""
    question = read(batch(*calls), foreign=True)
    if not isinstance(question, Question):
        return
    decisions = [Decision(option=Option.APPROVE)] * count
    try:
        value = answer(question.dialect, question.terms, decisions)
    except UnanswerableError:
        assert count != len(calls)
    else:
        assert len(value["decisions"]) == len(calls)


@given(ARGS, st.sampled_from(["batch", "inbox"]))
def test_types_survive_an_edit(args: dict[str, Any], dialect: str) -> None:
    """What was edited arrives as the JSON that it is, and so does everything beside it."""
    question = read(batch(("tool", args)) if dialect == "batch" else inbox("tool", args), foreign=True)
    assert isinstance(question, Question)
    value = said(question, Option.EDIT, added="7")
    edited = (
        value["decisions"][0]["edited_action"]["args"] if dialect == "batch" else value[0]["args"]["args"]
    )
    assert json.dumps(edited, sort_keys=True) == json.dumps({**args, "added": "7"}, sort_keys=True)


@pytest.mark.parametrize("option", list(Option))
def test_what_a_call_does_not_allow_is_not_said(option: Option) -> None:
    """A disallowed decision raises inside the middleware and poisons the thread, so it never gets there."""
    others = tuple(word for word in ALL if word != option.value)
    question = asked(batch(("write", {}), allowed=others))
    with pytest.raises(UnanswerableError, match=f"takes no {option}"):
        said(question, option, "why")


def test_what_cannot_be_refused_has_no_refusal() -> None:
    """Expiry and cancellation then park the thread instead of answering something else."""
    with pytest.raises(UnanswerableError):
        refusal(payload.HITL, asked(batch(("write", {}), allowed=("approve",))).terms, "expired")
    with pytest.raises(UnanswerableError):
        refusal(payload.HUMAN_INTERRUPT, asked(inbox(allow_ignore=False)).terms, "expired")


@pytest.mark.parametrize(
    "value",
    [
        {"action_requests": [], "review_configs": []},
        {"action_requests": [{"name": "x"}], "review_configs": [{"allowed_decisions": ["approve"]}]},
        {"action_requests": [{"name": "x", "args": {}}], "review_configs": []},
        {
            "action_requests": [{"name": "x", "args": {}}],
            "review_configs": [{"allowed_decisions": ["smile"]}],
        },
        {"action_requests": {}, "review_configs": {}},
        {"type": "tool_approval", "tool_call_id": "1", "name": "x", "args": {}},
        {"type": "mcp_elicitation", "requests": []},
        {"action_request": {"action": "x"}, "config": {"allow_accept": True}},
        {"action_request": {"action": "x", "args": {}}, "config": {}},
        [],
        [inbox(), "x"],
    ],
)
def test_what_is_half_of_a_known_schema_is_unknown(value: Any) -> None:
    """Nothing is made up for what is missing."""
    assert isinstance(read(value, foreign=True), Unknown)


# --- Agent Inbox ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("as_list", [False, True])
def test_an_agent_inbox_question_is_answered_with_a_list(as_list: bool) -> None:
    """accept and edit name action and args, a response is text, and ignore has nothing."""
    value = inbox("delete", {"id": 7})
    question = asked([value] if as_list else value)
    assert said(question, Option.APPROVE) == [
        {"type": "accept", "args": {"action": "delete", "args": {"id": 7}}}
    ]
    assert said(question, Option.EDIT, id=8) == [
        {"type": "edit", "args": {"action": "delete", "args": {"id": 8}}}
    ]
    assert said(question, Option.RESPOND, "wait") == [{"type": "response", "args": "wait"}]
    assert said(question, Option.REJECT, "no") == [{"type": "ignore", "args": None}]


def test_what_the_config_does_not_allow_is_not_offered() -> None:
    """Only a plain true allows."""
    assert asked(inbox(allow_edit=False, allow_respond=False)).terms.allows == (
        (Option.APPROVE, Option.REJECT),
    )


# --- schemas ----------------------------------------------------------------------------------------------

DECISION = {
    "type": "object",
    "properties": {"decision": {"enum": ["approve", "reject"]}, "comment": {"type": "string"}},
    "required": ["decision"],
    "additionalProperties": False,
}
SWITCH = {
    "type": "object",
    "properties": {"approved": {"type": "boolean"}, "reason": {"type": ["string", "null"]}},
    "required": ["approved"],
}
UNION = {
    "$defs": {
        "Yes": {"type": "object", "properties": {"kind": {"const": "accept"}}, "required": ["kind"]},
        "No": {
            "type": "object",
            "properties": {"kind": {"const": "deny"}, "why": {"type": "string"}},
            "required": ["kind", "why"],
        },
    },
    "oneOf": [{"$ref": "#/$defs/Yes"}, {"$ref": "#/$defs/No"}],
}


@pytest.mark.parametrize(
    ("schema", "approved", "rejected"),
    [
        (DECISION, {"decision": "approve"}, {"decision": "reject", "comment": "no"}),
        (SWITCH, {"approved": True}, {"approved": False}),
        (UNION, {"kind": "accept"}, {"kind": "deny", "why": "no"}),
        ({"type": "boolean"}, True, False),
        ({"enum": ["approve", "reject"]}, "approve", "reject"),
    ],
)
def test_a_schema_that_knows_yes_and_no_is_answered_in_its_words(
    schema: Any, approved: Any, rejected: Any
) -> None:
    """The decision, the comment where there is a place for it, and nothing that does not fit."""
    question = asked({"question": "Deploy?"}, schema)
    assert said(question, Option.APPROVE) == approved
    assert said(question, Option.REJECT, "no") == rejected


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string"},
        {"type": "object", "properties": {"answer": {"type": "string"}}, "required": ["answer"]},
    ],
)
def test_a_schema_for_a_text_takes_a_persons_own_words(schema: Any) -> None:
    """Nothing can be approved there, and nothing refused."""
    question = asked("Which city?", schema)
    assert question.terms.allows == ((Option.RESPOND,),)
    assert "Berlin" in str(said(question, Option.RESPOND, "Berlin"))


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "number"},
        {"enum": ["yes", "no"]},
        {"type": "object", "properties": {"purge": {"type": "boolean"}}},
        {"type": "object", "properties": {"approve": {"type": "boolean"}, "accept": {"type": "boolean"}}},
        {
            "type": "object",
            "properties": {"approved": {"type": "boolean"}, "amount": {"type": "number"}},
            "required": ["approved", "amount"],
        },
        {"$ref": "http://127.0.0.1:9/schema.json"},
        {"$ref": "#"},
        {"type": 7},
    ],
)
def test_a_schema_that_could_mean_several_things_is_unknown(schema: Any) -> None:
    """What approving would say there is nobody's guess, and no schema is fetched from anywhere."""
    assert isinstance(read("Go?", schema, foreign=True), Unknown)


def test_an_edit_that_the_schema_refuses_is_not_sent() -> None:
    """The question's own schema has the last word, before LangGraph has seen anything."""
    edit = {
        "type": "object",
        "properties": {
            "type": {"const": "edit"},
            "edited_action": {
                "type": "object",
                "properties": {
                    "name": {"const": "pay"},
                    "args": {"properties": {"sum": {"type": "integer"}}},
                },
            },
        },
        "required": ["type", "edited_action"],
    }
    value = {"type": "tool_approval", "tool_call_id": "1", "name": "pay", "args": {"sum": 1}}
    question = asked(value, edit)
    assert question.terms.allows == ((Option.EDIT,),)
    assert said(question, Option.EDIT, sum=2)["edited_action"]["args"] == {"sum": 2}
    with pytest.raises(UnanswerableError, match="is not of type 'integer'"):
        said(question, Option.EDIT, sum="2")


def test_an_elicitation_is_answered_under_its_keys() -> None:
    """A form that asks for a yes is accepted with it, an address is visited, and both can be declined."""
    requests = [
        {"key": "a", "message": "Sure?", "mode": "form", "requested_schema": SWITCH},
        {"key": "b", "message": "Sign in", "mode": "url", "url": "https://example.com"},
    ]
    question = asked({"type": "mcp_elicitation", "tool_name": "bank", "requests": requests})
    accepted = {"a": {"action": "accept", "content": {"approved": True}}, "b": {"action": "accept"}}
    assert said(question, Option.APPROVE) == {"responses": accepted}
    assert said(question, Option.REJECT)["responses"]["a"] == {"action": "decline"}


# --- whatever else ----------------------------------------------------------------------------------------


def test_an_unknown_payload_is_answered_only_as_the_configuration_says() -> None:
    """It is shown as it is, and approving and rejecting say what the operator wrote down."""
    assert isinstance(read({"deploy": "v2"}, foreign=True), Unknown)
    question = asked({"deploy": "v2"}, answers=Answers(approve="yes", reject=None))
    assert question.proposals[0].parameters == {"deploy": "v2"}
    assert said(question, Option.APPROVE) == "yes"
    assert refusal(question.dialect, question.terms, "expired") is None
    with pytest.raises(UnanswerableError):
        said(question, Option.RESPOND, "hello")


@given(JSON, JSON)
def test_whatever_a_graph_says_is_read_without_raising(value: Any, schema: Any) -> None:
    """T15: what is not in the table is unknown, with a sentence that says why."""
    shapes = (
        value,
        {"type": "approval_request", "action": value},
        {"type": value},
        {"type": "tool_approval", "tool_call_id": value, "name": "x", "args": {}},
        {"type": "mcp_elicitation", "requests": [value]},
        {"action_requests": [value], "review_configs": [value]},
        {"action_request": value, "config": value},
        [{"action_request": value}],
    )
    for each in shapes:
        for foreign in (True, False):
            found = read(each, schema, foreign=foreign)
            assert isinstance(found, Question) or (isinstance(found, Unknown) and found.why)


@given(PLAIN_JSON)
def test_whatever_a_schema_says_an_answer_to_it_fits(schema: Any) -> None:
    """An answer is worded or it is not; what is worded is valid under the schema that asked for it."""
    question = read("Go?", schema, foreign=True)
    if isinstance(question, Question):
        for option in question.terms.allows[0]:
            said(question, option, "why")


@pytest.mark.parametrize(
    "value", [{"x": object()}, {"x": float("nan")}, {1: 2}, {"x": "\ud800"}, 2**60, {1, 2}]
)
def test_what_is_no_plain_json_is_unknown(value: Any) -> None:
    """It has no digest, so nobody could say what was approved."""
    answers = Answers(approve=True, reject=False)
    assert isinstance(read(value, None, answers, foreign=True), Unknown)


def test_what_is_too_long_to_be_shown_is_unknown() -> None:
    """Nobody is asked about what they cannot be shown in full."""
    assert isinstance(read(batch(("write", {"text": "x" * LONGEST})), foreign=True), Unknown)


@pytest.mark.parametrize("key", ["reviewers", "to", "reply_to", "approver", "risk", "risk_level"])
def test_nothing_in_a_payload_says_who_decides(key: str) -> None:
    """T15: such keys are an action's parameters where they are that, and mean nothing elsewhere."""
    value = batch(("write", {key: "eve@example.com"})) | {key: "eve@example.com"}
    question = asked(value)
    assert question == asked(batch(("write", {key: "eve@example.com"})))
    assert question.proposals[0].risk is Risk.HIGH


# --- schemas of strangers -----------------------------------------------------------------------------------


def _doubling() -> dict[str, Any]:
    links = {f"a{n}": {"anyOf": [{"$ref": f"#/$defs/a{n + 1}"}] * 2} for n in range(40)}
    return {"$defs": {**links, "a40": {"type": "null"}}, "$ref": "#/$defs/a0"}


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "schema",
    [
        {"$defs": {"x": {"anyOf": [{"$ref": "#/$defs/x"}] * 60}}, "$ref": "#/$defs/x"},
        _doubling(),
        {"type": "object", "properties": {"approve": {"type": "boolean"}}, "allOf": [{"$ref": "#"}]},
        {
            "type": "object",
            "properties": {"approve": {"type": "boolean"}},
            "patternProperties": {"^(a+)+$": {}},
        },
        {"type": "object", "properties": {"text": {"type": "string", "pattern": "^([a-z ]+)+$"}}},
        {"type": "object", "properties": {"approve": {"type": "array", "uniqueItems": True}}},
        {"enum": ["approve"], "if": {}},
    ],
)
def test_a_schema_that_could_take_for_ever_is_not_used(schema: dict[str, Any]) -> None:
    """A third party's schema neither stops the daemon nor gets an answer."""
    assert isinstance(read({"question": "May I?"}, schema, foreign=True), Unknown)
    form = {"key": "k", "message": "m", "requested_schema": schema}
    asked = read({"type": "mcp_elicitation", "tool_name": "x", "requests": [form]}, foreign=True)
    assert isinstance(asked, Question)
    assert asked.terms.allows == ((Option.REJECT,),)


def test_an_answer_holds_nothing_that_nobody_was_shown() -> None:
    """T16: a value that the schema would fill in by itself is in no letter, so it is in no answer either."""
    recipient = {
        "type": "string",
        "enum": ["evil@example.net", "a@example.com"],
        "default": "evil@example.net",
    }
    properties = {"approve": {"type": "boolean"}, "recipient": recipient}
    schema = {"type": "object", "properties": properties, "required": ["approve", "recipient"]}
    assert isinstance(read({"question": "Send the summary?"}, schema, foreign=True), Unknown)
