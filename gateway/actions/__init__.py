"""What can really be done: each kind of action is prepared for people to see, and later performed.

Preparing reads and never changes anything; it fills in every default, so that the digest covers all of it.
Performing lies in `gateway.actions.perform` and is the outbox's alone.
"""

import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Protocol

from gateway.actions import foreign
from gateway.actions.refusal import ActionRefusedError
from gateway.core import action as core
from gateway.core.action import Action, EditRefusedError, Field
from gateway.core.approval import Item
from gateway.core.payload import Option, Proposal
from gateway.core.policy import Risk, higher
from gateway.core.visible import warnings
from gateway.letters import Row

__all__ = ["ActionKind", "ActionRefusedError", "Actions"]

_OPTIONAL = frozenset({"write_file", "api_call", "database_write"})
"""Kinds that are there once their table in the configuration is."""
_LONGEST = 85_000
"""Octets of a letter's HTML that facts and notes may take; the rest of it takes less than 15,000."""
_LINE, _ROW = 170, 650
"""What the templates put around each line and each fact, roughly."""


class ActionKind(Protocol):
    """One kind of action, as far as people see it."""

    @property
    def editable(self) -> Sequence[Field]:
        """The parameters that a reviewer may change."""

    async def prepare(self, parameters: Mapping[str, Any]) -> Action:
        """Check what the agent or an editor proposes and fill in every default.

        Raises:
            ActionRefusedError: it cannot be done as proposed; nobody is asked.
        """

    def proposed(self, action: Action) -> Mapping[str, Any]:
        """Take a prepared action back to the parameters that an agent or editor may give."""

    def summary(self, action: Action) -> str:
        """Say in one line what would be done, from the facts alone."""

    def rows(self, action: Action) -> Sequence[Row]:
        """List every fact that people decide on, in the order they are shown.

        Each editable parameter has a row of its own name and with its value, as text or JSON: a reviewer
        may edit it in the quoted letter, and an answer that has changed it is told from one that has not.
        """

    def risk(self, action: Action) -> Risk:
        """Assess the action itself, whatever the model said of it."""


class Actions:
    """The kinds of action that this gateway can do, by name."""

    def __init__(self, kinds: Mapping[str, ActionKind]) -> None:
        self._kinds = kinds

    async def prepare(self, proposal: Proposal) -> tuple[Item, Risk]:
        """Make of a graph's proposal what people will see, and assess it: the graver word counts.

        Raises:
            ActionRefusedError: it cannot be done.
        """
        kind = self._kind(proposal.type)
        action = await kind.prepare(proposal.parameters)
        return self._item(kind, action, proposal.description), higher(proposal.risk, kind.risk(action))

    def show(self, proposal: Proposal, allowed: Sequence[Option]) -> Item:
        """Make of a foreign graph's proposal what people will see; it does it, so nothing is checked."""
        return foreign.item(proposal, allowed)

    async def edit(self, item: Item, edits: Mapping[str, Any]) -> tuple[Item, Risk]:
        """Make of a reviewer's edit a new item, checked like a new proposal.

        Raises:
            EditRefusedError: a field is not editable, or nothing would change.
            ActionRefusedError: the edited action cannot be done.
        """
        edited = core.edit(item.action, edits, item.editable)
        if foreign.is_foreign(edited):
            return foreign.edited(item, edited), Risk.LOW
        kind = self._kind(item.action.type)
        action = await kind.prepare(kind.proposed(edited))
        if action == item.action:
            raise EditRefusedError(["nothing would change"])
        return self._item(kind, action, item.note), kind.risk(action)

    def rows(self, *actions: Action) -> Sequence[Row]:
        """List the facts of all that is decided together for a letter or page, numbered if it is several.

        What is of a kind that is no longer configured is shown as well.
        """
        found = [
            Row(f"{n}. {row.label}" if len(actions) > 1 else row.label, row.value)
            for n, action in enumerate(actions, start=1)
            for row in self._rows(action)
        ]
        texts = (text for row in found for text in (row.label, row.value))
        return [*(Row("Attention", each) for each in warnings(texts)), *found]

    def is_long(self, items: Sequence[Item]) -> bool:
        """Whether a letter about these is longer than mail programs show without being asked to.

        Gmail folds what is beyond 102 kB of HTML, and others follow it.
        """
        rows = self.rows(*(item.action for item in items))
        lines = [line for row in rows for line in row.lines]
        lines += [line for item in items for line in item.note.split("\n")]
        octets = sum(len(escape(line).encode()) + _LINE for line in lines)
        return octets + len(rows) * _ROW > _LONGEST

    def _rows(self, action: Action) -> Sequence[Row]:
        if foreign.is_foreign(action):
            return foreign.rows(action)
        kind = self._kinds.get(action.type)
        return kind.rows(action) if kind else _plain_rows(action)

    def _kind(self, name: str) -> ActionKind:
        kind = self._kinds.get(name)
        if kind is None:
            why = f"needs a table [actions.{name}]" if name in _OPTIONAL else "is not known"
            raise ActionRefusedError(f"{name} {why}; this gateway can do: {', '.join(sorted(self._kinds))}")
        return kind

    @staticmethod
    def _item(kind: ActionKind, action: Action, note: str) -> Item:
        return Item(
            action=action,
            digest=core.digest(action),
            summary=kind.summary(action),
            note=note,
            # A field that this action does not have is none that it could be given.
            editable=tuple(field for field in kind.editable if field.name in action.parameters),
        )


def _plain_rows(action: Action) -> Sequence[Row]:
    return [
        Row(name, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
        for name, value in action.parameters.items()
    ]
