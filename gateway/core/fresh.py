"""What a reply's writer typed, apart from what the mail client put around it.

The fresh text is what stands above the first quote, attribution, header block or signature. It is only ever
cut off below, never picked from the middle, so its first line is the first line of the mail.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from gateway.core.mail import TooLargeError, plain

MAX_LINES = 400
MAX_TYPED = 60_000
"""Characters that a person types in a reply, an edited body included."""
_LOOKED_AT = 500
"""How much of a line is searched for a quote's mark."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fresh:
    """A reply's text, divided. `lines` and `below` are as typed; blank ends are trimmed off `lines`."""

    lines: tuple[str, ...]
    below: tuple[str, ...]
    """Lines without a quote mark between or under quoted lines: bottom posting, or wrapped quotes."""
    signature: tuple[str, ...]
    """What stands under a signature's mark, `-- `, up to a notice or footer."""
    quoted: bool
    forwarded: bool


def split(text: str) -> Fresh:
    """Divide a body into fresh text and the rest.

    Raises:
        TooLargeError: the fresh text has more or longer lines than a person types.
    """
    lines = text.split("\n")
    start = _past_banner(lines)
    end, mark = _first_quote(lines, start)
    typed, signature = _parted(lines[start:end])
    fresh = _trimmed(typed)
    below, second = _parted(_unquoted(lines[end:]) if mark is _Mark.PREFIX else [])
    if len(fresh) > MAX_LINES or len(below) > MAX_LINES or sum(map(len, (*fresh, *below))) > MAX_TYPED:
        raise TooLargeError("the reply is too long")
    return Fresh(
        lines=tuple(fresh),
        below=tuple(below),
        signature=(*signature, *second),
        quoted=mark is not None,
        forwarded=mark is not None and _FORWARD.search(_seen(lines[end])) is not None,
    )


class _Mark(Enum):
    """How a client sets off the quoted mail: every line marked, or everything after a heading."""

    PREFIX = 1
    HEADING = 2


_PREFIX = re.compile(r"\s{0,3}>")

# --- attributions: "On Tue, 3 Mar 2026 at 09:14, Dana <dana@example.com> wrote:", one to four lines ---------

_WROTE = re.compile(
    r"(?:\b(?:wrote|writes|schrieb|geschrieben|écrit|écrivait|escribió|escribi[oó]|escreveu|scritto|schreef"
    r"|geschreven|skrev|napisała?|napisał\(a\)|kirjoitti|napsala?|napsal\(a\)|írta|yazd\u0131|scris"
    r"|написала?"
    r"|написав|escrit|pisze|написал\(.\)|пишет|писала?|пише|viết)\b"
    r"|写道|寫道|メッセージ|書きました|작성|כתב)[^:\uff1a]{0,120}[:\uff1a]\W{0,3}$",
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
    rf"(?={_BEGINS.pattern})(?=.*\b(?:19|20)\d\d\b).*<(?:[^<>\s]{{1,100}}@[^<>\s]{{1,100}}>.{{0,10}})?$",
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
_HEADER_WINDOW = 6

# --- separators ---------------------------------------------------------------------------------------------

_SEPARATOR = re.compile(
    r"\W{0,3}[-_=]{2,}[^\w]{0,3}[^-_=]{0,60}(?:message|nachricht|mensaje|messaggio|bericht|mensagem"
    r"|meddelande|meddelelse|besked"
    r"|melding|wiadomość|сообщение|сообщения|повідомлення|viesti|邮件|郵件|メッセージ"
    r"|메시지)[^-_=]{0,40}[-_=]{2,}\W{0,3}$",
    re.IGNORECASE,
)
_FORWARD = re.compile(
    r"forwarded message|forwarded by|weitergeleitete|message transféré|mensaje reenviado"
    r"|messaggio inoltrato"
    r"|doorgestuurd|mensagem encaminhada|vidarebefordra|videresend|пересыла|転送|转发|轉寄",
    re.IGNORECASE,
)
_BEGIN_FORWARD = re.compile(
    r"(?:Begin|Start of|Anfang der|Début du|Inicio del|Inizio)\b.{0,60}[:\uff1a]$", re.IGNORECASE
)
_RULE = re.compile(r"\s*[-_=]{4,}\s*$")
_RULED = re.compile(r"[-_=]{2,}")

# --- signatures and footers ---------------------------------------------------------------------------------

_SIGNATURE = re.compile(r"--\s?$")
# To their ends made of known words only: what else stands on such a line was typed.
_DEVICE_WORD = (
    r"(?:my|the|an?|for|on|mobile|phone|cell|cellphone|smartphone|tablet|device|handheld|wireless|iphone"
    r"|ipad|ipod|watch|mac|android|ios|windows|samsung|galaxy|blackberry|nokia|xperia|huawei|xiaomi|redmi"
    r"|oneplus|pixel|google|gmail|inbox|outlook|yahoo|proton|protonmail|secure|e?-?mail|app|superhuman"
    r"|spark|typeapp|bluemail|zoho|fastmail|thunderbird|airmail|edison|aol|gmx|t-mobile|verizon|vodafone"
    r"|meine[mnrs]?|für|handy|mon|ma|pour|mi|meu|para|mio|per|mijn|voor|min|mojego|моего|\d{1,4})"
)
_EXCUSE = (
    r"(?:(?:please|excuse|forgive|pardon|any|my|the|brevity|shortness|terseness|typos?|spelling|errors"
    r"|and|or|of|this|e-?mail)\b[ .,]*){2,12}"
)
_DEVICE = re.compile(
    rf"[\W_]{{0,3}}(?:(?:sent from my [\w-]+|sent (?:from|via|with)|get outlook|gesendet (?:von|mit)"
    rf"|envoyé (?:de|depuis|à partir de)|enviado (?:desde|do|a partir d[eo])|inviato dal?|verstuurd vanaf"
    rf"|verzonden (?:vanaf|met)|skickat från|sendt fra|wysłane z|отправлено (?:\u0441|\u0438\u0437))"
    rf"(?: {_DEVICE_WORD}){{0,8}}|von meine[mr] (?:[\w-]+ ){{1,2}}gesendet|iphoneから送信|发自我的 ?iphone"
    rf"|從我的 ?iphone ?傳送)"
    rf"(?: ?[<(\[]https?://[^\s<>]{{1,200}}[>)\]])?[\W_]{{0,3}}(?:{_EXCUSE})?",
    re.IGNORECASE,
)
# Each wants more than one word of lawyers' language, since people write about confidential mails too.
_DISCLAIMER = re.compile(
    r"[\W_]{0,4}(?:(?:confidential(?:ity)? (?:notice|note)|disclaimer|legal notice)"
    r"(?:\W*$|\W*:.*(?:confidential|privileged|intended|recipient|e-?mail|message|liab))"
    r"|this (?:e-?mail|message|communication)\b.{0,40}\b(?:and|including) (?:any|all|its)\b.{0,80}"
    r"(?:confidential|privileged|intended|proprietary)"
    r"|this (?:e-?mail|message|communication) (?:is|may be) (?:confidential and|intended (?:only|solely))"
    r"|the information (?:contained |sent )?in this (?:e-?mail|message)\b.{0,40}(?:confidential|intended)"
    r"|if you are not the (?:intended|named) (?:recipient|addressee)"
    r"|if you have received this (?:e-?mail|message) in err"
    r"|please consider the environment before|think before you print"
    r"|diese e-?mail\b.{0,40}(?:vertrauliche und/oder|rechtlich geschützte)"
    r"|ce (?:message|courriel)\b.{0,40}pièces? jointe"
    r"|este (?:mensaje|correo|e-?mail)\b.{0,60}(?:archivos adjuntos|destinatario)"
    r"|questo messaggio\b.{0,60}(?:allegati|destinatari))",
    re.IGNORECASE,
)
_LIST_FOOTER = re.compile(
    r"[\W_]{0,4}(?:to unsubscribe(?: from (?:this (?:group|list|topic|forum|mailing|e-?mail)"
    r"|[\w.@-]{1,60},)|,| send| click| e-?mail:)"
    r"|you (?:are receiving|received) this"
    r" (?:e-?mail|message|because you (?:are|were|have|subscribed|signed))"
    r"|unsubscribe:|list-unsubscribe)",
    re.IGNORECASE,
)
_LIST_NAME = re.compile(r"[\w.-]{1,40} mailing list$", re.IGNORECASE)
_BANNER = re.compile(
    r"[\W_]{0,6}(?:\[?external\]?(?: (?:e-?mail|message|sender))?[\W_]{0,6}$"
    r"|(?:(?:caution|warning|external(?: e-?mail)?|attention|notice)\b\W{1,4})?this (?:e-?mail|message) "
    r"(?:originated|came|comes|was sent|is) (?:from )?(?:outside|an external|external)"
    r"|do not click (?:on )?(?:any )?links)",
    re.IGNORECASE,
)
_BANNER_WORDS = frozenset(
    """
    caution warning external attention notice this e mail email message sender originated came comes was
    is sent from outside an of the your our organisation organization company network domain do not click
    on any links link or and open opening attachments attachment unless you recognise recognize know
    content contents safe expecting expected were be careful cautious when clicking exercise please
    """.split()  # noqa: SIM905 - a list of words reads best as a text
)
_WORDS = re.compile(r"[^\W_]+")
_RARE_SENDER = re.compile(
    r"[\W_]{0,6}you don['\u2019]?t often get e-?mail from \S{3,254}?\.?"
    r"(?: learn why this is important)?(?: ?(?:at )?[<(\[]?https?://[^\s<>]{1,200})?[\W_]{0,6}",
    re.IGNORECASE,
)
_SHORTEST_QUOTE = 4
"""Lines under a heading: fewer are somebody's words that the writer cites, since our letters are longer."""


def _seen(line: str) -> str:
    return plain(line[:_LOOKED_AT])[:_LOOKED_AT].strip()


def _past_banner(lines: Sequence[str]) -> int:
    """Skip the warnings that a mail server puts on top; another word on such a line keeps it."""
    start = 0
    for index, line in enumerate(lines):
        text = _seen(line)
        if text and not _is_banner(text):
            break
        if text:
            start = index + 1
    return start


def _is_banner(text: str) -> bool:
    if _RARE_SENDER.fullmatch(text):
        return True
    return _BANNER.match(text) is not None and _BANNER_WORDS.issuperset(_WORDS.findall(text.casefold()))


def _first_quote(lines: Sequence[str], start: int) -> tuple[int, _Mark | None]:
    for index in range(start, min(len(lines), start + MAX_LINES + 1)):
        text = _seen(lines[index])
        if not text:
            continue
        if _PREFIX.match(text):
            return index, _Mark.PREFIX
        length = _attribution(lines, index) or _is_heading_of_quote(lines, index, text)
        mark = _mark_below(lines, index + length) if length else _Mark.HEADING
        if mark is _Mark.PREFIX or (
            (length or _is_separator(lines, index, text)) and not _cites(lines[index + max(length, 1) :])
        ):
            return index, mark
    return len(lines), None


def _cites(lines: Sequence[str]) -> bool:
    """Whether too little stands under a heading to be a quoted letter."""
    return 0 < sum(1 for line in lines if line.strip()) < _SHORTEST_QUOTE


def _mark_below(lines: Sequence[str], index: int) -> _Mark:
    """Under an attribution either every line is marked or none is."""
    following = next((_seen(line) for line in lines[index:] if line.strip()), "")
    return _Mark.PREFIX if _PREFIX.match(following) else _Mark.HEADING


def _attribution(lines: Sequence[str], index: int) -> int:
    """Return how many lines the attribution that begins here takes; 0 where none begins."""
    joined = _seen(lines[index])
    if _is_attribution(joined) or _DATED_NAME.match(joined):
        return 1
    if not _BEGINS.match(joined):
        return 0
    for extra in range(1, _ATTRIBUTION_LINES):
        following = _seen(lines[index + extra]) if index + extra < len(lines) else ""
        if not following or _BEGINS.match(following) or len(joined) > _ATTRIBUTION_LENGTH:
            return 0
        joined = f"{joined} {following}"
        if _is_attribution(joined):
            return extra + 1
    return 0


def _is_attribution(text: str) -> bool:
    bare = f"{text.strip('-_=* ')}:" if _RULED.match(text) else text
    return bool(_WHEN.search(bare) and _WROTE.search(bare)) and not _CONDITION.search(bare)


def _is_heading_of_quote(lines: Sequence[str], index: int, text: str) -> bool:
    """Whether a line that is no whole attribution still heads the marked lines right below it."""
    following = next((_seen(line) for line in lines[index + 1 :] if line.strip()), "")
    if not _PREFIX.match(following) or _CONDITION.search(text):
        return False
    return bool(_WROTE.search(text) or _WROTE_RULED.fullmatch(text) or _DATED_SENDER.match(text))


def _is_separator(lines: Sequence[str], index: int, text: str) -> bool:
    if _SEPARATOR.match(text) or (_BEGIN_FORWARD.match(text) and _FORWARD.search(text)):
        return True
    if _RULE.match(text):
        below = next((at for at in range(index + 1, len(lines)) if lines[at].strip()), index)
        return _is_header_block(lines, below) or any(
            footer.match(_seen(lines[below])) for footer in (_LIST_FOOTER, _LIST_NAME)
        )
    return _is_header_block(lines, index)


def _is_header_block(lines: Sequence[str], index: int) -> bool:
    """Want the labels of sender and date together; `subject:` and `to:` are how people ask for changes."""
    text = _seen(lines[index])
    wanted = _DATE if _FROM.match(text) else _FROM if _DATE.match(text) else None
    window = (_seen(line) for line in lines[index + 1 : index + _HEADER_WINDOW])
    return wanted is not None and any(map(wanted.match, window))


def _parted(lines: Sequence[str]) -> tuple[list[str], list[str]]:
    """Part typed lines from the signature's, down to a notice; drop the line that a phone adds.

    That line is dropped rather than cut at, since people type under it.
    """
    typed: list[str] = []
    signature: list[str] = []
    kept = typed
    for line in lines:
        text = _seen(line)
        if _DISCLAIMER.match(text) or _LIST_FOOTER.match(text):
            break
        if _SIGNATURE.match(text):
            kept = signature
        elif not _DEVICE.fullmatch(text):
            kept.append(line)
    return typed, signature


def _unquoted(lines: Sequence[str]) -> list[str]:
    """Return what stands unmarked among marked lines, up to where an unmarked quote begins."""
    below: list[str] = []
    index = 0
    while index < len(lines) and len(below) <= MAX_LINES:
        text = _seen(lines[index])
        length = _attribution(lines, index) if text else 0
        if text and not length and _is_separator(lines, index, text):
            break
        if text and not length and not _PREFIX.match(text) and not _RULE.match(text):
            below.append(lines[index])
        index += length or 1
    return below


def _trimmed(lines: list[str]) -> list[str]:
    filled = [index for index, line in enumerate(lines) if plain(line).strip()]
    return lines[filled[0] : filled[-1] + 1] if filled else []
