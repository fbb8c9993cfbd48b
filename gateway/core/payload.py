"""Interrupt payloads of the schemas we know: what they ask, and how each wants to be answered.

A payload that is not in the table is `Unknown`: it is shown to the operator and never answered by guess.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.core.policy import Risk

APPROVAL_REQUEST = "approval_request"
EFFECT_REQUEST = "gateway.effect"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """One action as the graph words it, before it is prepared. `risk` is the model's opinion, only that."""

    type: str
    parameters: Mapping[str, Any]
    description: str = ""
    risk: Risk = Risk.HIGH


@dataclass(frozen=True, slots=True)
class Question:
    """A graph asks people to decide on `proposals`."""

    dialect: str
    proposals: tuple[Proposal, ...]


@dataclass(frozen=True, slots=True)
class EffectRequest:
    """A graph asks for an approved action to be carried out."""

    approval: str
    digest: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """No schema that we know; `why` says what was missing."""

    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What people decided, in the gateway's own terms; each dialect words it its own way."""

    approved: bool
    approval: str = ""
    digest: str = ""
    feedback: str = ""
    modified_parameters: Mapping[str, Any] | None = None


def read(value: Any) -> Question | EffectRequest | Unknown:
    """Recognise the payload of a pending interrupt; never raises, whatever a graph puts there."""
    if not isinstance(value, Mapping):
        return Unknown("the payload is not an object")
    reader = _READERS.get(str(value.get("type")))
    if reader is None:
        return Unknown(f"no known schema has the type {value.get('type')!r}")
    return reader(value)


def resume_value(dialect: str, decision: Decision) -> Any:
    """Word a decision as the asking schema wants it: plain JSON that its node accepts."""
    return _ANSWERS[dialect](decision)


def refusal(dialect: str, reason: str) -> Any:
    """Word a refusal that no person made, such as an action that cannot be carried out."""
    return resume_value(dialect, Decision(approved=False, feedback=reason))


def _read_approval_request(value: Mapping[str, Any]) -> Question | Unknown:
    action = value.get("action")
    if not isinstance(action, Mapping):
        return Unknown("approval_request has no action")
    kind, parameters = action.get("action_type"), action.get("parameters")
    if not isinstance(kind, str) or not isinstance(parameters, Mapping):
        return Unknown("approval_request's action needs action_type and parameters")
    proposal = Proposal(
        type=kind,
        parameters=parameters,
        description=str(action.get("description") or ""),
        risk=_risk(action.get("risk_level")),
    )
    return Question(APPROVAL_REQUEST, (proposal,))


def _read_effect_request(value: Mapping[str, Any]) -> EffectRequest | Unknown:
    approval, digest = value.get("approval"), value.get("digest")
    if not isinstance(approval, str) or not isinstance(digest, str):
        return Unknown("gateway.effect needs approval and digest")
    return EffectRequest(approval, digest)


def _answer_approval_request(decision: Decision) -> dict[str, Any]:
    word = (
        "rejected"
        if not decision.approved
        else "approved"
        if decision.modified_parameters is None
        else "modified"
    )
    return {
        "decision": word,
        "feedback": decision.feedback,
        "modified_parameters": decision.modified_parameters,
        "approval": decision.approval,
        "digest": decision.digest,
    }


def _risk(word: Any) -> Risk:
    """Take the model's word where it is one; anything else is the gravest."""
    return Risk(word) if isinstance(word, str) and word in set(Risk) else Risk.HIGH


_READERS: Mapping[str, Callable[[Mapping[str, Any]], Question | EffectRequest | Unknown]] = {
    APPROVAL_REQUEST: _read_approval_request,
    EFFECT_REQUEST: _read_effect_request,
}
_ANSWERS: Mapping[str, Callable[[Decision], Any]] = {
    APPROVAL_REQUEST: _answer_approval_request,
}
