"""HTML of a mail that is sent for an agent: all its text, whatever a style hides, and all that it leads to.

Only a plain subset is taken: what two programs could read in two ways is refused, so that what is read here
is what every reader's program reads.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import unescape
from html.entities import html5
from typing import Final

MOST_TARGETS: Final = 100
_DEEPEST: Final = 100


class MarkupRefusedError(ValueError):
    """The HTML is not of the plain subset; the message says what to leave out."""


@dataclass(frozen=True, slots=True)
class Target:
    """Something that the HTML leads to or fetches."""

    where: str
    """Element and attribute, as in `a href`, or `style` for CSS."""
    url: str
    text: str = ""
    """What a reader sees in its place, where it is a link."""

    @property
    def host(self) -> str:
        """The host, in lower case; empty where the target names none."""
        return _host(self.url)

    @property
    def belies(self) -> bool:
        """Whether its text names another host than it leads to."""
        named = _NAMED.finditer(self.text.lower())
        return any(_bare(each[1]) != _bare(self.host) for each in named)


@dataclass(frozen=True, slots=True)
class Hypertext:
    """What a piece of HTML says; `styled` if its reader may see less than `text`."""

    text: str
    targets: tuple[Target, ...]
    styled: bool


def read(html: str) -> Hypertext:
    """Take HTML apart.

    Raises:
        MarkupRefusedError: it is not of the plain subset.
    """
    walk = _Walk()
    for token in _tokens(html):
        walk.take(token)
    if walk.unclosed:
        raise MarkupRefusedError(f"<{walk.unclosed[-1]}> is not closed")
    if len(walk.targets) > MOST_TARGETS:
        raise MarkupRefusedError(f"{len(walk.targets)} links and sources, at most {MOST_TARGETS}")
    return Hypertext(walk.text(), tuple(walk.targets), walk.styled)


@dataclass(frozen=True, slots=True)
class _Tag:
    name: str
    closing: bool
    attributes: Mapping[str, str]


@dataclass(slots=True)
class _Walk:
    """Collects what is read; a list of what is open makes sure that nothing is nested by guess."""

    out: list[str] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)
    unclosed: list[str] = field(default_factory=list)
    styled: bool = False
    _links: list[tuple[Target, int]] = field(default_factory=list)

    def take(self, token: "str | _Tag") -> None:
        if isinstance(token, str):
            self._text(token)
        elif token.closing:
            self._end(token.name)
        else:
            self._start(token)

    def text(self) -> str:
        lines = (_BLANKS.sub(" ", line).strip() for line in "".join(self.out).split("\n"))
        return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n") + "\n"

    def _text(self, raw: str) -> None:
        if self.unclosed and self.unclosed[-1] == "style":
            self.styled = True
            self.targets += (Target("style", url) for url in _fetched(raw))
        elif self.unclosed and self.unclosed[-1] in _WORDLESS and raw.strip(" \t\r\n"):
            raise MarkupRefusedError(f"text stands in <{self.unclosed[-1]}> outside of its cells")
        else:
            verbatim = "pre" in self.unclosed
            self.out.append(raw if verbatim else _WHITE.sub(" ", raw))

    def _start(self, tag: _Tag) -> None:
        _check(tag)
        _check_place(tag.name, self.unclosed)
        if tag.name in _BLOCKS:
            self.out.append("\n")
        self.out += (f"[{name}: {value}] " for name, value in _said(tag))
        self.styled = self.styled or not _STYLING.isdisjoint(tag.attributes) or tag.name in _STYLED
        found = list(_targets(tag))
        self.targets += found
        if tag.name in _VOID:
            return
        if len(self.unclosed) >= _DEEPEST:
            raise MarkupRefusedError(f"nested deeper than {_DEEPEST} elements")
        self.unclosed.append(tag.name)
        self.out.append(_MARKS.get(tag.name, ""))
        if tag.name == "a":
            link = next((each for each in found if each.where == "a href"), Target("a", ""))
            self._links.append((link, len(self.out)))

    def _end(self, name: str) -> None:
        if not self.unclosed or self.unclosed.pop() != name:
            raise MarkupRefusedError(f"</{name}> closes what is not open; close every element in order")
        if name == "a":
            link, start = self._links.pop()
            self._name(link, " ".join("".join(self.out[start:]).split()))
        if name in _MARKS:
            self.out.append("]" if _MARKS[name].startswith("[") else ")")
        if name in _BLOCKS:
            self.out.append("\n")
        elif name in {"td", "th"}:
            self.out.append(" ")

    def _name(self, link: Target, text: str) -> None:
        if link.url and link in self.targets:
            self.targets[self.targets.index(link)] = Target(link.where, link.url, text)
            if link.url != text:
                self.out.append(f" <{link.url}>")


# Every attribute in quotes and no angle bracket within: no two parsers end such a tag at different places.
_ATTRIBUTE = r"""([A-Za-z][A-Za-z0-9:_-]*+)(?:\s*+=\s*+(?:"([^"<>]*+)"|'([^'<>]*+)'))?+"""
_ONE_ATTRIBUTE = re.compile(_ATTRIBUTE)
_TAG = re.compile(rf"<(/?)([A-Za-z][A-Za-z0-9]*+)((?:\s++{_ATTRIBUTE})*+)\s*+/?>")
_DOCTYPE = re.compile(r"<!doctype\b[^<>\[\]]*+>", re.IGNORECASE)
_COMMENT = re.compile(r"<!--(?!-?>)((?:(?!--|<!).)*+)-->", re.DOTALL)
_TEXT = re.compile(r"[^<]++")
_STYLE_END = re.compile(r"</style\s*+>", re.IGNORECASE)


def _tokens(html: str) -> Iterator[str | _Tag]:
    position, in_style = 0, False
    while position < len(html):
        if in_style:
            end = _STYLE_END.search(html, position)
            sheet = html[position : end.start()] if end else ""
            if end is None or "<" in sheet:
                raise MarkupRefusedError("<style> is not closed, or holds a '<'")
            yield sheet
            position, in_style = end.start(), False
        if match := _TEXT.match(html, position):
            yield _characters(match[0])
        elif match := _TAG.match(html, position):
            tag = _tag(match)
            in_style = tag.name == "style" and not tag.closing
            yield tag
        elif match := _COMMENT.match(html, position):
            # What one program takes for a comment is markup to another: `<!--[if mso]>`.
            if "<" in match[1] or ">" in match[1] or "[if" in match[1].lower():
                raise MarkupRefusedError("a comment holds markup or a condition")
            yield f"[comment: {match[1].strip()}] "
        elif not (match := _DOCTYPE.match(html, position)):
            shown = html[position : position + 40]
            raise MarkupRefusedError(
                f"at {shown!r}: write '&lt;' for a '<', put attributes into quotes, and close what is opened"
            )
        position = match.end()


def _tag(match: re.Match[str]) -> _Tag:
    found = [(each[1].lower(), each[2] or each[3] or "") for each in _ONE_ATTRIBUTE.finditer(match[3])]
    attributes = {name: _characters(value) for name, value in found}
    if len(attributes) < len(found):
        raise MarkupRefusedError(f"<{match[2].lower()}> has an attribute twice")
    return _Tag(match[2].lower(), match[1] == "/", attributes)


def _characters(text: str) -> str:
    """Decode references; one without its semicolon, or to no character, is read in different ways."""
    for reference in _REFERENCE.findall(text):
        known = reference[1] == "#" or reference[1:] in html5
        if not reference.endswith(";") or not known or not unescape(reference):
            raise MarkupRefusedError(f"at {reference!r}: write '&amp;' for a '&'")
    decoded = unescape(text)
    if _CONTROL.search(decoded):
        raise MarkupRefusedError("control characters are not allowed")
    return decoded


# What is in a table and in no cell of it is shown before the table.
_CHILDREN: Final[Mapping[str, frozenset[str]]] = {
    "table": frozenset({"caption", "colgroup", "thead", "tbody", "tfoot", "tr"}),
    "colgroup": frozenset({"col"}),
    **dict.fromkeys(("thead", "tbody", "tfoot"), frozenset({"tr"})),
    "tr": frozenset({"td", "th"}),
    "title": frozenset(),
}
_WORDLESS = _CHILDREN.keys() - {"title"}
_PARENTS: Final = {
    child: frozenset(each for each in _CHILDREN if child in _CHILDREN[each])
    for children in _CHILDREN.values()
    for child in children
}
_NEVER_NESTED = frozenset({"a", "button", "form", "option", "select"})
# What a text cannot show as it is meant: 10<sup>6</sup> is not 106, and what is struck is not said.
_MARKS: Final = {
    **dict.fromkeys(("s", "del", "strike"), "[struck: "),
    "sup": "^(",
    "sub": "_(",
}
_CHARSET = re.compile(r"charset\s*=\s*[\"']?([^\"';\s]*)", re.IGNORECASE)
_REFERENCE = re.compile(r"&(?:[A-Za-z]|#)[A-Za-z0-9]{0,30};?")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]")


def _check(tag: _Tag) -> None:
    if tag.name not in _ELEMENTS:
        raise MarkupRefusedError(f"<{tag.name}> is not allowed in a mail")
    for name in tag.attributes:
        if name.startswith("on") or name in {"srcdoc", "xmlns", "is"} or ":" in name:
            raise MarkupRefusedError(f"the attribute {name} is not allowed in a mail")
    if tag.name == "meta":
        _check_charset(tag.attributes)


def _check_charset(attributes: Mapping[str, str]) -> None:
    """Refuse another charset than the mail's: in UTF-7 or ISO-2022-JP its octets are other words."""
    named = [match[1] for match in _CHARSET.finditer(attributes.get("content", ""))]
    for charset in (*named, attributes.get("charset", "utf-8")):
        if charset.strip().lower() not in {"utf-8", "utf8"}:
            raise MarkupRefusedError(f"the charset is utf-8, not {charset!r}")


def _check_place(name: str, unclosed: Sequence[str]) -> None:
    """Refuse an element where browsers would move it, or end another one for it (HTML, 13.2.6.4)."""
    inside = unclosed[-1] if unclosed else ""
    if (inside in _CHILDREN and name not in _CHILDREN[inside]) or (
        name in _PARENTS and inside not in _PARENTS[name]
    ):
        raise MarkupRefusedError(f"<{name}> must not stand in {f'<{inside}>' if inside else 'no element'}")
    if name in _NEVER_NESTED and name in unclosed:
        raise MarkupRefusedError(f"<{name}> must not stand in another one")


def _said(tag: _Tag) -> Iterator[tuple[str, str]]:
    """Yield the words that stand in attributes, whichever program shows them."""
    for name, value in tag.attributes.items():
        if tag.name != "meta" and name not in _TECHNICAL | _LEADING and value.strip():
            yield name, " ".join(value.split())


def _targets(tag: _Tag) -> Iterator[Target]:
    for name, value in tag.attributes.items():
        where = f"{tag.name} {name}"
        if name == "style":
            yield from (Target(where, url) for url in _fetched(value))
        elif name == "content" and "http-equiv" in tag.attributes:
            yield from (Target("meta refresh", _url(match[1])) for match in _REFRESH.finditer(value))
        elif name in _SEVERAL:
            yield from (Target(where, _url(part)) for part in re.split(r"[,\s]+", value) if _is_source(part))
        elif name in _LEADING and value.strip():
            yield Target(where, _url(value))


def _is_source(part: str) -> bool:
    """Whether a part of `srcset` is one, and not its width or density."""
    return bool(part) and re.fullmatch(r"[0-9.]+[wxh]", part) is None


def _url(value: str) -> str:
    """Check a target's scheme, and for what browsers would silently mend."""
    url = value.strip(" \t\r\n")
    if _ODD.search(url):
        raise MarkupRefusedError(f"the link {url!r} holds blanks, backslashes or too many slashes")
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]*):", url)
    if scheme and scheme[1].lower() not in _SCHEMES:
        raise MarkupRefusedError(f"links with {scheme[1].lower()}: are not allowed in a mail")
    if scheme and scheme[1].lower().startswith("http") and not url[scheme.end() :].startswith("//"):
        raise MarkupRefusedError(f"the link {url!r} has no '//' before its host")
    if (match := _AUTHORITY.match(url)) and not _PLAIN_AUTHORITY.fullmatch(match[1]):
        raise MarkupRefusedError(
            f"the link {url!r} has no plain host; write it in ASCII (xn--...), without user name"
        )
    return url


def _fetched(css: str) -> Iterator[str]:
    """Yield what a style fetches; what could hide that, or write text of its own, is refused."""
    bare = _CSS_URL.sub(" ", css)
    if match := _BAD_CSS.search(_FONTS.sub(" ", bare)):
        raise MarkupRefusedError(f"a style with {match[0].strip()!r} is not allowed in a mail")
    for match in _CSS_URL.finditer(css):
        yield _url(match[1] or match[2] or match[3] or "")


_ODD = re.compile(r"[\s\\]|^/{3}|^[A-Za-z]+:/{3}")
_AUTHORITY = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*:)?//([^/?#]*)")
_PLAIN_AUTHORITY = re.compile(
    r"(?:[A-Za-z0-9-]+\.)*[A-Za-z0-9-]+(?::[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](?::[0-9]{1,5})?"
)
_REFRESH = re.compile(r"url\s*=\s*[\"']?([^\"']*)", re.IGNORECASE)
# A quoted string outside of fonts is text that a style writes: `content`, `list-style`, `quotes`.
_BAD_CSS = re.compile(
    r"\\|/\*|@(?!media\b)[\w-]*|[\"']|\bcontent\s*:|attr\s*\(|url\s*\(|src\s*\(|image-set\s*\(|expression"
    r"|behaviou?r\s*:|-moz-binding",
    re.IGNORECASE,
)
_FONTS = re.compile(r"""\bfont(?:-family)?\s*:(?:[^;{}"']|"[\w .-]*+"|'[\w .-]*+')*+""", re.IGNORECASE)
_CSS_URL = re.compile(r"""\burl\(\s*+(?:"([^"()]*+)"|'([^'()]*+)'|([^\s"'()]*+))\s*+\)""", re.IGNORECASE)


def _host(url: str) -> str:
    authority = _AUTHORITY.match(url)
    return re.sub(r":[0-9]+$", "", authority[1]).lower() if authority else ""


def _bare(host: str) -> str:
    return host.lower().removeprefix("www.").rstrip(".")


_NAMED = re.compile(r"(?<![\w.@/=&?%#~+-])(?:https?://)?((?:[\w-]+\.)+[a-z]{2,24})(?=$|[\s/:?#)>\]\"'.,])")
_SCHEMES = frozenset({"http", "https", "mailto", "tel", "cid"})
_WHITE = re.compile(r"[ \t\r\n]+")
# Wide blanks in a row would push what follows out of sight.
_BLANKS = re.compile(r"\t|[ \t\xa0\u1680\u2000-\u200a\u202f\u205f\u3000]{2,}")
_STYLING = frozenset(
    {"style", "class", "id", "hidden", "color", "bgcolor", "background", "size", "face", "dir"}
)
_STYLED = frozenset({"style", "font", "details", "bdo", "input", "select", "textarea"})
_VOID = frozenset({"area", "br", "col", "hr", "img", "input", "meta", "wbr"})
_BLOCKS = frozenset(
    {
        *("address", "article", "aside", "blockquote", "body", "br", "caption", "center", "dd", "details"),
        *("div", "dl", "dt", "fieldset", "figcaption", "figure", "footer", "form", "h1", "h2", "h3", "h4"),
        *("h5", "h6", "head", "header", "hr", "html", "legend", "li", "main", "nav", "ol", "option", "p"),
        *("pre", "section", "summary", "table", "tbody", "tfoot", "thead", "title", "tr", "ul"),
    }
)
# Nothing here runs, embeds, or has its content read by rules of its own, but `style`, which is read so.
_ELEMENTS = (
    _VOID
    | _BLOCKS
    | {
        *("a", "abbr", "acronym", "b", "bdi", "bdo", "big", "button", "cite", "code", "colgroup", "data"),
        *("del", "dfn", "em", "font", "i", "ins", "kbd", "label", "map", "mark", "q", "s", "samp", "select"),
        *("small", "span", "strike", "strong", "style", "sub", "sup", "td", "th", "time", "tt", "u", "var"),
    }
)
_LEADING = frozenset(
    {
        *("action", "background", "cite", "classid", "codebase", "data", "dynsrc", "formaction", "href"),
        *(
            "archive",
            "icon",
            "longdesc",
            "lowsrc",
            "manifest",
            "ping",
            "poster",
            "profile",
            "src",
            "srcset",
            "usemap",
        ),
    }
)
_SEVERAL = frozenset({"srcset", "ping", "archive"})
_TECHNICAL = frozenset(
    {
        *("align", "bgcolor", "border", "cellpadding", "cellspacing", "charset", "checked", "class", "color"),
        *("colspan", "coords", "dir", "disabled", "face", "frame", "headers", "height", "hidden", "hspace"),
        *(
            "http-equiv",
            "id",
            "lang",
            "loading",
            "media",
            "method",
            "nowrap",
            "open",
            "rel",
            "role",
            "rowspan",
        ),
        *("rules", "scope", "shape", "size", "start", "style", "target", "type", "valign", "vspace", "width"),
    }
)
