"""How mail programs head what they quote: attributions, blocks of header lines, separators, forwards.

Each wants evidence that a person would not type: a date with an address, the labels of sender and date
together, a ruled line with the word for message.
"""

import re
from collections.abc import Sequence
from itertools import takewhile

from gateway.core import notices
from gateway.core.seen import seen

PREFIX = re.compile(r"\s{0,3}>")
RULE = re.compile(r"\s*[-_=]{4,}\s*$")


def heading(lines: Sequence[str], index: int, text: str) -> int:
    """Return how many lines the heading of a quote takes that begins here; 0 where none does."""
    return _attribution(lines, index) or int(_is_heading_of_quote(lines, index, text))


def is_separator(lines: Sequence[str], index: int, text: str) -> bool:
    """Whether a line parts what was typed from an unmarked quote, or begins a block of header lines."""
    if _SEPARATOR.fullmatch(text) or (_BEGIN_FORWARD.match(text) and _FORWARD.search(text)):
        return True
    if RULE.match(text):
        below = next((at for at in range(index + 1, len(lines)) if lines[at].strip()), index)
        return is_header_block(lines, below) or notices.ends_text(lines, index)
    if not is_header_block(lines, index):
        return False
    # Right under other words such lines may be typed, to ask for changes: people write no such dates.
    alone = index == 0 or not lines[index - 1].strip() or RULE.match(seen(lines[index - 1])) is not None
    block = (seen(line) for line in lines[index : index + _HEADER_WINDOW])
    return alone or any(
        _PRECISE.search(line) and (_DATE.match(line) or _DATED_INSIDE.search(line)) for line in block
    )


def begins(lines: Sequence[str]) -> bool:
    """Whether these lines begin like a quoted mail, or hold nothing at all."""
    at = next((index for index, line in enumerate(lines) if line.strip()), None)
    if at is None:
        return True
    text = seen(lines[at])
    return bool(_FROM.match(text) or heading(lines, at, text) or is_separator(lines, at, text))


def is_forward(text: str) -> bool:
    """Whether the line heads a forwarded mail."""
    return _FORWARD.search(text) is not None


def heads_all(lines: Sequence[str]) -> bool:
    """Whether all of these lines are a block of header lines, without the letter that it heads."""
    labelled = all(_LABELLED.fullmatch(seen(line)) for line in lines)
    return labelled and any(is_header_block(lines, at) for at in range(min(len(lines), _HEADER_WINDOW)))


def past_headings(lines: Sequence[str]) -> int:
    """Return the line below the last heading of these lines, under which a quote stands; 0 without one."""
    end = at = 0
    while at < len(lines):
        text = seen(lines[at])
        length = _attribution(lines, at) or int(_may_head(text) or _SEPARATOR.fullmatch(text) is not None)
        if is_header_block(lines, at):
            length = sum(1 for _ in takewhile(str.strip, lines[at:]))
        at += length or 1
        end = at if length else end
    return end


def without_headers(lines: Sequence[str]) -> list[str]:
    """Leave out the header lines of quoted mails, each block down to the empty line below it."""
    kept: list[str] = []
    # The first block may begin with any of its lines; further down only a sender or a date is certain.
    first = list(takewhile(str.strip, lines))
    inside = heads_all(first)
    for index, line in enumerate(lines):
        inside = bool(line.strip()) and (inside or is_header_block(lines, index))
        if not inside:
            kept.append(line)
    return kept


# --- attributions: "On Tue, 3 Mar 2026 at 09:14, Dana <dana@example.com> wrote:", one to four lines ---------

_WROTE = re.compile(
    r"(?:\b(?:wrote|writes|schrieb|geschrieben|écrit|écrivait|escribió|escribi[oó]|escreveu|scritto|schreef"
    r"|geschreven|skrev|napisała?|napisał\(a\)|kirjoitti|napsala?|napsal\(a\)|írta|yazd\u0131|scris"
    r"|написала?"
    r"|написав|escrit|pisze|написал\(.\)|пишет|писала?|пише|viết)\b"
    r"|写道|寫道|メッセージ|書きました|작성|כתב)(?:[^:\uff1a]|\d:\d){0,120}[:\uff1a]\W{0,3}$",
    re.IGNORECASE,
)
_WHEN = re.compile(r"@|\b(?:19|20)\d\d\b|\d{1,2}[:.h]\d\d|\d{1,2}[/.-]\d{1,2}|\d{4}年")
_BEGINS = re.compile(
    r"(?:On|Am|Le|El|Em|Il|Op|Den|Dne|På|Kl|Pe|Dnia|W dniu|In data|Vào|At|Quoting)\b|\d|"
    r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun|Mo|Di|Mi|Do|Fr|Sa|So)[a-z]{0,6}[,.]",
    re.IGNORECASE,
)
_DATED_NAME = re.compile(r"(?=.*\d{4}).*<[^<>\s]{1,100}@[^<>\s]{1,100}>[:\uff1a]$")
_DATED_SENDER = re.compile(
    rf"(?={_BEGINS.pattern}|\w{{2,4}}\. ?\d)(?=.*\b(?:19|20)\d\d\b)"
    r".*<(?:[^<>\s]{1,100}@[^<>\s]{1,100}(?:>.{0,10})?)?$",
    re.IGNORECASE,
)
_NAMED_WRITER = re.compile(r"(?:[^\W\d_][\w.'-]* ){1,4}wrote")
_SENT = re.compile(
    r"(?:(?:On|Am|Le) .{8,80}<[^<>\s]{1,100}@[^<>\s]{1,100}> (?:sent|envoyé|gesendet)"
    r"|(?:Quoting|Citando(?: a)?|Zitat von|Citation de|Quoting from) .{0,80}[^<>\s]@[^<>\s]{1,100}>?):",
    re.IGNORECASE,
)
_WROTE_RULED = re.compile(r"-{2,} ?[^-]{1,80} wrote ?-{2,}")
# A client's line says none of these; a person who cites somebody does.
_CONDITION = re.compile(r"\b(?:but|if|unless|only|not|until|after|once|see|what|as)\b", re.IGNORECASE)
_ATTRIBUTION_LINES = 4
_ATTRIBUTION_LENGTH = 400

# --- header blocks: "From: ... / Sent: ... / To: ...", as Outlook puts them ---------------------------------

_FROM = re.compile(
    r"[\W_]{0,4}(?:From|Von|De|Da|Van|Fra|Från|Od|От|От кого|Від|Lähettäjä|Kimden|Feladó|Expéditeur"
    r"|Mittente"
    r"|Remitente|Afzender|Avsender|发件人|發件人|寄件者|差出人|送信者|보낸 사람|מאת)[\s*_]{0,3}[:\uff1a]",
    re.IGNORECASE,
)
_DATE = re.compile(
    r"[\W_]{0,4}(?:Date|Message du|Sent|Gesendet|Datum|Envoyé(?: le)?|Data|Inviato|Fecha"
    r"|Enviado(?: el)?|Enviada em|Enviada"
    r"|Verzonden|Sendt|Dato|Skickat|Wysłano|Дата|Отправлено|Надіслано|Lähetetty|日期|发送时间|傳送時間|送信日時"
    r"|日時|날짜|תאריך)[\s*_]{0,3}[:\uff1a]",
    re.IGNORECASE,
)
# As machines write it (RFC 5322, 3.3); a date that a person types is none.
_STAMPED = re.compile(r"Date: \w{3}, \d{1,2} \w{3} \d{4} \d\d:\d\d:\d\d [+-]\d{4}")
_DATED_INSIDE = re.compile(rf"@.*{_DATE.pattern}.*(?:\d{{4}}|\d\d:\d\d)", re.IGNORECASE)
_TO = re.compile(r"To: .*[^\s<>]@[^\s<>]", re.IGNORECASE)
_PRECISE = re.compile(r"\b(?:19|20)\d\d\b.*\d[:.h]\d\d|\d[:.h]\d\d.*\b(?:19|20)\d\d\b|\d{4}年")
_HEADER_WINDOW = 6

# --- separators ---------------------------------------------------------------------------------------------

_SEPARATOR = re.compile(
    r"\W{0,3}[-_=]{2,}\W{0,3}(?:"
    r"(?:original|forwarded|reply|begin forwarded) (?:message|e-?mail)|forwarded by [^-_=]{1,60}"
    r"|(?:ursprüngliche|weitergeleitete|original-?) ?(?:nachricht|e-?mail)"
    r"|antwort ?nachricht|message (?:d['\u2019]origine|original|transféré|réexpédié)|courriel original"
    r"|mensaje (?:original|reenviado)|messaggio (?:originale|inoltrato)|mensagem (?:original|encaminhada)"
    r"|(?:oorspronkelijk|origineel|doorgestuurd) bericht"
    r"|(?:ursprungligt|vidarebefordrat|originalt?) (?:meddelande|meddelelse)"
    r"|(?:oprindelig|opprinnelig|videresendt) (?:meddelelse|besked|melding|e-?post)"
    r"|(?:wiadomość oryginalna|oryginalna wiadomość|wiadomość przekazana|przekazana wiadomość)"
    r"|původní zpráva|alkuperäinen viesti|eredeti üzenet|özgün ileti|mesaj original"
    r"|(?:исходное|пересылаемое|пересланное|перенаправленное) (?:сообщение|письмо)|пересылаемое сообщение"
    r"|(?:переслане|оригінальне) повідомлення"
    r"|原始邮件|原始郵件|转发的?邮件|轉寄郵件|原邮件|元のメッセージ|転送メッセージ|オリジナルメッセージ"
    r"|원본 ?메시지|전달된 ?메시지"
    r")\W{0,3}[-_=]{2,}\W{0,3}",
    re.IGNORECASE,
)
_FORWARD = re.compile(
    r"forwarded message|forwarded by|weitergeleitete|message (?:transféré|réexpédié)|mensaje reenviado"
    r"|messaggio inoltrato"
    r"|doorgestuurd|mensagem encaminhada|vidarebefordra|videresend|пересыла|転送|转发|轉寄",
    re.IGNORECASE,
)
_BEGIN_FORWARD = re.compile(
    r"(?:(?:Begin|Start of|Anfang der|Début du|Inicio del|Inizio)\b.{0,60}|Forwarded message) ?[:\uff1a]$",
    re.IGNORECASE,
)
_RULED = re.compile(r"[-_=]{2,}")
_TAIL = re.compile(r"<[^<>\s]{1,100}@[^<>\s]{1,100}>:?|wrote:")
_LABELLED = re.compile(r"[^\W\d_][^:\uff1a]{0,20}[:\uff1a].*|")


def _attribution(lines: Sequence[str], index: int) -> int:
    """Return how many lines the attribution that begins here takes; 0 where none begins."""
    joined = seen(lines[index])
    if _is_attribution(joined) or _is_dated_name(joined):
        return 1 + _tail(lines, index + 1)
    if not _BEGINS.match(joined):
        return 0
    for extra in range(1, _ATTRIBUTION_LINES):
        following = seen(lines[index + extra]) if index + extra < len(lines) else ""
        opened = joined.endswith("<")
        if not following or len(joined) > _ATTRIBUTION_LENGTH or (_BEGINS.match(following) and not opened):
            return 0
        joined = f"{joined}{'' if opened else ' '}{following}"
        if _is_attribution(joined) or _is_dated_name(joined):
            return extra + 1
    return 0


def _tail(lines: Sequence[str], index: int) -> int:
    """Count the lines below an attribution that only say its end again: an address, `wrote:`."""
    below = (seen(line) for line in lines[index : index + _ATTRIBUTION_LINES])
    return sum(1 for _ in takewhile(_TAIL.fullmatch, below))


def _is_dated_name(text: str) -> bool:
    return _DATED_NAME.match(text) is not None and not _CONDITION.search(text)


def _is_attribution(text: str) -> bool:
    bare = f"{text.strip('-_=* ')}:" if _RULED.match(text) else text
    return bool(_WHEN.search(bare) and _WROTE.search(bare)) and not _CONDITION.search(bare)


def _is_heading_of_quote(lines: Sequence[str], index: int, text: str) -> bool:
    """Whether a line that is no whole attribution still heads the marked lines right below it."""
    if not _may_head(text):
        return False
    following = next((seen(lines[n]) for n in range(index + 1, len(lines)) if lines[n].strip()), "")
    return PREFIX.match(following) is not None


def _may_head(text: str) -> bool:
    headings = (_WROTE_RULED, _NAMED_WRITER, _SENT)
    heads = _WROTE.search(text) or _DATED_SENDER.match(text) or any(each.fullmatch(text) for each in headings)
    return bool(heads) and not _CONDITION.search(text)


def is_header_block(lines: Sequence[str], index: int) -> bool:
    """Want the labels of sender and date together; `subject:` and `to:` are how people ask for changes."""
    text = seen(lines[index])
    if _FROM.match(text) and _DATED_INSIDE.search(text):
        return True
    if _STAMPED.match(text) and index + 1 < len(lines) and _TO.match(seen(lines[index + 1])):
        return True
    own, wanted = (_FROM, _DATE) if _FROM.match(text) else (_DATE, _FROM)
    window = [seen(line) for line in lines[index + 1 : index + _HEADER_WINDOW]]
    other = next((at for at, line in enumerate(window) if wanted.match(line)), len(window))
    # Where the label comes again, this line was typed above the block; a letter may show a From of its own.
    again = any(map(own.match, window[:other] if own is _FROM else window))
    return own.match(text) is not None and other < len(window) and not again
