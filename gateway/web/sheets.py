"""Say what the pages about an approval show, in plain values: the only things that a template can print."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

from gateway.actions import Actions
from gateway.core.action import diff
from gateway.core.approval import Approval, Channel, State, Verdict, Vote, Withdrawn
from gateway.core.execution import RowState, ThreadState
from gateway.core.payload import is_foreign
from gateway.core.policy import Policy
from gateway.core.times import moment, period
from gateway.core.visible import one_line
from gateway.letters import CHANNELS, Edited, Row, edited, standing
from gateway.service import View
from gateway.store import OutboxRow, ThreadRow, Transaction
from gateway.web import forms

COMMENT_LENGTH = 4000
_STOPPED = frozenset({ThreadState.PARKED, ThreadState.FAILED})
_SETTLED: Mapping[RowState, str] = {
    RowState.DONE: "done",
    RowState.FAILED: "failed",
    RowState.IN_DOUBT: "in-doubt",
}


@dataclass(frozen=True, slots=True)
class Case:
    """An opened link with what the store knows around it, read in one transaction."""

    view: View
    thread: ThreadRow
    replaced: Approval | None
    successor: Approval | None
    action: OutboxRow | None
    withdrawn: Mapping[str, str]

    @property
    def approval(self) -> Approval:
        """The approval that the link is for."""
        return self.view.approval


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """What a reviewer has put into the form so far, and what is wrong with it."""

    form: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """A field that can be edited."""

    label: str
    name: str
    text: str
    is_list: bool
    problems: tuple[str, ...]

    @property
    def height(self) -> int:
        """Lines to show at once; the reader can still pull it longer."""
        return max(2, min(14, len(self.text.split("\n")) + len(self.text) // 60))


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One of several items, with its place in the form while it is undecided."""

    item: int
    summary: str
    standing: str
    """What was decided about it, or how near that is."""
    choices: tuple[str, ...] = ()
    """What the reviewer can say about it."""
    is_asked: bool = False
    """Whether the form needs a choice here: it is open, and the reviewer has not approved it before."""
    chosen: str = ""
    comment: str = ""


def parts(approval: Approval, reviewer: str, form: Mapping[str, str] = MappingProxyType({})) -> list[Part]:
    """List the items of a question that has several, as they stand; voters are called by their addresses."""
    return [_part(approval, n, reviewer, form, str) for n in range(1, len(approval.items) + 1)]


def load(tx: Transaction, view: View) -> Case:
    """Read what the pages about an approval tell besides the approval itself."""
    approval = view.approval
    return Case(
        view=view,
        thread=tx.thread(approval.thread),
        replaced=tx.approval(approval.replaces) if approval.replaces else None,
        successor=tx.approval(approval.replaced_by) if approval.replaced_by else None,
        action=tx.perform_row(approval.id),
        withdrawn=_withdrawn(tx, approval) if approval.state is State.CANCELLED else {},
    )


class Sheets:
    """Words everything for the reviewer at hand: names from the policy, times in the reviewer's zone."""

    def __init__(self, policy: Policy, actions: Actions, nonces: forms.Nonces, timezone: str) -> None:
        self._policy = policy
        self._actions = actions
        self._nonces = nonces
        self._timezone = timezone

    def question(self, case: Case, now: datetime, filled: Filled) -> dict[str, Any]:
        """Show an open question with its form."""
        approval = case.approval
        own = [vote for vote in approval.votes if vote.by == case.view.reviewer]
        by_link = Channel.LINK in approval.rule.channels
        several = len(approval.items) > 1
        choices = _choices(approval, voted=bool(own)) if by_link and not several else ()
        return {
            **self._head(approval),
            "facts": tuple(self._question_facts(case, now)),
            "by_agent": is_foreign(approval.dialect),
            "rows": self._actions.rows(*approval.actions),
            "changes": _changes(case.replaced, approval),
            "editor": self._editor(case.replaced),
            "notes": _notes(approval),
            "given": len({vote.by for vote in approval.votes}),
            "quorum": approval.rule.quorum,
            "voted": self._when(own[-1].at, case.view) if own and not several else "",
            "choices": choices,
            "parts": self._parts(case, filled.form),
            "by_link": by_link,
            "chosen": filled.form.get("decision", ""),
            "comment": filled.form.get("comment", ""),
            "comment_length": COMMENT_LENGTH,
            "entries": _entries(approval, filled) if "modify" in choices else (),
            "problems": tuple(map(one_line, filled.problems)),
            "nonce": self._nonces.page(case.view),
        }

    def diff(
        self, case: Case, candidate: Approval, filled: Filled, edits: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Show what an edit would make of a question; nothing is recorded yet."""
        approval, fields = case.approval, case.approval.items[0].editable
        texts = {
            forms.edit_name(each): forms.as_text(each, edits[each.name])
            for each in fields
            if each.name in edits
        }
        return {
            **self._head(candidate),
            "number": approval.id,
            "rows": self._actions.rows(*candidate.actions),
            "changes": _changes(approval, candidate),
            "approves": _edit_counts(approval, candidate, case.view.reviewer),
            "quorum": candidate.rule.quorum,
            "hidden": {
                "decision": Verdict.MODIFY.value,
                "comment": filled.form.get("comment", ""),
                **texts,
                "nonce": self._nonces.page(case.view),
                "shown": candidate.digest,
                "confirmed": self._nonces.diff(case.view, edits, candidate.digest),
            },
        }

    def closed(self, case: Case) -> dict[str, Any]:
        """Show how a question ended, and what has come of it."""
        approval, reviewer = case.approval, case.view.reviewer
        last = approval.votes[-1] if approval.votes else None
        return {
            **self._head(approval),
            "state": approval.state.value,
            "by": self._name(last.by) if last else "",
            "by_you": last is not None and last.by == reviewer,
            "at": self._when(approval.decided_at or approval.expires_at, case.view),
            "votes": tuple(self._vote(vote, case.view) for vote in approval.votes),
            "parts": self._parts(case),
            "rows": self._actions.rows(*approval.actions),
            "changes": _changes(case.replaced, approval),
            "editor": self._editor(case.replaced),
            "outcome": _outcome(case),
            "note": case.action.note if case.action else "",
            "successor": case.successor.id if case.successor else "",
            "successor_state": case.successor.state.value if case.successor else "",
            "edit": _changes(approval, case.successor) if case.successor else (),
            "asked_again": case.successor is not None and reviewer in case.successor.reviewers,
            "withdrawn_by": self._name(case.withdrawn.get("by", "")),
            "withdrawn_why": case.withdrawn.get("reason", ""),
        }

    def _head(self, approval: Approval) -> dict[str, Any]:
        return {
            "number": approval.id,
            "risk": approval.risk.value,
            "summary": one_line("; ".join(item.summary for item in approval.items)),
        }

    def _question_facts(self, case: Case, now: datetime) -> Iterable[Row]:
        approval = case.approval
        yield Row("Asked by", approval.requester)
        yield Row("Agent", approval.graph)
        rest = period(approval.expires_at - now)
        yield Row("Expires", f"{self._when(approval.expires_at, case.view)}, in {rest}")
        if approval.rule.quorum > 1:
            given = ", ".join(self._name(vote.by) for vote in approval.votes) or "nobody"
            several = len(approval.items) > 1
            so_far = " each action; how each stands is shown below" if several else f"; so far {given} did"
            yield Row("Needs", f"{approval.rule.quorum} different people to approve{so_far}")

    def _parts(self, case: Case, form: Mapping[str, str] = MappingProxyType({})) -> tuple[Part, ...]:
        approval, reviewer = case.approval, case.view.reviewer
        numbers = range(1, len(approval.items) + 1) if len(approval.items) > 1 else ()
        return tuple(_part(approval, n, reviewer, form, self._name) for n in numbers)

    def _editor(self, replaced: Approval | None) -> str:
        return self._name(replaced.votes[-1].by) if replaced and replaced.votes else ""

    def _vote(self, vote: Vote, view: View) -> dict[str, str]:
        return {
            "by": self._name(vote.by),
            "verdict": vote.verdict.value,
            "item": str(vote.item or ""),
            "channel": CHANNELS[vote.channel],
            "at": self._when(vote.at, view),
            "comment": vote.comment,
        }

    def _name(self, address: str) -> str:
        person = self._policy.person(address)
        return person.name if person else address

    def _when(self, at: datetime, view: View) -> str:
        person = self._policy.person(view.reviewer)
        return moment(at, ZoneInfo(person.timezone if person else self._timezone))


def _part(
    approval: Approval, item: int, reviewer: str, form: Mapping[str, str], name: Callable[[str], str]
) -> Part:
    stands = approval.standings[item - 1]
    is_open = approval.state is State.OPEN
    approved = reviewer in stands.approvers
    offered = approval.offers_for(item) - ({Verdict.APPROVE} if approved else set())
    waits = item in approval.undecided
    return Part(
        item=item,
        summary=one_line(approval.items[item - 1].summary),
        standing=standing(stands, name, is_open=is_open),
        choices=tuple(verdict.value for verdict in Verdict if verdict in offered) if waits else (),
        is_asked=waits and not approved,
        chosen=form.get(forms.choice_name(item), ""),
        comment=form.get(forms.comment_name(item), ""),
    )


def _edit_counts(approval: Approval, candidate: Approval, reviewer: str) -> bool:
    """Whether confirming also approves: by the old rule and by the one that the edit brings about."""
    rule = candidate.rule
    allowed = approval.rule.edit_approves and rule.edit_approves
    return allowed and reviewer in candidate.reviewers and Channel.LINK in rule.channels


def _choices(approval: Approval, *, voted: bool) -> tuple[str, ...]:
    """List what the reviewer can still say: after approving, to take it back or to ask for changes."""
    offered = approval.offers - ({Verdict.APPROVE} if voted else set())
    return tuple(verdict.value for verdict in Verdict if verdict in offered)


def _entries(approval: Approval, filled: Filled) -> tuple[Entry, ...]:
    item = approval.items[0]
    names = [each.name for each in item.editable]
    return tuple(
        Entry(
            label=_label(each.name),
            name=forms.edit_name(each),
            text=filled.form.get(
                forms.edit_name(each), forms.as_text(each, item.action.parameters.get(each.name))
            ),
            is_list=isinstance(item.action.parameters.get(each.name), list | tuple),
            problems=tuple(
                one_line(problem) for problem in filled.problems if each.name in _about(problem, names)
            ),
        )
        for each in item.editable
    )


def _about(problem: str, names: Sequence[str]) -> set[str]:
    """Find the fields that a problem begins with: `to, cc: 21 recipients`, or `subject must be text`."""
    head = problem.partition(":")[0].split(", ") if ":" in problem else problem.split()[:1]
    return set(head) & set(names)


def _label(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _changes(old: Approval | None, new: Approval) -> tuple[Edited, ...]:
    """Word the difference between two questions, labelled like the facts."""
    if old is None:
        return ()
    found = map(edited, diff(old.items[0].action, new.items[0].action))
    return tuple(Edited(_label(change.label), change.lines) for change in found)


def _notes(approval: Approval) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(item.note.split("\n")) for item in approval.items if item.note)


def _outcome(case: Case) -> str:
    """Say in a word how far an approved action has come."""
    if case.approval.state is not State.APPROVED:
        return ""
    if case.action is not None:
        return _SETTLED.get(case.action.state, "on-its-way")
    if case.thread.state in _STOPPED:
        return "stopped"
    return "told" if is_foreign(case.approval.dialect) else "on-its-way"


def _withdrawn(tx: Transaction, approval: Approval) -> Mapping[str, str]:
    facts = [fact for fact in tx.facts_about(approval.id) if fact.kind == Withdrawn.__name__]
    data: Mapping[str, str] = json.loads(facts[-1].data) if facts else {}
    return data
