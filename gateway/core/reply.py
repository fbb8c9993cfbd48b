"""What a mail says about an approval: approve, reject, modify, or nothing that can be acted on.

The verb stands on the first line or nowhere. Under APPROVE may stand what leaves it as it is, and nothing
else; under the others the rest is their reason or their edits. What is not understood decides nothing.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from gateway.core import automatic, ballots, edits, fresh, grammar, markup, signature, tokens
from gateway.core.action import Field
from gateway.core.fresh import Fresh
from gateway.core.mail import Mail, MailError, TooLargeError, headers, parse
from gateway.core.vocabulary import Verb, Vocabulary, vocabulary


class Said(StrEnum):
    """What the mail amounts to. UNCLEAR deserves a question back, IGNORED does not."""

    APPROVE = "approve"
    REJECT = "reject"
    MODIFY = "modify"
    EACH = "each"
    """Some of several items, each with its own word; see `Reading.items`."""
    RESPOND = "respond"
    """A comment or a question that decides nothing."""
    UNCLEAR = "unclear"
    IGNORED = "ignored"


class Reason(StrEnum):
    """Why it was read so."""

    CLEAR = "clear"
    COMMENT = "comment"
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
    DISAGREE = "disagree"
    ENCRYPTED = "encrypted"
    UNDECODABLE = "undecodable"
    TOO_LARGE = "too-large"
    NO_FIELD = "no-field"
    UNKNOWN_FIELD = "unknown-field"
    REPEATED_FIELD = "repeated-field"
    BAD_VALUE = "bad-value"
    EDITED_COPY = "edited-copy"
    MIXED_ITEMS = "mixed-items"
    UNKNOWN_ITEM = "unknown-item"
    REPEATED_ITEM = "repeated-item"
    ITEM_EDIT = "item-edit"
    AUTOMATIC = "automatic"
    BOUNCE = "bounce"
    REACTION = "reaction"
    CALENDAR = "calendar"


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What is known of the question that a mail may answer."""

    fields: tuple[Field, ...] | None = ()
    """What its reviewers may change; None where that is not known, and any name may be one."""
    values: Mapping[str, Any] = field(default_factory=dict)
    """What the fields hold now."""
    languages: tuple[str, ...] = ()
    """The languages whose verbs count besides English, as ISO 639-1 codes."""
    words: tuple[tuple[str, Verb], ...] = ()
    """The operator's own words for the verbs."""
    letters: tuple[str, ...] = ()
    """The texts of the letters that may be answered and quoted; none where they are not known."""
    items: int = 1
    """How many items are decided; a line with an item's number counts only where it is more than one."""
    takes_words: bool = False
    """Whether the question takes an answer in words besides a decision."""

    @property
    def vocabulary(self) -> Vocabulary:
        """The words that decide."""
        return vocabulary(self.languages, self.words)


NO_CONTEXT = Context()


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemSaid:
    """What a mail says about one item, counted from 1: APPROVE or REJECT, and why."""

    item: int
    said: Said
    comment: str | None = None


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
    items: tuple[ItemSaid, ...] = ()
    """What it says about single items, with EACH; those that are left out are not spoken of."""


def read(raw: bytes, context: Context = NO_CONTEXT) -> Reading:
    """Read a mail as the answer to the approval of `context`. Never raises."""
    try:
        return _read(parse(raw), context)
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
_PGP_SIGNED = re.compile(
    r"\s*-----BEGIN PGP SIGNED MESSAGE-----\n(?:Hash:[^\n]*\n)*\n(?P<text>.*?)"
    r"\n-----BEGIN PGP SIGNATURE-----\n.*?-----END PGP SIGNATURE-----(?P<below>.*)",
    re.DOTALL,
)
# What senders of HTML put where the text should be.
_STUB = re.compile(
    r"(?:\[?(?:this (?:is an? )?(?:e-?mail|message)|your (?:e-?mail|mail) (?:client|program|reader))\b"
    r"[^\n]{0,80}\b(?:html|multi-?part|mime)\b[^\n]{0,160}|&nbsp;|\[image: [^\]\n]*\])",
    re.IGNORECASE,
)
_REPLY_SUBJECT = re.compile(
    r"\s*(?:re|aw|sv|antw?|odp|ynt|回复|回覆|答复|返信|vs|r)(?:\[\d+\])?\s*[:\uff1a]", re.IGNORECASE
)
_FIELD_REASONS = (Reason.UNKNOWN_FIELD, Reason.REPEATED_FIELD, Reason.BAD_VALUE, Reason.NO_FIELD)
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


def _read(mail: Mail, context: Context) -> Reading:
    machine = automatic.classify(mail)
    if machine:
        return _ignored(Reason(machine), automatic=True)
    text, html = _signed(mail.text or ""), markup.to_text(mail.html or "")
    if not _ENCRYPTED.isdisjoint(mail.kinds) or text.lstrip().startswith(_PGP_MESSAGE):
        return _unclear(Reason.ENCRYPTED)
    if not text.strip() or (html.strip() and _STUB.fullmatch(text.strip())):
        return _judge(mail, html, context) if html.strip() else _without_text(mail)
    reading = _judge(mail, text, context)
    if mail.html is None or reading.said is Said.UNCLEAR or reading.automatic:
        return reading
    return reading if _agree(reading, _judge(mail, html, context)) else _disagreement(reading)


def _signed(text: str) -> str:
    """Take the text out of its OpenPGP clear signature (RFC 9580, section 7)."""
    match = _PGP_SIGNED.match(text)
    return re.sub(r"(?m)^- ", "", match["text"]) + "\n" + match["below"] if match else text


def _without_text(mail: Mail) -> Reading:
    if automatic.has_reaction_subject(mail):
        return _ignored(Reason.REACTION, automatic=True)
    return _unclear(Reason.NO_TEXT)


def _divided(mail: Mail, text: str, letters: Sequence[str]) -> Fresh:
    """Divide the body; a forward is one by its subject, or by its form where the mail is no answer."""
    divided = fresh.split(text, letters)
    subject = next(iter(mail.values("subject")), "")
    answers = bool(_REPLY_SUBJECT.match(subject) and mail.values("in-reply-to"))
    forwarded = bool(_FORWARD_SUBJECT.match(subject)) or (divided.forwarded and not answers)
    return replace(divided, forwarded=forwarded)


def _judge(mail: Mail, body: str, context: Context) -> Reading:
    if context.items > 1:
        body = ballots.set_apart(body, context.vocabulary)
    whole = _divided(mail, body, context.letters)
    text = _past_greeting(whole, context)
    opening = grammar.opening(text.lines[0], context.vocabulary) if text.lines else _NOTHING
    if automatic.says_absent(whole.lines) and not _is_clean_change(opening):
        return _ignored(Reason.AUTOMATIC, automatic=True)
    if not text.lines and automatic.has_reaction_subject(mail):
        return _ignored(Reason.REACTION, automatic=True)
    if not text.lines or grammar.is_parting(text.lines[0]):
        return _nothing_said(text)
    if context.items > 1 and (reading := _of_several(mail, text, opening, context)):
        return reading
    if opening.verb is None or opening.flaw:
        return _no_decision(text, opening, context, signature.author(mail))
    if text.forwarded:
        return replace(_unclear(Reason.FORWARDED), line=text.lines[0])
    return _decision(text, opening, opening.verb, context, signature.author(mail))


def _past_greeting(text: Fresh, context: Context) -> Fresh:
    """Skip a greeting that stands above a verb; above anything else it belongs to what is said."""
    at = 0
    while at < len(text.lines) and (not text.lines[at].strip() or _only_calls(text.lines[at])):
        at += 1
    if 0 < at < len(text.lines) and _decides(text.lines[at], context):
        return replace(text, lines=text.lines[at:])
    return text


def _decides(line: str, context: Context) -> bool:
    known = context.vocabulary
    numbered = context.items > 1 and ballots.is_numbered(line, known)
    return numbered or grammar.opening(line, known).verb is not None


def _of_several(mail: Mail, text: Fresh, opening: grammar.Opening, context: Context) -> Reading | None:
    """Read an answer item by item; None where a word for all, or nothing that decides, stands there."""
    line, writer = text.lines[0], signature.author(mail)
    if any(ballots.is_numbered(each, context.vocabulary) for each in text.lines):
        return _each(text, context, writer)
    if opening.verb is Verb.MODIFY:
        return replace(_unclear(Reason.ITEM_EDIT), line=line)
    about = (opening.rest, *signature.divide(text.lines[1:], writer).remarks)
    numbered = ballots.has_numbered_list(mail.html or "")
    if opening.verb and (numbered or any(ballots.names_item(each, context.items) for each in about)):
        return replace(_unclear(Reason.MIXED_ITEMS), line=line)
    return None


def _each(text: Fresh, context: Context, writer: frozenset[str]) -> Reading:
    """Judge each item's lines as if they were a mail of their own; a doubt about one is one about all."""
    found = ballots.divide(text.lines, context.vocabulary)
    flaw = ballots.flaw(found, context.items, writer, context.vocabulary)
    if text.forwarded or flaw:
        return replace(_unclear(Reason(flaw) if flaw else Reason.FORWARDED), line=text.lines[0])
    for beneath in ballots.beneath(found):
        below = replace(text, lines=("", *beneath))
        if doubt := _not_only_approved(below, "", context.fields or (), writer):
            return replace(_unclear(doubt), line=text.lines[0])
    said: list[ItemSaid] = []
    for part in found.numbered:
        alone = replace(text, lines=part.lines)
        if part.opening.verb is None or part.opening.flaw:
            return _no_decision(alone, part.opening, context, writer)
        reading = _decision(alone, part.opening, part.opening.verb, context, writer)
        if reading.said not in {Said.APPROVE, Said.REJECT}:
            return reading
        said.append(ItemSaid(item=part.item, said=reading.said, comment=reading.comment))
    return Reading(said=Said.EACH, reason=Reason.CLEAR, line=text.lines[0], items=tuple(said))


def _is_clean_change(opening: grammar.Opening) -> bool:
    """Whether a person asked for something whose words may well be about an absence."""
    return opening.verb in {Verb.MODIFY, Verb.REJECT} and opening.flaw is None


def _decision(
    text: Fresh, opening: grammar.Opening, verb: Verb, context: Context, writer: frozenset[str]
) -> Reading:
    line, *below = text.lines
    if verb is Verb.MODIFY:
        return _modify(text, opening.rest, context, writer)
    fields = context.fields or ()
    doubt = _doubt(verb, text)
    if verb is Verb.APPROVE and not doubt:
        quote = ballots.labelled(text.quote) if context.items > 1 else text.quote
        edited = text.copied or (text.ours and edits.is_edited(quote, fields, context.values))
        doubt = Reason.EDITED_COPY if edited else _not_only_approved(text, opening.rest, fields, writer)
    if doubt:
        return replace(_unclear(doubt), line=line)
    remarks = signature.divide(below, writer).remarks
    comment = _comment((opening.rest, *remarks))
    return Reading(said=_DECISIONS[verb], reason=Reason.CLEAR, line=line, comment=comment)


def _nothing_said(text: Fresh) -> Reading:
    if any(not grammar.is_courtesy(line) for line in text.below):
        return _unclear(Reason.BELOW_QUOTE)
    return _ignored(Reason.QUOTED_ONLY if text.quoted else Reason.EMPTY)


def _only_calls(line: str) -> bool:
    return grammar.is_greeting(line) or grammar.is_calling(line) or grammar.is_courtesy(line)


def _no_decision(text: Fresh, opening: grammar.Opening, context: Context, writer: frozenset[str]) -> Reading:
    line = text.lines[0]
    if opening.verb is None and text.forwarded:
        return replace(_ignored(Reason.FORWARDED), line=line)
    if opening.flaw is grammar.Flaw.NO_VERB:
        said = signature.divide((*text.lines, *text.below), writer).remarks
        if grammar.is_remark(said, context.vocabulary, is_asked_for=context.takes_words):
            return Reading(said=Said.RESPOND, reason=Reason.COMMENT, line=line, comment=_comment(said))
    reason = Reason(opening.flaw or grammar.Flaw.NO_VERB)
    if opening.verb and grammar.other_verb(opening.verb, text.lines):
        reason = Reason.TWO_VERBS
    elif opening.verb and grammar.hedged(opening.verb, text.lines):
        reason = Reason.HEDGED
    return replace(_unclear(reason), line=line)


def _doubt(verb: Verb, text: Fresh) -> Reason | None:
    """Ask whether anything the writer typed, below quotes too, takes the verb back."""
    if grammar.other_verb(verb, (*text.lines, *text.below)):
        return Reason.TWO_VERBS
    # Whatever is said below a quote, nobody is harmed by what is not done.
    return Reason.HEDGED if verb is Verb.REJECT and grammar.hedged(verb, text.lines[:1]) else None


def _not_only_approved(
    text: Fresh, rest: str, fields: Sequence[Field], writer: frozenset[str]
) -> Reason | None:
    """Ask whether beside or under APPROVE stands anything besides courtesies, assent and a signature."""
    parts = [signature.divide(lines, writer) for lines in (text.lines[1:], text.below)]
    remarks = [line for part in parts for line in part.remarks]
    signed = [*(line for part in parts for line in part.signature), *text.signature]
    if any(edits.is_field_line(line, fields) for line in remarks):
        return Reason.FIELD_LINES
    if any(edits.names_field(line, fields) for line in signed):
        return Reason.FIELD_LINES
    if grammar.hedged(Verb.APPROVE, (grammar.without_thanked(rest), *remarks)):
        return Reason.HEDGED
    if any(map(grammar.is_strong, signed)) or any(signature.sets_condition(line, writer) for line in signed):
        return Reason.HEDGED
    if not all(map(grammar.is_assent, remarks)):
        return Reason.EXTRA_WORDS
    signatures = all(signature.is_signature(part.signature) for part in parts)
    marked = signature.is_signature(text.signature, marked=True)
    return None if signatures and marked else Reason.EXTRA_WORDS


def _modify(text: Fresh, rest: str, context: Context, writer: frozenset[str]) -> Reading:
    line, *below = text.lines
    if grammar.other_verb(Verb.MODIFY, (rest.partition(":")[0], *text.below)):
        return replace(_unclear(Reason.TWO_VERBS), line=line)
    beside = "" if grammar.is_courtesy(rest.rstrip(" :")) else rest.lstrip(" \t:.,!-")
    asked = edits.read((beside, *below), context.fields, writer)
    if asked.values and any(edits.names_field(each, context.fields or ()) for each in text.below):
        return replace(_unclear(Reason.BELOW_QUOTE), line=line)
    if not (asked.values or asked.unknown or asked.problems) and (text.ours or not context.letters):
        drafted = edits.read_draft(text.quote, context.fields or (), context.values)
        asked = replace(asked, values=drafted.values, problems=drafted.problems)
    changeable = ", ".join(each.name for each in context.fields or ()) or "nothing"
    unknown = [f"{name} cannot be changed; you can change {changeable}" for name in asked.unknown]
    repeated = [f"{name} is given more than once" for name in asked.repeated]
    missing = [] if asked.values else [f"no field is named; you can change {changeable}"]
    problems = (*unknown, *repeated, *asked.problems)
    if problems or missing:
        found = zip((unknown, repeated, asked.problems, missing), _FIELD_REASONS, strict=True)
        reason = next(reason for sentences, reason in found if sentences)
        return Reading(said=Said.UNCLEAR, reason=reason, line=line, problems=problems or tuple(missing))
    remarks = signature.divide(asked.remarks, writer).remarks
    return Reading(
        said=Said.MODIFY, reason=Reason.CLEAR, line=line, edits=asked.values, comment=_comment(remarks)
    )


def _comment(lines: Sequence[str]) -> str | None:
    """Return what was said besides the verb: no courtesies, no farewell, nothing under it."""
    end = next((index for index, line in enumerate(lines) if grammar.is_parting(line)), len(lines))
    said = "\n".join("" if grammar.is_courtesy(line) else line.rstrip() for line in lines[:end])
    return said.strip().lstrip("-\N{EN DASH}\N{EM DASH}:.,;!\u3001\u3002\uff0c\uff1a\uff01 ") or None


def _agree(one: Reading, other: Reading) -> bool:
    """Compare what text and HTML say; their line breaks differ in every client, so blanks do not count."""
    alike = one.said is other.said and _squeezed(one.edits) == _squeezed(other.edits)
    return alike and [(each.item, each.said) for each in one.items] == [
        (each.item, each.said) for each in other.items
    ]


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
