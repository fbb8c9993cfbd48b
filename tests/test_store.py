"""What every store must hold to: one suite, run against each."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from functools import partial
from importlib import resources
from pathlib import Path

import pytest

from builders import ALICE, NOW, approval, vote
from gateway.core.approval import Denied, Granted, Identity, Opened, State, VoteCounted
from gateway.core.effects import Letter, Perform, SendLetter
from gateway.core.execution import RowState, ThreadParked, ThreadStarted, ThreadState
from gateway.core.tokens import Claim, Purpose
from gateway.store import (
    ConflictError,
    FencedError,
    InboundRow,
    NotFoundError,
    SqliteStore,
    Store,
    StoreInUseError,
    StoreUnavailableError,
    ThreadRow,
    Transaction,
    open_reader,
)
from gateway.store.rows import load_fact

KEY = b"k" * 32
LEASE = timedelta(minutes=1)


@pytest.fixture(params=["sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    opened = SqliteStore(tmp_path / "gateway.sqlite3", [KEY])
    yield opened
    await opened.close()


def thread(tx: Transaction, name: str = "THREAD") -> None:
    tx.add_thread(
        ThreadRow(
            id=name,
            graph="builtin",
            state=ThreadState.RUNNING,
            requester="rita@example.com",
            request={"user_request": "x"},
            result="",
            idempotency_key=f"key-{name}",
            facts=0,
            head="",
            created_at=NOW,
            updated_at=NOW,
        )
    )


def opened(tx: Transaction) -> None:
    thread(tx)
    tx.record("THREAD", [ThreadStarted("THREAD", "builtin", "rita", {}, NOW), Opened(approval())])


def park(tx: Transaction) -> None:
    tx.record("THREAD", [ThreadParked("THREAD", "why", NOW)])


async def test_values_come_back_as_they_went_in(store: Store) -> None:
    """An approval with items, votes and times survives the way to the disk and back."""
    await store.write(opened)
    await store.write(lambda tx: tx.record("THREAD", [VoteCounted("7Q2M4KXP", vote())]))
    found = await store.read(lambda tx: tx.approval("7Q2M4KXP"))
    assert found == approval(votes=(vote(),))


async def test_a_vote_of_an_older_gateway_is_still_read(store: Store) -> None:
    """What did not yet say how its voter was known says nothing of it."""

    def age(tx: Transaction) -> None:
        for table in ("approvals", "facts"):
            tx._execute(f"UPDATE {table} SET data = replace(data, :now, '')", {"now": ',"identity":"dkim"'})

    def counted(tx: Transaction) -> None:
        opened(tx)
        tx.record("THREAD", [VoteCounted("7Q2M4KXP", vote(identity=Identity.DKIM))])

    await store.write(counted)
    (fresh,) = (await store.read(lambda tx: tx.approval("7Q2M4KXP"))).votes
    assert fresh.identity is Identity.DKIM
    await store.write(age)
    (old,) = (await store.read(lambda tx: tx.approval("7Q2M4KXP"))).votes
    assert old == replace(fresh, identity=Identity.UNKNOWN)
    facts = await store.read(lambda tx: tx.facts_about("7Q2M4KXP"))
    assert load_fact("VoteCounted", facts[-1].data) == VoteCounted("7Q2M4KXP", old)


async def test_an_exception_undoes_its_own_work_and_no_other(store: Store) -> None:
    """Works that share a commit do not share their failures."""

    def broken(tx: Transaction) -> None:
        thread(tx, "BROKEN")
        raise KeyError("broken")

    results = await asyncio.gather(
        store.write(lambda tx: thread(tx, "ONE")),
        store.write(broken),
        store.write(lambda tx: thread(tx, "TWO")),
        return_exceptions=True,
    )
    assert isinstance(results[1], KeyError)
    states = await store.read(lambda tx: {row.id for row in tx.threads([ThreadState.RUNNING], 10)})
    assert states == {"ONE", "TWO"}


async def test_an_approval_leaves_open_once(store: Store) -> None:
    """T07: of two who read the same version only the first moves it."""
    await store.write(opened)

    def two_at_once(tx: Transaction) -> None:
        other = Transaction(tx._execute, tx._seals)
        tx.approval("7Q2M4KXP")
        other.approval("7Q2M4KXP")
        other.record("THREAD", [VoteCounted("7Q2M4KXP", vote()), Granted("7Q2M4KXP", "d", NOW)])
        tx._update_approval(approval(state=State.REJECTED))

    with pytest.raises(ConflictError):
        await store.write(two_at_once)


async def test_only_one_question_is_open_per_interrupt(store: Store) -> None:
    """T64: the same interrupt asked again while it is open makes no second approval."""
    await store.write(opened)
    with pytest.raises(sqlite3.IntegrityError):
        await store.write(lambda tx: tx.record("THREAD", [Opened(approval(id="OTHER"))]))
    await store.write(lambda tx: tx.record("THREAD", [Denied("7Q2M4KXP", NOW)]))
    await store.write(lambda tx: tx.record("THREAD", [Opened(approval(id="OTHER"))]))


async def test_what_is_due_is_found_by_time(store: Store) -> None:
    """Only open approvals at or past their deadline are due."""
    await store.write(opened)
    deadline = approval().expires_at
    assert await store.read(lambda tx: tx.due(deadline - timedelta(microseconds=1), 10)) == []
    assert len(await store.read(lambda tx: tx.due(deadline, 10))) == 1


async def test_the_same_effect_is_recorded_once(store: Store) -> None:
    """T31: an action and a letter have a key; asking again changes nothing."""
    await store.write(opened)
    letter = SendLetter(Letter.ASK, ALICE.email, "7Q2M4KXP")

    def ask_for_both(tx: Transaction, row: str) -> None:
        tx.enqueue(row, Perform("7Q2M4KXP", "d"), "THREAD", NOW)
        tx.enqueue(f"letter-{row}", letter, "THREAD", NOW)

    await store.write(partial(ask_for_both, row="r1"))
    await store.write(partial(ask_for_both, row="r2"))
    assert len(await store.read(lambda tx: tx.outbox_of("7Q2M4KXP"))) == 2


async def test_a_row_is_claimed_by_one_worker(store: Store) -> None:
    """What one worker has claimed no other gets, and rows that are not due wait."""
    await store.write(opened)
    await store.write(lambda tx: tx.enqueue("r1", Perform("7Q2M4KXP", "d"), "THREAD", NOW))
    early = await store.write(lambda tx: tx.claim("one", NOW - timedelta(seconds=1), LEASE, 10))
    first = await store.write(lambda tx: tx.claim("one", NOW, LEASE, 10))
    second = await store.write(lambda tx: tx.claim("two", NOW, LEASE, 10))
    assert (len(early), len(first), len(second)) == (0, 1, 0)
    assert first[0].attempts == 1


async def test_a_worker_that_lost_its_row_records_nothing(store: Store) -> None:
    """The generation fences a zombie, and the table of states holds for everybody."""
    await store.write(opened)
    await store.write(lambda tx: tx.enqueue("r1", Perform("7Q2M4KXP", "d"), "THREAD", NOW))
    (zombie,) = await store.write(lambda tx: tx.claim("one", NOW, LEASE, 10))
    await store.write(lambda tx: tx.move(zombie, RowState.QUEUED, NOW, due_at=NOW))
    (holder,) = await store.write(lambda tx: tx.claim("two", NOW, LEASE, 10))
    with pytest.raises(FencedError):
        await store.write(lambda tx: tx.move(zombie, RowState.DONE, NOW))
    done = await store.write(lambda tx: tx.move(holder, RowState.DONE, NOW, note="ok"))
    with pytest.raises(ValueError, match="does not go from done"):
        await store.write(lambda tx: tx.move(done, RowState.QUEUED, NOW))


async def test_the_chain_of_facts_shows_every_change(store: Store, tmp_path: Path) -> None:
    """T70: an edited row, a deleted row and a cut tail each break the thread's chain."""
    await store.write(opened)
    await store.write(park)
    assert await store.read(lambda tx: tx.chain_is_whole("THREAD"))
    for tampering in (
        "UPDATE facts SET data = replace(data, 'rita', 'mallory') WHERE n = 1",
        "UPDATE facts SET n = 9 WHERE n = 2",
        "DELETE FROM facts WHERE n = 3",
    ):

        def tamper(tx: Transaction, statement: str = tampering) -> bool:
            tx._execute(statement, {})
            whole = tx.chain_is_whole("THREAD")
            raise _UndoneError(whole)

        with pytest.raises(_UndoneError) as undone:
            await store.write(tamper)
        assert undone.value.args == (False,)


async def test_a_new_key_keeps_the_chain_whole(tmp_path: Path) -> None:
    """T79: what an older key sealed verifies as long as that key is known."""
    path = tmp_path / "gateway.sqlite3"
    for keys, facts in (([KEY], opened), ([KEY, b"n" * 32], park)):
        store = SqliteStore(path, keys)
        await store.write(facts)
        assert await store.read(lambda tx: tx.chain_is_whole("THREAD"))
        await store.close()
    store = SqliteStore(path, [b"n" * 32])
    assert not await store.read(lambda tx: tx.chain_is_whole("THREAD"))
    await store.close()


async def test_a_mailbox_seen_first_is_left_alone_and_one_numbered_anew_is_read_again(store: Store) -> None:
    """F30: the first look takes a baseline; a new UIDVALIDITY starts from nothing."""
    place = ("approvals", "INBOX")
    assert await store.write(lambda tx: tx.floor(*place, 1, 43)) == 42
    assert await store.write(lambda tx: tx.floor(*place, 1, 50)) == 42
    assert await store.write(lambda tx: tx.floor(*place, 2, 7)) == 0


async def test_a_mail_is_recorded_at_its_place_and_known_by_its_octets(store: Store) -> None:
    """F40: a copy of the same octets elsewhere is recognised once the first is handled."""
    mail = InboundRow(
        account="a",
        folder="INBOX",
        uidvalidity=1,
        uid=5,
        filing="later",
        reason="poison",
        sha256="ff",
        received_at=NOW,
        handled_at=NOW,
        octets=b"raw",
    )
    await store.write(lambda tx: tx.record_inbound(mail))
    assert await store.read(lambda tx: tx.inbound("a", "INBOX", 1, 5)) == replace(mail, n=1)
    assert await store.read(lambda tx: tx.inbound_like("ff")) is None
    await store.write(lambda tx: tx.record_inbound(replace(mail, filing="quarantine", tries=2)))
    known = await store.read(lambda tx: tx.inbound_like("ff"))
    assert known == await store.read(lambda tx: tx.inbound_numbered(1))
    assert known == replace(mail, filing="quarantine", tries=2, n=1)


async def test_a_handle_is_found_by_its_jti_and_by_its_person(store: Store) -> None:
    """T81: the row says what a handle is for and is no handle itself."""
    claim = Claim(Purpose.LINK, "7Q2M4KXP", ALICE.email, "d")
    await store.write(opened)
    await store.write(lambda tx: tx.add_handle("00ff", claim, NOW))
    assert await store.read(lambda tx: tx.claim_of("00ff")) == claim
    assert await store.read(lambda tx: tx.handle_of("7Q2M4KXP", ALICE.email, Purpose.LINK)) == ("00ff", claim)
    assert await store.read(lambda tx: tx.claim_of("0000")) is None


async def test_a_retired_handle_is_known_and_no_more_in_use(store: Store) -> None:
    """T48: the one that took its place is signed for letters, and the mail thread begins anew."""
    claim = Claim(Purpose.REPLY, "7Q2M4KXP", ALICE.email, "d")
    later = NOW + timedelta(minutes=1)
    ask = SendLetter(Letter.ASK, ALICE.email, "7Q2M4KXP")
    await store.write(opened)
    await store.write(lambda tx: tx.add_handle("00ff", claim, NOW))
    await store.write(lambda tx: tx.enqueue("first", ask, "THREAD", NOW))
    assert not await store.read(lambda tx: tx.has_retired_handles("7Q2M4KXP", ALICE.email))

    await store.write(lambda tx: tx.retire_handles("7Q2M4KXP", ALICE.email, later))
    await store.write(lambda tx: tx.add_handle("11ff", claim, later))
    await store.write(lambda tx: tx.enqueue("second", replace(ask, occasion="again"), "THREAD", later))
    assert await store.read(lambda tx: [tx.is_retired("00ff"), tx.is_retired("11ff")]) == [True, False]
    assert await store.read(lambda tx: tx.has_retired_handles("7Q2M4KXP", ALICE.email))
    assert await store.read(lambda tx: tx.handle_of("7Q2M4KXP", ALICE.email, Purpose.REPLY)) == (
        "11ff",
        claim,
    )
    assert await store.read(lambda tx: tx.first_letter("7Q2M4KXP", ALICE.email)) == "second"


async def test_what_is_not_there_is_named(store: Store) -> None:
    """The message says what was looked for."""
    with pytest.raises(NotFoundError, match="no approval X"):
        await store.read(lambda tx: tx.approval("X"))


# --- SQLite alone ---


async def test_a_second_daemon_is_told_who_holds_the_database(tmp_path: Path) -> None:
    """F16, F60: the lock names its holder and goes with it."""
    path = tmp_path / "gateway.sqlite3"
    one, two = SqliteStore(path, [KEY]), SqliteStore(path, [KEY])
    with one.exclusive(), pytest.raises(StoreInUseError, match="pid"), two.exclusive():
        pass
    with two.exclusive():
        pass
    await one.close()
    await two.close()


async def test_the_database_is_its_owners_alone(tmp_path: Path) -> None:
    """T75: nobody else may read approvals."""
    path = tmp_path / "gateway.sqlite3"
    await SqliteStore(path, [KEY]).close()
    assert path.stat().st_mode & 0o077 == 0


async def test_a_newer_database_is_not_touched(tmp_path: Path) -> None:
    """F53: an older gateway refuses with what to do."""
    path = tmp_path / "gateway.sqlite3"
    await SqliteStore(path, [KEY]).close()
    with sqlite3.connect(path) as raw:
        raw.execute("PRAGMA user_version = 99")
    raw.close()
    with pytest.raises(StoreUnavailableError, match="run the newer gateway"):
        SqliteStore(path, [KEY])


async def test_a_database_of_the_first_version_is_brought_up_to_date(tmp_path: Path) -> None:
    """F53: its mails get numbers in the order in which they came, and whatever it held stays."""
    path = tmp_path / "gateway.sqlite3"
    first = resources.files("gateway.store") / "migrations" / "0001_first.sql"
    with sqlite3.connect(path) as raw:
        raw.executescript(first.read_text("utf-8"))
        raw.execute("PRAGMA user_version = 1")
        for uid, at in ((7, "2026-03-02T09:30:01.000000Z"), (5, "2026-03-02T09:30:00.000000Z")):
            raw.execute(
                "INSERT INTO inbound (account, folder, uidvalidity, uid, filing, reason, sha256, received_at,"
                " handled_at) VALUES ('a', 'INBOX', 1, ?, 'quarantine', 'no-token', ?, ?, ?)",
                (uid, f"{uid}", at, at),
            )
    raw.close()
    store = SqliteStore(path, [KEY])
    rows = await store.read(lambda tx: tx.quarantined(10))
    assert [(row.n, row.uid, row.size, row.note) for row in rows] == [(2, 7, None, ""), (1, 5, None, "")]
    new = replace(rows[0], uid=9, sha256="9")
    await store.write(lambda tx: tx.record_inbound(new))
    assert (await store.read(lambda tx: tx.inbound_numbered(3))).uid == 9
    await store.close()


async def test_commits_are_durable_before_they_are_acknowledged(tmp_path: Path) -> None:
    """F01: the journal is written ahead and every commit is synced."""
    store = SqliteStore(tmp_path / "gateway.sqlite3", [KEY])
    modes = await store.read(
        lambda tx: [
            tx._execute(f"PRAGMA {name}", {}).fetchone()[0] for name in ("journal_mode", "synchronous")
        ]
    )
    assert modes == ["wal", 2]
    await store.close()


def test_a_reader_says_when_there_is_nothing_to_read(tmp_path: Path) -> None:
    """A command before the first run explains itself."""
    with pytest.raises(StoreUnavailableError, match="gateway run"), open_reader(tmp_path / "none.sqlite3"):
        pass


async def test_a_reader_changes_nothing(tmp_path: Path) -> None:
    """Read commands look at a running gateway's database without being able to write."""
    path = tmp_path / "gateway.sqlite3"
    store = SqliteStore(path, [KEY])
    await store.write(opened)
    with open_reader(path) as tx:
        assert tx.approval("7Q2M4KXP").state is State.OPEN
    with pytest.raises(StoreUnavailableError), open_reader(path) as tx:
        tx.set_thread("THREAD", ThreadState.FINISHED, NOW)
    await store.close()


class _UndoneError(Exception):
    """Rolls a tampered transaction back and carries what was seen."""
