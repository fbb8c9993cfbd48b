"""The decision page: opening it shows, choosing and confirming decides, and every dead end says what next."""

from collections.abc import Callable, Mapping
from datetime import datetime

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from gateway.actions import ActionRefusedError
from gateway.core.action import EditRefusedError
from gateway.core.approval import Answer, Channel, Identity, State, Verdict
from gateway.core.tokens import TokenError
from gateway.service import Ballot, Reply, Service, View
from gateway.store import Store
from gateway.web import forms, sheets
from gateway.web.forms import Nonces
from gateway.web.pages import Pages
from gateway.web.refusals import not_found
from gateway.web.sheets import Case, Filled, Part, Sheets

_RECORDED = frozenset(
    {
        Answer.RECORDED,
        Answer.APPROVED,
        Answer.REJECTED,
        Answer.MODIFIED,
        Answer.ANSWERED,
        Answer.DECIDED,
    }
)
_GONE = frozenset({State.EXPIRED, State.CANCELLED, State.SUPERSEDED})
_CHOOSE = "Choose one of the answers first; nothing was recorded."
_NO_WORDS = "Write the answer for the agent into the comment; nothing was recorded."
_TOO_LONG = f"The comment is longer than {sheets.COMMENT_LENGTH} characters."
_UNCHANGED = "Nothing is changed yet: edit one of the fields, or choose another answer."
_CHANGED = (
    "You have edited the action but chose to approve it as it was shown."
    " Choose to change it, or undo what you edited; nothing was recorded."
)


class DecisionPage:
    """The handlers of `/a/{token}`."""

    def __init__(
        self,
        *,
        service: Service,
        store: Store,
        pages: Pages,
        sheets: Sheets,
        nonces: Nonces,
        clock: Callable[[], datetime],
    ) -> None:
        self._service = service
        self._store = store
        self._pages = pages
        self._sheets = sheets
        self._nonces = nonces
        self._clock = clock

    def router(self) -> APIRouter:
        """Return the routes of the page; they are for browsers, not for programs."""
        router = APIRouter(include_in_schema=False)
        router.add_api_route("/a/{token}", self.show, methods=["GET", "HEAD"], response_model=None)
        router.add_api_route("/a/{token}", self.decide, methods=["POST"], response_model=None)
        return router

    async def show(self, token: str) -> Response:
        """Show the question, or how it ended; nothing is changed by it."""
        case = await self._case(await self._open(token))
        return self._question(case, Filled()) if self._is_open(case) else self._closed(case)

    async def decide(self, token: str, request: Request) -> Response:
        """Count the answer of the form, or show the form again with what is missing."""
        view = await self._open(token)
        forms.check_origin(request)
        form = await forms.read(request, len(view.approval.items))
        self._nonces.check(view, form.get("nonce", ""))
        case = await self._case(view)
        if not self._is_open(case):
            return self._closed(case, 409)
        return await self._answer(case, form, token)

    async def _answer(self, case: Case, form: Mapping[str, str], token: str) -> Response:
        if len(case.approval.items) > 1:
            return await self._answer_by_item(case, form, token)
        try:
            edits = forms.edits(form, case.approval.items[0])
        except EditRefusedError as error:
            return self._question(case, Filled(form=form, problems=error.problems), 422)
        if problem := _problem(form, edits=bool(edits)):
            return self._question(case, Filled(form=form, problems=(problem,)), 422)
        verdict, shown = Verdict(form["decision"]), form.get("shown", "")
        if verdict is Verdict.MODIFY:
            if "again" in form:
                return self._question(case, Filled(form=form))
            if not forms.same(form.get("confirmed", ""), self._nonces.diff(case.view, edits, shown)):
                return await self._preview(case, form)
        ballot = Ballot(
            approval=case.approval.id,
            by=case.view.reviewer,
            verdict=verdict,
            channel=Channel.LINK,
            identity=Identity.LINK,
            comment=form.get("comment", "").strip(),
            evidence=case.view.jti,
            edits=edits if verdict is Verdict.MODIFY else {},
            diff_seen=True,
            shown=shown,
        )
        return await self._counted(await self._service.vote(ballot), case, form, token)

    async def _answer_by_item(self, case: Case, form: Mapping[str, str], token: str) -> Response:
        """Count what was chosen for each of several items, all of it at once."""
        asked = sheets.parts(case.approval, case.view.reviewer, form)
        if problems := [problem for part in asked if (problem := _problem_with(part))]:
            return self._question(case, Filled(form=form, problems=tuple(problems)), 422)
        ballots = [
            Ballot(
                approval=case.approval.id,
                by=case.view.reviewer,
                verdict=Verdict(part.chosen),
                channel=Channel.LINK,
                identity=Identity.LINK,
                comment=part.comment.strip(),
                evidence=case.view.jti,
                item=part.item,
            )
            for part in asked
            if part.chosen
        ]
        if not ballots:
            return self._question(case, Filled(form=form, problems=(_CHOOSE,)), 422)
        return await self._counted(await self._service.vote_by_item(ballots), case, form, token)

    async def _counted(self, reply: Reply, case: Case, form: Mapping[str, str], token: str) -> Response:
        """Show what became of an answer."""
        if reply.answer in _RECORDED:
            return RedirectResponse(f"/a/{token}", 303)
        if reply.answer is Answer.EDIT_REFUSED:
            return self._question(case, Filled(form=form, problems=reply.problems), 422)
        now_stands = await self._case(View(reply.approval, case.view.reviewer, case.view.jti))
        if self._is_open(now_stands):
            status = 403 if reply.answer in {Answer.CHANNEL_REFUSED, Answer.NOT_A_REVIEWER} else 409
            return self._question(now_stands, Filled(), status)
        return self._closed(now_stands, 409)

    async def _preview(self, case: Case, form: Mapping[str, str]) -> Response:
        edits = forms.edits(form, case.approval.items[0])
        try:
            candidate = await self._service.preview(case.approval, edits)
        except (EditRefusedError, ActionRefusedError) as error:
            problems = error.problems if isinstance(error, EditRefusedError) else (str(error),)
            return self._question(case, Filled(form=form, problems=problems), 422)
        return self._pages.render("confirm", self._sheets.diff(case, candidate, Filled(form=form), edits))

    async def _open(self, token: str) -> View:
        try:
            return await self._service.view(token)
        except TokenError:
            raise not_found() from None

    async def _case(self, view: View) -> Case:
        return await self._store.read(lambda tx: sheets.load(tx, view))

    def _is_open(self, case: Case) -> bool:
        return case.approval.state is State.OPEN and self._clock() < case.approval.expires_at

    def _question(self, case: Case, filled: Filled, status: int = 200) -> Response:
        return self._pages.render("decide", self._sheets.question(case, self._clock(), filled), status)

    def _closed(self, case: Case, status: int = 200) -> Response:
        state = case.approval.state
        page = {State.CANCELLED: "cancelled", State.SUPERSEDED: "superseded"}.get(state, "decided")
        if state in {State.EXPIRED, State.OPEN}:
            page = "expired"
        own = case.successor is not None and case.approval.votes[-1].by == case.view.reviewer
        gone = page == "expired" or (state in _GONE and not own)
        return self._pages.render(page, self._sheets.closed(case), 410 if gone else status)


def _problem(form: Mapping[str, str], *, edits: bool) -> str:
    """Say why the form does not answer the question yet; empty when it does."""
    decision = form.get("decision", "")
    if decision not in set(Verdict):
        return _CHOOSE
    if len(form.get("comment", "")) > sheets.COMMENT_LENGTH:
        return _TOO_LONG
    if decision == Verdict.RESPOND and not form.get("comment", "").strip():
        return _NO_WORDS
    if decision == Verdict.MODIFY and not edits:
        return _UNCHANGED
    return _CHANGED if decision == Verdict.APPROVE and edits else ""


def _problem_with(part: Part) -> str:
    """Say why the form does not answer one of several items yet; empty where it does."""
    if part.chosen not in {*Verdict, ""} or (part.is_asked and not part.chosen):
        return f"Action {part.item} has no answer yet: choose one for each; nothing was recorded."
    if len(part.comment) > sheets.COMMENT_LENGTH:
        return f"Action {part.item}: {_TOO_LONG}"
    if part.chosen == Verdict.RESPOND and not part.comment.strip():
        return f"Action {part.item}: {_NO_WORDS}"
    return ""
