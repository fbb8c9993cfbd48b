"""What a handle stands for, and what is known of the question behind it."""

from gateway.actions import Actions
from gateway.core import tokens
from gateway.core.action import digest, digest_of
from gateway.core.approval import Approval
from gateway.core.policy import Policy, Reviewer
from gateway.core.reply import Context
from gateway.core.tokens import Claim, Purpose, Signatory
from gateway.letters import Letters, Recipient
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


def context_of(
    approval: Approval, person: Reviewer, policy: Policy, actions: Actions, letters: Letters
) -> Context:
    """Gather what is known of a question, to read a reviewer's answer to it."""
    item = approval.items[0]
    reader = Recipient(person.email, person.name, person.timezone)
    return Context(
        fields=item.editable,
        values={field.name: item.action.parameters.get(field.name) for field in item.editable},
        languages=(person.language,),
        words=policy.words,
        request=letters.question(approval, reader, actions.rows(*approval.actions)),
    )
