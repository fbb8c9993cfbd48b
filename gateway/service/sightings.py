"""What is seen of threads that run elsewhere, where others may answer them too."""

from datetime import datetime

from gateway.core.approval import AnsweredElsewhere, Approval, State
from gateway.core.execution import ThreadEnded, ThreadState
from gateway.graphs import Progress
from gateway.log import log
from gateway.service.decisions import Decisions
from gateway.service.reports import Reports
from gateway.store import Transaction


class Sightings(Decisions, Reports):
    """The use case of whoever watches: a thread of ours was seen to stand somewhere."""

    async def seen(self, thread: str, progress: Progress | None, looked_at: datetime) -> None:
        """Ask people what a thread asks and did not ask before; end what it no longer asks.

        None is a thread that is gone. What is known already is passed over, however often it is seen. What
        was opened after `looked_at`, when the look began, is newer than what was seen, and stays.
        """
        row = await self._store.read(lambda tx: tx.thread(thread))
        pending = progress.pending if progress else ()
        news = await self._store.read(
            lambda tx: [each for each in pending if not _is_known(tx, thread, each.id)]
        )
        steps = [(each.id, await self._named_step(row, each)) for each in news]

        def work(tx: Transaction) -> list[str]:
            now = self._clock()
            fresh = [step for interrupt, step in steps if not _is_known(tx, thread, interrupt)]
            answers = [str(answer) for step in fresh if (answer := self._take(tx, row, step, now))]
            gone = [
                each
                for each in _open(tx, thread)
                if each.opened_at < looked_at and not (progress and progress.asks(each.interrupt))
            ]
            replies = [self.decide_in(tx, each.id, AnsweredElsewhere()) for each in gone]
            state = tx.thread(thread).state
            if progress and progress.finished and gone and state not in _ENDED:
                ended = ThreadState.FAILED if progress.error else ThreadState.FINISHED
                result = progress.error or progress.result
                tx.record(thread, [ThreadEnded(thread, ended, result, now)])
                tx.set_thread(thread, ended, now, result)
            elif (fresh or gone) and state is not ThreadState.PARKED:
                waits = tx.has_open(thread)
                tx.set_thread(thread, ThreadState.WAITING if waits else ThreadState.RUNNING, now)
            return [*answers, *(str(reply.answer) for reply in replies)]

        if not news and not await self._store.read(lambda tx: _open(tx, thread)):
            return
        if answers := await self._store.write(work):
            log.info("graph.seen", thread=thread, answers=answers)
            self.work_waits.set()


_ENDED = frozenset({ThreadState.FINISHED, ThreadState.FAILED})


def _open(tx: Transaction, thread: str) -> list[Approval]:
    return [each for each in tx.approvals_of(thread) if each.state is State.OPEN]


def _is_known(tx: Transaction, thread: str, interrupt: str) -> bool:
    """Whether a question was asked, refused, spent or given up before: some fact of its thread names it."""
    return any(interrupt in fact.data for fact in tx.facts(thread))
