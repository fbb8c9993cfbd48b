"""Make the mail: headers from the posting, both bodies from the templates."""

from collections.abc import Mapping, Sequence
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from hashlib import sha256
from pathlib import Path
from typing import Any

from gateway.core import markup
from gateway.core.action import Change
from gateway.core.approval import Approval
from gateway.core.effects import Letter
from gateway.core.policy import Risk
from gateway.core.visible import one_line
from gateway.letters import contents, templates
from gateway.letters.stationery import Letterhead, Posting, Row
from gateway.letters.wire import WIRE

_NO_HANDLE = "a" * 42
_ANSWERING = frozenset({Letter.RECEIPT, Letter.UNCLEAR, Letter.COMMENT, Letter.ALREADY_DECIDED})


class Letters:
    """Writes letters from the templates in `directories`; for each file the first that has it wins.

    All templates are compiled here, so that a broken one stops the start and not a letter.

    Raises:
        jinja2.TemplateError: a template is missing or does not compile.
    """

    def __init__(self, letterhead: Letterhead, directories: Sequence[Path]) -> None:
        self._letterhead = letterhead
        self._templates = templates.load(directories)

    def write(
        self,
        letter: Letter,
        approval: Approval | None,
        posting: Posting,
        *,
        rows: Sequence[Row] = (),
        details: Mapping[str, Any] = {},
        changes: Sequence[Change] = (),
    ) -> EmailMessage:
        """Write one copy of a letter.

        Args:
            letter: the kind; every kind but ALERT needs an approval.
            approval: the question that the letter is about.
            posting: who gets this copy, and its place in the mail thread.
            rows: the exact facts of the action, in the order in which they are shown.
            details: what is particular to this kind; what is missing is not mentioned.
            changes: what an edit changed.

        Raises:
            ValueError: the address or the time zone of the recipient is none.
        """
        content = contents.Content(letter, approval, posting, tuple(rows), details, tuple(changes))
        context = contents.context(self._letterhead, content)
        text, html = self._templates.render(letter, context)
        message = EmailMessage(WIRE)
        for name, value in self._headers(content, context["subject"]).items():
            message[name] = value
        message.set_content(text, cte="quoted-printable")
        message.add_alternative(html, subtype="html", cte="quoted-printable")
        message.set_boundary(f"=_{sha256(posting.message_id.encode()).hexdigest()[:32]}")
        return message

    def _headers(self, content: contents.Content, subject: str) -> dict[str, Any]:
        head, posting, approval = self._letterhead, content.posting, content.approval
        headers = {
            "From": _address(head.name, head.sender),
            "To": _address(posting.to.name, posting.to.email),
            "Reply-To": head.reply_address(posting.reply_handle),
            "Subject": f"Re: {subject}" if posting.root_id else subject,
            "Date": posting.date,
            "Message-ID": posting.message_id,
            "Auto-Submitted": "auto-replied" if content.letter in _ANSWERING else "auto-generated",
            # Not "All": bounces must still reach us.
            "X-Auto-Response-Suppress": "RN, NRN, AutoReply",
            "X-Loop": head.sender,
            "List-Id": f"<approvals.{head.domain}>",
            "X-Approval-Letter": str(content.letter),
        }
        if posting.root_id:
            headers |= {"In-Reply-To": posting.root_id, "References": posting.root_id}
        if approval:
            headers["X-Approval-Risk"] = str(approval.risk)
        if approval and approval.risk is Risk.HIGH and content.letter is Letter.ASK:
            headers["Importance"] = "high"
        return headers


def wording(letter: EmailMessage, posting: Posting) -> str:
    """Return what a letter says, in both versions, with another handle in the place of each of theirs.

    Programs quote the version that they show, and the HTML has sentences of its own.
    """
    plain, html = letter.get_body(("plain",)), letter.get_body(("html",))
    said = [str(plain.get_content())] if plain else []
    said += [markup.to_text(str(html.get_content()))] if html else []
    text = "\n".join(said)
    for handle in filter(None, (posting.reply_handle, posting.link_handle)):
        text = text.replace(handle, _NO_HANDLE)
    return text


def _address(name: str, address: str) -> Address:
    try:
        return Address(one_line(name), addr_spec=address)
    except (MessageError, ValueError, IndexError) as error:
        raise ValueError(f"{address!r} is not an address") from error
