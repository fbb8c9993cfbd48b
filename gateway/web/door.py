"""The door that every request passes: known host, bounded body, safe headers, and no error left untold."""

import asyncio
from collections.abc import Callable, MutableMapping
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.log import log
from gateway.web.refusals import RefusedError, broken

PAGE_BODY = 1024 * 1024
"""Octets of a page's form at most: the body of a mail is edited in it, twelve octets a character at worst."""
API_BODY = 2 * 1024 * 1024
_BODY_SECONDS = 10.0
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none';"
        " frame-ancestors 'none'"
    ),
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex, nofollow, noarchive",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}

Refuse = Callable[[Request, RefusedError], Response]


class Door:
    """ASGI middleware around everything.

    `host` is what we are called, with or without a port; `refuse` words a refusal for whoever asks.
    """

    def __init__(self, app: ASGIApp, *, host: str, refuse: Refuse) -> None:
        self._app = app
        self._hosts = _LOOPBACK | {_without_port(host.lower())}
        self._refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, and see to it that it is answered."""
        answer = _Answer(send)
        try:
            self._check_host(Headers(scope=scope))
            limit = PAGE_BODY if scope["path"].startswith("/a/") else API_BODY
            await self._app(scope, _Bounded(receive, Headers(scope=scope), limit), answer)
        except RefusedError as refusal:
            await self._refuse(Request(scope), refusal)(scope, receive, answer)
        except Exception:  # noqa: BLE001 - whatever it was, the asker gets an answer and the log the rest
            log.exception("web.broke", method=scope["method"], route=route(scope))
            if not answer.started:
                await self._refuse(Request(scope), broken())(scope, receive, answer)

    def _check_host(self, headers: Headers) -> None:
        name = headers.get("host", "").lower()
        if _without_port(name) not in self._hosts:
            raise RefusedError(400, "unknown-host", "this gateway is not known under that name")


def route(scope: Scope) -> str:
    """Name the part of the site that a request is for; the rest of its path may be a secret."""
    first = scope["path"].split("/")[1:2]
    return f"/{first[0][:40]}" if first else "/"


class _Answer:
    """Sends an answer with the headers that every answer has."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.started = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            headers = MutableHeaders(raw=message.setdefault("headers", []))
            for name, value in _HEADERS.items():
                headers[name] = value
            headers.setdefault("Cache-Control", "no-store")
        await self._send(message)


class _Bounded:
    """Receives a body as long as it is small enough and does not dawdle."""

    def __init__(self, receive: Receive, headers: Headers, limit: int) -> None:
        self._receive = receive
        self._declared = headers.get("content-length", "0")
        self._limit = limit
        self._size = 0
        self._complete = False

    async def __call__(self) -> MutableMapping[str, Any]:
        if self._complete:
            return await self._receive()
        if not self._declared.isdecimal() or int(self._declared) > self._limit:
            raise self._too_large()
        try:
            async with asyncio.timeout(_BODY_SECONDS):
                message = await self._receive()
        except TimeoutError:
            raise RefusedError(
                408, "too-slow", "the request did not arrive in time", headers={"Connection": "close"}
            ) from None
        self._size += len(message.get("body", b""))
        self._complete = not message.get("more_body", False)
        if self._size > self._limit:
            raise self._too_large()
        return message

    def _too_large(self) -> RefusedError:
        return RefusedError(413, "too-large", f"at most {self._limit} octets are taken")


def _without_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdecimal() else host
