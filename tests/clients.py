"""What mail programs put around a reply: how they quote, and what phones, servers, lawyers and lists add."""

from collections.abc import Callable

SENDER = "Example approvals <approvals@gateway.example.net>"

Quote = Callable[[str], str]


def marked(letter: str, mark: str = "> ") -> str:
    return "".join(f"{mark}{line}".rstrip() + "\n" for line in letter.splitlines())


def wrapped(letter: str, width: int = 62) -> str:
    """Mark the lines and break those that are too long, as phones do: the rest stands below without a mark."""
    lines = []
    for line in letter.splitlines():
        text = f"> {line}".rstrip()
        cut = text.rfind(" ", 2, width)
        lines += (
            [text]
            if len(text) <= width or not text[2 : max(cut, 2)].strip()
            else [text[:cut], text[cut + 1 :]]
        )
    return "\n".join(lines) + "\n"


_ATTRIBUTIONS = (
    "On Tue, Mar 3, 2026 at 9:14 AM Example approvals <\napprovals@gateway.example.net> wrote:\n",
    f"On Tue, 3 Mar 2026 at 09:14, {SENDER} wrote:\n",
    "Am Di., 3. März 2026 um 09:14 Uhr schrieb Example approvals <\napprovals@gateway.example.net>:\n",
    "Le mar. 3 mars 2026 à 09:14, Example approvals <\napprovals@gateway.example.net> a écrit :\n",
    "El mar, 3 mar 2026 a las 9:14, Example approvals (<\napprovals@gateway.example.net>) escribió:\n",
    "Em ter., 3 de mar. de 2026 às 09:14, Example approvals <\napprovals@gateway.example.net> escreveu:\n",
    "Il giorno mar 3 mar 2026 alle ore 09:14 Example approvals <\napprovals@gateway.example.net> ha scritto:\n",
    "Op di 3 mrt 2026 om 09:14 schreef Example approvals <\napprovals@gateway.example.net>:\n",
    f"2026年3月3日(火) 9:14 {SENDER}:\n",
    f"{SENDER} 于2026年3月3日周二 09:14写道：\n",
    "On 03/03/2026 09:14, Example approvals wrote:",
    "Am 03.03.26 um 09:14 schrieb Example approvals:",
    "Le 03/03/2026 à 09:14, Example approvals a écrit :",
    "El 03/03/2026 a las 9:14, Example approvals escribió:",
    "Em 03/03/2026 09:14, Example approvals escreveu:",
    "Il 03/03/2026 09:14, Example approvals ha scritto:",
    "Op 03-03-2026 om 09:14 schreef Example approvals:",
    "On Tue, Mar 03, 2026 at 09:14:00AM +0100, Example approvals wrote:",
    f"On 3 Mar 2026 at 09:14 +0100, {SENDER}, wrote:",
    f"On Tuesday, March 3rd, 2026 at 9:14 AM, {SENDER} wrote:\n",
)
_APPLE = (
    f"> On 3 Mar 2026, at 09:14, {SENDER} wrote:\n> \n",
    f"> Am 03.03.2026 um 09:14 schrieb {SENDER}:\n> \n",
    f"> Le 3 mars 2026 à 09:14, {SENDER} a écrit :\n> \n",
    f"> El 3 mar 2026, a las 9:14, {SENDER} escribió:\n> \n",
    f"> Il giorno 3 mar 2026, alle ore 09:14, {SENDER} ha scritto:\n> \n",
    f"> 2026/03/03 9:14、{SENDER}のメール:\n> \n",
)
_OUTLOOK = (
    ("From", "Sent", "To", "Subject", "Tuesday, March 3, 2026 9:14 AM"),
    ("Von", "Gesendet", "An", "Betreff", "Dienstag, 3. März 2026 09:14"),
    ("De ", "Envoyé ", "À ", "Objet ", "mardi 3 mars 2026 09:14"),
    ("De", "Enviado", "Para", "Asunto", "martes, 3 de marzo de 2026 9:14"),
    ("De", "Enviada em", "Para", "Assunto", "terça-feira, 3 de março de 2026 09:14"),
    ("Da", "Inviato", "A", "Oggetto", "martedì 3 marzo 2026 09:14"),
    ("Van", "Verzonden", "Aan", "Onderwerp", "dinsdag 3 maart 2026 09:14"),
    ("差出人", "送信日時", "宛先", "件名", "2026年3月3日 9:14"),
    ("发件人", "发送时间", "收件人", "主题", "2026年3月3日 9:14"),
)
_ORIGINAL = (
    *(
        "Original Message",
        "Ursprüngliche Nachricht",
        "Message d'origine",
        "Mensaje original",
        "Mensagem original",
    ),
    *("Messaggio originale", "Oorspronkelijk bericht", "元のメッセージ", "原始邮件"),
)


def _header(names: tuple[str, ...]) -> str:
    sender, sent, to, subject, when = names
    return (
        f"{sender}: {SENDER}\n{sent}: {when}\n{to}: Dana Petrova <dana@example.com>\n"
        f"{subject}: [HIGH] Approve? Send email to team@example.com: Q1 report\n\n"
    )


def _headed(heading: str) -> Quote:
    return lambda letter: heading + letter


OUTLOOK = _headed(_header(_OUTLOOK[0]))

QUOTES: tuple[Quote, ...] = (
    *(lambda letter, heading=heading: f"{heading}\n{marked(letter)}" for heading in _ATTRIBUTIONS),
    *(lambda letter, heading=heading: f"{heading}{marked(letter)}" for heading in _APPLE),
    *map(_headed, (f"{'_' * 32}\n{_header(names)}" for names in _OUTLOOK)),
    *map(_headed, (_header(names) for names in _OUTLOOK)),
    *map(
        _headed,
        (f"-----{title}-----\n{_header(names)}" for title, names in zip(_ORIGINAL, _OUTLOOK, strict=True)),
    ),
    *(
        lambda letter: f"-----Original Message-----\n{_header(_OUTLOOK[0])}{letter}",
        lambda letter: (
            f"On Tuesday, March 3, 2026 at 09:14:00 AM GMT+1, {SENDER} wrote: \n\n{marked(letter, '  ')}"
        ),
        lambda letter: f" ---- On Tue, 03 Mar 2026 09:14:00 +0100 {SENDER} wrote --- \n\n{letter}",
        lambda letter: (
            f'From:    "Example approvals" <approvals@gateway.example.net>\nTo:      Dana Petrova/Example\n'
            f"Date:    03/03/2026 09:14 AM\nSubject: Approve?\n\n\n{letter}"
        ),
        lambda letter: (
            f"-------- Original message --------\nFrom: {SENDER} Date: 03/03/2026 09:14 (GMT+01:00) "
            f"To: dana@example.com Subject: Approve?\n\n{letter}"
        ),
        marked,
        lambda letter: marked(letter, ">"),
        lambda letter: marked(letter, ">> ") + marked("Good morning\n"),
        lambda letter: f"{_ATTRIBUTIONS[0]}\n{marked(letter)}>\n> -- \n> Approvals\n",
    ),
)

SIGNATURES = (
    "-- \nDana Petrova\nHead of Finance, Example Ltd\nTel: +49 30 1234567\nwww.example.com",
    "-- \nDana Petrova\nChange Handling, by appointment",
    "-- \nDana",
)

ADDITIONS = (
    *(
        "Sent from my iPhone",
        "Sent from my Galaxy",
        "Get Outlook for iOS<https://aka.ms/o0ukef>",
        "Sent from Outlook for Android",
    ),
    *(
        "Von meinem iPhone gesendet",
        "Envoyé de mon iPhone",
        "Enviado desde mi iPhone",
        "Inviato da iPhone",
        "Enviado do meu iPhone",
    ),
    *(
        "Verstuurd vanaf mijn iPhone",
        "iPhoneから送信",
        "发自我的iPhone",
        "Sent with Proton Mail secure email.",
    ),
    "CONFIDENTIALITY NOTICE: This e-mail and any attachments are for the exclusive and confidential use of the intended\n"
    "recipient. If you received this in error, do not read, distribute or approve it, and delete it at once.",
    "This email and any files transmitted with it are confidential and intended solely for the use of the individual or\n"
    "entity to whom they are addressed. If you have received this email in error please reject it and notify the sender.",
    "If you are not the intended recipient you are notified that disclosing, copying or relying on the contents of this\n"
    "information is strictly prohibited, unless you modify it.",
    "Diese E-Mail enthält vertrauliche und/oder rechtlich geschützte Informationen. Wenn Sie nicht der richtige Adressat\n"
    "sind oder diese E-Mail irrtümlich erhalten haben, informieren Sie bitte sofort den Absender.",
    "Ce message et toutes les pièces jointes sont confidentiels et établis à l'intention exclusive de ses destinataires.\n"
    "Si vous recevez ce message par erreur, merci de le détruire, sauf avis contraire.",
    "Este mensaje y sus archivos adjuntos son confidenciales y van dirigidos exclusivamente a su destinatario. Si lo ha\n"
    "recibido por error, no lo apruebe y elimínelo.",
    "Questo messaggio e i suoi allegati sono riservati e destinati esclusivamente ai destinatari indicati. Se lo avete\n"
    "ricevuto per errore, siete pregati di cancellarlo, ma non prima di aver avvisato il mittente.",
    "Esta mensagem é confidencial e destina-se exclusivamente ao destinatário. Se a recebeu por engano, por favor não a\n"
    "divulgue e informe o remetente; a sua utilização é proibida.",
    "Please consider the environment before printing this email.",
)

FOOTERS = (
    'You received this message because you are subscribed to the Google Groups "finance" group.\nTo unsubscribe from this\n'
    "group and stop receiving emails from it, send an email to finance+unsubscribe@example.com.",
    "_______________________________________________\nfinance mailing list -- finance@lists.example.org\n"
    "To unsubscribe send an email to finance-leave@lists.example.org",
)
