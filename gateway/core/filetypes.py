"""What kind of file it is: by what its name says, and by what its first octets are."""

from collections.abc import Mapping
from typing import Final

SNIFFED: Final = 512
"""How many octets tell what a file is."""

UNKNOWN: Final = "application/octet-stream"


def declared(name: str) -> str:
    """Return the media type that the ending of a file's name stands for, the same on every machine."""
    return _BY_ENDING.get(name.rpartition(".")[2].lower(), UNKNOWN) if "." in name else UNKNOWN


def looks_like(octets: bytes) -> str | None:
    """Say in words what the first octets of a file are; None where nothing is known of them."""
    head = octets[:SNIFFED]
    found = next((words for magic, words in _MAGIC if head.startswith(magic)), None)
    if found is None and head.lstrip().lower().startswith((b"<!doctype html", b"<html", b"<script")):
        return "HTML"
    return found


def is_disguised(media_type: str, looks: str | None) -> bool:
    """Whether a file is known to be of another kind than its name says."""
    return looks is not None and not media_type.startswith(_FITTING[looks])


_BY_ENDING: Mapping[str, str] = {
    "csv": "text/csv",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "gif": "image/gif",
    "gz": "application/gzip",
    "htm": "text/html",
    "html": "text/html",
    "ics": "text/calendar",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "json": "application/json",
    "md": "text/markdown",
    "odp": "application/vnd.oasis.opendocument.presentation",
    "ods": "application/vnd.oasis.opendocument.spreadsheet",
    "odt": "application/vnd.oasis.opendocument.text",
    "pdf": "application/pdf",
    "png": "image/png",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "svg": "image/svg+xml",
    "txt": "text/plain",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "xml": "application/xml",
    "zip": "application/zip",
}
_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"%PDF-", "a PDF document"),
    (b"\x89PNG\r\n\x1a\n", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF87a", "a GIF picture"),
    (b"GIF89a", "a GIF picture"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"PK\x05\x06", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"7z\xbc\xaf\x27\x1c", "an archive"),
    (b"Rar!\x1a\x07", "an archive"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Office document, which may hold macros"),
    (b"MZ", "a Windows program"),
    (b"\x7fELF", "a Linux program"),
    (b"\xcf\xfa\xed\xfe", "a macOS program"),
    (b"\xca\xfe\xba\xbe", "a program"),
    (b"#!", "a script"),
    (b"L\x00\x00\x00\x01\x14\x02\x00", "a Windows shortcut"),
)
# What may rightly begin so. Office documents are ZIP archives.
_FITTING: Mapping[str, tuple[str, ...]] = {
    "a PDF document": ("application/pdf",),
    "a PNG picture": ("image/png",),
    "a JPEG picture": ("image/jpeg",),
    "a GIF picture": ("image/gif",),
    "a ZIP archive": (
        "application/zip",
        "application/vnd.openxmlformats-officedocument.",
        "application/vnd.oasis.opendocument.",
    ),
    "a gzip archive": ("application/gzip",),
    "HTML": ("text/html",),
    **dict.fromkeys(
        (
            *("an archive", "an old Office document, which may hold macros", "a Windows program"),
            *("a Linux program", "a macOS program", "a program", "a script", "a Windows shortcut"),
        ),
        (UNKNOWN,),
    ),
}
