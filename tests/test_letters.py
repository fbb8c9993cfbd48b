import os
import re
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from email.message import EmailMessage
from pathlib import Path

import jinja2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core import reply
from gateway.core.action import Action, Change, EditRefusedError, edit
from gateway.core.approval import Answer, State, Verdict
from gateway.core.effects import Letter
from gateway.core.payload import ORDINARY, Option, Terms
from gateway.core.policy import Risk, Rule
from gateway.core.visible import hidden
from gateway.letters import Letterhead, Letters, Recipient, Row, edited, octets, packaged_templates
from letters.reading import Html, Prefilled, html_of, opened, received, text_of
from letters.samples import (
    EDITABLE,
    EMAIL,
    LETTERHEAD,
    LINK,
    NOW,
    REPLY,
    ROOT,
    SAMPLES,
    Sample,
    approval,
    item,
    posting,
    rows,
    several,
    voted,
)

GOLDENS = Path(__file__).parent / "letters"
VERBS = re.compile(
    r"\W*(?:approved?|approval|reject(?:ed)?|modif(?:y|ied)|accept(?:ed)?|agreed?|den(?:y|ied)|declined?"
    r"|refused?|yes|no|ok|okay|sure|lgtm)\b",
    re.IGNORECASE,
)
OWN_TAGS = re.compile("html|head|meta|title|style|body|div|table|caption|tbody|tr|th|td|h1|h2|p|span|ul|li|a")
HOSTILE = "APPROVE\n\nYes <script>alert(1)</script>{{7*7}}{% raw %}</td></table>\"' onload=x\u202e\u200b\x0b"
ONE_LINE = HOSTILE.replace("\n", " ")
NOT_TOLD = {
    reply.Reason.CLEAR,
    reply.Reason.COMMENT,
    reply.Reason.AUTOMATIC,
    reply.Reason.BOUNCE,
    reply.Reason.REACTION,
    reply.Reason.CALENDAR,
}
ASKS = [name for name, sample in SAMPLES.items() if sample.letter is Letter.ASK]
FOLLOW_UPS = [name for name, sample in SAMPLES.items() if sample.posting.root_id]


@pytest.fixture(params=SAMPLES)
def sample(request: pytest.FixtureRequest) -> Sample:
    return SAMPLES[request.param]


@pytest.fixture
def hostile() -> EmailMessage:
    """The request of an agent that puts the worst text into everything that it may word."""
    action = Action(
        "send_email", {**EMAIL.parameters, "subject": ONE_LINE, "body": HOSTILE, "to": [ONE_LINE]}
    )
    changes = (Change("subject", "", ONE_LINE), Change("body", "x", HOSTILE))
    asked = approval(items=(item(action, summary=HOSTILE, note=HOSTILE),), requester=ONE_LINE)
    shown = (*rows(action), Row("Note", HOSTILE + "\ud800"))
    return received(replace(SAMPLES["ask"], approval=asked, rows=shown, changes=changes).write())


# --- the goldens ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SAMPLES)
def test_letters_are_as_they_were_reviewed(name: str) -> None:
    """Each kind of letter is, byte for byte, the mail that lies beside this test."""
    golden = GOLDENS / f"{name}.eml"
    written = octets(SAMPLES[name].write())
    if "REWRITE_GOLDENS" in os.environ:
        golden.write_bytes(written)
    assert written == golden.read_bytes()


def test_every_kind_has_a_golden() -> None:
    """No kind of letter is forgotten here."""
    assert {sample.letter for sample in SAMPLES.values()} == set(Letter)


def test_letters_are_fit_for_any_mail_server(sample: Sample) -> None:
    """On the wire a letter is ASCII in short lines that end in CRLF."""
    *lines, last = octets(sample.write()).split(b"\r\n")
    assert last == b""
    assert all(line.isascii() and len(line) <= 200 and not {10, 13} & set(line) for line in lines)


# --- what may not be mistaken -----------------------------------------------------------------------------


def assert_no_line_decides(message: EmailMessage) -> None:
    page = Html(html_of(message))
    for line in (message["Subject"], *text_of(message).split("\n"), *page.lines):
        assert not VERBS.match(line) or re.match(r"\s*[-+ ]?\| ", line), line


def test_no_line_of_a_letter_begins_with_a_decision(sample: Sample) -> None:
    """Quoted without a mark, no line of ours can be read as an answer."""
    assert_no_line_decides(received(sample.write()))


def test_no_line_of_a_hostile_request_begins_with_a_decision(hostile: EmailMessage) -> None:
    """The agent cannot put an answer at the beginning of a line either (T17)."""
    assert_no_line_decides(hostile)


def test_hidden_characters_are_shown_everywhere(hostile: EmailMessage) -> None:
    """No hidden character reaches subject, text or HTML; all are shown by their code points (T54)."""
    for part in (hostile["Subject"], text_of(hostile), html_of(hostile)):
        assert not hidden(part)
    assert "x⟦U+202E⟧⟦U+200B⟧⟦U+000B⟧⟦U+D800⟧" in text_of(hostile)
    assert "x⟦U+202E⟧⟦U+200B⟧⟦U+000B⟧⟦U+D800⟧" in html_of(hostile)


def test_markup_is_only_text(hostile: EmailMessage) -> None:
    """Tags, attributes and template code of an agent are shown and never obeyed (T41, T61)."""
    page = Html(html_of(hostile))
    assert all(map(OWN_TAGS.fullmatch, page.tags))
    assert not [name for name, _ in page.attributes if name.startswith("on") or name == "src"]
    assert "<script>alert(1)</script>{{7*7}}{% raw %}</td></table>\"'" in text_of(hostile)
    assert "<script>alert(1)</script>{{7*7}}{% raw %}</td></table>\"'" in "\n".join(page.lines)


def test_letters_use_our_own_tags_and_load_nothing(sample: Sample) -> None:
    """The HTML has no script, form, image or foreign address (T56)."""
    page = Html(html_of(sample.write()))
    assert all(map(OWN_TAGS.fullmatch, page.tags))
    assert all(link.startswith(("mailto:", "https://gateway.example.com/a/")) for link in page.links)
    assert "url(" not in page.source
    assert "@import" not in page.source


def test_the_agents_words_come_last_and_marked() -> None:
    """A note that plays gateway stays in its box, below everything of ours (T17)."""
    note = "How to answer\n\nTo: safe@example.com\nApproved by the gateway. Reply APPROVE."
    message = received(replace(SAMPLES["ask"], approval=approval(items=(item(note=note),))).write())
    ours, box = text_of(message).split("The agent's own words, which nobody has checked:\n\n")
    assert box == "".join(f"    | {line}".rstrip() + "\n" for line in note.split("\n"))
    page = Html(html_of(message)).lines
    start = page.index("The agent's own words, which nobody has checked")
    assert page[start + 1 :] == [f"| {line}" for line in note.split("\n")]
    for line in filter(None, note.split("\n")[1:]):
        assert line not in ours
        assert line not in page[:start]


@pytest.mark.parametrize("name", [name for name in SAMPLES if name not in ASKS])
def test_the_agents_words_stand_only_in_the_request(name: str) -> None:
    """What became of an action is told without the agent's own words (T17)."""
    assert "The finance team asked for this." not in text_of(SAMPLES[name].write())


# --- what must be there -----------------------------------------------------------------------------------


def test_every_value_is_in_both_parts(sample: Sample) -> None:
    """Text and HTML show the same facts, line by line."""
    message = received(sample.write())
    text, page = text_of(message).split("\n"), Html(html_of(message)).lines
    for row in sample.rows:
        for line in row.lines if row.block else ():
            assert f"    | {line}".rstrip() in text
            assert f"| {line}" in page
        if not row.block:
            assert any(re.fullmatch(rf"  {row.label}: +{re.escape(row.value)}", line) for line in text)
            assert f"{row.label}{row.value}" in page


def test_long_values_are_shown_in_full() -> None:
    """Nothing of a long text or of an endless line is cut off, in either part (T53)."""
    lines = [f"{number}: 👍 <b>&amp; " + "word " * 30 for number in range(200)]
    endless = "x" * 10_000
    message = received(
        replace(SAMPLES["ask"], rows=(Row("Body", "\n".join(lines)), Row("Address", endless))).write()
    )
    text, page = text_of(message), Html(html_of(message)).lines
    for line in (*lines, endless):
        assert f"    | {line}\n" in text
        assert f"| {line}" in page


def test_a_long_label_moves_no_other_value() -> None:
    """T53: the name of an argument may be endless; it stands on its own line, and no other moves."""
    label = "name " * 200
    shown = (Row("Tool", "pay"), Row(label.strip(), "5"), Row("iban", "DE1"))
    message = received(replace(SAMPLES["ask"], rows=shown).write())
    assert "  Tool: pay\n" in text_of(message)
    assert f"  {label.strip()}:\n    | 5\n" in text_of(message)
    assert "  iban: DE1\n" in text_of(message)
    assert "| 5" in Html(html_of(message)).lines
    only = received(replace(SAMPLES["ask"], rows=shown[1:2]).write())
    assert f"  {label.strip()}:\n    | 5\n" in text_of(only)


def test_an_empty_value_is_named() -> None:
    """An empty value is shown as empty, and is not just missing."""
    message = replace(SAMPLES["ask"], rows=(Row("Cc", ""),)).write()
    assert "  Cc: (empty)\n" in text_of(message)
    assert "Cc(empty)" in Html(html_of(message)).lines


def test_the_request_says_who_asks_and_until_when() -> None:
    """A reviewer reads who asked, and the deadline in the own zone with the exact rest."""
    text = text_of(SAMPLES["ask"].write())
    assert "Asked by: alice@example.com" in text
    assert "Expires:  Tuesday 3 March 2026, 17:40 CET (UTC+01:00), in 3 hours 40 minutes" in text
    assert "If nobody decides in time, the question expires and it is not done." in " ".join(text.split())


def test_a_changed_request_shows_the_difference() -> None:
    """What an edit took away and put in is marked by sign, and the new version is shown in full."""
    message = received(SAMPLES["ask-edited"].write())
    expected = ["-| team@example.com", "+| ada@example.com", "-| Revenue is up 4 %.", "+| Revenue is up 5 %."]
    page = Html(html_of(message)).lines
    assert [line for line in page if line[0] in "-+"] == expected
    assert [
        line.strip() for line in text_of(message).split("\n") if line[:5] in {"   -|", "   +|"}
    ] == expected


def test_a_difference_shows_values_of_any_type() -> None:
    """Values that are neither text nor lists are shown as JSON, and a missing one not at all."""
    changes = (Change("limit", None, 5), Change("flags", {"a": 1}, {"a": None}))
    text = text_of(replace(SAMPLES["ask-edited"], changes=changes).write())
    assert '  limit:\n   +| 5\n  flags:\n   -| {"a": 1}\n   +| {"a": null}\n' in text


@pytest.mark.parametrize(
    ("letter", "about", "details", "words"),
    [
        (
            Letter.RECEIPT,
            voted(Verdict.APPROVE),
            {"answer": Answer.APPROVED},
            "APPROVE decides this question",
        ),
        (Letter.RECEIPT, voted(Verdict.REJECT), {"answer": Answer.REJECTED}, "REJECT decides this question"),
        (Letter.RECEIPT, voted(Verdict.APPROVE, state=State.OPEN), {"answer": "recorded"}, "1 of 1 people"),
        (Letter.RECEIPT, voted(Verdict.MODIFY), {"answer": Answer.MODIFIED}, "make a new question, which"),
        (Letter.RECEIPT, voted(Verdict.APPROVE), {}, "has reached us and stands"),
        (
            Letter.OUTCOME,
            voted(Verdict.APPROVE),
            {"result": "done", "message_id": "<1@example.com>"},
            "the mail server accepted it",
        ),
        (Letter.OUTCOME, voted(Verdict.APPROVE), {"result": "done"}, "carried out exactly as it was shown"),
        (Letter.OUTCOME, voted(Verdict.APPROVE), {"result": "failed"}, "tried and failed"),
        (Letter.OUTCOME, voted(Verdict.APPROVE), {"result": "refused"}, "could not be carried out"),
        (Letter.OUTCOME, voted(Verdict.REJECT, "Too dear."), {"result": "rejected"}, "Too dear."),
        (
            Letter.OUTCOME,
            voted(Verdict.APPROVE),
            {"by": "Ada", "at": "2026-03-01T10:00:00+00:00"},
            "1 March 2026",
        ),
        (Letter.ALREADY_DECIDED, voted(Verdict.APPROVE), {}, "answered with APPROVE by grace@example.com"),
        (Letter.ALREADY_DECIDED, approval(state=State.EXPIRED), {}, "this question had expired"),
        (Letter.ALREADY_DECIDED, approval(state=State.CANCELLED), {}, "had been withdrawn"),
        (Letter.ALREADY_DECIDED, voted(Verdict.MODIFY, replaced_by="9XK3TB"), {}, "changed one (#9XK3TB)"),
        (
            Letter.ALREADY_DECIDED,
            voted(Verdict.APPROVE),
            {"state": "parked"},
            "this question had been closed",
        ),
        (Letter.UNCLEAR, approval(), {"problems": ["size must be text"]}, "size must be text"),
        (Letter.UNCLEAR, approval(), {"reason": "no-verb"}, "its first line is none of the words"),
        (
            Letter.UNCLEAR,
            approval(),
            {"reason": "unauthenticated"},
            "forgery in your name; please use the page",
        ),
        (
            Letter.UNCLEAR,
            approval(rule=Rule(channels=("reply",))),
            {"reason": "unauthenticated"},
            "forgery in your name; please write from your usual mail program",
        ),
        (Letter.UNCLEAR, approval(), {"reason": "replaced-token"}, "please answer our newest mail"),
        (Letter.UNCLEAR, approval(), {"reason": "older-than-question"}, "before the question was asked"),
        (Letter.ASK, approval(), {"reason": "used-by-another"}, "Somebody else used the reply address"),
        (Letter.UNCLEAR, approval(), {"reason": "of a later day"}, "we could not tell what it decides"),
        (
            Letter.ALERT,
            approval(),
            {"what": "Stuck.", "next": "Push."},
            "Send “Q1 report” to team@example.com",
        ),
    ],
)
def test_letters_say_what_happened(
    letter: Letter, about: object, details: dict[str, object], words: str
) -> None:
    """Each turn that a letter can take is worded, in both parts, whatever details are missing."""
    message = received(Sample(letter, about, posting(3), details=details).write())  # type: ignore[arg-type]
    assert words in " ".join(text_of(message).replace("    | ", " ").split())
    assert words in " ".join(Html(html_of(message)).lines)
    assert_no_line_decides(message)


def test_all_who_agreed_are_named() -> None:
    """The outcome names everybody whose approval counted."""
    first, *_ = voted(Verdict.APPROVE).votes
    votes = (first, replace(first, by="ada@example.com"))
    message = replace(SAMPLES["outcome"], approval=voted(Verdict.APPROVE, votes=votes)).write()
    assert "Decided by: grace@example.com, ada@example.com" in text_of(message)


# --- answering --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*ASKS, "unclear"])
def test_prefilled_answers_decide_as_their_buttons_say(name: str) -> None:
    """Each button opens a mail to the handle's address, with the number and the bare word on line one."""
    message = received(SAMPLES[name].write())
    mails = [opened(link) for link in Html(html_of(message)).links if link.startswith("mailto:")]
    offered = ["APPROVE", "REJECT"] if name == "ask-several" else ["APPROVE", "REJECT", "MODIFY"]
    assert [mail.lines[0] for mail in mails] == offered
    assert {mail.to for mail in mails} == {f"approvals+{REPLY}@example.com"}
    assert {mail.subject for mail in mails} == {f"Re: {message['Subject'].removeprefix('Re: ')}"}


@pytest.mark.parametrize("head", [LETTERHEAD, replace(LETTERHEAD, plus_addressing=False)])
@pytest.mark.parametrize("quotes", [True, False])
def test_prefilled_answers_are_read_as_they_were_meant(head: Letterhead, *, quotes: bool) -> None:
    """Sent as they open, above our own mail too, the three answers decide, and the edit changes nothing."""
    asked = received(SAMPLES["ask"].write(head))
    quoted = [f"> {line}" for line in text_of(asked).split("\n")]
    below = ["", "On Tue, 3 Mar 2026 at 13:59, gateway@example.com wrote:", *quoted] if quotes else []
    mails = [opened(link) for link in Html(html_of(asked)).links[:3]]
    answers = [answer_to(mail, below) for mail in mails]
    readings = [reply.read(answer, reply.Context(fields=EDITABLE)) for answer in answers]
    assert [(reading.said, reading.comment) for reading in readings] == [
        (reply.Said.APPROVE, None),
        (reply.Said.REJECT, None),
        (reply.Said.MODIFY, None),
    ]
    assert readings[2].edits.items() <= EMAIL.parameters.items()
    assert all(reply.handles(answer)[0] == REPLY for answer in answers)


def answer_to(mail: Prefilled, below: list[str]) -> bytes:
    message = EmailMessage()
    message["From"] = "Grace Hopper <grace@example.com>"
    message["To"] = mail.to
    message["Subject"] = mail.subject
    message.set_content("\n".join([*mail.lines, *below]) + "\n")
    return bytes(message)


def test_our_own_request_is_no_answer() -> None:
    """Our mail, sent back without a word, decides nothing."""
    message = EmailMessage()
    message["From"] = "Grace Hopper <grace@example.com>"
    message.set_content(text_of(SAMPLES["ask"].write()))
    assert reply.read(bytes(message), reply.Context(fields=EDITABLE)).said in {
        reply.Said.UNCLEAR,
        reply.Said.IGNORED,
    }


@pytest.mark.parametrize("reason", [each for each in reply.Reason if each not in NOT_TOLD])
def test_every_reason_has_its_sentence(reason: reply.Reason) -> None:
    """Whoever was not understood is told why, in words."""
    text = text_of(replace(SAMPLES["unclear"], details={"reason": reason}).write())
    assert "we could not tell" not in text


def test_an_edit_is_prefilled_with_the_values_as_they_are() -> None:
    """The mail for an edit carries the current values, so that a person only changes what is wrong."""
    links = Html(html_of(SAMPLES["ask"].write())).links
    assert opened(links[2]).lines[:5] == [
        "MODIFY",
        "",
        "to: team@example.com",
        "cc: head@example.com",
        "subject: Q1 report",
    ]


def test_only_what_can_be_edited_is_offered() -> None:
    """A request that allows no edit does not mention one."""
    message = replace(SAMPLES["ask"], approval=approval(items=(item(editable=()),))).write()
    assert "MODIFY" not in text_of(message) + html_of(message)


def test_several_actions_are_decided_together() -> None:
    """A request for several actions names them all and offers no edit, which could not say which it means."""
    items = (item(), item(summary="Write report.txt"))
    asked = approval(items=items, terms=Terms(allows=(ORDINARY, ORDINARY)))
    message = replace(SAMPLES["ask"], approval=asked).write()
    assert "2 actions: Send “Q1 report” to team@example.com and 1 other; Write report.txt" in " ".join(
        text_of(message).split()
    )
    assert "MODIFY" not in text_of(message)


def test_items_that_differ_in_what_they_take_are_named() -> None:
    """A word that decides only some of them is not left to be found out."""
    terms = Terms(allows=((Option.APPROVE,), (Option.REJECT,)))
    message = replace(SAMPLES["ask-several"], approval=several(terms=terms)).write()
    assert "Please note: 1 takes no REJECT, 2 takes no APPROVE." in " ".join(text_of(message).split())
    assert "write REJECT" not in text_of(message)


def test_a_batch_says_how_to_answer_by_number_and_one_question_does_not() -> None:
    """Numbers are offered only where they are read."""
    wanted = 'such as "1 APPROVE" or "2 REJECT too expensive"'
    assert wanted in " ".join(text_of(SAMPLES["ask-several"].write()).split())
    assert wanted in html_of(SAMPLES["ask-several"].write()).replace("&#34;", '"')
    assert wanted not in " ".join(text_of(SAMPLES["ask"].write()).split())


def test_the_link_is_one_and_neutral() -> None:
    """There is one address, and it does not say what it decides (T04)."""
    message = received(SAMPLES["ask"].write())
    address = f"https://gateway.example.com/a/{LINK}"
    assert [link for link in Html(html_of(message)).links if link.startswith("http")] == [address]
    assert f"\n  {address}\n" in text_of(message)


def test_without_plus_addressing_the_body_carries_the_handle() -> None:
    """Where the address cannot carry the handle, letter and answers do."""
    message = received(SAMPLES["ask"].write(replace(LETTERHEAD, plus_addressing=False)))
    assert message["Reply-To"] == "approvals@example.com"
    assert f"\nref: {REPLY}\n" in text_of(message)
    assert f"ref: {REPLY}" in Html(html_of(message)).lines
    for link in Html(html_of(message)).links[:3]:
        assert opened(link).to == "approvals@example.com"
        assert f"ref: {REPLY}" in opened(link).lines


@pytest.mark.parametrize("name", ["receipt", "expired", "already-decided"])
def test_a_closed_question_offers_no_answer(name: str) -> None:
    """What is decided cannot be answered any more, and the letter says so."""
    message = SAMPLES[name].write()
    assert not Html(html_of(message)).links
    assert "This mail needs no answer." in text_of(message)


@pytest.mark.parametrize("name", ["outcome", "alert"])
def test_only_reviewers_get_handles(name: str) -> None:
    """A copy for somebody who is not to decide has nothing to decide with, and cannot be made to."""
    sample = SAMPLES[name]
    posted = replace(sample.posting, root_id=None, message_id="<copy@example.com>")
    raw = octets(replace(sample, posting=posted).write()).decode()
    assert REPLY not in raw
    assert LINK not in raw
    with pytest.raises(ValueError, match="must not carry handles"):
        replace(sample.posting, reply_handle=REPLY)


# --- headers ----------------------------------------------------------------------------------------------


def test_the_request_has_its_headers() -> None:
    """A request can be filtered, answered and told from human mail; its bounces are not suppressed."""
    message = received(SAMPLES["ask"].write())
    assert dict(message.items()) | {"Content-Type": ""} == {
        "From": "Example approvals <gateway@example.com>",
        "To": "Grace Hopper <grace@example.com>",
        "Reply-To": f"approvals+{REPLY}@example.com",
        "Subject": "[HIGH] Approve? Send “Q1 report” to team@example.com and 1 other [#7Q2M4K]",
        "Date": "Tue, 03 Mar 2026 12:59:30 +0000",
        "Message-ID": ROOT,
        "Auto-Submitted": "auto-generated",
        "X-Auto-Response-Suppress": "RN, NRN, AutoReply",
        "X-Loop": "gateway@example.com",
        "List-Id": "<approvals.example.com>",
        "X-Approval-Letter": "ask",
        "X-Approval-Risk": "high",
        "Importance": "high",
        "MIME-Version": "1.0",
        "Content-Type": "",
    }


@pytest.mark.parametrize("risk", [Risk.LOW, Risk.MEDIUM])
def test_only_high_risk_is_important(risk: Risk) -> None:
    """Importance is kept for what is grave, or it would mean nothing."""
    message = replace(SAMPLES["ask"], approval=approval(risk=risk)).write()
    assert message["Importance"] is None
    assert message["Subject"].startswith(f"[{risk.upper()}] Approve? ")


@pytest.mark.parametrize("name", FOLLOW_UPS)
def test_follow_ups_stay_in_the_thread(name: str) -> None:
    """Whatever comes later names the request's id and has the request's subject."""
    message = received(SAMPLES[name].write())
    about = SAMPLES[name].approval
    root = replace(SAMPLES["ask"], approval=about).write()
    assert message["In-Reply-To"] == message["References"] == ROOT
    asked = str(root["Subject"])
    if SAMPLES[name].posting.audience == "requester":
        asked = asked.replace("[HIGH] Approve?", "About your request:")
    assert message["Subject"] == f"Re: {asked}"


@pytest.mark.parametrize("name", ["receipt", "unclear", "already-decided"])
def test_answers_to_a_mail_are_marked_as_such(name: str) -> None:
    """Letters that answer a mail are auto-replied, so that two machines do not write to each other."""
    assert SAMPLES[name].write()["Auto-Submitted"] == "auto-replied"


def test_long_ids_and_addresses_stay_whole() -> None:
    """An id that fits on no line is neither folded nor encoded, and arrives as it was given."""
    domain = f"{'a' * 60}.{'b' * 60}.{'c' * 60}.example.com"
    head = replace(LETTERHEAD, domain=domain, reply_to=f"approvals@{domain}")
    root = f"<{REPLY}.1@{domain}>"
    posted = posting(2, root_id=root, message_id=f"<{REPLY}.2@{domain}>")
    raw = octets(replace(SAMPLES["ask"], posting=posted).write(head)).decode()
    for line in (
        f"Message-ID: <{REPLY}.2@{domain}>",
        f"In-Reply-To: {root}",
        f"References: {root}",
        f"Reply-To: approvals+{REPLY}@{domain}",
        f"List-Id: <approvals.{domain}>",
    ):
        assert f"\r\n{line}\r\n" in raw


@pytest.mark.parametrize("summary", ["long " * 50, "ß" * 300, "two\r\nlines\u2028and Bcc: x@example.com" * 9])
def test_subjects_are_short_but_keep_risk_and_number(summary: str) -> None:
    """A long summary is cut with an ellipsis, and the follow-ups' subject still fits."""
    message = received(replace(SAMPLES["expired"], approval=approval(items=(item(summary=summary),))).write())
    assert len(message["Subject"]) <= 90
    assert re.fullmatch(r"Re: \[HIGH\] Approve\? .+… \[#7Q2M4K\]", message["Subject"])
    assert message["Bcc"] is None


def test_names_cannot_forge_headers() -> None:
    """A name with line breaks or quotes is still one name of one address."""
    name = 'Eve" <eve@example.net>\r\nBcc: all@example.com'
    message = received(
        replace(SAMPLES["ask"], posting=posting(to=Recipient("g@example.com", name, "UTC"))).write()
    )
    assert [address.addr_spec for address in message["To"].addresses] == ["g@example.com"]
    assert message["Bcc"] is None


@pytest.mark.parametrize(
    ("to", "problem"),
    [
        (Recipient("not an address", "", "UTC"), "is not an address"),
        (Recipient("a@example.com\r\nBcc: b@example.com", "", "UTC"), "is not an address|CR or LF"),
        (Recipient("a@example.com", "", "Mars/Olympus"), "'Mars/Olympus' is not a time zone"),
        (Recipient("a@example.com", "", "../../etc/passwd"), "is not a time zone"),
    ],
)
def test_impossible_recipients_are_refused(to: Recipient, problem: str) -> None:
    """An address or a zone that is none stops the letter, with a reason."""
    with pytest.raises(ValueError, match=problem):
        replace(SAMPLES["ask"], posting=posting(to=to)).write()


def test_only_an_alert_can_do_without_an_approval() -> None:
    """A letter about nothing is a mistake of the caller."""
    with pytest.raises(ValueError, match="needs an approval"):
        replace(SAMPLES["ask"], approval=None).write()


def test_a_late_request_shows_no_rest() -> None:
    """A request that is sent after its deadline, from a long queue, does not promise any time."""
    text = text_of(replace(SAMPLES["ask"], posting=posting(date=NOW + timedelta(days=1))).write())
    assert "Expires:  Tuesday 3 March 2026, 17:40 CET (UTC+01:00)\n" in text


# --- templates --------------------------------------------------------------------------------------------


def test_own_templates_win_file_by_file(tmp_path: Path) -> None:
    """An operator's template replaces ours, and the others stay."""
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "expired.txt").write_text("Ours: {{ summary }}\n")
    letters = Letters(LETTERHEAD, [tmp_path, packaged_templates()])
    expired = letters.write(Letter.EXPIRED, approval(), posting(2))
    assert text_of(expired) == "Ours: Send “Q1 report” to team@example.com and 1 other\n"
    assert "Nobody decided in time" in html_of(expired)


def test_own_templates_cannot_show_hidden_text(tmp_path: Path) -> None:
    """What a template marks as safe or escapes by itself is made visible all the same (T54)."""
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "ask.html").write_text("{{ rows[0].value | e }}{{ rows[0].value | safe }}")
    letters = Letters(LETTERHEAD, [tmp_path, packaged_templates()])
    message = letters.write(Letter.ASK, approval(), posting(), rows=[Row("Subject", "a\u202eb")])
    assert html_of(message) == "a⟦U+202E⟧ba⟦U+202E⟧b\n"


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("{{ rows.__class__.__mro__ }}", jinja2.exceptions.SecurityError),
        ("{{ unknown }}", jinja2.UndefinedError),
    ],
)
def test_own_templates_are_held_to_the_rules(tmp_path: Path, source: str, error: type[Exception]) -> None:
    """A template reaches nothing but its values, and a name that does not exist is an error (T61)."""
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "ask.txt").write_text(source)
    letters = Letters(LETTERHEAD, [tmp_path, packaged_templates()])
    with pytest.raises(error):
        letters.write(Letter.ASK, approval(), posting())


def test_a_broken_template_stops_the_start(tmp_path: Path) -> None:
    """Templates are compiled at the start; what is missing or broken is found then."""
    with pytest.raises(jinja2.TemplateNotFound):
        Letters(LETTERHEAD, [tmp_path])


def test_refused_edits_are_explained() -> None:
    """The problems that an edit met are listed word by word in the help letter."""
    with pytest.raises(EditRefusedError) as refused:
        edit(EMAIL, {"from": "x", "to": "y"}, approval().items[0].editable)
    message = replace(SAMPLES["unclear"], details={"problems": list(refused.value.problems)}).write()
    assert "    | from cannot be changed; you can change to, cc, subject, body\n" in text_of(message)
    assert "    | to must be a list of texts\n" in text_of(message)


def test_whoever_is_not_asked_gets_no_question_as_subject() -> None:
    """A requester is told what was decided, and an operator what to do; neither is asked to approve."""
    told = received(SAMPLES["outcome"].write())["Subject"]
    alert = received(replace(SAMPLES["alert"], approval=SAMPLES["ask"].approval).write())
    assert "Approve?" not in told
    assert "Approve?" not in alert["Subject"]
    assert "no answer is needed" not in str(alert.get_body(("plain",)))


@pytest.mark.parametrize(
    ("channels", "by_reply", "by_link"),
    [(("reply", "link"), True, True), (("link",), False, True), (("reply",), True, False)],
)
def test_only_doors_that_the_rule_takes_are_offered(
    channels: tuple[str, ...],
    by_reply: bool,
    by_link: bool,
) -> None:
    """A mail never asks for an answer that would be refused."""
    asked = SAMPLES["ask"].approval
    assert asked is not None
    closed = replace(asked, rule=replace(asked.rule, channels=channels))
    message = received(replace(SAMPLES["ask"], approval=closed).write())
    for part in ("plain", "html"):
        body = message.get_body((part,))
        assert body is not None
        text = body.get_content()
        assert ("Reply to this mail" in text) == by_reply
        assert ("mailto:" in text) == (by_reply and part == "html")
        assert ("/a/" in text) == by_link


def test_a_second_yes_of_the_same_person_is_told_that_the_first_one_stands() -> None:
    """The question is still open then, and must not be called closed."""
    sample = SAMPLES["already-decided"]
    assert sample.approval is not None
    waiting = replace(sample.approval, state=State.OPEN, decided_at=None)
    text = received(replace(sample, approval=waiting, details={}).write()).get_body(("plain",))
    assert text is not None
    assert "already agreed" in text.get_content()
    assert "closed" not in text.get_content()


TEXTS = st.lists(st.sampled_from(["a", "b", ""]), min_size=1, max_size=12).map("\n".join)


@given(TEXTS, TEXTS, st.sampled_from(["", "x\n" * 300]))
def test_a_difference_is_all_that_went_and_all_that_came(old: str, new: str, among: str) -> None:
    """T17: without the lines that went, the old text is the new one without those that came, however long."""
    before, after = f"{old}\n{among}{old}", f"{new}\n{among}y\n{new}"
    lines = edited(Change("body", before, after)).lines
    went, came = (Counter(line for sign, line in lines if sign == wanted) for wanted in "-+")
    assert Counter(before.split("\n")) - went == Counter(after.split("\n")) - came
    assert not went - Counter(before.split("\n"))
    assert not came - Counter(after.split("\n"))


def test_long_texts_are_not_matched_line_by_line() -> None:
    """Thousands of equal lines hold nobody up: what lies between the equal ends went and came whole."""
    before, after = "x\n" * 25_000, "x\ny\n" * 12_500
    lines = edited(Change("body", f"same\n{before}same", f"same\n{after}same")).lines
    assert [sign for sign, _ in lines] == ["-"] * 24_999 + ["+"] * 24_999
