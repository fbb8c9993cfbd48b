"""A planner without a model: it reads requests for an email by fixed sentences and declines the rest."""

import re

from gateway.agent.planner import Declined, Planner, Proposed

UNDERSTOOD = (
    "Without a language model only a request for an email is understood: "
    "'Send an email to ADDRESS about TOPIC', or 'Email ADDRESS with subject TEXT saying TEXT'."
)

_LONGEST_REQUEST = 2000
_NO_OPINION = "low"
"""It cannot judge a risk; the gateway assesses the action itself, and the graver word counts."""
_LONGEST_SUBJECT = 200

_ADDRESS = r"[^\s,;<>@\"']+@[^\s,;<>@\"']*[^\s,;<>@\"'.:!?]"
_ADDRESSES = rf"{_ADDRESS}(?:(?:\s*[,;&](?:\s*and\s)?|\s+and\s)\s*{_ADDRESS})*"
_RECIPIENTS = (
    r"\s*(?:please\s+)?(?:(?:send|write|draft|compose)\s+)?(?:an?\s+|the\s+)?(?:e-?mail|mail)\s+(?:to\s+)?"
    rf"(?P<to>{_ADDRESSES})(?:,?\s+cc:?\s+(?P<cc>{_ADDRESSES}))?"
)
_TOPIC = r",?\s+(?:about|regarding|concerning)\s+(?P<topic>[^\r\n]+?)"
_SUBJECT = r",?\s+(?:with\s+)?(?:the\s+|a\s+)?subject:?\s+(?P<subject>[^\r\n]+?)"
_BODY = r",?\s+(?:and\s+)?(?:saying|that\s+says):?\s+(?P<body>.+?)"
_SENTENCES = tuple(
    re.compile(_RECIPIENTS + rest + r"\s*", re.IGNORECASE | re.DOTALL)
    for rest in (rf"{_TOPIC}(?:{_BODY})?", rf"{_SUBJECT}(?:{_BODY})?", _BODY)
)


def offline_planner() -> Planner:
    """Return the planner of fixed sentences: deterministic, and without any network."""
    return _read


async def _read(request: str) -> Proposed | Declined:
    # The sentences take quadratic time on hostile text.
    if len(request) > _LONGEST_REQUEST:
        return Declined(UNDERSTOOD)
    for sentence in _SENTENCES:
        if found := sentence.fullmatch(request):
            return _email(**found.groupdict())
    return Declined(UNDERSTOOD)


def _email(
    to: str, cc: str | None, topic: str | None = None, subject: str | None = None, body: str | None = None
) -> Proposed | Declined:
    matter = _unquoted(topic or subject or body or "").rstrip(".!? ")
    # A second sentence would be an instruction that nothing here can follow.
    if not matter or (topic and re.search(r"[.!?]\s", matter)):
        return Declined(UNDERSTOOD)
    recipients, headline = _addresses(to), _headline(matter)
    parameters = {
        "to": recipients,
        "cc": _addresses(cc or ""),
        "subject": headline,
        "body": f"{_unquoted(body)}\n"
        if body
        else f"Hello,\n\nI am writing about {matter}.\n\nKind regards\n",
    }
    return Proposed("send_email", f"Email {', '.join(recipients)}: {headline}", parameters, _NO_OPINION)


def _addresses(text: str) -> list[str]:
    return list(dict.fromkeys(re.findall(_ADDRESS, text)))


def _unquoted(text: str) -> str:
    text = text.strip()
    return text[1:-1].strip() if re.fullmatch(r"\".*\"|'.*'|“.*”", text, re.DOTALL) else text


def _headline(matter: str) -> str:
    first = re.sub(r"^(?:the|an?|our|my)\s+", "", matter.splitlines()[0], flags=re.IGNORECASE)
    return first[:1].upper() + first[1:_LONGEST_SUBJECT]
