"""What a mail would be understood as, from which line, and why. It looks and never acts."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from gateway.core import edits, gist, mail, markup, reply
from gateway.core.action import Field, FieldType
from gateway.core.address import is_address
from gateway.core.authentication import Trust, Why
from gateway.core.gist import Gist
from gateway.core.reply import Context
from gateway.core.visible import one_line, reveal


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a token in a mail stands for: its approval, and the addresses of the reviewer it was made for."""

    approval: str
    addresses: frozenset[str]
    context: Context


ANYTHING = Context(fields=None)
"""What is known where nothing is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What a mail is held against.

    `addresses` are the reviewer's, in lower case; empty where anybody may have written. `trust` names the
    mail server whose word is taken for the sender; with None, From is believed or, by default, nobody.
    `find` looks the tokens of a mail up.
    """

    context: Context = ANYTHING
    addresses: frozenset[str] = frozenset()
    trust: Trust | None = None
    believes_from: bool = False
    find: Callable[[Sequence[str]], Question | None] = lambda _: None


def explained(raw: bytes, setting: Setting) -> dict[str, Any]:
    """Explain one mail, as plain JSON. Never raises: what cannot be read is unclear."""
    seen = gist.survey(raw, trust=setting.trust)
    question = setting.find(seen.handles)
    known = setting if question is None else _about(setting, question)
    reading = reply.read(raw, known.context)
    return {
        "verdict": reading.said,
        "reason": reading.reason,
        "line": reading.line,
        "comment": reading.comment,
        "edits": dict(reading.edits),
        **({"items": [asdict(each) for each in reading.items]} if reading.items else {}),
        "problems": list(reading.problems),
        "auto": reading.automatic,
        "sender": _sender(seen, known),
        "token": {
            "present": bool(seen.handles),
            "valid": question is not None,
            "approval": question.approval if question else None,
        },
    }


def learned(raw: bytes) -> Context:
    """Learn from a letter that was sent what its answers may change, what that holds now, and its words.

    The letter names the fields; numbers, switches and lists of addresses are taken for what they look like.

    Raises:
        MailError: it cannot be read.
    """
    sent = mail.parse(raw)
    text = sent.text or markup.to_text(sent.html or "")
    named = _CHANGEABLE.search(" ".join(text.split()))
    names = [name.strip() for name in named[1].split(",")] if named else None
    shown = {name: _guessed(value) for name, value in edits.shown_in_draft(text.split("\n"), names).items()}
    fields = names if names is not None else shown
    return Context(
        fields=tuple(Field(name, FieldType.of(shown.get(name, ""))) for name in fields),
        values=shown,
        letters=(text,),
        items=max((int(number) for number in _NUMBERED.findall(text)), default=1),
    )


def with_fields(context: Context, values: Mapping[str, Any]) -> Context:
    """Say which fields may be changed, and what they hold now; the values give the types."""
    fields = tuple(Field(name, FieldType.of(value)) for name, value in values.items())
    return replace(context, fields=fields, values=values)


def explained_text(told: Mapping[str, Any]) -> str:
    """Lay an explanation out for a terminal."""
    sender, token = told["sender"], told["token"]
    changes = [f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in told["edits"].items()]
    lines = [
        f"{told['file']}: {told['verdict']} ({told['reason']})",
        *([f"  read from: {one_line(told['line'])}"] if told["line"] else []),
        *(f"  item:      {_about_item(item)}" for item in told.get("items", ())),
        *(f"  changes:   {one_line(change)}" for change in changes),
        *(f"  problem:   {one_line(problem)}" for problem in told["problems"]),
        *(
            [f"  comment:   {reveal(told['comment']).replace(chr(10), chr(10) + ' ' * 13)}"]
            if told["comment"]
            else []
        ),
        f"  sender:    {one_line(sender['address'] or 'nobody')}, {_how_sure(sender)}",
        f"  token:     {_how_valid(token)}",
    ]
    return "\n".join(lines)


_CHANGEABLE = re.compile(r"You can change: ([^:.]{1,2000})\. ")
_NUMBERED = re.compile(r"(?m)^\s{1,4}([0-9]{1,4})\. Tool: ")
_NUMBER = re.compile(r"-?(?:0|[1-9]\d{0,17})(?:\.\d{1,15})?")


def _about(setting: Setting, question: Question) -> Setting:
    """What a token stands for is known better than what was said on the command line."""
    return replace(setting, context=question.context, addresses=question.addresses)


def _sender(seen: Gist, setting: Setting) -> dict[str, Any]:
    why, authenticated = _identity(seen, setting)
    return {"address": seen.author.address, "authenticated": authenticated, "why": why}


def _identity(seen: Gist, setting: Setting) -> tuple[str, bool]:
    address = seen.author.address
    if address is None:
        return seen.author.why, False
    if setting.addresses and address.lower() not in setting.addresses:
        return "wrong-sender", False
    if setting.trust is None:
        return ("address", True) if setting.believes_from else ("not-checked", False)
    if seen.shown is None or seen.shown.method is None:
        return seen.shown.why if seen.shown else Why.UNSTAMPED, False
    return seen.shown.method, True


def _guessed(text: str) -> Any:
    if _NUMBER.fullmatch(text) or text in {"true", "false"}:
        return json.loads(text)
    pieces = [piece.strip() for piece in text.split(",")]
    return pieces if all(map(is_address, pieces)) else text


def _about_item(item: Mapping[str, Any]) -> str:
    why = f": {one_line(item['comment'])}" if item["comment"] else ""
    return f"{item['item']} {item['said']}{why}"


def _how_sure(sender: Mapping[str, Any]) -> str:
    return f"{'authenticated by' if sender['authenticated'] else 'not authenticated:'} {sender['why']}"


def _how_valid(token: Mapping[str, Any]) -> str:
    if token["valid"]:
        return f"valid, for approval {token['approval']}"
    return "present, not known here" if token["present"] else "none"
