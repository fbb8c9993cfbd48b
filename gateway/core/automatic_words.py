"""The words by which machines give themselves away, by language.

One alternative a line, as a regular expression. A blank stands for any blank, so that a line break in a
sentence hides nothing; `~` for some words of the same clause, in which nobody else is spoken of. A word too
few costs a question put to a machine, a word too many somebody's answer: what is looked for in texts are
sentences that say it of their writer, never single words.
"""
# ruff: noqa: RUF001 - letters of other alphabets are meant as they stand

import re
from collections.abc import Mapping


def alternatives(*tables: Mapping[str, str]) -> str:
    """Join the lines of tables to one regular expression."""
    lines = (line.strip() for table in tables for text in table.values() for line in text.splitlines())
    return "|".join(line.replace("~", _CLAUSE).replace(" ", _BLANK) for line in lines if line)


def beginning(table: Mapping[str, str], end: str = "") -> re.Pattern[str]:
    """Compile a table to what a line begins with, perhaps behind a bracket, and before `end`."""
    return re.compile(rf"\W{{0,3}}(?:{alternatives(table)}){end}", re.IGNORECASE)


_BLANK = r"\s{1,3}"
# Dates are full of stops and commas.
_CLAUSE = (
    r"(?:(?!\b(?:is|are|was|ist|sind|est|sont|está|están|estão|è|är|er|jest)\b)"
    r"(?:[^.,:;!?。]|(?<=\d)[.,]|(?<!\d)(?:\.(?=\d)|,(?=\s(?:\d|de[nm]\b))))){0,80}?"
)

LABEL_END = r"\s{0,3}(?:$|[:：(\[\u2013\u2014-]|re\b|aw\b)"
"""What stands behind a single word that makes a subject a label: `Absence: Approve?`."""

# --- subjects -----------------------------------------------------------------------------------------------

AUTOMATIC_SUBJECTS = {
    "en": r"""
        auto(?:matic|mated|matically generated)?[\s-]?(?:reply|response|respons|answer)\b
        out[\s-]of[\s-](?:the[\s-])?office\b
        (?:away|on (?:vacation|holidays?|leave|annual leave)|out) (?:until|till|from)\b
        away from (?:my|the) (?:mail|e-?mail|desk|office)
        your message to .{1,80} awaits moderator approval
        please confirm your message
        complaint about message from
    """,
    "de": r"automatische (?:antwort|rückantwort)|abwesenheits(?:notiz|nachricht|meldung|assistent)",
    "fr": r"réponse automatique|absente? du bureau|absence du bureau|message d'absence",
    "es": r"respuesta automática|fuera de (?:la )?oficina|mensaje automático",
    "pt": r"resposta automática|fora do escritório|ausência temporária",
    "it": r"risposta automatica|fuori (?:sede|ufficio)|messaggio automatico",
    "nl": r"automatisch antwoord|automatische beantwoording|afwezigheids(?:bericht|melding)|niet aanwezig",
    "sv": r"automatiskt svar|autosvar|frånvaromeddelande",
    "da, nb": r"automatisk svar|autosvar|ikke til stede|fraværsmelding|fraværsassistent",
    "fi": r"automaattinen vastaus|poissa toimistosta|poissaoloviesti",
    "pl": r"automatyczna odpowiedź|odpowiedź automatyczna|poza biurem",
    "cs, sk": r"automatická odpove[dď]ď?|automatická odpověď|mimo kancelář",
    "hu": r"automatikus válasz|házon kívül",
    "ro": r"răspuns automat",
    "bg, hr, sl": r"автоматичен отговор|automatski odgovor|samodejni odgovor",
    "et, lv, lt": r"automaatvastus|automātiskā atbilde|automatinis atsakymas",
    "el": r"αυτόματη απάντηση|εκτός γραφείου",
    "tr": r"otomatik (?:yanıt|cevap)|ofis dışında",
    "ru": r"автоматический ответ|автоответ|нет на месте|вне офиса",
    "uk": r"автоматична відповідь|поза офісом",
    "he, ar": r"תשובה אוטומטית|מענה אוטומטי|מחוץ למשרד|رد تلقائي|الرد التلقائي|خارج المكتب",
    "ja": r"自動(?:応答|返信|送信)|不在(?:通知|のお知らせ|連絡|です|:|：)|休暇中",
    "zh": r"自动(?:回复|答复)|自動(?:回覆|答覆|回復)|不在(?:办公室|辦公室)|外出(?:通知|回复|回覆)",
    "ko": r"자동\s?(?:회신|응답|답장)|부재\s?중|외출",
    "vi, th, id": r"trả lời tự động|tự động trả lời|ตอบกลับอัตโนมัติ|balasan otomatis",
}
"""How the subject of an automatic answer begins."""

AUTOMATIC_LABELS = {
    "absent": r"""
        auto(?=:)|ooo|oof|vacation|absence|absente?|away|abwesend|abwesenheit|urlaub|ausencia|ausente|ausência|assenza
        assente|afwezig|afwezigheid|frånvaro|fravær|poissa|nieobecność|dovolená|nepřítomnost|távollét|absență
        απουσία|отпуск|отсутствие|відпустка|不在|休暇|休假
    """,
    "receipts": r"""
        read|not read|return receipt|gelesen|ungelesen|nicht gelesen|lu|non lu|leído|no leído|lida|não lida
        letto|non letto|gelezen|läst|læst|lest|luettu|przeczytano|přečteno|прочитано|okundu|開封済み|已读|읽음
        return receipt \(displayed\)
    """,
}
"""Words that tell only as a label: of an absence, of what Outlook and Notes call a receipt."""

NAMED_SUBJECTS = {
    "en": r"is (?:out of the office|on (?:vacation|leave|holiday))",
    "de": r"ist (?:außer haus|nicht im (?:büro|hause?)|im urlaub|abwesend)",
    "fr": r"est (?:absente?|en congés?)\b",
    "es, pt, it": r"(?:está (?:fuera de la oficina|fora do escritório|ausente)|è (?:assente|fuori ufficio))",
    "nl, sv": r"(?:is (?:niet op kantoor|afwezig)|är (?:inte på kontoret|frånvarande))",
}
"""What HCL Notes writes behind the absent person's name."""

BOUNCE_SUBJECTS = {
    "en": r"""
        undeliver(?:able|ed)(?::| mail| message| e-?mail|$)
        delivery status notification
        (?:mail |message )?delivery (?:failure|failed|has failed)\s{0,2}(?:$|[:(\[]|noti|report)
        mail delivery (?:failed|error|problem)
        returned (?:mail|to sender|message):?
        failure notice
        non-?deliver(?:y|able)
        delayed mail \(
        warning: (?:could not send|message \S{1,40} delayed)
        mail (?:system error|could not be delivered|undeliverable)
    """,
    "de": r"unzustellbar|zustellung (?:fehlgeschlagen|nicht möglich)",
    "fr": r"non remis|non distribuable|échec de (?:la )?remise",
    "es, pt": r"no se puede entregar|no entregado|não (?:é possível entregar|entregue)|falha na entrega",
    "it, nl": r"non recapitabile|mancato recapito|onbestelbaar",
    "sv, da, nb, fi": r"går inte att leverera|olevererbart|kan ikke leveres|toimittamaton",
    "pl, cs, hu": r"niedostarczalne|nie można dostarczyć|nedoručitelné|kézbesíthetetlen",
    "ru, tr": r"не удается доставить|недоставленн|teslim edilemedi",
    "ja, zh, ko": (
        r"配信(?:不能|できません|エラー)|无法(?:传递|投递|送达)|無法傳遞|系统退信|退信通知"
        r"|배달되지 않음|배달할 수 없음"
    ),
}
"""How the subject of a report begins where a server kept nothing else of it."""

CALENDAR_SUBJECTS = {
    "en": r"""
        (?:tentatively )?accepted|declined|tentative|new time proposed
        cancell?ed(?: event)?|(?:updated )?invitation
    """,
    "de": r"(?:vorläufig )?zugesagt|abgelehnt|(?:mit vorbehalt )?angenommen|mit vorbehalt|abgesagt|einladung",
    "fr": r"acceptée?|refusée?|provisoire|annulée?|invitation",
    "es": r"aceptad[ao]|rechazad[ao]|provisional|cancelad[ao]|invitación",
    "pt": r"aceit[aeo]|recusad[ao]|provisóri[ao]|convite",
    "it": r"accettat[ao]|rifiutat[ao]|provvisori[ao]|con riserva|invito",
    "nl": r"geaccepteerd|geweigerd|afgewezen|voorlopig|uitnodiging",
    "sv": r"accepterat|godkänt|avböjt|avvisat|preliminärt|inbjudan",
    "da, nb": r"accepteret|afvist|foreløbig|godtatt|akseptert|avslått|invitasjon",
    "fi": r"hyväksytty|hylätty|alustava|kutsu",
    "pl": r"zaakceptowan[eoy]|odrzucon[eoy]|wstępnie|zaproszenie",
    "cs": r"přijato|odmítnuto|nezávazně|pozvánka",
    "hu, tr": r"elfogadva|elutasítva|kabul edildi|reddedildi|belirsiz",
    "ru": r"принято|отклонено|под вопросом|приглашение",
    "ja, zh, ko": r"承諾(?:済み)?|辞退|仮承諾|已接受|已拒绝|已拒絕|暂定|暫定|수락됨|거절됨|미정",
}
"""The label that a calendar puts before the subject of its answer."""

# --- texts --------------------------------------------------------------------------------------------------

REACTIONS = {
    "en": r"reacted to your message|liked your message|reacted via gmail",
    "de": r"hat (?:mit \S{1,8} )?auf (?:ihre|deine) nachricht reagiert|gefällt (?:ihre|deine) nachricht",
    "fr": r"a réagi à (?:votre|ton) message|a aimé (?:votre|ton) message",
    "es": r"(?:ha reaccionado|reaccionó) a (?:tu|su) mensaje",
    "pt": r"reagiu à (?:sua|tua) mensagem",
    "it": r"ha reagito al (?:tuo|suo) messaggio",
    "nl": r"heeft gereageerd op (?:uw|je) bericht",
    "sv": r"reagerade på ditt meddelande",
    "da, nb": r"reagerede på din (?:besked|meddelelse)|reagerte på meldingen din",
    "pl, ru": r"zareagowała? na (?:twoją )?wiadomość|отреагировала? на ваше сообщение",
}
"""What Outlook and Gmail write behind the name of somebody who reacted."""

MACHINE_TEXTS = {
    "en": r"""
        this (?:is|was) an? (?:auto|computer|system)[\w-]{0,20}~(?:reply|response|answer|message|mail|noti)
        this (?:message|e-?mail|mail|reply) (?:was|has been|is) automatically (?:generated|created|sent)
        this (?:message|e-?mail|mail|reply) (?:was|has been|is) (?:generated|created|sent) automatically
        this (?:mailbox|inbox|address|e-?mail address) is (?:not|no longer) (?:monitored|in use|read)
        your (?:request|inquiry|enquiry|case) (?:has been|was) received\b[^.]{0,60}\bticket number
        we have received your (?:request|inquiry|enquiry|message|e-?mail)
        (?:verify|confirm|prove) that you are (?:a )?(?:human|person|not a)
        your (?:message|mail|e-?mail)~is being held
        this is the mail system at host
        this is the qmail-send program
        created automatically by mail delivery software
        your message (?:wasn't|was not|couldn't be|could not be) delivered
        (?<!\bi\s)would like to recall the message,? "
        your mailbox is (?:almost |nearly )?(?:full|over)
        you have (?:received )?a (?:new )?(?:voice ?mail|voice message|fax)\b
    """,
    "de": r"""
        (?:dies|das|es) (?:ist|handelt)~automatisch~(?:antwort|nachricht|mail|mitteilung)
        diese (?:e-?mail|mail|nachricht|mitteilung|antwort) (?:wurde|ist)~automatisch
        ihre (?:e-?mail|mail|nachricht|anfrage) wird (?:nicht (?:weitergeleitet|gelesen)|zurückgehalten)
        ihre (?:e-?mail|mail|nachricht|anfrage) ist bei uns eingegangen
        (?<!\bich\s)möchte die nachricht "[^"]{0,200}" zurückrufen
    """,
    "fr": r"""
        ceci est (?:un message|une réponse|un e-?mail)~automatique
        ce (?:message|courriel|mail) (?:est|a été)~automatiquement
        votre (?:demande|message) a (?:bien )?été (?:reçue?|enregistrée?)
        (?<!\bje\s)souhaite rappeler le message
    """,
    "es": r"""
        est[ea] es una? (?:mensaje|correo|respuesta)~automátic[ao]
        (?:mensaje|correo) (?:ha sido )?(?:generado|enviado) automáticamente
    """,
    "pt": r"est[ae] é uma? (?:mensagem|resposta|e-?mail)~automátic[ao]",
    "it": r"quest[ao] è una? (?:risposta|messaggio|e-?mail)~automatic[ao]",
    "nl": r"dit is een automatisch~(?:antwoord|bericht|e-?mail)",
    "sv, da, nb": r"(?:detta|det här|dette|det) (?:är|er) (?:et|ett|en) (?:automatisk|autosvar)",
    "fi, hu": r"tämä on automaattinen|ez egy automatikus",
    "pl": r"to jest (?:wiadomość )?automatyczn|wiadomość (?:została )?(?:wygenerowana|wysłana) automatycznie",
    "cs, sk": r"to(?:to|hle) je automatick",
    "ro, el": r"acesta este un (?:răspuns|mesaj) automat|αυτό είναι (?:ένα )?αυτόματο|αυτόματη απάντηση",
    "tr": r"bu (?:bir )?otomatik (?:bir )?(?:yanıt|mesaj|cevap)",
    "ru, uk": r"это автоматическ|письмо (?:создано|отправлено) автоматически|це автоматична",
    "he, ar": r"(?:זוהי|זו) (?:הודעה|תשובה) אוטומטית|هذا رد (?:تلقائي|آلي)|هذه رسالة (?:تلقائية|آلية)",
}
"""What machines say of their own mails, tickets, hold-ups and errors."""

_AWAY_DE = (
    r"(?:nicht (?:im (?:büro|hause?|dienst)|erreichbar|am arbeitsplatz)|au(?:ß|ss)er haus|im urlaub"
    r"|in elternzeit|im mutterschutz|abwesend|auf (?:dienst|geschäfts)reise|krankgeschrieben"
    r"|wieder (?:erreichbar|im (?:büro|hause?)|für sie da))"
)

ABSENT_TEXTS = {
    "en": r"""
        \bi(?:'m| am|'ll be| will be)~out of (?:the |my |our )?office
        \bi(?:'m| am|'ll be| will be)~on (?:\w{3,9} )?(?:vacation|holidays?|leave|pto)\b
        \bi(?:'m| am|'ll be| will be)~on a business trip\b
        \bi(?:'m| am|'ll be| will be)~ooo\b
        ^(?:currently )?out of (?:the )?office (?:until|till|from)\b
        ^(?:currently )?on (?:annual )?(?:leave|vacation|holiday) (?:until|till|from)\b
        \bi(?:'ll| will) (?:respond|reply|answer)~(?:(?:when|once) i (?:return|am back)|(?:up)?on my return)\b
        \bi(?:'m| am|'ll be| will be)~away (?:from (?:my|the) (?:desk|office|mail|e-?mail)|until|till|from)\b
        \bi(?:'m| am|'ll be| will be)~out (?:until|till|sick)\b
        \bi(?:'ll| will) (?:return|be back) (?:to|in|at) (?:the office|work|my desk)\b
        \bi will not be reading my mail
        (?:limited|no|little|intermittent|sporadic) access to (?:my )?e-?mails?
        (?:limited|no|little|intermittent|sporadic) (?:e-?mail|internet) access
        \bi (?:have left the company|no longer work|am no longer (?:with|employed|working))\b
        our offices? (?:is|are|will be) closed
    """,
    "de": rf"""
        \b(?:bin|befinde|ich werde|werde ich|wir sind|sind wir)\b~{_AWAY_DE}
        \bich habe~urlaub\b
        arbeite nicht mehr (?:bei|für)
        unser büro (?:ist|bleibt)~geschlossen
    """,
    "fr": r"""
        \bje (?:suis|serai)~(?:absente?|en (?:congés?|vacances|déplacement|arrêt)|hors du bureau)\b
        absente? du bureau
        je (?:serai|suis) de retour
        je n'(?:ai|aurai)~accès à (?:mes|ma) (?:e-?mails?|mails?|messagerie|courriels)
        je ne travaille plus (?:chez|pour)
        (?:nos bureaux sont|notre bureau est) fermée?s?
    """,
    "es": r"""
        (?:estoy|estaré|encuentro|encontraré)~(?:fuera de (?:la )?oficina|de (?:vacaciones|baja|permiso))
        (?:estoy|estaré|encuentro|encontraré)~(?:ausente|fuera hasta)
        no (?:estoy|estaré) en la oficina
    """,
    "pt": r"""
        (?:estou|estarei|encontro-me|me encontro)~(?:fora do escritório|de férias|ausente|de licença)
        não (?:estou|estarei) no escritório
    """,
    "it": r"""
        (?:\bsono|sarò)~fuori (?:ufficio|sede|dall'ufficio)\b
        non (?:sono|sarò) in ufficio
        (?:\bsono|sarò)~(?:in (?:ferie|malattia|vacanza|congedo)|assent[ei])\b
    """,
    "nl": r"""
        (?:ik ben|ben ik|ik zal)~(?:niet op kantoor|afwezig|(?:met|op) vakantie|met verlof|buiten kantoor)\b
        (?:ik ben|ben ik)~weer (?:aanwezig|bereikbaar|op kantoor)
    """,
    "sv": r"""
        jag är~(?:inte på kontoret|på semester|bortrest|frånvarande|tjänstledig|föräldraledig)\b
        jag (?:har semester|är~(?:ledig|åter|tillbaka))\b
    """,
    "da": r"""
        jeg (?:er|holder)~(?:ikke på kontoret|ferie|fraværende|ude af kontoret|tilbage)\b
    """,
    "nb": r"""
        jeg (?:er|har)~(?:ute av kontoret|ferie|bortreist|fraværende|i permisjon|tilbake)\b
    """,
    "fi": r"""
        \ben ole tavoitettavissa
        \bpalaan (?:töihin|toimistolle)
        \bolen~(?:poissa|lomalla|vuosilomalla|matkoilla|vapaalla)\b
    """,
    "pl": r"""
        (?:jestem|będę|przebywam)~(?:poza biurem|na urlopie|nieobecn[ay]|na zwolnieniu)\b
        nie (?:ma|będzie) mnie w (?:biurze|pracy)
    """,
    "cs": r"""
        (?:\bjsem|\bbudu)~(?:mimo kancelář|na dovolené|nepřítom[en]n?[aý]?|v zahraničí)\b
        ne(?:jsem|budu) (?:v kanceláři|k zastižení|přítom)
        čerpám dovolenou
    """,
    "sk": r"""
        (?:\bsom|\bbudem)~(?:mimo kancelárie|na dovolenke|neprítomn[aý])\b
    """,
    "hu": r"""
        nem (?:vagyok|leszek) (?:az irodában|elérhető)
        szabadságon (?:vagyok|leszek)
        szabadságomat töltöm
        házon kívül vagyok
    """,
    "ro": r"""
        \b(?:sunt|voi fi|mă aflu)~(?:în concediu|în afara biroului|absent|plecată? din birou)
    """,
    "el": r"""
        (?:βρίσκομαι|είμαι|θα είμαι|λείπω)~(?:εκτός γραφείου|σε άδεια)
        \bαπουσιάζω\b
    """,
    "tr": r"""
        (?:yıllık )?izin(?:deyim|liyim|de olacağım)
        iznimi kullan
        ofis(?:te değilim| dışındayım| dışında (?:olacağım|bulun))
        \btatildeyim
    """,
    "ru": r"""
        (?:нахожусь|\bбуду|\bя)~(?:в (?:отпуске|командировке|отъезде)|вне офиса|не в офисе|на больничном)\b
        меня (?:не будет|нет)\b~(?:на месте|в офисе|на работе)
        \b(?:отсутствую|буду отсутствовать)\b
        ^в (?:отпуске|командировке)\b
    """,
    "uk": r"""
        (?:перебуваю|\bбуду|\bя)~(?:у відпустці|у відрядженні|поза офісом)\b
    """,
    "he": r"(?:אני|אהיה)~(?:בחופשה|מחוץ למשרד)|(?:אינני|לא) נמצאת? במשרד",
    "ar": r"(?:أنا|سأكون|إنني)~(?:خارج المكتب|في إجازة)",
    "vi, th, id": r"tôi (?:đang |sẽ )?(?:đi vắng|nghỉ phép)|ไม่อยู่ที่(?:สำนักงาน|ออฟฟิศ)|saya sedang cuti",
}
"""How people say in an absence note that they are away."""

UNSPACED_TEXTS = {
    "ja": r"""
        (?<![はが])(?:休暇|不在|出張)中(?:です|でございます|につき|のため)
        (?:不在|休暇|お休み|休業|外出|留守|出張)(?:を|と|に)?(?:いただ|頂|して(?:い|お)|させて|取得して|となって)
        (?:不在|休暇|出張)のため、?(?:返信|ご返信|お返事|ご連絡|確認|対応)
        (?:自動(?:応答|返信|送信|配信)(?:です|メールです|メッセージです|されて|しており|でお送り))
    """,
    "zh": r"""
        (?:我|本人)[^。！？，,]{0,20}(?:休假|出差|外出|度假|不在)
        (?:^|[，。！,])(?:目前|现在|現在|近期)?(?:正在)?(?:休假|外出|出差|不在办公室|不在辦公室)
        (?:这|這|此|本)(?:是|邮件|郵件|信)[^。！？，,]{0,12}(?:自动|自動)(?:回复|回覆|答复|发送|發送|发出)
    """,
    "ko": r"""
        (?:부재중|휴가중|휴가로|출장중)(?:입니다|이오니|이므로|으로|이라|인관계로|자리를)
        자리를비(?:우|웁)
        자동(?:회신|응답|답장|발송)(?:입니다|메일입니다|메시지입니다|된메일)
    """,
}
"""The same where a line may end within a word; compared without blanks."""
