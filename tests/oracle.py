"""A second opinion: whether a text could be meant as an approval at all.

Written from the rules as reviewers are told them and not from the reader, of which nothing is imported: the
first line is a verb with courtesies, and below it stand assent, the writer's signature, and what mail programs
add. It may let more pass than the reader does; what it refuses, nobody approved.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from email import message_from_bytes
from email.header import decode_header, make_header
from email.message import Message
from html import unescape
from html.parser import HTMLParser

VERBS = {
    "en": "approve approved",
    "de": "genehmigt genehmige genehmigen freigegeben freigeben",
    "fr": "approuvé approuvée approuver approuve",
    "es": "aprobado aprobada aprobar apruebo",
    "pt": "aprovado aprovada aprovar aprovo",
    "it": "approvato approvata approvare approvo",
    "nl": "goedgekeurd goedkeuren",
    "ja": "承認 承認します 承認する 承認済み 承認いたします",
    "zh": "批准 同意",
}


def _set(text: str) -> frozenset[str]:
    return frozenset(text.casefold().split())


_SELVES = _set("i we ich je j io eu ik yo wir nous hereby")
_KIND = _set("""
    thanks thank you thx ty many much very so please kindly cheers regards kind best warm wishes sincerely
    yours great good perfect excellent this it request go ahead proceed with
    looks looking fine ok okay lgtm all agreed agree nice work works well job awesome wonderful lovely super
    sounds yes yep sure absolutely everybody everyone team everything
    danke dank vielen viele schön schoen beste besten liebe gut sehr perfekt passt alles ordnung klar
    einverstanden ja mit freundlichen grüße grüßen gruesse grüsse gruß gruss mfg lg vg rgds br
    merci beaucoup bien très parfait tout oui accord cordialement
    gracias muchas muy perfecto todo de acuerdo sí conforme un saludo saludos atentamente
    obrigado obrigada muito bem perfeito tudo certo sim atenciosamente
    grazie mille molto bene perfetto tutto va accordo cordiali saluti
    bedankt hartelijk goed akkoord met vriendelijke groet groeten
    ありがとう ありがとうございます 有難うございます お願いします よろしくお願いします 宜しくお願いします
    よろしくお願いいたします よろしくお願い致します お疲れ様です 以上 問題ありません 了解しました 了解です 結構です
    谢谢 謝謝 多谢 多謝 辛苦了 好的 没问题 沒問題 可以 很好
""")
"""Words of courtesy and assent: all that may be said beside an approval, with the phrases below."""
_PHRASES = re.compile(
    r"\b(?:no (?:further |more |other )?(?:objections?|concerns|issues|problems|complaints|comments|remarks)"
    r"|nothing to (?:add|change)|(?:to|by|with|for) (?:me|us)|from (?:my|our) (?:side|end)|happy with \w+"
    r"|happy with all of it|(?:thanks|thank you) for \w{4,}ing (?:it|this|that)|well done|thanks again|good to go|as it is|as is|(?:this|that|it|all|everything) is"
    r"|it's|that's|i am|i'm|we are|we're|i agree|we agree|in ordnung|von meiner seite|für mich"
    r"|c'est (?:bon|parfait)|de mon côté|pour moi|d'accord|tout est|está bien|por mi parte|está tudo"
    r"|da parte mia|per me|va bene|wat mij betreft|is goed)(?![\w'])",
    re.IGNORECASE,
)
_STOPS = _set("""
    not cannot cant dont wont never nope nah until unless before wait hold stop halt veto cancel cancelled
    also plus minus omit exclude instead decides agrees abort scratch forget nevermind disregard ignore retract
    revoke withdraw undo postpone delay skip oops misclick
    nein nicht kein keine stopp abgelehnt ablehnen reject rejected rejecting modify decline declined deny
    disapprove disapproved unapproved refuse refused refusé rejeté rechazado rejeitado recusado rifiutato
    respinto afgewezen afgekeurd 却下 拒绝 拒絕 驳回 駁回 修正 変更 修改 non jamais nunca niet nie nee нет не
""")
"""Words that nobody writes under an approval that is meant, not even in a signature that is marked as one."""
_CONDITIONS = _set("""
    if once after when only but except provided assuming subject pending till whenever excluding without
    drop delete remove add replace insert send leave tell ask talk use include
    wenn falls nur aber erst sobald nachdem bis außer sofern solange ohne
    seulement mais sauf après quand sans solo sólo pero excepto después cuando hasta sin
    só somente mas exceto depois quando até sem soltanto ma tranne dopo prima fino senza
    als mits maar alleen nadat tot behalve tenzij zonder eerst если но только после
""")
"""Words that make an approval another one, so that none is in a signature that nothing marks as one."""
_SMALL = _set("""
    of the and for at in by part für und der die das de la des et y van von den del della di da dos du le bin
    al el zu ter ten group gmbh
""")
_KIND_PICTURES = re.compile("[👍👌🙏🙌🎉👏🚀😀😃😊🙂💯✅✔☺\U0001f3fb-\U0001f3ff\ufe0f]|(?<!\\S):-?\\)(?!\\S)")
_TURNS = re.compile("[\u202a-\u202e\u2066-\u2069]")
_WORD = re.compile(r"[^\W_]+")
_SAYING = re.compile(r"(?:[^\W\d_]|[\s.,!;:'’\"“”*_()\-–—、。，！])*")
_CONTACT = re.compile(r"@|://|\d|\bwww\.|\w\.[a-z]{2,6}\b", re.IGNORECASE)
_REACH = re.compile(
    r"(?:tel|phone|cell|mobile|mob|fax|t|m|p|f|web|www|twitter|linkedin)\b|(?:\+|\b)\d[\d\s()./-]{5,}\d|@|://|www\.",
    re.IGNORECASE,
)

_GREETING = re.compile(
    r"(?:hi|hello|hey|dear|greetings|all|team|good (?:morning|afternoon|evening|day)|hallo|guten|lieber?|sehr|moin"
    r"|bonjour|bonsoir|salut|chère?s?|madame|monsieur|hola|buen[oa]s|estimad[oa]s?|olá|oi|bom|boa|prezad[oa]s?"
    r"|car[oai]|ciao|buongiorno|buonasera|salve|gentil[ei]|hoi|beste|geachte|goede\w+|お疲れ様です|\w*お世話に\w+"
    r"|你好|您好|大家好|everyone|everybody|folks|sir|to whom it may concern|both|both of you|there|morning|day)\b",
    re.IGNORECASE,
)
_BANNER = re.compile(
    r"\W{0,6}(?:\[?external|(?:caution|warning|attention|notice)\b.*(?:external|outside)|this (?:e-?mail|message) "
    r"(?:originated|came|comes|was sent|is) (?:from )?(?:outside|an external|external)"
    r"|do not click|you don['’]?t often get e-?mail from)",
    re.IGNORECASE,
)
_BANNER_STOPS = re.compile(r"\b(?:reject|approve|hold|wait|skip|send|never|only|if)\b", re.IGNORECASE)
_DEVICE = re.compile(
    r"\W{0,3}(?:sent (?:from|via|with)|get outlook for|gesendet (?:von|mit)|von meine[mr]\b.*gesendet|outlook für"
    r"|envoyé (?:de|depuis|à partir de)|enviado (?:desde|do|a partir)|inviato da|verstuurd vanaf|verzonden"
    r"|skickat från|sendt fra|wysłane z|отправлено|obt\w+ (?:o )?outlook|téléchargez outlook|scarica outlook"
    r"|ottieni outlook|outlook voor|iphoneから送信|发自我的|從我的)",
    re.IGNORECASE,
)
_MACHINE = re.compile(
    r"iphone|ipad|ipod|watch|mac\b|android|ios|windows|samsung|galaxy|blackberry|nokia|xperia|huawei|xiaomi|redmi"
    r"|oneplus|pixel|gmail|inbox|outlook|yahoo|proton|superhuman|spark|typeapp|bluemail|zoho|fastmail|thunderbird"
    r"|airmail|edison|aol|gmx|verizon|vodafone|k-9|hey\b|canary|tuta|mailbird|nine\b|aquamail|phone|mobile|handy"
    r"|tablet|device|handheld|wireless|smartphone|mail\b|app\b|mobil|my(?: [\w-]+)?$",
    re.IGNORECASE,
)
# Lawyers' words, in three kinds.
_SECRET = re.compile(
    r"confiden|privileged|proprietary|vertraulich|geschützt|confidentiel|confidencia|riservat|vertrouwelijk"
    r"|protected|機密|保密",
    re.IGNORECASE,
)
_MEANT = re.compile(
    r"intended|recipient|addressee|attachment|adressat|empfänger|destinatai?r|pièces? jointe|adjuntos|allegati"
    r"|geadresseerde|受信者|宛先|收件人",
    re.IGNORECASE,
)
_ASTRAY = re.compile(
    r"\berror\b|mistake|prohibited|disclos|delete|notify|irrtümlich|versehentlich|unbefugt|par erreur|interdit"
    r"|por error|prohibid|engano|proibid|errore|vietat|abusievelijk|niet toegestaan|誤って|误",
    re.IGNORECASE,
)
_LONG_NOTICE = 60
_FOOTER = re.compile(
    r"\W{0,4}(?:to unsubscribe|unsubscribe:|list-unsubscribe|you (?:are receiving|received) this"
    r"|view this message in context|sent from the .* mailing list archive|[\w.-]+ mailing list -- \S+@\S+$"
    r"|(?:please )?consider the environment.*print|think before you print)",
    re.IGNORECASE,
)
_HEADING = re.compile(r"(?=.*(?:@|\d)).*(?:[:：]\W{0,3}|<|\bwrote ?-+ ?)")
_WROTE = re.compile(r".*\b(?:wrote|schrieb|écrit|escribió|escreveu|scritto|schreef)\W{0,3}")
_SEPARATOR = re.compile(
    r"\W{0,3}[-_=]{2,}.*\w.*[-_=]{2,}\W*|(?:Begin|Start of|Anfang|Début|Inicio|Inizio)\b.*[:：]"
)
_BEGINS = re.compile(
    r"(?:On|Am|Le|El|Em|Il|Op|Den|Dne|På|Kl|Pe|Dnia|W dniu|In data|Vào|At|Quoting|Citando|Zitat)\b|\d",
    re.IGNORECASE,
)
_MARK = re.compile(r"--\s?")
_WRAPPED = 50
_LABEL = re.compile(r"[*_\s]{0,4}[^\W\d_][\w ]{0,24}[*_\s]{0,3}[:：]")
_FIELDS = ("to", "cc", "subject", "body", "amount", "due", "urgent")
"""What the question of the golden mails lets its reviewers change."""
_UNSPACED_STOPS = re.compile("ません|ない|条件|場合|のみ|不|未承認|未批准|但是|如果|只给|却下|拒")
_RULE = re.compile(r"\s*[-_=]{4,}\s*$")
_CHARSETS = ("utf-8", "cp1252", "latin-1")
_FEWEST_QUOTED = 4
_LONGEST_SIGNATURE = 26


def may_approve(
    text: str,
    author: str = "Dana Petrova <dana@example.com>",
    languages: Sequence[str] = (),
    request: str = "",
) -> bool:
    """Whether a body could be meant as an approval by its author; `request` is the letter it may quote."""
    lines = [_read(line) for line in text.split("\n")]
    at = 0
    while at < len(lines) and not _is_decision(lines[at], languages):
        if lines[at].strip() and not _is_harmless_top(lines[at]):
            return False
        at += 1
    if at == len(lines):
        return False
    letter = " ".join(word for word in _words(request) if not word.isdigit())
    return _Below(lines[at + 1 :], _names(author), f" {letter} ").leaves_it()


def mail_may_approve(raw: bytes, languages: Sequence[str] = (), request: str = "") -> bool:
    """Whether a mail could be meant as an approval: what its text says, or its HTML where it has no text."""
    message = message_from_bytes(raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n"))
    parts = [part for part in _leaves(message) if part.get_content_disposition() != "attachment"]
    author = _decoded(str(message.get("from", "")))
    bodies = [(part.get_content_type(), _bodies(part)) for part in parts if not part.get_filename()]
    for reading in range(len(_CHARSETS) + 1):
        texts = [decoded[reading] for kind, decoded in bodies if kind == "text/plain"]
        markup = [decoded[reading] for kind, decoded in bodies if kind == "text/html"]
        html = "\n".join(markup)
        candidates = ("\n".join(texts), _visible(html), _stripped(html))
        if any(
            may_approve(_unsigned(text), author, languages, request) for text in candidates if text.strip()
        ):
            return True
    return False


def _read(line: str) -> str:
    folded = unicodedata.normalize("NFKC", line)
    seen = (char for char in folded if unicodedata.category(char) != "Cf" or _TURNS.match(char))
    return "".join(char if char.isprintable() or _TURNS.match(char) else " " for char in seen)


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


def _is_harmless_top(line: str) -> bool:
    text = line.strip()
    if _BANNER.match(text):
        return _BANNER_STOPS.search(text.replace("unless you", "").replace("sender", "")) is None
    if _is_device(text):
        return True
    stopped = not _STOPS.isdisjoint(_words(text))
    return _GREETING.match(text) is not None and len(text) <= 61 and not stopped and "?" not in text


def _is_device(text: str) -> bool:
    known = _DEVICE.match(text) and _MACHINE.search(text)
    return bool(known) and (_STOPS | _CONDITIONS).isdisjoint(_words(text))


def _is_decision(line: str, languages: Sequence[str]) -> bool:
    verbs = _set(" ".join(VERBS[language] for language in ("en", *languages)))
    head, comma, rest = line.partition(",")
    if comma and _GREETING.fullmatch(head.strip()):
        line = rest
    said = [word for word in _words(_KIND_PICTURES.sub("", line)) if word not in _SELVES]
    return bool(said) and said[0] in verbs and _is_kind(line, verbs)


def _is_kind(line: str, besides: frozenset[str] = frozenset()) -> bool:
    """Whether nothing but courtesy and assent is said."""
    text = _KIND_PICTURES.sub("", line).replace("’", "'")
    if _TURNS.search(line) or not _SAYING.fullmatch(text):
        return False
    if "..." in text or (not _words(text) and re.search(r"[^\s.,;:!*_\-–—'\"]", text)):
        return False
    allowed = _KIND | besides | (_SELVES if besides else set())
    return allowed.issuperset(_words(_PHRASES.sub(" ", text)))


@dataclass(slots=True)
class _Below:
    """What stands under a decision, read from the top."""

    lines: Sequence[str]
    names: set[str]
    letter: str
    """The words of the letter that may be quoted, apart from numbers."""
    at: int = 0
    quoted: str = ""
    """The quoted line above, if any."""
    signed: bool = False
    marked: bool = False
    length: int = 0

    def leaves_it(self) -> bool:
        """Whether all of it leaves the decision as it is."""
        while self.at < len(self.lines):
            text = self.lines[self.at].strip()
            if text and not _RULE.match(text):
                if _ends(text, self.lines[self.at :]) or self._is_quoted_to_the_end(text):
                    return True
                if not self._passes(text):
                    return False
            self.at += 1
        return True

    def _below(self) -> list[str]:
        return [line.strip() for line in self.lines[self.at + 1 :] if line.strip()]

    def _is_quoted_to_the_end(self, text: str) -> bool:
        below = self._below()
        heading = _heading([text, *below])
        marked = "".join(below[heading - 1 : heading]).startswith(">")
        quoted = any(len(_words(line)) > 1 and self._is_of_letter(_words(line)) for line in below)
        long = len(below) >= _FEWEST_QUOTED or len(below) < heading
        return heading > 0 and not marked and (long or quoted or all(map(_LABEL.match, below)))

    def _passes(self, text: str) -> bool:
        if _MARK.fullmatch(text):
            self.signed = self.marked = True
            return True
        if text.startswith(">"):
            self.quoted, self.signed = text, False
            return True
        if _SEPARATOR.fullmatch(text):
            return True
        heading = self._heads_marked_lines(text)
        if heading:
            while heading > 1:
                self.at += 1
                heading -= bool(self.lines[self.at].strip())
            return True
        if self._goes_on(text):
            self.quoted = f"{self.quoted} {text}"
            return True
        banner = _BANNER.match(text) is not None and _is_harmless_top(text)
        if banner or _is_device(text) or (not self.signed and _is_kind(text)):
            return True
        self.signed = self.signed or _signs(text, self.lines[: self.at], self._below(), self.names)
        self.length += 1
        brief = self.length <= _LONGEST_SIGNATURE
        return self.signed and brief and _may_be_signed(text, self.names, marked=self.marked)

    def _is_of_letter(self, said: Sequence[str]) -> bool:
        return f" {' '.join(word for word in said if not word.isdigit())} " in self.letter

    def _heads_marked_lines(self, text: str) -> int:
        """Return over how many lines the heading of marked lines goes that begins here."""
        below = self._below()
        heading = _heading([text, *below])
        if heading and self.quoted:
            return 1
        if not heading and "".join(below[:1]).startswith(">"):
            return int(bool(_WROTE.fullmatch(text) or (_BEGINS.match(text) and "@" in text)))
        return heading if "".join(below[heading - 1 : heading]).startswith(">") else 0

    def _goes_on(self, text: str) -> bool:
        """Whether the line is the end of the quoted one above it."""
        said = _words(text)
        joined = [word for word in (*_words(self.quoted)[-2:], *said) if not word.isdigit()]
        if self.quoted and len(joined) > 1 and self._is_of_letter(joined):
            return True
        harmless = (_STOPS | _CONDITIONS).isdisjoint(said)
        return len(self.quoted) > _WRAPPED and text[0].islower() and harmless


def _heading(lines: Sequence[str]) -> int:
    """Return over how many of the lines the heading of a quote goes; 0 where none begins."""
    if (_HEADING.fullmatch(lines[0]) and not lines[0].endswith("<")) or _SEPARATOR.fullmatch(lines[0]):
        return 1
    if _BEGINS.match(lines[0]):
        joined = (" ".join(lines[:length]) for length in range(2, 5))
        found = (length for length, text in enumerate(joined, 2) if _HEADING.fullmatch(text))
        return next((length for length in found if not lines[length - 1].endswith("<")), 0)
    labelled = sum(_LABEL.match(line) is not None for line in lines[:6])
    return int(_LABEL.match(lines[0]) is not None and labelled > 1)


def _ends(text: str, lines: Sequence[str]) -> bool:
    """Whether a lawyer's notice or a list's footer begins, which goes on to the end."""
    if _FOOTER.match(text):
        return (_STOPS | _CONDITIONS).isdisjoint(_words(text)) or re.search(
            "subscri|print", text, re.IGNORECASE
        ) is not None
    end = next((at for at, line in enumerate(lines) if not line.strip()), len(lines))
    paragraph = " ".join(lines[:end])
    if re.match(
        r"\W*(?:confidential\w* not\w+|disclaimer|legal notice|haftungsausschluss)\W*$", text, re.IGNORECASE
    ):
        paragraph = " ".join(lines[:12])
    kinds = sum(bool(kind.search(paragraph)) for kind in (_SECRET, _MEANT, _ASTRAY))
    return kinds > 1 and len(paragraph) >= _LONG_NOTICE


def _names(author: str) -> set[str]:
    return {word for word in _words(author.partition("@")[0].replace(".", " ")) if len(word) > 1}


def _signs(text: str, above: Sequence[str], below: Sequence[str], names: set[str]) -> bool:
    """Whether a signature begins here: the writer's own name, a name below a farewell, or one with a number."""
    if not names.isdisjoint(_words(text)) and _words(text)[0] in names | {"dr", "mr", "mrs", "ms", "prof"}:
        return True
    if len(_words(text)) > 1 and len(_words(text)[0]) == 1 and _words(text)[1] in names:
        return True
    last = next((line for line in reversed(above) if line.strip() and not _DEVICE.match(line.strip())), "")
    if last and _is_kind(last) and _is_label(text):
        return True
    return (_is_label(text) and any(map(_REACH.search, below[:8]))) or _REACH.match(text) is not None


def _is_label(text: str) -> bool:
    pieces = [
        piece.strip("*_()|,;:&?!.-–—•·/'’\"“”<>[]") for piece in text.split() if not _CONTACT.search(piece)
    ]
    return all(not piece or piece[0] == piece[0].upper() or piece in _SMALL for piece in pieces)


def _may_be_signed(text: str, names: set[str], *, marked: bool) -> bool:
    """Whether a line may stand in a signature; where its mark stands, soft words may too."""
    said = set(_words(text))
    if (
        said & _STOPS
        or _UNSPACED_STOPS.search(text)
        or len(text) > 100
        or re.search("[👎❌🚫🛑⛔✋🤔]", text)
    ):
        return False
    if any(text.casefold().startswith(f"{field}:") for field in _FIELDS):
        return False
    if marked or _is_kind(text, frozenset({"approve", "approved"})) or said <= names:
        return True
    motto = len(said) == 1 or (text[:1].isupper() and text[-1] not in ".!\N{HORIZONTAL ELLIPSIS}")
    return not said & _CONDITIONS and (motto or _is_label(text) or _CONTACT.search(text) is not None)


def _leaves(message: Message) -> list[Message]:
    if message.get_content_maintype() != "multipart" or not message.is_multipart():
        return [message]
    return [leaf for part in message.get_payload() if isinstance(part, Message) for leaf in _leaves(part)]


def _bodies(part: Message) -> list[str]:
    """Return a part's text as its own charset has it, and as others do: which is right, nobody knows."""
    octets = part.get_payload(decode=True)
    texts = []
    for charset in (str(part.get_content_charset("utf-8")), *_CHARSETS):
        try:
            text = octets.decode(charset, "replace") if isinstance(octets, bytes) else ""
        except (LookupError, ValueError):
            text = ""
        texts.append(text.replace("\r\n", "\n").replace("\r", "\n"))
    return texts


def _decoded(value: str) -> str:
    try:
        return str(make_header(decode_header(value)))
    except (ValueError, LookupError):
        return value


def _unsigned(text: str) -> str:
    """Take the text out of an OpenPGP clear signature."""
    head = re.match(r"\s*-----BEGIN PGP SIGNED MESSAGE-----\n(?:\w+:.*\n)*", text)
    return text[head.end() :].partition("-----BEGIN PGP SIGNATURE-----")[0] if head else text


_QUOTE_MARKS = re.compile(
    r"<blockquote|\b(?:class|id|name)=[\"']?[^\"'>]*(?:quote|gmail_attr|appendonsend|divrplyfwdmsg|moz-cite|stopspelling"
    r"|reply-intro)|solid #?\w+ 1\.0pt",
    re.IGNORECASE,
)


class _Visible(HTMLParser):
    """The text of HTML down to the first quote."""

    def __init__(self) -> None:
        super().__init__()
        self.text: list[str] = []
        self.skipped: list[str] = []
        self.ended = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = " ".join(f"{name}={value}" for name, value in attrs).lower()
        if _QUOTE_MARKS.search(f"<{tag} {given}"):
            self.ended = True
        if tag in {"style", "script", "title", "s", "strike", "del"} or re.search(
            r"display:none|line-through|hidden", given.replace(" ", "")
        ):
            self.skipped.append(tag)
        elif tag in {"br", "p", "div", "tr", "li", "table", "hr", "h1"}:
            self.text.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if self.skipped and tag == self.skipped[-1]:
            self.skipped.pop()
        elif tag in {"p", "div", "tr", "li", "table"}:
            self.text.append("\n")

    def handle_data(self, data: str) -> None:
        if not self.ended and not self.skipped:
            self.text.append(data.replace("\n", " ").replace("\r", " "))


def _stripped(html: str) -> str:
    """Strip HTML as bluntly as can be, for where it is too broken for a parser."""
    mark = _QUOTE_MARKS.search(html)
    above = html[: html.rfind("<", 0, mark.end())] if mark else html
    without = re.sub(
        r"(?is)<(style|script|title|xml)\b.*?</\1[^>]*>|<!--.*?-->|[^<>{}]*\{[^{}<>]*\}", " ", above
    )
    return unescape(
        re.sub(
            r"<[^>]*>", "", re.sub(r"(?i)<(?:br|/?p|/?div|/?tr)\b[^>]*>", "\n", without.replace("\n", " "))
        )
    )


def _visible(html: str) -> str:
    parser = _Visible()
    parser.feed(html)
    return "".join(parser.text)
