"""The one way to an action: checked against its approval, then done. Only the outbox may call this."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

import jcs

from gateway.actions.perform.attempt import Attempt, Performer
from gateway.actions.refusal import ActionRefusedError
from gateway.core import action as core
from gateway.core.approval import Approval, State
from gateway.core.execution import Receipt

__all__ = ["Attempt", "Job", "Performer", "UnapprovedError", "perform", "recomputed"]


class UnapprovedError(RuntimeError):
    """What is stored is not what was granted; nothing was done and an operator must look."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One approved action about to be done; `digest` is what people granted."""

    approval: Approval
    is_granted: bool
    """Whether sealed facts grant it and none says that it was done or begun before."""
    digest: str
    attempt: Attempt


async def perform(job: Job, performers: Mapping[str, Performer]) -> Receipt:
    """Have what was approved done by the performer of its kind, once it is seen to be exactly that.

    Raises:
        UnapprovedError: state or digest do not match; nothing was done.
        ActionRefusedError: it cannot be done as approved, or nothing here does its kind; nothing was done.
        NothingDoneError: nothing was done, it may be tried again.
        InDoubtError: it may have been done; nobody can know.
    """
    action = _checked(job)
    performer = performers.get(action.type)
    if performer is None:
        raise ActionRefusedError(f"{action.type} is no longer configured, so nothing was done")
    return await performer.perform(action, job.attempt)


def recomputed(action: core.Action) -> str:
    """Digest the stored action anew by other code than made the digest that people granted.

    A fault in one canonical form (RFC 8785) would otherwise be in both, and two actions could share a digest.
    """
    whole = {"version": core.DIGEST_VERSION, "type": action.type, "parameters": dict(action.parameters)}
    return sha256(jcs.canonicalize(whole)).hexdigest()


def _checked(job: Job) -> core.Action:
    approval = job.approval
    if approval.state is not State.APPROVED or not job.is_granted:
        raise UnapprovedError(f"no sealed fact grants approval {approval.id} ({approval.state}) now")
    if len(approval.items) != 1:
        raise UnapprovedError(f"approval {approval.id} holds no single action")
    (item,) = approval.items
    if not recomputed(item.action) == item.digest == approval.digest == job.digest:
        raise UnapprovedError(f"the stored action of {approval.id} is not the one that was approved")
    if job.attempt.approval != approval.id:
        raise UnapprovedError(f"the attempt is at {job.attempt.approval}, not at {approval.id}")
    return item.action
