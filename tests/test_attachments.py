"""Files that go along with a mail: plain names below one directory, and the same octets when they leave."""

import os
import threading
from pathlib import Path

import pytest

from gateway.actions import ActionRefusedError
from gateway.actions.attachments import Attachments
from gateway.core.filetypes import declared, is_disguised, looks_like


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "outgoing"
    (root / "2026").mkdir(parents=True)
    (root / "report.pdf").write_bytes(b"%PDF-1.7 report")
    (root / "2026" / "list.csv").write_bytes(b"a;b\n")
    (tmp_path / "secret.txt").write_bytes(b"secret")
    return root


def test_what_is_known_of_a_file_is_all_that_people_see(root: Path) -> None:
    """T57: path, name, size, type, what the content looks like, and the hash."""
    (fact,), contents = Attachments(root).describe(["2026/list.csv"])
    assert contents == [b"a;b\n"]
    assert fact == {
        "path": "2026/list.csv",
        "name": "list.csv",
        "size": 4,
        "type": "text/csv",
        "looks": "",
        "sha256": "9a8be2eb1604c06722f17a9bbdb1160123efa0dcf87979013ead941593977af2",
    }


@pytest.mark.parametrize(
    "path",
    [
        *("", ".", "..", "/etc/passwd", "../secret.txt", "2026/../../secret.txt", "./report.pdf"),
        *("2026//list.csv", "2026/", "C:\\x", "a\\b", "report.pdf\x00", "report.pdf\n", "a\r\nBcc: x"),
        *(
            ".hidden",
            "report.pdf.",
            " report.pdf",
            "report.pdf ",
            "a:b",
            'a"b',
            "a;b",
            "a<b",
            "a*",
            "a?",
            "a|b",
        ),
        *("a\u00a0b.pdf", "a\u3000b.pdf", "a\u2003b.pdf"),
        *("report\u202efdp.exe", "re\u200bport.pdf", "report\u2028.pdf", "re\u0301port.pdf", "\ud800.pdf"),
        *("=?utf-8?q?x?=.pdf", "x" * 101, "ü" * 101, "日" * 80, "/".join("a" * 21)),
    ],
)
def test_only_plain_relative_paths_are_files(root: Path, path: str) -> None:
    """T57: a name that could show as another, or lead out of the directory, is refused unopened."""
    with pytest.raises(ActionRefusedError, match="no relative path of plain names"):
        Attachments(root).describe([path])


@pytest.mark.parametrize(
    "path", ["link.txt", "linked/secret.txt", "2026", "pipe", "missing.txt", "report.pdf/x"]
)
def test_only_regular_files_below_the_directory_are_read(root: Path, path: str) -> None:
    """T57, T58: no link on the way, no directory, no pipe that would wait for its writer."""
    (root / "link.txt").symlink_to(root.parent / "secret.txt")
    (root / "linked").symlink_to(root.parent)
    os.mkfifo(root / "pipe")
    with pytest.raises(ActionRefusedError, match="cannot be read"):
        Attachments(root).describe([path])


@pytest.mark.parametrize("paths", ["report.pdf", [7], {"a": "b"}, 7])
def test_a_list_of_paths_is_needed(root: Path, paths: object) -> None:
    """An agent that sends another shape is told."""
    with pytest.raises(ActionRefusedError, match="a list of paths"):
        Attachments(root).describe(paths)


def test_number_and_size_are_limited(root: Path) -> None:
    """T57: caps on files and on bytes together; a huge file is not read beyond the cap."""
    with (root / "huge.bin").open("wb") as file:
        file.truncate(1 << 30)
    small = Attachments(root, most=1, largest=16)
    assert len(small.describe(["report.pdf"])[1][0]) == 15
    with pytest.raises(ActionRefusedError, match="2 files, at most 1"):
        small.describe(["report.pdf", "2026/list.csv"])
    with pytest.raises(ActionRefusedError, match="more than 16 bytes together"):
        small.describe(["huge.bin"])
    with pytest.raises(ActionRefusedError, match="more than 16 bytes together"):
        Attachments(root, largest=16).describe(["report.pdf", "2026/list.csv"])


def test_two_files_of_one_name_are_refused(root: Path) -> None:
    """A reader could not tell them apart, nor could a program that saves them."""
    (root / "2026" / "Report.pdf").write_bytes(b"other")
    with pytest.raises(ActionRefusedError, match="the same name"):
        Attachments(root).describe(["report.pdf", "2026/Report.pdf"])


def test_a_zip_bomb_is_never_unpacked(root: Path) -> None:
    """T57: what is in an archive is nobody's business; its own size counts."""
    (root / "bomb.zip").write_bytes(b"PK\x03\x04" + b"\xff" * 1000)
    (fact,), _ = Attachments(root, largest=2000).describe(["bomb.zip"])
    assert (fact["size"], fact["looks"]) == (1004, "a ZIP archive")


def test_a_file_that_has_changed_is_refused(root: Path) -> None:
    """T58: at sending, the file is hashed again; another of the same size is another."""
    attachments = Attachments(root)
    facts, contents = attachments.describe(["report.pdf"])
    assert attachments.fetch(facts) == contents
    (root / "report.pdf").write_bytes(b"%PDF-1.7 REPORT")
    with pytest.raises(ActionRefusedError, match=r"report\.pdf is no longer the file that was approved"):
        attachments.fetch(facts)


def test_a_swap_never_gets_out(root: Path) -> None:
    """T58: while another process swaps file and link a thousand times, only the approved octets are read."""
    attachments = Attachments(root)
    facts, contents = attachments.describe(["report.pdf"])
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            for target in (root.parent / "secret.txt", None):
                spare = root / "spare"
                if target:
                    spare.symlink_to(target)
                else:
                    spare.write_bytes(contents[0])
                spare.replace(root / "report.pdf")

    swapper = threading.Thread(target=swap)
    swapper.start()
    got = []
    try:
        for _ in range(1000):
            try:
                got.append(attachments.fetch(facts))
            except ActionRefusedError:
                got.append([])
    finally:
        stop.set()
        swapper.join()
    assert {b"".join(each) for each in got} <= {contents[0], b""}


@pytest.mark.parametrize(
    ("name", "octets", "media_type", "looks", "disguised"),
    [
        ("a.pdf", b"%PDF-1.7", "application/pdf", "a PDF document", False),
        ("a.pdf", b"MZ\x90", "application/pdf", "a Windows program", True),
        ("a.pdf.exe", b"MZ\x90", "application/octet-stream", "a Windows program", False),
        (
            "a.docx",
            b"PK\x03\x04",
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            "a ZIP archive",
            False,
        ),
        ("a.png", b"PK\x03\x04", "image/png", "a ZIP archive", True),
        ("a.txt", b"  <!DOCTYPE html>", "text/plain", "HTML", True),
        ("a.txt", b"#!/bin/sh", "text/plain", "a script", True),
        ("a.TXT", b"hello", "text/plain", None, False),
        ("noending", b"", "application/octet-stream", None, False),
    ],
)
def test_names_and_contents_are_compared(
    name: str, octets: bytes, media_type: str, looks: str | None, disguised: bool
) -> None:
    """T57: a program that calls itself a document is called what it is."""
    assert (declared(name), looks_like(octets)) == (media_type, looks)
    assert is_disguised(media_type, looks) is disguised
