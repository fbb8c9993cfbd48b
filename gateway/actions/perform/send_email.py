"""Hand an approved email to the mail server."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

from gateway.actions.attachments import Attachments
from gateway.actions.perform.attempt import Attempt
from gateway.actions.refusal import ActionRefusedError
from gateway.actions.send_email import built, recipients
from gateway.core.action import Action
from gateway.core.execution import Receipt, ReceiptStatus
from gateway.mailer import Mailer, PermanentError

_LOOK = "Look in the Sent folder or the mail server's log"


class EmailSender:
    """Sends what `SendEmail` has prepared, with the files that were looked at then.

    `keep` gets the octets of each mail that was accepted; it must not wait nor raise.
    """

    def __init__(
        self,
        mailer: Mailer,
        attachments: Attachments | None = None,
        keep: Callable[[bytes], None] = lambda _: None,
    ) -> None:
        self._mailer = mailer
        self._attachments = attachments
        self._keep = keep

    async def perform(self, action: Action, attempt: Attempt) -> Receipt:
        """Send the mail; the point of no return lies between the last accepted recipient and the first octet.

        A refusal that will not change is a failed receipt. Other errors of the mailer pass through.
        """
        evidence = {"message_id": attempt.message_id}
        begin = partial(attempt.point_of_no_return, {**evidence, "look": _LOOK})
        to = recipients(action)
        octets = await built(action, attempt.message_id, attempt.date, await self._files(action))
        detail = {**evidence, "recipients": list(to)}
        try:
            answer = await self._mailer.send(
                action.parameters["envelope_from"], to, octets, before_data=begin
            )
        except PermanentError as error:
            return Receipt(ReceiptStatus.FAILED, f"not sent: {error}", detail | {"answer": str(error)})
        self._keep(octets)
        return Receipt(ReceiptStatus.DONE, f"Email sent to {', '.join(to)}", detail | {"answer": answer})

    async def _files(self, action: Action) -> Sequence[bytes]:
        approved = action.parameters.get("attachments", ())
        if not approved:
            return ()
        if self._attachments is None:
            raise ActionRefusedError("attachments are no longer allowed here, so nothing was sent")
        return await asyncio.to_thread(self._attachments.fetch, approved)
