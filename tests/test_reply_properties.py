"""Laws of reading replies, tried on mails that are written, dressed, damaged and carried in every known way.

`make test` tries each law on the same two thousand mails, `make properties` on a hundred thousand of its own
(PROPERTIES in the environment).
"""

import json
import os
import statistics
import sys
from dataclasses import replace
from email import message_from_bytes, policy
from html import escape
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import adversary
from clients import ADDITIONS, FOOTERS, OUTLOOK, QUOTES, SIGNATURES, Quote, marked
from gateway.core import authentication, bounce, gist, markup, reply
from gateway.core.action import Action, Field, FieldType
from gateway.core.authentication import Form, Trust
from gateway.core.mail import MailError
from gateway.core.reply import Context, Reading, Reason, Said, read
from letters import samples
from mutation import TOKENS, carried, damaged
from oracle import mail_may_approve, may_approve
from test_reply import CONTEXT, MAILS, REQUEST, _languages

law = settings(
    max_examples=int(os.environ.get("PROPERTIES", "2000")),
    # The same mails each time, so that a change fails by itself and never by chance; others with PROPERTIES.
    derandomize="PROPERTIES" not in os.environ,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
AUTHOR = "Dana Petrova <dana@example.com>"
LETTERS = Path(__file__).parent / "letters"
TONGUES = st.sampled_from([(), (), *((language,) for language in adversary.LANGUAGES), adversary.LANGUAGES])


def mail(body: str, kind: str = "text/plain; charset=utf-8") -> bytes:
    head = f"From: {AUTHOR}\nSubject: Re: Approve?\nIn-Reply-To: <a@example.com>\nContent-Type: {kind}\n\n"
    return (head + body).encode("utf-8", "surrogatepass")


def letter(name: str) -> str:
    """Return the text of a letter of ours, as the templates write it."""
    message = message_from_bytes((LETTERS / f"{name}.eml").read_bytes(), policy=policy.default)
    body = message.get_body(("plain",))
    return body.get_content() if body else ""


def question(name: str, action: Action) -> Context:
    """Return what is known of a question whose letter is among the golden ones."""
    values = {field.name: action.parameters[field.name] for field in samples.EDITABLE}
    return Context(fields=samples.EDITABLE, values=values, letters=(letter(name),))


LINK = "https://gateway.example.net/a/"
EDITED = question("ask-edited", samples.EDITED)
QUESTIONS = (CONTEXT, question("ask", samples.EMAIL), EDITED)


# --- what may approve ---------------------------------------------------------------------------------------


@law
@given(adversary.replies(), TONGUES)
def test_text_outside_the_grammar_never_approves(text: str, languages: tuple[str, ...]) -> None:
    """T21: what is read as an approval is one in the eyes of somebody who knows nothing of the reader."""
    reading = read(mail(text), replace(CONTEXT, languages=languages))
    assert reading.said is not Said.APPROVE or may_approve(text, AUTHOR, languages, REQUEST)


@pytest.mark.parametrize(
    "below",
    [
        "This email is confidential and should not go to the team.",
        "This message is intended only for the managers, cut the rest",
        "This e-mail and any attachments are confidential, so drop the managers",
        "You received this email by mistake, so stop",
        "You are receiving this email instead of Bob",
        "Unsubscribe: Bob",
        "Disclaimer:\nI only looked at the subject.",
        "Legal notice:\n\nWait for Bob.",
        "Legal notice: wait for the intended recipient's lawyer",
        "DISCLAIMER: nobody has read this message",
        "Please consider the environment before you send this",
        "Este correo no debe enviarse con archivos adjuntos",
        "Questo messaggio non va ai destinatari",
        "Best regards,\nLeave Bob Out",
        "Best regards,\nDana\nLeave Bob out",
        "Best regards,\nDana\nOnly To Bob",
        "Cheers,\nCheers,\nBob wrote:",
        "Dana Petrova\nIs this right",
        "Dana Petrova\n- to managers",
        "Dana Petrova\nAs long as Bob is copied",
        "Dana Petrova\nUse carol@example.com",
        "Dana Petrova\nSent on behalf of Bob",
        "Dana Petrova\n未承認",
        "Dana Petrova\n承認しません",
        "Leave Bob Out\nM +49 170 1234567",
        "Begin forwarded message:\n>> older\nsend it to the managers\nin German\nby Monday",
        "> old\n-----Original Message-----\nonly to the managers",
        ">   From: a@example.com\nDate: Monday\nto the managers\nin German\nwithout Bob\nplease",
        f"from: bob@example.com\n\n{OUTLOOK(REQUEST)}",
        f"date: Monday\n\n{OUTLOOK(REQUEST)}",
        "> old\nThis message is confidential and meant for others\n\nIf it is in error, it is prohibited.",
        "-- \nno",
        f"> but to Bob alone\n\nOn 3 Mar 2026 at 09:14, A <a@example.com> wrote:\n\n{marked(REQUEST)}",
        f"> HIGH RISK\n> {LINK}{'z' * 42}\nreject",
        f"> HIGH RISK\n> {LINK}zyxw\nwait.",
        f"> HIGH RISK\nreject {LINK}{'z' * 42}",
        f"\N{CROSS MARK}\n{ADDITIONS[13]}",
        f"?\n{FOOTERS[0]}",
        f"\N{THUMBS DOWN SIGN} {ADDITIONS[14]}",
        "Dana Petrova\n\N{THINKING FACE}",
    ],
)
def test_found_loophole_stays_closed(below: str) -> None:
    """T21: each of these once passed for a notice, a footer or a signature under an approval."""
    assert read(mail(f"APPROVE\n\n{below}"), CONTEXT).said is Said.UNCLEAR


@pytest.mark.parametrize(
    "raw",
    [
        mail("<head>Only if legal agrees.<title>x</title></head><p>APPROVE</p>", "text/html; charset=utf-8"),
        mail("| Hello,\nAPPROVE"),
        mail("To Carol\n\nAPPROVE"),
        mail("APPROVE=\rif legal agrees").replace(
            b"\n\n", b"\nContent-Transfer-Encoding: quoted-printable\n\n"
        ),
        mail("APPROVE\n\nSend it to Bob").replace(b"<dana@", b"send it to bob " + b"x" * 200 + b"<dana@"),
        mail("Approve?").replace(b"Dana Petrova", b"=?\xc3\xb4?q?Dana?="),
    ],
    ids=[
        "text in the head",
        "a barred greeting",
        "whom it goes to",
        "a lone carriage return",
        "From names every word",
        "a charset that is none",
    ],
)
def test_found_mail_is_unclear(raw: bytes) -> None:
    """T21, V7: each of these once approved, or raised."""
    assert read(raw, CONTEXT).said is Said.UNCLEAR


def test_edited_question_is_approved_above_its_letter() -> None:
    """The list of changes in the letter of an edited question is no edit of its reader's."""
    text, asked = f"APPROVE\n\n{marked(EDITED.letters[0])}", EDITED
    assert read(mail(text), asked).said is Said.APPROVE
    touched = text.replace("head@", "carol@")
    assert read(mail(touched), asked).reason is Reason.EDITED_COPY


def test_oracle_knows_the_golden_mails() -> None:
    """The second opinion lets every golden approval pass, and what it lets pass besides is no typed text."""
    structural = {Reason.AUTOMATIC, Reason.BOUNCE, Reason.CALENDAR, Reason.REACTION, Reason.DISAGREE}
    structural |= {Reason.FORWARDED, Reason.EDITED_COPY, Reason.EXTRA_WORDS, Reason.NO_TEXT}
    for path in MAILS:
        golden = json.loads(path.with_suffix(".result").read_text(encoding="utf-8"))
        opinion = mail_may_approve(path.read_bytes(), _languages(path), REQUEST)
        if golden["verdict"] == Said.APPROVE:
            assert opinion, path.name
        elif opinion:
            assert golden["reason"] in structural, path.name


@law
@given(adversary.replies(), adversary.replies(), st.booleans(), st.sampled_from(["div", "p", "br", "span"]))
def test_both_alternatives_have_to_approve(one: str, other: str, same: bool, tag: str) -> None:
    """T22: text and HTML beside each other approve only where each of them alone does."""
    shown = _html(one if same else other, tag)
    parts = (("plain", one), ("html", shown))
    body = "".join(f"--b\nContent-Type: text/{kind}; charset=utf-8\n\n{part}\n" for kind, part in parts)
    both = read(mail(f"{body}--b--\n", "multipart/alternative; boundary=b"), CONTEXT)
    if both.said is Said.APPROVE:
        assert read(mail(one), CONTEXT).said is Said.APPROVE
        assert read(mail(shown, "text/html; charset=utf-8"), CONTEXT).said is Said.APPROVE


def _html(text: str, tag: str) -> str:
    lines = [escape(line) for line in text.split("\n")]
    if tag in {"br", "span"}:
        return "<br>\n".join(lines)
    return "\n".join(f"<{tag}>{line or '<br>'}</{tag}>" for line in lines)


# --- what stands below --------------------------------------------------------------------------------------

BASES = (
    *("APPROVE", "Approved, thanks", "Approve\n\nLooks good to me.", "Hi Bob,\n\nApproved.", "I approve 👍"),
    *("Approved.\n\nBest regards,\nDana", "APPROVE\n\nDana Petrova\nHead of Finance\nTel: +49 30 1234567"),
    *(
        "REJECT",
        "Reject - too early",
        "Rejected: not before the audit.\n\nAsk me first, please.",
        "I reject this.\n\nDana",
    ),
    *("MODIFY\nsubject: Q1", "MODIFY\nsubject: Q1\namount: 1000", "Modify to: a@example.com, b@example.com"),
    *(
        "MODIFY\nurgent: yes",
        "MODIFY\nbody: Hello, all.\nThe report follows.",
        "MODIFY\ncc:\nbob@example.com\ncarol@example.com",
    ),
    *(
        "MODIFY\nfrom: x@example.com",
        "MODIFY\nto: a@b\nto: c@d",
        "MODIFY\namount: many",
        "MODIFY\n\nmake it shorter",
        "MODIFY",
    ),
    *(
        "I do not approve",
        "Approve?",
        "Approve if legal agrees",
        "APPROVE\nREJECT",
        "ok",
        "👍",
        "aprove",
        "Not yet.",
    ),
    *(
        "APPROVE\namount: 1000",
        "Approve the second paragraph",
        "APPROVE\n\nWait for Bob",
        "APPROVE\n\nBest regards,\nNope",
    ),
    *(
        "Could you tell me who asked for this?",
        "Why does the team need this report now?",
        "",
        "I am on vacation from Monday",
    ),
)


COLLEAGUES = (
    "Hi Dana,\n\nplease approve it if you can.\nREJECT it otherwise.\n\nsubject: Q2\nto: bob@example.com\n"
)
ANSWERS = tuple(map(letter, ("unclear", "receipt", "already-decided", "comment")))
"""Other letters about the second of the questions."""
OTHER_TEXTS = (*ANSWERS, COLLEAGUES)


@st.composite
def dressings(draw: st.DrawFn) -> tuple[list[str], list[str]]:
    """Choose what is added above a quote, and below it; a person signs once, a list ends it all."""
    above = draw(st.lists(st.sampled_from(ADDITIONS), max_size=3))
    below = draw(st.lists(st.sampled_from([*ADDITIONS, *FOOTERS]), max_size=2))
    if draw(st.booleans()):
        above.insert(draw(st.integers(0, len(above))), draw(st.sampled_from(SIGNATURES)))
    return above, below


@law
@given(
    st.sampled_from(BASES),
    st.sampled_from(QUESTIONS),
    dressings(),
    st.one_of(st.none(), st.sampled_from(QUOTES)),
    st.one_of(st.none(), st.sampled_from(OTHER_TEXTS)),
    st.booleans(),
)
def test_what_stands_below_changes_nothing(
    base: str,
    asked: Context,
    added: tuple[list[str], list[str]],
    quote: Quote | None,
    other: str | None,
    known: bool,
) -> None:
    """T21: whatever a client, a server, a lawyer or a list adds below leaves verdict and edits as they were.

    By the rules of the product it is otherwise, and so not tried here, where something of a person's stands
    there too: a letter that is pasted without any mark or whose draft is edited, text under a marked quote,
    and fewer than four unmarked lines under a heading. A MODIFY that names no field is read from the draft
    below it, which without a request may be anybody's text; with one, what is not ours needs a mark to be a
    quote. An empty mail is asked about and one with only a quote or signature is not; neither decides.
    """
    if other is not None and other != COLLEAGUES and asked is not QUESTIONS[1]:
        other = None
    context = replace(asked, letters=(*asked.letters, *ANSWERS) if known else ())
    quoted = [quote(other or asked.letters[0])] if quote else []
    assume(other != COLLEAGUES or not (known or base in {"MODIFY", "MODIFY\n\nmake it shorter"}))
    bare = read(mail(base), context)
    above, below = added
    dressed = read(mail("\n\n".join([base, *above, *quoted, *below]) + "\n"), context)
    assert (_verdict(dressed), dressed.edits) == (_verdict(bare), bare.edits)


@law
@given(
    st.sampled_from([QUESTIONS[1].letters[0], *ANSWERS]),
    st.floats(0, 1),
    st.sampled_from(["only to Bob", "REJECT", "leave out the second paragraph", "Wait for Carol.", "3000"]),
    st.sampled_from(["> ", ">", "", "> > "]),
    st.booleans(),
    st.booleans(),
)
def test_what_is_typed_into_a_quoted_letter_is_seen(
    quoted: str, place: float, typed: str, mark: str, apart: bool, is_outlook: bool
) -> None:
    """T21: whichever letter of ours is quoted, a line typed into it leaves an approval above it in doubt.

    It may carry a quote's mark, as programs put it on lines that are typed between quoted ones, or none.
    """
    lines = quoted.split("\n") if is_outlook else marked(quoted).split("\n")
    last = max(at for at, line in enumerate(lines) if len(line.split()) > 4)
    at = round(place * last)
    new = typed if is_outlook else f"{mark}{typed}"
    blank = "" if is_outlook else ">"
    between = [blank, new, blank] if apart else [new]
    heading = OUTLOOK("") if is_outlook else "On Tue, 3 Mar 2026 at 09:14, Agent <agent@example.com> wrote:\n"
    text = "\n".join(["APPROVE", "", heading, *lines[:at], *between, *lines[at:]])
    asked = QUESTIONS[1]
    assert read(mail(text), replace(asked, letters=(*asked.letters, *ANSWERS))).said is Said.UNCLEAR


def _verdict(reading: Reading) -> Said:
    return Said.IGNORED if reading.reason is Reason.NO_TEXT else reading.said


# --- damage and carriage ------------------------------------------------------------------------------------

# Half a character more or less makes a signature of gibberish, which nobody can judge.
NARROW = [path for path in MAILS if "utf-16" not in path.stem]
PAIRS = st.tuples(st.integers(0, 2**32 - 1), st.sampled_from(NARROW), st.sampled_from(NARROW))


@law
@given(PAIRS)
def test_damage_never_raises_and_never_approves(pair: tuple[int, Path, Path]) -> None:
    """T21, T72, V7: however a mail is damaged it is read, and what then approves still says so and no more.

    A flipped bit may well turn `Approve if` into `Approve it`, and a lost line a condition into nothing: the
    law is that the damaged mail is judged as what it has become.
    """
    seed, path, other = pair
    raw = damaged(seed, path.read_bytes(), other.read_bytes())
    languages = _languages(path)
    reading = read(raw, replace(CONTEXT, languages=languages))
    assert reading.said is not Said.APPROVE or mail_may_approve(raw, languages, REQUEST)


@law
@given(PAIRS)
def test_carriage_changes_nothing(pair: tuple[int, Path, Path]) -> None:
    """What servers do to a mail on its way, line ends, encodings and headers of their own, is not read."""
    seed, path, _ = pair
    context = replace(CONTEXT, languages=_languages(path))
    assert read(carried(seed, path.read_bytes()), context) == read(path.read_bytes(), context)


@pytest.mark.sweep
@pytest.mark.timeout(600)
def test_cut_off_mail_never_approves_more(capsys: pytest.CaptureFixture[str]) -> None:
    """T72: a golden mail, cut off behind every 64th octet, approves where it did whole, or says so itself."""
    count = 0
    for path in MAILS:
        raw, languages = path.read_bytes(), _languages(path)
        context = replace(CONTEXT, languages=languages)
        approves = read(raw, context).said is Said.APPROVE
        for end in range(0, len(raw), 64):
            reading = read(raw[:end], context)
            count += 1
            if reading.said is Said.APPROVE and not approves:
                assert mail_may_approve(raw[:end], languages, REQUEST), f"{path.name} up to {end}"
    with capsys.disabled():
        sys.stdout.write(f"\n{count} cut-off mails read\n")


# --- changes ------------------------------------------------------------------------------------------------

NAMES = st.lists(
    st.sampled_from(["ab", "note", "qty", "due", "cost", "zip", "io", "tag", "ref"]), min_size=1, max_size=3
).map("_".join)
STRANGERS = st.sampled_from(["from", "priority", "reply_to", "attachments", "headline", "deadline"])
TYPED = st.text(
    st.characters(exclude_categories=["Cc", "Cf", "Cs", "Zl", "Zp", "Co", "Cn"]), max_size=60
).map(str.strip)
VALUES = {
    FieldType.STRING: TYPED.filter(
        lambda text: text and not text.startswith(("*", "//", "\N{NO-BREAK SPACE}"))
    ),
    FieldType.STRINGS: st.lists(
        st.tuples(
            st.sampled_from(["ada", "bob.b", "c+d", "Dana"]),
            st.sampled_from(["x", "example.com", "example.co.uk"]),
        ).map("@".join),
        max_size=4,
    ),
    FieldType.INTEGER: st.integers(-(10**17), 10**17),
    FieldType.NUMBER: st.one_of(
        st.integers(-(10**14), 10**14), st.integers(-(10**10), 10**10).map(lambda cents: cents / 100)
    ),
    FieldType.BOOLEAN: st.booleans(),
    FieldType.JSON: st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.text(st.characters(codec="ascii", categories=["L", "N"])),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
        max_leaves=8,
    ),
}


def typed(kind: FieldType, value: Any) -> str:
    """Write a value as a reviewer may."""
    match kind:
        case FieldType.STRINGS:
            return ", ".join(value)
        case FieldType.NUMBER if isinstance(value, float):
            return f"{value:.2f}"
        case FieldType.BOOLEAN:
            return "yes" if value else "No"
        case FieldType.JSON:
            return json.dumps(value)
        case _:
            return str(value)


@st.composite
def changes(draw: st.DrawFn) -> dict[str, tuple[FieldType, Any]]:
    names = draw(st.lists(NAMES, min_size=1, max_size=5, unique_by=lambda name: name.replace("_", "")))
    kinds = {name: draw(st.sampled_from(FieldType)) for name in names}
    return {name: (kind, draw(VALUES[kind])) for name, kind in kinds.items()}


def spelled(name: str, style: int) -> str:
    return (name, name.upper(), name.replace("_", " ").capitalize(), name.replace("_", "-"), f"*{name}*")[
        style
    ]


@law
@given(changes(), st.integers(0, 4), st.sampled_from(["MODIFY", "modify:", "Hi all,\n\nModified."]))
def test_what_is_typed_is_what_changes(
    asked: dict[str, tuple[FieldType, Any]], style: int, verb: str
) -> None:
    """`name: value` lines come back as equal values of their types, however the name is spelled."""
    fields = tuple(Field(name, kind) for name, (kind, _) in asked.items())
    lines = [f"{spelled(name, style)}: {typed(kind, value)}" for name, (kind, value) in asked.items()]
    reading = read(mail("\n".join([verb, *lines])), Context(fields=fields))
    assert (reading.said, dict(reading.edits)) == (
        Said.MODIFY,
        {name: value for name, (_, value) in asked.items()},
    )


@law
@given(changes(), STRANGERS, st.data())
def test_unknown_and_repeated_fields_are_named(
    asked: dict[str, tuple[FieldType, Any]], stranger: str, data: st.DataObject
) -> None:
    """A name that is no field, and a field given twice, change nothing and are named in the answer."""
    fields = tuple(Field(name, kind) for name, (kind, _) in asked.items())
    lines = [f"{name}: {typed(kind, value)}" for name, (kind, value) in asked.items()]
    twice = data.draw(st.sampled_from(lines))
    wrong = data.draw(st.sampled_from([twice, f"{stranger}: 1"]))
    at = 0 if wrong is not twice else data.draw(st.integers(0, len(lines)))
    reading = read(mail("\n".join(["MODIFY", *lines[:at], wrong, *lines[at:]])), Context(fields=fields))
    assert reading.said is Said.UNCLEAR
    assert reading.edits == {}
    assert any(wrong.partition(":")[0] in problem for problem in reading.problems)


# --- whatever the bytes -------------------------------------------------------------------------------------

TRUSTS = st.sampled_from(
    [Trust(server="mx.example.com"), Trust(server="*.example.com", received=0), Trust(form=Form.MICROSOFT365)]
)
HEADER = st.sampled_from(
    [
        *(
            b"From: ",
            b"To: ",
            b"Subject: ",
            b"References: ",
            b"Message-ID: ",
            b"Content-Type: ",
            b"Authentication-Results: ",
        ),
        *(
            b"X-Failed-Recipients: ",
            b"List-Id: ",
            b"Received: ",
            b"Auto-Submitted: ",
            b"Content-Transfer-Encoding: ",
        ),
        *(
            b"mx.example.com; dmarc=pass header.from=example.com",
            b"dana@example.com",
            b"=?utf-8?b?",
            b"?=",
            b"=?\xf4?q?a?=",
        ),
        *(
            b"multipart/report; report-type=delivery-status; boundary=b",
            b"message/delivery-status",
            b"; charset=",
            b"<",
            b">",
        ),
        *(
            b"Final-Recipient: rfc822; ",
            b"Action: failed",
            b"Status: 5.1.1",
            b"a" * 42,
            b"+",
            b"@",
            b",",
            b"(",
            b"\\",
        ),
        *(b"\r\n", b"\r\n", b"\n", b"\r\n\r\n", b"\r\n ", b"--b\r\n", b"--b--"),
    ]
)
OCTETS = st.one_of(
    st.binary(max_size=300),
    st.lists(st.one_of(HEADER, st.sampled_from(TOKENS), st.binary(max_size=6)), max_size=30).map(b"".join),
)


@law
@given(OCTETS, TRUSTS)
def test_no_octets_raise(raw: bytes, trust: Trust) -> None:
    """T72, V7: whatever arrives, everything that reads octets answers, and none of it approves by chance."""
    reading = read(raw, CONTEXT)
    assert reading.said is not Said.APPROVE or mail_may_approve(raw)
    gist.survey(raw, ["approvals@example.com"], trust)
    authentication.verify(raw, "dana@example.com", trust)
    bounce.failed_recipients(raw)
    reply.handles(raw)


MARKUP = (
    *(
        "<p>",
        "</p>",
        "<div>",
        "</div>",
        "<div style='display:none'>",
        "<blockquote>",
        "</blockquote>",
        "<br>",
        "<s>",
        "</s>",
    ),
    *(
        "<table>",
        "<td>",
        "</td>",
        "<pre>",
        "<style>",
        "</style>",
        "<!--",
        "-->",
        "<![CDATA[",
        "<",
        ">",
        "&",
        "&#",
        "&#x0;",
    ),
    *(
        "&lt;",
        "&#1114112;",
        "&nbsp",
        "<p class='gmail_quote'>",
        "<hr tabindex=-1>",
        "<a href=",
        "'",
        '"',
        "=",
        "/>",
        "</",
        "<?",
    ),
)


@law
@given(st.lists(st.sampled_from(MARKUP) | st.text(max_size=5), max_size=40).map("".join))
def test_no_markup_raises(html: str) -> None:
    """T73: HTML of any form becomes text, and never more of it than there was."""
    try:
        text = markup.to_text(html)
    except MailError:
        return
    assert len(text) <= 2 * len(html) + 2


@pytest.mark.sweep
def test_how_long_reading_takes(capsys: pytest.CaptureFixture[str]) -> None:
    """Every golden mail is read ten times, alike each time; how long that takes is told, never asserted."""
    took: list[float] = []
    for path in MAILS:
        raw = path.read_bytes()
        first = read(raw, CONTEXT)
        for _ in range(10):
            began = perf_counter()
            again = read(raw, CONTEXT)
            took.append(perf_counter() - began)
            assert again == first
    median, last = (statistics.quantiles(took, n=100)[at] * 1000 for at in (49, 98))
    with capsys.disabled():
        sys.stdout.write(
            f"\n{len(MAILS)} mails read: median {median:.1f} ms, 99th percentile {last:.1f} ms\n"
        )
