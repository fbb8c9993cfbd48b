"""Put pages and API together, and let both refuse in their own words."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.requests import Request
from starlette.responses import Response

from gateway import __version__
from gateway.actions import Actions
from gateway.core.policy import Policy
from gateway.core.visible import one_line
from gateway.log import log
from gateway.service import Service
from gateway.store import NotFoundError, Store, StoreUnavailableError
from gateway.web import api
from gateway.web.decision import DecisionPage
from gateway.web.door import Door, Refuse, route
from gateway.web.forms import Nonces
from gateway.web.pages import Pages
from gateway.web.refusals import UNAVAILABLE, RefusedError, by_status
from gateway.web.settings import WebSettings
from gateway.web.sheets import Sheets

_PROGRAMS = frozenset({"/start", "/approve", "/approvals", "/status", "/healthz", "/readyz", "/openapi.json"})


def application(
    *,
    service: Service,
    store: Store,
    policy: Policy,
    actions: Actions,
    settings: WebSettings,
    nonce_key: bytes,
    templates: Sequence[Path],
    health: Callable[[], Mapping[str, str]],
    clock: Callable[[], datetime],
) -> FastAPI:
    """Build the pages and the API; `health` says for each part "ok" or what is wrong with it.

    Raises:
        jinja2.TemplateError: a page's template is missing or does not compile.
    """
    pages, nonces = Pages(settings.name, templates), Nonces(nonce_key)
    app = FastAPI(
        title=f"{settings.name}: approval gateway",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        # Its spans would carry paths, and a path of ours is a secret.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    app.state.stopping = asyncio.Event()
    refuse = _refuser(pages)
    app.add_middleware(Door, host=urlsplit(settings.base_url).netloc, refuse=refuse)
    _handle_errors(app, refuse)
    decision = DecisionPage(
        service=service,
        store=store,
        pages=pages,
        sheets=Sheets(policy, actions, nonces, settings.timezone),
        nonces=nonces,
        clock=clock,
    )
    programs = api.Api(
        service=service, store=store, policy=policy, settings=settings, stopping=app.state.stopping
    )
    for router in (decision.router(), _furniture(pages), programs.router(), api.health_router(health)):
        app.include_router(router)
    return app


def _furniture(pages: Pages) -> APIRouter:
    """Return the routes of what belongs to the pages and is no page."""
    router = APIRouter(include_in_schema=False)

    @router.get("/static/page.css", response_model=None)
    async def style_sheet() -> Response:
        return pages.style_sheet()

    @router.get("/favicon.ico", response_model=None)
    async def no_icon() -> Response:
        return Response(status_code=204)

    return router


def _refuser(pages: Pages) -> Refuse:
    def refuse(request: Request, refusal: RefusedError) -> Response:
        where = route(request.scope)
        log.info(
            "web.refused", status=refusal.status_code, word=refusal.word, method=request.method, route=where
        )
        return api.refused(refusal) if where in _PROGRAMS else pages.problem(refusal)

    return refuse


def _handle_errors(app: FastAPI, refuse: Refuse) -> None:
    """Word every expected error as a refusal; what is not expected is the door's."""

    @app.exception_handler(StarletteHTTPException)
    async def by_framework(request: Request, error: StarletteHTTPException) -> Response:
        refusal = error if isinstance(error, RefusedError) else by_status(error)
        return refuse(request, refusal)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        return refuse(request, RefusedError(422, "invalid-request", _sentence(error)))

    @app.exception_handler(NotFoundError)
    async def missing(request: Request, error: NotFoundError) -> Response:
        return refuse(request, RefusedError(404, "not-found", one_line(str(error))))

    @app.exception_handler(StoreUnavailableError)
    async def unavailable(request: Request, error: StoreUnavailableError) -> Response:
        log.error("web.store_unavailable", why=str(error))
        return refuse(request, RefusedError(503, "unavailable", UNAVAILABLE))


def _sentence(error: RequestValidationError) -> str:
    """Say which fields are wrong and why, without repeating their values."""
    found = ((".".join(map(str, each["loc"][1:])) or "body", each["msg"]) for each in error.errors())
    return one_line("; ".join(f"{where}: {why}" for where, why in found))
