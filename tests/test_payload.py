"""Interrupt payloads: what is recognised, and that whatever else a graph says is never taken for it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.payload import (
    Decision,
    EffectRequest,
    Proposal,
    Question,
    Unknown,
    read,
    refusal,
    resume_value,
)
from gateway.core.policy import Risk

ACTION = {"action_type": "send_email", "parameters": {"to": []}, "description": "d", "risk_level": "low"}
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


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


@given(JSON)
def test_whatever_a_graph_says_is_read_without_raising(value: Any) -> None:
    """T15: what is not in the table is unknown, with a sentence that says why."""
    for payload in (value, {"type": "approval_request", "action": value}, {"type": value}):
        answer = read(payload)
        assert isinstance(answer, Question | Unknown)
        assert isinstance(answer, Question) or answer.why


def test_each_decision_has_its_word() -> None:
    """Approved, modified with the parameters that were approved, or rejected with the reason."""
    approved = resume_value("approval_request", Decision(approved=True, approval="A", digest="d"))
    edited = Decision(approved=True, approval="A", digest="d", modified_parameters={"x": 1})
    assert (approved["decision"], approved["approval"], approved["digest"]) == ("approved", "A", "d")
    assert resume_value("approval_request", edited)["decision"] == "modified"
    assert refusal("approval_request", "no such action")["decision"] == "rejected"
    assert refusal("approval_request", "no such action")["feedback"] == "no such action"
