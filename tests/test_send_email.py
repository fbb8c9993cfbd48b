"""Sending an email: what people saw is what goes over the wire, and hostile text stays text."""

import email
from datetime import UTC, datetime
from email import policy as mail_policy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.actions import ActionRefusedError, Actions
from gateway.actions.send_email import NAME, SendEmail, build
from gateway.core.payload import Proposal
from gateway.core.policy import Risk

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
        ({"bcc": ["x@attack.example"]}, "not bcc"),
        ({"from": "ceo@example.com"}, "not from"),
        ({"reply_to": "x@attack.example"}, "not reply_to"),
    ],
)
async def test_what_cannot_be_sent_as_proposed_is_refused(changes: dict[str, Any], problem: str) -> None:
    """T15: sender and reviewers never come from the payload; the sentence says what to change."""
    with pytest.raises(ActionRefusedError, match=problem):
        await KIND.prepare(GOOD | changes)


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
