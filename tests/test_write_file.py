"""Writing a file: only below the root, only over what was shown, whole or not at all."""

import asyncio
import os
import stat
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from builders import approval
from gateway.actions import ActionRefusedError, Actions
from gateway.actions.perform import Attempt, Job, UnapprovedError, perform
from gateway.actions.perform.write_file import FileWriter
from gateway.actions.write_file import NAME, WHOLE, WriteFile
from gateway.core.action import Action, digest
from gateway.core.approval import Item, State
from gateway.core.execution import InDoubtError, MisconfiguredError, NothingDoneError, Receipt, ReceiptStatus
from gateway.core.policy import Risk

TEXT = "Dear team,\nhere it is.\n"


class Desk:
    """A root with a folder and a file, an outside that nothing may reach, and the action's two halves."""

    def __init__(self, place: Path) -> None:
        self.root, self.outside = place / "root", place / "outside"
        self.root.mkdir()
        self.outside.mkdir()
        (self.root / "reports").mkdir()
        (self.root / "reports" / "old.txt").write_text("one\ntwo\nthree\n")
        self.kind = WriteFile(root=self.root, max_bytes=1_000)
        self.writer = FileWriter(self.root)
        self.begun: list[Mapping[str, Any]] = []

    async def prepared(self, path: str = "reports/new.txt", content: str = TEXT) -> Action:
        return await self.kind.prepare({"path": path, "content": content})

    async def write(self, action: Action) -> Receipt:
        return await self.writer.perform(action, self.attempt())

    def attempt(self) -> Attempt:
        return Attempt(
            approval=approval().id,
            message_id="<row@example.com>",
            date=datetime(2026, 3, 2, tzinfo=UTC),
            point_of_no_return=self._begin,
        )

    async def _begin(self, evidence: Mapping[str, Any]) -> None:
        self.begun.append(evidence)

    def contents(self) -> dict[str, str]:
        """Every file below root and outside, hidden ones too."""
        both = [*self.root.rglob("*"), *self.outside.rglob("*")]
        return {
            str(path.relative_to(self.root.parent)): path.read_text("utf-8", "replace")
            for path in both
            if path.is_file() and not path.is_symlink()
        }


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A root to write in."""
    yield Desk(tmp_path)
    for folder in tmp_path.rglob("*"):
        if folder.is_dir() and not folder.is_symlink():
            folder.chmod(0o700)


def shown(desk: Desk, action: Action) -> dict[str, str]:
    return {row.label: row.value for row in desk.kind.rows(action)}


# --- what is written ---------------------------------------------------------------------------------------


async def test_a_new_file_is_what_was_shown(desk: Desk) -> None:
    """Content to the octet, the rights that were shown, nothing left beside it; the receipt has the hash."""
    action = await desk.prepared()
    receipt = await desk.write(action)
    written = desk.root / "reports" / "new.txt"
    assert written.read_bytes() == TEXT.encode()
    assert stat.S_IMODE(written.stat().st_mode) == 0o600
    assert receipt.status is ReceiptStatus.DONE
    assert receipt.detail["sha256"] == sha256(TEXT.encode()).hexdigest() == shown(desk, action)["SHA-256"]
    assert set(desk.contents()) == {"root/reports/new.txt", "root/reports/old.txt"}


async def test_a_file_is_replaced_as_the_difference_says(desk: Desk) -> None:
    """People see what goes and what comes, and that a replacement is of high risk."""
    action = await desk.prepared("reports/old.txt", "one\n2\nthree\n")
    assert shown(desk, action)["Changes"] == "@@ -1,4 +1,4 @@\n one\n-two\n+2\n three\n "
    assert shown(desk, action)["Content"] == "one\n2\nthree\n"
    assert desk.kind.risk(action) is Risk.HIGH
    assert desk.kind.summary(action) == "Replace file reports/old.txt"
    await desk.write(action)
    assert (desk.root / "reports" / "old.txt").read_text() == "one\n2\nthree\n"


async def test_everything_is_in_the_action(desk: Desk) -> None:
    """T16: root, rights and what is replaced are filled in, so that the digest covers them."""
    assert (await desk.prepared()).parameters == {
        "root": str(desk.root),
        "path": "reports/new.txt",
        "content": TEXT,
        "mode": "0600",
        "old_sha256": None,
    }
    assert (await desk.prepared("reports/old.txt")).parameters == {
        "root": str(desk.root),
        "path": "reports/old.txt",
        "content": TEXT,
        "mode": "0600",
        "old_sha256": sha256(b"one\ntwo\nthree\n").hexdigest(),
        "old_bytes": 14,
        "old_text": "one\ntwo\nthree\n",
    }


async def test_the_evidence_of_a_doubt_lets_a_person_compare(desk: Desk) -> None:
    """Before the file gets its name, what it will be is recorded: where, how long, and its hash."""
    action = await desk.prepared()
    await desk.write(action)
    (evidence,) = desk.begun
    assert evidence["file"] == str(desk.root / "reports" / "new.txt")
    assert evidence["sha256"] == sha256(TEXT.encode()).hexdigest()
    assert "SHA-256" in evidence["look"]


@pytest.mark.parametrize("old", [b"\x00\xff" * 600, "é".encode() * WHOLE])
async def test_what_cannot_be_read_is_shown_by_its_edges(desk: Desk, old: bytes) -> None:
    """Of a binary or long file people see beginning, end, exact length and hash."""
    (desk.root / "old.bin").write_bytes(old)
    facts = shown(desk, await desk.prepared("old.bin"))
    assert facts["Replaces"] == f"a file of {len(old):,} bytes with SHA-256 {sha256(old).hexdigest()}"
    assert len(facts["Beginning of the old content"]) > 100
    assert len(facts["End of the old content"]) > 100
    assert "Changes" not in facts


async def test_risk_is_high_where_something_is_lost(desk: Desk) -> None:
    """A new file only adds; a replaced one is gone."""
    assert desk.kind.risk(await desk.prepared()) is Risk.MEDIUM
    assert desk.kind.risk(await desk.prepared("reports/old.txt")) is Risk.HIGH


async def test_an_edit_is_prepared_anew(desk: Desk) -> None:
    """T20: a reviewer's other path is looked at like a proposal, with what it would replace."""
    actions = Actions({NAME: desk.kind})
    item = Item(
        action=await desk.prepared(), digest="", summary="", note="", editable=tuple(desk.kind.editable)
    )
    edited, risk = await actions.edit(item, {"path": "reports/old.txt"})
    assert risk is Risk.HIGH
    assert edited.action.parameters["old_bytes"] == 14
    with pytest.raises(ActionRefusedError, match=r"^path: must not contain"):
        await actions.edit(item, {"path": "../outside/x"})


# --- where -------------------------------------------------------------------------------------------------

ELSEWHERE = [
    "",
    "/",
    "/etc/passwd",
    "//etc/passwd",
    "..",
    "../outside/x",
    "../../etc/passwd",
    "reports/../../outside/x",
    "reports/../x",
    "a/../../x",
    "./x",
    "reports/./x",
    ".",
    "reports/",
    "reports//x",
    "/reports/x",
    "x/",
    ".bashrc",
    ".ssh/authorized_keys",
    "reports/.hidden",
    "...",
    "x\x00.txt",
    "x\n.txt",
    "x\r.txt",
    "x\ty",
    "x\x1b[2J",
    "x\u202etxt.exe",
    "x\u200b.txt",
    "x\u2028y",
    "x\ud800",
    "..\\outside\\x",
    "C:\\windows\\x",
    " x",
    "x ",
    "reports /x",
    "\u00a0x",
    "x\u00a0y",
    "x\u3000y",
    "e\u0301.txt",
    "link/x",
    "deep/link/x",
    "reports/old.txt/x",
    "link-to-file",
    "dangling",
    "reports",
    "pipe",
    "nowhere/x",
    "x" * 201,
    "é" * 101,
    "x/" * 600 + "x",
]


@pytest.mark.parametrize("path", ELSEWHERE)
async def test_no_path_leads_elsewhere(desk: Desk, path: str) -> None:
    """T23: each is refused before anybody is asked, and even in an approved action; nothing is written."""
    (desk.root / "link").symlink_to(desk.outside)
    (desk.root / "deep").mkdir()
    (desk.root / "deep" / "link").symlink_to("../../outside")
    (desk.outside / "secret").write_text("s")
    (desk.root / "link-to-file").symlink_to(desk.outside / "secret")
    (desk.root / "dangling").symlink_to(desk.outside / "x")
    os.mkfifo(desk.root / "pipe")
    before = desk.contents()
    with pytest.raises(ActionRefusedError, match=r"^path: "):
        await desk.prepared(path)
    good = await desk.prepared()
    with pytest.raises(ActionRefusedError):
        await desk.write(replace(good, parameters={**good.parameters, "path": path}))
    assert desk.contents() == before
    assert desk.begun == []


async def test_hidden_files_can_be_allowed(desk: Desk) -> None:
    """An operator may want dotfiles to be written."""
    kind, writer = WriteFile(root=desk.root, dotfiles=True), FileWriter(desk.root, dotfiles=True)
    await writer.perform(await kind.prepare({"path": ".profile", "content": "x"}), desk.attempt())
    assert (desk.root / ".profile").read_text() == "x"


class Swapper(threading.Thread):
    """Swaps a folder and a link to the outside for each other, thousands of times a second."""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._here, self._aside = desk.root / "reports", desk.root / "aside"
        self._link = desk.root / "spare"
        self._link.symlink_to(desk.outside)
        self.stop = threading.Event()

    def run(self) -> None:
        # Between two swaps the folder is there for a moment, so that some writes can succeed.
        while not self.stop.wait(0.0002):
            self._here.rename(self._aside)
            self._link.rename(self._here)
            self._here.rename(self._link)
            self._aside.rename(self._here)


async def test_a_link_swapped_in_is_never_followed(desk: Desk) -> None:
    """T23, T58: of 1,000 writes while a folder is swapped for a link outwards, none is outside."""
    action = await desk.prepared()
    swapper = Swapper(desk)
    written = refused = 0
    swapper.start()
    try:
        for _ in range(1_000):
            try:
                await desk.write(action)
            except (ActionRefusedError, MisconfiguredError):
                refused += 1
            else:
                written += 1
            for place in (desk.root / "reports", desk.root / "aside"):
                with suppress(OSError):
                    (place / "new.txt").unlink()
    finally:
        swapper.stop.set()
        await asyncio.to_thread(swapper.join)
    assert list(desk.outside.iterdir()) == []
    assert written + refused == 1_000
    assert written > 0
    assert refused > 0


async def test_a_file_swapped_for_a_link_is_not_followed(desk: Desk) -> None:
    """T58: what was a file when it was shown and is a link now is left alone, with what it points to."""
    target = desk.root / "reports" / "old.txt"
    action = await desk.prepared("reports/old.txt")
    (desk.outside / "same.txt").write_text(target.read_text())
    target.unlink()
    target.symlink_to(desk.outside / "same.txt")
    before = desk.contents()
    with pytest.raises(ActionRefusedError, match="link"):
        await desk.write(action)
    assert desk.contents() == before


# --- over what ---------------------------------------------------------------------------------------------


async def test_a_file_that_has_changed_is_left_alone(desk: Desk) -> None:
    """T09: what would be lost is not what people agreed to lose."""
    action = await desk.prepared("reports/old.txt")
    (desk.root / "reports" / "old.txt").write_text("one\ntwo\nthree!\n")
    before = desk.contents()
    with pytest.raises(ActionRefusedError, match=r"old\.txt has changed since it was shown"):
        await desk.write(action)
    assert desk.contents() == before
    assert desk.begun == []


async def test_a_file_that_came_since_is_left_alone(desk: Desk) -> None:
    """T09: a new file was agreed to, not a replacement."""
    action = await desk.prepared()
    (desk.root / "reports" / "new.txt").write_text("mine")
    with pytest.raises(ActionRefusedError, match=r"new\.txt is there now"):
        await desk.write(action)
    assert (desk.root / "reports" / "new.txt").read_text() == "mine"


async def test_a_file_that_went_since_is_not_made(desk: Desk) -> None:
    """T09: somebody took it away meanwhile; that is not undone."""
    action = await desk.prepared("reports/old.txt")
    (desk.root / "reports" / "old.txt").unlink()
    with pytest.raises(ActionRefusedError, match=r"old\.txt is gone"):
        await desk.write(action)
    assert list((desk.root / "reports").iterdir()) == []


@pytest.mark.parametrize(("path", "found"), [("reports/new.txt", "is there"), ("reports/old.txt", "changed")])
async def test_a_change_at_the_last_moment_is_seen(desk: Desk, path: str, found: str) -> None:
    """T58: what happens between the copy and its place is looked at once more; the copy is taken away."""
    action = await desk.prepared(path)

    async def interfere(_: Mapping[str, Any]) -> None:
        (desk.root / path).write_text("theirs")

    with pytest.raises(ActionRefusedError, match=found):
        await desk.writer.perform(action, replace(desk.attempt(), point_of_no_return=interfere))
    assert (desk.root / path).read_text() == "theirs"
    assert not [name for name in desk.contents() if "approval-gateway" in name]


class Tamperer(threading.Thread):
    """Takes the place of every copy that shows its name in a folder, as fast as it can."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder, self._theirs = folder, folder / "theirs"
        self.stop = threading.Event()

    def run(self) -> None:
        while not self.stop.is_set():
            for name in os.listdir(self._folder):  # noqa: PTH208 - fast
                if name.endswith(".approval-gateway"):
                    self._theirs.write_text("theirs")
                    self._theirs.rename(self._folder / name)


@pytest.mark.parametrize("has_nameless", [True, False])
@pytest.mark.parametrize("path", ["reports/new.txt", "reports/old.txt"])
async def test_what_somebody_else_put_there_is_never_done(
    desk: Desk, path: str, monkeypatch: pytest.MonkeyPatch, *, has_nameless: bool
) -> None:
    """T09, T58: while another program swaps the copy, what is said to be done is what was approved."""
    if not has_nameless:
        monkeypatch.delattr(os, "O_TMPFILE")
    tamperer = Tamperer(desk.root / "reports")
    tamperer.start()
    try:
        for _ in range(100):
            (desk.root / "reports" / "new.txt").unlink(missing_ok=True)
            (desk.root / "reports" / "old.txt").write_text("one\ntwo\n")
            action = await desk.prepared(path)
            with suppress(NothingDoneError, InDoubtError):
                await desk.write(action)
                assert (desk.root / path).read_text() == TEXT
    finally:
        tamperer.stop.set()
        await asyncio.to_thread(tamperer.join)


@pytest.mark.parametrize("path", ["reports/new.txt", "reports/old.txt"])
@pytest.mark.parametrize("theirs", ["changed", "replaced", "linked", "gone"])
async def test_a_copy_that_somebody_else_changed_is_not_placed(
    desk: Desk, path: str, theirs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T09, T58: where a copy must have a name, another one under it, or other content, is nothing done."""
    monkeypatch.delattr(os, "O_TMPFILE")
    action = await desk.prepared(path)
    before = desk.contents()

    async def interfere(_: Mapping[str, Any]) -> None:
        (copy,) = (desk.root / "reports").glob(".*.approval-gateway")
        if theirs == "changed":
            copy.write_text("theirs")
            return
        copy.unlink()
        if theirs == "replaced":
            copy.write_text(TEXT)
        elif theirs == "linked":
            copy.symlink_to(desk.outside / "x")

    with pytest.raises(NothingDoneError, match="changed or replaced"):
        await desk.writer.perform(action, replace(desk.attempt(), point_of_no_return=interfere))
    assert desk.contents() == before


async def test_a_copy_has_no_name_before_its_place(desk: Desk) -> None:
    """T58: on Linux nobody else can open what is not yet in its place."""
    action = await desk.prepared()
    names: list[str] = []

    async def look(_: Mapping[str, Any]) -> None:
        names.extend(desk.contents())

    await desk.writer.perform(action, replace(desk.attempt(), point_of_no_return=look))
    assert names == ["root/reports/old.txt"]


async def test_a_taken_name_of_the_copy_is_nothing_done(desk: Desk) -> None:
    """T58: what stands under the name from which a file is replaced is not put in its place."""
    action = await desk.prepared("reports/old.txt")

    async def interfere(_: Mapping[str, Any]) -> None:
        (desk.root / "reports" / f".{approval().id}.approval-gateway").write_text("theirs")

    with pytest.raises(NothingDoneError, match="changed or replaced"):
        await desk.writer.perform(action, replace(desk.attempt(), point_of_no_return=interfere))
    assert desk.contents() == {"root/reports/old.txt": "one\ntwo\nthree\n"}


async def test_another_root_is_not_what_was_shown(desk: Desk, tmp_path: Path) -> None:
    """A root that was configured anew would put the file where nobody saw it."""
    action = await desk.prepared()
    with pytest.raises(ActionRefusedError, match="root is"):
        await FileWriter(tmp_path / "outside").perform(action, desk.attempt())


@given(data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
async def test_no_changed_byte_is_carried_out(desk: Desk, data: st.DataObject) -> None:
    """T09, T16: an action that differs from the granted one in any character of any value is refused."""
    action = await desk.prepared("reports/old.txt")
    item = Item(action=action, digest=digest(action), summary="", note="", editable=())
    name = data.draw(st.sampled_from(sorted(action.parameters)))
    old = str(action.parameters[name])
    at = data.draw(st.integers(0, len(old)))
    new = (
        old[:at]
        + data.draw(st.characters(exclude_categories=["Cs"]))
        + old[at + data.draw(st.integers(0, 1)) :]
    )
    changed = replace(action, parameters={**action.parameters, name: new})
    stored = replace(approval(state=State.APPROVED), items=(replace(item, action=changed),))
    before = desk.contents()
    job = Job(approval=stored, is_granted=True, digest=item.digest, attempt=desk.attempt())
    if digest(changed) == item.digest:
        assert changed == action
        return
    with pytest.raises(UnapprovedError):
        await perform(job, {NAME: desk.writer})
    assert desk.contents() == before


# --- what cannot be written --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"content": "x" * 1_001}, "1,001 bytes, at most 1,000"),
        ({"content": "é" * 501}, "1,002 bytes, at most 1,000"),
        ({"content": None}, "content: a text is needed"),
        ({"content": {"a": 1}}, "content: a text is needed"),
        ({"content": "a\x00b"}, "control characters"),
        ({"content": "\ud800"}, "half a character"),
        ({"path": 7}, "path: a text is needed"),
        ({"mode": "0777"}, "not mode"),
        ({"root": "/"}, "not root"),
        ({"old_sha256": None}, "not old_sha256"),
        ({"path": "reports/old.txt", "content": "one\ntwo\nthree\n"}, "nothing would change"),
    ],
)
async def test_what_cannot_be_written_as_proposed_is_refused(
    desk: Desk, changes: dict[str, Any], problem: str
) -> None:
    """T15: where and how never come from the payload; the sentence says what to change."""
    with pytest.raises(ActionRefusedError, match=problem):
        await desk.kind.prepare({"path": "reports/new.txt", "content": TEXT} | changes)


async def test_a_copy_of_a_try_that_was_killed_is_no_obstacle(desk: Desk) -> None:
    """A copy that an earlier try left beside the file, even turned into a link, is not followed."""
    beside = desk.root / "reports" / f".{approval().id}.approval-gateway"
    beside.symlink_to(desk.outside / "x")
    await desk.write(await desk.prepared())
    assert set(desk.contents()) == {"root/reports/new.txt", "root/reports/old.txt"}


async def test_a_disk_that_refuses_is_tried_again_later(desk: Desk) -> None:
    """A root that is gone is the operators' to mend: nothing is done, and it is no doubt."""
    action = await desk.prepared()
    desk.root.rename(desk.root.with_name("moved"))
    with pytest.raises(MisconfiguredError, match="not written"):
        await desk.write(action)
    assert desk.begun == []


async def test_a_name_taken_at_the_last_moment_is_not_replaced(desk: Desk) -> None:
    """A folder in the place of the file is an explicit answer of the disk: refused, not in doubt."""
    action = await desk.prepared()

    async def interfere(_: Mapping[str, Any]) -> None:
        (desk.root / "reports" / "new.txt").mkdir()

    with pytest.raises(ActionRefusedError, match="is a folder"):
        await desk.writer.perform(action, replace(desk.attempt(), point_of_no_return=interfere))
    assert set(desk.contents()) == {"root/reports/old.txt"}
