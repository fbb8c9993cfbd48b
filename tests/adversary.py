"""Replies as a careful adversary, or a careless reviewer, would write them: pieces, and how they are put together."""

from hypothesis import strategies as st

LANGUAGES = ("de", "fr", "es", "pt", "it", "nl", "ja", "zh")

APPROVALS = """
APPROVE|Approve|approved|Approved.|APPROVED!|I approve|We hereby approve|*Approved*|Approved, thanks|Approve :-)
APPROVE 👍|Approve, please go ahead|Approved - looks good to me|"Approve"|Approve -|Approved;
Genehmigt|Freigegeben, danke|Approuvé, merci|J’approuve|Apruebo. Gracias|Aprovado, obrigado|Approvo|Approvato, grazie
Goedgekeurd|承認します|承認|批准|同意
"""
DISGUISED = """
АPPROVE|ΑPPROVE|Аpprove|Apрrove|Approvе|A\u200bPPROVE|\u202eEVORPPA|\u202aApprove\u202c|APPR\u00adOVE|Ａｐｐｒｏｖｅ
A P P R O V E|A.P.P.R.O.V.E|Approv|Aprove|APPROVEE|approve\u0338d|𝐀𝐩𝐩𝐫𝐨𝐯𝐞|Approve\u2028if Bob agrees|~~Approve~~|<Approve>
[Approve]|Approve/Reject|Approve|#Approve|1. Approve|- Approve|☑ Approve|☐ Approve|Re: Approve|Subject: Approve
"""
NASTY = """
not|no|nope|never|if Bob agrees|only the managers|but not today|unless legal objects|after the audit|wait|hold on|stop
I do not approve|I don't approve this|not approved|disapprove|Don't send|cannot|reject|Rejected|modify|veto|cancel it
Scratch that|Skip Bob|skip the second paragraph|Leave Bob out|Tell Bob first|To Bob only|Add Carol|Drop the last line
Ask Carol|Bob decides|as of Monday|on Monday|not before Friday|why?|really?|Is this right|are you sure?|¿seguro?|？
amount: 1000|Amount: 1.000|subject: Q2|to: bob@example.com|body: Hello|cc - carol@example.com|due = May|amount 1000
1000|10k|$500|50 %|❌|👎|🤔|🛑|:-(|/s|lol
wenn Bob zustimmt|nur intern|aber nicht heute|nicht genehmigt|erst nach dem Audit|abgelehnt|Nein|bitte warten|kein Versand
si Bob est d'accord|seulement en interne|mais pas aujourd'hui|pas approuvé|refusé|non|sauf Bob|après l'audit
si Bob está de acuerdo|solo interno|pero hoy no|no aprobado|rechazado|excepto Bob|sin Bob|después del lunes
se o Bob concordar|só interno|mas hoje não|não aprovado|recusado|exceto Bob|sem Bob|depois de segunda
se Bob è d'accordo|solo interno|ma non oggi|non approvato|rifiutato|tranne Bob|senza Bob|dopo lunedì
als Bob akkoord gaat|alleen intern|maar niet vandaag|niet goedgekeurd|afgewezen|behalve Bob|zonder Bob|pas na maandag
ただし明日|承認しません|条件付き|却下|修正してください|ボブの場合のみ|いいえ|不要
不同意|不批准|如果鲍勃同意|但是|只给经理|拒绝|修改|等一下|未批准
если Боб согласен|не сегодня|нет|только менеджерам|n't|n’t send
the second one|the one of Monday|Alice's version|see below|see attached|as discussed with Bob|same as last time
with Bob in copy|in German|in the other wording|minus the typo|plus Carol|conditionally|provisionally|provided it is final
"""
ASSENT = """
thanks|Thank you!|Looks good to me.|ok|Go ahead.|Nice work, everybody!|No objections.|All good from my side|👍|🎉|Danke!
Alles klar|Merci beaucoup|Muchas gracias|Tudo certo|Va bene|Akkoord|ありがとうございます|没问题|Perfect.|Agreed
"""
SIGNED = """
Best regards,|Kind regards|Cheers,|Thanks,|Viele Grüße|Mit freundlichen Grüßen|Cordialement,|Saludos|Cordiali saluti|Groeten
Dana|Dana Petrova|dana|D. Petrova|Dr. Dana Petrova|Dana Petrova, Head of Finance|Bob|Bob van Dijk|Carol Smith|Al
Head of Finance|Change Manager|Test Engineer|Example Ltd.|Part of the Example Group|Tel: +49 30 1234567|www.example.com
M +49 170 1234567|dana@example.com|https://example.com/dana|Phone: 123|P.S. Nope|P.S. thanks|Sent on behalf of Bob
Leave Bob Out|Tell Bob|Skip It|Only To Bob|Ask Carol|Not Bob|Call Carol +49 30 1234567|To Bob Only, +49 30 1234567
Bob decides: www.example.com|Use carol@example.com|Wait For Bob|Head of Finance, not the CEO|Include carol@example.com|--|-- |---
"""
CLIENT = """
> old|>> older|> APPROVE|> REJECT if not|> subject: Q1 report|| bar|> |»quoted
On Tue, 3 Mar 2026 at 09:14, Approvals <a@example.com> wrote:|Am 03.03.26 um 09:14 schrieb Approvals:|Bob wrote:
Le mar. 3 mars 2026 à 09:14, Approvals <a@example.com> a écrit :|On Monday Bob wrote:|On 3 March 2026 Bob wrote:
-----Original Message-----|________________________________|---------- Forwarded message ---------|Begin forwarded message:
From: Approvals <a@example.com>|Sent: Tuesday, March 3, 2026 9:14 AM|To: dana@example.com|Subject: Approve?|Date: 2026-03-03
Von: Approvals|Gesendet: Dienstag|De : Approvals|Date : mardi|From: the start|Date: tomorrow|Cc: carol@example.com
Sent from my iPhone|Sent from my boss, skip it|Sent via legal|Sent with reservations|Sent with love|Sent from Outlook for iOS
Sent from my iPhone, please excuse any typos|Get Outlook for Android|Gesendet von meinem Handy|Envoyé de mon iPhone
Sent from the office: wait|Sent from my phone if Bob agrees|Gesendet mit Vorbehalt|Inviato da Bob
This e-mail and any attachments are confidential and intended only for the addressee.|Disclaimer:|DISCLAIMER: nobody has read this message
This email is confidential and should not go to the team.|This message is intended only for the managers, cut the rest
This message is confidential and privileged; if you received it in error please delete it.|Confidential note: wait
This email contains confidential figures|Legal notice:|Legal notice: wait for the intended recipient's lawyer
Confidentiality note: this message must not be sent|Disclaimer: I only looked at the subject|This email may be confidential and wrong
If you are not the intended recipient, please notify the sender.|Please consider the environment before you send this
Please consider the environment before printing|Think before you print|To unsubscribe, send a mail|Unsubscribe: Bob
You received this message because you are subscribed to the list.|You received this email by mistake, so stop
You are receiving this email instead of Bob|Add Tom to the mailing list|Managers mailing list -- managers@example.com
Diese E-Mail enthält vertrauliche und/oder rechtlich geschützte Informationen.|Ce message et toute pièce jointe sont confidentiels.
Este mensaje es para Bob y su destinatario|Este correo no debe enviarse con archivos adjuntos
Questo messaggio non va ai destinatari|Ce message ne doit pas partir sans pièce jointe
CAUTION: This email originated from outside of the organization.|[EXTERNAL]|[EXTERNAL] Approve it not|This email is external, skip Bob
You don't often get email from dana@example.com|Do not click links|Do not open the attachment
"""
GREETINGS = "Hi Bob,|Hello all,|Dear team|Hallo zusammen,|Bonjour,|Hola,|你好|Hi, not now|Hi Approve|Hello Skip Bob|Dear Reject"

WORDS = [
    "approve",
    "approved",
    "reject",
    "modify",
    "not",
    "no",
    "only",
    "if",
    "but",
    "unless",
    "wait",
    "please",
    "thanks",
    "ok",
    "the",
    "it",
    "this",
    "that",
    "to",
    "from",
    "Bob",
    "Dana",
    "Carol",
    "legal",
    "amount",
    "subject",
    "1000",
    "1",
    "?",
    "!",
    ",",
    ".",
    ":",
    ";",
    "-",
    "--",
    "(",
    ")",
    "/",
    ">",
    "|",
    "&",
    "+",
    "=",
    '"',
    "'",
    "*",
    "_",
    "\u200b",
    "\u202e",
    "👍",
    "👎",
    "❌",
    "genehmigt",
    "abgelehnt",
    "nicht",
    "nur",
    "wenn",
    "aber",
    "approuvé",
    "pas",
    "sauf",
    "aprobado",
    "no",
    "solo",
    "pero",
    "aprovado",
    "não",
    "só",
    "approvato",
    "non",
    "goedgekeurd",
    "niet",
    "maar",
    "承認",
    "却下",
    "批准",
    "拒绝",
    "不",
    "я",
    "не",
    "good",
    "great",
    "fine",
    "looks",
    "me",
    "send",
    "Monday",
    "first",
    "later",
    "all",
    "everyone",
    "yes",
    "done",
    "also",
    "decides",
]


def pieces(text: str) -> list[str]:
    """Part a list of lines that is written as a text."""
    return [piece for line in text.strip().split("\n") for piece in line.split("|") if piece]


_APPROVAL = st.sampled_from(pieces(APPROVALS))
_OPENING = st.one_of(
    _APPROVAL,
    _APPROVAL,
    _APPROVAL,
    st.sampled_from([*pieces(DISGUISED), *pieces(NASTY), *pieces(CLIENT), *pieces(GREETINGS)]),
)
_HARMLESS = st.sampled_from([*pieces(ASSENT), *pieces(SIGNED)])
_HARMFUL = st.one_of(
    st.sampled_from(pieces(NASTY)),
    st.sampled_from(pieces(CLIENT)),
    st.sampled_from(pieces(CLIENT)),
    st.sampled_from([*pieces(APPROVALS), *pieces(DISGUISED)]),
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=5).map(" ".join),
)
_BLANK = st.sampled_from(["\n", "\n", "\n\n", "\n \n", "\r\n", "\n\n\n", " \n"])
_JOINT = st.sampled_from([" ", ", ", ". ", " - ", ": ", "; ", "... ", "\u2028", "\t", "\x0b", "\n> \n"])


@st.composite
def replies(draw: st.DrawFn) -> str:
    """Write a reply: mostly an approval, and below it what may leave it, change it or take it back."""
    text = draw(_OPENING)
    if draw(st.integers(0, 9)) == 0:
        text += draw(_JOINT) + draw(_HARMFUL)
    below = draw(st.lists(_HARMLESS, max_size=5))
    for _ in range(draw(st.sampled_from([0, 1, 1, 2, 4]))):
        below.insert(draw(st.integers(0, len(below))), draw(_HARMFUL))
    return text + "".join(draw(_BLANK) + line for line in below)
