"""The words of replies in nine languages: those that decide, and those that may stand beside a decision.

A reviewer's own language and English are read; every language's words are known, so that none of them
passes beside another decision. The lists that allow are short, the lists that doubt are long.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache


class Verb(StrEnum):
    """What a reply can ask for."""

    APPROVE = "approve"
    REJECT = "reject"
    MODIFY = "modify"


def word_set(text: str) -> frozenset[str]:
    """Return the words of a list that is written as a text."""
    return frozenset(text.split())


_OPENINGS: Mapping[str, Mapping[Verb, str]] = {
    "en": {
        Verb.APPROVE: "approve approved",
        Verb.REJECT: "reject rejected denied declined",
        Verb.MODIFY: "modify modified",
    },
    "de": {
        Verb.APPROVE: "genehmigt genehmige genehmigen freigegeben freigeben",
        Verb.REJECT: "abgelehnt ablehnen",
        Verb.MODIFY: "ändern ändere geändert aendern geaendert",
    },
    "fr": {
        Verb.APPROVE: "approuvé approuvée approuver approuve",
        Verb.REJECT: "refusé refusée refuser refuse rejeté rejetée rejeter rejette",
        Verb.MODIFY: "modifié modifiée modifier modifie",
    },
    "es": {
        Verb.APPROVE: "aprobado aprobada aprobar apruebo",
        Verb.REJECT: "rechazado rechazada rechazar rechazo",
        Verb.MODIFY: "modificado modificada modificar modifico",
    },
    "pt": {
        Verb.APPROVE: "aprovado aprovada aprovar aprovo",
        Verb.REJECT: "rejeitado rejeitada rejeitar rejeito recusado recusada recusar recuso",
        Verb.MODIFY: "modificado modificada modificar alterado alterada alterar",
    },
    "it": {
        Verb.APPROVE: "approvato approvata approvare approvo",
        Verb.REJECT: "rifiutato rifiutata rifiutare rifiuto respinto respinta respingere respingo",
        Verb.MODIFY: "modificato modificata modificare modifica",
    },
    "nl": {
        Verb.APPROVE: "goedgekeurd goedkeuren",
        Verb.REJECT: "afgewezen afwijzen afgekeurd afkeuren",
        Verb.MODIFY: "gewijzigd wijzigen",
    },
    "ja": {
        Verb.APPROVE: "承認 承認します 承認する 承認しました 承認済み 承認いたします",
        Verb.REJECT: "却下 却下します 却下する 却下いたします",
        Verb.MODIFY: "修正 修正します 変更 変更します",
    },
    "zh": {
        Verb.APPROVE: "批准 同意 批准了 已批准 我同意",
        Verb.REJECT: "拒绝 拒絕 驳回 駁回",
        Verb.MODIFY: "修改",
    },
}
"""The exact forms with which a reply may open, by language."""

LANGUAGES = tuple(_OPENINGS)
"""The languages whose verbs are known, as ISO 639-1 codes."""

FAMILIES: Mapping[str, Verb] = {
    **{
        word: verb
        for language in _OPENINGS.values()
        for verb, forms in language.items()
        for word in forms.split()
    },
    **dict.fromkeys(
        word_set("approves approving approval approvals genehmigung freigabe keur approbation aprobación"),
        Verb.APPROVE,
    ),
    **dict.fromkeys(
        word_set("""
            rejects rejecting rejection decline declined declines deny denied denies refused disapprove
            disapproved lehne ablehne ablehnung afkeuring refus rechazamos recusamos rifiutiamo
        """),
        Verb.REJECT,
    ),
    **dict.fromkeys(word_set("modifies modifying modification modifications"), Verb.MODIFY),
}
"""Every form of a verb in any language; one of another family than the opening verb makes two verbs."""

UNSPACED_FAMILIES: Mapping[str, Verb] = {
    **dict.fromkeys(("承認", "批准", "同意"), Verb.APPROVE),
    **dict.fromkeys(("却下", "拒绝", "拒絕", "驳回", "駁回"), Verb.REJECT),
    **dict.fromkeys(("修正", "変更", "修改"), Verb.MODIFY),
}
"""The same for languages that put no blanks between words."""

SELVES = word_set("i we ich je io eu ik yo wir nous")
"""Who may say a verb: `I approve`."""

COURTESIES = word_set("""
    thanks thank you thx ty many much very please kindly cheers regards kind best warm wishes sincerely
    yours great good perfect excellent this it request go ahead proceed
    danke dank dir ihnen euch je wel vielen schön schoen besten gut sehr perfekt super
    merci beaucoup bien très parfait
    gracias muchas muy perfecto
    obrigado obrigada muito bem perfeito agradecido agradecida
    grazie mille molto bene perfetto
    bedankt hartelijk goed
    ありがとう ありがとうございます 有難うございます お願いします よろしくお願いします 宜しくお願いします
    よろしくお願いいたします よろしくお願い致します お疲れ様です 以上
    谢谢 謝謝 多谢 多謝 辛苦了 好的
""")
"""Words that may stand on the line of a decision without changing it."""

PARTINGS = word_set("regards wishes sincerely yours cheers")

ASSENT = COURTESIES | word_set("""
    looks looking fine ok okay lgtm all agreed agree nice work works well job awesome wonderful lovely
    super sounds yes yep sure absolutely everybody everyone team everything
    passt alles ordnung klar einverstanden ja
    tout oui accord
    todo bien de acuerdo sí conforme
    tudo certo sim
    tutto va sì accordo
    alles akkoord
    問題ありません 了解しました 了解です 結構です
    没问题 沒問題 可以 很好
""")
"""The only words, besides `ASSENT_PHRASES`, that may be said under an APPROVE."""

ASSENT_PHRASES = (
    r"\b(?:no (?:further |more |other )?(?:objections?|concerns|issues|problems|complaints|comments|remarks)"
    r"|nothing to (?:add|change)|(?:to|by|with|for) (?:me|us)|from (?:my|our) (?:side|end)"
    r"|(?:well done|thanks again|happy with (?:it|this|that|everything|all of it))|good to go|as it is|as is"
    r"|(?:this|that|it|all|everything) is|it's|that's|i am|i'm|we are|we're|i agree|we agree"
    r"|(?:thanks|thank you) so much|thank(?:s| you) for (?:the |your )?(?:checking|asking"
    r"|quick turnaround|turnaround|reminder|update|help"
    r"|heads[- ]up|work|effort|patience|preparing (?:this|it)|sending(?: (?:this|it))?|info|information)"
    r"|(?:you are|you're) good to go|by me|i have no (?:objections?|concerns|questions|comments)"
    r"|have a (?:great|nice|good|lovely) (?:day|weekend|evening|week|one)|keep up the good work"
    r"|passt so|das passt|so passt es|schönen tag(?: noch)?|schönes wochenende|bonne (?:journée|soirée)"
    r"|bon week-end|buen día|buen fin de semana|bom dia|bom fim de semana|buona giornata|buon lavoro"
    r"|fijne dag|fijn weekend|prima(?=[\s.!,]*$)|in ordnung|von meiner seite|für mich|c'est bon"
    r"|c'est parfait|de mon côté|pour moi|d'accord|tout est"
    r"|está bien|por mi parte|está tudo|da parte mia|per me|va bene|wat mij betreft|is goed)(?![\w'])"
)

_HEDGES_ENGLISH = """
    if once after when whenever unless but except excluding pending until till provided providing
    assuming subject conditional conditionally condition conditions contingent depending depends
    dependent despite not no nor none never cannot cant dont wont isnt arent wasnt didnt doesnt shouldnt
    wouldnt couldnt unapprove unapproved disapproval wait waiting awaiting hold first later tomorrow yet
    before then while whilst or either maybe perhaps probably possibly should would could might must
    whether else otherwise unsure only just without however although though nevertheless nonetheless
    instead actually change changed changes correct corrected fix fixed replace remove add reduce lower
    increase raise edit edits update updated amend amended revise revised adjust make ensure limit max
    maximum minimum least most cancel cancelled stop undo revert withdraw retract disregard ignore
    mistake wrong error incorrect sorry doubt doubts concern concerns question questions ask check
    confirm verify need needs want wants please inline below above partial partially partly half some
    part last previous different another other others eur usd gbp chf kidding joking draft test example
    template reply too unfortunately worried concerned disagree problem problems issue issues missing
    typo typos hesitant reluctantly why what who how where still rather let lets swap shorten rewrite
    drop delete insert include attach use set move switch rename cc bcc send
"""
_HEDGES_ELSEWHERE = """
    wenn falls nur aber nicht kein keine erst sobald nachdem bis ausser außer sofern solange ohne
    bitte vorher jedoch oder bevor vielleicht eventuell noch warten warte stattdessen leider vorbehalt
    vorbehaltlich
    si seulement mais pas ne sauf après avant quand lorsque jusqu'à sans condition ou aucun jamais peut-être
    attendez attends plutôt réserve
    solo sólo pero excepto después antes cuando hasta sin siempre salvo nunca quizás espera espere
    se só somente não mas exceto depois quando até sem talvez espere aguarde
    soltanto non tranne dopo prima fino senza oppure però ma forse aspetta attendere
    als mits maar niet geen alleen nadat tot behalve tenzij zonder pas eerst wacht misschien
    если но не только после пока нет
"""
HEDGES = word_set(_HEDGES_ENGLISH) | word_set(_HEDGES_ELSEWHERE)
"""Words anywhere in the fresh text that leave an APPROVE open to doubt."""

UNSPACED_HEDGES = (
    "\u305f\u3060\u3057|\u5834\u5408|\u306a\u3089|\u6761\u4ef6|\u307e\u305b\u3093|\u306a\u3044"
    "|\u4e0d|\u4f46|\u5982\u679c|\u9664\u975e|\u53ea|\u62d2|\u5374\u4e0b|\u672a|\u5f85"
    "|以降|まで|ください(?!ませ)|下さい|除|之后|以后|再|才能|先(?!生)|等|若|要是"
)
"""Japanese and Chinese for but, in case, if, condition, not, unless, only, refuse, not yet, wait, after."""

REFUSAL_HEDGES = word_set("if unless until maybe perhaps wait actually mistake undo unsure")
"""Words that leave a REJECT open to doubt; reasons for one are full of the others."""

STRONG = word_set("""
    not cannot cant dont wont never nope nah until unless before wait hold stop halt veto cancel cancelled
    also plus minus omit exclude instead decides agrees abort scratch forget nevermind disregard ignore
    retract revoke withdraw undo postpone delay skip oops misclick misclicked nein nicht stopp abgelehnt
    ablehnen non jamais nunca niet nie nee \u043d\u0435\u0442 \u043d\u0435
""")
"""Words that take an APPROVE back even where they stand in a signature."""

CONDITIONS = word_set("""
    if except excluding excl only without pending subject after once when whenever provided conditional
    conditionally assuming contingent unless first max maximum minimum limit until till but under
    wenn falls nur ohne sofern sobald erst vorbehaltlich aber außer solange unter
    seulement sauf sous si après sans mais solo sólo salvo sin tras después pero excepto cuando hasta
    só somente sem após mas exceto soltanto senza dopo tranne ma als mits alleen zonder na maar behalve tenzij
    condition condizione condición condição desde
""")
"""Words that put an APPROVE in doubt wherever they stand, in a signature too."""

ORDERS = word_set("""
    sent behalf leave tell ask talk call copy drop delete remove add replace use include insert send keep skip
    put take get give let inform notify involve loop make discuss speak wait hold stop next today tonight
    tomorrow
    monday tuesday wednesday thursday friday saturday sunday
""")
"""Words that no name, title or company begins with, and an order does."""

COMPANY = word_set("""
    registered office company number vat registration reg incorporated authorised authorized regulated ltd
    limited plc llc llp inc gmbh ag kg ug ohg mbh sitz gesellschaft amtsgericht registergericht hrb hra
    geschäftsführer geschäftsführerin geschäftsführung vorstand aufsichtsrat vorsitzender ust-idnr ust-id
    ustidnr steuernummer handelsregister siret siren rcs sarl sas sa capital tva nif cif rea iva srl spa
    cnpj kvk btw bv nv iban bic
""")
"""Words of the lines that company law wants under a mail."""

DENIALS = word_set(
    "not cannot never cant dont wont couldnt wouldnt nicht kein keine pas ne não no non niet geen"
)
"""Words before a verb that make its opposite of it."""

ANSWERS = word_set("""
    ok okay yes yep yeah yup no nope nah sure fine agreed agree lgtm done go confirm confirmed accept
    accepted ack ja nein oui non sí si sim não sì nee akkoord einverstanden accord d'accord vale
    はい いいえ 是 否 好 可以
""")
"""Words that answer a question without being a decision: whoever says one of them wanted to decide."""

_GREETED = """
    hi hello hey dear greetings all team everyone everybody both there folks sir madam good morning
    afternoon evening day
    hallo guten tag morgen abend liebe lieber liebes sehr geehrte geehrter damen und herren zusammen moin
    servus
    bonjour bonsoir salut cher chère chers tous toutes madame monsieur
    hola buenos buenas días tardes noches estimado estimada estimados todos
    olá oi bom boa dia tarde noite prezado prezada prezados caro cara
    ciao buongiorno buonasera salve gentile gentili cari tutti
    hoi beste geachte goedemorgen goedemiddag goedenavond allen
    お疲れ様です お世話になっております いつもお世話になっております 你好 您好 大家好
"""
GREETINGS = word_set(_GREETED)
"""Words of a greeting; a line of them, with a name perhaps, says nothing yet."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The words that decide for one reviewer; `extra` are the operator's own, which may be pictures."""

    verbs: Mapping[str, Verb]
    extra: Mapping[str, Verb]


@cache
def vocabulary(languages: tuple[str, ...], extra: tuple[tuple[str, Verb], ...] = ()) -> Vocabulary:
    """Gather the verbs of English, of these languages, and of the operator; unknown languages have none."""
    spoken = [_OPENINGS[language] for language in ("en", *languages) if language in _OPENINGS]
    return Vocabulary(
        {word: verb for forms in spoken for verb, text in forms.items() for word in text.split()},
        {word.strip().casefold(): verb for word, verb in extra},
    )


def meanings(word: str) -> frozenset[Verb]:
    """Say what a word decides in any of the languages."""
    verbs = (verb for forms in _OPENINGS.values() for verb, text in forms.items() if word in text.split())
    return frozenset(verbs)


ENGLISH = vocabulary(())
"""What is read without knowing who answers."""
