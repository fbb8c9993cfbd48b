"""Sending an email: what people saw is what goes over the wire, and hostile text stays text."""

import email
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from email import policy as mail_policy
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.actions import ActionRefusedError, Actions
from gateway.actions.attachments import Attachments
from gateway.actions.send_email import NAME, SendEmail, build, recipients
from gateway.core.action import Action
from gateway.core.payload import Proposal
from gateway.core.policy import Risk
from running import ALICE, BOB, HIGH, PEOPLE, TEAM, reaching, running
from servers.post import Post

KIND = SendEmail(
    sender="approvals@example.com",
    envelope_sender="bounces@example.com",
    internal_domains=frozenset({"example.com"}),
    max_recipients=3,
)
GOOD: dict[str, Any] = {
    "to": ["team@example.com"],
    "cc": [],
    "subject": "Q1 report",
    "body": "Dear team,\nhere.",
}
DATE = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


async def octets_of(**changes: Any) -> bytes:
    return build(await KIND.prepare(GOOD | changes), "<id@example.com>", DATE)


async def test_a_prepared_mail_names_sender_and_envelope() -> None:
    """T16: every default is filled in before the digest, so that the digest covers it."""
    action = await KIND.prepare(GOOD)
    assert action.parameters == {
        "from": "approvals@example.com",
        "to": ["team@example.com"],
        "cc": [],
        "subject": "Q1 report",
        "body": "Dear team,\nhere.\n",
        "envelope_from": "bounces@example.com",
    }


async def test_the_octets_are_the_action_and_nothing_besides() -> None:
    """The wire has the authored headers, date and id, and the body to the octet."""
    head, body = (await octets_of(cc=["bob@example.com"])).split(b"\r\n\r\n", 1)
    assert head.decode().split("\r\n") == [
        "From: approvals@example.com",
        "To: team@example.com",
        "Cc: bob@example.com",
        "Subject: Q1 report",
        "Date: Mon, 02 Mar 2026 09:30:00 +0000",
        "Message-ID: <id@example.com>",
        'Content-Type: text/plain; charset="utf-8"',
        "Content-Transfer-Encoding: 7bit",
        "MIME-Version: 1.0",
    ]
    assert body == b"Dear team,\r\nhere.\r\n"


@pytest.mark.parametrize(
    "subject",
    [
        "=?utf-8?q?hi=0aBcc:_x=40attack.example?=",
        "=?utf-8?q?hi=0d=0a=0d=0areplaced_body?=",
        "hi\nBcc: x@attack.example",
        "hi\r\nBcc: x@attack.example",
        "hi\rBcc: x@attack.example",
        "hi\x00there",
        "hi\x0bthere",
        "hi\x85there",
        "hi\u2028there",
        "hi\ttab",
        "",
        "   ",
        "x" * 251,
        7,
        None,
        "lone \ud800 surrogate",
    ],
)
async def test_a_subject_that_could_become_a_header_is_refused(subject: Any) -> None:
    """T19: CVE-2024-6923 and its kin end before anybody is asked."""
    with pytest.raises(ActionRefusedError, match=r"^subject: "):
        await KIND.prepare(GOOD | {"subject": subject})


@pytest.mark.parametrize(
    "address",
    [
        "a@b.c (comment,evil@attack.example)",
        "Team <team@example.com>",
        "a@example.com,b@example.com",
        "a@example.com\nBcc: x@attack.example",
        '"quoted local"@example.com',
        "a@[127.0.0.1]",
        "a@localhost",
        "a..b@example.com",
        ".a@example.com",
        "a@example.com.",
        "a@exämple.com",
        "ä@example.com",
        "a@b@example.com",
        "group: a@example.com;",
        "=?utf-8?q?a?=@example.com",
        "a%attack.example@example.com",
        "attack.example!a@example.com",
        "a/b@example.com",
        "|cmd@example.com",
        "-oQ@example.com",
        "a" * 65 + "@example.com",
        "a@" + "b" * 64 + ".example",
        "",
    ],
)
async def test_only_plain_addresses_are_recipients(address: str) -> None:
    """T18: what is shown is exactly one address, and the envelope has no other."""
    with pytest.raises(ActionRefusedError):
        await KIND.prepare(GOOD | {"to": [address]})


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"to": []}, "at least one recipient"),
        ({"to": None}, "at least one recipient"),
        ({"to": {"a": 1}}, "a list of addresses"),
        ({"to": [f"p{n}@example.com" for n in range(4)]}, "4 recipients, at most 3"),
        ({"body": ""}, "a text is needed"),
        ({"body": "a\x00b"}, "control characters"),
        ({"body": "x" * 50_001}, "at most 50,000"),
        ({"resent_to": ["x@attack.example"]}, "not resent_to"),
        ({"bcc": [f"p{n}@example.com" for n in range(3)]}, "4 recipients, at most 3"),
        ({"bcc": ["a@example.com (x,b@attack.example)"]}, "bcc: not a plain address"),
        ({"from": "ceo@example.com"}, "not from"),
        ({"reply_to": "x@attack.example"}, "not reply_to"),
    ],
)
async def test_what_cannot_be_sent_as_proposed_is_refused(changes: dict[str, Any], problem: str) -> None:
    """T15: sender and reviewers never come from the payload; the sentence says what to change."""
    with pytest.raises(ActionRefusedError, match=problem):
        await KIND.prepare(GOOD | changes)


# --- thirteen ways to more headers ------------------------------------------------------------------------

EVIL = "evil@attack.example"
SHAPES = {
    "CVE-2024-6923": f"=?utf-8?q?hi=0aBcc:_{EVIL}?=",
    "CVE-2024-6923, body": "=?utf-8?q?hi=0d=0a=0d=0areplaced?=",
    "base64": "=?utf-8?b?aGkKQmNjOiBldmlsQGF0dGFjay5leGFtcGxl?=",
    "CRLF": f"hi\r\nBcc: {EVIL}",
    "LF": f"hi\nBcc: {EVIL}",
    "CR": f"hi\rBcc: {EVIL}",
    "NEL": f"hi\x85Bcc: {EVIL}",
    "line separator": f"hi\u2028Bcc: {EVIL}",
    "paragraph separator": f"hi\u2029Bcc: {EVIL}",
    "other breaks": f"hi\x0bBcc: {EVIL}\x0cBcc: {EVIL}\x1cBcc: {EVIL}",
    "CVE-2025-11468": f"a@example.com ({'x' * 90},{EVIL})",
    "folded": f"hi\n Bcc: {EVIL}\n\n",
    "NUL": f"hi\x00\r\nBcc: {EVIL}",
}
FIELDS: dict[str, Callable[[str], dict[str, Any]]] = {
    "to": lambda text: {"to": [text]},
    "cc": lambda text: {"cc": [text]},
    "bcc": lambda text: {"bcc": [text]},
    "subject": lambda text: {"subject": text},
    "body": lambda text: {"body": text},
    "html": lambda text: {"body": "", "html": f"<p title='{text}'>{text}</p>"},
    "attachments": lambda text: {"attachments": [text]},
    "a name": lambda text: {text: "x"},
}
HEADERS = [b"From", b"To", b"Subject", b"Date", b"Message-ID", b"Content-Type", b"MIME-Version"]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("field", FIELDS)
async def test_no_shape_makes_a_header(field: str, shape: str, tmp_path: Path) -> None:
    """T18, T19: thirteen shapes in each place of a proposal: refused, or not one line more in the header."""
    text = SHAPES[shape]
    kind = replace(KIND, attachments=Attachments(tmp_path))
    if field == "attachments":
        with suppress(OSError, ValueError):
            (tmp_path / text).write_bytes(b"x")
    try:
        action = await kind.prepare(GOOD | FIELDS[field](text))
    except ActionRefusedError:
        return
    octets = build(action, "<id@example.com>", DATE)
    head = octets.split(b"\r\n\r\n", 1)[0]
    names = [line.split(b":")[0] for line in head.split(b"\r\n")]
    assert set(names) - {b"Content-Transfer-Encoding"} == set(HEADERS)
    assert len(names) == len(set(names))
    assert recipients(action) == ("team@example.com",)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_octets_are_read_back_whatever_was_checked(shape: str) -> None:
    """T19: were a strict check missing, the mail as built would still be found to say something else."""
    for field in ("subject", "from", "reply_to"):
        action = Action(NAME, {"from": "a@example.com", "to": ["b@example.com"], "cc": [], "subject": "s"})
        parameters = {**action.parameters, "body": "x\n", field: SHAPES[shape]}
        with suppress(ActionRefusedError, ValueError):
            octets = build(replace(action, parameters=parameters), "<id@example.com>", DATE)
            head = octets.split(b"\r\n\r\n", 1)[0].lower()
            assert b"\nbcc" not in head.replace(b"\r", b"\n")
            assert (
                email.message_from_bytes(octets, policy=mail_policy.default)[field.replace("_", "-")]
                == SHAPES[shape]
            )


@pytest.mark.parametrize("shape", SHAPES)
def test_no_message_id_makes_a_header(shape: str) -> None:
    """T19: an id of ours that went astray would be refused as well."""
    action = Action(
        NAME, {"from": "a@example.com", "to": ["b@example.com"], "cc": [], "subject": "s", "body": "x\n"}
    )
    with suppress(ActionRefusedError, ValueError):
        octets = build(action, f"<{SHAPES[shape]}@example.com>", DATE)
        assert octets.split(b"\r\n\r\n", 1)[1] == b"x\r\n"
        assert b"\nBcc" not in octets.replace(b"\r", b"\n")


# --- bcc --------------------------------------------------------------------------------------------------


async def test_hidden_recipients_are_shown_and_never_sent_along() -> None:
    """T18, V5: bcc is in the envelope and before the reviewers' eyes, and in no octet of the mail."""
    action = await KIND.prepare(GOOD | {"bcc": ["quiet@attack.example"]})
    assert recipients(action) == ("team@example.com", "quiet@attack.example")
    shown = {row.label: row.value for row in KIND.rows(action)}
    assert shown["Bcc"] == "quiet@attack.example"
    assert shown["Recipients"] == "2: 1 at example.com, 1 at attack.example"
    assert b"quiet" not in build(action, "<id@example.com>", DATE)
    assert KIND.risk(action) is Risk.HIGH


async def test_only_fields_that_a_mail_has_can_be_changed() -> None:
    """The text of an HTML mail is made from it, so that nobody can change one of them alone."""
    actions = Actions({NAME: KIND})
    plain, _ = await actions.prepare(Proposal(type=NAME, parameters=GOOD))
    rich, _ = await actions.prepare(Proposal(type=NAME, parameters=GOOD | {"body": "", "html": "<p>Hi</p>"}))
    assert [field.name for field in plain.editable] == ["to", "cc", "subject", "body"]
    assert [field.name for field in rich.editable] == ["to", "cc", "subject", "html"]
    edited, _ = await actions.edit(rich, {"html": "<p>Bye</p>"})
    assert edited.action.parameters["text"] == "Bye\n"


# --- HTML -------------------------------------------------------------------------------------------------

HTML = """\
<p>Dear team, <b>grüße</b>, see <a href="https://evil.example/pay">www.bank.example</a>.</p>
<img src="https://tracker.example/p.gif" alt="Logo">
"""


async def test_html_goes_out_as_it_was_shown() -> None:
    """The wire has the text and the source that people saw, to the octet, and nothing besides."""
    action = await KIND.prepare(GOOD | {"body": None, "html": HTML})
    wire = email.message_from_bytes(build(action, "<id@example.com>", DATE), policy=mail_policy.default)
    text, html = wire.iter_parts()
    assert (wire.get_content_type(), text.get_content_type(), html.get_content_type()) == (
        "multipart/alternative",
        "text/plain",
        "text/html",
    )
    assert html.get_payload(decode=True) == HTML.replace("\n", "\r\n").encode()
    assert text.get_content().replace("\r\n", "\n") == action.parameters["text"]


async def test_html_is_shown_as_text_links_and_source() -> None:
    """T56: each real target has its own row, and one that a link's text belies says so."""
    action = await KIND.prepare(GOOD | {"body": None, "html": HTML})
    rows = [(row.label, row.value) for row in KIND.rows(action)][3:]
    assert rows == [
        (
            "Text",
            "Dear team, grüße, see www.bank.example <https://evil.example/pay>.\n[alt: Logo]\n",
        ),
        (
            "Link 1",
            "https://evil.example/pay (a href, shown as “www.bank.example”, WHICH NAMES ANOTHER HOST)",
        ),
        ("Link 2", "https://tracker.example/p.gif (img src)"),
        ("HTML", HTML),
    ]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"html": "<p>x</p>"}, "body, html: give one of them"),
        ({"body": None, "html": "<script>x</script>"}, "html: <script> is not allowed"),
        ({"body": None, "html": "<p>x"}, "html: <p> is not closed"),
        ({"body": None, "html": 7}, "html: a text is needed"),
        ({"body": None, "html": "x" * 50_001}, "html: 50,001 characters"),
    ],
)
async def test_html_that_cannot_be_shown_is_refused(changes: dict[str, Any], problem: str) -> None:
    """T56: what people could not see through is not asked about."""
    with pytest.raises(ActionRefusedError, match=problem):
        await KIND.prepare(GOOD | changes)


async def test_html_of_an_older_version_is_still_shown() -> None:
    """Its letters and pages are written all the same, and say why it would not be taken now."""
    action = await KIND.prepare(GOOD | {"body": None, "html": HTML})
    older = replace(action, parameters={**action.parameters, "html": "<script>x</script>"})
    assert ("Mind", "This HTML is no longer taken: <script> is not allowed in a mail") in [
        (row.label, row.value) for row in KIND.rows(older)
    ]


# --- attachments ------------------------------------------------------------------------------------------


async def test_attachments_go_out_as_they_were_shown(tmp_path: Path) -> None:
    """T57: name, size, type and hash are part of the action, and the wire has exactly those octets."""
    kind = replace(KIND, attachments=Attachments(tmp_path))
    contents = {
        "Bericht für März.pdf": b"%PDF-1.7\r\n\n\r.\r\n" + bytes(range(256)) * 40,
        "list.csv": b"a;b\n",
    }
    for name, octets in contents.items():
        (tmp_path / name).write_bytes(octets)
    for content in ({}, {"body": None, "html": HTML}):
        action = await kind.prepare(GOOD | content | {"attachments": list(contents)})
        octets = build(action, "<id@example.com>", DATE, list(contents.values()))
        wire = email.message_from_bytes(octets, policy=mail_policy.default)
        got = {part.get_filename(): part.get_payload(decode=True) for part in wire.iter_attachments()}
        assert got == contents
        assert max(map(len, octets.split(b"\r\n"))) <= 998
        shown = {row.label: row.value for row in kind.rows(action)}
        digest = sha256(contents["list.csv"]).hexdigest()
        assert shown["Attachment 2"] == f"list.csv, 4 bytes, text/csv\nSHA-256 {digest}"
        assert await kind.prepare(kind.proposed(action)) == action


async def test_other_files_than_approved_are_not_built_into_a_mail(tmp_path: Path) -> None:
    """T58: the octets on the wire are hashed once more, whoever handed them over."""
    (tmp_path / "a.txt").write_bytes(b"approved")
    action = await replace(KIND, attachments=Attachments(tmp_path)).prepare(GOOD | {"attachments": ["a.txt"]})
    with pytest.raises(ActionRefusedError, match="would not say what was proposed"):
        build(action, "<id@example.com>", DATE, [b"swapped!"])


async def test_without_a_directory_no_file_goes_along() -> None:
    """What is not configured is not possible."""
    with pytest.raises(ActionRefusedError, match="none are allowed here"):
        await KIND.prepare(GOOD | {"attachments": ["a.txt"]})


TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1, max_size=120)


@given(TEXT.filter(lambda text: text.strip() and "=?" not in text), st.lists(TEXT, min_size=1, max_size=8))
async def test_whatever_is_accepted_arrives_as_it_was_shown(subject: str, lines: list[str]) -> None:
    """T09, T52: any subject and body come back from the wire exactly, dots at line starts included."""
    body = "\n".join(["." + lines[0], "..", *lines])
    action = await KIND.prepare(GOOD | {"subject": subject, "body": body})
    wire = email.message_from_bytes(build(action, "<id@example.com>", DATE), policy=mail_policy.default)
    assert wire["Subject"] == action.parameters["subject"] == subject.strip()
    assert wire.get_content().replace("\r\n", "\n") == action.parameters["body"]
    assert set(wire.keys()) == {
        "From",
        "To",
        "Subject",
        "Date",
        "Message-ID",
        "MIME-Version",
        "Content-Type",
        "Content-Transfer-Encoding",
    }


async def test_no_line_on_the_wire_is_too_long() -> None:
    """RFC 5322: 998 octets, whatever the body's lines are."""
    octets = await octets_of(body="x" * 5000 + "\n" + "ü" * 3000, subject="ü" * 250)
    assert max(map(len, octets.split(b"\r\n"))) <= 998


@pytest.mark.parametrize(
    ("to", "risk"),
    [
        (["team@example.com"], Risk.MEDIUM),
        (["team@EXAMPLE.com"], Risk.MEDIUM),
        (["team@example.com", "x@attack.example"], Risk.HIGH),
        (["team@sub.example.com"], Risk.HIGH),
    ],
)
async def test_mail_to_the_outside_is_high(to: list[str], risk: Risk) -> None:
    """One outside recipient is enough; a subdomain is outside unless it is named."""
    assert KIND.risk(await KIND.prepare(GOOD | {"to": to})) is risk


async def test_the_graver_assessment_counts() -> None:
    """The model's word can raise the risk and never lower it."""
    actions = Actions({NAME: KIND})
    for said, risk in ((Risk.LOW, Risk.MEDIUM), (Risk.HIGH, Risk.HIGH)):
        _, assessed = await actions.prepare(Proposal(type=NAME, parameters=GOOD, risk=said))
        assert assessed is risk


@pytest.mark.parametrize(
    ("kind", "problem"),
    [("write_file", r"needs a table \[actions.write_file\]"), ("launch_rocket", "is not known")],
)
async def test_other_actions_are_refused_by_name(kind: str, problem: str) -> None:
    """What this gateway cannot do is said clearly, and nobody is asked about it."""
    with pytest.raises(ActionRefusedError, match=problem):
        await Actions({NAME: KIND}).prepare(Proposal(type=kind, parameters={}))


async def test_an_edit_is_checked_like_a_new_proposal() -> None:
    """T20: an edit cannot smuggle in what a proposal could not."""
    actions = Actions({NAME: KIND})
    item, _ = await actions.prepare(Proposal(type=NAME, parameters=GOOD))
    edited, risk = await actions.edit(item, {"to": ["x@attack.example"]})
    assert risk is Risk.HIGH
    assert edited.digest != item.digest
    with pytest.raises(ActionRefusedError):
        await actions.edit(item, {"subject": "a\nBcc: x@attack.example"})


# --- through the running gateway --------------------------------------------------------------------------


def proposal(**changes: Any) -> dict[str, Any]:
    parameters = GOOD | {"body": "", "html": HTML, "bcc": [BOB], "attachments": ["report.pdf"]} | changes
    action = {"action_type": NAME, "description": "", "parameters": parameters, "risk_level": "high"}
    return {"input": {"proposed_action": action}}


async def test_html_files_and_hidden_recipients_end_to_end(tmp_path: Path) -> None:
    """T16, T18, T56: what Alice saw in the question is what the team and the hidden recipient get."""
    (tmp_path / "outgoing").mkdir()
    (tmp_path / "outgoing" / "report.pdf").write_bytes(b"%PDF-1.7")
    policy = f'{HIGH}\n[actions.send_email]\nattachments = "outgoing"\n'
    async with Post(*PEOPLE) as post, running(tmp_path, post, policy) as gateway:
        thread = await gateway.ask(**proposal())
        asked = await gateway.letter("ask", ALICE)
        for fact in ("https://evil.example/pay", "NAMES ANOTHER HOST", "report.pdf, 8 bytes"):
            assert fact in asked.text
        assert re.search(rf"Bcc: +{BOB}\n", asked.text)
        await gateway.reply(asked, "APPROVE")
        await gateway.letter("outcome", ALICE)
        assert (await gateway.ended(thread))["result"] == f"Email sent to {TEAM}, {BOB}"
        (got,) = gateway.emails
        (hidden,) = gateway.letters("", BOB)
        assert got.delivered.octets == hidden.octets
        assert BOB.encode() not in hidden.octets
        (part,) = got.message.iter_attachments()
        assert (part.get_filename(), part.get_payload(decode=True)) == ("report.pdf", b"%PDF-1.7")


async def test_a_copy_is_laid_into_the_sent_folder(tmp_path: Path) -> None:
    """A person who has to resolve a doubt finds what was sent, octet by octet as it left."""
    policy = f'{HIGH}\n[actions.send_email]\nsent_folder = "Sent"\n'
    async with (
        Post(*PEOPLE) as post,
        running(tmp_path, post, policy) as gateway,
        reaching("copy-kept") as kept,
    ):
        await gateway.ask()
        await gateway.reply(await gateway.letter("ask", ALICE), "APPROVE")
        await gateway.letter("outcome", ALICE)
        await kept.wait()
        assert await post.mailbox(post.gateway, "Sent") == [mail.delivered.octets for mail in gateway.emails]


async def test_a_file_changed_after_the_approval_keeps_the_mail_back(tmp_path: Path) -> None:
    """T58: nothing is sent, and the requester is told why."""
    report = tmp_path / "outgoing" / "report.pdf"
    report.parent.mkdir()
    report.write_bytes(b"%PDF-1.7")
    policy = f'{HIGH}\n[actions.send_email]\nattachments = "outgoing"\n'
    async with Post(*PEOPLE) as post, running(tmp_path, post, policy) as gateway:
        thread = await gateway.ask(**proposal())
        asked = await gateway.letter("ask", ALICE)
        report.write_bytes(b"%PDF-6.6")
        await gateway.reply(asked, "APPROVE")
        await gateway.letter("outcome", ALICE)
        assert "no longer the file that was approved" in (await gateway.ended(thread))["error"]
        assert not gateway.emails


async def test_a_domain_that_looks_like_ours_is_named() -> None:
    """T55: who reads quickly would take `exampel.com` for a colleague's address."""
    action = await KIND.prepare(GOOD | {"to": ["ada@exampel.com", "bob@other.org"]})
    attention = [row.value for row in KIND.rows(action) if row.label == "Attention"]
    assert attention == ["exampel.com is not example.com"]
