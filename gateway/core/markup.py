"""HTML of a mail as the lines a person would see, with quotes reduced to a mark.

A quote container becomes one line `>`, so that the reader of plain text understands both. Where a client
puts no end to its quote, everything after its mark is the quote. The scanner is our own because the standard
library's takes quadratic time over tags that are never closed.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import unescape

from gateway.core import quotes
from gateway.core.mail import TooLargeError

MAX_HTML = 400_000
MAX_OPEN = 500
QUOTE_MARK = ">"
HIDDEN = "[hidden]"
"""Stands where a style sheet may hide what follows."""


def to_text(html: str) -> str:
    """Return the visible text, struck and hidden text dropped.

    Raises:
        TooLargeError: there is more markup, or deeper, than a reply has.
    """
    if len(html) > MAX_HTML:
        raise TooLargeError("the HTML is too long")
    walk = _Walk(_hiding_classes(html))
    for token in _scan(html):
        if isinstance(token, str):
            walk.text(token)
        elif token.closing:
            walk.end(token.name)
        else:
            if walk.may_end_fresh_text(token):
                walk.marks.append(len(walk.out))
            walk.start(token)
    return walk.fresh_text()


@dataclass(frozen=True, slots=True)
class _Tag:
    name: str
    closing: bool
    attributes: Mapping[str, str]

    @property
    def classes(self) -> list[str]:
        return self.attributes.get("class", "").lower().split()


@dataclass(frozen=True, slots=True)
class _Open:
    """An element that is not yet closed, and what that does to the text in it."""

    tag: str
    dropped: bool
    verbatim: bool


class _Walk:
    def __init__(self, hiding: frozenset[str]) -> None:
        self.out: list[str] = []
        self.marks: list[int] = []
        """Where in `out` a mark stands after which Outlook and its kin put the quoted mail."""
        self._hiding = hiding
        self._open: list[_Open] = [_Open("", dropped=False, verbatim=False)]

    @property
    def _dropping(self) -> bool:
        return self._open[-1].dropped

    def start(self, tag: _Tag) -> None:
        if tag.name in _BLOCKS:
            self._close_implied("p")
            self._break_line(blank=tag.name in {"p", "hr"})
        if tag.name == "li":
            self._close_implied("li")
        quoted = _is_quote(tag)
        if not (self._dropping or quoted or self._hiding.isdisjoint(tag.classes)):
            # What a style sheet hides may be seen or not: no reader of ours knows, so nobody decides by it.
            self.out.append(f" {HIDDEN} ")
        if quoted and not self._dropping:
            self.quote()
        if tag.name == "br" and not self._dropping:
            self.out.append("\n")
        if tag.name not in _VOID:
            self._push(tag.name, dropped=self._dropping or quoted or _is_hidden(tag))

    def end(self, name: str) -> None:
        if any(element.tag == name for element in self._open):
            while self._open.pop().tag != name:
                pass
        if name in _BLOCKS:
            self._break_line(blank=name == "p")
        elif name in {"td", "th"} and not self._dropping:
            self.out.append(" ")

    def text(self, raw: str) -> None:
        if self._dropping:
            return
        verbatim = self._open[-1].verbatim
        text = raw if verbatim else _BLANKS.sub(" ", raw)
        if self.out and self.out[-1].endswith("\n") and not verbatim:
            text = text.lstrip(" ")
        if text:
            self.out.append(text)

    def quote(self) -> None:
        self._break_line(blank=False)
        self.out.append(f"{QUOTE_MARK}\n")

    def fresh_text(self) -> str:
        """Return the text down to the first mark that a quoted mail follows; people draw such rules too."""
        for mark in self.marks[:_MOST_MARKS]:
            below = "".join(self.out[mark:]).split("\n")
            if quotes.begins(below):
                return "".join(self.out[:mark]).rstrip(" ") + f"\n{QUOTE_MARK}\n"
        return "".join(self.out)

    def may_end_fresh_text(self, tag: _Tag) -> bool:
        """Recognise the marks after which Outlook and its kin put the quoted mail without enclosing it."""
        return not self._dropping and (
            tag.attributes.get("id", "").lower().removeprefix("x_") in _END_IDS
            or not _END_CLASSES.isdisjoint(tag.classes)
            or (tag.name == "div" and bool(_OUTLOOK_RULE.search(tag.attributes.get("style", ""))))
            or (tag.name == "hr" and tag.attributes.get("tabindex") == "-1")
        )

    def _push(self, name: str, *, dropped: bool) -> None:
        if len(self._open) > MAX_OPEN:
            raise TooLargeError("the HTML is nested too deeply")
        self._open.append(_Open(name, dropped, verbatim=name == "pre" or self._open[-1].verbatim))

    def _close_implied(self, name: str) -> None:
        """Close an element that nobody closes: a paragraph ends where the next block begins."""
        for element in reversed(self._open):
            if element.tag == name:
                self.end(name)
                return
            if element.tag in _BLOCKS or element.tag in {"td", "th"}:
                return

    def _break_line(self, *, blank: bool) -> None:
        if self._dropping or not self.out:
            return
        if not self.out[-1].endswith("\n"):
            self.out.append("\n")
        if blank and self.out[-1] != "\n":
            self.out.append("\n")


# Possessive throughout: a tag either matches or fails in one pass over it.
_ATTRIBUTE = r"""([^\s/>=][^\s/>=]*+)(?:\s*+=\s*+(?:"([^"]*+)"|'([^']*+)'|([^\s"'>][^\s>]*+)))?+"""
_ONE_ATTRIBUTE = re.compile(_ATTRIBUTE)
_MARKUP = re.compile(r"<(?:/?[A-Za-z]|(?P<other>[!?/]))")
_TAG = re.compile(rf"<(/?)([A-Za-z][^\s/>]*+)((?:[\s/=]|{_ATTRIBUTE})*+)>")
_COMMENT_END = re.compile("--!?>")
_MARKUP_END = re.compile(">")
_LONG_REFERENCE = re.compile(r"&#\w{9,}+")
_RAW = {
    name: re.compile(rf"</{name}\b", re.IGNORECASE)
    for name in ("script", "style", "textarea", "title", "xmp")
}


def _scan(html: str) -> Iterator[str | _Tag]:
    """Part HTML into text and tags; what is never closed takes the rest with it, as in a browser."""
    position = 0
    while position < len(html):
        mark = _MARKUP.search(html, position)
        yield _characters(html[position : mark.start() if mark else len(html)])
        if mark is None:
            return
        if mark["other"]:
            position = _past_comment(html, mark.start())
            continue
        match = _TAG.match(html, mark.start())
        if match is None:
            return
        tag = _tag(match)
        yield tag
        position = _past_raw(html, match.end(), tag)


def _tag(match: re.Match[str]) -> _Tag:
    given = {
        found[1].lower(): unescape(_LONG_REFERENCE.sub("", found[2] or found[3] or found[4] or ""))
        for found in _ONE_ATTRIBUTE.finditer(match[3])
    }
    return _Tag(match[2].lower(), match[1] == "/", given)


def _past_raw(html: str, position: int, tag: _Tag) -> int:
    """Skip what is not markup: scripts and styles end at their own closing tag only."""
    if tag.closing or tag.name not in _RAW:
        return position
    end = _RAW[tag.name].search(html, position)
    return end.start() if end else len(html)


def _past_comment(html: str, mark: int) -> int:
    # HTML, 13.2.5.52: `--!>` ends a comment as well.
    end = (_COMMENT_END if html.startswith("<!--", mark) else _MARKUP_END).search(html, mark + 2)
    return end.end() if end else len(html)


def _characters(text: str) -> str:
    return unescape(_LONG_REFERENCE.sub("", text))


_BLANKS = re.compile(r"[ \t\r\n\f]+")
_VOID = frozenset(
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
)
_BLOCKS = frozenset(
    {
        *("address", "article", "aside", "blockquote", "body", "center", "dd", "div", "dl", "dt"),
        *("fieldset", "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr"),
        *("li", "main", "nav", "ol", "p", "pre", "section", "table", "tbody", "tfoot", "thead", "tr", "ul"),
    }
)
_DROPPED = frozenset(
    {
        *("title", "style", "script", "template", "xml", "s", "strike", "del"),
    }
)
_HIDING = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|mso-hide\s*:\s*all|line-through|max-height\s*:\s*0(?![.\d])"
    r"|font-size\s*:\s*0(?:px|pt|em)?\s*(?:;|$)|opacity\s*:\s*0(?:\.0+)?\s*(?:;|$)",
    re.IGNORECASE,
)
_QUOTE_CLASSES = frozenset(
    {
        *("gmail_quote", "gmail_quote_container", "gmail_extra", "gmail_attr", "yahoo_quoted"),
        *("moz-cite-prefix", "protonmail_quote", "tutanota_quote", "zmail_extra", "freshdesk_quote"),
        *("front-blockquote", "hs_reply", "missive_quote", "alimail-quote", "quoted-text"),
        *("yahoo-quoted-begin", "notion-mail-quote"),
    }
)
_END_CLASSES = frozenset({"outlookmessageheader"})
_END_IDS = frozenset(
    {
        *("divrplyfwdmsg", "appendonsend", "olk_src_body_section", "stopspelling", "reply-intro"),
        *("mail-editor-reference-message-container", "orgmailcontent"),
    }
)
_OUTLOOK_RULE = re.compile(
    r"border(?:-top)?\s*:\s*(?:none\s*;\s*border-top\s*:\s*)?solid\s*#?\w+\s*1\.0pt", re.IGNORECASE
)


_INDENTED = re.compile(r"border\s*:\s*none|border-width\s*:\s*0|margin[\w\s:-]*\b40px", re.IGNORECASE)


_MOST_MARKS = 5
_HIDING_RULE = re.compile(r"\.([A-Za-z][\w-]{0,60})[^{}.]{0,80}\{([^{}]{0,400})\}")


def _hiding_classes(html: str) -> frozenset[str]:
    """List the classes by which a style sheet hides or strikes text."""
    sheets = (sheet for sheet in _STYLE.findall(html) if _HIDING.search(sheet))
    rules = (rule for sheet in sheets for rule in _HIDING_RULE.findall(sheet))
    return frozenset(name.lower() for name, declarations in rules if _HIDING.search(declarations))


_STYLE = re.compile(r"<style\b[^>]{0,400}>([^<]{0,60000})", re.IGNORECASE)


def _is_hidden(tag: _Tag) -> bool:
    hiding = "hidden" in tag.attributes or _HIDING.search(tag.attributes.get("style", ""))
    return tag.name in _DROPPED or bool(hiding)


def _is_quote(tag: _Tag) -> bool:
    name = tag.attributes.get("name", "").lower()
    marked = name in {"quote", "messagereplysection"} or not _QUOTE_CLASSES.isdisjoint(tag.classes)
    return marked or (tag.name == "blockquote" and not _is_indented(tag))


def _is_indented(tag: _Tag) -> bool:
    """Whether a person made this quote to indent text: programs write it so, and mark those of mails."""
    marked = "type" in tag.attributes or "cite" in tag.attributes or tag.classes
    return not marked and _INDENTED.search(tag.attributes.get("style", "")) is not None
