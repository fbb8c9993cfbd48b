"""What there is to see: open questions, what is stuck, and the whole story of one approval."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from gateway.core.approval import Approval, Commented, State
from gateway.core.effects import SendLetter
from gateway.core.execution import RowState, ThreadState
from gateway.core.visible import reveal
from gateway.store import OutboxRow, ThreadRow, Transaction

_STUCK_THREADS = (ThreadState.PARKED, ThreadState.FAILED)
_CAPITAL = re.compile(r"(?<!^)(?=[A-Z])")


def listing(tx: Transaction, states: Sequence[State], limit: int) -> dict[str, Any]:
    """Gather approvals in `states`, and all that waits for an operator, as plain JSON."""
    failed = [row for row in tx.outbox_in([RowState.FAILED], limit) if not _is_settled(row)]
    return {
        "approvals": [brief(tx, approval) for approval in tx.approvals(states, limit)],
        "stuck": [_row(row) for row in (*tx.outbox_in([RowState.IN_DOUBT], limit), *failed)],
        "retrying": [_row(row) for row in tx.retrying(limit)],
        "under_way": [_thread(row) for row in tx.threads([ThreadState.RUNNING], limit)],
        "threads": [_thread(row) for row in tx.threads(_STUCK_THREADS, limit)],
        "unreachable": [asdict(row) for row in tx.unreachable()],
    }


def brief(tx: Transaction, approval: Approval) -> dict[str, Any]:
    """Describe an approval in a few fields; `execution` says how far its action has come."""
    row = tx.perform_row(approval.id)
    return {
        "id": approval.id,
        "thread_id": approval.thread,
        "state": approval.state,
        "risk": approval.risk,
        "summary": "; ".join(item.summary for item in approval.items),
        "requester": approval.requester,
        "reviewers": list(approval.reviewers),
        "votes": [
            {
                "by": vote.by,
                "verdict": vote.verdict,
                "channel": vote.channel,
                "identity": vote.identity,
                "item": vote.item,
            }
            for vote in approval.votes
        ],
        "undecided": list(approval.undecided),
        "opened_at": approval.opened_at,
        "expires_at": approval.expires_at,
        "decided_at": approval.decided_at,
        "execution": row.state if row else None,
        "note": row.note if row else "",
    }


def story(tx: Transaction, approval: str) -> dict[str, Any]:
    """Rebuild the story of an approval: what is true, what was sent, what came in.

    Raises:
        NotFoundError: there is no such approval.
    """
    found = tx.approval(approval)
    facts = [
        {"at": fact.at, "what": fact.kind, "data": json.loads(fact.data)} for fact in tx.facts_about(approval)
    ]
    mails = [
        {"at": mail.handled_at, "what": "mail", "filing": mail.filing, "reason": mail.reason}
        for mail in tx.inbound_about(approval)
    ]
    return {
        **brief(tx, found),
        "digest": found.digest,
        "actions": [
            {
                "type": item.action.type,
                "parameters": item.action.parameters,
                "verdict": standing.verdict,
                "approved_by": list(standing.approvers),
            }
            for item, standing in zip(found.items, found.standings, strict=True)
        ],
        "replaces": found.replaces,
        "replaced_by": found.replaced_by,
        "timeline": sorted((*facts, *mails), key=lambda entry: entry["at"]),
        "outbox": [_row(row) for row in tx.outbox_of(approval)],
        "unreachable": [asdict(row) for row in tx.unreachable() if row.reviewer in found.reviewers],
    }


def thread_story(tx: Transaction, thread: str) -> dict[str, Any]:
    """Say what became of a thread, and of each question it has asked.

    Raises:
        NotFoundError: there is no such thread.
    """
    row = tx.thread(thread)
    asked = sorted(tx.approvals_of(thread), key=lambda approval: approval.opened_at)
    return {
        **_thread(row),
        "requester": row.requester,
        "approvals": [brief(tx, approval) for approval in asked],
    }


def thread_text(told: Mapping[str, Any]) -> str:
    """Lay a thread out for a terminal."""
    asked = [_columns(row["id"], row["state"], row["risk"], row["summary"]) for row in told["approvals"]]
    return "\n".join(
        [
            f"thread {told['id']} of {told['graph']}, asked for by {told['requester']}: {told['state']}",
            *([reveal(told["result"])] if told["result"] else []),
            *(asked or ["it has put no question to anybody"]),
        ]
    )


def _is_settled(row: OutboxRow) -> bool:
    """Whether a person has already said what became of it."""
    return "resolved_by" in row.evidence.get("receipt", {}).get("detail", {})


def listing_text(listed: Mapping[str, Any]) -> str:
    """Lay a listing out for a terminal."""
    lines = [
        _columns(row["id"], row["state"], row["risk"], _until(row), row["summary"])
        for row in listed["approvals"]
    ]
    lines = lines or ["no approvals"]
    if listed["stuck"] or listed["threads"] or listed["unreachable"]:
        lines += ["", "waiting for an operator:"]
        lines += [
            _columns(row["approval"] or "-", row["state"], row["what"], row["note"])
            for row in listed["stuck"]
        ]
        lines += [_columns(row["id"], row["state"], row["result"]) for row in listed["threads"]]
        lines += [_unreachable(row) for row in listed["unreachable"]]
    if listed["under_way"]:
        lines += ["", "under way (a running gateway takes requests up within a second):"]
        lines += [_columns(row["id"], row["graph"]) for row in listed["under_way"]]
    if listed["retrying"]:
        lines += ["", "being tried again:"]
        lines += [
            _columns(row["approval"] or "-", row["what"], f"next {_time(row['due_at'])}", row["note"])
            for row in listed["retrying"]
        ]
    return "\n".join(lines)


def story_text(told: Mapping[str, Any]) -> str:
    """Lay a story out as a timeline."""
    head = [
        f"{told['id']}  {told['state']}  {told['risk']} risk",
        told["summary"],
        f"asked for by {told['requester']} in thread {told['thread_id']}; digest {told['digest']}",
        f"put to {', '.join(told['reviewers']) or 'nobody'} until {_time(told['expires_at'])}",
        *(_unreachable(row) for row in told["unreachable"]),
        *([f"replaced by {told['replaced_by']}"] if told["replaced_by"] else []),
        "",
        *_actions(told["actions"], is_open=told["state"] == State.OPEN),
        "",
    ]
    timeline = [f"{_time(entry['at'])}  {_entry(entry)}" for entry in told["timeline"]]
    sent = [f"{_time(row['updated_at'])}  {_how(row)}" for row in told["outbox"]]
    return "\n".join([*head, *timeline, "", *sent])


def _actions(actions: Sequence[Mapping[str, Any]], *, is_open: bool) -> Iterator[str]:
    """Lay the actions out, numbered with what was decided about each where there are several."""
    for n, action in enumerate(actions, start=1):
        if len(actions) > 1:
            waits = f"undecided, approved by {len(action['approved_by'])}" if is_open else "never decided"
            yield f"{n}. {reveal(action['type'])}: {action['verdict'] or waits}"
        yield from _parameters(action["parameters"])


def _parameters(parameters: Mapping[str, Any]) -> Iterator[str]:
    """Lay an action's parameters out, a text of several lines below its name."""
    for name, value in parameters.items():
        shown = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        first, *more = shown.rstrip("\n").split("\n")
        yield f"  {name}: {reveal(first)}" if not more else f"  {name}:"
        yield from (f"    {reveal(line)}" for line in ((first, *more) if more else ()))


def _how(row: Mapping[str, Any]) -> str:
    how = f"{row['what']}: {row['state']}"
    return f"{how} ({row['note']})" if row["note"] else how


def _entry(entry: Mapping[str, Any]) -> str:
    if entry["what"] == "mail":
        return f"mail arrived: {entry['reason']} ({entry['filing']})"
    if entry["what"] == Commented.__name__:
        return "{by} commented by {channel}: {text}".format(**entry["data"])
    vote = entry["data"].get("vote")
    if vote:
        about = f" to item {vote['item']}" if vote.get("item") else ""
        said = f"{vote['by']} said {vote['verdict']}{about} by {vote['channel']}"
        known_by = [vote.get("identity", ""), vote["evidence"] if vote["channel"] in {"cli", "api"} else ""]
        if any(known_by):
            said += f" ({', '.join(filter(None, known_by))})"
        return f"{said}: {vote['comment']}" if vote["comment"] else said
    return _CAPITAL.sub(" ", entry["what"]).lower()


def _row(row: OutboxRow) -> dict[str, Any]:
    letter = row.effect
    what = (
        f"{letter.letter} to {letter.to}" if isinstance(letter, SendLetter) else type(letter).__name__.lower()
    )
    return {
        "approval": row.approval,
        "thread_id": row.thread,
        "what": what,
        "state": row.state,
        "attempts": row.attempts,
        "due_at": row.due_at,
        "updated_at": row.updated_at,
        "evidence": dict(row.evidence),
        "note": row.note,
    }


def _unreachable(row: Mapping[str, Any]) -> str:
    why = " ".join(filter(None, (row["status"], row["diagnostic"])))
    return _columns("unreachable:", row["reviewer"], why, f"since {_time(row['since'])}")


def _thread(row: ThreadRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "graph": row.graph,
        "state": row.state,
        "result": row.result,
        "updated_at": row.updated_at,
    }


def _until(row: Mapping[str, Any]) -> str:
    if row["state"] == State.OPEN:
        return f"until {_time(row['expires_at'])}"
    return str(row["execution"] or "-")


def _columns(*cells: Any) -> str:
    return "  ".join(str(cell).ljust(8) for cell in cells).rstrip()


def _time(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%SZ")
