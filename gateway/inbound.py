"""Mail that arrived: read it, see who wrote it and what about, and record it once with what it decided."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256

from gateway import claims
from gateway.core import tokens
from gateway.core.approval import (
    Answer,
    Approval,
    Channel,
    Identity,
    Remarked,
    State,
    Verdict,
    Voted,
    VotedByItem,
)
from gateway.core.authentication import Trust, Why
from gateway.core.bounce import Failure
from gateway.core.effects import Letter, SendLetter
from gateway.core.gist import Gist
from gateway.core.loops import Standing
from gateway.core.policy import Policy
from gateway.core.reply import NO_CONTEXT, Context, Reading, Said
from gateway.core.tokens import Claim, Purpose
from gateway.log import log, step
from gateway.reading.reader import Reader, ReaderUnavailableError, ReadingFailedError
from gateway.service import Ballot, Reply, Service
from gateway.store import InboundRow, Store, StoreUnavailableError, Transaction

MAX_TRIES = 3
"""How often a mail that breaks us is looked at before it is put aside."""
HELP_INTERVAL = timedelta(minutes=10)
HELP_LIMIT = 3
"""Answers to mails that were not understood: per person and approval, one in ten minutes, three in all."""
COMMENT_LIMIT = 10
"""Comments on a question that are passed on to whoever asked for the action; later ones are only kept."""
ANSWER_LIMIT = 5
"""Answers to mails that were understood and changed nothing, per person and approval."""
CLOCK_SKEW = timedelta(minutes=5)
"""How far the mail server's clock may be behind ours; beyond that a mail was there before its question."""

_VERDICTS: Mapping[Said, Verdict] = {
    Said.APPROVE: Verdict.APPROVE,
    Said.REJECT: Verdict.REJECT,
    Said.MODIFY: Verdict.MODIFY,
}
# A handle in a quoted link or address, also where quoted-printable has broken the line inside it.
_LIVE_HANDLE = re.compile(rb"(\+|%2B|=2B|/a/|<|ref:[ \t]{0,5})((?:[a-z2-7](?:=\r?\n)?){42})", re.IGNORECASE)


class Filing(StrEnum):
    """Where a mail goes once it is recorded."""

    PROCESSED = "processed"
    QUARANTINE = "quarantine"
    LATER = "later"


_FILED = frozenset({Filing.PROCESSED, Filing.QUARANTINE})
_LONGEST_LINE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """A mail where it was found; `octets` is None when it is too large, or cannot be read (`size` 0)."""

    account: str
    folder: str
    uidvalidity: int
    uid: int
    size: int
    received_at: datetime
    octets: bytes | None


@dataclass(frozen=True, slots=True)
class _Finding:
    """What a mail turned out to be, before anything is recorded."""

    filing: Filing
    reason: str
    claim: Claim | None = None
    reading: Reading | None = None
    event: Voted | VotedByItem | Remarked | Reply | None = None
    message_id: str | None = None
    help: str = ""
    """Why the reviewer is written to although the mail is put aside."""
    stranger: str = ""
    """Who used the reviewer's handle instead of the reviewer."""
    server: str = ""
    """The mail server that vouches for the mail, and is not ours."""

    failures: tuple[Failure, ...] = ()
    sent: tuple[str, ...] = ()
    answerable: bool = False


@dataclass(frozen=True, slots=True)
class _Claimed:
    """What the handle in a mail stands for; a replaced one decides nothing."""

    claim: Claim
    approval: Approval
    is_replaced: bool = False


class Inbound:
    """Turns each mail into at most one event; the same octets never decide twice.

    `trust` says which mail server's word is taken for who wrote a mail; with None, From is believed.
    """

    def __init__(
        self,
        *,
        store: Store,
        service: Service,
        policy: Policy,
        trust: Trust | None,
        reader: Reader,
        own: Iterable[str],
        clock: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._reader = reader
        self._own = tuple(own)
        self._service = service
        self._policy = policy
        self._trust = trust
        self._clock = clock

    async def floor(self, account: str, folder: str, uidvalidity: int, uidnext: int) -> int:
        """Say up to which UID the mail of a mailbox was there before us and is left alone."""

        def work(tx: Transaction) -> int:
            # Whoever was asked before our first look at the mailbox may have answered already.
            asked = bool(tx.approvals(limit=1))
            return tx.floor(account, folder, uidvalidity, 1 if asked else uidnext)

        return await self._store.write(work)

    async def receive(self, mail: Mail) -> Filing:
        """Record a mail and what it means; on return that is on disk and the mail may be filed.

        Raises:
            StoreUnavailableError, ReaderUnavailableError: nothing was recorded; offer the mail again later.
        """
        known = await self._store.read(lambda tx: _known(tx, mail))
        if known is not None and known.filing in _FILED:
            return Filing(known.filing)
        try:
            finding = await self._find(mail)
            step("mail-read")
            filing, reply_given = await self._store.write(lambda tx: self._record(tx, mail, finding))
        except (StoreUnavailableError, ReaderUnavailableError):
            raise  # that is no fault of the mail, which must not be put aside for it
        except ReadingFailedError as error:
            log.error("mail.unread", uid=mail.uid, why=str(error))
            return await self._broke(mail, known, str(error))
        except Exception as error:  # noqa: BLE001 - whatever one mail does to us, the mailbox goes on behind it
            log.exception("mail.broke_us", uid=mail.uid)
            return await self._broke(mail, known, type(error).__name__)
        log.info(
            "mail.filed",
            uid=mail.uid,
            filing=filing,
            reason=finding.reason,
            approval=_about(finding),
            **({"server": finding.server} if finding.server else {}),
        )
        if reply_given is not None:
            self._service.announce(reply_given)
        self._service.work_waits.set()
        step("before-filing")
        return filing

    async def _broke(self, mail: Mail, known: InboundRow | None, why: str) -> Filing:
        """Count a try at a mail that we cannot digest, and put it aside after the last."""
        tries = (known.tries if known and known.filing == Filing.LATER else 0) + 1
        filing = Filing.QUARANTINE if tries >= MAX_TRIES else Filing.LATER
        row = self._row(mail, _Finding(filing, "poison"), tries)

        def work(tx: Transaction) -> None:
            tx.record_inbound(row)
            if filing is Filing.QUARANTINE:
                self._service.put_aside(tx, why)

        await self._store.write(work)
        self._service.work_waits.set()
        return filing

    async def _find(self, mail: Mail) -> _Finding:
        if mail.octets is None:
            return _Finding(Filing.QUARANTINE, "too-large" if mail.size else "unreadable")
        octets = mail.octets
        gist = await self._reader.survey(octets, self._own, self._trust)
        claimed = await self._store.read(lambda tx: self._claimed(tx, gist.handles, gist.author.address))
        context = await self._store.read(lambda tx: self._context(tx, claimed))
        reading = await self._reader.read(octets, context)
        if reading.automatic:
            claimed = claimed or await self._store.read(lambda tx: self._claimed(tx, gist.returned, None))
            claim = claimed.claim if claimed else None
            return _Finding(
                Filing.PROCESSED,
                reading.reason,
                claim,
                reading,
                message_id=gist.message_id,
                failures=gist.failures,
                sent=gist.sent,
            )
        if gist.standing is Standing.OWN:
            return _Finding(Filing.PROCESSED, "loop", message_id=gist.message_id)
        if claimed is None:
            reason = "bad-token" if gist.handles else "no-token"
            return _Finding(Filing.QUARANTINE, reason, reading=reading, message_id=gist.message_id)
        finding = await self._answer(mail, gist, claimed, reading)
        return replace(finding, answerable=gist.standing is Standing.PERSONAL)

    def _context(self, tx: Transaction, claimed: _Claimed | None) -> Context:
        person = self._policy.person(claimed.claim.reviewer) if claimed else None
        if claimed is None or person is None:
            return NO_CONTEXT
        return claims.context_of(tx, claimed.approval, person, self._policy)

    async def _answer(self, mail: Mail, gist: Gist, claimed: _Claimed, reading: Reading) -> _Finding:
        """See that the writer is the person the handle was made for, and what they said."""
        message_id, claim = gist.message_id, claimed.claim
        refused, identity = self._verify(gist, claimed, mail.received_at)
        if refused:
            return replace(refused, reading=reading, message_id=message_id)
        if reading.said is Said.RESPOND:
            remark = Remarked(
                by=claim.reviewer,
                text=reading.comment or "",
                channel=Channel.REPLY,
                evidence=message_id or sha256(mail.octets or b"").hexdigest(),
                identity=identity,
            )
            return _Finding(Filing.PROCESSED, reading.reason, claim, reading, remark, message_id)
        if reading.said not in {*_VERDICTS, Said.EACH}:
            return _Finding(Filing.PROCESSED, reading.reason, claim, reading, message_id=message_id)
        ballots = _ballots(claim, reading, identity, message_id or "")
        event: VotedByItem | Voted | Reply = (
            self._service.as_event_by_item(ballots)
            if reading.said is Said.EACH
            else await self._service.as_event(*ballots)
        )
        return _Finding(Filing.PROCESSED, reading.reason, claim, reading, event, message_id)

    def _verify(
        self, gist: Gist, claimed: _Claimed, received_at: datetime
    ) -> tuple[_Finding | None, Identity]:
        """See that the writer is the person the handle was made for: once, for every place it may stand in.

        Returns why the mail is put aside, or None, and what showed who wrote it.
        """

        def aside(
            reason: str, help_: str = "", stranger: str = "", server: str = ""
        ) -> tuple[_Finding, Identity]:
            refused = _Finding(
                Filing.QUARANTINE, reason, claimed.claim, help=help_, stranger=stranger, server=server
            )
            return refused, Identity.UNKNOWN

        author = gist.author
        if author.address is None:
            return aside(author.why)
        person = self._policy.person(author.address)
        if person is None or person.email != claimed.claim.reviewer:
            return aside("wrong-sender", stranger="" if claimed.is_replaced else author.address)
        identity = Identity.ADDRESS
        if self._trust is not None:
            shown = gist.shown
            if shown is None or shown.method is None:
                why = shown.why if shown else Why.UNSTAMPED
                return aside(why, "unauthenticated", server=shown.server if shown else "")
            identity = Identity(shown.method)
        if claimed.is_replaced:
            return aside("replaced-token", "replaced-token")
        # By our server's clock, never by the Date that the sender wrote.
        if received_at < claimed.approval.opened_at - CLOCK_SKEW:
            return aside("older-than-question", "older-than-question")
        return None, identity

    def _claimed(self, tx: Transaction, handles: tuple[str, ...], author: str | None) -> _Claimed | None:
        """Say what a mail answers, wherever its handle stood.

        Of several handles of ours, as in a reply to all, it is the one of who wrote; else the first. One that
        was replaced comes last.
        """
        person = self._policy.person(author) if author else None
        verified = [claimed for handle in handles if (claimed := self._verified(tx, handle))]
        found = sorted(verified, key=lambda each: each.is_replaced)
        own = (each for each in found if person and each.claim.reviewer == person.email)
        return next(own, next(iter(found), None))

    def _verified(self, tx: Transaction, handle: str) -> _Claimed | None:
        try:
            return _Claimed(*self._service.verified(tx, tokens.read(handle), Purpose.REPLY))
        except tokens.ReplacedTokenError as error:
            return _Claimed(error.claim, tx.approval(error.claim.approval), is_replaced=True)
        except tokens.TokenError:
            return None

    def _record(self, tx: Transaction, mail: Mail, finding: _Finding) -> tuple[Filing, Reply | None]:
        """Record mail and decision in one transaction; a copy of a mail decides nothing again."""
        row = self._row(mail, finding, tries=1)
        if row.sha256 and (earlier := tx.inbound_like(row.sha256)):
            tx.record_inbound(
                self._row(mail, _Finding(Filing(earlier.filing), "duplicate", finding.claim), tries=1)
            )
            return Filing(earlier.filing), None
        tx.record_inbound(row)
        self._note_bounce(tx, finding)
        if finding.claim is None or finding.reading is None:
            return finding.filing, None
        if finding.filing is not Filing.PROCESSED:
            self._put_aside(tx, finding.claim, finding, occasion=row.sha256 or "")
            return finding.filing, None
        if not finding.reading.automatic:
            tx.reached(finding.claim.reviewer)
        given = finding.event
        if isinstance(given, Remarked) and self._is_talkative(tx, finding.claim):
            return finding.filing, None
        if isinstance(given, Voted | VotedByItem | Remarked):
            given = self._service.decide_in(tx, finding.claim.approval, given)
        if finding.answerable:
            self._write_back(tx, finding.claim, finding.reading, given, occasion=row.sha256 or "")
        return finding.filing, given

    def _put_aside(self, tx: Transaction, claim: Claim, finding: _Finding, occasion: str) -> None:
        """Help the reviewer whose mail counts for nothing, at their own address and not at that in From."""
        if finding.stranger:
            self._service.replace_handles(tx, claim, finding.stranger)
        ignored = finding.reading is None or finding.reading.said is Said.IGNORED
        if not finding.help or ignored or tx.approval(claim.approval).state is not State.OPEN:
            return
        if not self._had_enough(tx, claim, Letter.UNCLEAR, understood=False):
            letter = SendLetter(
                Letter.UNCLEAR, claim.reviewer, claim.approval, {"reason": finding.help}, occasion
            )
            self._service.write_to(tx, tx.approval(claim.approval), letter)

    def _note_bounce(self, tx: Transaction, finding: _Finding) -> None:
        """Note whose letters come back: reviewers by their address, or by our handle in the letter."""
        claim = finding.claim
        for failure in finding.failures:
            person = self._policy.person(failure.address)
            reviewer = person.email if person else claim.reviewer if claim else None
            if reviewer:
                self._service.bounced(tx, reviewer, failure, claim.approval if claim else None)
        for row_id in finding.sent:
            self._service.action_bounced(tx, row_id, finding.failures)

    def _write_back(
        self, tx: Transaction, claim: Claim, reading: Reading, given: Reply | None, occasion: str
    ) -> None:
        """Answer a person whose mail decided nothing, saying why; rarely, and never a machine."""
        if reading.said is Said.IGNORED:
            return
        answer = given.answer if given else Answer.UNCLEAR
        letter = _LETTERS.get(answer)
        decided = answer not in {Answer.UNCLEAR, Answer.COMMENTED}
        if letter is None or self._had_enough(tx, claim, letter, understood=decided):
            return
        problems = given.problems if given else reading.problems
        reason = str(answer) if given else str(reading.reason)
        details = {"reason": reason, "line": reading.line, "problems": list(problems)}
        if answer is Answer.COMMENTED:
            details = {"by": claim.reviewer, "comment": reading.comment}
        approval = given.approval if given else tx.approval(claim.approval)
        self._service.write_to(
            tx, approval, SendLetter(letter, claim.reviewer, approval.id, details, occasion)
        )

    def _is_talkative(self, tx: Transaction, claim: Claim) -> bool:
        """Whether the requester was told enough comments; a machine that goes on is kept from them."""
        requester = tx.approval(claim.approval).requester
        return len(tx.letters_to(claim.approval, requester, Letter.COMMENT)) >= COMMENT_LIMIT

    def _had_enough(self, tx: Transaction, claim: Claim, letter: Letter, *, understood: bool) -> bool:
        """Whether another letter of this kind would be one too many for this person."""
        kinds = (letter,) if understood else (Letter.UNCLEAR, Letter.COMMENT)
        written = [at for kind in kinds for at in tx.letters_to(claim.approval, claim.reviewer, kind)]
        since = self._clock() - HELP_INTERVAL
        is_soon = any(at >= since for at in written)
        if understood:
            # Who mends an edit is answered each time; that it is decided need not be said twice at once.
            return len(written) >= ANSWER_LIMIT or (is_soon and letter is Letter.ALREADY_DECIDED)
        return len(written) >= HELP_LIMIT or is_soon

    def _row(self, mail: Mail, finding: _Finding, tries: int) -> InboundRow:
        octets = mail.octets
        return InboundRow(
            account=mail.account,
            folder=mail.folder,
            uidvalidity=mail.uidvalidity,
            uid=mail.uid,
            filing=finding.filing,
            reason=finding.reason,
            tries=tries,
            message_id=finding.message_id,
            sha256=sha256(octets).hexdigest() if octets is not None else None,
            approval=_about(finding),
            received_at=mail.received_at,
            handled_at=self._clock(),
            octets=_LIVE_HANDLE.sub(rb"\1(handle)", octets) if octets is not None else None,
            size=mail.size,
            line=finding.reading.line[:_LONGEST_LINE] if finding.reading and finding.reading.line else None,
        )


_LETTERS: Mapping[Answer, Letter] = {
    Answer.UNCLEAR: Letter.UNCLEAR,
    Answer.COMMENTED: Letter.COMMENT,
    Answer.EDIT_REFUSED: Letter.UNCLEAR,
    Answer.CHANNEL_REFUSED: Letter.UNCLEAR,
    Answer.NOT_OFFERED: Letter.UNCLEAR,
    Answer.ALREADY_DECIDED: Letter.ALREADY_DECIDED,
    Answer.ALREADY_VOTED: Letter.ALREADY_DECIDED,
}


def _known(tx: Transaction, mail: Mail) -> InboundRow | None:
    return tx.inbound(mail.account, mail.folder, mail.uidvalidity, mail.uid)


def _ballots(claim: Claim, reading: Reading, identity: Identity, evidence: str) -> tuple[Ballot, ...]:
    """Word what a mail decides: one ballot for all items, or one for each that it names."""

    def ballot(said: Said, comment: str | None, item: int | None = None) -> Ballot:
        return Ballot(
            approval=claim.approval,
            by=claim.reviewer,
            verdict=_VERDICTS[said],
            channel=Channel.REPLY,
            identity=identity,
            comment=comment or "",
            evidence=evidence,
            edits=reading.edits,
            item=item,
        )

    if reading.said is not Said.EACH:
        return (ballot(reading.said, reading.comment),)
    return tuple(ballot(each.said, each.comment, each.item) for each in reading.items)


def _about(finding: _Finding) -> str | None:
    return finding.claim.approval if finding.claim else None
