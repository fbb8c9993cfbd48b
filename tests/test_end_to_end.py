"""The running gateway from outside, by SMTP, IMAP and HTTP, on each kind of mail server."""

import asyncio
import textwrap
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import escape
from pathlib import Path
from typing import Any

import pytest

from gateway.core.markup import to_text
from gateway.demo.mailserver import HOSTNAME
from running import (
    ALICE,
    BOB,
    HIGH,
    OPS,
    PEOPLE,
    RITA,
    TEAM,
    VOTER,
    Gateway,
    Letter,
    answer,
    install,
    octets_of,
    reaching,
    running,
    serving,
)
from servers.post import DovecotPost, Post
from website import defaults

QUORUM = f"{HIGH}quorum = 2\n"
INTERNAL = """
[actions.send_email]
internal_domains = ["example.com"]
internal_risk = "low"
"""
BODY = "Dear team,\n\n.a dot ahead, blanks behind  \n.\n..\n\tFrom here: grüße — 日本\n\n"
PROPOSED = {
    "action_type": "send_email",
    "description": "Sends the Q1 report.",
    "parameters": {"to": [TEAM], "cc": [], "subject": "Q1 report", "body": "Here it is.\n"},
    "risk_level": "low",
}


@pytest.fixture(params=["embedded", pytest.param("dovecot", marks=pytest.mark.server)])
async def post(request: pytest.FixtureRequest) -> AsyncIterator[Post]:
    """Everybody's mailbox, once on each kind of server."""
    # By name, because asking for the fixture would start Dovecot for the embedded server's tests too.
    is_dovecot = request.param == "dovecot"
    async with (
        DovecotPost(request.getfixturevalue("dovecot"), *PEOPLE) if is_dovecot else Post(*PEOPLE) as post
    ):
        yield post


@pytest.fixture
async def gateway(tmp_path: Path, post: Post) -> AsyncIterator[Gateway]:
    """A gateway that asks Alice and Bob about mails to the outside, on each kind of server."""
    async with running(tmp_path, post) as gateway:
        yield gateway


@asynccontextmanager
async def embedded(place: Path, policy: str = HIGH) -> AsyncIterator[Gateway]:
    """A gateway on the embedded server alone, for what does not depend on the server."""
    async with Post(*PEOPLE) as post, running(place, post, policy) as gateway:
        yield gateway


def proposing(**changes: Any) -> dict[str, Any]:
    parameters = {**PROPOSED["parameters"], **changes}  # type: ignore[dict-item]
    return {"input": {"proposed_action": {**PROPOSED, "parameters": parameters}}}


def root_of(letter: Letter) -> str:
    return str(letter.message["References"])


# --- by reply ----------------------------------------------------------------------------------------------


async def test_approved_by_reply(gateway: Gateway) -> None:
    """A reply with APPROVE has the mail sent, and receipt and outcome come in the question's mail thread."""
    thread = await gateway.ask()
    asked = await gateway.letter("ask", ALICE)
    await gateway.reply(asked, "APPROVE\n\nLooks good.")
    receipt, outcome = await gateway.letter("receipt", ALICE), await gateway.letter("outcome", ALICE)

    assert root_of(receipt) == root_of(outcome) == asked.message["Message-ID"]
    status = await gateway.ended(thread)
    assert (status["status"], status["approval_status"]) == ("finished", "approved")
    assert status["result"] == "Email sent to team@example.com"
    (vote,) = status["approvals"][0]["votes"]
    assert (vote["by"], vote["channel"], vote["comment"]) == (ALICE, "reply", "Looks good.")
    assert [mail.delivered.mail_from for mail in gateway.emails] == [gateway.post.gateway]


async def test_a_question_back_reaches_the_requester_and_decides_nothing(gateway: Gateway) -> None:
    """A mail that only asks is passed on in its own words and confirmed; then the same person decides."""
    thread = await gateway.ask(user_id=RITA)
    asked = await gateway.letter("ask", ALICE)
    await gateway.reply(asked, "Who is on that list? I cannot tell from this.")
    passed_on, confirmed = await gateway.letter("comment", RITA), await gateway.letter("comment", ALICE)
    assert "Who is on that list? I cannot tell from this." in passed_on.text
    assert "recorded as a comment" in " ".join(confirmed.text.split())
    assert (await gateway.status(thread))["approval_status"] == "pending"
    await gateway.reply(confirmed, "APPROVE")
    await gateway.letter("outcome", ALICE)
    assert len(gateway.emails) == 1


async def test_approved_in_german_and_in_html_alone(tmp_path: Path) -> None:
    """A reviewer's own language counts, and so does a mail without plain text, with our letter quoted."""
    async with Post(*PEOPLE) as post:
        config = install(tmp_path, post)
        config.write_text(config.read_text().replace('name = "Bob"', 'name = "Bob"\nlanguage = "de"'))
        async with serving(config, post) as gateway:
            thread = await gateway.ask()
            asked = await gateway.letter("ask", BOB)
            mail = answer(asked, "")
            quoted = f"<blockquote type=cite>{escape(asked.text)}</blockquote>"
            mail.set_content(f"<div>Genehmigt, vielen Dank</div><br>{quoted}", subtype="html")
            await post.send(BOB, asked.reply_to, octets_of(mail), login=BOB)
            await gateway.letter("outcome", BOB)
            (vote,) = (await gateway.ended(thread))["approvals"][0]["votes"]
            assert (vote["by"], vote["verdict"]) == (BOB, "approve")


HEADINGS = {
    "> ": "On Tue, 3 Mar 2026 at 09:14, Approval gateway <approvals@example.com> wrote:\n",
    "": (
        "From: Approval gateway <approvals@example.com>\nSent: Tuesday, March 3, 2026 9:14 AM\n"
        "To: alice@example.com\nSubject: Approve?\n"
    ),
}


async def test_a_letter_that_a_client_wraps_stays_a_quote(tmp_path: Path) -> None:
    """Where a mail program breaks our lines and marks only their beginnings, APPROVE on top still acts."""
    async with embedded(tmp_path) as gateway:
        await gateway.ask()
        asked = await gateway.letter("ask", ALICE)
        lines = [
            line for each in asked.text.splitlines() for line in (textwrap.wrap(f"> {each}", 60) or [">"])
        ]
        mail = answer(asked, "")
        mail.set_content("\n".join(["APPROVE", "", "On Monday, Approval gateway wrote:", *lines, ""]))
        await gateway.post.send(ALICE, asked.reply_to, octets_of(mail), login=ALICE)
        await gateway.letter("outcome", ALICE)
        assert len(gateway.emails) == 1


@pytest.mark.parametrize("mark", ["> ", ""])
async def test_a_client_that_quotes_the_html_version(tmp_path: Path, mark: str) -> None:
    """Most programs show HTML and quote what they show: its buttons and sentences are ours too."""
    async with embedded(tmp_path) as gateway:
        thread = await gateway.ask()
        letter = await gateway.letter("ask", ALICE)
        html = letter.message.get_body(("html",))
        assert html is not None
        quoted = "\n".join(f"{mark}{line}".rstrip() for line in to_text(html.get_content()).split("\n"))
        mail = answer(letter, "")
        mail.set_content(f"APPROVE\n\n{HEADINGS[mark]}\n{quoted}")
        await gateway.post.send(ALICE, letter.reply_to, octets_of(mail), login=ALICE)
        await gateway.letter("receipt", ALICE)
        assert (await gateway.ended(thread))["approval_status"] == "approved"


async def test_delivered_as_approved(gateway: Gateway) -> None:
    """Every octet in the recipient's mailbox is what was approved, dots, blanks and umlauts included."""
    thread = await gateway.ask(**proposing(body=BODY, subject="Bericht für Q1"))
    await gateway.reply(await gateway.letter("ask", BOB), "approve")
    await gateway.letter("outcome", BOB)

    (email,) = gateway.emails
    shown = (await gateway.status(thread))["approvals"][0]["action"]["parameters"]
    authored = {name: str(email.message[name]) for name in ("From", "To", "Subject")}
    assert authored == {"From": gateway.post.gateway, "To": TEAM, "Subject": "Bericht für Q1"}
    body = email.message.get_payload(decode=True)
    assert isinstance(body, bytes)
    assert body.replace(b"\r\n", b"\n").decode() == shown["body"] == BODY
    found = await gateway.post.mailbox(TEAM)
    assert [mail.endswith(email.delivered.octets) for mail in found].count(True) == 1


async def test_plain_text_is_sent_octet_by_octet(tmp_path: Path) -> None:
    """A plain mail goes out with the headers that were approved, two of ours, and the body untouched."""
    async with embedded(tmp_path) as gateway:
        await gateway.ask(**proposing(body="One.\n.\n..two  \n"))
        await gateway.reply(await gateway.letter("ask", ALICE), "APPROVE")
        await gateway.letter("outcome", ALICE)
        (email,) = gateway.emails
    lines = [
        "From: approvals@example.com",
        "To: team@example.com",
        "Subject: Q1 report",
        f"Date: {email.message['Date']}",
        f"Message-ID: {email.message['Message-ID']}",
        'Content-Type: text/plain; charset="utf-8"',
        "Content-Transfer-Encoding: 7bit",
        "MIME-Version: 1.0",
        "",
        "One.\r\n.\r\n..two  \r\n",
    ]
    assert email.delivered.octets == "\r\n".join(lines).encode()


async def test_rejected_by_reply(gateway: Gateway) -> None:
    """A reply with REJECT has nothing sent, and the agent learns the reason."""
    thread = await gateway.ask()
    await gateway.reply(await gateway.letter("ask", ALICE), "REJECT\n\nThe numbers are not final.")
    await gateway.letter("receipt", ALICE)
    for person in (ALICE, BOB, RITA):
        await gateway.letter("outcome", person)

    status = await gateway.ended(thread)
    assert (status["status"], status["approval_status"]) == ("finished", "rejected")
    assert "The numbers are not final." in status["result"]
    assert not gateway.emails


async def test_modified_by_reply(gateway: Gateway) -> None:
    """A reply with MODIFY is sent back as a diff, and only what is then approved is sent."""
    thread = await gateway.ask()
    first = await gateway.letter("ask", ALICE)
    await gateway.reply(first, "MODIFY\nsubject: Q1 report, final")
    second = await gateway.letter("ask", ALICE)

    assert "-| Q1 report\n" in second.text
    assert "+| Q1 report, final\n" in second.text
    assert not gateway.emails
    await gateway.reply(second, "APPROVE")
    await gateway.letter("outcome", ALICE)

    status = await gateway.ended(thread)
    assert status["approval_status"] == "modified"
    assert [email.message["Subject"] for email in gateway.emails] == ["Q1 report, final"]
    old, new = status["approvals"]
    assert (old["state"], old["replaced_by"], new["state"]) == ("superseded", new["id"], "approved")


async def test_old_question_is_closed_by_an_edit(tmp_path: Path) -> None:
    """An approval of what was shown before an edit counts for nothing, and its writer is told."""
    async with embedded(tmp_path) as gateway:
        await gateway.ask()
        old = await gateway.letter("ask", BOB)
        await gateway.reply(await gateway.letter("ask", ALICE), "MODIFY\nsubject: Q1 report, final")
        await gateway.letter("ask", ALICE)
        await gateway.reply(old, "APPROVE")
        await gateway.letter("already-decided", BOB)
        assert not gateway.emails


# --- by page -----------------------------------------------------------------------------------------------


async def test_approved_by_link(gateway: Gateway) -> None:
    """Opening the link changes nothing, posting decides and leads back to it, posting again is too late."""
    thread = await gateway.ask()
    link = (await gateway.letter("ask", ALICE)).link
    shown = await gateway.client.get(link)
    assert (shown.status_code, "Q1 report" in shown.text) == (200, True)
    assert (await gateway.status(thread))["approval_status"] == "pending"

    form = defaults(shown.text) | {"decision": "approve"}
    posted = await gateway.client.post(link, data=form)
    assert (posted.status_code, posted.headers["Location"]) == (303, link)
    again = await gateway.client.post(link, data=form | {"decision": "reject"})
    assert (again.status_code, ALICE in again.text or "Alice" in again.text) == (409, True)

    assert (await gateway.ended(thread))["approval_status"] == "approved"
    await gateway.letter("outcome", ALICE)
    assert len(gateway.emails) == 1


async def test_modified_by_page(gateway: Gateway) -> None:
    """An edit on the page is shown as a diff, and becomes a question of its own when confirmed."""
    await gateway.ask()
    link = (await gateway.letter("ask", ALICE)).link
    preview = await gateway.choose(link, decision="modify", **{"edit.subject": "Q1 report, final"})
    assert (preview.status_code, "Q1 report, final" in preview.text) == (200, True)
    confirmed = await gateway.client.post(link, data=defaults(preview.text))
    assert confirmed.status_code == 303

    second = await gateway.letter("ask", BOB, about="final")
    assert (await gateway.choose(second.link, decision="approve")).status_code == 303
    await gateway.letter("outcome", BOB)
    assert [email.message["Subject"] for email in gateway.emails] == ["Q1 report, final"]


async def test_many_posts_at_once(gateway: Gateway) -> None:
    """Of twenty posts of two people at once one decides, the others are told, one mail goes out (T07)."""
    thread = await gateway.ask()
    links = [(await gateway.letter("ask", person)).link for person in (ALICE, BOB)] * 10
    # Opened at once as well, so that no post has to wait for its connection.
    opened = await asyncio.gather(*(gateway.client.get(link) for link in links))
    forms = [defaults(page.text) | {"decision": "approve"} for page in opened]
    posts = (gateway.client.post(link, data=form) for link, form in zip(links, forms, strict=True))
    answers = await asyncio.gather(*posts)
    assert sorted(each.status_code for each in answers) == [303] + [409] * 19
    await gateway.ended(thread)
    await gateway.letter("outcome", ALICE)
    assert gateway.kinds(thread).count("VoteCounted") == gateway.kinds(thread).count("Granted") == 1
    assert len(gateway.emails) == 1


# --- several people, several doors -------------------------------------------------------------------------


async def test_quorum_of_two(tmp_path: Path, post: Post) -> None:
    """With a quorum of two the first approval is only counted, and the second has the mail sent."""
    async with running(tmp_path, post, QUORUM) as gateway:
        thread = await gateway.ask()
        await gateway.reply(await gateway.letter("ask", ALICE), "APPROVE")
        receipt = await gateway.letter("receipt", ALICE)
        assert "1 of 2" in receipt.text
        assert (await gateway.status(thread))["approval_status"] == "pending"
        assert not gateway.emails

        bob = await gateway.letter("ask", BOB)
        assert (await gateway.choose(bob.link, decision="approve")).status_code == 303
        status = await gateway.ended(thread)
        assert [vote["by"] for vote in status["approvals"][0]["votes"]] == [ALICE, BOB]
        await gateway.letter("outcome", BOB)
        assert len(gateway.emails) == 1


async def test_same_person_twice_is_no_quorum(tmp_path: Path) -> None:
    """One person who approves by reply and by link is still one of two."""
    async with embedded(tmp_path, QUORUM) as gateway:
        thread = await gateway.ask()
        asked = await gateway.letter("ask", ALICE)
        await gateway.reply(asked, "APPROVE")
        await gateway.letter("receipt", ALICE)
        await gateway.choose(asked.link, decision="approve")
        assert (await gateway.status(thread))["approval_status"] == "pending"
        assert gateway.kinds(thread).count("VoteCounted") == 1


async def test_reply_and_link_at_once(gateway: Gateway) -> None:
    """Of two opposite answers at the same moment one counts, and everything follows from that one (F44)."""
    thread = await gateway.ask()
    alice, bob = await gateway.letter("ask", ALICE), await gateway.letter("ask", BOB)
    form = defaults((await gateway.client.get(bob.link)).text) | {"decision": "approve"}
    await gateway.reply(alice, "REJECT")
    posted = await gateway.client.post(bob.link, data=form)
    approved = posted.status_code == 303
    # Whoever was late is told so: Alice by letter, Bob by the page.
    await gateway.letter("already-decided" if approved else "receipt", ALICE)
    assert approved or posted.status_code == 409

    status = await gateway.ended(thread)
    await gateway.letter("outcome", BOB)
    assert status["approval_status"] == ("approved" if approved else "rejected")
    kinds = gateway.kinds(thread)
    assert (kinds.count("Granted"), kinds.count("Denied")) == ((1, 0) if approved else (0, 1))
    assert len(gateway.emails) == approved


async def test_two_requests_at_once(gateway: Gateway) -> None:
    """Answers to two questions at once reach their own threads."""
    yes, no = await asyncio.gather(
        gateway.ask("Send an email to team@example.com about the good news"),
        gateway.ask("Send an email to team@example.com about the bad news"),
    )
    good, bad = await gateway.letter("ask", ALICE, "Good"), await gateway.letter("ask", ALICE, "Bad")
    await asyncio.gather(gateway.reply(bad, "REJECT"), gateway.reply(good, "APPROVE"))
    await gateway.letter("receipt", ALICE)
    await gateway.letter("receipt", ALICE)
    assert (await gateway.ended(yes))["approval_status"] == "approved"
    assert (await gateway.ended(no))["approval_status"] == "rejected"
    await gateway.letter("outcome", ALICE, "Good")
    assert [email.message["Subject"] for email in gateway.emails] == ["Good news"]


# --- policy and time ---------------------------------------------------------------------------------------


async def test_expired(gateway: Gateway) -> None:
    """A question that nobody answers in time is not approved; all are told and nothing is sent."""
    thread = await gateway.ask()
    late = await gateway.letter("ask", ALICE)
    gateway.clock.skip(hours=24)
    for person in (ALICE, BOB, RITA):
        await gateway.letter("expired", person)
    status = await gateway.ended(thread)
    assert (status["status"], status["approval_status"]) == ("finished", "expired")

    await gateway.reply(late, "APPROVE")
    await gateway.letter("already-decided", ALICE)
    assert (await gateway.client.get(late.link)).status_code == 410
    assert not gateway.emails


async def test_low_risk_passes_by_policy(tmp_path: Path, post: Post) -> None:
    """Where policy lets low risk pass nobody is asked, and the vote is recorded as the policy's."""
    async with running(tmp_path, post, HIGH + INTERNAL) as gateway:
        thread = await gateway.ask(**proposing())
        status = await gateway.ended(thread)
        await gateway.letter("outcome", RITA)
        (vote,) = status["approvals"][0]["votes"]
        assert (vote["by"], vote["channel"]) == ("policy", "policy")
        assert status["result"] == "Email sent to team@example.com"
        assert [mail.recipient for mail in gateway.post.deliveries] == [TEAM, RITA]


# --- mail servers that have their moods --------------------------------------------------------------------


@pytest.mark.parametrize("stage", ["at_rcpt", "at_dot"])
async def test_refused_for_now(tmp_path: Path, stage: str) -> None:
    """A mail that the server refuses for now is tried again, and goes out once (F21)."""
    async with embedded(tmp_path) as gateway:
        thread = await gateway.ask()
        getattr(gateway.post, stage)[TEAM].append("451 4.3.0 try again later")
        async with reaching("put-back") as put_back:
            await gateway.reply(await gateway.letter("ask", ALICE), "APPROVE")
            await put_back.wait()
        (retrying,) = (await gateway.command("list"))["retrying"]
        assert "451 4.3.0 try again later" in retrying["note"]
        gateway.clock.skip(minutes=1)
        await gateway.letter("outcome", ALICE)
        assert (await gateway.ended(thread))["result"] == "Email sent to team@example.com"
        assert len(gateway.emails) == 1


@pytest.mark.parametrize("stage", ["at_rcpt", "at_dot"])
async def test_refused_for_good(tmp_path: Path, stage: str) -> None:
    """A mail that the server refuses for good has failed: all are told, and `gateway list` shows it (F22)."""
    async with embedded(tmp_path) as gateway:
        thread = await gateway.ask()
        getattr(gateway.post, stage)[TEAM].append("550 5.7.1 not from you")
        await gateway.reply(await gateway.letter("ask", ALICE), "APPROVE")
        for kind, person in {"alert": OPS, "outcome": RITA}.items():
            assert "550 5.7.1 not from you" in (await gateway.letter(kind, person)).text
        status = await gateway.ended(thread)
        assert "550 5.7.1 not from you" in status["result" if status["result"] else "error"]
        (stuck,) = (await gateway.command("list"))["stuck"]
        assert (stuck["what"], stuck["state"]) == ("perform", "failed")
        assert "550 5.7.1 not from you" in stuck["note"]
        assert not gateway.emails


async def test_letter_refused_for_good(tmp_path: Path) -> None:
    """A question that cannot be delivered to one reviewer is told to the operator; the other decides."""
    async with embedded(tmp_path) as gateway:
        gateway.post.at_rcpt[ALICE].append("550 5.1.1 no such user")
        await gateway.ask()
        assert ALICE in (await gateway.letter("alert", OPS)).text
        await gateway.reply(await gateway.letter("ask", BOB), "APPROVE")
        await gateway.letter("outcome", BOB)
        assert len(gateway.emails) == 1


async def test_question_no_longer_open(tmp_path: Path) -> None:
    """A question that could not be delivered before it was decided is not delivered any more."""
    async with embedded(tmp_path) as gateway:
        gateway.post.at_rcpt[ALICE].append("451 4.3.0 try again later")
        async with reaching("put-back") as put_back:
            await gateway.ask()
            await put_back.wait()
        await gateway.reply(await gateway.letter("ask", BOB), "APPROVE")
        await gateway.letter("receipt", BOB)
        gateway.clock.skip(minutes=1)
        await gateway.letter("outcome", ALICE)
        await gateway.letter("outcome", BOB)
        assert not gateway.letters("ask", ALICE)


async def test_given_up_after_a_day(tmp_path: Path) -> None:
    """A mail that the server never takes has failed in the end, and everybody is told (F21)."""
    async with embedded(tmp_path) as gateway:
        thread = await gateway.ask()
        gateway.post.at_rcpt[TEAM] += ["451 4.3.0 try again later"] * 2
        async with reaching("put-back") as put_back:
            await gateway.reply(await gateway.letter("ask", ALICE), "APPROVE")
            await put_back.wait()
        gateway.clock.skip(hours=25)
        assert "given up" in (await gateway.letter("outcome", RITA)).text
        assert "given up" in (await gateway.letter("alert", OPS)).text
        assert "given up" in (await gateway.ended(thread))["error"]
        assert not gateway.emails


async def test_imap_server_restarts(gateway: Gateway) -> None:
    """A reply that arrives after the mail server has restarted is read (F29)."""
    await gateway.ask()
    asked = [await gateway.letter("ask", person) for person in (BOB, ALICE)]
    await gateway.post.restart()
    await gateway.reply(asked[1], "APPROVE")
    await gateway.letter("outcome", ALICE)
    assert len(gateway.emails) == 1


async def test_imap_server_is_late(tmp_path: Path) -> None:
    """A reply that arrives before a new gateway has ever reached its mailbox is not taken for old mail."""
    async with Post(*PEOPLE) as post:
        post.awake.clear()
        async with running(tmp_path, post) as gateway:
            await gateway.ask()
            await gateway.reply(await gateway.letter("ask", ALICE), "APPROVE")
            post.awake.set()
            await gateway.letter("outcome", ALICE)
            assert len(gateway.emails) == 1


# --- mail that decides nothing -----------------------------------------------------------------------------


async def test_out_of_office(gateway: Gateway) -> None:
    """An automatic answer decides nothing and gets no answer, whatever word it holds."""
    thread = await gateway.ask()
    asked = await gateway.letter("ask", ALICE)
    await gateway.reply(asked, "APPROVE", Auto_Submitted="auto-replied")
    await gateway.reply(asked, "APPROVE\n\nI am out of office.", Subject="Automatic reply: Approve?")
    await gateway.reply(asked, "REJECT")
    await gateway.letter("receipt", ALICE)
    assert gateway.kinds(thread).count("VoteCounted") == 1
    assert (await gateway.ended(thread))["approval_status"] == "rejected"
    assert not gateway.letters("unclear", ALICE)
    assert not gateway.emails


@pytest.mark.parametrize(
    "author",
    ["mallory@example.org", f'"{ALICE}" <mallory@example.org>', BOB, f"{ALICE}.example.org"],
)
async def test_somebody_elses_reply(tmp_path: Path, author: str) -> None:
    """T48: somebody else's reply under a reviewer's handle decides nothing, and the handle is replaced."""
    async with embedded(tmp_path) as gateway:
        thread = await gateway.ask()
        leaked = await gateway.letter("ask", ALICE)
        await gateway.reply(leaked, "APPROVE", From=author)
        again, alert = await gateway.letter("ask", ALICE), await gateway.letter("alert", OPS)
        assert "Somebody else used the reply address" in again.text
        assert author.rpartition("<")[2].rstrip(">") in alert.text
        assert not set(leaked.handles) & set(again.handles)
        assert again.message["References"] is None
        assert (await gateway.client.get(leaked.link)).status_code == 404

        await gateway.reply(leaked, "APPROVE")
        assert "has been replaced" in " ".join((await gateway.letter("unclear", ALICE)).text.split())
        await gateway.reply(again, "REJECT")
        receipt = await gateway.letter("receipt", ALICE)
        assert root_of(receipt) == again.message["Message-ID"]
        assert gateway.kinds(thread).count("VoteCounted") == 1
        put_aside = await gateway.post.mailbox(gateway.post.gateway, "Quarantine")
        assert [b"APPROVE" in mail for mail in put_aside] == [True, True]
        assert not gateway.emails


async def test_two_authors(tmp_path: Path) -> None:
    """T14: a reply that two may have written decides nothing, and the reviewer's own still does."""
    async with embedded(tmp_path) as gateway:
        thread = await gateway.ask()
        asked = await gateway.letter("ask", ALICE)
        await gateway.reply(asked, "APPROVE", From=f"{ALICE}, mallory@example.org")
        await gateway.reply(asked, "REJECT")
        await gateway.letter("receipt", ALICE)
        assert gateway.kinds(thread).count("VoteCounted") == 1
        (put_aside,) = await gateway.post.mailbox(gateway.post.gateway, "Quarantine")
        assert b"APPROVE" in put_aside


@pytest.mark.parametrize("login", ["", BOB], ids=["nobody", "another person"])
async def test_forged_reply(gateway: Gateway, login: str) -> None:
    """T10, T12, T86: the reviewer's name and handle and a forged proof, but another login, decide nothing."""
    thread = await gateway.ask()
    asked = await gateway.letter("ask", ALICE)
    proof = f"{HOSTNAME}; auth=pass smtp.auth={ALICE}; dmarc=pass header.from=example.com"
    forged = answer(asked, "APPROVE", {"Authentication-Results": proof})
    await gateway.post.send(ALICE, asked.reply_to, octets_of(forged), login=login)
    helped = await gateway.letter("unclear", ALICE)
    assert "could be a forgery in your name" in " ".join(helped.text.split())
    assert (await gateway.status(thread))["approvals"][0]["votes"] == []

    await gateway.reply(asked, "APPROVE")
    await gateway.letter("receipt", ALICE)
    (vote,) = (await gateway.status(thread))["approvals"][0]["votes"]
    assert vote["identity"] == "auth"
    shown = await gateway.command("show", asked.message["Subject"].rpartition("#")[2].rstrip("]"))
    assert [entry.get("reason") for entry in shown["timeline"] if entry["what"] == "mail"] == [
        "unaligned" if login else "unproven",
        "clear",
    ]


async def test_poison_ahead(gateway: Gateway) -> None:
    """Neither a huge mail nor broken ones keep the gateway from the reply behind them (F45)."""
    await gateway.ask()
    asked = await gateway.letter("ask", ALICE)
    huge = octets_of(answer(asked, "APPROVE\n\n" + "All of it, once again. " * 20))
    poison = [
        huge + b"x" * 70 + (b"\r\n" + b"x" * 70) * 150_000,
        b"",
        b"\r\n",
        b"APPROVE",
        b"\x00\xff\xfe\r\n" * 1000,
        b"From: alice@example.com\r\nContent-Type: multipart/mixed; boundary=\r\n\r\nAPPROVE\r\n",
        b"From: alice@example.com\r\nContent-Type: text/plain; charset=no-such\r\n\r\nAPPROVE\r\n",
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
        + b"--b\r\nContent-Type: message/rfc822\r\n\r\n" * 500,
        b"From: <>\r\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n",
    ]
    for octets in poison:
        await gateway.post.send("mallory@example.org", asked.reply_to, octets)
    await gateway.reply(asked, "APPROVE")
    await gateway.letter("outcome", ALICE)
    assert len(gateway.emails) == 1
    quarantined = await gateway.post.mailbox(gateway.post.gateway, "Quarantine")
    processed = await gateway.post.mailbox(gateway.post.gateway, "Processed")
    assert len(quarantined) + len(processed) == len(poison) + 1
    assert max(map(len, quarantined)) > 10_000_000


async def test_requester_gets_no_handles(gateway: Gateway) -> None:
    """Nothing in the requester's copy or in the sent mail would let its reader answer as a reviewer."""
    await gateway.ask()
    asked = [await gateway.letter("ask", person) for person in (ALICE, BOB)]
    await gateway.reply(asked[0], "APPROVE")
    copy = await gateway.letter("outcome", RITA)
    (email,) = gateway.emails
    for handle in asked[0].handles + asked[1].handles:
        assert len(handle) == 42
        assert handle.encode() not in copy.delivered.octets + email.delivered.octets
    assert copy.message["References"] is None


# --- the API -----------------------------------------------------------------------------------------------


async def test_start_and_wait(tmp_path: Path) -> None:
    """`POST /start` with `wait` answers with the question that was opened, the same for the same key."""
    async with embedded(tmp_path) as gateway:
        request: dict[str, Any] = {
            "json": {"user_request": "Email team@example.com saying hello"},
            "headers": {"Idempotency-Key": "one"},
        }
        first = await gateway.api("POST", "/start?wait=30", **request)
        assert (first["http"], first["status"]) == (202, "waiting")
        (approval,) = first["approvals"]
        assert approval["action"]["parameters"]["to"] == [TEAM]
        again = await gateway.api("POST", "/start", **request)
        assert (again["thread_id"], again["approvals"]) == (first["thread_id"], first["approvals"])
        listed = await gateway.api("GET", "/approvals?state=open")
        assert listed["approvals"] == [approval]
        assert (await gateway.client.post("/start", json=request["json"])).status_code == 401


async def test_vote_by_api(tmp_path: Path) -> None:
    """A reviewer's token votes as that person where policy lets it, and is refused at high risk."""
    policy = f'{HIGH}\n[actions.send_email]\ninternal_domains = ["example.com"]\n'
    async with embedded(tmp_path, policy) as gateway:
        medium = await gateway.ask(**proposing())
        high = await gateway.ask("Email team@example.org saying hello")
        decision = {"decision": "approved", "feedback": "fine"}
        done = await gateway.api("POST", "/approve", VOTER, json=decision | {"thread_id": medium})
        refused = await gateway.api("POST", "/approve", VOTER, json=decision | {"thread_id": high})
        assert (done["http"], done["answer"]) == (200, "approved")
        assert (refused["http"], refused["error"]) == (403, "channel-refused")
        status = await gateway.ended(medium)
        (vote,) = status["approvals"][0]["votes"]
        assert (vote["by"], vote["channel"], vote["comment"]) == (ALICE, "api", "fine")
        await gateway.letter("outcome", ALICE)
        assert len(gateway.emails) == 1


async def test_declined_request(tmp_path: Path) -> None:
    """A request that the planner cannot make an action of ends at once, with the reason, and asks nobody."""
    async with embedded(tmp_path) as gateway:
        thread = await gateway.ask("Buy a lighthouse")
        status = await gateway.status(thread)
        assert status["status"] == "failed"
        assert "only a request for an email is understood" in status["error"]
        assert not gateway.post.deliveries
