"""HTML that an agent wants to send: nothing in it escapes the reviewer's eyes."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.hypertext import MarkupRefusedError, read

SECRET = "sends all your money"

# Each hides the words from whoever opens the mail in a usual program.
HIDING = [
    f'<span style="display:none">{SECRET}</span>',
    f'<span style="DISPLAY : NONE !important">{SECRET}</span>',
    f'<span style="visibility:hidden">{SECRET}</span>',
    f'<span style="visibility:collapse">{SECRET}</span>',
    f'<span style="opacity:0">{SECRET}</span>',
    f'<span style="opacity:0.01">{SECRET}</span>',
    f'<span style="font-size:0">{SECRET}</span>',
    f'<span style="font-size:1px;line-height:0">{SECRET}</span>',
    f'<span style="font:0/0 a">{SECRET}</span>',
    f'<span style="color:#fff">{SECRET}</span>',
    f'<span style="color:transparent">{SECRET}</span>',
    f'<span style="color:rgba(0,0,0,0)">{SECRET}</span>',
    f'<div style="background:#fff;color:#fffffe">{SECRET}</div>',
    f'<font color="#ffffff">{SECRET}</font>',
    f'<font size="1">{SECRET}</font>',
    f'<table><tr><td bgcolor="#ffffff">{SECRET}</td></tr></table>',
    f'<span style="position:absolute;left:-9999px">{SECRET}</span>',
    f'<span style="position:fixed;top:-100vh">{SECRET}</span>',
    f'<span style="text-indent:-9999px">{SECRET}</span>',
    f'<span style="margin-left:-9999px">{SECRET}</span>',
    f'<span style="transform:scale(0)">{SECRET}</span>',
    f'<span style="transform:translateX(-200vw)">{SECRET}</span>',
    f'<span style="clip:rect(0,0,0,0)">{SECRET}</span>',
    f'<span style="clip-path:inset(100%)">{SECRET}</span>',
    f'<div style="max-height:0;overflow:hidden">{SECRET}</div>',
    f'<div style="width:0;height:0;overflow:hidden">{SECRET}</div>',
    f'<div style="mso-hide:all">{SECRET}</div>',
    f'<div style="filter:opacity(0)">{SECRET}</div>',
    f'<div style="mask-size:0">{SECRET}</div>',
    f'<div style="z-index:-1;position:relative">{SECRET}</div>',
    f'<div style="letter-spacing:-1em">{SECRET}</div>',
    f'<div style="content-visibility:hidden">{SECRET}</div>',
    f"<div hidden>{SECRET}</div>",
    f"<details><summary>More</summary>{SECRET}</details>",
    f"<style>.x{{display:none}}</style><p class='x'>{SECRET}</p>",
    f"<style>@media screen{{p{{display:none}}}}</style><p>{SECRET}</p>",
    f"<!-- {SECRET} -->",
    f"<title>{SECRET}</title>",
    f'<img src="cid:logo" alt="{SECRET}">',
    f'<a href="https://example.com/" title="{SECRET}">Report</a>',
    f'<input value="{SECRET}">',
    f'<input placeholder="{SECRET}">',
    f'<p data-note="{SECRET}">Report</p>',
    f'<p aria-label="{SECRET}">Report</p>',
    f"<select><option>Report</option><option>{SECRET}</option></select>",
    f"<p>Report{'<br>' * 500}{SECRET}</p>",
    f"<p>Report{'&nbsp;' * 2000}{SECRET}</p>",
    f"<div style='float:right;width:1px;overflow:hidden'>{SECRET}</div>",
    "".join(f"<b>{letter}</b>" for letter in SECRET),
    "".join(f"&#{ord(letter)};" for letter in SECRET),
]

# Each would show a reader what no text of the mail says, or is read in two ways.
REFUSED = {
    f'<style>p::before{{content:"{SECRET}"}}</style><p>x</p>': "'content:'",
    f"<style>p::before{{content : '{SECRET}'}}</style><p>x</p>": "content",
    '<style>p::before{c\\6f ntent:"x"}</style><p>x</p>': r"'\\\\'",
    "<style>p::before{con/**/tent:attr(class)}</style><p>x</p>": r"'/\*'",
    f"<ul style=\"list-style-type:'{SECRET}'\"><li>x</li></ul>": 'with "\'"',
    f"<style>q{{quotes:'{SECRET}' ''}}</style><q>x</q>": "with",
    "<style>@font-face{font-family:x;src:url(https://f.example/f)}</style>": "'@font-face'",
    "<style>@import 'https://s.example/s';</style>": "'@import'",
    "<p style='width:expression(alert(1))'>x</p>": "'expression'",
    "<p style='behavior:url(https://s.example/x)'>x</p>": "'behavior:'",
    "<style>p{color:red}": "<style> is not closed",
    f"<script>document.write('{SECRET}')</script>": "<script> is not allowed",
    "<iframe src='https://f.example/'></iframe>": "<iframe> is not allowed",
    "<object data='https://f.example/'></object>": "<object> is not allowed",
    "<embed src='https://f.example/'>": "<embed> is not allowed",
    "<svg><text>x</text></svg>": "<svg> is not allowed",
    "<math><mtext>x</mtext></math>": "<math> is not allowed",
    "<template>x</template>": "<template> is not allowed",
    "<noscript>x</noscript>": "<noscript> is not allowed",
    "<plaintext>x": "<plaintext> is not allowed",
    "<xmp>x</xmp>": "<xmp> is not allowed",
    "<textarea>x</textarea>": "<textarea> is not allowed",
    "<p onclick='x()'>x</p>": "onclick is not allowed",
    f"<!--[if mso]>{SECRET}<![endif]-->": "close what is opened",
    "<!--[if mso] x -->": "a condition",
    "<![CDATA[x]]>": "close what is opened",
    "<?xml version='1.0'?>": "close what is opened",
    "<!-- a --!> b -->": "close what is opened",
    "<!--> b -->": "close what is opened",
    "<!-- a": "close what is opened",
    "<p>a < b</p>": "write '&lt;'",
    "<p title=x>a</p>": "into quotes",
    "<p title='a>b'>a</p>": "into quotes",
    "<p title='a": "close what is opened",
    "<p title='a' title='b'>a</p>": "twice",
    "<p>a": "<p> is not closed",
    "<p><b>a</p></b>": "closes what is not open",
    "a</p>": "closes what is not open",
    "<p>&copy 2026</p>": "write '&amp;'",
    "<p>&notit; x</p>": "write '&amp;'",
    "<p>&#1;</p>": "write '&amp;'",
    "<p>&#8232;</p>": "control characters",
    "<p>a\x00b</p>": "control characters",
    f"{'<b>' * 101}x{'</b>' * 101}": "nested deeper",
    "<img src='cid:x'>" * 101: "101 links",
    '<a href="javascript:alert(1)">x</a>': "javascript: are not allowed",
    '<a href="java&#x73;cript:alert(1)">x</a>': "javascript: are not allowed",
    '<a href=" JavaScript:alert(1)">x</a>': "javascript: are not allowed",
    '<a href="java&#10;script:alert(1)">x</a>': "holds blanks",
    '<a href="vbscript:x">x</a>': "vbscript: are not allowed",
    '<img src="data:image/png;base64,AAAA">': "data: are not allowed",
    '<a href="file:///etc/passwd">x</a>': "too many slashes",
    '<a href="https:evil.example">x</a>': "no '//'",
    '<a href="https:///evil.example">x</a>': "too many slashes",
    '<a href="https:\\\\evil.example">x</a>': "backslashes",
    '<a href="https://bank.example@evil.example/">x</a>': "no plain host",
    '<a href="//bank.example@evil.example/">x</a>': "no plain host",
    '<a href="https://bänk.example/">x</a>': "no plain host",
    '<a href="https://b%61nk.example/">x</a>': "no plain host",
    '<a href="https://bank。example/">x</a>': "no plain host",
    "<table>Do <tr><td>pay</td></tr></table>": "text stands in <table>",
    "<table>&nbsp;<tr><td>pay</td></tr></table>": "text stands in <table>",
    "<table><tr><td>pay</td></tr> not</table>": "text stands in <table>",
    "<table><tbody>Do <tr><td>pay</td></tr></tbody></table>": "text stands in <tbody>",
    "<table><tr>Do <td>pay</td></tr></table>": "text stands in <tr>",
    "<table><b>Do</b><tr><td>pay</td></tr></table>": "<b> must not stand in <table>",
    "<table><tr><td>a<td>b</td>c</td></tr></table>": "<td> must not stand in <td>",
    "<p>a<tr><td>b</td></tr></p>": "<tr> must not stand in <p>",
    "<td>b</td>": "<td> must not stand in no element",
    '<a href="https://a.example/"><b><a href="https://b.example/">x</a></b></a>': "another one",
    '<form action="https://a.example/"><form action="https://b.example/"></form></form>': "another one",
    "<button>a<button>b</button></button>": "another one",
    "<title><b>x</b></title>": "<b> must not stand in <title>",
    '<base href="https://a.example/">': "<base> is not allowed",
    '<link rel="stylesheet" href="https://a.example/x">': "<link> is not allowed",
    '<meta charset="utf-7">': "the charset is utf-8",
    '<meta charset="iso-2022-jp">': "the charset is utf-8",
    '<meta http-equiv="content-type" content="text/html; charset=utf-7">': "the charset is utf-8",
    '<meta http-equiv="content-type" content="text/html; CharSet = \'utf-7\'">': "the charset is utf-8",
}


@pytest.mark.parametrize("html", HIDING)
def test_hidden_text_is_in_the_view(html: str) -> None:
    """T56: fifty ways to hide words from a reader, and each leaves them in the text that is shown."""
    assert SECRET in read(html).text


def test_there_are_enough_tricks() -> None:
    """T56: forty at least, no two of them the same."""
    assert len(set(HIDING)) == len(HIDING) >= 40


@pytest.mark.parametrize(("html", "why"), REFUSED.items(), ids=range(len(REFUSED)))
def test_what_could_be_read_in_two_ways_is_refused(html: str, why: str) -> None:
    """T56: markup that runs, writes text of its own, or ends where a program likes is not shown at all."""
    with pytest.raises(MarkupRefusedError, match=why):
        read(html)


@pytest.mark.parametrize(
    ("html", "where", "url"),
    [
        ('<a href="https://a.example/x">x</a>', "a href", "https://a.example/x"),
        ("<a href='https://a.example/x'>x</a>", "a href", "https://a.example/x"),
        ('<A HREF = "https://a.example/x">x</A>', "a href", "https://a.example/x"),
        ('<a href="https&#58;//a.example/x">x</a>', "a href", "https://a.example/x"),
        ('<a href="//a.example/x">x</a>', "a href", "//a.example/x"),
        (
            '<a href="mailto:ada@example.com?bcc=eve@attack.example">x</a>',
            "a href",
            "mailto:ada@example.com?bcc=eve@attack.example",
        ),
        ('<area href="https://a.example/x">', "area href", "https://a.example/x"),
        ('<img src="https://a.example/x">', "img src", "https://a.example/x"),
        (
            '<img srcset="https://a.example/1 1x, https://a.example/2 2x">',
            "img srcset",
            "https://a.example/2",
        ),
        ('<img longdesc="https://a.example/x">', "img longdesc", "https://a.example/x"),
        ('<img lowsrc="https://a.example/x">', "img lowsrc", "https://a.example/x"),
        ('<img usemap="#map">', "img usemap", "#map"),
        ('<form action="https://a.example/x"></form>', "form action", "https://a.example/x"),
        ('<button formaction="https://a.example/x">x</button>', "button formaction", "https://a.example/x"),
        ('<input type="image" src="https://a.example/x">', "input src", "https://a.example/x"),
        ('<body background="https://a.example/x"></body>', "body background", "https://a.example/x"),
        ('<q cite="https://a.example/x">x</q>', "q cite", "https://a.example/x"),
        ('<a href="#top" ping="https://a.example/x">x</a>', "a ping", "https://a.example/x"),
        (
            '<meta http-equiv="refresh" content="0;URL=\'https://a.example/x\'">',
            "meta refresh",
            "https://a.example/x",
        ),
        ('<p style="background:url(https://a.example/x)">x</p>', "p style", "https://a.example/x"),
        ("<p style=\"background:URL( 'https://a.example/x' )\">x</p>", "p style", "https://a.example/x"),
        (
            '<p style="background:url(&quot;https://a.example/x&quot;)">x</p>',
            "p style",
            "https://a.example/x",
        ),
        ("<style>p{background:url(https://a.example/x)}</style>", "style", "https://a.example/x"),
    ],
)
def test_every_real_target_is_listed(html: str, where: str, url: str) -> None:
    """T56: whatever a program could open or fetch stands in the list as it would be asked for."""
    assert (where, url) in [(target.where, target.url) for target in read(html).targets]


@pytest.mark.parametrize(
    ("text", "belies"),
    [
        ("www.bank.example", True),
        ("https://bank.example/login", True),
        ("Go to bank.example now", True),
        ("evil.example", False),
        ("https://www.evil.example/x", False),
        ("evil.example, formerly bank.example", True),
        ("evil.example→bank.example", True),
        ("https://evil.example/bank.html?of=bank.example", False),
        ("the report", False),
        ("e.g. this", False),
    ],
)
def test_a_link_that_names_another_host_is_noticed(text: str, belies: bool) -> None:
    """T55, T56: the text of a link is compared with the host that it really leads to."""
    (target,) = read(f'<p><a href="https://evil.example/x">{text}</a></p>').targets
    assert (target.text, target.belies) == (text, belies)


def test_the_text_is_laid_out_as_it_reads() -> None:
    """Blocks begin new lines, cells are parted, and a link is followed by where it leads."""
    html = "<h1>Q1</h1><p>Up <b>4</b>&nbsp;%.</p><ul><li>A</li><li>B</li></ul><a href='https://example.com/r'>Report</a>"
    assert read(html).text == "Q1\n\nUp 4\xa0%.\n\nA\n\nB\n\nReport <https://example.com/r>\n"


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("Pay 10<sup>6</sup> EUR", "Pay 10^(6) EUR"),
        ("H<sub>2</sub>O", "H_(2)O"),
        ("Do <s>not</s> pay", "Do [struck: not] pay"),
        ("Do <del>not</del> pay <strike>5</strike>", "Do [struck: not] pay [struck: 5]"),
    ],
)
def test_what_changes_the_meaning_is_marked(html: str, text: str) -> None:
    """T56: a power is no digit, and what is struck is not said."""
    assert read(f"<p>{html}</p>").text == f"{text}\n"


def test_the_charset_of_the_mail_may_be_named() -> None:
    """T56: what mail editors write by themselves is taken, as long as it is true."""
    head = '<meta charset="UTF-8"><meta http-equiv="Content-Type" content="text/html; charset=utf-8">'
    assert read(f"<head>{head}</head><p>x</p>").text == "x\n"


@pytest.mark.parametrize("blank", ["&nbsp;", "&emsp;", "&#x3000;", " &nbsp;", "\t"])
def test_nothing_is_pushed_out_of_sight(blank: str) -> None:
    """T56: a thousand blanks are one, and a thousand line breaks two."""
    assert read(f"<p>a{blank * 1000}b{'<br>' * 1000}c</p>").text == "a b\n\nc\n"


def test_styles_are_told_of() -> None:
    """A reviewer learns that readers may not see all of the text."""
    assert [read(html).styled for html in ("<p>a</p>", "<p style='color:red'>a</p>")] == [False, True]


WORDS = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp", "Cn"]), min_size=1, max_size=20)


@given(
    st.recursive(
        WORDS.map(lambda text: ("", text)),
        lambda inner: st.tuples(st.sampled_from(["b", "p", "li", "div"]), st.lists(inner, max_size=4)),
    )
)
def test_no_letter_is_lost(tree: Any) -> None:
    """Whatever is nested how, every letter of it is in the view, in its order."""
    words: list[str] = []

    def markup(node: Any) -> str:
        name, inner = node
        if not name:
            words.append(inner)
            return str(inner).replace("&", "&amp;").replace("<", "&lt;")
        return f"<{name}>{''.join(map(markup, inner))}</{name}>"

    shown = read(markup(tree)).text
    assert "".join("".join(words).split()) == "".join(shown.split())


@given(st.text(alphabet="<>/='\"ab -!&;pstyle", max_size=80))
def test_any_text_is_read_or_refused(html: str) -> None:
    """No input breaks the reader."""
    with suppress(MarkupRefusedError):
        assert read(html).text.endswith("\n")


@pytest.mark.timeout(10)
@pytest.mark.parametrize(
    "piece",
    ["<", "<a ", "<a href='", "<!--", "&amp", "<p style='", "<b>", "url(", "<p a='' ", "<style>", "a.b"],
)
def test_no_repetition_takes_long(piece: str) -> None:
    """T75: the longest HTML that a mail may have is read at once, whatever it repeats."""
    for html in (piece * (50_000 // len(piece)), f"<a href='https://a.example/'>{piece * 9_000}</a>"):
        with suppress(MarkupRefusedError):
            read(html)
