"""Mails damaged on purpose: any damage at all, and changes on the way that leave what is said as it is."""

import base64
import quopri
import re
from collections.abc import Callable
from email import message_from_bytes
from email.message import Message
from email.policy import compat32
from random import Random

TOKENS = (
    *(
        b"\x00",
        b"\r",
        b"\n",
        b"\r\n\r\n",
        b"\r\n ",
        b"\xff\xfe",
        b"\xef\xbb\xbf",
        b"\xe2\x80\xae",
        b"\xe2\x80\x8b",
    ),
    *(
        b"=\r\n",
        b"=0A",
        b"=3D",
        b"&#10;",
        b"<br>",
        b"<!--",
        b"-->",
        b"<s>",
        b"</s>",
        b"<blockquote>",
        b"<div hidden>",
    ),
    *(
        b"> ",
        b"-- \r\n",
        b"--\r\n",
        b"APPROVE\r\n",
        b"REJECT\r\n",
        b"MODIFY\r\n",
        b"not ",
        b" if ",
        b"?",
        b"\r\n>",
    ),
    *(b"--b\r\n", b"--b--\r\n", b"Content-Type: text/plain\r\n\r\n", b"Content-Type: text/html\r\n\r\n"),
    *(b"Content-Type: multipart/alternative; boundary=b\r\n", b"Content-Type: message/rfc822\r\n\r\n"),
    *(
        b"Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n",
        b"Auto-Submitted: no\r\n",
    ),
    *(
        b"Content-Disposition: attachment\r\n",
        b"Content-Disposition: inline; filename=a\r\n",
        b"format=flowed; delsp=yes",
    ),
    *(
        b"Content-Transfer-Encoding: base64\r\n",
        b"Content-Transfer-Encoding: quoted-printable\r\n",
        b"8bit",
        b"x-uuencode",
    ),
    *(
        b"charset=utf-16",
        b"charset=utf-7",
        b"charset=iso-2022-jp",
        b"charset=idna",
        b"charset=undefined",
        b"charset=x",
    ),
    *(
        b"=?utf-8?q?=0a?=",
        b"=?x?b?====?=",
        b'"',
        b"((((",
        b"<<<<",
        b";;;;",
        b"[[[[",
        b"\\",
        b"On 3 March 2026 Bob wrote:\r\n",
    ),
)
_HEADER_NAME = re.compile(rb"^[\x21-\x39\x3b-\x7e]+:", re.MULTILINE)
_CHARSETS = (
    b"utf-8",
    b"us-ascii",
    b"iso-8859-1",
    b"windows-1252",
    b"utf-16",
    b"koi8-r",
    b"iso-2022-jp",
    b"big5",
    b"nonsense",
)
_ENCODINGS = (b"7bit", b"8bit", b"base64", b"quoted-printable", b"binary", b"x-uuencode", b"nonsense")
_TRUNCATION = 64

Change = Callable[[Random, bytes, bytes], bytes]


def damaged(seed: int, mail: bytes, other: bytes) -> bytes:
    """Damage a mail one to four times; `other` is a mail that it may be spliced with."""
    random = Random(seed)
    for _ in range(random.choice((1, 1, 2, 4))):
        mail = random.choice(DAMAGES)(random, mail, other)
    return mail


def _at(random: Random, mail: bytes) -> int:
    return random.randrange(len(mail) + 1)


def _flipped(random: Random, mail: bytes, _: bytes) -> bytes:
    at = _at(random, mail)
    return mail[:at] + bytes(each ^ 1 << random.randrange(8) for each in mail[at : at + 1]) + mail[at + 1 :]


def _overwritten(random: Random, mail: bytes, _: bytes) -> bytes:
    at, length = _at(random, mail), random.randrange(1, 40)
    return mail[:at] + random.randbytes(random.randrange(length + 1)) + mail[at + length :]


def _shortened(random: Random, mail: bytes, _: bytes) -> bytes:
    at = _at(random, mail)
    return mail[:at] + mail[at + random.randrange(1, 400) :]


def _repeated(random: Random, mail: bytes, _: bytes) -> bytes:
    at = _at(random, mail)
    return mail[:at] + mail[at : at + random.randrange(1, 400)] * random.randrange(2, 4) + mail[at:]


def _truncated(random: Random, mail: bytes, _: bytes) -> bytes:
    return mail[: random.randrange(len(mail) // _TRUNCATION + 1) * _TRUNCATION]


def _spliced(random: Random, mail: bytes, other: bytes) -> bytes:
    return mail[: _at(random, mail)] + other[_at(random, other) :]


def _embedded(random: Random, mail: bytes, other: bytes) -> bytes:
    at, start = _at(random, mail), _at(random, other)
    return mail[:at] + other[start : start + random.randrange(1, 800)] + mail[at:]


def _tokened(random: Random, mail: bytes, _: bytes) -> bytes:
    at = _at(random, mail)
    return mail[:at] + random.choice(TOKENS) + mail[at:]


def _lines_moved(random: Random, mail: bytes, _: bytes) -> bytes:
    lines = mail.splitlines(keepends=True)
    if lines:
        lines.insert(random.randrange(len(lines)), lines.pop(random.randrange(len(lines))))
    return b"".join(lines)


def _line_dropped(random: Random, mail: bytes, _: bytes) -> bytes:
    lines = mail.splitlines(keepends=True)
    if lines:
        del lines[random.randrange(min(len(lines), 60))]
    return b"".join(lines)


def _header_repeated(random: Random, mail: bytes, other: bytes) -> bytes:
    head, blank, body = mail.partition(b"\n\n" if b"\r\n\r\n" not in mail else b"\r\n\r\n")
    lines = [*head.splitlines(), *other.partition(b"\n\n")[0].splitlines()] or [b""]
    return random.choice(lines) + b"\r\n" + head + blank + body


def _charset_swapped(random: Random, mail: bytes, _: bytes) -> bytes:
    return re.sub(
        rb"charset=[^\s;]+", b"charset=" + random.choice(_CHARSETS), mail, count=random.randrange(3)
    )


def _encoding_swapped(random: Random, mail: bytes, _: bytes) -> bytes:
    swapped = b"Content-Transfer-Encoding: " + random.choice(_ENCODINGS)
    return re.sub(rb"(?i)content-transfer-encoding: [^\r\n]+", swapped, mail, count=random.randrange(3))


def _boundary_swapped(random: Random, mail: bytes, _: bytes) -> bytes:
    return re.sub(
        rb"boundary=[^\r\n;]+", b"boundary=" + random.choice((b"b", b'""', b'"--"', b"=_")), mail, count=1
    )


def _line_ends_swapped(random: Random, mail: bytes, _: bytes) -> bytes:
    return mail.replace(b"\r\n", b"\n").replace(
        b"\n", random.choice((b"\n", b"\r\n", b"\r", b"\n\r", b"\r\r\n"))
    )


DAMAGES: tuple[Change, ...] = (
    *(_flipped, _overwritten, _shortened, _repeated, _truncated, _spliced, _embedded, _tokened, _lines_moved),
    *(
        _line_dropped,
        _header_repeated,
        _charset_swapped,
        _encoding_swapped,
        _boundary_swapped,
        _line_ends_swapped,
    ),
)


def carried(seed: int, mail: bytes) -> bytes:
    """Change a mail as servers on the way do: what it says is the same."""
    random = Random(seed)
    for _ in range(random.randrange(1, 4)):
        mail = random.choice(CARRIAGES)(random, mail, b"")
    return mail


def _with_line_feeds(_: Random, mail: bytes, __: bytes) -> bytes:
    return mail if b"\x00" in mail else mail.replace(b"\r\n", b"\n")


def _with_network_lines(_: Random, mail: bytes, __: bytes) -> bytes:
    return (
        _with_line_feeds(_, mail, __)
        if b"\x00" in mail
        else mail.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    )


def _stamped(random: Random, mail: bytes, _: bytes) -> bytes:
    return (
        random.choice((b"Received: by mx.example.com\r\n", b"X-Spam: no\r\n", b"DKIM-Signature: v=1\r\n"))
        + mail
    )


def _encoded_again(random: Random, mail: bytes, _: bytes) -> bytes:
    """Encode every text part anew, as a server does that cannot carry eight bits."""
    message = message_from_bytes(mail, policy=compat32)
    encoding = random.choice(("base64", "quoted-printable"))
    for part in message.walk():
        if part.get_content_maintype() == "text" and not part.is_multipart():
            _encode(part, encoding)
    return message.as_bytes()


def _encode(part: Message, encoding: str) -> None:
    octets = part.get_payload(decode=True)
    if isinstance(octets, bytes):
        # A wide character's halves are no line ends, but look so to who encodes text.
        encoding = "base64" if b"\x00" in octets else encoding
        encode = base64.encodebytes if encoding == "base64" else quopri.encodestring
        del part["Content-Transfer-Encoding"]
        part["Content-Transfer-Encoding"] = encoding
        part.set_payload(encode(octets).decode("ascii"))


CARRIAGES: tuple[Change, ...] = (_with_line_feeds, _with_network_lines, _stamped, _encoded_again)
