"""What mail servers, lists, phones and lawyers add to a mail: none of it is said by its writer.

A line is only taken for such an addition where it is one to its end, or long in the language of its kind,
since people write about confidential mails and lists too.
"""

import re
from collections.abc import Sequence

from gateway.core.seen import seen


def past_banner(lines: Sequence[str]) -> int:
    """Return the index behind the warnings that a mail server puts on top; another word keeps such a line."""
    start = 0
    for index, line in enumerate(lines):
        text = seen(line)
        if text and not _is_banner(text):
            break
        if text:
            start = index + 1
    return start


def ends_text(lines: Sequence[str], index: int) -> bool:
    """Whether a notice or a footer begins here, and goes on to the end."""
    text = seen(lines[index])
    if _RULED.match(text) and _is_footer_below(lines, index):
        return True
    return is_footer(text) or _DISCLAIMER.match(text) is not None or _is_notice(lines, index)


def _is_footer_below(lines: Sequence[str], index: int) -> bool:
    below = next((seen(lines[n]) for n in range(index + 1, len(lines)) if lines[n].strip()), "")
    return is_footer(below) or is_list_name(below)


def is_footer(text: str) -> bool:
    """Whether the line begins the footer of a mailing list."""
    return _LIST_FOOTER.match(text) is not None


def is_list_name(text: str) -> bool:
    """Whether the line names a list, as under the rule of its footer."""
    return _LIST_NAME.match(text) is not None


def is_device(text: str) -> bool:
    """Whether the line is one that a phone or mail program adds: `Sent from my iPhone`."""
    return _DEVICE.fullmatch(text) is not None


# To their ends made of known words only: what else stands on such a line was typed.
_DEVICE_WORD = (
    r"(?:my|the|an?|for|on|with|mobile|phone|cell|cellphone|smartphone|tablet|device|handheld|wireless|iphone"
    r"|ipad|ipod|watch|mac|android|ios|windows|samsung|galaxy|blackberry|nokia|xperia|huawei|xiaomi|redmi"
    r"|oneplus|pixel|google|gmail|inbox|outlook|yahoo|proton|protonmail|secure|e?-?mail|app|superhuman"
    r"|spark|typeapp|bluemail|zoho|fastmail|thunderbird|airmail|edison|aol|gmx|t-mobile|verizon|vodafone"
    r"|k-9|hey|canary|tutanota|tuta|mailbird|nine|aquamail|network|4g|5g|lte"
    r"|meine[mnrs]?|für|handy|mon|ma|pour|mi|meu|para|mio|per|mijn|voor|min|mojego|моего|\d{1,4})\W{0,2}"
)
_EXCUSE = (
    r"(?:(?:please|excuse|forgive|pardon|any|my|the|brevity|shortness|terseness|typos?|spelling|errors"
    r"|and|or|of|this|e-?mail)\b[ .,]*){2,12}"
)
_DEVICE = re.compile(
    rf"[\W_]{{0,3}}(?:(?:sent from my [\w-]+|sent (?:from|via|with)|get outlook|gesendet (?:von|mit)"
    rf"|envoyé (?:de|depuis|à partir de)|enviado (?:desde|do|a partir d[eo])|inviato dal?|verstuurd vanaf"
    rf"|verzonden (?:vanaf|met)|skickat från|sendt fra|wysłane z|отправлено (?:\u0441|\u0438\u0437))"
    rf"(?: [\[(]?{_DEVICE_WORD}){{0,8}}(?: (?:on the|über das) [\w-]+ network)?"
    rf"|von meine[mr](?:/meiner)? (?:[\w-]+ ){{1,2}}gesendet"
    rf"|outlook für (?:ios|android) (?:beziehen|herunterladen)"
    rf"|(?:obtenir|téléchargez) outlook pour (?:ios|android)|obtener outlook para (?:ios|android)"
    rf"|(?:scarica|ottieni) outlook per (?:ios|android)|obter o outlook para (?:ios|android)"
    rf"|outlook voor (?:ios|android) downloaden|iphoneから送信|发自我的 ?iphone|從我的 ?iphone ?傳送)"
    rf"(?: ?[<(\[] ?https?://[^\s<>]{{1,200}} ?[>)\]])?(?: secure e?-?mail)?[\W_]{{0,3}}(?:{_EXCUSE})?",
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
_SECRECY = re.compile(
    r"confidential|privileged|vertraulich|confidentiel|confidencia|riservat|vertrouwelijk|konfidential"
    r"|機密|保密",
    re.IGNORECASE,
)
_ADDRESSEES = re.compile(
    r"intended (?:only |solely )?(?:recipient|addressee|for)|addressee|empfänger|adressat|destinatai?r"
    r"|geadresseerde|mottagare|modtager|adresat|受信者|宛先|收件人",
    re.IGNORECASE,
)
_ERRORS = re.compile(
    r"(?:in|by) (?:error|mistake)|prohibited|irrtümlich|versehentlich|unbefugt|par erreur|interdite?\b"
    r"|por error|prohibid|por engano|proibid|per errore|vietat|ten onrechte|abusievelijk|niet toegestaan"
    r"|誤って|误",
    re.IGNORECASE,
)
_NOTICE_TOPICS = (_SECRECY, _ADDRESSEES, _ERRORS)
_NOTICE_LENGTH = 100
_NOTICE_LINES = 60
_LIST_FOOTER = re.compile(
    r"[\W_]{0,4}(?:to unsubscribe(?: from (?:this (?:group|list|topic|forum|mailing|e-?mail)"
    r"|[\w.@-]{1,60},)|,| send| click| e-?mail:)"
    r"|you (?:are receiving|received) this"
    r" (?:e-?mail|message|because you (?:are|were|have|subscribed|signed))"
    r"|unsubscribe:|list-unsubscribe|view this message in context: https?://\S+$"
    r"|sent from the .{1,80} mailing list archive at )",
    re.IGNORECASE,
)
_LIST_NAME = re.compile(r"[\w.-]{1,40} mailing list(?: -- [^\s@]{1,64}@[^\s@]{1,200})?$", re.IGNORECASE)
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
_RARE_SENDER = re.compile(
    r"[\W_]{0,6}you don['\u2019]?t often get e-?mail from \S{3,254}?\.?"
    r"(?: learn why this is important)?(?: ?(?:at )?[<(\[]?https?://[^\s<>]{1,200})?[\W_]{0,6}",
    re.IGNORECASE,
)
_WORDS = re.compile(r"[^\W_]+")
_RULED = re.compile(r"\s*[-_=]{4,}\s*$")


def _is_banner(text: str) -> bool:
    if _RARE_SENDER.fullmatch(text):
        return True
    return _BANNER.match(text) is not None and _BANNER_WORDS.issuperset(_WORDS.findall(text.casefold()))


def _is_notice(lines: Sequence[str], index: int) -> bool:
    """Whether a lawyers' notice begins here: a long paragraph about secrecy, addressees and errors."""
    if not lines[index].strip() or (
        index and lines[index - 1].strip() and not _RULED.match(lines[index - 1])
    ):
        return False
    rest = lines[index : index + _NOTICE_LINES]
    end = next((at for at, line in enumerate(rest) if not line.strip()), len(rest))
    paragraph = " ".join(rest[:end])
    topics = sum(1 for topic in _NOTICE_TOPICS if topic.search(paragraph))
    return (
        len(paragraph) >= _NOTICE_LENGTH
        and topics > 1
        and all(topic.search(" ".join(rest)) for topic in _NOTICE_TOPICS)
    )
