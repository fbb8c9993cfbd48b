"""Read a letter as a mail program would: its lines of text, and the structure of its HTML."""

import re
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from html.parser import HTMLParser
from typing import cast
from urllib.parse import unquote, urlsplit

from gateway.letters import octets

_SAME_LINE = frozenset({"a", "caption", "span", "td", "th"})
_VOID = frozenset({"meta", "!doctype"})


def received(message: EmailMessage) -> EmailMessage:
    """The message as it arrives, parsed from its octets."""
    return message_from_bytes(octets(message), policy=default)


def text_of(message: EmailMessage) -> str:
    body = message.get_body(("plain",))
    assert body is not None
    return cast("str", body.get_content()).replace("\r\n", "\n")


def html_of(message: EmailMessage) -> str:
    body = message.get_body(("html",))
    assert body is not None
    return cast("str", body.get_content()).replace("\r\n", "\n")


@dataclass
class Html(HTMLParser):
    """The tags, the links and the lines of text of a page."""

    source: str
    tags: list[str] = field(default_factory=list)
    attributes: list[tuple[str, str | None]] = field(default_factory=list)
    pieces: list[str] = field(default_factory=list)
    inside: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in _VOID:
            self.inside.append(tag)
        if tag not in _SAME_LINE:
            self.pieces.append("\n")

    def handle_endtag(self, tag: str) -> None:
        assert self.inside.pop() == tag
        if tag not in _SAME_LINE:
            self.pieces.append("\n")

    def handle_data(self, data: str) -> None:
        if self.inside and self.inside[-1] != "style":
            # A line feed of the source is a space on the page.
            self.pieces.append(data.replace("\n", " "))

    @property
    def lines(self) -> list[str]:
        return [line for line in "".join(self.pieces).split("\n") if line.strip()]

    @property
    def links(self) -> list[str]:
        return [value for name, value in self.attributes if name == "href" and value]


@dataclass(frozen=True)
class Prefilled:
    """The mail that a mailto link opens."""

    to: str
    subject: str
    lines: list[str]


def opened(link: str) -> Prefilled:
    parts = urlsplit(link)
    assert parts.scheme == "mailto"
    assert re.fullmatch(r"(?:[\w.~@=&-]|%[0-9A-F]{2})+", parts.path + parts.query)
    query = dict(pair.split("=", 1) for pair in parts.query.split("&"))
    return Prefilled(unquote(parts.path), unquote(query["subject"]), unquote(query["body"]).split("\r\n"))
