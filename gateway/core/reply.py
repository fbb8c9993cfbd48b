"""What a mail says about an approval: approve, reject, modify, or nothing that can be acted on.

The verb stands on the first line or nowhere. Under APPROVE may stand what leaves it as it is, and nothing
else; under the others the rest is their reason or their edits. What is not understood decides nothing.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from gateway.core import automatic, edits, fresh, grammar, markup, signature, tokens
from gateway.core.action import Field
from gateway.core.fresh import Fresh
from gateway.core.grammar import Verb
from gateway.core.mail import Mail, MailError, TooLargeError, headers, parse


class Said(StrEnum):
    """What the mail amounts to. UNCLEAR deserves a question back, IGNORED does not."""

    APPROVE = "approve"
    REJECT = "reject"
    MODIFY = "modify"
    UNCLEAR = "unclear"
    IGNORED = "ignored"


class Reason(StrEnum):
    """Why it was read so."""

    CLEAR = "clear"
    NO_VERB = "no-verb"
    EXTRA_WORDS = "extra-words"
    HEDGED = "hedged"
    TWO_VERBS = "two-verbs"
    FIELD_LINES = "field-lines"
    HIDDEN = "hidden"
    FORWARDED = "forwarded"
    BELOW_QUOTE = "below-quote"
    QUOTED_ONLY = "quoted-only"
    EMPTY = "empty"
    NO_TEXT = "no-text"
    HTML_ONLY = "html-only"
    DISAGREE = "disagree"
    ENCRYPTED = "encrypted"
    UNDECODABLE = "undecodable"
    TOO_LARGE = "too-large"
    NO_FIELD = "no-field"
    UNKNOWN_FIELD = "unknown-field"
    REPEATED_FIELD = "repeated-field"
    AUTOMATIC = "automatic"
    BOUNCE = "bounce"
    REACTION = "reaction"
    CALENDAR = "calendar"


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What is known of the question that a mail may answer."""

    fields: tuple[Field, ...] = ()
    """What its reviewers may change."""


NO_CONTEXT = Context()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a mail was understood as, and from which line."""

    said: Said
    reason: Reason
    line: str | None = None
    """The line that was read for a verb."""
    comment: str | None = None
    edits: Mapping[str, Any] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    """What is wrong with a MODIFY, in sentences for its writer."""
    automatic: bool = False
    """No person wrote it, so nothing is to be sent in answer."""


def read(raw: bytes, context: Context = NO_CONTEXT) -> Reading:
    """Read a mail as the answer to the approval of `context`. Never raises."""
    try:
        return _read(parse(raw), context.fields)
    except TooLargeError:
        return _unclear(Reason.TOO_LARGE)
    except MailError:
        return _unclear(Reason.UNDECODABLE)


def handles(raw: bytes) -> tuple[str, ...]:
    """List what may be handles in a mail, likeliest first, in lower case; each still has to be verified."""
    try:
        found = [*_addressed(raw), *_written(raw)]
    except MailError:
        return ()
    return tuple(dict.fromkeys(handle.lower() for handle in found))[:MAX_HANDLES]


def message_id(raw: bytes) -> str | None:
    """Return the Message-ID with its angle brackets; None unless there is exactly one of usual form."""
    try:
        values = [header.value for header in headers(raw) if header.name == "message-id"]
    except TooLargeError:
        return None
    return values[0] if len(values) == 1 and _MESSAGE_ID.fullmatch(values[0]) else None


MAX_HANDLES = 20
_NOTHING = grammar.Opening(None, "")
_DECISIONS = {Verb.APPROVE: Said.APPROVE, Verb.REJECT: Said.REJECT, Verb.MODIFY: Said.MODIFY}
_ENCRYPTED = frozenset(
    {"multipart/encrypted", "application/pkcs7-mime", "application/x-pkcs7-mime", "application/pgp-encrypted"}
)
_PGP_MESSAGE = "-----BEGIN PGP MESSAGE-----"
_FORWARD_SUBJECT = re.compile(r"\s*(?:fwd?|wg|tr|rv|i|enc|doorst)\s*:", re.IGNORECASE)
_HANDLE = tokens.PATTERN.pattern
_IN_ADDRESS = re.compile(rf"\+({_HANDLE})(?=@)", re.IGNORECASE)
_IN_ID = re.compile(rf"<({_HANDLE})\.[^<>@\s]{{1,64}}@", re.IGNORECASE)
_IN_BODY = re.compile(
    rf"^[ \t>|]{{0,20}}ref:[ \t]{{0,5}}({_HANDLE})[ \t]{{0,5}}$", re.IGNORECASE | re.MULTILINE
)
_IN_SUBJECT = re.compile(rf"\bref:[ \t]{{0,5}}({_HANDLE})(?![a-z0-9])", re.IGNORECASE)
_ADDRESSES = ("to", "cc", "delivered-to", "x-original-to", "envelope-to")
_IDS = ("in-reply-to", "references")
_SUBJECT = ("subject",)
_MESSAGE_ID = re.compile(r"<[!-;=?-~]{1,250}>")


def _unclear(reason: Reason) -> Reading:
    return Reading(said=Said.UNCLEAR, reason=reason)


def _ignored(reason: Reason, *, automatic: bool = False) -> Reading:
    return Reading(said=Said.IGNORED, reason=reason, automatic=automatic)


def _read(mail: Mail, fields: Sequence[Field]) -> Reading:
    machine = automatic.classify(mail)
    if machine:
        return _ignored(Reason(machine), automatic=True)
    text, html = mail.text or "", markup.to_text(mail.html or "")
    if not _ENCRYPTED.isdisjoint(mail.kinds) or text.lstrip().startswith(_PGP_MESSAGE):
        return _unclear(Reason.ENCRYPTED)
    if not text.strip():
        return _without_text(mail, html)
    reading = _judge(mail, text, fields)
    if mail.html is None or reading.said is Said.UNCLEAR or reading.automatic:
        return reading
    return reading if _agree(reading, _judge(mail, html, fields)) else _disagreement(reading)


def _without_text(mail: Mail, html: str) -> Reading:
    if html.strip():
        return _unclear(Reason.HTML_ONLY)
    if automatic.has_reaction_subject(mail):
        return _ignored(Reason.REACTION, automatic=True)
    return _unclear(Reason.NO_TEXT)


def _divided(mail: Mail, text: str) -> Fresh:
    divided = fresh.split(text)
    subject = next(iter(mail.values("subject")), "")
    return replace(divided, forwarded=divided.forwarded or bool(_FORWARD_SUBJECT.match(subject)))


def _judge(mail: Mail, body: str, fields: Sequence[Field]) -> Reading:
    text = _divided(mail, body)
    opening = grammar.opening(text.lines[0]) if text.lines else _NOTHING
    if automatic.says_absent(text.lines) and not _is_clean_change(opening):
        return _ignored(Reason.AUTOMATIC, automatic=True)
    if not text.lines and automatic.has_reaction_subject(mail):
        return _ignored(Reason.REACTION, automatic=True)
    if not text.lines or grammar.is_parting(text.lines[0]):
        return _nothing_said(text)
    if opening.verb is None or opening.flaw:
        return _no_decision(text, opening)
    if text.forwarded:
        return replace(_unclear(Reason.FORWARDED), line=text.lines[0])
    return _decision(text, opening, opening.verb, fields, signature.author(mail))


def _is_clean_change(opening: grammar.Opening) -> bool:
    """Whether a person asked for something whose words may well be about an absence."""
    return opening.verb in {Verb.MODIFY, Verb.REJECT} and opening.flaw is None


def _decision(
    text: Fresh, opening: grammar.Opening, verb: Verb, fields: Sequence[Field], writer: frozenset[str]
) -> Reading:
    line, *below = text.lines
    if verb is Verb.MODIFY:
        return _modify(line, (opening.rest, *below), fields)
    doubt = _doubt(verb, text) or (_not_only_approved(text, fields, writer) if verb is Verb.APPROVE else None)
    if doubt:
        return replace(_unclear(doubt), line=line)
    remarks = signature.divide(below, writer).remarks if verb is Verb.APPROVE else below
    comment = _comment((opening.rest, *remarks))
    return Reading(said=_DECISIONS[verb], reason=Reason.CLEAR, line=line, comment=comment)


def _nothing_said(text: Fresh) -> Reading:
    if any(not grammar.is_courtesy(line) for line in text.below):
        return _unclear(Reason.BELOW_QUOTE)
    return _ignored(Reason.QUOTED_ONLY if text.quoted else Reason.EMPTY)


def _no_decision(text: Fresh, opening: grammar.Opening) -> Reading:
    line = text.lines[0]
    if opening.verb is None and text.forwarded:
        return replace(_ignored(Reason.FORWARDED), line=line)
    reason = Reason(opening.flaw or grammar.Flaw.NO_VERB)
    if opening.verb and grammar.other_verb(opening.verb, text.lines):
        reason = Reason.TWO_VERBS
    elif opening.verb and grammar.hedged(opening.verb, text.lines):
        reason = Reason.HEDGED
    return replace(_unclear(reason), line=line)


def _doubt(verb: Verb, text: Fresh) -> Reason | None:
    """Ask whether anything the writer typed, below quotes too, takes the verb back."""
    typed = (*text.lines, *text.below)
    if grammar.other_verb(verb, typed):
        return Reason.TWO_VERBS
    return Reason.HEDGED if verb is Verb.REJECT and grammar.hedged(verb, typed) else None


def _not_only_approved(text: Fresh, fields: Sequence[Field], writer: frozenset[str]) -> Reason | None:
    """Ask whether under APPROVE stands anything besides courtesies, assent and a signature."""
    parts = [signature.divide(lines, writer) for lines in (text.lines[1:], text.below)]
    remarks = [line for part in parts for line in part.remarks]
    signed = [*(line for part in parts for line in part.signature), *text.signature]
    if any(edits.is_field_line(line, fields) for line in remarks):
        return Reason.FIELD_LINES
    if any(edits.names_field(line, fields) for line in signed):
        return Reason.FIELD_LINES
    if grammar.hedged(Verb.APPROVE, (text.lines[0], *remarks)) or any(map(grammar.is_strong, signed)):
        return Reason.HEDGED
    if not all(map(grammar.is_assent, remarks)):
        return Reason.EXTRA_WORDS
    signatures = all(signature.is_signature(part.signature) for part in parts)
    return None if signatures and signature.is_brief(text.signature) else Reason.EXTRA_WORDS


def _modify(line: str, lines: Sequence[str], fields: Sequence[Field]) -> Reading:
    asked = edits.read((lines[0].lstrip(" \t:.,!-"), *lines[1:]), fields)
    changeable = ", ".join(each.name for each in fields) or "nothing"
    problems = [f"{name} cannot be changed; you can change {changeable}" for name in asked.unknown]
    problems += [f"{name} is given more than once" for name in asked.repeated]
    if not problems and not asked.values:
        problems.append(f"no field is named; you can change {changeable}")
    if problems:
        reason = (
            Reason.UNKNOWN_FIELD
            if asked.unknown
            else Reason.REPEATED_FIELD
            if asked.repeated
            else Reason.NO_FIELD
        )
        return Reading(said=Said.UNCLEAR, reason=reason, line=line, problems=tuple(problems))
    return Reading(
        said=Said.MODIFY, reason=Reason.CLEAR, line=line, edits=asked.values, comment=_comment(asked.remarks)
    )


def _comment(lines: Sequence[str]) -> str | None:
    """Return what was said besides the verb: no courtesies, no farewell, nothing under it."""
    end = next((index for index, line in enumerate(lines) if grammar.is_parting(line)), len(lines))
    said = "\n".join("" if grammar.is_courtesy(line) else line.rstrip() for line in lines[:end])
    return said.strip().lstrip("-\N{EN DASH}\N{EM DASH}:.,;! ") or None


def _agree(one: Reading, other: Reading) -> bool:
    """Compare what text and HTML say; their line breaks differ in every client, so blanks do not count."""
    return one.said is other.said and _squeezed(one.edits) == _squeezed(other.edits)


def _disagreement(reading: Reading) -> Reading:
    return replace(_unclear(Reason.DISAGREE), line=reading.line)


def _squeezed(values: Mapping[str, Any]) -> dict[str, list[str]]:
    return {name: str(value).split() for name, value in values.items()}


def _addressed(raw: bytes) -> Iterator[str]:
    lines = headers(raw)
    for names, pattern in ((_ADDRESSES, _IN_ADDRESS), (_IDS, _IN_ID), (_SUBJECT, _IN_SUBJECT)):
        for name in names:
            for header in lines:
                if header.name == name:
                    yield from pattern.findall(header.value)


def _written(raw: bytes) -> list[str]:
    try:
        return _IN_BODY.findall(parse(raw).text or "")
    except MailError:
        return []
