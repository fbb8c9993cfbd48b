"""Carry out what was recorded: claim a row, do it, record how it went. Nothing else touches the world."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.message import EmailMessage
from functools import partial
from typing import Any, TypeVar

from gateway.actions import ActionRefusedError, Actions
from gateway.actions.perform import Attempt, Job, Performer, UnapprovedError, perform
from gateway.core.action import Change, diff
from gateway.core.approval import Approval, State
from gateway.core.effects import Letter, Perform, ResumeGraph, SendLetter, StartGraph
from gateway.core.execution import (
    AFTER_MISCONFIGURATION,
    GIVE_UP_AFTER,
    WHILE_BUSY,
    InDoubtError,
    MisconfiguredError,
    NothingDoneError,
    Receipt,
    ReceiptStatus,
    RowState,
    retry_delay,
)
from gateway.core.policy import Policy
from gateway.core.tokens import Purpose, Signatory
from gateway.graphs import (
    GraphBusyError,
    GraphFailedError,
    GraphInDoubtError,
    Graphs,
    GraphsUnavailableError,
    NotPendingError,
)
from gateway.letters import Audience, Letters, Posting, Recipient, octets, wording
from gateway.log import log, step
from gateway.mailer import Mailer, MailerError, PermanentError
from gateway.service import Service
from gateway.store import FencedError, OutboxRow, Store, StoreUnavailableError, Transaction

WORKERS = 16
"""How many rows are worked on at once; mails still leave one after the other."""
_LEASE = timedelta(minutes=10)
_POLL_SECONDS = 1.0
_DRAIN_SECONDS = 3.5
_LONGEST_PAUSE_SECONDS = 10
_ORPHANS_SECONDS = 60.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class PostOffice:
    """What turns a recorded letter into a mail: the writer, the hand-over, and who we are to the reader."""

    letters: Letters
    mailer: Mailer
    sender: str
    domain: str
    timezone: str


@dataclass(frozen=True, slots=True)
class _Draft:
    """All that a letter is written from; `changes` is the edit that it is about, if it is about one."""

    letter: SendLetter
    approval: Approval | None
    changes: tuple[Change, ...]
    posting: Posting

    @property
    def is_obsolete(self) -> bool:
        """Whether it asks a question that is no longer open."""
        is_ask = self.letter.letter is Letter.ASK
        return is_ask and self.approval is not None and self.approval.state is not State.OPEN


class _Try:
    """One try at an action; `row` is the outbox row as far as this try has come."""

    def __init__(self, service: Service, row: OutboxRow) -> None:
        self._service = service
        self.row = row

    async def begin(self, evidence: Mapping[str, Any]) -> None:
        """Commit that from now on nobody can know without an answer."""
        self.row = await self._service.point_of_no_return(self.row, evidence)


class Outbox:
    """The worker. Rows that were claimed by a process that died are the service's to recover."""

    def __init__(
        self,
        *,
        store: Store,
        service: Service,
        graphs: Graphs,
        post: PostOffice,
        actions: Actions,
        performers: Mapping[str, Performer],
        signatory: Signatory,
        policy: Policy,
        owner: str,
        clock: Callable[[], datetime],
        jitter: Callable[[], float],
    ) -> None:
        self._store = store
        self._service = service
        self._graphs = graphs
        self._post = post
        self._actions = actions
        self._performers = performers
        self._signatory = signatory
        self._policy = policy
        self._owner = owner
        self._clock = clock
        self._jitter = jitter
        self._tasks: set[asyncio.Task[None]] = set()
        self._held: set[str] = set()
        self._handlers: Mapping[type, Callable[[OutboxRow], Awaitable[None]]] = {
            StartGraph: self._start,
            ResumeGraph: self._resume,
            SendLetter: self._send,
            Perform: self._perform,
        }

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set, then let what is under way finish for a few seconds."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._wake_at(stop))
            orphans = group.create_task(self._adopt_orphans())
            while not stop.is_set():
                self._service.work_waits.clear()
                for row in await self._claim():
                    self._begin(group, row)
                await self._wait()
            orphans.cancel()
            await self._drain()

    async def _adopt_orphans(self) -> None:
        """Take up rows whose lease has run out and that nobody here works on, such as after a full disk."""
        while True:
            await asyncio.sleep(_ORPHANS_SECONDS)
            try:
                await self._service.recover(leased_until=self._clock(), besides=frozenset(self._held))
            except StoreUnavailableError as error:
                log.error("outbox.store_unavailable", why=str(error))

    async def _claim(self) -> list[OutboxRow]:
        free = WORKERS - len(self._tasks)
        now = self._clock()
        try:
            if free <= 0 or not await self._store.read(lambda tx: tx.has_due(now)):
                return []
            rows = await self._store.write(lambda tx: tx.claim(self._owner, now, _LEASE, free))
        except StoreUnavailableError as error:
            log.error("outbox.store_unavailable", why=str(error))
            return []
        for row in rows:
            step(f"claimed-{type(row.effect).__name__}")
        return rows

    def _begin(self, group: asyncio.TaskGroup, row: OutboxRow) -> None:
        task = group.create_task(self._work(row))
        self._tasks.add(task)
        self._held.add(row.id)
        task.add_done_callback(partial(self._ended, row.id))

    def _ended(self, row_id: str, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._held.discard(row_id)
        self._service.work_waits.set()

    async def _wake_at(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._service.work_waits.set()

    async def _wait(self) -> None:
        """Sleep until there may be something to do: a commit, a free slot, the stop, or another process."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_POLL_SECONDS):
                await self._service.work_waits.wait()

    async def _drain(self) -> None:
        """Give running work a moment; what is cut off is taken up, or in doubt, at the next start."""
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=_DRAIN_SECONDS)
            for task in late:
                task.cancel()

    async def _work(self, row: OutboxRow) -> None:
        try:
            await self._handlers[type(row.effect)](row)
        except FencedError:
            log.warning("outbox.fenced", row=row.id)
        except Exception as error:  # noqa: BLE001 - one row must not stop the others
            log.exception("outbox.broke", row=row.id, approval=row.approval)
            await self._mend(row, f"{type(error).__name__}: {error}")

    async def _mend(self, row: OutboxRow, why: str) -> None:
        """Put back what broke us, and after a day give it up aloud; what cannot be stored is left held."""
        try:
            if self._is_hopeless(row):
                await self._give_up(row, why)
            else:
                await self._service.put_back(row, self._later(row), why)
        except (FencedError, StoreUnavailableError) as error:
            log.error("outbox.left", row=row.id, why=str(error))

    async def _give_up(self, row: OutboxRow, why: str) -> None:
        match row.effect:
            case SendLetter():
                await self._service.letter_failed(row, why)
            case Perform():
                await self._service.performed(row, Receipt(ReceiptStatus.FAILED, f"not done: {why}", {}))
            case StartGraph() | ResumeGraph():
                await self._service.graph_failed(row, why)

    # --- graphs ---

    async def _start(self, row: OutboxRow) -> None:
        effect = row.effect
        assert isinstance(effect, StartGraph)
        thread = await self._store.read(lambda tx: tx.thread(effect.thread))
        if effect.graph not in self._graphs.names:
            await self._service.graph_failed(row, f"there is no graph {effect.graph!r}")
            return
        try:
            if effect.adopted:
                progress = await self._graphs.pending(effect.graph, effect.thread)
            else:
                progress = await self._graphs.start(effect.graph, effect.thread, thread.request)
        except (GraphFailedError, GraphInDoubtError, NotPendingError) as error:
            await self._service.graph_failed(row, str(error))
        except (GraphBusyError, GraphsUnavailableError) as error:
            await self._try_graph_again(row, error)
        else:
            step("started")
            await self._service.graph_stopped(row, progress)

    async def _resume(self, row: OutboxRow) -> None:
        effect = row.effect
        assert isinstance(effect, ResumeGraph)
        if effect.graph not in self._graphs.names:
            await self._service.graph_failed(row, f"there is no graph {effect.graph!r}")
            return
        try:
            progress = await self._graphs.resume(
                effect.graph,
                effect.thread,
                effect.interrupt,
                effect.value,
                again=row.attempts > 1,
                asked=effect.asked,
            )
        except (GraphFailedError, GraphInDoubtError, NotPendingError) as error:
            await self._service.graph_failed(row, str(error))
        except (GraphBusyError, GraphsUnavailableError) as error:
            await self._try_graph_again(row, error)
        else:
            step("resumed")
            await self._service.graph_stopped(row, progress)

    async def _try_graph_again(self, row: OutboxRow, error: GraphBusyError | GraphsUnavailableError) -> None:
        """Look again later: a long run is no error, and nothing is told twice."""
        if self._is_hopeless(row):
            await self._service.graph_failed(row, f"given up after {GIVE_UP_AFTER}: {error}")
        else:
            is_busy = isinstance(error, GraphBusyError)
            later = self._clock() + WHILE_BUSY if is_busy else self._later(row)
            await self._service.put_back(row, later, str(error))

    # --- letters ---

    async def _send(self, row: OutboxRow) -> None:
        letter = row.effect
        assert isinstance(letter, SendLetter)
        draft = await self._store.read(lambda tx: self._draft(tx, row, letter))
        if draft.is_obsolete:
            await self._service.letter_done(row, "no longer needed")
            return
        try:
            message = self._written(draft)
            if draft.posting.reply_handle:
                await self._service.letter_written(row, letter.to, wording(message, draft.posting))
            answer = await self._post.mailer.send(self._post.sender, [letter.to], octets(message))
        except PermanentError as error:
            await self._service.letter_failed(row, str(error))
        except MailerError as error:
            await self._try_letter_again(row, error)
        else:
            step("letter-sent")
            await self._service.letter_done(row, answer)
            log.info("letter.sent", letter=letter.letter, approval=row.approval)

    async def _try_letter_again(self, row: OutboxRow, error: MailerError) -> None:
        """Rather twice than never: a repeat carries the same Message-ID."""
        if self._is_hopeless(row):
            await self._service.letter_failed(row, f"given up after {GIVE_UP_AFTER}: {error}")
        else:
            await self._service.put_back(row, self._later(row, error), str(error))

    def _draft(self, tx: Transaction, row: OutboxRow, letter: SendLetter) -> _Draft:
        """Gather what a letter tells, in one transaction."""
        approval = tx.approval(letter.approval) if letter.approval else None
        return _Draft(
            letter, approval, _changes(tx, letter, approval), self._posting(tx, row, letter, approval)
        )

    def _written(self, draft: _Draft) -> EmailMessage:
        approval = draft.approval
        return self._post.letters.write(
            draft.letter.letter,
            approval,
            draft.posting,
            rows=self._actions.rows(*approval.actions) if approval else (),
            details=draft.letter.details,
            changes=draft.changes,
        )

    def _posting(
        self, tx: Transaction, row: OutboxRow, letter: SendLetter, approval: Approval | None
    ) -> Posting:
        person = self._policy.person(letter.to)
        handles = self._handles(tx, approval, letter)
        audience = _audience(letter, handles)
        reply_handle = handles.get(Purpose.REPLY)
        # An alert stands alone; every other letter belongs to the mail thread that the first one opened.
        is_alone = approval is None or letter.letter is Letter.ALERT
        first = None if is_alone else tx.first_letter(str(letter.approval), letter.to)
        return Posting(
            to=Recipient(
                letter.to,
                person.name if person else letter.to,
                person.timezone if person else self._post.timezone,
            ),
            message_id=self._message_id(row.id, reply_handle),
            date=self._clock(),
            root_id=self._message_id(first, reply_handle) if first and first != row.id else None,
            reply_handle=reply_handle,
            link_handle=handles.get(Purpose.LINK),
            audience=audience,
        )

    def _handles(self, tx: Transaction, approval: Approval | None, letter: SendLetter) -> dict[Purpose, str]:
        """Sign the handles of a reviewer anew; they are nowhere stored whole. Others have none."""
        if approval is None or letter.letter is Letter.ALERT:
            return {}
        found = {purpose: tx.handle_of(approval.id, letter.to, purpose) for purpose in Purpose}
        return {
            purpose: self._signatory.sign(bytes.fromhex(kept[0]), kept[1])
            for purpose, kept in found.items()
            if kept is not None
        }

    def _message_id(self, row_id: str, reply_handle: str | None) -> str:
        """Name a letter; the same row makes the same id, and an answer to it carries the handle."""
        return (
            f"<{reply_handle}.{row_id}@{self._post.domain}>"
            if reply_handle
            else f"<{row_id}@{self._post.domain}>"
        )

    # --- actions ---

    async def _perform(self, row: OutboxRow) -> None:
        effect = row.effect
        assert isinstance(effect, Perform)
        attempt = _Try(self._service, row)
        job = await self._store.read(lambda tx: self._job(tx, effect, attempt))
        try:
            receipt = await perform(job, self._performers)
        except InDoubtError as error:
            await self._insist(self._service.doubted, attempt.row, str(error))
        except NothingDoneError as error:
            await self._try_action_again(attempt.row, error)
        except (UnapprovedError, ActionRefusedError) as error:
            await self._service.performed(attempt.row, Receipt(ReceiptStatus.REFUSED, str(error), {}))
        except Exception as error:
            if attempt.row.state is not RowState.IN_FLIGHT:
                raise
            log.exception("action.broke", approval=row.approval)
            await self._insist(self._service.doubted, attempt.row, f"{type(error).__name__}: {error}")
        else:
            step("after-answer")
            await self._insist(self._service.performed, attempt.row, receipt)

    def _job(self, tx: Transaction, effect: Perform, attempt: _Try) -> Job:
        approval = tx.approval(effect.approval)
        return Job(
            approval=approval,
            is_granted=tx.grant_is_sealed(approval) and not tx.is_spent(approval.id),
            digest=effect.digest,
            attempt=Attempt(
                approval=effect.approval,
                message_id=self._message_id(attempt.row.id, None),
                date=self._clock(),
                point_of_no_return=attempt.begin,
            ),
        )

    async def _insist(
        self, record: Callable[[OutboxRow, T], Awaitable[None]], row: OutboxRow, what: T
    ) -> None:
        """Record what the outside world said, however long the store cannot: nobody else knows it."""
        attempts = 0
        while True:
            try:
                await record(row, what)
            except StoreUnavailableError as error:
                attempts += 1
                log.error("outbox.store_unavailable", row=row.id, approval=row.approval, why=str(error))
                await asyncio.sleep(min(attempts, _LONGEST_PAUSE_SECONDS))
            else:
                return

    async def _try_action_again(self, row: OutboxRow, error: NothingDoneError) -> None:
        if self._is_hopeless(row):
            summary = f"not done, given up after {GIVE_UP_AFTER}: {error}"
            await self._service.performed(row, Receipt(ReceiptStatus.FAILED, summary, {}))
        else:
            await self._service.put_back(row, self._later(row, error), str(error))

    def _is_hopeless(self, row: OutboxRow) -> bool:
        return self._clock() - row.created_at > GIVE_UP_AFTER

    def _later(self, row: OutboxRow, error: Exception | None = None) -> datetime:
        if isinstance(error, MisconfiguredError):
            return self._clock() + AFTER_MISCONFIGURATION
        return self._clock() + retry_delay(row.attempts, self._jitter())


def _audience(letter: SendLetter, handles: Mapping[Purpose, str]) -> Audience:
    if letter.letter is Letter.ALERT:
        return "operator"
    return "reviewer" if handles else "requester"


def _changes(tx: Transaction, letter: SendLetter, approval: Approval | None) -> tuple[Change, ...]:
    """Find the edit that made this question, or that its editor gets a receipt for."""
    if approval is None:
        return ()
    if letter.letter is Letter.RECEIPT and approval.replaced_by:
        return _edit(approval, tx.approval(approval.replaced_by))
    return _edit(tx.approval(approval.replaces), approval) if approval.replaces else ()


def _edit(old: Approval, new: Approval) -> tuple[Change, ...]:
    return diff(old.items[0].action, new.items[0].action)
