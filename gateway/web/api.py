"""The JSON API: start a request, decide, look. A bearer token says who calls; only some are reviewers."""

import asyncio
import hmac
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.responses import JSONResponse

from gateway.core.approval import Answer, Approval, Channel, Identity, State, Verdict
from gateway.core.execution import ThreadState
from gateway.core.policy import Policy
from gateway.service import Ballot, IdempotencyKeyReusedError, Reply, Service
from gateway.store import Store, ThreadRow, Transaction
from gateway.web import schema
from gateway.web.refusals import RefusedError
from gateway.web.schema import (
    ApprovalsView,
    ApprovalView,
    ApproveRequest,
    DecisionView,
    ErrorView,
    StartRequest,
    StatusView,
    ThreadView,
)
from gateway.web.settings import ApiToken, WebSettings

_LOOK_AGAIN_SECONDS = 0.05
_VERDICTS: Mapping[str, Verdict] = {
    "approved": Verdict.APPROVE,
    "rejected": Verdict.REJECT,
    "modified": Verdict.MODIFY,
    "answered": Verdict.RESPOND,
}
_REFUSALS: Mapping[Answer, tuple[int, str]] = {
    Answer.ALREADY_DECIDED: (409, "the approval, or this item of it, was decided before"),
    Answer.ALREADY_VOTED: (409, "this reviewer has approved before"),
    Answer.EXPIRED: (409, "the time for a decision is over"),
    Answer.NOT_A_REVIEWER: (403, "this person is not asked about this approval"),
    Answer.CHANNEL_REFUSED: (403, "policy takes no answers to this approval through the API"),
    Answer.EDIT_REFUSED: (422, "the changed action cannot be done"),
    Answer.NOT_OFFERED: (422, "the agent's question does not take this decision"),
    Answer.UNCLEAR: (422, "an answer in words needs feedback"),
    Answer.NO_SUCH_ITEM: (422, "the question has no item of this number"),
}
_SEEDS_WORDS: Mapping[
    State,
    Literal["pending", "approved", "rejected", "expired", "cancelled", "superseded", "answered", "decided"],
] = {
    State.OPEN: "pending",
    State.APPROVED: "approved",
    State.REJECTED: "rejected",
    State.EXPIRED: "expired",
    State.CANCELLED: "cancelled",
    State.SUPERSEDED: "superseded",
    State.ANSWERED: "answered",
    State.DECIDED: "decided",
}
_ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorView} for status in (401, 403, 404, 409, 422)
}
_bearer = HTTPBearer(auto_error=False, description="A token of `[[http.tokens]]`.")
Credentials = Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)]
IdempotencyKey = Annotated[
    str | None,
    Header(min_length=1, max_length=200, description="The same key with the same request starts one thread."),
]


class Api:
    """The handlers of the API."""

    def __init__(
        self,
        *,
        service: Service,
        store: Store,
        policy: Policy,
        settings: WebSettings,
        stopping: asyncio.Event,
    ) -> None:
        self._service = service
        self._store = store
        self._policy = policy
        self._settings = settings
        self._stopping = stopping

    def router(self) -> APIRouter:
        """Return the routes of the API."""
        router = APIRouter(responses=_ERRORS)
        start, approve, status = map(self._permission, ("start", "approve", "status"))
        router.add_api_route("/start", self.start, methods=["POST"], status_code=202, dependencies=[start])
        router.add_api_route("/approve", self.approve, methods=["POST"], dependencies=[approve])
        router.add_api_route("/status/{thread_id}", self.status, methods=["GET"], dependencies=[status])
        router.add_api_route("/approvals", self.approvals, methods=["GET"], dependencies=[status])
        return router

    async def start(
        self,
        asked: StartRequest,
        http: Request,
        idempotency_key: IdempotencyKey = None,
        wait: Annotated[float, Query(ge=0, le=60, description="Seconds to wait for the first question.")] = 0,
    ) -> ThreadView:
        """Record a request; the agent starts at once, and `wait` stays for its first question or its end."""
        caller: ApiToken = http.state.caller
        if asked.graph not in self._settings.graphs:
            raise RefusedError(422, "unknown-graph", f"there is no graph {asked.graph!r}")
        request = {**(asked.input or {}), "user_request": asked.user_request}
        key = f"{caller.name}/{idempotency_key}" if idempotency_key else None
        try:
            thread = await self._service.start(asked.graph, request, asked.user_id or caller.name, key)
        except IdempotencyKeyReusedError as error:
            raise RefusedError(422, "idempotency-key-reused", str(error)) from None
        return await self._settled(thread.id, wait)

    async def approve(self, decided: ApproveRequest, http: Request) -> DecisionView:
        """Count the decision of the token's reviewer."""
        caller: ApiToken = http.state.caller
        if caller.reviewer is None:
            raise RefusedError(403, "not-a-reviewer", "this token belongs to no reviewer")
        approval = await self._store.read(lambda tx: _named(tx, decided))
        person = self._policy.person(caller.reviewer)
        ballot = Ballot(
            approval=approval,
            by=person.email if person else caller.reviewer,
            verdict=_VERDICTS[decided.decision],
            channel=Channel.API,
            identity=Identity.API_TOKEN,
            comment=decided.feedback,
            evidence=f"token {caller.name}",
            edits=decided.modified_parameters or {},
            diff_seen=True,
            item=decided.item,
        )
        return _decision(await self._service.vote(ballot))

    async def status(self, thread_id: str) -> StatusView:
        """Say where a request stands and what it has asked."""
        return await self._store.read(lambda tx: _status(tx, thread_id))

    async def approvals(
        self,
        state: Annotated[list[State] | None, Query(description="Only these states; all without it.")] = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
    ) -> ApprovalsView:
        """List approvals, newest first."""

        def listed(tx: Transaction) -> list[ApprovalView]:
            return [_view(tx, approval) for approval in tx.approvals(state or tuple(State), limit)]

        return ApprovalsView(approvals=await self._store.read(listed))

    def _permission(self, wants: str) -> Any:
        """Return the dependency that lets only those in who may do this; it comes before the body."""

        async def permitted(http: Request, credentials: Credentials) -> None:
            http.state.caller = self._caller(credentials, wants)

        return Security(permitted)

    def _caller(self, credentials: HTTPAuthorizationCredentials | None, wants: str) -> ApiToken:
        given = credentials.credentials.encode("utf-8", "replace") if credentials else b""
        # Compared with every token, so that the time does not tell which was nearly right.
        known = [
            token for token in self._settings.tokens if hmac.compare_digest(token.secret.encode(), given)
        ]
        if not known or not given:
            challenge = {"WWW-Authenticate": "Bearer"}
            raise RefusedError(401, "unauthorized", "a valid bearer token is needed", headers=challenge)
        if wants not in known[0].may:
            raise RefusedError(403, "forbidden", f"this token may not {wants}")
        return known[0]

    async def _settled(self, thread: str, wait: float) -> ThreadView:
        deadline = time.monotonic() + wait
        while True:
            view = await self._store.read(lambda tx: _thread(tx, tx.thread(thread)))
            is_open = any(approval.state is State.OPEN for approval in view.approvals)
            if is_open or view.status is not ThreadState.RUNNING or time.monotonic() >= deadline:
                return view
            if self._stopping.is_set():
                return view
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)


def health_router(health: Callable[[], Mapping[str, str]]) -> APIRouter:
    """Return the routes that tell a supervisor whether we live and whether we can work."""
    router = APIRouter()

    @router.get("/healthz")
    async def healthz() -> schema.HealthView:
        """Answer as long as the process does."""
        return schema.HealthView(status="ok")

    @router.get("/readyz", response_model=schema.HealthView, responses={503: {"model": schema.HealthView}})
    async def readyz() -> JSONResponse:
        """Say whether every part can work, and which cannot."""
        parts = dict(health())
        ready = all(said == "ok" for said in parts.values())
        view = schema.HealthView(status="ok" if ready else "unavailable", parts=parts)
        return JSONResponse(view.model_dump(), 200 if ready else 503)

    return router


def refused(refusal: RefusedError) -> JSONResponse:
    """Word a refusal for a program."""
    body = {"error": refusal.word, "detail": refusal.detail, **refusal.more}
    return JSONResponse(body, refusal.status_code, refusal.headers)


def _named(tx: Transaction, decided: ApproveRequest) -> str:
    """Find the one approval that is meant, or refuse to guess."""
    if decided.approval_id is not None:
        return tx.approval(decided.approval_id).id
    thread = tx.thread(str(decided.thread_id))
    approvals = tx.approvals_of(thread.id)
    still_open = [approval.id for approval in approvals if approval.state is State.OPEN]
    if len(still_open) > 1:
        raise RefusedError(
            409,
            "several-open",
            "the thread has several open approvals; name one by approval_id",
            more={"approvals": still_open},
        )
    if not still_open:
        known = [approval.id for approval in approvals]
        raise RefusedError(409, "none-open", "no approval of the thread is open", more={"approvals": known})
    if len(approvals) > 1:
        # An answer that is late, or sent twice, must not reach the question that came after its own.
        raise RefusedError(
            409,
            "changed",
            "this is not the first question of the thread; look at it and name it by approval_id",
            more={"approvals": still_open},
        )
    return still_open[0]


def _decision(reply: Reply) -> DecisionView:
    if reply.answer in _REFUSALS:
        status, sentence = _REFUSALS[reply.answer]
        more = {"approvals": [reply.approval.id]}
        if reply.problems:
            more["problems"] = list(reply.problems)
        raise RefusedError(status, reply.answer.value, sentence, more=more)
    return DecisionView(
        approval_id=reply.approval.id,
        thread_id=reply.approval.thread,
        answer=reply.answer,
        state=reply.approval.state,
        undecided=list(reply.approval.undecided),
        replaced_by=reply.approval.replaced_by,
    )


def _status(tx: Transaction, thread_id: str) -> StatusView:
    thread = tx.thread(thread_id)
    approvals = tx.approvals_of(thread_id)
    said = thread.result or None
    finished = thread.state is ThreadState.FINISHED
    return StatusView(
        **_thread(tx, thread).model_dump(),
        approval_status=_approval_status(approvals),
        result=said if finished else None,
        error=None if finished else said,
    )


def _thread(tx: Transaction, thread: ThreadRow) -> ThreadView:
    views = [_view(tx, approval) for approval in tx.approvals_of(thread.id)]
    return ThreadView(thread_id=thread.id, status=thread.state, approvals=views)


def _view(tx: Transaction, approval: Approval) -> ApprovalView:
    row = tx.perform_row(approval.id)
    return schema.approval_view(approval, row.state if row else None, row.note if row else "")


def _approval_status(
    approvals: Sequence[Approval],
) -> (
    Literal[
        "pending",
        "approved",
        "modified",
        "rejected",
        "expired",
        "cancelled",
        "superseded",
        "answered",
        "decided",
    ]
    | None
):
    """Take the open question's word, else that of the latest which no edit has replaced."""
    if not approvals:
        return None
    standing = [each for each in approvals if each.replaced_by is None]
    latest = next((each for each in standing if each.state is State.OPEN), standing[-1])
    if latest.state is State.APPROVED and latest.original:
        return "modified"
    return _SEEDS_WORDS[latest.state]
