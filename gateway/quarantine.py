"""What was put aside: operators see why, look at the evidence, and hand a mail in to be read once more."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from gateway.core import mail, tokens
from gateway.core.visible import one_line, reveal
from gateway.store import InboundRow, Transaction

MASK = "(handle)"
"""Stands where a handle stood: nobody needs one to judge a mail."""

_WHY: Mapping[str, str] = {
    "no-token": "it names no question of ours: no reply address, no Message-ID, no ref: line with a handle",
    "bad-token": "its handle is not one that we signed for a reply, or its question is not what was asked",
    "wrong-sender": "its From is not the person whom the handle was made for",
    "unstamped": "our mail server wrote no Authentication-Results into it",
    "buried": "its Authentication-Results came with it: more Received lines stand above than our own",
    "foreign": "its topmost Authentication-Results is not of [mail] authserv_id",
    "garbled": "its Authentication-Results does not fit the grammar of RFC 8601",
    "conflicting": "its Authentication-Results says two things about one domain",
    "failed": "our mail server says that a check of its writer failed",
    "unaligned": "what our mail server vouches for is not the domain of its From address",
    "unproven": "our mail server vouches for nothing that would show who wrote it",
    "ambiguous": "programs may read its header lines in two ways",
    "replaced-token": "its reply address has been replaced by that of a newer mail",
    "older-than-question": "it lay in the mailbox before its question was asked",
    "loop": "it is a letter of our own that came back",
    "no-from": "it has no From line",
    "several-from": "it has several From lines",
    "several-addresses": "its From has several addresses",
    "malformed": "programs may disagree about who its From is",
    "too-large": "it is larger than [mail] max_size and was not fetched",
    "unreadable": "the mail server did not hand it over",
    "poison": "it broke the reader three times",
    "duplicate": "the same octets were put aside before",
}
_LONGEST_CELL = 60
_SHOWN_TEXT = 20_000


class NotReleasableError(RuntimeError):
    """The mail cannot be read once more; the message says what to do instead."""


def listing(tx: Transaction, limit: int) -> list[dict[str, Any]]:
    """Gather what lies in quarantine, newest first, as plain JSON."""
    return [_brief(row) for row in tx.quarantined(limit)]


def evidence(row: InboundRow, text: str | None) -> dict[str, Any]:
    """Describe one mail with its header lines and its text, handles masked; `text` is None if it has none."""
    return {
        **_brief(row),
        "filing": row.filing,
        "why": _WHY.get(row.reason, row.reason),
        "line": _shown(row.line) if row.line else None,
        "sha256": row.sha256,
        "headers": [f"{one_line(name)}: {_shown(value)}" for name, value in _headers(row)],
        "text": None if text is None else reveal(_masked(text)),
    }


def release(tx: Transaction, n: int, by: str, now: datetime) -> InboundRow:
    """Record that a mail is to be read once more, by exactly the same rules; a running gateway fetches it.

    Raises:
        NotFoundError: there is no such mail.
        NotReleasableError: it is not in quarantine, or its octets were never seen.
    """
    row = tx.inbound_numbered(n)
    if row.filing == "releasing":
        return row
    if row.filing != "quarantine":
        raise NotReleasableError(f"mail {n} is not in quarantine: it is {row.filing}")
    if row.sha256 is None:
        raise NotReleasableError(
            f"mail {n} was never read, for {_WHY.get(row.reason, row.reason)}; {_ADVICE}"
        )
    tx.release(row.sha256, f"released by {by} at {_time(now)}")
    return row


_ADVICE = (
    "ask its writer for a short answer, or raise [mail] max_size if that is the cause, and then move the mail"
    " from the quarantine folder back into the mailbox with a mail program"
)


def listing_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """Lay a listing out for a terminal."""
    lines = [
        "  ".join(
            (
                str(row["id"]).rjust(5),
                _time(row["received_at"]),
                str(row["reason"]).ljust(17),
                (row["approval"] or "-").ljust(8),
                _cut(row["from"] or "-"),
                _cut(row["subject"] or "-"),
                row["note"],
            )
        ).rstrip()
        for row in rows
    ]
    return "\n".join(lines or ["nothing is in quarantine"])


def evidence_text(told: Mapping[str, Any]) -> str:
    """Lay the evidence about one mail out for a terminal."""
    head = [
        f"mail {told['id']}  {told['filing']}  {told['reason']}  tries {told['tries']}  {told['size']} bytes",
        f"received {_time(told['received_at'])}; sha256 {told['sha256'] or 'unknown, it was not fetched'}",
        f"{'taken for' if told['filing'] == 'processed' else 'put aside because'} {told['why']}",
        *([f"read from the line: {told['line']}"] if told["line"] else []),
        *([f"about approval {told['approval']}"] if told["approval"] else []),
        *([told["note"]] if told["note"] else []),
        "",
        *(f"  {line}" for line in told["headers"]),
        "",
    ]
    if told["text"] is None:
        return "\n".join([*head, "  (no text that could be read)"])
    shown, rest = told["text"][:_SHOWN_TEXT], len(told["text"]) - _SHOWN_TEXT
    more = [f"  ... and {rest} characters more, see --json"] if rest > 0 else []
    return "\n".join([*head, *(f"  {line}" for line in shown.split("\n")), *more])


def _brief(row: InboundRow) -> dict[str, Any]:
    headers = _headers(row)
    return {
        "id": row.n,
        "received_at": row.received_at,
        "handled_at": row.handled_at,
        "from": _first(headers, "from"),
        "subject": _first(headers, "subject"),
        "reason": row.reason,
        "approval": row.approval,
        "tries": row.tries,
        "size": row.size,
        "note": row.note,
    }


def _headers(row: InboundRow) -> list[tuple[str, str]]:
    try:
        return [(header.name, header.value) for header in mail.headers(row.octets or b"")]
    except mail.TooLargeError:
        return []


def _first(headers: Sequence[tuple[str, str]], name: str) -> str | None:
    value = next((value for each, value in headers if each == name), None)
    return None if value is None else _shown(mail.decoded(value))


def _shown(text: str) -> str:
    return one_line(_masked(text))


def _masked(text: str) -> str:
    """Mask what may be a handle, also where the text was encoded when the mail was kept."""
    return tokens.PATTERN.sub(MASK, text)


def _cut(text: str) -> str:
    return (text if len(text) <= _LONGEST_CELL else f"{text[: _LONGEST_CELL - 1]}…").ljust(_LONGEST_CELL // 2)


def _time(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%SZ")
