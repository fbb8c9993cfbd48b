"""Watches a mailbox: hands every new mail to `receive`, and files it once that has returned.

What a server pushes is only a hint: after every push, and after every connect, it is asked what there is.
Mail that could not be received or filed stays where it is; nothing that goes wrong ends the loop.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from random import SystemRandom
from typing import Final, Never

from gateway.log import log
from gateway.mailbox.link import ImapSettings, Link, LinkError, RefusedError, SetupError, connected
from gateway.mailbox.release import Wanted, take_back

_TRIES: Final = 3
# First and longest, where an operator has to act: more would get the account locked.
_SETUP_PAUSES: Final = (120.0, 900.0)


class Filing(StrEnum):
    """What becomes of a mail that was received; LATER leaves it in place for the next round."""

    PROCESSED = "processed"
    QUARANTINE = "quarantine"
    LATER = "later"


@dataclass(frozen=True, slots=True)
class Arrival:
    """One mail; `octets` is None if it is too large or cannot be read, and `size` is 0 if that is unknown."""

    uidvalidity: int
    uid: int
    size: int
    received_at: datetime
    octets: bytes | None


class Mailbox:
    """Watches one mailbox.

    Args:
        settings: where it is.
        receive: takes one mail, commits what follows from it before it returns, and says how to file it. It
            sees a mail again whenever filing failed or a connection broke, so it must recognise it.
        baseline: told UIDVALIDITY and UIDNEXT at every connect, answers the last uid that needs no look.

    Attributes:
        connected: whether mail is being watched at this moment.
        last_round_at: when all mail was last looked at.
        last_error: why we are not connected, in words for operators.
    """

    def __init__(
        self,
        settings: ImapSettings,
        *,
        receive: Callable[[Arrival], Awaitable[Filing]],
        baseline: Callable[[int, int], Awaitable[int]],
    ) -> None:
        self.connected = False
        self.last_round_at: datetime | None = None
        self.last_error: str | None = None
        self._settings = settings
        self._receive = receive
        self._baseline = baseline
        self._folders = {Filing.PROCESSED: settings.processed, Filing.QUARANTINE: settings.quarantine}
        self._failures = 0
        self._uidvalidity = 0
        self._floor = 0
        self._unfiled: set[int] = set()
        self._stumbles: Counter[tuple[str, int]] = Counter()
        self._nudge = asyncio.Event()

    async def run(self) -> Never:
        """Watch until cancelled, and then log out."""
        while True:
            try:
                async with connected(self._settings) as link:
                    await self._watch(link)
            except Exception as error:  # noqa: BLE001  whatever server or store do, mail must be read again
                delay = self._note_failure(error)
            finally:
                self.connected = False
            await asyncio.sleep(delay)

    async def take_back(self, wanted: Collection[Wanted]) -> frozenset[str]:
        """Move mails out of quarantine, to be received like new ones; return the hashes of those found.

        It has a connection of its own, so that mail goes on being watched. What could never be filed, and
        so still lies in the mailbox, is received again as well.

        Raises:
            LinkError, RefusedError, SetupError, OSError: the server would not; ask again later.
        """
        here = {
            mail for mail in wanted if mail.uidvalidity == self._uidvalidity and mail.uid in self._unfiled
        }
        async with connected(self._settings) as link:
            found = await take_back(link, self._settings, set(wanted) - here)
        self._unfiled -= {mail.uid for mail in here}
        self._nudge.set()
        return found | {mail.sha256 for mail in here}

    def _note_failure(self, error: Exception) -> float:
        self._failures += 1
        self.last_error = str(error) or type(error).__name__
        setup = isinstance(error, SetupError)
        delay = retry_delay(self._failures, *(_SETUP_PAUSES if setup else (self._settings.retry, 60)))
        log.warning("mailbox.disconnected", error=self.last_error, retry_in=round(delay, 1))
        return delay

    async def _watch(self, link: Link) -> Never:
        await self._prepare_folders(link)
        uidvalidity, uidnext = await link.select(self._settings.mailbox)
        if uidvalidity != self._uidvalidity:
            self._stumbles.clear()
        self._uidvalidity = uidvalidity
        self._floor = await self._baseline(uidvalidity, uidnext)
        self._unfiled.clear()
        self.connected, self.last_error = True, None
        log.info("mailbox.connected", host=self._settings.host, uidvalidity=uidvalidity, floor=self._floor)
        while True:
            self._nudge.clear()
            some_later = await self._round(link)
            self.last_round_at = datetime.now(UTC)
            await link.wait(self._settings.poll if some_later else self._settings.renew_idle, self._nudge)
            # Not before: a server that drops us at every IDLE must not be asked once a second for ever.
            self._failures = 0

    async def _prepare_folders(self, link: Link) -> None:
        for folder in self._folders.values():
            try:
                await link.ensure_folder(folder)
            except RefusedError as error:  # mail can be read all the same
                log.warning("mailbox.folder_missing", folder=folder, error=str(error))

    async def _round(self, link: Link) -> bool:
        """Handle mail until there is nothing new; return whether some is to be tried again later."""
        seen = set(self._unfiled)
        some_later = False
        known_count: int | None = None
        await link.noop()
        while True:
            uids, count = await link.search(self._floor)
            fresh = [uid for uid in uids if uid not in seen]
            if not fresh and count in {None, known_count}:
                return some_later
            known_count = count
            for uid in fresh:
                seen.add(uid)
                some_later |= await self._handle(link, uid) is Filing.LATER

    async def _handle(self, link: Link, uid: int) -> Filing | None:
        arrival = await self._fetch(link, uid)
        if arrival is None:
            return None
        filing = await self._offer(arrival)
        if filing is not Filing.LATER:
            await self._file(link, uid, filing)
        return filing

    async def _fetch(self, link: Link, uid: int) -> Arrival | None:
        """Read one mail; None if it is gone."""
        unreadable = Arrival(self._uidvalidity, uid, 0, datetime.now(UTC), None)
        try:
            with self._stumbling("fetch", uid):
                described = await link.describe(uid)
                if described is None:
                    return None
                size, received_at = described
                octets = await link.fetch(uid) if size <= self._settings.max_size else None
        except RefusedError as error:
            log.warning("mailbox.unreadable", uid=uid, error=str(error))
            return unreadable
        return Arrival(self._uidvalidity, uid, size, received_at, octets)

    async def _offer(self, arrival: Arrival) -> Filing:
        try:
            return await self._receive(arrival)
        except Exception:  # noqa: BLE001  one mail must not stop the others
            log.exception("mailbox.receive_failed", uid=arrival.uid)
            return Filing.LATER

    async def _file(self, link: Link, uid: int, filing: Filing) -> None:
        folder = self._folders[filing]
        try:
            with self._stumbling("file", uid):
                await link.move(uid, folder)
        except RefusedError as error:
            self._unfiled.add(uid)
            log.warning("mailbox.filing_failed", uid=uid, folder=folder, error=str(error))

    @contextmanager
    def _stumbling(self, step: str, uid: int) -> Iterator[None]:
        """Count how often the connection broke over one mail, so that it blocks the others only so often."""
        if self._stumbles[step, uid] >= _TRIES:
            raise RefusedError("the connection broke each time")
        try:
            yield
        except LinkError:
            self._stumbles[step, uid] += 1
            raise


def retry_delay(failures: int, first: float, longest: float) -> float:
    """How many seconds to wait after so many failures in a row."""
    # Half of it is chance, so that many gateways do not come back at the same moment.
    return min(longest, first * 2.0 ** min(failures - 1, 10)) * SystemRandom().uniform(0.5, 1)
