"""Watch the threads of a LangGraph Server: what they ask goes to people, whoever started them."""

import asyncio
from collections.abc import Callable
from datetime import datetime

from gateway.graphs import GraphBusyError, GraphFailedError, GraphsError, Server, Waiting
from gateway.log import log, step
from gateway.service import Service, ThreadKnownError
from gateway.store import NotFoundError, Store, StoreUnavailableError, ThreadRow, Transaction

_MOST_OPEN = 100
"""Questions of one server that people are asked at a time; the others wait where they are."""
_LONGEST_PAUSE_SECONDS = 300.0
_DOUBLINGS = 6


class Watch:
    """Looks at one server again and again. Nothing is held: what is missed is seen at the next look."""

    def __init__(
        self,
        *,
        graph: str,
        server: Server,
        store: Store,
        service: Service,
        poll: float,
        clock: Callable[[], datetime],
    ) -> None:
        self._graph = graph
        self._server = server
        self._store = store
        self._service = service
        self._poll = poll
        self._clock = clock
        self._seen: dict[str, str] = {}
        self._gone: set[str] = set()
        self._failures = 0
        self._is_full = False

    async def run(self) -> None:
        """Look every `poll` seconds, and less and less often while the server is down."""
        while True:
            try:
                await self.look()
            except (GraphsError, StoreUnavailableError) as error:
                self._failed(str(error))
            except Exception as error:  # noqa: BLE001 - the next look may succeed
                if not self._failures:
                    log.exception("server.broke", graph=self._graph)
                self._failed(f"{type(error).__name__}: {error}")
            else:
                if self._failures:
                    log.info("server.back", graph=self._graph)
                self._failures = 0
            step("server-looked-at")
            pause = self._poll * 2 ** min(self._failures, _DOUBLINGS)
            await asyncio.sleep(min(pause, max(self._poll, _LONGEST_PAUSE_SECONDS)))

    async def look(self) -> None:
        """Look once.

        Raises:
            GraphsError: the server cannot be used, or says what makes no sense.
            StoreUnavailableError: nothing can be recorded now.
        """
        waiting = await self._server.waiting()
        opened = await self._store.read(lambda tx: tx.open_of(self._graph))
        room = _MOST_OPEN - len(opened)
        listed: set[str] = set()
        for thread in waiting:
            listed |= {*thread.names}
            if self._seen.get(thread.names[0]) == thread.updated_at:
                continue
            if room <= 0:
                break
            room -= await self._take_up(thread)
        self._note_room(room)
        self._seen = {name: at for name, at in self._seen.items() if name in listed}
        for name in dict.fromkeys(each.thread for each in opened):
            if name not in listed:
                await self._look_at(name)

    def _failed(self, why: str) -> None:
        """Say once that the server is of no use, not at every look."""
        self._failures += 1
        if self._failures == 1:
            log.error("server.unavailable", graph=self._graph, why=why)

    def _note_room(self, room: int) -> None:
        """Say once that questions wait because enough of them are open."""
        if room <= 0 and not self._is_full:
            log.warning("server.waits", graph=self._graph, open=_MOST_OPEN)
        self._is_full = room <= 0

    async def _take_up(self, thread: Waiting) -> bool:
        """Have people asked about a thread that has changed; tells whether it may have opened a question."""
        known = await self._store.read(lambda tx: _known(tx, thread))
        if known is None:
            try:
                await self._service.adopt(self._graph, thread.names[1], f"LangGraph Server {self._graph}")
            except ThreadKnownError:
                return False
        elif known.graph != self._graph:
            log.warning("server.foreign_thread", graph=self._graph, thread=known.id, of=known.graph)
        elif not await self._look_at(known.id):
            return False
        self._seen[thread.names[0]] = thread.updated_at
        return True

    async def _look_at(self, thread: str) -> bool:
        """Look at a thread of ours; tells whether it stood still."""
        looked_at = self._clock()
        try:
            progress = await self._server.pending(thread)
        except GraphBusyError:
            return False
        except GraphFailedError as error:
            log.warning("server.thread_broke", graph=self._graph, thread=thread, why=str(error))
            return True
        if progress is not None or self._is_gone(thread):
            await self._service.seen(thread, progress, looked_at)
        return True

    def _is_gone(self, thread: str) -> bool:
        """Believe that a server has lost a thread when it says so twice; some are slow to find theirs."""
        if thread in self._gone:
            self._gone.discard(thread)
            return True
        self._gone.add(thread)
        return False


def _known(tx: Transaction, thread: Waiting) -> ThreadRow | None:
    for name in thread.names:
        try:
            return tx.thread(name)
        except NotFoundError:
            continue
    return None
