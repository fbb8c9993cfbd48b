"""Lays copies of sent mails into a folder, for people to look at."""

import asyncio
from typing import Final, Never

from gateway.log import log, step
from gateway.mailbox.link import ImapSettings, RefusedError, connected

_MOST_WAITING: Final = 100
_TRIES: Final = 3
_PAUSE_SECONDS: Final = 30.0


class Copies:
    """Keeps copies in `folder`, one after the other.

    A copy is a convenience: what the server will not take, or what waits when the gateway stops, is given up,
    and the log says so.
    """

    def __init__(self, settings: ImapSettings, folder: str) -> None:
        self._settings = settings
        self._folder = folder
        self._waiting: asyncio.Queue[bytes] = asyncio.Queue(_MOST_WAITING)

    def keep(self, octets: bytes) -> None:
        """Take a mail that was sent; never waits and never raises."""
        try:
            self._waiting.put_nowait(octets)
        except asyncio.QueueFull:
            log.warning("mailbox.copy_lost", folder=self._folder, why="too many wait")

    async def run(self) -> Never:
        """Lay down whatever is kept, until cancelled."""
        while True:
            octets = await self._waiting.get()
            for left in reversed(range(_TRIES)):
                try:
                    await self._append(octets)
                except Exception as error:  # noqa: BLE001  the mail itself has long been sent
                    log.warning("mailbox.copy_lost" if not left else "mailbox.copy_late", why=str(error))
                    await asyncio.sleep(_PAUSE_SECONDS if left else 0)
                else:
                    step("copy-kept")
                    break

    async def _append(self, octets: bytes) -> None:
        async with connected(self._settings) as link:
            try:
                await link.append(self._folder, octets)
            except RefusedError:  # most servers name a folder that is not there so
                await link.ensure_folder(self._folder)
                await link.append(self._folder, octets)
