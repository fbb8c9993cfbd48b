"""What a foreign graph asks about: shown as it is, edited by its types, and never done here.

The graph does it by itself once it is resumed, so nothing is checked or filled in, and nothing is left out.
"""

import json
import re
from collections.abc import Sequence
from typing import Any

from gateway.core import action as core
from gateway.core.action import Action, EditRefusedError, Field, FieldType
from gateway.core.approval import Item
from gateway.core.payload import Option, Proposal, unfit
from gateway.core.visible import one_line
from gateway.letters import Row

PREFIX = "tool:"
"""Begins the type of every action that is a foreign graph's own; no kind of ours is named so."""
_SUMMARY_LENGTH = 100
# What can be named in a reply, and cannot be taken for something else there.
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,39}")


def is_foreign(action: Action) -> bool:
    """Whether a graph of somebody else's does this."""
    return action.type.startswith(PREFIX)


def item(proposal: Proposal, allowed: Sequence[Option]) -> Item:
    """Make of a proposal what people see; its arguments can be edited where the payload allows it."""
    action = Action(PREFIX + proposal.type, proposal.parameters)
    editable = [
        Field(name, FieldType.of(value))
        for name, value in proposal.parameters.items()
        if _NAME.fullmatch(name)
    ]
    return Item(
        action=action,
        digest=core.digest(action),
        summary=_summary(action),
        note=proposal.description,
        editable=tuple(editable) if Option.EDIT in allowed else (),
    )


def edited(before: Item, action: Action) -> Item:
    """Make of an edited action the item that takes the place of `before`.

    Raises:
        EditRefusedError: it is longer than people could be shown.
    """
    if why := unfit(action.parameters):
        raise EditRefusedError([f"the change is refused: {why}"])
    return Item(
        action=action,
        digest=core.digest(action),
        summary=_summary(action),
        note=before.note,
        editable=before.editable,
    )


def rows(action: Action) -> tuple[Row, ...]:
    """List the tool and every argument; a text stands as it is unless it could be taken for other JSON."""
    arguments = (Row(one_line(name) or '""', _shown(value)) for name, value in action.parameters.items())
    return (Row("Tool", one_line(action.type.removeprefix(PREFIX)) or '""'), *arguments)


def _summary(action: Action) -> str:
    arguments = ", ".join(f"{name}={_shown(value)}" for name, value in action.parameters.items())
    text = one_line(f"{action.type.removeprefix(PREFIX)}({arguments})")
    return text if len(text) <= _SUMMARY_LENGTH else f"{text[: _SUMMARY_LENGTH - 1]}…"


def _shown(value: Any) -> str:
    if isinstance(value, str) and value and not _reads_as_json(value):
        return value
    return json.dumps(value, ensure_ascii=False)


def _reads_as_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
