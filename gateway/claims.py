"""What a handle stands for, and what is known of the question behind it."""

from typing import Any

from gateway.core import ballots, tokens
from gateway.core.action import Field, digest, digest_of
from gateway.core.approval import Approval, Verdict
from gateway.core.policy import Policy, Reviewer
from gateway.core.reply import Context
from gateway.core.tokens import Claim, Purpose, Signatory
from gateway.store import Transaction

_NOBODY = Claim(Purpose.LINK, "", "", "")


def verified(
    tx: Transaction, handle: tokens.Handle, purpose: Purpose, signatory: Signatory, policy: Policy
) -> tuple[Claim, Approval]:
    """Say what a handle of this purpose stands for: the one verifier for every place a token comes from.

    Raises:
        ForgedTokenError: we did not sign it for this purpose.
        ReplacedTokenError: we did, but it counts no more.
    """
    claim = tx.claim_of(handle.jti.hex()) or _NOBODY
    signatory.verify(handle, claim)
    if claim.purpose is not purpose or policy.person(claim.reviewer) is None:
        raise tokens.ForgedTokenError("this token was made for another use, or for nobody we know")
    approval = tx.approval(claim.approval)
    # The handle is sealed with the digest of what was mailed; what lies in the store must still be that.
    if claim.digest != digest_of(digest(item.action) for item in approval.items):
        raise tokens.ForgedTokenError("what this token stands for is not what was asked")
    if tx.is_retired(handle.jti.hex()):
        raise tokens.ReplacedTokenError(claim)
    return claim, approval


def context_of(tx: Transaction, approval: Approval, person: Reviewer, policy: Policy) -> Context:
    """Gather what is known of a question, to read a reviewer's answer to it."""
    fields, values = _fields(approval)
    return Context(
        fields=fields,
        values=values,
        languages=(person.language,),
        words=policy.words,
        letters=tx.texts_to(approval.id, person.email),
        items=len(approval.items),
        takes_words=len(approval.items) == 1 and Verdict.RESPOND in approval.offers,
    )


def _fields(approval: Approval) -> tuple[tuple[Field, ...], dict[str, Any]]:
    """List what may be changed with what it holds now, under the names that a quoted letter has for it.

    Of several items none can be changed; they are known so that a changed copy is told from approval.
    """
    if len(approval.items) == 1:
        (item,) = approval.items
        return item.editable, {field.name: item.action.parameters.get(field.name) for field in item.editable}
    shown = {
        Field(ballots.label(n, field.name), field.type): item.action.parameters.get(field.name)
        for n, item in enumerate(approval.items, start=1)
        for field in item.editable
    }
    plain = dict.fromkeys(field for item in approval.items for field in item.editable)
    return (*plain, *shown), {field.name: value for field, value in shown.items()}
