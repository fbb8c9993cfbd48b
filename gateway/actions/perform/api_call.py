"""Make an approved HTTP call: to an address that was looked up once, without following anything."""

import asyncio
import logging
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any

import httpx

from gateway.actions.api_call import KEY, ApiCall
from gateway.actions.perform.attempt import Attempt
from gateway.actions.refusal import ActionRefusedError
from gateway.core import weburl
from gateway.core.action import Action
from gateway.core.execution import (
    InDoubtError,
    MisconfiguredError,
    NothingDoneError,
    Receipt,
    ReceiptStatus,
)
from gateway.core.network import Address, is_public, is_within
from gateway.core.visible import one_line
from gateway.core.weburl import WebUrl

# Below this level the libraries write addresses and headers to their logs.
for _library in ("httpx", "httpcore"):
    logging.getLogger(_library).setLevel(logging.WARNING)

Resolve = Callable[[str, int], Awaitable[Sequence[Address]]]
"""Looks up all addresses of a host.

Raises:
    OSError: there are none, or nobody knows now.
"""

_LOOK = "Ask the service for the call with this Idempotency-Key"
_SENDING = "http11.send_request_headers.started"
_MOST_ADDRESSES = 4
_HEAD = 2_000
_EXCERPT = 200
_REDACTED = b"[secret]"


async def lookup(host: str, port: int) -> Sequence[Address]:
    """Ask the system's resolver."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(ip_address(address[4][0]) for address in found))


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiCaller:
    """Makes the calls that `calls` has prepared; `secrets` are the header values of services, by name.

    `timeout` bounds a call in seconds, from the lookup to the end of the answer, of which at most
    `max_response` octets are read.
    """

    calls: ApiCall
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    timeout: float = 30
    max_response: int = 1024 * 1024
    resolve: Resolve = lookup
    tls: ssl.SSLContext = field(default_factory=ssl.create_default_context)

    async def perform(self, action: Action, attempt: Attempt) -> Receipt:
        """Send the request; the point of no return lies between the open connection and its first octet.

        Raises:
            ActionRefusedError: the call is no longer allowed, or its host has an address that is not public.
            NothingDoneError: there was no connection.
            InDoubtError: it was sent and no answer came, or one that leaves open what was done.
        """
        url = self._allowed(action)
        call = _Call(self, action, attempt, url)
        return await call.make(await self._addresses(url))

    def _allowed(self, action: Action) -> WebUrl:
        """Look at today's settings, which may be stricter than those of the day of the question."""
        shown = action.parameters
        try:
            url = weburl.read(shown["url"])
        except ValueError as error:
            raise ActionRefusedError(f"url: {error}; nothing was sent") from error
        service = self.calls.service(shown["method"], url)
        if (service.name, service.secret_header) != (shown["service"], shown.get("secret_header")):
            raise ActionRefusedError(
                f"the service {shown['service']} is set up differently now; nothing was sent"
            )
        return url

    async def _addresses(self, url: WebUrl) -> Sequence[Address]:
        """Look the host up, once: what is connected to later is one of these and no other."""
        if url.address is not None:
            found: Sequence[Address] = (url.address,)
        else:
            try:
                async with asyncio.timeout(self.timeout):
                    found = await self.resolve(url.host, url.port)
            except (OSError, TimeoutError) as error:
                raise NothingDoneError(f"{url.host} was not found: {error}") from error
        wrong = [each for each in found if not (is_public(each) or is_within(each, self.calls.private))]
        if wrong or not found:
            named = ", ".join(map(str, wrong)) or "no address"
            raise ActionRefusedError(
                f"{url.host} leads to {named}, which is not public and not in allow_private; nothing was sent"
            )
        return found[:_MOST_ADDRESSES]


class _Call:
    """One call under way; `sent` tells whether its first octet may have left."""

    def __init__(self, caller: ApiCaller, action: Action, attempt: Attempt, url: WebUrl) -> None:
        self._caller = caller
        self._shown = action.parameters
        self._attempt = attempt
        self._url = url
        self._name = f"{self._shown['method']} {url}"
        self._secret = (
            caller.secrets.get(self._shown["service"], "") if "secret_header" in self._shown else ""
        )
        self._limit: asyncio.Timeout | None = None
        self.sent = False

    async def make(self, addresses: Sequence[Address]) -> Receipt:
        if "secret_header" in self._shown and not self._secret:
            raise MisconfiguredError(f"the secret of {self._shown['service']} is not there")
        try:
            async with asyncio.timeout(self._caller.timeout) as self._limit:
                return await self._try(addresses)
        except TimeoutError as error:
            raise self._failure(f"no answer within {self._caller.timeout:g} seconds") from error
        except ssl.SSLError as error:
            raise self._failure(str(error)) from error

    async def _try(self, addresses: Sequence[Address]) -> Receipt:
        """Try one address after the other until one takes the connection."""
        for last, address in zip((*[False] * (len(addresses) - 1), True), addresses, strict=True):
            try:
                return await self._talk(address)
            except httpx.HTTPError as error:
                if self.sent or last:
                    raise self._failure(f"{type(error).__name__} {error}".strip(), error) from error
        raise NothingDoneError(f"{self._url.host} has no address")

    async def _talk(self, address: Address) -> Receipt:
        transport = httpx.AsyncHTTPTransport(verify=self._caller.tls, trust_env=False)
        async with httpx.AsyncClient(
            transport=transport, trust_env=False, timeout=self._caller.timeout
        ) as client:
            response = await client.send(self._request(address), stream=True, follow_redirects=False)
            try:
                return await self._answered(response)
            finally:
                await response.aclose()

    def _request(self, address: Address) -> httpx.Request:
        """Build the request to the looked-up address, under the name that was asked for (RFC 9110, 7.2)."""
        host = f"[{address}]" if address.version == 6 else str(address)  # noqa: PLR2004 - the version's name
        headers = {"Host": self._url.authority, **self._shown["headers"], KEY: self._attempt.approval}
        if self._secret:
            headers[self._shown["secret_header"]] = self._secret
        # One address that swallows everything must not use up the time of the others.
        patience = httpx.Timeout(self._caller.timeout, connect=self._caller.timeout / _MOST_ADDRESSES)
        request = httpx.Request(
            self._shown["method"],
            f"{self._url.scheme}://{host}:{self._url.port}{self._url.target}",
            headers=headers,
            content=self._shown["body"].encode() if "body" in self._shown else None,
            extensions={"sni_hostname": self._url.host, "trace": self._trace, "timeout": patience.as_dict()},
        )
        if request.url.raw_path.decode() != self._url.target:
            raise ActionRefusedError(
                "the request as built would not ask for what was proposed; nothing is sent"
            )
        return request

    async def _trace(self, event: str, _: Mapping[str, Any]) -> None:
        """Commit the point of no return just before the first octet; no deadline may cut through it."""
        if event != _SENDING or self.sent:
            return
        assert self._limit is not None
        deadline = self._limit.when()
        self._limit.reschedule(None)
        evidence = {"call": self._name, "idempotency_key": self._attempt.approval, "look": _LOOK}
        await self._attempt.point_of_no_return(evidence)
        self.sent = True
        self._limit.reschedule(deadline)

    async def _answered(self, response: httpx.Response) -> Receipt:
        status = response.status_code
        octets, is_cut = await self._read(response)
        # Where an answer was cut, its end may be the beginning of the secret.
        whole = octets[: len(octets) - len(self._secret)] if is_cut else octets
        body = self._redacted(whole)[:_HEAD].decode("utf-8", "replace")
        answer = f"{self._name} was answered {status} {self._line(response.reason_phrase)}".strip()
        excerpt = f": {self._line(body[:_EXCERPT])}" if body.strip() else ""
        detail = {
            "call": self._name,
            "idempotency_key": self._attempt.approval,
            "http_status": status,
            "bytes": len(octets),
            "cut": is_cut,
            "body": body,
        }
        if status in range(200, 300):
            return Receipt(ReceiptStatus.DONE, answer + excerpt, detail)
        if status in range(300, 400):
            to = self._line(response.headers.get("Location", "nowhere"))
            return Receipt(ReceiptStatus.FAILED, f"not done: {answer}, leading to {to}, not followed", detail)
        if status in range(400, 500):
            return Receipt(ReceiptStatus.FAILED, f"not done: {answer}{excerpt}", detail)
        raise InDoubtError(answer + excerpt)

    def _line(self, text: str) -> str:
        """Make a visible line of what a stranger wrote."""
        octets = text.encode("utf-8", "surrogateescape")
        return one_line(self._redacted(octets).decode("utf-8", "replace"))[:_HEAD]

    async def _read(self, response: httpx.Response) -> tuple[bytes, bool]:
        """Read the answer's body up to the limit; a longer one is cut, since what was done is known."""
        octets = bytearray()
        async for chunk in response.aiter_raw():
            octets += chunk
            if len(octets) > self._caller.max_response:
                return bytes(octets[: self._caller.max_response]), True
        return bytes(octets), False

    def _redacted(self, octets: bytes) -> bytes:
        """Take the secret out of what a server sends back, whole or its last word."""
        for secret in (self._secret, self._secret.rpartition(" ")[2]):
            if secret:
                octets = octets.replace(secret.encode(), _REDACTED)
        return octets

    def _failure(self, why: str, error: Exception | None = None) -> Exception:
        why = self._redacted(f"{self._name}: {why}".encode()).decode()
        if self.sent:
            return InDoubtError(why)
        return MisconfiguredError(why) if _is_untrusted(error) else NothingDoneError(why)


def _is_untrusted(error: BaseException | None) -> bool:
    """Whether the certificate was the reason, however deep it lies."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False
