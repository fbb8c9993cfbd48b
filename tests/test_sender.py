"""Who wrote a mail: one From line, one plain address, or nobody."""

import email
from email import policy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.sender import Sender, Why, identify


def mail(*header: str | bytes) -> bytes:
    lines = (line.encode() if isinstance(line, str) else line for line in header)
    return b"\r\n".join((*lines, b"Subject: Re: Approve?", b"", b"APPROVE", b""))


@pytest.mark.parametrize(
    ("line", "address"),
    [
        ("From: dana@example.com", "dana@example.com"),
        ("From: <dana@example.com>", "dana@example.com"),
        ("From: Dana Petrova <dana@example.com>", "dana@example.com"),
        ("FROM:Dana J. Petrova <Dana.Petrova+work@Mail.Example.COM> ", "Dana.Petrova+work@Mail.Example.COM"),
        ('From: "Petrova, Dana (Finance) <x@y>" <dana@example.com>', "dana@example.com"),
        ("From: =?utf-8?q?Dana_=3Cadmin=40example=2Ecom=3E?=\r\n <dana@example.com>", "dana@example.com"),
        ("From: Dána <dana@example.com>", "dana@example.com"),
    ],
)
def test_plain_address_is_the_sender(line: str, address: str) -> None:
    """One From line with one plain address names the sender as written, whatever the display name says."""
    assert identify(mail(line)) == Sender(address, Why.ONE_ADDRESS)


@pytest.mark.parametrize(
    ("header", "why"),
    [
        (["To: dana@example.com"], Why.NO_FROM),
        (
            ["Sender: dana@example.com", "Reply-To: dana@example.com", "Resent-From: dana@example.com"],
            Why.NO_FROM,
        ),
        (["From: eve@example.net", "From: dana@example.com"], Why.SEVERAL_FROM),
        (["From: eve@example.net", "fRoM: dana@example.com"], Why.SEVERAL_FROM),
        (["From: eve@example.net, dana@example.com"], Why.SEVERAL_ADDRESSES),
        (['From: "Eve, E" <eve@example.net>, <dana@example.com>'], Why.SEVERAL_ADDRESSES),
        (["From: <eve@example.net> <dana@example.com>"], Why.MALFORMED),
        (["From: dana@example.com <eve@example.net>"], Why.MALFORMED),
        (["From: dana@example.com (Dana)"], Why.MALFORMED),
        (["From: <dana@example.com(.example.net)>"], Why.MALFORMED),
        (["From: Team: dana@example.com, eve@example.net;"], Why.SEVERAL_ADDRESSES),
        (["From: Team: dana@example.com;"], Why.MALFORMED),
        (["From: <@example.net:dana@example.com>"], Why.MALFORMED),
        (["From: =?utf-8?q?dana=40example=2Ecom?="], Why.MALFORMED),
        (["From: <=?utf-8?q?dana?=@example.com>"], Why.MALFORMED),
        (["From: dana @ example.com"], Why.MALFORMED),
        (["From: dana.@example.com"], Why.MALFORMED),
        (['From: "dana"@example.com'], Why.MALFORMED),
        (["From: dana@[127.0.0.1]"], Why.MALFORMED),
        (["From: dana@example.com'.example.net"], Why.MALFORMED),
        (["From: dana@example.com\\,eve@example.net"], Why.SEVERAL_ADDRESSES),
        (["From: dana@ex\u0430mple.com"], Why.MALFORMED),
        (["From: "], Why.MALFORMED),
        (["From : dana@example.com"], Why.MALFORMED),
        ([b"From: dana@example.com\x00"], Why.MALFORMED),
        ([b"From: D\xe1na <dana@example.com>"], Why.MALFORMED),
        ([b"X-One: 1\rFrom: dana@example.com", "From: eve@example.net"], Why.MALFORMED),
        (["X-One: 1", " \t", "From: dana@example.com"], Why.MALFORMED),
        (["From dana@example.com Tue Mar  3 09:20:02 2026", "From: dana@example.com"], Why.MALFORMED),
        (["From: dana@" + "a" * 64 + ".example"], Why.MALFORMED),
        (["From: " + "a" * 65 + "@example.com"], Why.MALFORMED),
        (["X-Long: " + "x" * 70_000, "From: dana@example.com"], Why.MALFORMED),
    ],
)
def test_anything_else_is_nobody(header: list[str | bytes], why: Why) -> None:
    """T14, T44, T45: From lines that programs could read in two ways, and every other header, name nobody."""
    assert identify(mail(*header)) == Sender(None, why)


def test_from_in_the_body_is_not_read() -> None:
    """A From line below the header is text."""
    assert identify(b"To: a@example.com\r\n\r\nFrom: dana@example.com\r\n") == Sender(None, Why.NO_FROM)


PIECES = st.sampled_from(
    [
        *(
            "dana@example.com",
            "eve@example.net",
            "<",
            ">",
            ",",
            ";",
            ":",
            "(",
            ")",
            '"',
            "\\",
            " ",
            "\t",
            "@",
            ".",
        ),
        *(
            "Dana",
            "=?utf-8?q?dana=40example=2Ecom?=",
            "\r\n ",
            "\r\n",
            "From: ",
            "Sender: ",
            "\r",
            "\n",
            "\x00",
            "é",
        ),
    ]
)


@given(st.lists(PIECES, max_size=12))
def test_the_standard_library_never_disagrees(pieces: list[str]) -> None:
    """T14: where an address is named, the standard library's parser reads the same one and no other."""
    raw = mail("From: " + "".join(pieces))
    named = identify(raw).address
    if named is None:
        return
    lines = email.message_from_bytes(raw, policy=policy.default).get_all("from", [])
    assert [[address.addr_spec for address in line.addresses] for line in lines] == [[named]]


@given(st.binary(max_size=300))
def test_no_bytes_raise(raw: bytes) -> None:
    """T72: whatever the bytes are, there is an answer."""
    assert identify(raw).why in Why
