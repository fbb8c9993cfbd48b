"""Call an HTTP API: exactly the request that people saw, to a service that the configuration names."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from gateway.actions.refusal import ActionRefusedError
from gateway.core import httpheaders, weburl
from gateway.core.action import Action, Field, FieldType
from gateway.core.network import Network, is_public, is_within
from gateway.core.policy import Risk
from gateway.core.weburl import WebUrl
from gateway.letters import Row

NAME = "api_call"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
READING = frozenset({"GET", "HEAD"})
KEY = "Idempotency-Key"
_AUTHORED = ("method", "url", "headers", "body")
_LONGEST_BODY = 50_000
_LONGEST_HEADER = 500
_MOST_HEADERS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A part of an API that may be called: what lies below `url`, by `methods`.

    An agent may set the `headers` of these names. The secret itself is not here: only that `secret_header`
    gets one.
    """

    name: str
    url: WebUrl
    methods: frozenset[str]
    headers: frozenset[str] = frozenset()
    secret_header: str | None = None

    def serves(self, url: WebUrl) -> bool:
        """Whether `url` lies below this part of the API."""
        below = self.url.path if self.url.path.endswith("/") else f"{self.url.path}/"
        same = (url.scheme, url.host, url.port) == (self.url.scheme, self.url.host, self.url.port)
        return same and (url.path == self.url.path or url.path.startswith(below))


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiCall:
    """Prepares calls to the `services`; besides public addresses, those in `private` may be called."""

    services: Sequence[Service]
    private: tuple[Network, ...] = ()

    editable = (Field("url", FieldType.STRING), Field("body", FieldType.STRING))

    async def prepare(self, parameters: Mapping[str, Any]) -> Action:
        """Check address, headers and body strictly, and fill in every header that is known beforehand.

        Raises:
            ActionRefusedError: no service takes this call, or it is not in its one plain form.
        """
        if unknown := [name for name in parameters if name not in _AUTHORED]:
            raise ActionRefusedError(
                f"{NAME} takes {', '.join(_AUTHORED)}; not {', '.join(map(str, unknown))}"
            )
        method, url = parameters.get("method"), _url(parameters.get("url"))
        service = self.service(method, url)
        body = _body(parameters.get("body"))
        if body is not None and method in READING:
            raise ActionRefusedError(f"body: {method} has none")
        own = _headers(parameters.get("headers"), service)
        prepared: dict[str, Any] = {
            "method": method,
            "url": str(url),
            "headers": _FIXED | ({"Content-Type": "application/json"} if body is not None else {}) | own,
            "service": service.name,
        }
        if service.secret_header:
            prepared["secret_header"] = service.secret_header
        if body is not None:
            prepared["body"] = body
        return Action(NAME, prepared)

    def service(self, method: Any, url: WebUrl) -> Service:
        """Find the service that takes a call, the most particular one.

        Raises:
            ActionRefusedError: none does.
        """
        if method not in METHODS:
            raise ActionRefusedError(f"method: one of {', '.join(METHODS)} is needed")
        if (address := url.address) and not (is_public(address) or is_within(address, self.private)):
            raise ActionRefusedError(f"url: {url.host} is no public address, and not in allow_private")
        found = sorted((each for each in self.services if each.serves(url)), key=_depth)
        if not found:
            known = ", ".join(str(each.url) for each in self.services)
            raise ActionRefusedError(f"url: {url} is not allowed; what lies below these is: {known}")
        if method not in found[-1].methods:
            raise ActionRefusedError(
                f"method: {method} is not allowed there; {', '.join(sorted(found[-1].methods))} is"
            )
        return found[-1]

    def proposed(self, action: Action) -> Mapping[str, Any]:
        """Keep what an agent or editor may say; the rest comes from the settings."""
        shown = action.parameters
        service = self.service(shown["method"], _url(shown["url"]))
        own = {name: value for name, value in shown["headers"].items() if name.lower() in service.headers}
        given = {name: shown[name] for name in ("method", "url", "body") if name in shown}
        return given | ({"headers": own} if own else {})

    def summary(self, action: Action) -> str:
        """Name method and address."""
        return (
            f"Call {action.parameters['service']}: {action.parameters['method']} {action.parameters['url']}"
        )

    def rows(self, action: Action) -> tuple[Row, ...]:
        """Show every octet of the request, but for the secret, of which only the name is told."""
        shown = action.parameters
        url: str = shown["url"]
        reads_as = unquote(url)
        headers = "\n".join(f"{name}: {value}" for name, value in shown["headers"].items())
        secret = shown.get("secret_header")
        rows = [
            Row("Method", shown["method"]),
            Row("URL", url),
            Row("Reads as", reads_as if reads_as != url else ""),
            Row("Host", url.split("/")[2]),
            Row("Service", shown["service"]),
            Row("Headers", headers),
            Row("Secret", f"{secret}: the secret of {shown['service']}, added when sent" if secret else ""),
            Row(KEY, "the number of this approval"),
            Row("Body", shown.get("body", "")),
        ]
        return tuple(row for row in rows if row.value)

    def risk(self, action: Action) -> Risk:
        """Medium where the service only answers; high where it may do something."""
        return Risk.MEDIUM if action.parameters["method"] in READING else Risk.HIGH


# Nothing is sent that nobody has seen, so the client's own habits are written out.
_FIXED = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "approval-gateway"}


def _depth(service: Service) -> int:
    return len(service.url.path)


def _url(value: Any) -> WebUrl:
    if not isinstance(value, str):
        raise ActionRefusedError("url: a text is needed")
    try:
        return weburl.read(value)
    except ValueError as error:
        raise ActionRefusedError(f"url: {error}") from error


def _headers(value: Any, service: Service) -> dict[str, str]:
    if not value:
        return {}
    if not isinstance(value, Mapping) or len(value) > _MOST_HEADERS:
        raise ActionRefusedError(f"headers: an object of at most {_MOST_HEADERS} headers is needed")
    for name, text in value.items():
        if not isinstance(name, str) or name.lower() not in service.headers:
            known = ", ".join(sorted(service.headers)) or "none"
            raise ActionRefusedError(f"headers: {name!r} is not allowed; {known} is")
        if not isinstance(text, str) or len(text) > _LONGEST_HEADER or not httpheaders.is_value(text):
            raise ActionRefusedError(f"headers: {name} needs a line of plain ASCII")
    own = {name.title(): text for name, text in value.items()}
    if len(own) < len(value):
        raise ActionRefusedError("headers: one of them is there twice")
    return own


def _body(value: Any) -> str | None:
    """Take JSON as text, which is sent as it is, or as the value itself."""
    if value is None or value == "":
        return None
    try:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)
        json.loads(text, object_pairs_hook=_object, parse_constant=_constant)
        text.encode()
    except (ValueError, TypeError, RecursionError) as error:
        why = "too deep" if isinstance(error, RecursionError) else error
        raise ActionRefusedError(f"body: JSON is needed: {why}") from error
    if len(text) > _LONGEST_BODY:
        raise ActionRefusedError(f"body: {len(text):,} characters, at most {_LONGEST_BODY:,}")
    return text


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a key that is there twice: servers differ in which one counts."""
    if len({name for name, _ in pairs}) < len(pairs):
        raise ValueError("a key is there twice")
    return dict(pairs)


def _constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")
