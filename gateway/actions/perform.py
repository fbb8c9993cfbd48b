"""The one way to an action: checked against its approval, then done. Only the outbox may import this."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from gateway.actions import send_email
from gateway.core import action as core
from gateway.core.approval import Approval, State
from gateway.core.execution import Receipt
from gateway.mailer import Mailer


class UnapprovedError(RuntimeError):
    """What is stored is not what was granted; nothing was done and an operator must look."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One approved action about to be done; `digest` is what people granted.

    `point_of_no_return` commits that the outside world may now be told; until it is awaited, nothing is.
    """

    approval: Approval
    is_granted: bool
    """Whether sealed facts grant it and none says that it was done or begun before."""
    digest: str
    message_id: str
    date: datetime
    point_of_no_return: Callable[[], Awaitable[None]]


async def perform(job: Job, mailer: Mailer) -> Receipt:
    """Do what was approved, once its stored form is seen to be exactly that.

    Raises:
        UnapprovedError: state or digest do not match; nothing was done.
        TemporaryError, ConfigurationError: nothing was done, it may be tried again.
        DoubtError: it may have been done; nobody can know.
    """
    action = _checked(job)
    return await send_email.perform(action, mailer, job.message_id, job.date, job.point_of_no_return)


def _checked(job: Job) -> core.Action:
    approval = job.approval
    if approval.state is not State.APPROVED or not job.is_granted:
        raise UnapprovedError(f"no sealed fact grants approval {approval.id} ({approval.state}) now")
    if len(approval.items) != 1 or approval.items[0].action.type != send_email.NAME:
        raise UnapprovedError(f"approval {approval.id} holds no single {send_email.NAME}")
    (item,) = approval.items
    if not core.digest(item.action) == item.digest == approval.digest == job.digest:
        raise UnapprovedError(f"the stored action of {approval.id} is not the one that was approved")
    return item.action
