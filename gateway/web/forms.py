"""Read a page's form: its encoding and size, that it came from a page of ours, and what was changed in it."""

import hmac
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request

from gateway.core.action import EditRefusedError, Field, FieldType
from gateway.core.approval import Item
from gateway.core.visible import conceal, reveal
from gateway.service import View
from gateway.web.refusals import RefusedError

_URLENCODED = "application/x-www-form-urlencoded"
_MAX_FIELDS = 50
_EDIT = "edit."


class Nonces:
    """Marks the forms that were made for one opened link; whoever has not seen the page cannot post it."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def page(self, view: View) -> str:
        """Mark a page that shows the question."""
        return self._mac("page", view)

    def diff(self, view: View, edits: Mapping[str, Any], shown: str) -> str:
        """Mark a page that shows what exactly these edits make of a question: that of digest `shown`."""
        return self._mac("diff", view, [edits, shown])

    def check(self, view: View, given: str) -> None:
        """Refuse a form that is not from a page shown for this link.

        Raises:
            RefusedError: it is not.
        """
        if not same(given, self.page(view)):
            raise RefusedError(403, "stale-form", "the form does not come from the page of this link")

    def _mac(self, purpose: str, view: View, more: Any = None) -> str:
        approval = view.approval
        parts = [purpose, view.jti, approval.id, approval.digest, more]
        return hmac.digest(self._key, json.dumps(parts, sort_keys=True).encode(), "sha256").hex()


def same(given: str, wanted: str) -> bool:
    """Compare secrets in a time that tells nothing."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), wanted.encode())


def check_origin(request: Request) -> None:
    """Refuse a post that another site has made a browser send.

    Browsers that know Sec-Fetch-Site say it; older ones name the origin, which is `null` here because our
    pages send no referrer, and then the form's nonce alone decides.

    Raises:
        RefusedError: it comes from another site.
    """
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin", "null")
    ours = origin == "null" or origin.partition("://")[2].lower() == request.headers["host"].lower()
    if site not in {"same-origin", "none"} if site is not None else not ours:
        raise RefusedError(403, "foreign-page", "the form was posted from another site")


async def read(request: Request, items: int = 1) -> Mapping[str, str]:
    """Read the fields of a form, each of which may be there once; each of several items has two of its own.

    Raises:
        RefusedError: another encoding, too many fields, or not a form at all.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != _URLENCODED:
        raise RefusedError(415, "wrong-type", f"only {_URLENCODED} is taken")
    try:
        pairs = parse_qsl(
            (await request.body()).decode("ascii"),
            keep_blank_values=True,
            strict_parsing=True,
            errors="strict",
            max_num_fields=_MAX_FIELDS + 2 * (items - 1),
        )
    except ValueError:
        raise RefusedError(400, "bad-form", "the form cannot be read") from None
    form = dict(pairs)
    if len(form) < len(pairs):
        raise RefusedError(400, "bad-form", "a field of the form is there twice")
    return {name: _lines(value) for name, value in form.items()}


def edit_name(field: Field) -> str:
    """Name the form's field for an editable field."""
    return f"{_EDIT}{field.name}"


def choice_name(item: int) -> str:
    """Name the form's field for the answer to one of several items."""
    return f"decision.{item}"


def comment_name(item: int) -> str:
    """Name the form's field for the comment on one of several items."""
    return f"comment.{item}"


def as_text(field: Field, value: Any) -> str:
    """Write a value as it is edited: text, a list one entry a line, others as JSON, none hidden."""
    match field.type:
        case FieldType.STRING:
            return reveal(str(value or ""))
        case FieldType.STRINGS:
            return reveal("\n".join(value or ()))
        case _:
            return reveal(json.dumps(value, ensure_ascii=False))


def edits(form: Mapping[str, str], item: Item) -> dict[str, Any]:
    """Gather the values that differ from those that were shown.

    Raises:
        EditRefusedError: a value that is no text is not JSON.
    """
    changed: dict[str, Any] = {}
    for field in item.editable:
        present = item.action.parameters.get(field.name)
        shown = as_text(field, present)
        typed = form.get(edit_name(field), shown)
        if typed != shown and (value := _value(field, typed)) != present:
            changed[field.name] = value
    return changed


def _value(field: Field, text: str) -> Any:
    """Read a value.

    Raises:
        EditRefusedError: it is no JSON where that is needed.
    """
    match field.type:
        case FieldType.STRING:
            return conceal(text)
        case FieldType.STRINGS:
            return [conceal(line.strip()) for line in text.split("\n") if line.strip()]
        case _:
            try:
                return json.loads(conceal(text))
            except (ValueError, RecursionError):
                raise EditRefusedError([f'{field.name} must be JSON, such as 7, true or "text"']) from None


def _lines(text: str) -> str:
    """Undo the line ends of forms (HTML, constructing the entry list)."""
    return text.replace("\r\n", "\n").replace("\r", "\n")
