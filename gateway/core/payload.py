"""Interrupt payloads of the schemas we know: what they ask, and how each wants to be answered.

A payload that is not in the table is `Unknown`: it is shown to the operator and never answered by guess.
An answer is worded for all of a question's items at once, in their order, and checked against the rules
of its schema before it leaves here: LangGraph keeps an answer that made a node raise, for ever.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

import rfc8785

from gateway.core import schema as schemas
from gateway.core.policy import Answers, Risk

APPROVAL_REQUEST = "approval_request"
EFFECT_REQUEST = "gateway.effect"
ACT = "gateway.act"
TUTORIAL = "approval_request.foreign"
"""The same question from a graph that is not ours: it does by itself what it asks about."""
BREAKPOINT = "gateway.breakpoint"
HITL = "langchain.batched"
TOOL_APPROVAL = "langchain.per_call"
ELICITATION = "langchain.mcp_elicitation"
HUMAN_INTERRUPT = "agent_inbox"
TYPED = "response_schema"
PLAIN = "plain"

LONGEST = 50_000
"""Octets of canonical JSON that a foreign graph's payload may have, so that people can be shown all."""
LONGEST_OWN = 2_000_000
"""The same for our own graph; what its actions may hold is less, and said by each kind."""


class Option(StrEnum):
    """What people may decide about one item."""

    APPROVE = "approve"
    EDIT = "edit"
    REJECT = "reject"
    RESPOND = "respond"


ORDINARY = (Option.APPROVE, Option.EDIT, Option.REJECT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """One action as the graph words it, before it is prepared. `risk` is the model's opinion, only that."""

    type: str
    parameters: Mapping[str, Any]
    description: str = ""
    risk: Risk = Risk.HIGH


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a dialect needs besides the decisions to word an answer; `allows` says what, for each item."""

    allows: tuple[tuple[Option, ...], ...] = (ORDINARY,)
    names: tuple[str, ...] = ()
    """The actions' names, or the keys of the requests, as the payload has them."""
    schema: Any = None
    """The JSON Schema that the answer must fit, where the interrupt brought one."""
    forms: tuple[Any, ...] = ()
    """The JSON Schemas of what is filled in, one for each item; None where nothing is."""
    answers: Answers | None = None
    """How the configuration says that this graph is answered."""


@dataclass(frozen=True, slots=True)
class Question:
    """A graph asks people to decide on `proposals`."""

    dialect: str
    proposals: tuple[Proposal, ...]
    terms: Terms = field(default_factory=Terms)


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
    """What people decided about one item, in the gateway's own terms; each dialect words it its own way."""

    option: Option
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """The parameters as they were decided on."""
    message: str = ""
    approval: str = ""
    digest: str = ""
    again: bool = False
    """Whether another proposal is welcome, since a person rejected this one and said why."""


class UnanswerableError(ValueError):
    """The payload has no such answer, or does not take it; the thread has to wait for an operator."""


Read = Question | EffectRequest | Unknown


def read(value: Any, schema: Any = None, answers: Answers | None = None, *, foreign: bool = False) -> Read:
    """Recognise the payload of a pending interrupt; never raises, whatever a graph puts there.

    Args:
        value: the payload.
        schema: the JSON Schema that the interrupt asks its answer to fit, if it has one.
        answers: how the configuration says that this graph's unknown payloads are answered.
        foreign: whether the graph is not ours, so that what it asks about is its own to do.
    """
    kind = value.get("type") if isinstance(value, Mapping) else None
    own = _OWN.get(kind) if isinstance(kind, str) else None
    if why := unfit([value, schema], LONGEST if foreign else LONGEST_OWN):
        return Unknown(f"its payload cannot be shown: {why}")
    if own is not None:
        asked = own(value)
        if foreign and isinstance(asked, Question) and asked.dialect == APPROVAL_REQUEST:
            return replace(asked, dialect=TUTORIAL)
        return asked
    for recognise in _FOREIGN:
        if (found := recognise(value, schema)) is not None:
            return found
    return _read_plain(value, schema, answers)


def answer(dialect: str, terms: Terms, decisions: Sequence[Decision]) -> Any:
    """Word the decisions as the asking schema wants them: plain JSON that its node accepts.

    Raises:
        UnanswerableError: an item does not allow its decision, there are too few or too many, or the answer
            does not fit the question's own schema.
    """
    if len(decisions) != len(terms.allows):
        raise UnanswerableError(f"{len(decisions)} decisions for {len(terms.allows)} items")
    for decision, allowed in zip(decisions, terms.allows, strict=True):
        if decision.option not in allowed:
            raise UnanswerableError(f"the payload takes no {decision.option}")
    value = _ANSWERS[dialect](terms, decisions)
    if terms.schema is not None and (why := schemas.problem(terms.schema, value)):
        raise UnanswerableError(f"the answer does not fit the question's schema: {why}")
    return value


def refusal(dialect: str, terms: Terms, reason: str) -> Any:
    """Word a refusal that no person made, such as an action that cannot be carried out.

    Raises:
        UnanswerableError: this payload has no refusal.
    """
    return answer(dialect, terms, [Decision(option=Option.REJECT, message=reason)] * len(terms.allows))


def names_tools(dialect: str) -> bool:
    """Whether its questions are about calls of the graph's own tools, whose names say what they do."""
    return dialect not in {ELICITATION, TYPED, PLAIN}


def is_foreign(dialect: str) -> bool:
    """Whether the graph carries out by itself what it asks about, so that the gateway never does."""
    return dialect not in {APPROVAL_REQUEST, ACT}


def unfit(value: Any, longest: int = LONGEST) -> str:
    """Say why a payload cannot be kept, digested and shown in full; empty where it can."""
    try:
        octets = rfc8785.dumps(value)
    except (ValueError, TypeError, RecursionError) as error:
        return f"it is not plain JSON ({type(error).__name__})"
    return f"it is longer than {longest} octets" if len(octets) > longest else ""


# --- our own ----------------------------------------------------------------------------------------------


def _read_approval_request(value: Mapping[str, Any]) -> Question | Unknown:
    return _asked_action(APPROVAL_REQUEST, value)


def _read_act(value: Mapping[str, Any]) -> Question | Unknown:
    return _asked_action(ACT, value)


def _asked_action(dialect: str, value: Mapping[str, Any]) -> Question | Unknown:
    action = value.get("action")
    if not isinstance(action, Mapping):
        return Unknown(f"{dialect} has no action")
    kind, parameters = action.get("action_type"), action.get("parameters")
    if not isinstance(kind, str) or not isinstance(parameters, Mapping):
        return Unknown(f"{dialect}'s action needs action_type and parameters")
    proposal = Proposal(
        type=kind,
        parameters=parameters,
        description=str(action.get("description") or ""),
        risk=_risk(action.get("risk_level")),
    )
    return Question(dialect, (proposal,))


def _read_effect_request(value: Mapping[str, Any]) -> EffectRequest | Unknown:
    approval, digest = value.get("approval"), value.get("digest")
    if not isinstance(approval, str) or not isinstance(digest, str):
        return Unknown("gateway.effect needs approval and digest")
    return EffectRequest(approval, digest)


def _read_breakpoint(value: Mapping[str, Any]) -> Unknown:
    nodes = value.get("nodes")
    named = ", ".join(map(str, nodes)) if isinstance(nodes, list | tuple) else "a node"
    return Unknown(f"the graph stops at a static breakpoint at {named}, which asks nothing: use interrupt()")


def _answer_approval_request(_terms: Terms, decisions: Sequence[Decision]) -> dict[str, Any]:
    (decision,) = decisions
    return {
        "decision": _WORDS[decision.option],
        "feedback": decision.message,
        "modified_parameters": dict(decision.parameters) if decision.option is Option.EDIT else None,
        "approval": decision.approval,
        "digest": decision.digest,
        "again": decision.again,
    }


def _answer_act(_terms: Terms, decisions: Sequence[Decision]) -> dict[str, Any]:
    """Word the refusal as a receipt; what is approved is done, and the receipt of that is the answer."""
    (decision,) = decisions
    if decision.option is not Option.REJECT:
        raise UnanswerableError("what is granted to gateway.act is answered by its receipt")
    return {"status": "refused", "summary": decision.message or "rejected", "detail": {}}


# --- those of others --------------------------------------------------------------------------------------


def _recognise_tool_approval(value: Any, schema: Any) -> Question | Unknown | None:
    if not isinstance(value, Mapping) or value.get("type") != "tool_approval" or "tool_call_id" not in value:
        return None
    name, args = value.get("name"), value.get("args")
    if not isinstance(name, str) or not isinstance(args, Mapping):
        return Unknown("tool_approval needs name and args")
    samples = {
        option: _langchain(name, Decision(option=option, parameters=args, message="-")) for option in Option
    }
    allowed = tuple(
        option for option, sample in samples.items() if schema and not schemas.problem(schema, sample)
    )
    if not allowed:
        return Unknown("tool_approval brings no response_schema that allows a decision we know")
    terms = Terms(allows=(allowed,), names=(name,), schema=schema)
    return Question(TOOL_APPROVAL, (_tool(name, args, value.get("description")),), terms)


def _recognise_elicitation(value: Any, _schema: Any) -> Question | Unknown | None:
    if not isinstance(value, Mapping) or value.get("type") != "mcp_elicitation":
        return None
    requests = value.get("requests")
    if not isinstance(requests, list) or not requests or not all(map(_is_elicitation, requests)):
        return Unknown("mcp_elicitation needs requests with key and message")
    allows = tuple(_elicited(each) for each in requests)
    name = str(value.get("tool_name") or "an MCP server")
    proposals = tuple(_tool(name, each, None) for each in requests)
    terms = Terms(
        allows=allows,
        names=tuple(each["key"] for each in requests),
        forms=tuple(each.get("requested_schema") for each in requests),
    )
    return Question(ELICITATION, proposals, terms)


def _is_elicitation(request: Any) -> bool:
    return isinstance(request, Mapping) and all(
        isinstance(request.get(name), str) for name in ("key", "message")
    )


def _elicited(request: Mapping[str, Any]) -> tuple[Option, ...]:
    """A form is accepted where its schema leaves one way to say so; an address was visited or was not."""
    form = request.get("requested_schema")
    if form is None:
        return (Option.APPROVE, Option.REJECT)
    possible = {
        Option.APPROVE: schemas.approving(form),
        Option.REJECT: (True,),
        Option.RESPOND: schemas.responding(form, "-"),
    }
    return tuple(option for option, worded in possible.items() if worded)


def _answer_elicitation(terms: Terms, decisions: Sequence[Decision]) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    for key, form, decision in zip(terms.names, terms.forms, decisions, strict=True):
        if decision.option is Option.REJECT:
            responses[key] = {"action": "decline"}
        elif form is None:
            responses[key] = {"action": "accept"}
        else:
            responses[key] = {"action": "accept", "content": _typed(form, decision)}
    return {"responses": responses}


def _recognise_batch(value: Any, _schema: Any) -> Question | Unknown | None:
    if not isinstance(value, Mapping) or not {"action_requests", "review_configs"} <= value.keys():
        return None
    requests, configs = value["action_requests"], value["review_configs"]
    if not isinstance(requests, list) or not isinstance(configs, list) or len(requests) != len(configs):
        return Unknown("action_requests and review_configs are not lists of one length")
    if not requests or not all(map(_is_tool_call, requests)):
        return Unknown("action_requests needs name and args in each")
    allows = tuple(_allowed(config) for config in configs)
    if not all(allows):
        return Unknown("review_configs allows no decision we know")
    proposals = tuple(_tool(each["name"], each["args"], each.get("description")) for each in requests)
    return Question(HITL, proposals, Terms(allows=allows, names=tuple(each["name"] for each in requests)))


def _is_tool_call(request: Any) -> bool:
    return (
        isinstance(request, Mapping)
        and isinstance(request.get("name"), str)
        and isinstance(request.get("args"), Mapping)
    )


def _allowed(config: Any) -> tuple[Option, ...]:
    words = config.get("allowed_decisions") if isinstance(config, Mapping) else None
    return tuple(option for option in Option if isinstance(words, list) and option.value in words)


def _answer_batch(terms: Terms, decisions: Sequence[Decision]) -> dict[str, Any]:
    pairs = zip(terms.names, decisions, strict=True)
    return {"decisions": [_langchain(name, decision) for name, decision in pairs]}


def _answer_tool_approval(terms: Terms, decisions: Sequence[Decision]) -> dict[str, Any]:
    return _langchain(terms.names[0], decisions[0])


def _langchain(name: str, decision: Decision) -> dict[str, Any]:
    """Word one decision as LangChain's middleware wants it; an edit never becomes another tool."""
    match decision.option:
        case Option.APPROVE:
            return {"type": "approve"}
        case Option.EDIT:
            edited = {"name": name, "args": dict(decision.parameters)}
            return {"type": "edit", "edited_action": edited}
        case Option.REJECT:
            return {"type": "reject", "message": decision.message} if decision.message else {"type": "reject"}
        case Option.RESPOND:
            return {"type": "respond", "message": decision.message}


def _recognise_human_interrupt(value: Any, _schema: Any) -> Question | Unknown | None:
    requests = value if isinstance(value, list) else [value]
    if not requests or not all(isinstance(each, Mapping) and "action_request" in each for each in requests):
        return None
    if not all(map(_is_human_interrupt, requests)):
        return Unknown("action_request needs action and args, and config beside it")
    allows = tuple(
        tuple(option for option in Option if each["config"].get(_INBOX[option]) is True) for each in requests
    )
    if not all(allows):
        return Unknown("config allows no decision")
    actions = [each["action_request"] for each in requests]
    proposals = tuple(
        _tool(action["action"], action["args"], each.get("description"))
        for action, each in zip(actions, requests, strict=True)
    )
    return Question(
        HUMAN_INTERRUPT, proposals, Terms(allows=allows, names=tuple(each["action"] for each in actions))
    )


def _is_human_interrupt(request: Mapping[str, Any]) -> bool:
    action = request["action_request"]
    return (
        isinstance(action, Mapping)
        and isinstance(action.get("action"), str)
        and isinstance(action.get("args"), Mapping)
        and isinstance(request.get("config"), Mapping)
    )


def _answer_human_interrupt(terms: Terms, decisions: Sequence[Decision]) -> list[dict[str, Any]]:
    return [_inbox(name, decision) for name, decision in zip(terms.names, decisions, strict=True)]


def _inbox(name: str, decision: Decision) -> dict[str, Any]:
    match decision.option:
        case Option.APPROVE:
            return {"type": "accept", "args": {"action": name, "args": dict(decision.parameters)}}
        case Option.EDIT:
            return {"type": "edit", "args": {"action": name, "args": dict(decision.parameters)}}
        case Option.REJECT:
            return {"type": "ignore", "args": None}
        case Option.RESPOND:
            return {"type": "response", "args": decision.message}


def _recognise_typed(value: Any, schema: Any) -> Question | None:
    if schema is None:
        return None
    possible = {
        Option.APPROVE: schemas.approving(schema),
        Option.REJECT: schemas.refusing(schema),
        Option.RESPOND: schemas.responding(schema, "-"),
    }
    allowed = tuple(option for option, worded in possible.items() if worded)
    if not allowed:
        return None
    return Question(TYPED, (_shown(value),), Terms(allows=(allowed,), schema=schema))


def _answer_typed(terms: Terms, decisions: Sequence[Decision]) -> Any:
    return _typed(terms.schema, decisions[0])


def _typed(schema: Any, decision: Decision) -> Any:
    word = {
        Option.APPROVE: schemas.approving,
        Option.REJECT: schemas.refusing,
        Option.RESPOND: schemas.responding,
    }[decision.option]
    worded = word(schema, decision.message)
    if not worded and decision.option is not Option.RESPOND:
        # A remark that does not fit is left out; the decision counts.
        worded = word(schema, "")
    if not worded:
        raise UnanswerableError(f"the question's schema has no {decision.option}")
    return worded[0]


def _read_plain(value: Any, schema: Any, answers: Answers | None) -> Question | Unknown:
    if answers is None:
        return Unknown(
            "its payload is of no schema that we know, and the configuration does not say how the graph is"
            " answered (approve_with, reject_with)"
        )
    found = [answers.approve, answers.reject]
    if schema is not None and any(schemas.problem(schema, each) for each in found):
        return Unknown("approve_with and reject_with do not fit the schema that the question asks for")
    terms = Terms(allows=((Option.APPROVE, Option.REJECT),), schema=schema, answers=answers)
    return Question(PLAIN, (_shown(value),), terms)


def _answer_plain(terms: Terms, decisions: Sequence[Decision]) -> Any:
    assert terms.answers is not None
    return terms.answers.approve if decisions[0].option is Option.APPROVE else terms.answers.reject


def _shown(value: Any) -> Proposal:
    """Show a payload as it is."""
    parameters = value if isinstance(value, Mapping) else {"question": value}
    return Proposal(type="answer", parameters=parameters)


def _tool(name: str, args: Mapping[str, Any], description: Any) -> Proposal:
    return Proposal(
        type=name, parameters=args, description=description if isinstance(description, str) else ""
    )


def _risk(word: Any) -> Risk:
    """Take the model's word where it is one; anything else is the gravest."""
    return Risk(word) if isinstance(word, str) and word in set(Risk) else Risk.HIGH


_WORDS: Mapping[Option, str] = {
    Option.APPROVE: "approved",
    Option.EDIT: "modified",
    Option.REJECT: "rejected",
}
_INBOX: Mapping[Option, str] = {
    Option.APPROVE: "allow_accept",
    Option.EDIT: "allow_edit",
    Option.REJECT: "allow_ignore",
    Option.RESPOND: "allow_respond",
}
_OWN: Mapping[str, Callable[[Mapping[str, Any]], Read]] = {
    APPROVAL_REQUEST: _read_approval_request,
    EFFECT_REQUEST: _read_effect_request,
    ACT: _read_act,
    BREAKPOINT: _read_breakpoint,
}
# Tried in this order: what is recognised by its type comes before what is recognised by its keys.
_FOREIGN: Sequence[Callable[[Any, Any], Question | Unknown | None]] = (
    _recognise_tool_approval,
    _recognise_elicitation,
    _recognise_batch,
    _recognise_human_interrupt,
    _recognise_typed,
)
_ANSWERS: Mapping[str, Callable[[Terms, Sequence[Decision]], Any]] = {
    APPROVAL_REQUEST: _answer_approval_request,
    TUTORIAL: _answer_approval_request,
    ACT: _answer_act,
    TOOL_APPROVAL: _answer_tool_approval,
    ELICITATION: _answer_elicitation,
    HITL: _answer_batch,
    HUMAN_INTERRUPT: _answer_human_interrupt,
    TYPED: _answer_typed,
    PLAIN: _answer_plain,
}
