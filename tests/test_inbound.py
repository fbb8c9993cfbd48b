"""Mail that arrived: every kind of it is filed with a word, none of it stops us, and few of it decide."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from builders import ALICE, BOB
from frail_child import HANG, KILL
from gateway import overview
from gateway.core import tokens
from gateway.core.approval import Approval, Identity, State, Verdict
from gateway.core.authentication import Trust
from gateway.core.effects import Letter, ResumeGraph, SendLetter
from gateway.core.execution import Receipt, ReceiptStatus
from gateway.core.tokens import Purpose
from gateway.inbound import (
    ANSWER_LIMIT,
    CLOCK_SKEW,
    COMMENT_LIMIT,
    HELP_LIMIT,
    MAX_TRIES,
    Filing,
    Inbound,
    Mail,
)
from gateway.reading.reader import Reader, ReaderUnavailableError
from gateway.store import InboundRow, StoreUnavailableError
from office import BOTH, FOREIGN, OPERATOR, Office, open_office

TRUST = Trust(server="mx.example.com")


class Box:
    """A mailbox that hands its mails to the gateway, each with the next UID."""

    def __init__(self, office: Office, reader: Reader, trust: Trust | None = TRUST) -> None:
        self.office = office
        self.inbound = Inbound(
            store=office.store,
            service=office.service,
            policy=office.policy,
            reader=reader,
            own=["approvals@example.com"],
            trust=trust,
            clock=office.clock,
        )
        self.uid = 0

    async def receives(
        self, octets: bytes | None, uid: int | None = None, size: int = 0, at: datetime | None = None
    ) -> Filing:
        self.uid += uid is None
        mail = Mail(
            account="approvals",
            folder="INBOX",
            uidvalidity=1,
            uid=uid or self.uid,
            size=len(octets) if octets is not None else size,
            received_at=at or self.office.now,
            octets=octets,
        )
        return await self.inbound.receive(mail)

    async def row(self) -> InboundRow:
        """What the last mail was taken for."""
        row = await self.office.store.read(lambda tx: tx.inbound("approvals", "INBOX", 1, self.uid))
        assert row is not None
        return row

    async def reply(self, approval: Approval, text: str, **changes: Any) -> bytes:
        """Write the mail that a reviewer's phone would send, as our mail server delivers it."""
        handle = await self.office.handle(approval, Purpose.REPLY, changes.pop("handle_of", None))
        domain = str(changes.get("From", ALICE.email)).rpartition("@")[2].rstrip(">")
        headers = {
            "Authentication-Results": f"mx.example.com; dmarc=pass header.from={domain}",
            "From": "Alice <alice@example.com>",
            "To": f"approvals+{handle}@example.com",
            "Subject": "Re: Approve?",
            "Message-ID": f"<{self.uid + 1}@phone.example.com>",
            "Content-Type": "text/plain; charset=utf-8",
        }
        headers |= {name.replace("_", "-"): value for name, value in changes.items()}
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items() if value)
        return f"{head}\r\n{text}\r\n".encode()


# One loop for all, because it is the loop of the process that reads.
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def reader() -> AsyncIterator[Reader]:
    reader = Reader()
    yield reader
    await reader.close()


@pytest_asyncio.fixture(loop_scope="module")
async def box(tmp_path: Path, reader: Reader) -> AsyncIterator[Box]:
    async with open_office(tmp_path / "gateway.sqlite3") as office:
        yield Box(office, reader)


async def test_a_reply_decides_item_by_item(tmp_path: Path, reader: Reader) -> None:
    """The lines of one mail are votes of their own with one evidence, counted together; a second mail is for
    what is left, and one that comes too late for its item is told so."""
    async with open_office(tmp_path / "gateway.sqlite3", FOREIGN) as office:
        box = Box(office, reader)
        approval = await office.asked_at_once(BOTH, BOTH, BOTH)
        text = "1 approve\r\n2 reject too expensive"
        assert await box.receives(await box.reply(approval, text)) is Filing.PROCESSED
        standing = await office.approval(approval)
        assert [(each.verdict, each.reason) for each in standing.standings] == [
            (Verdict.APPROVE, ""),
            (Verdict.REJECT, "too expensive"),
            (None, ""),
        ]
        assert {vote.evidence for vote in standing.votes} == {"<1@phone.example.com>"}
        await box.receives(await box.reply(approval, "2 approve"))
        (late,) = await office.letters(Letter.ALREADY_DECIDED)
        assert (late.to, (await office.approval(approval)).undecided) == (ALICE.email, (3,))
        await box.receives(await box.reply(approval, "3 approve"))
        assert await office.state(approval) is State.DECIDED
        assert len(await office.letters(Letter.RECEIPT)) == 2


@pytest.mark.parametrize(
    ("text", "reason"),
    [("1 approve\r\n9 reject", "unknown-item"), ("MODIFY\r\n\r\norder: A7", "item-edit")],
)
async def test_a_reply_that_names_no_such_item_decides_nothing(
    tmp_path: Path, reader: Reader, text: str, reason: str
) -> None:
    """It is asked back, and none of its other lines counts."""
    async with open_office(tmp_path / "gateway.sqlite3", FOREIGN) as office:
        box = Box(office, reader)
        approval = await office.asked_at_once((*BOTH, "edit"), BOTH)
        await box.receives(await box.reply(approval, text))
        (letter,) = await office.letters(Letter.UNCLEAR)
        assert letter.details["reason"] == reason
        assert (await office.approval(approval)).votes == ()


async def test_a_reviewers_reply_decides_and_is_filed_as_processed(box: Box) -> None:
    """The vote carries the person, the comment and the mail's Message-ID."""
    approval = await box.office.asked()
    assert await box.receives(await box.reply(approval, "APPROVE\r\n\r\nLooks good.")) is Filing.PROCESSED
    decided = await box.office.approval(approval)
    assert decided.state is State.APPROVED
    (vote,) = decided.votes
    assert (vote.by, vote.channel, vote.comment) == (ALICE.email, "reply", "Looks good.")
    assert vote.identity is Identity.DMARC
    assert vote.evidence == "<1@phone.example.com>"


async def test_an_alias_is_the_same_person(box: Box) -> None:
    """T87: only listed addresses, and they count as one person."""
    approval = await box.office.asked()
    await box.receives(await box.reply(approval, "REJECT", From="a.lee@example.org"))
    assert (await box.office.approval(approval)).votes[0].by == ALICE.email


PLACES = ["To", "Cc", "In-Reply-To", "References", "Subject", "body"]


async def carrying(box: Box, approval: Approval, handle: str, place: str, **changes: Any) -> bytes:
    """A mail that says APPROVE, with the handle in one place."""
    value = {
        "In-Reply-To": f"<{handle}.row@example.com>",
        "References": f"<{handle}.row@example.com>",
        "Subject": f"Re: Approve? [ref: {handle}]",
    }.get(place, f"a+{handle}@example.com")
    text = f"APPROVE\r\n\r\n> ref: {handle}" if place == "body" else "APPROVE"
    elsewhere = {"To": "approvals@example.com"} | (
        {} if place == "body" else {place.replace("-", "_"): value}
    )
    return await box.reply(approval, text, **elsewhere, **changes)


@pytest.mark.parametrize("vouched_for", [True, False], ids=["vouched for", "not vouched for"])
@pytest.mark.parametrize("sender", [ALICE.email, BOB.email], ids=["from the reviewer", "from another"])
@pytest.mark.parametrize("is_ours", [True, False], ids=["our token", "another token"])
@pytest.mark.parametrize("place", PLACES)
async def test_token_sender_and_server_must_all_agree(
    box: Box, place: str, is_ours: bool, sender: str, vouched_for: bool
) -> None:
    """T10, T11: only this reviewer's token, From and vouching together decide, wherever the token stands."""
    approval = await box.office.asked()
    handle = await box.office.handle(approval, Purpose.REPLY)
    if not is_ours:
        handle = ("aaaaaa" if handle[:6] != "aaaaaa" else "bbbbbb") + handle[6:]
    results = "dmarc=pass header.from=example.com" if vouched_for else "dmarc=fail header.from=example.com"
    stamp = {"Authentication_Results": f"mx.example.com; {results}"}
    octets = await carrying(box, approval, handle, place, From=sender, **stamp)
    decides = is_ours and sender == ALICE.email and vouched_for
    assert await box.receives(octets) is (Filing.PROCESSED if decides else Filing.QUARANTINE)
    assert await box.office.state(approval) is (State.APPROVED if decides else State.OPEN)
    refused = "bad-token" if not is_ours else "wrong-sender" if sender != ALICE.email else "failed"
    assert (await box.row()).reason == ("clear" if decides else refused)


@pytest.mark.parametrize(
    ("results", "identity"),
    [
        ("dmarc=pass header.from=example.com", Identity.DMARC),
        ("dkim=pass header.d=example.com", Identity.DKIM),
        ("spf=pass smtp.mailfrom=alice@example.com", Identity.SPF),
        ("auth=pass smtp.auth=alice@example.com", Identity.AUTH),
    ],
)
async def test_what_showed_the_writer_is_kept_with_the_vote(
    box: Box, results: str, identity: Identity
) -> None:
    """Later it can be seen how sure it was that this person voted."""
    approval = await box.office.asked()
    octets = await box.reply(approval, "APPROVE", Authentication_Results=f"mx.example.com; {results}")
    await box.receives(octets)
    (vote,) = (await box.office.approval(approval)).votes
    assert vote.identity is identity


async def test_from_is_believed_where_the_configuration_says_so(tmp_path: Path, reader: Reader) -> None:
    """T10: without a server to trust the token and the From address decide, and the vote says so."""
    async with open_office(tmp_path / "gateway.sqlite3") as office:
        box = Box(office, reader, trust=None)
        approval = await office.asked()
        await box.receives(await box.reply(approval, "APPROVE", Authentication_Results=""))
        (vote,) = (await office.approval(approval)).votes
        assert vote.identity is Identity.ADDRESS


@pytest.mark.parametrize(
    ("stamp", "reason"),
    [
        ("", "unstamped"),
        ("mx.attack.example; dmarc=pass header.from=example.com", "foreign"),
        ("mx.example.com; none", "unproven"),
        ("mx.example.com; dmarc=fail header.from=example.com", "failed"),
        ("mx.example.com; dmarc=pass header.from=attack.example", "unaligned"),
        ("mx.example.com; dmarc=pass header.from=example.com; dmarc=fail", "conflicting"),
        ("mx.example.com dmarc=pass header.from=example.com", "garbled"),
    ],
)
async def test_a_mail_that_nobody_vouches_for_decides_nothing(box: Box, stamp: str, reason: str) -> None:
    """T86: it is put aside with the reason, and the reviewer gets one letter that shows another way."""
    approval = await box.office.asked()
    for n in range(5):
        octets = await box.reply(approval, f"APPROVE\r\n{n}", Authentication_Results=stamp)
        assert await box.receives(octets) is Filing.QUARANTINE
        assert (await box.row()).reason == reason
    assert await box.office.state(approval) is State.OPEN
    (letter,) = await box.office.letters(Letter.UNCLEAR)
    assert (letter.to, letter.details["reason"]) == (ALICE.email, "unauthenticated")


async def test_help_goes_to_the_address_in_the_configuration(box: Box) -> None:
    """T86: an alias in From is nobody to write to: it may be forged as well."""
    approval = await box.office.asked()
    octets = await box.reply(approval, "APPROVE", From="a.lee@example.org", Authentication_Results="")
    await box.receives(octets)
    (letter,) = await box.office.letters(Letter.UNCLEAR)
    assert letter.to == ALICE.email


@pytest.mark.parametrize("changes", [{"Auto_Submitted": "auto-replied"}, {"Precedence": "auto_reply"}])
async def test_a_machine_gets_no_help(box: Box, changes: dict[str, str]) -> None:
    """T74: an automatic answer without vouching is filed, and nobody is written to."""
    approval = await box.office.asked()
    await box.receives(await box.reply(approval, "APPROVE", Authentication_Results="", **changes))
    assert not await box.office.letters(Letter.UNCLEAR)


async def test_no_help_once_the_question_is_closed(box: Box) -> None:
    """The letter says that the question is open; then it must be."""
    approval = await box.office.asked()
    await box.office.votes(approval, by=BOB.email)
    await box.receives(await box.reply(approval, "REJECT", Authentication_Results=""))
    assert (await box.row()).reason == "unstamped"
    assert not await box.office.letters(Letter.UNCLEAR)


@pytest.mark.parametrize("sender", [BOB.email, "mallory@attack.example"])
async def test_a_leaked_reply_address_is_replaced(box: Box, sender: str) -> None:
    """T48: operators are told, the reviewer is asked again, and what has leaked is worthless."""
    approval = await box.office.asked()
    leaked = await box.office.handle(approval, Purpose.REPLY)
    link = await box.office.handle(approval, Purpose.LINK)
    await box.receives(await box.reply(approval, "APPROVE", From=sender))
    assert (await box.row()).reason == "wrong-sender"
    again = [each for each in await box.office.letters(Letter.ASK) if each.details]
    assert [(each.to, each.details) for each in again] == [(ALICE.email, {"reason": "used-by-another"})]
    (alert,) = await box.office.letters(Letter.ALERT)
    assert alert.details["facts"]["sender"] == sender
    with pytest.raises(tokens.ReplacedTokenError):
        await box.office.service.view(link)

    old = await box.reply(approval, "APPROVE", To=f"approvals+{leaked}@example.com")
    assert await box.receives(old) is Filing.QUARANTINE
    assert (await box.row()).reason == "replaced-token"
    assert [each.details["reason"] for each in await box.office.letters(Letter.UNCLEAR)] == ["replaced-token"]
    assert await box.office.state(approval) is State.OPEN

    assert await box.receives(await box.reply(approval, "APPROVE")) is Filing.PROCESSED
    assert await box.office.state(approval) is State.APPROVED


async def test_others_keep_their_reply_addresses(box: Box) -> None:
    """T48: what one reviewer's token has suffered is no matter of the others'."""
    approval = await box.office.asked()
    before = [await box.office.handle(approval, purpose, BOB.email) for purpose in Purpose]
    await box.receives(await box.reply(approval, "APPROVE", From=BOB.email, handle_of=ALICE.email))
    assert [await box.office.handle(approval, purpose, BOB.email) for purpose in Purpose] == before


async def test_a_stranger_cannot_make_a_storm(box: Box) -> None:
    """T48, T74: whoever has the reply address, the old or the new one, makes us write once."""
    approval = await box.office.asked()
    first = await box.reply(approval, "APPROVE", From="mallory@attack.example")
    await box.receives(first)
    before = len(await box.office.effects())
    for n in range(5):
        await box.receives(first + b"%d" % n)
        await box.receives(await box.reply(approval, f"APPROVE {n}", From="mallory@attack.example"))
    assert len(await box.office.effects()) == before
    assert await box.receives(await box.reply(approval, "APPROVE")) is Filing.PROCESSED


async def test_a_closed_question_is_not_asked_again(box: Box) -> None:
    """T48: when it is decided there is nothing left to protect."""
    approval = await box.office.asked()
    octets = await box.reply(approval, "APPROVE", From="mallory@attack.example")
    await box.office.votes(approval, by=BOB.email)
    before = len(await box.office.effects())
    await box.receives(octets)
    assert len(await box.office.effects()) == before


async def test_a_mail_older_than_its_question_decides_nothing(box: Box) -> None:
    """T47: by the mail server's clock, which may be a little behind ours; the reviewer is told."""
    approval = await box.office.asked()
    early = approval.opened_at - CLOCK_SKEW - timedelta(seconds=1)
    date = {"Date": "Tue, 3 Mar 2026 12:00:00 +0000"}
    assert await box.receives(await box.reply(approval, "APPROVE", **date), at=early) is Filing.QUARANTINE
    assert (await box.row()).reason == "older-than-question"
    (letter,) = await box.office.letters(Letter.UNCLEAR)
    assert letter.details["reason"] == "older-than-question"
    assert await box.office.state(approval) is State.OPEN
    slow = approval.opened_at - CLOCK_SKEW
    assert await box.receives(await box.reply(approval, "APPROVE", Date=""), at=slow) is Filing.PROCESSED
    assert await box.office.state(approval) is State.APPROVED


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"From": "Mallory <mallory@attack.example>"}, "wrong-sender"),
        ({"From": "Bob <bob@example.com>"}, "wrong-sender"),
        ({"From": "alice@example.com, mallory@attack.example"}, "several-addresses"),
        ({"From": '"alice@example.com" <mallory@attack.example>'}, "wrong-sender"),
        ({"From": "alice@example.com )<mallory@attack.example>"}, "malformed"),
        ({"From": "", "Sender": "alice@example.com"}, "no-from"),
        ({"From": "mallory@attack.example", "Reply-To": "alice@example.com"}, "wrong-sender"),
    ],
)
async def test_a_good_handle_from_somebody_else_decides_nothing(
    box: Box, changes: dict[str, str], reason: str
) -> None:
    """T10, T14, T44, T48: a leaked reply address is worth nothing without its reviewer's From."""
    approval = await box.office.asked()
    headers = {name.replace("-", "_"): value for name, value in changes.items()}
    assert await box.receives(await box.reply(approval, "APPROVE", **headers)) is Filing.QUARANTINE
    assert (await box.row()).reason == reason
    assert await box.office.state(approval) is State.OPEN
    assert not await box.office.letters(Letter.UNCLEAR)


async def test_a_reply_to_all_counts_for_who_wrote_it(box: Box) -> None:
    """T48: with two reviewers' addresses in it, in any order, it is the writer's vote and no alarm."""
    approval = await box.office.asked()
    bobs = await box.office.handle(approval, Purpose.REPLY, BOB.email)
    own = await box.office.handle(approval, Purpose.REPLY)
    both = f"approvals+{bobs}@example.com, approvals+{own}@example.com"
    assert await box.receives(await box.reply(approval, "APPROVE", To=both)) is Filing.PROCESSED
    assert (await box.office.approval(approval)).votes[0].by == ALICE.email
    assert not await box.office.letters(Letter.ALERT)


async def test_a_link_handle_is_no_reply_address(box: Box) -> None:
    """T06: purposes are never interchangeable."""
    approval = await box.office.asked()
    link = await box.office.handle(approval, Purpose.LINK)
    await box.receives(await box.reply(approval, "APPROVE", To=f"approvals+{link}@example.com"))
    assert (await box.row()).reason == "bad-token"
    assert await box.office.state(approval) is State.OPEN


@pytest.mark.parametrize(
    ("text", "changes", "filing", "reason"),
    [
        ("", {}, Filing.PROCESSED, "no-text"),
        ("I do not approve.", {}, Filing.PROCESSED, "no-verb"),
        ("APPROVE if legal agrees", {}, Filing.PROCESSED, None),
        ("<s>APPROVE</s>", {"Content_Type": "text/html"}, Filing.PROCESSED, "no-text"),
        ("APPROVE", {"Auto_Submitted": "auto-replied"}, Filing.PROCESSED, "automatic"),
        ("APPROVE", {"X_Autoreply": "yes"}, Filing.PROCESSED, "automatic"),
        ("--b\r\nbroken", {"Content_Type": "multipart/mixed; boundary=b"}, Filing.PROCESSED, None),
        ("APPROVE", {"Content_Type": "multipart/mixed"}, Filing.PROCESSED, None),
    ],
)
async def test_a_mail_that_says_no_decision_makes_none(
    box: Box, text: str, changes: dict[str, str], filing: Filing, reason: str | None
) -> None:
    """T21, T85: it is filed with a word, and the question stays open."""
    approval = await box.office.asked()
    assert await box.receives(await box.reply(approval, text, **changes)) is filing
    assert reason in {None, (await box.row()).reason}
    assert await box.office.state(approval) is State.OPEN


async def test_a_bounce_decides_nothing_and_is_not_answered(box: Box) -> None:
    """T74, T90: our own words come back in it, and no letter goes out."""
    approval = await box.office.asked()
    bounce = await box.reply(
        approval,
        "--b\r\nContent-Type: text/plain\r\n\r\nAPPROVE\r\n"
        "--b\r\nContent-Type: message/delivery-status\r\n\r\n"
        "Reporting-MTA: dns; mx.example.com\r\n\r\nFinal-Recipient: rfc822; alice@example.com\r\n"
        "Action: failed\r\nStatus: 5.1.1\r\n\r\n--b--",
        From="MAILER-DAEMON@example.com",
        Content_Type="multipart/report; report-type=delivery-status; boundary=b",
    )
    before = await box.office.effects()
    await box.receives(bounce)
    assert (await box.row()).reason == "bounce"
    alerts = await box.office.letters(Letter.ALERT)
    assert len(await box.office.effects()) == len(before) + len(alerts)
    assert {letter.to for letter in alerts} == {OPERATOR}
    assert await box.office.state(approval) is State.OPEN


def dsn(
    failed: str, returned: str = "", *, action: str = "failed", sender: str = "MAILER-DAEMON@x.example"
) -> bytes:
    """Write the bounce of a letter as mail servers do; `returned` is the letter's header."""
    return (
        f"From: {sender}\r\nTo: approvals@example.com\r\nSubject: Undelivered Mail Returned to Sender\r\n"
        "Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n"
        "--b\r\nContent-Type: text/plain\r\n\r\nAPPROVE\r\n"
        "--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example.com\r\n\r\n"
        f"Final-Recipient: rfc822; {failed}\r\nAction: {action}\r\nStatus: 5.1.1\r\n"
        "Diagnostic-Code: smtp; 550 5.1.1 no such\r\n user\r\n\r\n"
        f"--b\r\nContent-Type: text/rfc822-headers\r\n\r\n{returned}\r\n--b--\r\n"
    ).encode()


async def unreachable(box: Box) -> list[tuple[str, str, str]]:
    rows = await box.office.store.read(lambda tx: tx.unreachable())
    return [(row.reviewer, row.status, row.diagnostic) for row in rows]


async def test_a_bounce_marks_its_reviewer_until_a_mail_of_theirs_arrives(box: Box) -> None:
    """T90: operators are told once an episode; the question stays open and everybody is still asked."""
    approval = await box.office.asked()
    for address in ("ALICE@example.com", "a.lee@example.org"):
        await box.receives(dsn(address))
    assert await unreachable(box) == [(ALICE.email, "5.1.1", "550 5.1.1 no such user")]
    (alert,) = await box.office.letters(Letter.ALERT)
    assert alert.details["what"] == f"Letters to {ALICE.email} come back."
    assert (await box.office.approval(approval)) == approval
    shown = await box.office.store.read(lambda tx: overview.listing(tx, [State.OPEN], 10))
    assert "unreachable:  alice@example.com  5.1.1 550 5.1.1 no such user  since" in overview.listing_text(
        shown
    )
    told = await box.office.store.read(lambda tx: overview.story(tx, approval.id))
    assert "unreachable:  alice@example.com" in overview.story_text(told)

    await box.receives(await box.reply(approval, "What is this about?"))
    assert await unreachable(box) == []
    await box.receives(dsn(ALICE.email, "X: again"))
    assert len(await box.office.letters(Letter.ALERT)) == 2


async def test_a_bounce_from_elsewhere_is_known_by_the_letter_it_brings_back(box: Box) -> None:
    """T90: where a mailbox forwards to an address that nobody configured, our Message-ID says whose it is."""
    approval = await box.office.asked()
    handle = await box.office.handle(approval, Purpose.REPLY, BOB.email)
    await box.receives(dsn("bob@inner.example", f"Message-ID: <{handle}.ROW@example.com>"))
    assert [reviewer for reviewer, _, _ in await unreachable(box)] == [BOB.email]
    assert (await box.row()).approval == approval.id


@pytest.mark.parametrize(
    "octets",
    [
        dsn("stranger@example.com"),
        dsn("stranger@example.com", f"Message-ID: <{'a' * 42}.ROW@example.com>"),
        dsn(ALICE.email, action="delayed"),
        dsn(ALICE.email, action="delivered"),
        dsn(f"x {ALICE.email}"),
        dsn("").replace(b"Final-Recipient", b"Final-Recipien"),
    ],
)
async def test_what_says_nothing_about_a_reviewer_marks_nobody(box: Box, octets: bytes) -> None:
    """T90: strangers, forged handles, delays, deliveries and gibberish are filed, and that is all."""
    await box.office.asked()
    before = len(await box.office.effects())
    assert await box.receives(octets) is Filing.PROCESSED
    assert await unreachable(box) == []
    assert len(await box.office.effects()) == before


async def test_a_bounce_of_an_approved_mail_reaches_its_requester(box: Box) -> None:
    """T90: the id of the mail that comes back says which action it was; it is told once."""
    approval = await box.office.asked()
    await box.office.votes(approval)
    row = await box.office.in_flight(approval)
    await box.office.service.performed(row, Receipt(ReceiptStatus.DONE, "sent", {}))
    for uid in (1, 2):
        await box.receives(dsn("team@example.com", f"X-Copy: {uid}\r\nMessage-ID: <{row.id}@example.com>"))
    told = [
        letter for letter in await box.office.letters(Letter.OUTCOME) if letter.details["result"] == "bounced"
    ]
    assert [letter.to for letter in told] == [approval.requester]
    assert len(await box.office.letters(Letter.ALERT)) == 1


async def test_a_forged_bounce_does_no_more_than_mark(box: Box) -> None:
    """T90, T89: with all that a stranger can know it decides nothing, ends nothing, writes to nobody else."""
    approval = await box.office.asked()
    handle = await box.office.handle(approval, Purpose.REPLY)
    forged = dsn(ALICE.email, f"Message-ID: <{handle}.ROW@example.com>", sender=ALICE.email)
    await box.receives(forged.replace(b"To: approvals@", f"To: approvals+{handle}@".encode()))
    assert await box.office.approval(approval) == approval
    new = [effect for effect in await box.office.effects() if isinstance(effect, SendLetter)]
    assert [letter.to for letter in new if letter.letter is not Letter.ASK] == [OPERATOR]


async def test_a_mail_that_cannot_be_read_is_told_to_operators_once_a_day(tmp_path: Path) -> None:
    """T72: they hear of the first; a flood of others is counted by the quarantine."""
    reader = Reader(program="frail_child")
    async with open_office(tmp_path / "gateway.sqlite3") as office:
        box = Box(office, reader)
        for uid in range(1, 4):
            for _ in range(MAX_TRIES):
                await box.receives(KILL + b"%d" % uid, uid=uid)
        (alert,) = await office.letters(Letter.ALERT)
        assert "gateway quarantine list" in alert.details["next"]
        office.later(days=1)
        for _ in range(MAX_TRIES):
            await box.receives(KILL, uid=9)
        assert len(await office.letters(Letter.ALERT)) == 2
    await reader.close()


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        (b"", "no-token"),
        (b"\xff\xfe\x00garbage", "no-token"),
        (b"From: a@b.example\r\n\r\nAPPROVE\r\n", "no-token"),
        (b"To: approvals+" + b"a" * 42 + b"@example.com\r\n\r\nAPPROVE\r\n", "bad-token"),
        (b"From: ((((" * 2000 + b"\r\n\r\nAPPROVE\r\n", "no-token"),
        (b"To: " + b"approvals+" + b"a" * 42 + b"@x.example, " * 5000 + b"\r\n\r\nAPPROVE\r\n", None),
    ],
)
async def test_hostile_mail_is_put_aside(box: Box, octets: bytes | None, reason: str | None) -> None:
    """T45, T72, T73, T89: it lands in quarantine with a word, and nobody is written to."""
    before = len(await box.office.effects())
    assert await box.receives(octets) is Filing.QUARANTINE
    assert reason in {None, (await box.row()).reason}
    assert len(await box.office.effects()) == before


@pytest.mark.parametrize(("size", "reason"), [(10_000_000, "too-large"), (0, "unreadable")])
async def test_a_mail_without_octets_is_put_aside(box: Box, size: int, reason: str) -> None:
    """T73, F32: ten megabytes are never fetched, and what the server garbles is named so."""
    assert await box.receives(None, size=size) is Filing.QUARANTINE
    assert (await box.row()).reason == reason


async def test_the_same_octets_decide_once_wherever_they_lie(box: Box) -> None:
    """T47, F31, F40: a copy at another UID is filed like the first, and says nothing again."""
    approval = await box.office.asked()
    octets = await box.reply(approval, "APPROVE")
    for _ in range(5):
        assert await box.receives(octets) is Filing.PROCESSED
    assert (await box.row()).reason == "duplicate"
    resumes = [effect for effect in await box.office.effects() if isinstance(effect, ResumeGraph)]
    assert len(resumes) == 1


async def test_a_mail_seen_again_at_its_place_is_only_filed(box: Box) -> None:
    """F08: killed after the commit and before the filing, it is known by its UID."""
    approval = await box.office.asked()
    octets = await box.reply(approval, "APPROVE")
    await box.receives(octets)
    before = await box.office.fingerprint()
    assert await box.receives(octets, uid=1) is Filing.PROCESSED
    assert await box.office.fingerprint() == before


async def test_whoever_comes_second_is_told_who_decided(box: Box) -> None:
    """F41, F42: one kind letter in the same thread, and the decision stands."""
    approval = await box.office.asked()
    await box.office.votes(approval, by=BOB.email)
    await box.receives(await box.reply(approval, "REJECT"))
    assert [letter.to for letter in await box.office.letters(Letter.ALREADY_DECIDED)] == [ALICE.email]
    assert await box.office.state(approval) is State.APPROVED


async def test_an_unclear_mail_gets_help_but_never_a_storm(box: Box) -> None:
    """T74: one answer in ten minutes, three in all, each naming the line that was read."""
    approval = await box.office.asked()
    for n in range(10):
        await box.receives(await box.reply(approval, f"hm {n}"))
    (help_letter,) = await box.office.letters(Letter.UNCLEAR)
    assert help_letter.details["line"] == "hm 0"
    for n in range(10):
        box.office.later(minutes=11)
        await box.receives(await box.reply(approval, f"hmm {n}"))
    assert len(await box.office.letters(Letter.UNCLEAR)) == HELP_LIMIT


async def test_a_question_back_is_passed_on_and_confirmed(box: Box) -> None:
    """A mail that only asks is recorded, told to the requester, and confirmed to its writer."""
    approval = await box.office.asked()
    await box.receives(await box.reply(approval, "Who is on that list? I cannot tell from this."))
    letters = await box.office.letters(Letter.COMMENT)
    assert sorted(letter.to for letter in letters) == [ALICE.email, approval.requester]
    assert {letter.details["comment"] for letter in letters} == {
        "Who is on that list? I cannot tell from this."
    }
    assert await box.office.state(approval) is State.OPEN
    facts = await box.office.store.read(lambda tx: tx.facts_about(approval.id))
    assert [fact.kind for fact in facts][-1] == "Commented"


async def test_comments_without_end_are_confirmed_rarely(box: Box) -> None:
    """T74: whoever answers every letter of ours with new words gets few more of them."""
    approval = await box.office.asked()
    for n in range(10):
        await box.receives(await box.reply(approval, f"here is yet another thought, number {n}"))
    for n in range(10):
        await box.receives(await box.reply(approval, f"and here is one more of them, number {n}"))
    letters = [each.to for each in await box.office.letters(Letter.COMMENT)]
    assert (letters.count(ALICE.email), letters.count(approval.requester)) == (1, COMMENT_LIMIT)


async def test_that_it_is_decided_is_said_once_in_ten_minutes(box: Box) -> None:
    """T74: whoever, or whatever, keeps on deciding learns it again after a while, five times in all."""
    approval = await box.office.asked()
    await box.office.votes(approval, by=BOB.email)
    for n in range(10):
        await box.receives(await box.reply(approval, f"REJECT\r\n\r\n{n}"))
    assert len(await box.office.letters(Letter.ALREADY_DECIDED)) == 1
    for n in range(10):
        box.office.later(minutes=11)
        await box.receives(await box.reply(approval, f"REJECT\r\n\r\nagain {n}"))
    assert len(await box.office.letters(Letter.ALREADY_DECIDED)) == ANSWER_LIMIT


@pytest.mark.parametrize(
    "header",
    ["List-Id: <team.example.com>", "List-Unsubscribe: <x>", "Precedence: bulk", "Precedence: JUNK"],
)
async def test_a_mail_through_a_list_is_not_answered_and_may_decide(box: Box, header: str) -> None:
    """T74: a person may have written it, so that a clear word counts; an unclear one gets no help."""
    approval = await box.office.asked()
    name, _, value = header.partition(": ")
    marked = {name.replace("-", "_"): value}
    assert await box.receives(await box.reply(approval, "hm", **marked)) is Filing.PROCESSED
    assert not await box.office.letters(Letter.UNCLEAR)
    await box.receives(await box.reply(approval, "APPROVE", **marked))
    assert await box.office.state(approval) is State.APPROVED


@pytest.mark.parametrize(
    "changes",
    [
        {"From": "approvals@example.com"},
        {"From": "Approvals <Approvals+anything@example.com>"},
        {"X_Loop": "approvals@example.com"},
        {"X_Loop": "<approvals+x@example.com>"},
    ],
)
async def test_a_letter_of_ours_that_comes_back_is_filed_and_that_is_all(
    box: Box, changes: dict[str, str]
) -> None:
    """T74: from our own address, in any plus form, or with our own X-Loop, even APPROVE says nothing."""
    approval = await box.office.asked()
    before = len(await box.office.effects())
    assert await box.receives(await box.reply(approval, "APPROVE", **changes)) is Filing.PROCESSED
    assert (await box.row()).reason == "loop"
    assert await box.office.state(approval) is State.OPEN
    assert len(await box.office.effects()) == before


async def test_anothers_loop_mark_is_not_ours(box: Box) -> None:
    """X-Loop names whose loop it is."""
    approval = await box.office.asked()
    await box.receives(await box.reply(approval, "APPROVE", X_Loop="list@example.com"))
    assert await box.office.state(approval) is State.APPROVED


async def test_an_edit_by_reply_is_asked_again(box: Box) -> None:
    """MODIFY with field lines makes a new question that shows the difference."""
    approval = await box.office.asked()
    await box.receives(await box.reply(approval, "MODIFY\r\nsubject: Q1 figures"))
    changed = await box.office.approval(approval)
    assert changed.state is State.SUPERSEDED
    new = await box.office.store.read(lambda tx: tx.approval(str(changed.replaced_by)))
    assert new.items[0].action.parameters["subject"] == "Q1 figures"
    assert new.state is State.OPEN


@pytest.mark.parametrize("line", ["from: ceo@example.com", "subject: a", "to: not an address"])
async def test_an_edit_that_is_no_good_is_answered_with_its_problem(box: Box, line: str) -> None:
    """Unknown fields and bad values are named; nothing changes."""
    approval = await box.office.asked()
    text = f"MODIFY\r\n{line}\r\n{line}" if line.startswith("subject") else f"MODIFY\r\n{line}"
    await box.receives(await box.reply(approval, text))
    (letter,) = await box.office.letters(Letter.UNCLEAR)
    assert letter.details["problems"]
    assert await box.office.state(approval) is State.OPEN


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE approvals SET data = '{}' WHERE id = :id",
        "UPDATE threads SET facts = 0 WHERE id = (SELECT thread_id FROM approvals WHERE id = :id)",
    ],
    ids=["while it is read", "while it is recorded"],
)
async def test_a_mail_that_breaks_us_is_tried_three_times_and_put_aside(box: Box, damage: str) -> None:
    """T72: an approval whose rows are damaged breaks its replies; the mailbox goes on behind them."""
    broken = await box.office.asked()
    octets = await box.reply(broken, "APPROVE")
    await box.office.store.write(lambda tx: tx._execute(damage, {"id": broken.id}))
    filings = [await box.receives(octets, uid=7) for _ in range(MAX_TRIES)]
    assert filings == [Filing.LATER, Filing.LATER, Filing.QUARANTINE]
    whole = await box.office.asked(interrupt="interrupt-2")
    assert await box.receives(await box.reply(whole, "APPROVE")) is Filing.PROCESSED
    assert await box.office.state(whole) is State.APPROVED


@pytest.mark.parametrize("word", [KILL, HANG])
async def test_a_mail_that_breaks_its_reader_is_put_aside(tmp_path: Path, word: bytes) -> None:
    """T72, F45, F46: dead or hanging, it has three tries, and the mails behind each try are decided."""
    reader = Reader(program="frail_child", deadline=1)
    async with open_office(tmp_path / "gateway.sqlite3") as office:
        box = Box(office, reader)
        approval = await office.asked()
        octets = await box.reply(approval, word.decode())
        for n, filing in enumerate([Filing.LATER, Filing.LATER, Filing.QUARANTINE]):
            assert await box.receives(octets, uid=700) is filing
            behind = await office.asked(interrupt=f"behind-{n}")
            assert await box.receives(await box.reply(behind, "APPROVE")) is Filing.PROCESSED
            assert await office.state(behind) is State.APPROVED
        assert await office.state(approval) is State.OPEN
        row = await office.store.read(lambda tx: tx.inbound("approvals", "INBOX", 1, 700))
        assert row is not None
        assert (row.reason, row.tries, row.approval) == ("poison", MAX_TRIES, None)
    await reader.close()


async def test_without_a_reader_no_mail_is_blamed(tmp_path: Path) -> None:
    """F47: while no process can be started every mail keeps its turn, however often it is offered."""
    async with open_office(tmp_path / "gateway.sqlite3") as office:
        without = Reader(program="no.such.module")
        broken = Box(office, without)
        approval = await office.asked()
        octets = await broken.reply(approval, "APPROVE")
        for _ in range(MAX_TRIES + 1):
            with pytest.raises(ReaderUnavailableError):
                await broken.receives(octets, uid=7)
        reader = Reader()
        assert await Box(office, reader).receives(octets, uid=7) is Filing.PROCESSED
        await reader.close()
        await without.close()


async def test_a_full_disk_costs_no_mail_its_turn(box: Box) -> None:
    """F10: a fault of ours is no try at the mail; once there is room, the same reply decides."""
    approval = await box.office.asked()
    octets = await box.reply(approval, "APPROVE\r\n\r\n" + "> quoted\r\n" * 20_000)
    await box.office.store.write(lambda tx: tx._execute("PRAGMA max_page_count = 1", {}))
    for _ in range(MAX_TRIES + 1):
        with pytest.raises(StoreUnavailableError, match="full"):
            await box.receives(octets, uid=7)
    await box.office.store.write(lambda tx: tx._execute("PRAGMA max_page_count = 1000000", {}))
    assert await box.receives(octets, uid=7) is Filing.PROCESSED
    assert await box.office.state(approval) is State.APPROVED


async def test_the_kept_mail_has_no_live_handle(box: Box) -> None:
    """T33, T81: the evidence is kept with handles masked, beside the hash of the full octets."""
    approval = await box.office.asked()
    reply = await box.office.handle(approval, Purpose.REPLY)
    link = await box.office.handle(approval, Purpose.LINK)
    quoted = (
        f"APPROVE\r\n\r\n> https://gateway.example.com/a/{link}\r\n> mailto:approvals%2B{reply}@example.com"
    )
    await box.receives(await box.reply(approval, quoted))
    row = await box.row()
    assert row.octets is not None
    assert reply.encode() not in row.octets
    assert link.encode() not in row.octets
    assert row.sha256 is not None


@pytest.mark.parametrize("place", PLACES)
async def test_no_place_keeps_a_live_handle(box: Box, place: str) -> None:
    """T33, T81: wherever a handle is looked for, it is masked in what is kept."""
    approval = await box.office.asked()
    handle = await box.office.handle(approval, Purpose.REPLY)
    await box.receives(await carrying(box, approval, handle, place))
    octets = (await box.row()).octets
    assert octets is not None
    assert b"(handle)" in octets
    assert handle.encode() not in octets


async def test_a_decision_after_the_deadline_expires_the_question(box: Box) -> None:
    """A late yes is no yes; everybody is told that it expired."""
    approval = await box.office.asked()
    box.office.later(hours=25)
    await box.receives(await box.reply(approval, "APPROVE"))
    assert await box.office.state(approval) is State.EXPIRED
    assert len(await box.office.letters(Letter.EXPIRED)) == len(approval.reviewers) + 1


async def test_a_known_person_who_was_not_asked_has_no_handle(box: Box) -> None:
    """T48: using another reviewer's reply address is refused whoever tries."""
    approval = await box.office.asked()
    octets = await box.reply(approval, "APPROVE", From=BOB.email, handle_of=ALICE.email)
    assert await box.receives(octets) is Filing.QUARANTINE
    assert replace(approval) == await box.office.approval(approval)


async def test_a_verdict_for_each_verb(box: Box) -> None:
    """The reader's words are the core's words."""
    for verb, state in (("APPROVE", State.APPROVED), ("REJECT", State.REJECTED)):
        approval = await box.office.asked(interrupt=f"i-{verb}")
        await box.receives(await box.reply(approval, f"{verb}, thanks"))
        assert await box.office.state(approval) is state
        assert (await box.office.approval(approval)).votes[0].verdict in set(Verdict)
