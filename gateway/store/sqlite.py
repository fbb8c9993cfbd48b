"""The SQLite store: a writing thread with group commit, reads in the caller's, migrations, and the lock."""

import asyncio
import fcntl
import hmac
import os
import re
import socket
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from importlib import resources
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, TypeVar

from gateway.store.transaction import Transaction

T = TypeVar("T")

_BUSY_SECONDS = 10.0
_BATCH = 64
"""Transactions that share one commit, and so one fsync, at most."""


class StoreUnavailableError(RuntimeError):
    """The database cannot be opened or written; nothing was recorded. The message says what to do."""


class StoreInUseError(StoreUnavailableError):
    """Another daemon runs on this database; the message names it."""


@dataclass(slots=True)
class _Job:
    work: Callable[[Transaction], Any]
    future: asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop
    result: Any = None
    error: BaseException | None = None

    def settle(self) -> None:
        """Hand the outcome to the waiting coroutine, unless it has gone."""
        if self.future.done():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)


class SqliteStore:
    """A store in one file. Writes of one moment share a commit, acknowledged after its fsync."""

    def __init__(self, path: Path, audit_keys: Sequence[bytes]) -> None:
        """Open the database, creating or migrating it as needed; the last of `audit_keys` seals new facts.

        Raises:
            StoreUnavailableError: it cannot be opened, or a newer version of the gateway has written it.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise _unavailable(error) from error
        self._path = path
        seals = [sealer(key) for key in audit_keys]
        _migrate(_connect(path))
        self._seals = seals
        self._reader = _connect(path)
        self._reader.execute("PRAGMA query_only = ON")
        self._writer = _Writer(_connect(path), seals)

    async def write(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` in a transaction and return once it is on disk; an exception undoes only this work."""
        result: T = await self._writer.run(work)
        return result

    async def read(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` over a snapshot.

        It runs here and now: an indexed look-up takes less than handing it to a thread, and with the
        journal written ahead no writer makes it wait.
        """
        with _snapshot(self._reader, self._seals) as tx:
            return work(tx)

    async def close(self) -> None:
        """Finish what was handed in and close the connections."""
        await asyncio.to_thread(self._writer.stop)
        self._reader.close()

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Hold the lock that says which daemon runs on this database; the system frees it when we die.

        Raises:
            StoreInUseError: another daemon holds it.
        """
        lock = self._path.with_name(self._path.name + ".lock")
        with lock.open("a+", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                raise StoreInUseError(
                    f"another gateway runs on {self._path} ({file.read().strip()}); stop it first"
                ) from None
            file.truncate(0)
            file.write(f"pid {os.getpid()} on {socket.gethostname()}")
            file.flush()
            yield


class _Writer:
    """A thread that owns the writing connection and runs transactions in the order they were handed in."""

    def __init__(self, connection: sqlite3.Connection, seals: Sequence[Callable[[bytes], str]]) -> None:
        self._connection = connection
        self._seals = seals
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._thread = Thread(target=self._serve, name="store-writer", daemon=True)
        self._thread.start()

    async def run(self, work: Callable[[Transaction], Any]) -> Any:
        """Hand in a transaction and wait until it is settled."""
        loop = asyncio.get_running_loop()
        job = _Job(work, loop.create_future(), loop)
        self._jobs.put(job)
        return await asyncio.shield(job.future)

    def stop(self) -> None:
        """Let the thread finish its queue and wait for it."""
        self._jobs.put(None)
        self._thread.join()

    def _serve(self) -> None:
        with _closing(self._connection):
            while (first := self._jobs.get()) is not None:
                batch, last = self._batch(first)
                self._run(batch)
                _settle(batch)
                if last:
                    return

    def _batch(self, first: _Job) -> tuple[list[_Job], bool]:
        """Gather the jobs that wait already; also say whether they are the last ever."""
        batch = [first]
        while len(batch) < _BATCH:
            try:
                job = self._jobs.get_nowait()
            except Empty:
                break
            if job is None:
                return batch, True
            batch.append(job)
        return batch, False

    def _run(self, batch: list[_Job]) -> None:
        connection = self._connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            for job in batch:
                self._run_in_savepoint(job)
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            for job in batch:
                job.error = _unavailable(error)

    def _run_in_savepoint(self, job: _Job) -> None:
        self._connection.execute("SAVEPOINT job")
        try:
            job.result = job.work(Transaction(self._connection.execute, self._seals))
        except sqlite3.OperationalError:
            raise
        except Exception as error:  # noqa: BLE001 - it belongs to whoever handed the work in
            job.error = error
            self._connection.execute("ROLLBACK TO job")
        self._connection.execute("RELEASE job")


@contextmanager
def open_reader(path: Path, audit_keys: Sequence[bytes] = ()) -> Iterator[Transaction]:
    """Look at a database from a short-lived command, without threads and without changing anything.

    Raises:
        StoreUnavailableError: there is no database yet, or it cannot be read.
    """
    if not path.exists():
        raise StoreUnavailableError(f"there is no database at {path} yet; `gateway run` makes it")
    with _closing(_connect(path)) as connection:
        _check_version(connection)
        connection.execute("PRAGMA query_only = ON")
        with _snapshot(connection, [sealer(key) for key in audit_keys]) as tx:
            yield tx


def sealer(key: bytes) -> Callable[[bytes], str]:
    """Return the function that makes the MAC of a fact under `key`."""
    return lambda sealed: hmac.new(key, sealed, sha256).hexdigest()


def _settle(batch: list[_Job]) -> None:
    """Wake all who wait with one call into the loop."""

    def settle() -> None:
        for job in batch:
            job.settle()

    try:
        batch[0].loop.call_soon_threadsafe(settle)
    except RuntimeError:  # the loop is closed: nobody waits any more
        return


@contextmanager
def _closing(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    try:
        yield connection
    finally:
        connection.close()


@contextmanager
def _snapshot(
    connection: sqlite3.Connection, seals: Sequence[Callable[[bytes], str]]
) -> Iterator[Transaction]:
    """Look at one state of the database, whatever is written meanwhile."""
    try:
        connection.execute("BEGIN")
        yield Transaction(connection.execute, seals)
    except sqlite3.Error as error:
        raise _unavailable(error) from error
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _connect(path: Path) -> sqlite3.Connection:
    """Open a connection that commits when told to, and only when the disk has it."""
    try:
        if not path.exists():
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
        connection = sqlite3.connect(
            path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
    except (OSError, sqlite3.Error) as error:
        raise _unavailable(error) from error
    return connection


def _migrations() -> list[tuple[int, str]]:
    """List the migrations in order, each with its number."""
    files = (resources.files("gateway.store") / "migrations").iterdir()
    found = [
        (int(match[1]), file.read_text("utf-8"))
        for file in files
        if (match := re.match(r"(\d+)_.*\.sql$", file.name))
    ]
    return sorted(found)


def _check_version(connection: sqlite3.Connection) -> int:
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    newest = _migrations()[-1][0]
    if version > newest:
        raise StoreUnavailableError(
            f"the database has schema {version}, this gateway knows up to {newest}: run the newer gateway,"
            " or restore a backup from before the upgrade"
        )
    return version


def _migrate(connection: sqlite3.Connection) -> None:
    """Bring the schema up to date; each migration happens wholly or not at all."""
    with _closing(connection):
        for number, script in _migrations():
            connection.execute("BEGIN IMMEDIATE")
            try:
                if number > _check_version(connection):
                    for statement in script.split(";\n"):
                        connection.execute(statement)
                    connection.execute(f"PRAGMA user_version = {number}")
                connection.execute("COMMIT")
            except BaseException:
                connection.execute("ROLLBACK")
                raise


def _unavailable(error: Exception) -> StoreUnavailableError:
    return StoreUnavailableError(f"the database does not work: {error}; nothing was recorded")
