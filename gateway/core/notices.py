"""What mail servers, lists, phones and lawyers add to a mail: none of it is said by its writer.

A line is only taken for such an addition where it is one to its end, or long in the language of its kind,
since people write about confidential mails and lists too.
"""

import re
from collections.abc import Sequence

from gateway.core.mail import plain
from gateway.core.seen import LOOKED_AT, seen


def past_banner(lines: Sequence[str]) -> int:
    """Return the index behind the warnings that a mail server puts on top; another word keeps such a line."""
    start = 0
    for index, line in enumerate(lines):
        text = seen(line)
        if text and (len(line) > LOOKED_AT or not _is_banner(text)):
            break
        if text:
            start = index + 1
    return start


def ends_text(lines: Sequence[str], index: int) -> bool:
    """Whether a notice or a footer begins here, and goes on to the end."""
    text = seen(lines[index])
    if _RULED.match(text):
        return _is_footer_below(lines, index)
    if not text or _LEADING_SIGN.match(text):
        return False
    return _is_footer_at(lines, index) or _PRINTING.fullmatch(text) is not None or _is_notice(lines, index)


def _is_footer_below(lines: Sequence[str], index: int) -> bool:
    """Whether a list's footer stands under a rule; a name alone may be anything, so a way to it is wanted."""
    filled = [at for at in range(index + 1, min(len(lines), index + 8)) if lines[at].strip()][:2]
    if filled and _is_footer_at(lines, filled[0]):
        return True
    named = filled and is_list_name(seen(lines[filled[0]]))
    followed = len(filled) > 1 and (
        _AIMED.fullmatch(seen(lines[filled[1]])) or _is_footer_at(lines, filled[1])
    )
    return bool(named and (followed or "@" in lines[filled[0]]))


def _is_footer_at(lines: Sequence[str], index: int) -> bool:
    """Whether the sentence of a list's footer stands here, alone or wrapped."""
    return any(
        is_footer(" ".join(seen(line) for line in lines[index : index + count])) for count in (1, 2, 3)
    )


def is_footer(text: str) -> bool:
    """Whether the text is the footer of a mailing list, to its end."""
    return _LEADING_SIGN.match(text) is None and _LIST_FOOTER.fullmatch(text) is not None


def is_list_name(text: str) -> bool:
    """Whether the line names a list, as under the rule of its footer."""
    return _LIST_NAME.match(text) is not None


def is_picture(text: str) -> bool:
    """Whether nothing but pictures and their links stands on the line, as in a company's signature."""
    return _PICTURES.fullmatch(text) is not None


def is_device(text: str) -> bool:
    """Whether the line is one that a phone or mail program adds: `Sent from my iPhone`."""
    if _LEADING_SIGN.match(text):
        return is_picture(text)
    added = any(line.fullmatch(text.rstrip(" .!")) for line in (_ADDED, _CLASSIFIED))
    return added or _DEVICE.fullmatch(text) is not None or is_picture(text) or _is_banner(text)


# A question mark or a picture in front is typed; ornaments, a warning sign and a tree are not.
_LEADING_SIGN = re.compile(
    r"[^\w]*?[^\w\s!-/:->@\[-`{-~\u00a7\u00ab\u00b7\u00bb\u2010-\u2026\u26a0\ufe0f\U0001f331-\U0001f333]"
    r"|[^\w]*?\?"
)
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
_ADDED = re.compile(
    r"(?:holen sie sich outlook für|télécharge[rz] outlook pour|descarga outlook para"
    r"|baixe o outlook para) (?:ios|android)"
    r"(?: ?<https?://[^\s<>]{1,200}>)?"
    r"|von meine[mr] (?:samsung )?galaxy(?: [\w-]{1,20}){0,2} gesendet"
    r"|diese nachricht wurde von meinem (?:android|iphone|ios)[\w -]{0,40} (?:mit [\w .&-]{2,30} )?gesendet"
    r"|yahoo mail: search, organize, conquer(?: ?<https?://[^\s<>]{1,200}>)?"
    r"|sent from my blackberry - the most secure mobile device",
    re.IGNORECASE,
)
_PICTURES = re.compile(
    r"(?:\[(?:cid:|image:? ?|https?://|[^\[\]]{0,60}\b(?:logo|icon|banner|picture|facebook"
    r"|linkedin|twitter|instagram)\b)"
    r"[^\[\]]{0,300}\](?:<https?://[^<>\s]{1,500}>)?\s*){1,12}",
    re.IGNORECASE,
)
_CLASSIFIED = re.compile(
    r"(?:classification|sensitivity|klassifizierung|classificatie|clasificación)\s*: ?[\w /-]{1,40}",
    re.IGNORECASE,
)
_PRINTING = re.compile(
    r"[\W_]{0,4}(?:(?:please )?(?:consider|think of|think about) the environment before (?:you )?print.{0,60}"
    r"|(?:please )?think before you print.{0,40}|bitte (?:denken sie an|prüfen sie).{0,80}ausdruck.{0,60}"
    r"|this e-?mail has been checked for viruses by [\w .]{2,40}|virus-free\.? ?(?:<?https?://\S+"
    r"|www\.\S+)?|virenfrei\.? ?(?:<?https?://\S+|www\.\S+)?)",
    re.IGNORECASE,
)
_HEADING = re.compile(
    r"[\W_]{0,4}(?:confidential(?:ity)? (?:notice|note|statement)|(?:legal |e-?mail )?disclaimer|legal notice"
    r"|important notice|haftungsausschluss|avis de confidentialité|aviso (?:legal|de confidencialidad)"
    r"|avviso di riservatezza|vertrouwelijkheidsclausule)\W*",
    re.IGNORECASE,
)
_OPENING = re.compile(
    r"[\W_]{0,4}(?:this|the (?:information|contents?)(?: contained| sent)? (?:in|of) this|diese"
    r"|dieses|ce|cette|este|esta"
    r"|questo|questa|dit|deze|if you (?:are not|have received)|wenn sie nicht|si vous n"
    r"|si usted no|se hai|se avete"
    r"|le informazioni|die information(?:en)?|de informatie)\b",
    re.IGNORECASE,
)
# What lawyers write, phrase by phrase: people who write about confidential mails use one of them, not three.
_PHRASES = tuple(
    re.compile(phrase, re.IGNORECASE)
    for phrase in (
        *(
            r"intended (?:only |solely |exclusively )?for (?:the|use|its)\b",
            r"(?:intended|named) (?:recipient|addressee)|(?:for|to) the addressee",
            (
                r"receiv\w+ (?:this|it|the)\b.{0,60}\b(?:in error|by mistake)|sent to you (?:in error"
                r"|by mistake)"
            ),
            (
                r"(?:notify|inform|contact|advise|tell) (?:the sender|us (?:immediately|at once))"
                r"|repl\w+ to the sender"
            ),
            r"(?:strictly )?prohibited|is not (?:permitted|authori[sz]ed)|may be unlawful|unauthori[sz]ed",
            (
                r"(?:disclos|distribut|disseminat|copy|review|retransmi)\w*.{1,40}\b(?:disclos"
                r"|distribut|disseminat|copy|use)"
            ),
            (
                r"(?:legally|attorney.client|otherwise) privileged|privileged (?:and|or|information)"
                r"|legal privilege"
            ),
            (
                r"(?:is|are|be|contain(?:s|ing)?|strictly) (?:\w+ )?confidential\b"
                r"|confidential(?:ity)? (?:and|or|information)"
            ),
            (
                r"(?:delete|destroy) (?:it|this|the|all|any|both)\b.{0,40}"
                r"(?:from your|immediately|cop(?:y|ies)|e-?mail|message|\.|$)"
            ),
            (
                r"views?(?: or opinions?)?.{0,60}(?:expressed|of the (?:author|sender))"
                r"|do(?:es)? not necessarily"
            ),
            r"virus(?:es)?\b|malware|malicious",
            r"no (?:liability|responsibility)|not (?:be )?liable|warrant(?:y|ies)",
            (
                r"any (?:attachments?|files?)\b|including (?:any|its|all) attachments?"
                r"|attachments? (?:to it|thereto)"
            ),
        ),
        *(
            r"vertrauliche? (?:und|oder|information)|rechtlich geschützt",
            r"nicht der (?:richtige|beabsichtigte|vorgesehene) (?:adressat|empfänger)|ausschließlich für den",
            r"irrtümlich (?:erhalten|empfangen|zugesandt)|versehentlich erhalten",
            (
                r"informieren sie (?:bitte )?(?:sofort |umgehend |unverzüglich )?den absender"
                r"|benachrichtigen sie"
            ),
            r"vernichten sie|löschen sie (?:bitte )?diese",
            r"unerlaubte[sn]? kopieren|unbefugte (?:weitergabe|weiterleitung)|nicht gestattet",
        ),
        *(
            (
                r"(?:message|courriel|courrier).{0,60}(?:pièces? jointes?"
                r"|fichiers? joints?).{0,40}(?:est|sont|peu)"
            ),
            r"confidentiels? et|sont confidentiel|caractère confidentiel|informations confidentielles",
            (
                r"intention exclusive|usage exclusif|destinataires? (?:désigné|visé|prévu|mentionné)"
                r"|pas le destinataire"
            ),
            r"reçu ce (?:message|courriel|mail) par erreur|vous est parvenu par erreur",
            r"avertir .{0,30}expéditeur|en informer .{0,30}expéditeur|prévenir .{0,30}expéditeur|le détruire",
            r"(?:utilisation|diffusion|publication|reproduction).{0,80}(?:interdite|non autorisée|prohibée)",
        ),
        *(
            (
                r"(?:información|informação|informações) confidencia|(?:es|son|é|são) confidencia"
                r"|carácter confidencial"
            ),
            (
                r"(?:dirigid|destinad)[oa]s? (?:exclusivamente|únicamente|somente|apenas)|uso exclusivo"
                r"|no es (?:usted )?el destinatario|não (?:é|for) o destinatário"
            ),
            r"(?:recibido|recebeu|recebido).{0,40}por (?:error|erro|engano)",
            (
                r"(?:notifi|comuni|avis|inform)\w*.{0,40}(?:remitente|remetente|inmediat|imediat)"
                r"|rogamos|elimin\w+ (?:este|esta)"
            ),
            (
                r"(?:divulgación|reproducción|copia|distribución|utilização"
                r"|divulgação).{0,80}(?:prohibid|proibid|no autoriz)"
            ),
            r"archivos adjuntos|ficheros adjuntos|sus anexos|seus anexos|arquivos anexos",
        ),
        *(
            (
                r"informazioni contenute in quest|(?:sono|è|carattere) (?:strettamente )?(?:riservat"
                r"|confidenzial)|riservate e"
            ),
            (
                r"uso esclusivo|esclusivamente (?:a|al|ai|per) |non siete (?:il|i) destinatari"
                r"|diverse dal destinatario"
            ),
            r"(?:ricev|pervenut)\w*.{0,40}per errore",
            (
                r"(?:avvert|inform|comunic|avvis)\w*.{0,40}(?:mittente|immediatamente)|preghiamo di"
                r"|distrugger|eliminar"
            ),
            r"(?:copiare|divulgazione|diffusione|utilizzo|riproduzione).{0,80}(?:vietat|proibit|terzi)",
            r"(?:negli|eventuali|suoi|relativi) allegati",
        ),
        *(
            r"vertrouwelijke? (?:en|informatie|zijn)|is vertrouwelijk",
            (
                r"uitsluitend (?:bestemd|bedoeld)|niet de (?:geadresseerde|beoogde ontvanger)"
                r"|bestemd voor de geadresseerde"
            ),
            r"ten onrechte ontvang|per abuis ontvang|onbedoeld ontvang",
            (
                r"afzender (?:direct |onmiddellijk )?(?:te )?(?:informeren|waarschuwen|verwittigen)"
                r"|te vernietigen|te verwijderen"
            ),
            r"niet toegestaan|verspreiding|openbaarmaking|vermenigvuldiging",
        ),
        *(
            r"機密|秘密",
            r"宛先|受信者",
            r"誤って|誤送",
            r"破棄|削除",
            r"保密|机密",
            r"收件人|接收者",
            r"误收|错误",
            r"删除|销毁",
        ),
    )
)
_LONGEST_NOTICE = 4000
_NOTICE_LENGTH = 60
_SPARSE_LENGTH = 75
"""Characters of a notice with fewer phrases than its heading or opening makes good for."""
_NOTICE_LINES = 60
_FEWEST_PHRASES = 3
_AIM = r"(?:<?(?:mailto:|https?://)\S{1,300}|<?[\w.+=-]{1,64}@[\w.-]{1,255}>?|www\.\S{1,200})"
_LIST_FOOTER = re.compile(
    rf"[\W_]{{0,4}}(?:to (?:unsubscribe|view this discussion|leave this list"
    rf"|manage your subscription)\b.{{0,200}}?{_AIM}.{{0,40}}"
    rf"|you (?:are receiving|received) this (?:e-?mail |message )?because you (?:are|were"
    rf"|have) (?:subscribed|signed up|a member)"
    rf".{{0,160}}|(?:list-)?unsubscribe:? {_AIM}.{{0,20}}|view this message in context: {_AIM}"
    rf"|sent from the .{{1,80}} mailing list archive at .{{1,80}})",
    re.IGNORECASE,
)
_AIMED = re.compile(rf"[\W_]{{0,4}}{_AIM}\W{{0,4}}", re.IGNORECASE)
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
    """Whether a lawyers' notice begins here: a paragraph of their phrases, under a heading perhaps."""
    if index and lines[index - 1].strip() and not _RULED.match(seen(lines[index - 1])):
        return False
    start = index
    if _HEADING.fullmatch(seen(lines[index])):
        filled = (at for at in range(index + 1, min(len(lines), index + 8)) if lines[at].strip())
        start = next(filled, index)
    paragraph = _paragraph(lines, start)
    phrases = _phrases(paragraph)
    opened = start > index or _OPENING.match(paragraph) is not None
    if phrases < _FEWEST_PHRASES:
        return opened and phrases == _FEWEST_PHRASES - 1 and len(paragraph) >= _SPARSE_LENGTH
    return len(paragraph) >= _NOTICE_LENGTH


def _paragraph(lines: Sequence[str], index: int) -> str:
    rest = lines[index : index + _NOTICE_LINES]
    end = next((at for at, line in enumerate(rest) if not line.strip()), len(rest))
    return " ".join(plain(line[:_LONGEST_NOTICE]) for line in rest[:end])[:_LONGEST_NOTICE]


def _phrases(text: str) -> int:
    return sum(1 for phrase in _PHRASES if phrase.search(text))
