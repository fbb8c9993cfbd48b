"""Say what a letter is about in plain values: the only things that a template can print."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from difflib import SequenceMatcher
from typing import Any, Literal

from gateway.core import mailto
from gateway.core.action import Change, Field, FieldType
from gateway.core.approval import Approval, Channel, Standing, State, Verdict, Vote
from gateway.core.effects import Letter
from gateway.core.payload import is_foreign
from gateway.core.times import moment, period
from gateway.core.visible import one_line
from gateway.letters.stationery import Letterhead, Posting, Row

SUBJECT_LENGTH = 90
"""Characters of a subject, with the `Re: ` of a follow-up."""

_PREVIEW_LENGTH = 200
_SAMPLES: Mapping[FieldType, str] = {
    FieldType.STRING: "new text",
    FieldType.STRINGS: "first, second",
    FieldType.INTEGER: "12",
    FieldType.NUMBER: "12.5",
    FieldType.BOOLEAN: "true",
    FieldType.JSON: '{"name": "value"}',
}
_MATCHED_LINES = 200
_DETAILS: Mapping[str, Any] = {
    "answer": "",
    "result": "",
    "state": "",
    "by": "",
    "at": None,
    "comment": "",
    "message_id": "",
    "reason": "",
    "line": None,
    "problems": (),
    "what": "",
    "next": "",
    "facts": {},
}
CHANNELS: Mapping[Channel, str] = {
    Channel.REPLY: "by reply",
    Channel.LINK: "on the decision page",
    Channel.CLI: "on the command line",
    Channel.API: "through the API",
    Channel.POLICY: "by policy",
}
"""The doors, as they are called in letters and on pages."""
_DECIDED = frozenset({State.APPROVED, State.REJECTED, State.ANSWERED, State.DECIDED})
_WORDS: Mapping[Verdict, str] = {
    Verdict.APPROVE: "approved",
    Verdict.REJECT: "rejected",
    Verdict.RESPOND: "answered in words",
}


@dataclass(frozen=True, slots=True)
class Content:
    """Everything that one copy of a letter is made of."""

    letter: Letter
    approval: Approval | None
    posting: Posting
    rows: tuple[Row, ...]
    details: Mapping[str, Any]
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class Edited:
    """The lines that an edit took away (`-`) and put in (`+`) under one label."""

    label: str
    lines: tuple[tuple[Literal["-", "+"], str], ...]


@dataclass(frozen=True, slots=True)
class Answers:
    """The ways in which a reviewer may answer; None is a way that the rule does not take."""

    approve: str | None
    reject: str | None
    modify: str | None
    responds: bool
    """Whether any other words are passed to the agent as the answer."""
    page: str | None
    reference: str | None
    editable: tuple[str, ...]
    example: str
    """A line that changes a field, to explain an edit with."""
    each: bool
    """Whether single items of several may be answered by their numbers."""
    limits: tuple[str, ...]
    """Which items do not take one of the words."""


def context(letterhead: Letterhead, content: Content) -> dict[str, Any]:
    """Return the names that the templates of this letter may use.

    Raises:
        ValueError: the recipient's time zone is not known.
    """
    told = {name: content.details.get(name, missing) for name, missing in _DETAILS.items()}
    details = {**told, **_decision(content.approval, told)}
    subject = _subject(letterhead, content, details)
    facts = tuple(Row(label, str(value)) for label, value in _facts(content, details) if value)
    return {
        **details,
        "gateway": letterhead.name,
        "audience": content.posting.audience,
        "subject": subject,
        "rows": content.rows,
        "changes": tuple(map(edited, content.changes)),
        "facts": facts,
        "preview": _preview(facts, content.rows),
        "answers": _answers(letterhead, content, subject),
        "notes": _notes(content),
        **_question(content.approval, content.posting, details),
    }


def _decision(approval: Approval | None, told: Mapping[str, Any]) -> dict[str, Any]:
    """Say who decided, when and why, by what was told or else by the votes."""
    if approval is None or approval.state not in _DECIDED:
        return {}
    several = len(approval.items) > 1
    deciding = approval.votes if several or approval.state is State.APPROVED else approval.votes[-1:]
    return {
        "by": told["by"] or ", ".join(dict.fromkeys(vote.by for vote in deciding)),
        "at": told["at"] or approval.decided_at,
        # Of several items each has its own.
        "comment": told["comment"] or ("" if several else approval.reason),
    }


def _question(approval: Approval | None, posting: Posting, details: Mapping[str, Any]) -> dict[str, Any]:
    if approval is None:
        nothing = {"number": "", "risk": "", "requester": "", "summary": ""}
        return {**nothing, "by_agent": False, "several": False, "undecided": ""}
    return {
        "number": approval.id,
        "risk": approval.risk.value,
        "requester": approval.requester,
        "summary": _summary(approval),
        "by_agent": is_foreign(approval.dialect),
        "several": len(approval.items) > 1,
        "undecided": ", ".join(map(str, approval.undecided)),
        "quorum": approval.rule.quorum,
        "given": len({vote.by for vote in approval.votes}),
        "successor": approval.replaced_by,
        "expires": _stamp(approval.expires_at, posting),
        "state": details["state"] or approval.state.value,
    }


def _notes(content: Content) -> tuple[str, ...]:
    """Take the agent's words only where they are asked about, and only as notes: they are no facts."""
    asked = content.approval.items if content.approval and content.letter is Letter.ASK else ()
    return tuple(item.note for item in asked if item.note)


def _subject(letterhead: Letterhead, content: Content, details: Mapping[str, Any]) -> str:
    """Word the subject of a thread: one for all its letters, or mail programs split the thread.

    Only reviewers are asked; requesters are told, and operators have something to do.
    """
    approval = content.approval
    number = f" [#{approval.id}]" if approval else ""
    if approval is None or content.letter is Letter.ALERT:
        return _fitted(f"[{one_line(letterhead.name)}] ", one_line(str(details["what"])), number)
    if content.posting.audience == "requester":
        return _fitted("About your request: ", _summary(approval), number)
    return _fitted(f"[{approval.risk.upper()}] Approve? ", _summary(approval), number)


def _fitted(before: str, text: str, after: str) -> str:
    return before + _cut(text, SUBJECT_LENGTH - len(f"Re: {before}{after}")) + after


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1].rstrip()}…"


def _summary(approval: Approval) -> str:
    summaries = [one_line(item.summary) for item in approval.items]
    return summaries[0] if len(summaries) == 1 else f"{len(summaries)} actions: {'; '.join(summaries)}"


def _preview(facts: Iterable[Row], rows: Iterable[Row]) -> str:
    """Put the deadline and the short facts on the line that a mail program shows below the subject."""
    deadline = (f"{fact.label} {fact.value}." for fact in facts if fact.label == "Expires")
    return _cut(
        " ".join((*deadline, *(f"{row.label}: {row.value}." for row in rows if not row.block))),
        _PREVIEW_LENGTH,
    )


# --- facts, by letter -------------------------------------------------------------------------------------


def _facts(content: Content, details: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    approval = content.approval
    action = [("Action", _summary(approval)), ("Asked by", approval.requester)] if approval else []
    match content.letter, approval:
        case Letter.ALERT, _:
            return (*action, *details["facts"].items())
        case Letter.ASK | Letter.UNCLEAR, Approval():
            return (*_question_facts(approval, content.posting), *_item_facts(approval))
        case Letter.COMMENT, Approval():
            said = (("Comment by", details["by"]), ("Comment", details["comment"]))
            return (*action, *said, ("Expires", _stamp(approval.expires_at, content.posting)))
        case Letter.RECEIPT, Approval():
            return (action[0], *_vote_facts(approval, content.posting), *_item_facts(approval))
        case Letter.EXPIRED, Approval():
            return (*action, ("Expired", _stamp(approval.expires_at, content.posting)))
        case Letter.WITHDRAWN, Approval(state=State.SUPERSEDED):
            return action
        case Letter.WITHDRAWN, Approval():
            return (*action, ("Withdrawn by", details["by"]), ("Reason", details["reason"]))
        case Letter.OUTCOME, Approval():
            told = (("Result", details["answer"]), ("Message-ID", details["message_id"]))
            return (*action, *_decision_facts(content.posting, details), *told, *_item_facts(approval))
        case Letter.ALREADY_DECIDED, Approval():
            decided = _decision_facts(content.posting, details)
            return (action[0], *decided, *_item_facts(approval))
    raise ValueError(f"a letter of the kind {content.letter} needs an approval")


def _question_facts(approval: Approval, posting: Posting) -> Iterable[tuple[str, Any]]:
    left = approval.expires_at - posting.date
    rest = f", in {period(left)}" if approval.expires_at > posting.date else ""
    yield "Asked by", approval.requester
    yield "Agent", approval.graph
    yield "Risk", approval.risk
    yield "Expires", _stamp(approval.expires_at, posting) + rest
    if approval.rule.quorum > 1:
        each = " of each" if len(approval.items) > 1 else ""
        yield "Needs", f"{approval.rule.quorum} approvals{each} by different people"


def _vote_facts(approval: Approval, posting: Posting) -> Iterable[tuple[str, Any]]:
    own = [vote for vote in approval.votes if vote.by == posting.to.email]
    if own:
        last = own[-1]
        given = [vote for vote in own if vote.at == last.at]
        yield "Your answer", f"{', '.join(map(_answered, given))}, {CHANNELS[last.channel]}"
        yield "Recorded", _stamp(last.at, posting)
        # What was said about single items stands with them.
        yield "Your comment", last.comment if last.item is None else ""


def _answered(vote: Vote) -> str:
    return f"{vote.item} {vote.verdict.upper()}" if vote.item else vote.verdict.upper()


def _item_facts(approval: Approval) -> Iterable[tuple[str, str]]:
    """Say how each of several items stands, once one of them is decided or on its way there."""
    if len(approval.items) == 1 or not approval.votes:
        return
    is_open = approval.state is State.OPEN
    for n, (item, each) in enumerate(zip(approval.items, approval.standings, strict=True), start=1):
        yield f"Item {n}", f"{one_line(item.summary)}: {standing(each, is_open=is_open)}"


def standing(item: Standing, name: Callable[[str], str] = str, *, is_open: bool) -> str:
    """Word what was decided about an item, by whom and why; `name` says what a voter is called."""
    people = ", ".join(map(name, item.approvers))
    match item.verdict:
        case None if not is_open:
            return "not decided"
        case None:
            return f"still undecided, approved so far by {people}" if people else "still undecided"
        case Verdict.APPROVE:
            said = f"approved by {people}"
        case verdict:
            said = f"{_WORDS[verdict]} by {name(item.votes[-1].by)}"
    return f"{said}: {one_line(item.reason)}" if item.reason else said


def _decision_facts(posting: Posting, details: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    yield "Decided by", details["by"]
    yield "Decided", _stamp(details["at"], posting)
    yield "Comment", details["comment"]


def _stamp(when: datetime | str | None, posting: Posting) -> str:
    """Word a moment; details that were kept as JSON have it as text."""
    if when is None:
        return ""
    return moment(datetime.fromisoformat(when) if isinstance(when, str) else when, posting.to.zone)


# --- changes and answers ----------------------------------------------------------------------------------


def edited(change: Change) -> Edited:
    """Word a change as the lines that went and came."""
    old, new = _different(_lines(change.old), _lines(change.new))
    lines: list[tuple[Literal["-", "+"], str]] = []
    for old_from, old_to, new_from, new_to in _blocks(old, new):
        lines += [("-", line) for line in old[old_from:old_to]]
        lines += [("+", line) for line in new[new_from:new_to]]
    return Edited(change.field, tuple(lines))


def _different(old: list[str], new: list[str]) -> tuple[list[str], list[str]]:
    """Leave away the lines that both texts begin and end with."""
    same = next(
        (n for n, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new))
    )
    old, new = old[same:], new[same:]
    backwards = zip(reversed(old), reversed(new), strict=False)
    same = next((n for n, (a, b) in enumerate(backwards) if a != b), min(len(old), len(new)))
    return old[: len(old) - same], new[: len(new) - same]


def _blocks(old: list[str], new: list[str]) -> Iterable[tuple[int, int, int, int]]:
    """Yield where lines went and came; the time to match them grows with the cube of their number."""
    if max(len(old), len(new)) > _MATCHED_LINES:
        yield 0, len(old), 0, len(new)
        return
    for tag, *block in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag != "equal":
            old_from, old_to, new_from, new_to = block
            yield old_from, old_to, new_from, new_to


def _lines(value: Any) -> list[str]:
    match value:
        case None:
            return []
        case str():
            return value.split("\n")
        case list() | tuple():
            return [line for part in value for line in _lines(part)]
        case _:
            return [json.dumps(value, ensure_ascii=False)]


def _answers(letterhead: Letterhead, content: Content, subject: str) -> Answers | None:
    approval, handle = content.approval, content.posting.reply_handle
    asks = content.letter in {Letter.ASK, Letter.UNCLEAR, Letter.COMMENT}
    if approval is None or handle is None or not asks or approval.state is not State.OPEN:
        return None
    address, title = letterhead.reply_address(handle), f"Re: {subject}"
    by_reply, by_link = (door in approval.rule.channels for door in (Channel.REPLY, Channel.LINK))
    reference = letterhead.reference(handle) if by_reply else None
    page = content.posting.link_handle if by_link else None
    # As a signature, the reference is not taken for something that the reviewer says.
    closing = ("", "-- ", f"ref: {reference}") if reference else ()
    offers = approval.offers
    fields = approval.items[0].editable if Verdict.MODIFY in offers else ()
    edit = mailto.Form("MODIFY", fields, approval.items[0].action.parameters, closing)
    return Answers(
        approve=_word(address, title, "APPROVE", closing) if by_reply and Verdict.APPROVE in offers else None,
        reject=_word(address, title, "REJECT", closing) if by_reply and Verdict.REJECT in offers else None,
        modify=mailto.prefilled(address, title, edit) if by_reply and fields else None,
        responds=by_reply and Verdict.RESPOND in offers,
        page=letterhead.page(page) if page else None,
        reference=reference,
        editable=tuple(field.name for field in fields),
        example=_example(fields),
        each=by_reply and len(approval.items) > 1,
        limits=tuple(_limits(approval)),
    )


def _limits(approval: Approval) -> Iterable[str]:
    """Name the items that do not take a word that decides others."""
    for n in approval.undecided if len(approval.items) > 1 else ():
        missing = {Verdict.APPROVE, Verdict.REJECT} - approval.offers_for(n)
        yield from (f"{n} takes no {verdict.upper()}" for verdict in sorted(missing))


def _word(address: str, title: str, word: str, closing: Iterable[str]) -> str:
    return mailto.link(address, title, [word, "", *closing])


def _example(fields: Iterable[Field]) -> str:
    """Write a line that changes a field, a text if there is one."""
    ordered = sorted(fields, key=lambda field: field.type is not FieldType.STRING)
    return f"{ordered[0].name}: {_SAMPLES[ordered[0].type]}" if ordered else ""
