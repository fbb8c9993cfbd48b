"""Mails made to hurt their reader, from a seed: MIME bombs, endless headers, and what broke parsers before.

None of them says anything that a person could mean by a decision.
"""

import base64
from collections.abc import Callable, Mapping
from random import Random

LARGEST = 1_900_000
"""Just under what the gateway fetches, so that the limits behind that one are met."""

_TEXT = b"no idea\r\n"
_ADDRESS = b"alice@example.com"


def poison(seed: int, count: int, reply_to: str, largest: int = LARGEST) -> list[bytes]:
    """Write `count` mails: every shape in turn, shuffled, the first of each as large as may be."""
    random = Random(seed)
    shapes = list(SHAPES.values())
    random.shuffle(shapes)
    mails = []
    for n in range(count):
        size = largest if n < len(shapes) else int(largest ** random.uniform(0.3, 0.95))
        mails.append(shapes[n % len(shapes)](random, size, reply_to.encode()))
    return mails


Shape = Callable[[Random, int, bytes], bytes]


def _mail(to: bytes, headers: bytes, body: bytes, sender: bytes = b"From: " + _ADDRESS) -> bytes:
    head = [sender, b"To: " + to, b"Subject: Re: Approve?", headers]
    return b"\r\n".join(filter(None, head)) + b"\r\n\r\n" + body


def _body(make: Callable[[Random, int], tuple[bytes, bytes]]) -> Shape:
    return lambda random, size, to: _mail(to, *make(random, size))


def _sender(make: Callable[[Random, int], bytes]) -> Shape:
    return lambda random, size, to: _mail(to, b"", _TEXT, make(random, size))


def _repeated(headers: bytes, unit: bytes, start: bytes = b"", end: bytes = b"") -> Shape:
    """Fill the body with one thing, up to the size."""
    return _body(lambda _, size: (headers, start + unit * (size // len(unit)) + end))


def _in_header(name: bytes, unit: bytes, most: int = LARGEST, start: bytes = b"") -> Shape:
    return lambda _, size, to: _mail(to, name + b": " + start + unit * (min(size, most) // len(unit)), _TEXT)


def _nested(kind: bytes, headers: bytes) -> Shape:
    def make(_: Random, size: int) -> tuple[bytes, bytes]:
        level = len(kind) + len(headers) + 24
        depth = min(size // level, 3000)
        parts = [
            b"--b%d\r\n" % n + headers.replace(b"%d", b"%d" % (n + 1)) + b"\r\n\r\n" for n in range(depth)
        ]
        return headers.replace(b"%d", b"0"), b"".join(parts) + _TEXT

    return _body(make)


def _mutated(random: Random, size: int, to: bytes) -> bytes:
    """Take a whole mail and damage it, as forty thousand were that the standard library raised for."""
    mail = bytearray(
        _mail(
            to,
            b'Content-Type: multipart/mixed; boundary="b"\r\nDate: Mon, 2 Mar 2026 09:30:00 +0000\r\n'
            b"Message-ID: <x@example.com>\r\nMIME-Version: 1.0\r\nReferences: <a@b> <c@d>",
            b"--b\r\nContent-Type: text/plain; charset*=utf-8''utf%2D8; format=flowed\r\n"
            b"Content-Transfer-Encoding: quoted-printable\r\n\r\nno =E2=80=AE idea\r\n"
            b"--b\r\nContent-Type: text/html\r\n\r\n<p>no <b>idea</b></p>\r\n--b--\r\n",
        )
    )
    for _ in range(random.randint(1, 40)):
        place = random.randrange(len(mail))
        match random.randrange(3):
            case 0:
                mail[place] = random.randrange(256)
            case 1:
                del mail[place : place + random.randrange(30)]
            case _:
                mail[place:place] = random.choice(_SNIPPETS)
    return bytes(mail)


_SNIPPETS = [
    *(b"\x00", b"\r", b"\n", b"\r\n\r\n", b"\r\n ", b"\xff\xfe", b"=?utf-8?q?=0aBcc:_x?=", b"=?x?b?====?="),
    *(b'"', b"((((", b"<<<<", b";;;;", b"--b\r\n", b"--b--", b"Content-Type: message/rfc822\r\n\r\n", b"\\"),
    *(b"charset=idna", b"charset=undefined", b"Content-Transfer-Encoding: base64\r\n", b"[[[[", b"a@b,c@d"),
    b"Content-Type: text/plain; charset*0*=''%;charset*1=x\r\n",
]
_CHARSETS = (
    *(b"idna", b"punycode", b"undefined", b"rot13", b"hex", b"utf-7", b"utf-16", b"zlib", b"unicode_escape"),
    *(b"a\x00b", b'""', b"x" * 3000, b"mbcs", b"base64", b"utf-8-sig", b"raw_unicode_escape", b"big5hkscs"),
)
_FROMS = (
    *(
        b"From: alice@example.com\r\nFrom: b@attack.example",
        b" From: alice@example.com",
        b"From : alice@example.com",
    ),
    *(
        b"From\r\n : alice@example.com",
        b"From: alice@example.com, b@attack.example",
        b"From: x:alice@example.com;;",
    ),
    *(b"From: <@a,@b:alice@example.com>", b"From: =?utf-8?q?alice=40example=2Ecom?=", b"From:", b""),
    *(
        b"From: alice@example.com )<b@attack.example>",
        b"From: (a@b) alice@example.com",
        b"From: alice@example.com\x00",
    ),
    *(
        b'From: "alice@example.com"@attack.example',
        b"From: alice@example.com\rX: y",
        b"From: alice@[127.0.0.1]",
    ),
    *(
        b"From: alice@example.com.",
        b"From: alice\xef\xbc\xa0example.com",
        b"From: alice@example.com\\,<b@attack.example>",
    ),
    *(
        b"From: <b@attack.example>alice@example.com",
        b"Sender: alice@example.com",
        b"Resent-From: alice@example.com",
    ),
)

HTML, TEXT, MIXED = (
    b"Content-Type: text/html",
    b"Content-Type: text/plain; charset=utf-8",
    b"Content-Type: multipart/mixed; boundary=b",
)

SHAPES: Mapping[str, Shape] = {
    "many parts": _repeated(MIXED, b"--b\r\n\r\nx\r\n"),
    "many small parts": _repeated(MIXED, b"--b\r\n"),
    "delimiters of nothing": _repeated(TEXT, b"--\r\n"),
    "fifty parts": _body(lambda _, size: (MIXED, (b"--b\r\n\r\n" + b"x" * (size // 51) + b"\r\n") * 50)),
    "nested parts": _nested(b"multipart", b"Content-Type: multipart/mixed; boundary=b%d"),
    "ten levels": _body(
        lambda _, size: (
            b"Content-Type: multipart/mixed; boundary=b0",
            b"".join(
                b"--b%d\r\nContent-Type: multipart/mixed; boundary=b%d\r\n\r\n" % (n, n + 1)
                for n in range(10)
            )
            + b"--b10\r\n\r\n"
            + b"x " * (size // 2),
        )
    ),
    "attached in attached": _nested(b"message", b"Content-Type: message/rfc822"),
    "bare returns": _repeated(TEXT, b"\r"),
    "bare returns in parts": _repeated(MIXED, b"\r", b"--b\r\n\r\n"),
    "bare line feeds": _repeated(TEXT, b"\n"),
    "one line": _repeated(TEXT, b"x"),
    "one line of blanks": _repeated(TEXT, b" ", b"no", b"idea"),
    "one line of words": _repeated(TEXT, b"no idea "),
    "tabs": _repeated(TEXT, b"\t\r\n"),
    "quoted": _repeated(TEXT, b"> "),
    "quoted lines": _repeated(TEXT, b"> x\r\n"),
    "attributions": _repeated(TEXT, b"On Monday, x wrote:\r\n"),
    "attributions of quotes": _repeated(TEXT, b"On Monday, x wrote:\r\n\r\n> y\r\n"),
    "quotes and answers": _repeated(TEXT, b"> x\r\ny\r\n\r\n"),
    "header blocks": _repeated(TEXT, b"From: x\r\nSent: Monday\r\nTo: y\r\nSubject: z\r\n\r\n"),
    "halves of header blocks": _repeated(TEXT, b"From: x\r\n\r\n"),
    "originals": _repeated(TEXT, b"-----Original Message-----\r\n"),
    "forwards": _repeated(TEXT, b"---------- Forwarded message ---------\r\n"),
    "rules": _repeated(TEXT, b"____________\r\n\r\n\r\n"),
    "a rule over nothing": _repeated(TEXT, b"\r\n", b"no idea\r\n____________\r\n"),
    "signatures": _repeated(TEXT, b"-- \r\nAlice\r\n"),
    "farewells": _repeated(TEXT, b"Kind regards\r\n\r\n"),
    "devices": _repeated(TEXT, b"Sent from my phone\r\n\r\n"),
    "notices": _repeated(TEXT, b"CONFIDENTIALITY NOTICE: this message\r\n\r\n"),
    "list footers": _repeated(TEXT, b"_____________\r\nteam mailing list\r\n\r\n"),
    "fields": _repeated(TEXT, b"subject: x\r\n", b"MODIFY if you like\r\n"),
    "flowed": _repeated(b"Content-Type: text/plain; format=flowed", b"x \r\n"),
    "flowed and shortened": _repeated(b"Content-Type: text/plain; format=flowed; delsp=yes", b"x  \r\n"),
    "zero width": _repeated(TEXT, "\u200b".encode()),
    "combining": _repeated(TEXT, "\u0301".encode(), b"a"),
    "expanding": _repeated(TEXT, "\ufdfa".encode()),
    "not that charset": _body(
        lambda random, size: (
            b"Content-Type: text/plain; charset=" + random.choice(_CHARSETS),
            random.randbytes(min(size, 100_000)),
        )
    ),
    "slow charset": _repeated(b"Content-Type: text/plain; charset=punycode", b"a-"),
    "shifting charset": _repeated(b"Content-Type: text/plain; charset=iso-2022-jp", b"\x1b$B!!\x1b(B"),
    "bad base64": _repeated(TEXT + b"\r\nContent-Transfer-Encoding: base64", b"=A=\r\n"),
    "base64 of blanks": _body(
        lambda _, size: (
            TEXT + b"\r\nContent-Transfer-Encoding: base64",
            base64.b64encode(b" " * (size * 3 // 4)),
        )
    ),
    "bad quoted-printable": _repeated(TEXT + b"\r\nContent-Transfer-Encoding: quoted-printable", b"=\r\n="),
    "uuencoded": _repeated(
        TEXT + b"\r\nContent-Transfer-Encoding: x-uuencode", b"M" * 60 + b"\r\n", b"begin 644 x\r\n"
    ),
    "deep html": _repeated(HTML, b"<div>"),
    "html without end": _repeated(HTML, b"<"),
    "html comments": _repeated(HTML, b"<!--"),
    "html declarations": _repeated(HTML, b"<![CDATA["),
    "html attributes": _repeated(HTML, b" a='", b"<p"),
    "html entities": _repeated(HTML, b"&#x110000;&amp"),
    "html end tags": _repeated(HTML, b"</p"),
    "html hidden": _repeated(HTML, b"<p style='display:none'>x"),
    "html quotes": _repeated(HTML, b"<blockquote>x"),
    "html scripts": _repeated(HTML, b"<script>"),
    "html tables": _repeated(HTML, b"<table><tr><td>x"),
    "text and html": _body(
        lambda _, size: (
            b"Content-Type: multipart/alternative; boundary=b",
            b"--b\r\nContent-Type: text/plain\r\n\r\n"
            + b"no idea\r\n" * (min(size, 390_000) // 9)
            + b"--b\r\nContent-Type: text/html\r\n\r\n"
            + b"<p>no idea" * (min(size, 390_000) // 10),
        )
    ),
    "no boundary": _repeated(b"Content-Type: multipart/mixed", b"--\r\nx\r\n"),
    "long boundary": _body(
        lambda _, size: (
            b"Content-Type: multipart/mixed; boundary=" + b"b" * 5000,
            (b"--" + b"b" * 5000 + b"\r\n") * (size // 5004),
        )
    ),
    "nearly the boundary": _repeated(MIXED, b"--b\x00\r\n-- b\r\n--bb\r\n"),
    "same boundary inside": _repeated(MIXED, b"--b\r\n" + MIXED + b"\r\n\r\n"),
    "one of many": _repeated(b"Content-Type: message/partial; id=x; number=1; total=99999", b"x\r\n"),
    "elsewhere": _repeated(
        b"Content-Type: message/external-body; access-type=URL; URL=http://127.0.0.1/", b"x\r\n"
    ),
    "delivery status": _repeated(
        b"Content-Type: multipart/report; report-type=delivery-status; boundary=b",
        b"Final-Recipient: rfc822; x@example.com\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\n",
        b"--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; x\r\n\r\n",
    ),
    "delivery statuses": _repeated(MIXED, b"--b\r\nContent-Type: message/delivery-status\r\n\r\nx: y\r\n"),
    "encrypted": _repeated(b"Content-Type: multipart/encrypted; boundary=b", b"--b\r\n\r\nx\r\n"),
    "winmail": _repeated(b"Content-Type: application/ms-tnef; name=winmail.dat", b"\x78\x9f\x3e\x22"),
    "calendar": _repeated(b"Content-Type: text/calendar; method=REPLY", b"BEGIN:VEVENT\r\n"),
    "wide": _repeated(b"Content-Type: text/plain; charset=utf-16", b"a\x00\r\x00\n\x00", b"\xff\xfe"),
    "no header": lambda _, size, __: b"\r\n" + b"x" * size,
    "only header": lambda _, size, to: b"To: " + to + b"\r\n" + b"X: y\r\n" * (min(size, 60_000) // 6),
    "nothing": lambda _, __, ___: b"",
    "zeros": lambda _, size, __: b"\x00" * size,
    "noise": lambda random, size, __: random.randbytes(size),
    "mailbox file": lambda _, size, to: (
        b"From alice Mon Mar  2 09:30:00 2026\n" + _mail(to, TEXT, b"\nFrom x\n" * (size // 8))
    ),
    "long header": _in_header(b"X-Long", b"x", 70_000),
    "long enough header": _in_header(b"X-Long", b"x ", 60_000),
    "many header lines": _in_header(b"X", b"\r\nX: y"),
    "folded header": _in_header(b"X", b"\r\n y", 60_000),
    "header of blanks": _in_header(b"Content-Type", b" ", 60_000, b"text/plain; charset="),
    "header parameters": _in_header(b"Content-Type", b";a=b", 60_000, b"text/plain"),
    "split parameters": _in_header(b"Content-Type", b";a*1*=''b", 60_000, b"text/plain"),
    "quotes in header": _in_header(b"Content-Type", b'"\\', 60_000, b"text/plain; charset="),
    "encoded words": _in_header(b"Subject", b"=?utf-8?q?=41?= ", 60_000),
    "encoded halves": _in_header(b"Subject", b"=?utf-8?b?", 60_000),
    "references": _in_header(b"References", b"<a@b> "),
    "our ids": _in_header(b"In-Reply-To", b"<" + b"a" * 42 + b".x@y> ", 60_000),
    "our addresses": _in_header(b"Cc", b"a+" + b"a" * 42 + b"@y, ", 60_000),
    "nearly our ids": _in_header(b"In-Reply-To", b"<" + b"a" * 41, 60_000),
    "our handles": _repeated(TEXT, b"ref: " + b"a" * 42 + b"\r\n"),
    "nearly our handles": _repeated(TEXT, b"+" + b"a" * 41),
    "broken handles": _repeated(TEXT, b"+" + b"a=\r\n" * 41),
    "failed recipients": _in_header(b"X-Failed-Recipients", b"x@example.com,", 60_000),
    "message ids": _repeated(TEXT, b"Message-ID:     <" + b"a" * 42 + b"\r\n"),
    "odd date": _in_header(b"Date", b"+9999 ", 60_000),
    "odd id": _in_header(b"Message-ID", b"[", 60_000),
    "odd sender": _sender(lambda random, _: random.choice(_FROMS)),
    "sender of parentheses": _sender(lambda _, size: b"From: " + b"(" * min(size, 60_000)),
    "sender of brackets": _sender(lambda _, size: b"From: " + b"<" * min(size, 60_000)),
    "sender of quotes": _sender(lambda _, size: b"From: " + b'"\\' * min(size // 2, 30_000)),
    "sender of commas": _sender(lambda _, size: b"From: " + b"a@b," * min(size // 4, 15_000)),
    "sender of dots": _sender(lambda _, size: b"From: " + b"a." * min(size // 2, 30_000) + b"@x"),
    "sender of senders": _sender(lambda _, size: b"From: a@b\r\n" * min(size // 11, 5_000) + b"From: a@b"),
    "damaged": _mutated,
    "damaged again": _mutated,
    "damaged once more": _mutated,
}
