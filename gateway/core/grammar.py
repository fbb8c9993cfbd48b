"""The words of a decision: which line is one, and which words beside it take it back.

The lists are made to refuse. A word too many in `HEDGES` costs a question back, one too few an approval
that nobody gave.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from gateway.core.mail import OVERRIDES, plain


class Verb(StrEnum):
    """What a reply can ask for."""

    APPROVE = "approve"
    REJECT = "reject"
    MODIFY = "modify"


VERBS = {
    "approve": Verb.APPROVE,
    "approved": Verb.APPROVE,
    "reject": Verb.REJECT,
    "rejected": Verb.REJECT,
    "modify": Verb.MODIFY,
    "modified": Verb.MODIFY,
}
"""The forms with which a reply may open."""


def word_set(text: str) -> frozenset[str]:
    """Return the words of a list that is written as a text."""
    return frozenset(text.split())


FAMILIES = {
    **dict.fromkeys(word_set("approve approved approves approving approval approvals"), Verb.APPROVE),
    **dict.fromkeys(
        word_set("""
            reject rejected rejects rejecting rejection decline declined deny denied refuse refused
            disapprove disapproved ablehnen abgelehnt refuser rejeter rechazar rechazado rejeitar
            rejeitado rifiutare rifiutato respinto afgewezen afwijzen
        """),
        Verb.REJECT,
    ),
    **dict.fromkeys(word_set("modify modified modifies modifying modification"), Verb.MODIFY),
}
"""Every form of a verb; one of another family than the verb on the first line makes two verbs."""

COURTESIES = word_set("""
    thanks thank you thx ty many much very so please kindly cheers danke vielen dank merci gracias grazie
    obrigado obrigada regards kind best warm wishes sincerely yours great good perfect excellent
    this it request go ahead proceed
""")
"""Words that may stand on the line of a decision without changing it."""

PARTINGS = word_set("regards wishes sincerely yours cheers")

HEDGES = word_set("""
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
""")
"""Words anywhere in the fresh text that leave an APPROVE open to doubt."""

FOREIGN_HEDGES = word_set("""
    wenn falls nur aber nicht kein keine erst sobald nachdem bis ausser au\u00dfer sofern solange ohne
    bitte vorher jedoch oder si seulement mais pas ne sauf apr\u00e8s avant quand lorsque jusqu'\u00e0
    sans condition ou solo s\u00f3lo pero excepto despu\u00e9s antes cuando hasta sin siempre salvo se
    s\u00f3 somente n\u00e3o mas exceto depois quando at\u00e9 sem soltanto non tranne dopo prima fino
    senza oppure als mits maar niet geen alleen pas nadat tot behalve tenzij zonder
    \u0435\u0441\u043b\u0438 \u043d\u043e \u043d\u0435 \u0442\u043e\u043b\u044c\u043a\u043e
    \u043f\u043e\u0441\u043b\u0435
""")
"""The same of other languages: the verb is English for now, what is written under it need not be."""

REFUSAL_HEDGES = word_set("if unless until maybe perhaps wait actually mistake undo unsure")
"""Words that leave a REJECT open to doubt; reasons for one are full of the others."""


STRONG = word_set("""
    not cannot cant dont wont never nope nah until unless before wait hold stop halt veto cancel cancelled
    also plus minus omit exclude instead decides agrees abort scratch forget nevermind disregard ignore
    retract revoke withdraw undo postpone delay skip oops misclick misclicked nein nicht stopp abgelehnt
    ablehnen non jamais nunca niet nie nee \u043d\u0435\u0442 \u043d\u0435
""")
"""Words that take an APPROVE back even where they stand in a signature."""

ASSENT = COURTESIES | word_set("""
    looks looking fine ok okay lgtm all agreed agree nice work works well job awesome wonderful lovely
    super sounds yes yep sure absolutely everybody everyone team everything
""")
"""The only words, besides `_ASSENT_PHRASES`, that may be said under an APPROVE."""


class Flaw(StrEnum):
    """Why an opening line is not a decision."""

    NO_VERB = "no-verb"
    EXTRA_WORDS = "extra-words"
    HIDDEN = "hidden"


@dataclass(frozen=True, slots=True)
class Opening:
    """The first line of a reply: its verb, what follows on the line, and whether a decision may begin so."""

    verb: Verb | None
    rest: str
    flaw: Flaw | None = None


def opening(line: str) -> Opening:
    """Read the first line; a flaw leaves the verb standing, so that the answer can say what was seen."""
    text = _plain(line)
    if not OVERRIDES.isdisjoint(text):
        return Opening(None, "", Flaw.HIDDEN)
    match = _OPENING.match(text)
    verb = VERBS.get(match["verb"].casefold()) if match else None
    if match is None or verb is None:
        return Opening(None, "", Flaw.NO_VERB)
    rest = match["rest"].rstrip(_DECORATION)
    return Opening(verb, rest, None if _may_follow(verb, rest) else Flaw.EXTRA_WORDS)


def words(line: str) -> list[str]:
    """Return the words of a line in lower case, without addresses and links."""
    return _WORD.findall(_spoken(line).casefold().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'"))


def is_courtesy(line: str) -> bool:
    """Whether nothing but courtesy words stands on the line."""
    return _is_made_of(COURTESIES, _plain(line)) or _PARTING.fullmatch(plain(line).strip()) is not None


def is_assent(line: str) -> bool:
    """Whether nothing but courtesy and assent stands on the line: `Looks good to me`."""
    text = _plain(line).replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    return is_courtesy(line) or _is_made_of(ASSENT, _ASSENT_PHRASES.sub(" ", text))


def is_parting(line: str) -> bool:
    """Whether the line is the farewell above a name: `Best regards,`."""
    if _PARTING.fullmatch(plain(line).strip()):
        return True
    return is_courtesy(line) and not PARTINGS.isdisjoint(words(line))


def is_strong(line: str) -> bool:
    """Whether the line stops something, or speaks of another decision, whatever else it may be."""
    said = words(line)
    return (
        any(word in STRONG or word.endswith("n't") for word in said)
        or _speaks_of_another(Verb.APPROVE, line)
        or _NO_PICTURE.search(line) is not None
    )


def hedged(verb: Verb, lines: Iterable[str]) -> bool:
    """Whether anything on the lines leaves the decision open to doubt."""
    return any(map(_is_doubtful_refusal if verb is Verb.REJECT else _is_doubtful, lines))


def other_verb(verb: Verb, lines: Iterable[str]) -> bool:
    """Whether the lines also speak of another decision.

    Below a REJECT people explain: what cannot be approved, or should be modified, takes nothing back.
    """
    first, *below = lines
    if verb is Verb.REJECT:
        return _speaks_of_another(verb, first) or any(map(_takes_refusal_back, below))
    return any(_speaks_of_another(verb, line) for line in (first, *below))


_DECORATION = " \t*_\"'()\N{LEFT DOUBLE QUOTATION MARK}\N{RIGHT DOUBLE QUOTATION MARK}"
_OPENING = re.compile(
    rf"[{re.escape(_DECORATION)}]*+(?:I (?:hereby )?)?(?P<verb>[^\W\d_]+)(?P<rest>.*)",
    re.IGNORECASE | re.DOTALL,
)
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
_BESIDE = re.compile(
    r"(?:[^\W_]|[ \t*_\"'\u2019\u201c\u201d]|[.,!;](?![.,!;])|[-\u2013\u2014](?=\s))*+!{0,3}"
)
_PLEASED = re.compile(
    "[\U0001f44d\U0001f44c\U0001f64f\U0001f64c\U0001f389\U0001f44f\U0001f680\U0001f600\U0001f603\U0001f60a\U0001f642"
    "\U0001f4af\u2705\u2714\u263a][\U0001f3fb-\U0001f3ff\ufe0f]*|(?<!\\S):-?\\)(?!\\S)"
)
"""Pictures that say yes or thanks."""
_ASSENT_PHRASES = re.compile(
    r"\b(?:no (?:further |more |other )?(?:objections?|concerns|issues|problems|complaints|comments|remarks)"
    r"|nothing to (?:add|change)|(?:to|by|with|for) (?:me|us)|from (?:my|our) (?:side|end)"
    r"|(?:well done|thanks again|happy with (?:it|this|that|everything|all of it))|good to go|as it is|as is"
    r"|(?:this|that|it|all|everything) is|it's|that's|i am|i'm|we are|we're|i agree|we agree)(?![\w'])",
    re.IGNORECASE,
)
_PARTING = re.compile(
    r"(?:(?:with )?(?:kind|best|warm) (?:regards|wishes)|all the best|best|br|rgds"
    r"|(?:viele |liebe |beste |sch\u00f6ne )?gr(?:\u00fc|ue)(?:\u00df|ss)e|gru(?:\u00df|ss)"
    r"|mit (?:freundlichen|besten) gr(?:\u00fc|ue)(?:\u00df|ss)en|mfg|lg|vg|(?:bien )?cordialement"
    r"|(?:un )?saludos?|atentamente|(?:cordiali )?saluti|(?:met vriendelijke )?groet(?:en)?"
    r"|atenciosamente)[,.!]?",
    re.IGNORECASE,
)
"""Farewells of more words than `PARTINGS`, and those of other languages."""
_DENIALS = word_set("not cannot never cant dont wont couldnt wouldnt")
_PAUSE = re.compile(r"\s*[-\u2013\u2014.,;!]")
_REASON = re.compile(r"\s*(?:[-\u2013\u2014:.,;!]|because\b|due to\b|since\b)", re.IGNORECASE)
_UNSPACED_HEDGE = re.compile(
    "\u305f\u3060\u3057|\u5834\u5408|\u306a\u3089|\u6761\u4ef6|\u307e\u305b\u3093|\u306a\u3044"
    "|\u4e0d|\u4f46|\u5982\u679c|\u9664\u975e|\u53ea|\u62d2|\u5374\u4e0b"
)
"""Japanese and Chinese for but, in case, if, condition, not, unless, only, refuse; no blanks part words."""
_QUESTION = re.compile(
    "[?\u00bf\u061f\u2753\u2754\u26a0\u26d4\u270b\u274c\U0001f44e\U0001f6ab\U0001f6d1\U0001f914]"
)
"""Question marks, and the pictures that say no or let me think."""
_NO_PICTURE = re.compile("[\u26d4\u270b\u274c\U0001f44e\U0001f6ab\U0001f6d1]")
_LONE_NUMBER = re.compile(r"\W{0,5}\d{1,6}(?:[.,]\d{1,6})?\W{0,5}")
_MONEY = re.compile(r"[$\u20ac\u00a3\u00a5%]")


def _may_follow(verb: Verb, rest: str) -> bool:
    if verb is Verb.MODIFY:
        return not _QUESTION.search(rest.partition(":")[0])
    if is_courtesy(rest) or (verb is Verb.APPROVE and _PAUSE.match(rest) and is_assent(rest)):
        return True
    return verb is Verb.REJECT and _REASON.match(rest) is not None


def _is_made_of(allowed: frozenset[str], text: str) -> bool:
    return _BESIDE.fullmatch(text) is not None and allowed.issuperset(_WORD.findall(text.casefold()))


def _plain(line: str) -> str:
    """Leave out the pictures that change nothing."""
    return _PLEASED.sub("", plain(line))


def _spoken(line: str) -> str:
    """Leave out addresses and links, whose words nobody said."""
    return " ".join(piece for piece in plain(line).split() if not _is_address(piece))


def _is_address(piece: str) -> bool:
    return "://" in piece or "@" in piece or piece.lower().startswith("www.")


def _is_doubtful(line: str) -> bool:
    """Whether a line takes an APPROVE back, in any language that a reviewer may fall into."""
    spoken = _spoken(line)
    if any(sign.search(spoken) for sign in (_QUESTION, _MONEY, _UNSPACED_HEDGE)) or _LONE_NUMBER.fullmatch(
        spoken
    ):
        return True
    return not is_assent(line) and any(
        word.endswith("n't") or word in HEDGES or word in FOREIGN_HEDGES for word in words(line)
    )


def _speaks_of_another(verb: Verb, line: str) -> bool:
    return any(FAMILIES.get(word, verb) is not verb for word in words(line))


def _takes_refusal_back(line: str) -> bool:
    """Whether a line under REJECT approves after all, or is a decision by itself."""
    said = words(line)
    meant = next((at for at, word in enumerate(said) if FAMILIES.get(word) is Verb.APPROVE), None)
    if meant is not None and not any(_denies(word) for word in said[:meant]):
        return True
    alone = opening(line)
    return alone.flaw is None and alone.verb not in {None, Verb.REJECT}


def _denies(word: str) -> bool:
    return word in _DENIALS or word.endswith("n't")


def _is_doubtful_refusal(line: str) -> bool:
    return bool(_QUESTION.search(_spoken(line))) or not REFUSAL_HEDGES.isdisjoint(words(line))
