"""Bounces: whom a delivery report says that a mail did not reach."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core import bounce, gist
from gateway.core.bounce import Failure, failed_recipients

REPLIES = Path(__file__).parent / "replies"
DANA = "dana.petrova@example.com"


def report(
    *groups: str, kind: str = "message/delivery-status", encoding: str = "7bit", **header: str
) -> bytes:
    lines = (
        "From: MAILER-DAEMON@mx.example.com",
        *(f"{name.replace('_', '-')}: {value}" for name, value in header.items()),
        "Content-Type: multipart/report; report-type=delivery-status; boundary=b",
        "",
        "--b",
        "",
        "<eve@example.com> could not be reached.",
        "--b",
        f"Content-Type: {kind}",
        f"Content-Transfer-Encoding: {encoding}",
        "",
        "\n\n".join(groups).replace("\n", "\r\n"),
        "--b--",
        "",
    )
    return "\r\n".join(lines).encode()


def recipient(address: str = DANA, action: str = "failed", status: str = "5.1.1") -> str:
    return f"Final-Recipient: rfc822; {address}\nAction: {action}\nStatus: {status}"


MTA = "Reporting-MTA: dns; mx.example.com"


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("46-bounce", "5.1.1"),
        ("520-postfix-bounce", "5.1.1"),
        ("521-exim-bounce", None),
        ("522-exchange-ndr", "5.1.10"),
        ("523-gmail-bounce", "5.1.1"),
        ("525-sendmail-bounce", "5.2.2"),
        ("526-amazon-ses-bounce", "5.1.1"),
    ],
)
def test_bounce_names_whom_it_did_not_reach(name: str, status: str | None) -> None:
    """T90: the reports of the servers in use give the address, and why where they say so."""
    (failure,) = failed_recipients((REPLIES / f"{name}.eml").read_bytes())
    assert (failure.address, failure.status) == (DANA, status)


@pytest.mark.parametrize(
    "name",
    [
        "01-gmail-top",
        "300-exchange-english",
        "510-boxbe-challenge",
        "524-qmail-bounce",
        "527-postfix-delayed",
        "528-exim-delayed",
        "534-partly-relayed-success",
        "540-outlook-read-receipt",
        "548-arf-complaint",
    ],
)
def test_what_is_no_failure_makes_nobody_unreachable(name: str) -> None:
    """T90: delays, successes, receipts, complaints, people's mails and text for people name nobody."""
    assert failed_recipients((REPLIES / f"{name}.eml").read_bytes()) == ()


def test_each_recipient_has_its_own_outcome() -> None:
    """Of several recipients only those count that were given up, each once."""
    mail = report(
        MTA,
        recipient("ada@example.com"),
        recipient("bob@example.com", "delayed", "4.4.1"),
        recipient("carol@example.com", "relayed", "2.1.9"),
        recipient("dan@example.com", "Failed", "4.4.7 (gave up)"),
        recipient("ada@example.com"),
    )
    assert failed_recipients(mail) == (
        Failure("ada@example.com", "5.1.1"),
        Failure("dan@example.com", "4.4.7"),
    )


@pytest.mark.parametrize(
    ("group", "found"),
    [
        (f"Original-Recipient: rfc822;{DANA}\n{recipient('x@mail.example.net')}", DANA),
        (f"Original-Recipient: x400; c=de\n{recipient()}", DANA),
        (recipient(f"<{DANA}>"), DANA),
        (f"Original-Recipient: <{DANA}>\nAction: failed", DANA),
        (f"Action: failed\nFinal-Recipient: RFC822;\n {DANA}\nStatus: 5.0.0", DANA),
        (recipient(status="2.0.0"), None),
        (recipient(status="unknown"), None),
        (recipient("not an address"), None),
        (f"Final-Recipient: x-unix; {DANA}\nAction: failed\nStatus: 5.1.1", None),
        (f"Final-Recipient: rfc822; {DANA}\nStatus: 5.1.1", None),
    ],
)
def test_fields_of_a_recipient(group: str, found: str | None) -> None:
    """T90: the address that we sent to goes before the one it was sent on to; doubtful fields name nobody."""
    assert [failure.address for failure in failed_recipients(report(MTA, group))] == (
        [found] if found else []
    )


@pytest.mark.parametrize("encoding", ["8bit", "quoted-printable"])
def test_internationalized_report(encoding: str) -> None:
    """The report of RFC 6533 is read as well, encoded or not."""
    group = recipient().replace("rfc822", "utf-8")
    mail = report(MTA, group, kind="message/global-delivery-status", encoding=encoding)
    assert failed_recipients(mail) == (Failure(DANA, "5.1.1"),)


def test_returned_bounce_is_not_ours() -> None:
    """T90: a report inside a mail that somebody attached tells of that mail, not of ours."""
    inner = report(MTA, recipient()).decode()
    attached = f"--o\r\nContent-Type: message/rfc822\r\n\r\n{inner}\r\n--o--"
    outer = f"Content-Type: multipart/mixed; boundary=o\r\n\r\n{attached}"
    assert failed_recipients(outer.encode()) == ()


def test_the_mail_that_comes_back_is_named() -> None:
    """T90: an approved mail carries no handle; the id of its outbox row says which one it was."""
    row = "abcdefghij234567"
    returned = f"--b\r\nContent-Type: text/rfc822-headers\r\n\r\nMessage-ID: <{row}@example.com>\r\n"
    mail = report(MTA, recipient()).replace(b"--b--", f"{returned}--b--".encode())
    assert gist.survey(mail).sent == (row,)
    assert gist.survey(mail.replace(b"failed", b"delayed")).sent == ()


@pytest.mark.parametrize(
    ("subject", "found"),
    [
        ("Mail delivery failed: returning message to sender", 2),
        ("Delivery Status Notification (Delay)", 0),
        ("Warning: message 1tp6Kc-0001Ab-2x delayed 24 hours", 0),
    ],
)
def test_header_of_exim(subject: str, found: int) -> None:
    """Where there is no report the header counts, but not on a warning."""
    mail = f"Subject: {subject}\r\nX-Failed-Recipients: {DANA},\r\n bob@example.com, nobody\r\n\r\n"
    assert len(failed_recipients(mail.encode())) == found


def test_report_goes_before_the_header() -> None:
    """Gmail puts the header on its delays, too; their report says what they are."""
    mail = report(MTA, recipient(action="delayed", status="4.4.1"), X_Failed_Recipients=DANA)
    assert failed_recipients(mail) == ()


def test_failures_are_capped() -> None:
    """T72: a report of a thousand recipients costs no more than one of fifty."""
    mail = report(MTA, *(recipient(f"a{number}@example.com") for number in range(1000)))
    assert len(failed_recipients(mail)) == bounce.MAX_FAILURES


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"X-Long: " + b"x" * 70_000,
        report(MTA, recipient()) + b"x" * 3_000_000,
        report("x" * 70_000, recipient()),
        report(MTA, recipient(), encoding="base64"),
    ],
)
def test_poison_names_nobody(raw: bytes) -> None:
    """T72: a mail beyond the limits, or whose report does not decode, is no error and names nobody."""
    assert failed_recipients(raw) == ()


@given(st.sampled_from(sorted(REPLIES.glob("5[12]*.eml"))), st.data())
def test_damage_never_raises(path: Path, data: st.DataObject) -> None:
    """T72: a report with bytes lost or overwritten is read as far as it goes."""
    raw = bytearray(path.read_bytes())
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at : at + data.draw(st.integers(0, 40))] = data.draw(st.binary(max_size=8))
    assert len(failed_recipients(bytes(raw))) <= 1
