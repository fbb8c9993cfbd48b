"""The question put to people: its values, its events and facts, its table of states, and `decide`.

An *event* is what reached us, a *fact* is what we now hold true; effects have a file of their own.
`decide` is the only place where an event gets a meaning; `evolve` is the only way an approval changes.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from gateway.core import payload
from gateway.core.action import Action, Field, digest_of
from gateway.core.effects import Effect, Letter, Perform, ResumeGraph, SendLetter
from gateway.core.payload import Decision, Option, Terms, UnanswerableError
from gateway.core.policy import POLICY, Decider, Risk, Rule


class State(StrEnum):
    """Where a question stands. People or the clock move it out of OPEN, once; every other state is final."""

    OPEN = "open"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"
    ANSWERED = "answered"
    """A person answered in words of their own, in place of the action."""
    DECIDED = "decided"
    """Of several items not all were decided alike. It grants nothing here: only a graph that does by itself
    what it asks about has several."""


class Verdict(StrEnum):
    """What one person said."""

    APPROVE = "approve"
    REJECT = "reject"
    MODIFY = "modify"
    RESPOND = "respond"
    """Words for the agent in place of the action, where its question takes them."""


class Channel(StrEnum):
    """The door through which a vote came."""

    REPLY = "reply"
    LINK = "link"
    CLI = "cli"
    API = "api"
    POLICY = "policy"


class Identity(StrEnum):
    """What showed who cast a vote; for a mail the words of `core.authentication.Method`."""

    DMARC = "dmarc"
    AUTH = "auth"
    DKIM = "dkim"
    SPF = "spf"
    ADDRESS = "address"
    """The From address alone, because the configuration says so."""
    LINK = "link"
    OS_USER = "os-user"
    API_TOKEN = "api-token"  # noqa: S105 - no token, but the word for one
    POLICY = "policy"
    UNKNOWN = ""
    """The vote was recorded before this was."""


class Answer(StrEnum):
    """What became of an event: the same word in the log, the API, the letter and the test."""

    OPENED = "opened"
    RECORDED = "recorded"
    APPROVED = "approved"
    REJECTED = "rejected"
    MODIFIED = "modified"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    COMMENTED = "commented"
    ALREADY_DECIDED = "already-decided"
    ALREADY_VOTED = "already-voted"
    NOT_A_REVIEWER = "not-a-reviewer"
    CHANNEL_REFUSED = "channel-refused"
    NOT_DUE = "not-due"
    EDIT_REFUSED = "edit-refused"
    NOT_OFFERED = "not-offered"
    ANSWERED = "answered"
    OVERTAKEN = "overtaken"
    UNCLEAR = "unclear"
    DECIDED = "decided"
    NO_SUCH_ITEM = "no-such-item"


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One action of an approval, as it was prepared, digested and shown."""

    action: Action
    digest: str
    summary: str
    """One line made by the gateway from the action's facts."""
    note: str = ""
    """The agent's own words about it; shown apart, never trusted."""
    editable: tuple[Field, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """What one person, or the policy, said; `by` is the person's identity, whatever address it came from."""

    by: str
    verdict: Verdict
    channel: Channel
    at: datetime
    comment: str = ""
    evidence: str = ""
    """Where to look for who it was: the reply's Message-ID, the link's jti, the user of the command."""
    identity: Identity = Identity.UNKNOWN
    item: int | None = None
    """The one item that it is about, counted from 1; None is all that are still undecided."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How one item stands: the votes that count for it, and what they decided; None is still undecided."""

    votes: tuple[Vote, ...] = ()
    verdict: Verdict | None = None

    @property
    def approvers(self) -> tuple[str, ...]:
        """The different persons who have approved it so far."""
        return tuple(dict.fromkeys(vote.by for vote in self.votes if vote.verdict is Verdict.APPROVE))

    @property
    def reason(self) -> str:
        """What the last of these voters said about it."""
        return self.votes[-1].comment if self.votes else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """A question, the people it was put to, and what they said.

    `thread`, `graph` and `interrupt` say which pending interrupt the answer goes to, `dialect` and `terms`
    how it is phrased (see `core.payload`), and `asked` which payload of which code it answers (see
    `graphs.Pending`). `original` is the action first asked for, where an edit replaced it.
    """

    id: str
    thread: str
    graph: str
    interrupt: str
    dialect: str
    items: tuple[Item, ...]
    risk: Risk
    rule: Rule
    reviewers: tuple[str, ...]
    requester: str
    opened_at: datetime
    expires_at: datetime
    state: State = State.OPEN
    votes: tuple[Vote, ...] = ()
    decided_at: datetime | None = None
    replaces: str | None = None
    replaced_by: str | None = None
    original: tuple[Item, ...] = ()
    terms: Terms = field(default_factory=Terms)
    asked: str = ""

    @property
    def standings(self) -> tuple[Standing, ...]:
        """How each item stands by the votes so far; a quorum is one of persons, for each item apart."""
        standings = [Standing()] * len(self.items)
        for vote in self.votes:
            for n in self.covered(vote):
                if standings[n].verdict is None:
                    standings[n] = self._counting(standings[n], vote)
        return tuple(standings)

    @property
    def undecided(self) -> tuple[int, ...]:
        """The items that wait for a decision, counted from 1; none once the question is closed."""
        if self.state is not State.OPEN:
            return ()
        return tuple(n for n, each in enumerate(self.standings, start=1) if each.verdict is None)

    @property
    def offers(self) -> frozenset[Verdict]:
        """What a word without a number may say; an edit or an answer in words is about a single item.

        Approving approves the undecided items that take it, rejecting is offered where all of them do.
        """
        each = [self.offers_for(n) for n in self.undecided or range(1, len(self.items) + 1)]
        if len(self.items) == 1:
            return each[0]
        possible = {
            Verdict.APPROVE: any(Verdict.APPROVE in offered for offered in each),
            Verdict.REJECT: all(Verdict.REJECT in offered for offered in each),
        }
        return frozenset(verdict for verdict, is_possible in possible.items() if is_possible)

    def offers_for(self, item: int) -> frozenset[Verdict]:
        """What people may say about one item, counted from 1. One of several cannot be edited."""
        allowed = self.terms.allows[item - 1]
        possible = {
            Verdict.APPROVE: self.approving(item - 1) in allowed,
            Verdict.REJECT: Option.REJECT in allowed,
            Verdict.MODIFY: len(self.items) == 1 and Option.EDIT in allowed and bool(self.items[0].editable),
            Verdict.RESPOND: Option.RESPOND in allowed,
        }
        return frozenset(verdict for verdict, is_possible in possible.items() if is_possible)

    def covered(self, vote: Vote) -> tuple[int, ...]:
        """Name the items, counted from 0, that a vote is about, decided or not.

        A rejection of all is one of every item: who says no to all of it leaves nothing for others to do.
        """
        if vote.item is not None:
            return (vote.item - 1,) if 0 < vote.item <= len(self.items) else ()
        everything = tuple(range(len(self.items)))
        if vote.verdict is Verdict.REJECT or len(everything) == 1:
            return everything
        if vote.verdict is not Verdict.APPROVE:
            return ()
        return tuple(n for n in everything if Verdict.APPROVE in self.offers_for(n + 1))

    def _counting(self, before: Standing, vote: Vote) -> Standing:
        counted = Standing((*before.votes, vote))
        if vote.verdict is Verdict.APPROVE:
            enough = vote.channel is Channel.POLICY or len(counted.approvers) >= self.rule.quorum
            return replace(counted, verdict=Verdict.APPROVE) if enough else counted
        return counted if vote.verdict is Verdict.MODIFY else replace(counted, verdict=vote.verdict)

    @property
    def actions(self) -> tuple[Action, ...]:
        """What is decided together."""
        return tuple(item.action for item in self.items)

    def approving(self, n: int) -> Option:
        """Say what approving means for the n-th item: one that is no longer the original was edited."""
        is_edited = n < len(self.original) and self.original[n].digest != self.items[n].digest
        return Option.EDIT if is_edited else Option.APPROVE

    @property
    def digest(self) -> str:
        """What is approved, in one value: tokens and grants are bound to it."""
        return digest_of(item.digest for item in self.items)

    @property
    def reason(self) -> str:
        """Why it ended as it did, for the agent and for people; empty while it is open."""
        if self.state is State.EXPIRED:
            return "expired"
        return self.votes[-1].comment if self.votes else ""


# --- events: what reached us -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Asked:
    """A graph asks; `approval` is the question as it would be opened."""

    approval: Approval


@dataclass(frozen=True, slots=True)
class Voted:
    """A person answered. `edited` is the approval that would replace this one, for MODIFY."""

    vote: Vote
    edited: Approval | None = None
    diff_seen: bool = False
    """Whether the voter saw the exact diff before confirming (page) or typed the exact values (CLI, API)."""


@dataclass(frozen=True, slots=True)
class VotedByItem:
    """A person answered several items in one go, each with a vote of its own.

    They count together, and those about what is decided already are passed over.
    """

    votes: tuple[Vote, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Remarked:
    """A person said something and decided nothing."""

    by: str
    text: str
    channel: Channel
    evidence: str = ""
    identity: Identity = Identity.UNKNOWN


@dataclass(frozen=True, slots=True)
class ClockStruck:
    """Time has passed."""


@dataclass(frozen=True, slots=True)
class Recalled:
    """The requester or an operator takes the question back."""

    by: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class AnsweredElsewhere:
    """The graph no longer waits for an answer, since it got one that did not come through us."""


Event = Asked | Voted | VotedByItem | Remarked | ClockStruck | Recalled | AnsweredElsewhere


# --- facts: what we now hold true ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Opened:
    """The question exists and the people are named."""

    approval: Approval


@dataclass(frozen=True, slots=True)
class VoteCounted:
    """A vote that was allowed."""

    id: str
    vote: Vote


@dataclass(frozen=True, slots=True, kw_only=True)
class Commented:
    """What one of the reviewers said about the question, which stays open."""

    id: str
    by: str
    text: str
    channel: Channel
    evidence: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Granted:
    """The quorum approved exactly this digest, every item of it."""

    id: str
    digest: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Answered:
    """A reviewer answered the agent in words, in place of each action."""

    id: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Denied:
    """Every item was rejected; one reviewer is enough."""

    id: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Settled:
    """Every item is decided, and not all alike."""

    id: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Lapsed:
    """Not everything was decided in time; that is never an approval, of no item."""

    id: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """Taken back by the requester or an operator."""

    id: str
    by: str
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Superseded:
    """An edit made a new question out of it."""

    id: str
    successor: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Overtaken:
    """The graph was answered elsewhere; nobody need decide any more, and nothing follows from it here."""

    id: str
    at: datetime


Fact = (
    Opened
    | VoteCounted
    | Commented
    | Granted
    | Answered
    | Denied
    | Settled
    | Lapsed
    | Withdrawn
    | Superseded
    | Overtaken
)

# What is not in this table is forbidden. An empty row is a final state.
TRANSITIONS: Mapping[State, Mapping[type[Fact], State]] = {
    State.OPEN: {
        VoteCounted: State.OPEN,
        Commented: State.OPEN,
        Granted: State.APPROVED,
        Answered: State.ANSWERED,
        Denied: State.REJECTED,
        Settled: State.DECIDED,
        Lapsed: State.EXPIRED,
        Withdrawn: State.CANCELLED,
        Superseded: State.SUPERSEDED,
        Overtaken: State.SUPERSEDED,
    },
    State.APPROVED: {},
    State.REJECTED: {},
    State.EXPIRED: {},
    State.CANCELLED: {},
    State.SUPERSEDED: {},
    State.ANSWERED: {},
    State.DECIDED: {},
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an event means. Facts and effects are committed together or not at all.

    `parks` says why the thread cannot be told of it; empty where it can, or need not be.
    """

    answer: Answer
    facts: tuple[Fact, ...] = ()
    effects: tuple[Effect, ...] = ()
    parks: str = ""


class ForbiddenTransitionError(RuntimeError):
    """A fact does not fit the approval's state; a bug in `decide` or a forged row, never a user's mistake."""


def decide(approval: Approval, event: Event, now: datetime) -> Outcome:
    """Say what `event` does to `approval`. The only place where anything is decided."""
    if isinstance(event, Asked):
        return _opened(event.approval, now)
    if approval.state is not State.OPEN:
        return Outcome(Answer.ALREADY_DECIDED)
    # Before the clock: a refusal by expiry would be told to a graph that waits for none.
    if isinstance(event, AnsweredElsewhere):
        return Outcome(Answer.OVERTAKEN, (Overtaken(approval.id, now),), _tell(approval, Letter.WITHDRAWN))
    if now >= approval.expires_at:
        return _lapsed(approval, now)
    match event:
        case Voted(vote=Vote(by=by)) | Remarked(by=by) if by not in approval.reviewers:
            return Outcome(Answer.NOT_A_REVIEWER)
        case VotedByItem(votes=votes) if any(vote.by not in approval.reviewers for vote in votes):
            return Outcome(Answer.NOT_A_REVIEWER)
        case Voted():
            return _voted(approval, event, now)
        case VotedByItem(votes=votes):
            return _counted(approval, votes, now)
        case Remarked():
            return _commented(approval, event, now)
        case Recalled(by=by, reason=reason):
            return _withdrawn(approval, by, reason, now)
        case ClockStruck():
            return Outcome(Answer.NOT_DUE)


def evolve(approval: Approval, fact: Fact) -> Approval:
    """Return `approval` as it is once `fact` holds.

    Raises:
        ForbiddenTransitionError: the table has no such step.
    """
    if isinstance(fact, Opened):
        return fact.approval
    state = TRANSITIONS[approval.state].get(type(fact))
    if state is None or fact.id != approval.id:
        raise ForbiddenTransitionError(
            f"{type(fact).__name__} does not fit {approval.id} in {approval.state}"
        )
    match fact:
        case VoteCounted(vote=vote):
            return replace(approval, state=state, votes=(*approval.votes, vote))
        case Commented():
            return replace(approval, state=state)
        case Superseded(successor=successor, at=at):
            return replace(approval, state=state, decided_at=at, replaced_by=successor)
        case (
            Granted(at=at)
            | Answered(at=at)
            | Denied(at=at)
            | Settled(at=at)
            | Lapsed(at=at)
            | Withdrawn(at=at)
            | Overtaken(at=at)
        ):
            return replace(approval, state=state, decided_at=at)


def unanswerable(approval: Approval) -> str:
    """Say why the graph would not take the approval of this question as its answer; empty where it would."""
    try:
        _go_on(replace(approval, state=State.APPROVED), None)
    except UnanswerableError as error:
        return str(error)
    return ""


def fold(approval: Approval, facts: Iterable[Fact]) -> Approval:
    """Apply the facts that concern `approval`, in order; those about another approval are passed over."""
    for fact in facts:
        if (fact.approval.id if isinstance(fact, Opened) else fact.id) == approval.id:
            approval = evolve(approval, fact)
    return approval


def _opened(approval: Approval, now: datetime) -> Outcome:
    opened = Opened(approval)
    if approval.rule.decide is Decider.AUTO:
        vote = Vote(
            by=POLICY,
            verdict=Verdict.APPROVE,
            channel=Channel.POLICY,
            at=now,
            comment=f"{approval.risk} risk passes by policy",
            identity=Identity.POLICY,
        )
        facts = (opened, VoteCounted(approval.id, vote), Granted(approval.id, approval.digest, now))
        return _ended(Answer.APPROVED, approval, facts)
    return Outcome(Answer.OPENED, (opened,), _ask(approval))


def _voted(approval: Approval, event: Voted, now: datetime) -> Outcome:
    vote = event.vote
    if vote.verdict is not Verdict.MODIFY:
        return _counted(approval, (vote,), now)
    if refused := _refusal(approval, vote):
        return Outcome(refused)
    if event.edited is None:
        return Outcome(Answer.EDIT_REFUSED)
    counts = event.diff_seen and approval.rule.edit_approves
    return _modified(approval, vote, event.edited, now, counts=counts)


def _counted(approval: Approval, votes: Iterable[Vote], now: datetime) -> Outcome:
    """Count the votes of one person, and end the question once every item is decided."""
    counted: list[Vote] = []
    late = Answer.UNCLEAR
    standing = approval
    for vote in votes:
        refused = _refusal(standing, vote)
        if refused in {Answer.ALREADY_DECIDED, Answer.ALREADY_VOTED}:
            late = refused
        elif refused:
            return Outcome(refused)
        else:
            counted.append(vote)
            standing = evolve(standing, VoteCounted(approval.id, vote))
    if not counted:
        return Outcome(late)
    if standing.undecided:
        facts = tuple(VoteCounted(approval.id, vote) for vote in counted)
        return Outcome(Answer.RECORDED, facts, _receipt(approval, counted, Answer.RECORDED))
    return _settled(approval, standing, counted, now)


def _refusal(approval: Approval, vote: Vote) -> Answer | None:
    """Say why a vote does not count as things stand; None where it does."""
    if vote.channel not in approval.rule.channels:
        return Answer.CHANNEL_REFUSED
    if vote.item is not None and not 0 < vote.item <= len(approval.items):
        return Answer.NO_SUCH_ITEM
    covered = approval.covered(vote)
    standings = approval.standings
    waiting = [standings[n] for n in covered if standings[n].verdict is None]
    if covered and not waiting:
        return Answer.ALREADY_DECIDED
    # A reviewer can always say no, also where the payload has no word for it.
    offered = [vote.verdict in approval.offers_for(n + 1) for n in covered]
    if vote.verdict is not Verdict.REJECT and not any(offered):
        return Answer.NOT_OFFERED
    if vote.verdict is Verdict.RESPOND and not vote.comment.strip():
        return Answer.UNCLEAR
    if vote.verdict is Verdict.APPROVE and all(vote.by in each.approvers for each in waiting):
        return Answer.ALREADY_VOTED
    return None


def _settled(approval: Approval, standing: Approval, votes: Sequence[Vote], now: datetime) -> Outcome:
    """End a question whose items are all decided by these votes: all alike, or each its own way."""
    counted = tuple(VoteCounted(approval.id, vote) for vote in votes)
    verdicts = {each.verdict for each in standing.standings}
    if verdicts == {Verdict.APPROVE}:
        granted = Granted(approval.id, approval.digest, now)
        receipt = _receipt(approval, votes, Answer.APPROVED)
        return _ended(Answer.APPROVED, approval, (*counted, granted), receipt)
    if verdicts == {Verdict.RESPOND}:
        said = {"result": "answered", "by": votes[-1].by, "answer": votes[-1].comment}
        told = _tell(approval, Letter.OUTCOME, said)
        return _ended(Answer.ANSWERED, approval, (*counted, Answered(approval.id, now)), told)
    alike = verdicts == {Verdict.REJECT}
    answer = Answer.REJECTED if alike else Answer.DECIDED
    end = Denied(approval.id, now) if alike else Settled(approval.id, now)
    told = _tell(approval, Letter.OUTCOME, {"result": str(answer)})
    return _ended(answer, approval, (*counted, end), (*_receipt(approval, votes, answer), *told))


def _modified(approval: Approval, vote: Vote, edited: Approval, now: datetime, *, counts: bool) -> Outcome:
    facts: tuple[Fact, ...] = (
        VoteCounted(approval.id, vote),
        Superseded(approval.id, edited.id, now),
        Opened(edited),
    )
    # The edit may have raised the risk: whether it counts is for the rule that now applies, not the old one.
    if not counts or not _may_approve_own_edit(edited, vote):
        receipt = _receipt(approval, (vote,), Answer.MODIFIED)
        return Outcome(Answer.MODIFIED, facts, (*receipt, *_ask(edited)))
    seconded = _counted(edited, (replace(vote, verdict=Verdict.APPROVE, item=None),), now)
    effects = list(seconded.effects)
    if seconded.answer is Answer.RECORDED:
        effects += _ask(edited, besides=vote.by)
    return Outcome(seconded.answer, (*facts, *seconded.facts), tuple(effects), seconded.parks)


def _may_approve_own_edit(edited: Approval, vote: Vote) -> bool:
    rule = edited.rule
    return rule.edit_approves and vote.by in edited.reviewers and vote.channel in rule.channels


def _commented(approval: Approval, remark: Remarked, now: datetime) -> Outcome:
    """Pass a comment on to the agent where its question takes one, else to whoever asked for the action."""
    if Verdict.RESPOND in approval.offers:
        vote = Vote(
            by=remark.by,
            verdict=Verdict.RESPOND,
            channel=remark.channel,
            at=now,
            comment=remark.text,
            evidence=remark.evidence,
            identity=remark.identity,
        )
        return _voted(approval, Voted(vote), now)
    comment = Commented(
        id=approval.id,
        by=remark.by,
        text=remark.text,
        channel=remark.channel,
        evidence=remark.evidence,
        at=now,
    )
    letter = SendLetter(
        Letter.COMMENT,
        approval.requester,
        approval.id,
        {"by": remark.by, "comment": remark.text},
        occasion=remark.evidence or now.isoformat(),
    )
    return Outcome(Answer.COMMENTED, (comment,), (letter,) if "@" in approval.requester else ())


def _lapsed(approval: Approval, now: datetime) -> Outcome:
    """End a question whose time is over: refused whole, whatever was decided about single items.

    A payload that has no refusal for one of its items cannot be told; its thread is parked.
    """
    return _ended(Answer.EXPIRED, approval, (Lapsed(approval.id, now),), _tell(approval, Letter.EXPIRED))


def _withdrawn(approval: Approval, by: str, reason: str, now: datetime) -> Outcome:
    """Take a question back: refused whole like one whose time is over."""
    facts = (Withdrawn(approval.id, by, reason, now),)
    told = _tell(approval, Letter.WITHDRAWN, {"by": by, "reason": reason})
    return _ended(Answer.CANCELLED, approval, facts, told, feedback=reason or f"cancelled by {by}")


def _ended(
    answer: Answer,
    approval: Approval,
    facts: tuple[Fact, ...],
    effects: tuple[Effect, ...] = (),
    feedback: str | None = None,
) -> Outcome:
    """End a question: its graph goes on with the answer, or stays where it is when it takes none."""
    ended = fold(approval, facts)
    try:
        return Outcome(answer, facts, (_go_on(ended, feedback), *effects))
    except UnanswerableError as error:
        why = f"{approval.id} is {ended.state}, and its graph cannot be told: {error}"
        return Outcome(answer, facts, effects, parks=why)


def _go_on(approval: Approval, feedback: str | None) -> Effect:
    if approval.dialect == payload.ACT and approval.state is State.APPROVED:
        return Perform(approval.id, approval.digest)
    is_foreign = payload.is_foreign(approval.dialect)
    decisions = [
        Decision(
            option=_option(approval, n, standing),
            parameters=item.action.parameters if is_foreign else _edited(item),
            message=_message(approval, standing) if feedback is None else feedback,
            approval=approval.id,
            digest=approval.digest,
            again=approval.state is State.REJECTED and bool(approval.reason),
        )
        for n, (item, standing) in enumerate(zip(approval.items, approval.standings, strict=True))
    ]
    value = payload.answer(approval.dialect, approval.terms, decisions)
    return ResumeGraph(approval.graph, approval.thread, approval.interrupt, value, approval.asked)


def _option(approval: Approval, n: int, standing: Standing) -> Option:
    """Say what was decided about the n-th item; what a question ended without deciding is refused."""
    match approval.state:
        case State.APPROVED:
            return approval.approving(n)
        case State.ANSWERED:
            return Option.RESPOND
        case State.DECIDED if standing.verdict is Verdict.APPROVE:
            return approval.approving(n)
        case State.DECIDED if standing.verdict is Verdict.RESPOND:
            return Option.RESPOND
        case _:
            return Option.REJECT


def _message(approval: Approval, standing: Standing) -> str:
    """Say why an item was decided so: in the words of who decided it, where it was not the clock."""
    return approval.reason if approval.state is State.EXPIRED else standing.reason


def _edited(item: Item) -> Mapping[str, Any]:
    """Take what people may edit; the rest is what the gateway found, and no agent's to know."""
    given = item.action.parameters
    return {field.name: given[field.name] for field in item.editable if field.name in given}


def _ask(approval: Approval, besides: str | None = None) -> tuple[SendLetter, ...]:
    asked = (person for person in approval.reviewers if person != besides)
    return tuple(SendLetter(Letter.ASK, person, approval.id) for person in asked)


def _receipt(approval: Approval, votes: Sequence[Vote], answer: Answer) -> tuple[SendLetter, ...]:
    occasion = "+".join(f"{vote.item}-{vote.verdict}" if vote.item else vote.verdict for vote in votes)
    return (SendLetter(Letter.RECEIPT, votes[0].by, approval.id, {"answer": answer}, occasion=occasion),)


def _tell(
    approval: Approval, letter: Letter, details: Mapping[str, Any] | None = None
) -> tuple[SendLetter, ...]:
    """Address everybody who was asked, and whoever asked for the action."""
    people = dict.fromkeys(
        (*approval.reviewers, *((approval.requester,) if "@" in approval.requester else ()))
    )
    return tuple(SendLetter(letter, person, approval.id, details or {}) for person in people)
