"""Calling an HTTP API: only where the configuration says, only to public addresses, and once."""

import asyncio
import json
import logging
import re
import ssl
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from gateway.actions import ActionRefusedError, Actions
from gateway.actions.api_call import NAME, ApiCall, Service
from gateway.actions.perform import Attempt
from gateway.actions.perform.api_call import ApiCaller
from gateway.core import weburl
from gateway.core.action import Action
from gateway.core.execution import InDoubtError, MisconfiguredError, NothingDoneError, Receipt, ReceiptStatus
from gateway.core.network import Address, Network, networks
from gateway.core.payload import Proposal
from gateway.core.policy import Risk
from running import ALICE, HIGH, OPS, PEOPLE, running
from servers.certificate import make_certificate
from servers.http import HANG_UP, OK, Web, answer, web
from servers.post import Post

SECRET = "Bearer s3cr3t-canary-0123456789"
LOOPBACK = networks(["127.0.0.0/8", "::1/128"])
DATE = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


def service(url: str = "https://api.example.com/v1/", **changes: Any) -> Service:
    values: dict[str, Any] = {"name": "crm", "methods": frozenset({"GET", "POST", "DELETE"})}
    return Service(url=weburl.read(url), **(values | changes))


def calls(*services: Service, private: tuple[Network, ...] = ()) -> ApiCall:
    return ApiCall(services=services or [service()], private=private)


def proposed(url: str = "https://api.example.com/v1/orders", **changes: Any) -> dict[str, Any]:
    return {"method": "POST", "url": url, "body": '{"amount": 7}', **changes}


# --- what is shown ----------------------------------------------------------------------------------------


async def test_a_prepared_call_holds_every_header() -> None:
    """T16: whatever is sent and known beforehand is part of the digested action, defaults included."""
    kind = calls(service(headers=frozenset({"x-trace"}), secret_header="Authorization"))
    action = await kind.prepare(proposed(headers={"x-trace": "7"}))
    assert action.parameters == {
        "method": "POST",
        "url": "https://api.example.com/v1/orders",
        "headers": {
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "User-Agent": "approval-gateway",
            "Content-Type": "application/json",
            "X-Trace": "7",
        },
        "service": "crm",
        "secret_header": "Authorization",
        "body": '{"amount": 7}',
    }
    assert await kind.prepare(kind.proposed(action)) == action


async def test_people_see_the_whole_request() -> None:
    """Every part has its row; of the secret they see only where it goes, and of escapes what they mean."""
    kind = calls(service(secret_header="Authorization"))
    action = await kind.prepare(proposed("https://api.example.com/v1/caf%C3%A9"))
    assert [(row.label, row.value) for row in kind.rows(action)] == [
        ("Method", "POST"),
        ("URL", "https://api.example.com/v1/caf%C3%A9"),
        ("Reads as", "https://api.example.com/v1/café"),
        ("Host", "api.example.com"),
        ("Service", "crm"),
        (
            "Headers",
            "\n".join(f"{name}: {value}" for name, value in action.parameters["headers"].items()),
        ),
        ("Secret", "Authorization: the secret of crm, added when sent"),
        ("Idempotency-Key", "the number of this approval"),
        ("Body", '{"amount": 7}'),
    ]


@pytest.mark.parametrize(
    ("method", "risk"), [("GET", Risk.MEDIUM), ("POST", Risk.HIGH), ("DELETE", Risk.HIGH)]
)
async def test_calls_that_may_change_something_are_high(method: str, risk: Risk) -> None:
    """What only asks is medium, since even an address tells something; no word of the model lowers it."""
    proposal = Proposal(type=NAME, parameters=proposed(method=method, body=None), risk=Risk.LOW)
    _, assessed = await Actions({NAME: calls()}).prepare(proposal)
    assert assessed is risk


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"method": "TRACE"}, "method: one of"),
        ({"method": None}, "method: one of"),
        ({"method": "PUT"}, "method: PUT is not allowed there; DELETE, GET, POST is"),
        ({"url": None}, "url: a text is needed"),
        ({"url": "https://other.example.com/v1/orders"}, "is not allowed; what lies below these is"),
        ({"url": "http://api.example.com/v1/orders"}, "is not allowed"),
        ({"url": "https://api.example.com:8443/v1/orders"}, "is not allowed"),
        ({"url": "https://api.example.com/v2/orders"}, "is not allowed"),
        ({"url": "https://api.example.com/v10"}, "is not allowed"),
        ({"url": "https://api.example.com/v1/../v2"}, "must not hold"),
        ({"method": "GET"}, "body: GET has none"),
        ({"body": "{"}, "body: JSON is needed"),
        ({"body": '{"a": 1, "a": 2}'}, "a key is there twice"),
        ({"body": "NaN"}, "NaN is no JSON"),
        ({"body": {"a": float("inf")}}, "Infinity is no JSON"),
        ({"body": "[" * 100_000}, "too deep"),
        ({"body": {"a": "\ud800"}}, "body: JSON is needed"),
        ({"body": json.dumps("x" * 50_000)}, "50,002 characters"),
        ({"headers": {"Host": "evil.example"}}, "headers: 'Host' is not allowed; x-trace is"),
        ({"headers": {"X-Trace": "a\r\nHost: evil.example"}}, "X-Trace needs a line of plain ASCII"),
        ({"headers": {"X-Trace": ""}}, "X-Trace needs a line"),
        ({"headers": {"X-Trace": "ä"}}, "X-Trace needs a line"),
        ({"headers": {"X-Trace": 7}}, "X-Trace needs a line"),
        ({"headers": {"X-Trace": "1", "x-trace": "2"}}, "there twice"),
        ({"headers": ["X-Trace"]}, "headers: an object"),
        ({"secret": "crm"}, "not secret"),
        ({"timeout": 1}, "not timeout"),
    ],
)
async def test_what_cannot_be_called_is_refused(changes: dict[str, Any], problem: str) -> None:
    """T15, T16: the sentence says what to change, and nobody is asked."""
    with pytest.raises(ActionRefusedError, match=problem):
        await calls(service(headers=frozenset({"x-trace"}))).prepare(proposed() | changes)


async def test_the_most_particular_service_takes_a_call() -> None:
    """Of two that both could, the one with the longer path decides, also on the methods."""
    wide, narrow = (
        service(),
        service("https://api.example.com/v1/admin", name="admin", methods=frozenset({"GET"})),
    )
    kind = calls(wide, narrow)
    action = await kind.prepare(proposed("https://api.example.com/v1/admin/x", method="GET", body=None))
    assert action.parameters["service"] == "admin"
    with pytest.raises(ActionRefusedError, match="POST is not allowed there"):
        await kind.prepare(proposed("https://api.example.com/v1/admin/x"))


async def test_an_edit_is_checked_like_a_new_proposal() -> None:
    """T20: an edited address has to be allowed as well, and the method stays."""
    actions = Actions({NAME: calls()})
    item, _ = await actions.prepare(Proposal(type=NAME, parameters=proposed()))
    assert [field.name for field in item.editable] == ["url", "body"]
    edited, _ = await actions.edit(item, {"url": "https://api.example.com/v1/refunds"})
    assert edited.digest != item.digest
    with pytest.raises(ActionRefusedError):
        await actions.edit(item, {"url": "https://evil.example/"})


# --- what is done -----------------------------------------------------------------------------------------


class Line:
    """One try at a call, and what it told the store."""

    def __init__(self) -> None:
        self.begun: list[Mapping[str, Any]] = []
        self.attempt = Attempt(
            approval="AP7Q2M4K", message_id="<row@example.com>", date=DATE, point_of_no_return=self._begin
        )

    async def _begin(self, evidence: Mapping[str, Any]) -> None:
        self.begun.append(evidence)


def caller(kind: ApiCall, **changes: Any) -> ApiCaller:
    return ApiCaller(calls=kind, secrets={"crm": SECRET}, **changes)


def resolving(*answers: Sequence[str]) -> Any:
    """A name server that gives one answer after the other, as one that rebinds does."""
    left = list(answers)

    async def resolve(host: str, port: int) -> Sequence[Address]:
        return [ip_address(text) for text in left.pop(0)]

    resolve.left = left  # type: ignore[attr-defined]
    return resolve


async def called(server: Web, line: Line | None = None, **changes: Any) -> Receipt:
    kind = calls(
        service(f"http://127.0.0.1:{server.port}/v1/", secret_header="Authorization"), private=LOOPBACK
    )
    action = await kind.prepare(proposed(f"http://127.0.0.1:{server.port}/v1/orders"))
    return await caller(kind, **changes).perform(action, (line or Line()).attempt)


async def test_the_request_on_the_wire_is_the_one_that_was_shown() -> None:
    """Exactly the approved lines leave, besides host, length, key and secret; the answer is the receipt."""
    line = Line()
    async with web(answer("201 Created", b'{"id": 7}')) as server:
        receipt = await called(server, line)
    (sent,) = server.requests
    assert sent.decode().split("\r\n") == [
        "POST /v1/orders HTTP/1.1",
        f"Host: 127.0.0.1:{server.port}",
        "Accept: application/json",
        "Accept-Encoding: identity",
        "User-Agent: approval-gateway",
        "Content-Type: application/json",
        "Idempotency-Key: AP7Q2M4K",
        f"Authorization: {SECRET}",
        "Content-Length: 13",
        "",
        '{"amount": 7}',
    ]
    name = f"POST http://127.0.0.1:{server.port}/v1/orders"
    assert (receipt.status, receipt.summary) == (
        ReceiptStatus.DONE,
        f'{name} was answered 201 Created: {{"id": 7}}',
    )
    assert receipt.detail["body"] == '{"id": 7}'
    look = "Ask the service for the call with this Idempotency-Key"
    assert line.begun == [{"call": name, "idempotency_key": "AP7Q2M4K", "look": look}]


@pytest.mark.parametrize(
    ("said", "status", "words"),
    [
        (answer("204 No Content"), ReceiptStatus.DONE, "answered 204 No Content"),
        (answer("400 Bad Request", b"amount"), ReceiptStatus.FAILED, "not done: .* 400 Bad Request: amount"),
        (answer("401 Unauthorized"), ReceiptStatus.FAILED, "401"),
        (answer("409 Conflict"), ReceiptStatus.FAILED, "409"),
        (answer("429 Too Many Requests"), ReceiptStatus.FAILED, "429"),
        (answer("304 Not Modified"), ReceiptStatus.FAILED, "leading to nowhere, not followed"),
    ],
)
async def test_explicit_answers_are_final(said: bytes, status: ReceiptStatus, words: str) -> None:
    """F: 2xx is done; 3xx and 4xx are not, and say so."""
    async with web(said) as server:
        receipt = await called(server)
    assert receipt.status is status
    assert len(server.requests) == 1
    assert re.search(words, receipt.summary)


@pytest.mark.parametrize(
    "status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"]
)
async def test_redirects_are_not_followed(status: str) -> None:
    """T24: neither to another server nor to the clouds' metadata; where it led is told."""
    async with web() as other:
        for target in (f"http://127.0.0.1:{other.port}/v1/x", "http://169.254.169.254/latest/meta-data/"):
            async with web(answer(status, b"", f"Location: {target}")) as server:
                receipt = await called(server)
            assert receipt.status is ReceiptStatus.FAILED
            assert f"leading to {target}, not followed" in receipt.summary
            assert len(server.requests) == 1
        assert other.connects == 0


@pytest.mark.parametrize(
    "said",
    [
        answer("500 Internal Server Error", b"oops"),
        answer("502 Bad Gateway"),
        answer("503 Service Unavailable"),
        answer("600 What"),
        HANG_UP,
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhal",
        b"no http at all\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
    ],
)
async def test_what_leaves_it_open_is_in_doubt(said: bytes) -> None:
    """F: an error of the server, a cut line or gibberish, after the request has left: a person must look."""
    line = Line()
    async with web(said) as server:
        with pytest.raises(InDoubtError):
            await called(server, line)
    assert (len(line.begun), len(server.requests)) == (1, 1)


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"])
async def test_silence_is_in_doubt(said: bytes) -> None:
    """T24: the whole call has one deadline, and after it nobody knows."""

    async with web(said, stays=True) as server:
        with pytest.raises(InDoubtError, match=r"no answer within 0\.3 seconds|Timeout"):
            await called(server, timeout=0.3)


async def test_without_a_connection_nothing_was_done() -> None:
    """F: a closed port is a reason to try again later, and the point of no return is not passed."""
    line = Line()
    async with web() as server:
        pass
    with pytest.raises(NothingDoneError):
        await called(server, line)
    assert line.begun == []


async def test_if_the_point_of_no_return_cannot_be_recorded_nothing_is_sent() -> None:
    """F: the commit comes first; when it fails, not one octet of the request has left."""

    async def broken(evidence: Mapping[str, Any]) -> None:
        raise OSError("the disk is full")

    line = Line()
    line.attempt = Attempt(approval="A", message_id="<m@example.com>", date=DATE, point_of_no_return=broken)
    async with web() as server:
        with pytest.raises(OSError, match="the disk is full"):
            await called(server, line)
    assert server.requests == []


async def test_a_slow_commit_is_not_cut_by_the_deadline() -> None:
    """F: the deadline stands still while the point of no return is recorded; half a commit helps nobody."""
    committed = asyncio.Event()

    async def slow(evidence: Mapping[str, Any]) -> None:
        await asyncio.sleep(0.3)
        committed.set()

    line = Line()
    line.attempt = Attempt(approval="A", message_id="<m@example.com>", date=DATE, point_of_no_return=slow)
    async with web() as server:
        with suppress(InDoubtError):
            await called(server, line, timeout=0.2)
    assert committed.is_set()


async def test_a_long_answer_is_cut() -> None:
    """T24: of an endless answer only so much is read; what was done is known by then."""
    async with web(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1_000_000) as server:
        receipt = await called(server, max_response=4096)
    assert receipt.status is ReceiptStatus.DONE
    assert (receipt.detail["bytes"], receipt.detail["cut"], len(receipt.detail["body"])) == (4096, True, 2000)


# --- where it goes ----------------------------------------------------------------------------------------

ODD_HOSTS = [
    *(
        "2130706433",
        "0x7f000001",
        "017700000001",
        "127.1",
        "0",
        "0.0.0.0",
        "①②⑦.0.0.1",
        "127.0.0.1.",
        "127。0。0。1",
    ),
    *("[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[64:ff9b::7f00:1]", "[64:ff9b:1::7f00:1]"),
    *("[2002:7f00:1::]", "[2001:0:7f00:1::1]", "[fe80::1]", "[fe80::1%25lo]", "[fc00::1]", "[fd00:ec2::254]"),
    *("[ff02::1]", "[100::1]", "[2001:db8::1]", "[3fff::1]", "[5f00::1]", "[::7f00:1]", "[0:0:0:0:0:0:0:1]"),
    *("10.0.0.1", "100.64.0.1", "169.254.169.254", "172.16.0.1", "192.0.0.8", "192.0.2.1", "192.88.99.1"),
    *(
        "192.168.0.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
    ),
    *("127.0.0.1", "127.255.255.254", "0x7f.0.0.1", "0177.0.0.1", "127.0.1", "00000.0.0.1"),
]
NAMES = [
    "localhost",
    "localhost.localdomain",
    "metadata.google.internal",
    "internal.example.com",
    "rebound.example.com",
]


def everywhere(port: int) -> list[str]:
    """List the same server under sixty addresses that are not what they seem."""
    tricks = [
        *(
            "http://user@127.0.0.1:{}/",
            "http://api.example.com@127.0.0.1:{}/",
            "http://127.0.0.1:{}#@api.example.com/",
        ),
        *("http:127.0.0.1:{}/", "http:///127.0.0.1:{}/", "http://127.0.0.1:{}\\@api.example.com/"),
        *("http://127%2e0.0.1:{}/", "http://127.0.0.1%00:{}/", "//127.0.0.1:{}/", "HTTP://127.0.0.1:{}/"),
        *("http://127.0.0.1:{}/\r\nHost: api.example.com", "gopher://127.0.0.1:{}/"),
    ]
    return [f"http://{host}:{port}/" for host in (*ODD_HOSTS, *NAMES)] + [
        trick.format(port) for trick in tricks
    ]


async def test_an_inner_address_needs_to_be_allowed() -> None:
    """T24: whoever meant it learns which key of the configuration lets it."""
    with pytest.raises(
        ActionRefusedError, match=r"10\.0\.0\.1 is no public address, and not in allow_private"
    ):
        await calls(service("http://10.0.0.1/")).prepare({"method": "POST", "url": "http://10.0.0.1/"})


async def test_sixty_addresses_reach_nothing() -> None:
    """T24, V15: however an inner address is written, allowed by name or not, nobody connects."""
    async with web() as server:
        urls = everywhere(server.port)
        assert len(urls) >= 60
        for url in urls:
            with suppress(ValueError):
                kind = calls(service(url), service())
                action = Action(NAME, {"method": "POST", "url": url, "headers": {}, "service": "crm"})
                line = Line()
                with pytest.raises(ActionRefusedError):
                    await caller(kind, resolve=resolving(["127.0.0.1"])).perform(action, line.attempt)
                assert line.begun == []
            with pytest.raises(ActionRefusedError):
                await calls().prepare(proposed(url))
        assert server.connects == 0


@pytest.mark.parametrize(
    "found",
    [
        ["127.0.0.1"],
        ["8.8.8.8", "127.0.0.1"],
        ["::ffff:127.0.0.1"],
        ["64:ff9b::7f00:1"],
        ["169.254.169.254"],
        [],
    ],
)
async def test_every_address_of_a_name_must_be_public(found: list[str]) -> None:
    """T24: one inner address among public ones is enough to stay away."""
    async with web() as server:
        kind = calls(service(f"http://api.example.com:{server.port}/"))
        action = await kind.prepare(proposed(f"http://api.example.com:{server.port}/x"))
        with pytest.raises(ActionRefusedError, match="not public and not in allow_private; nothing was sent"):
            await caller(kind, resolve=resolving(found)).perform(action, Line().attempt)
    assert server.connects == 0


async def test_a_name_is_looked_up_once() -> None:
    """T24: a server of names that answers differently the second time is not asked a second time."""
    resolve = resolving(["127.0.0.1"], ["169.254.169.254"])
    async with web() as server:
        url = f"http://api.example.com:{server.port}/x"
        kind = calls(service(url), private=LOOPBACK)
        action = await kind.prepare(proposed(url))
        receipt = await caller(kind, resolve=resolve).perform(action, Line().attempt)
    assert receipt.status is ReceiptStatus.DONE
    assert len(resolve.left) == 1
    assert f"Host: api.example.com:{server.port}".encode() in server.requests[0]


async def test_the_next_address_is_tried_while_nothing_was_sent() -> None:
    """F: a host of two addresses is reached by the one that answers, and gets the request once."""
    async with web() as server:
        url = f"http://api.example.com:{server.port}/x"
        kind = calls(service(url), private=LOOPBACK)
        action = await kind.prepare(proposed(url))
        await caller(kind, resolve=resolving(["127.0.0.2", "127.0.0.1"])).perform(action, Line().attempt)
    assert len(server.requests) == 1


async def test_an_unknown_name_is_tried_again_later() -> None:
    """F: no name server, no call, no doubt."""

    async def resolve(host: str, port: int) -> Sequence[Address]:
        raise OSError("no such host")

    kind = calls()
    with pytest.raises(NothingDoneError, match=r"api\.example\.com was not found"):
        await caller(kind, resolve=resolve).perform(await kind.prepare(proposed()), Line().attempt)


async def test_no_proxy_of_the_environment_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """T24: the connection goes to the address that was looked up, whatever the environment says."""
    async with web() as server, web() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert (await called(server)).status is ReceiptStatus.DONE
    assert (proxy.connects, server.connects) == (0, 1)


async def test_settings_that_have_changed_since_win() -> None:
    """T09: what is no longer allowed is not called, though it was approved."""
    async with web() as server:
        url = f"http://127.0.0.1:{server.port}/v1/orders"
        action = await calls(service(url), private=LOOPBACK).prepare(proposed(url))
        for today in (
            calls(service(url)),
            calls(service(), private=LOOPBACK),
            calls(service(url, methods=frozenset({"GET"})), private=LOOPBACK),
            calls(service(url, name="other"), private=LOOPBACK),
            calls(service(url, secret_header="X-Key"), private=LOOPBACK),
        ):
            with pytest.raises(ActionRefusedError):
                await caller(today).perform(action, Line().attempt)
    assert server.connects == 0


# --- TLS --------------------------------------------------------------------------------------------------


async def tls_called(server: Web, host: str, trusted: Path) -> Receipt:
    url = f"https://{host}:{server.port}/x"
    kind = calls(service(url), private=LOOPBACK)
    context = ssl.create_default_context(cafile=str(trusted))
    action = await kind.prepare(proposed(url))
    return await caller(kind, resolve=resolving(["127.0.0.1"]), tls=context).perform(action, Line().attempt)


async def test_the_certificate_is_that_of_the_name(tmp_path: Path) -> None:
    """T24: although the connection goes to an address, the certificate must be the name's."""
    own = make_certificate(tmp_path, "api.example.com")
    async with web(OK, own) as server:
        assert (await tls_called(server, "api.example.com", own)).status is ReceiptStatus.DONE
        with pytest.raises(MisconfiguredError, match="certificate"):
            await tls_called(server, "other.example.com", own)
        assert len(server.requests) == 1


async def test_an_unknown_certificate_is_not_trusted(tmp_path: Path) -> None:
    """Nothing is sent, and it is for an operator to mend."""
    async with web(OK, make_certificate(tmp_path, "api.example.com")) as server:
        with pytest.raises(MisconfiguredError):
            await tls_called(server, "api.example.com", make_certificate(tmp_path, "localhost"))
        assert server.requests == []


# --- the secret -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["200 OK", "302 Found", "400 Bad Request", "500 Oops"])
async def test_the_secret_is_told_to_nobody(status: str, caplog: pytest.LogCaptureFixture) -> None:
    """T67: not by receipt, evidence, error or log, even where the server sends it back in all places."""
    caplog.set_level(logging.DEBUG)
    line = Line()
    echoed = answer(
        f"{status} {SECRET}", f"you sent {SECRET} {SECRET.split()[1]}".encode(), f"Location: /{SECRET}"
    )
    async with web(echoed) as server:
        try:
            told = repr(await called(server, line))
        except InDoubtError as error:
            told = repr(error)
    assert SECRET.encode() in server.requests[0]
    for text in (told, repr(line.begun), caplog.text, repr(caller(calls()))):
        assert "canary" not in text


@pytest.mark.parametrize("before", [0, 1980, 1999, 2000, 4080, 4095, 5000])
async def test_no_piece_of_the_secret_is_left_at_the_edge(before: int) -> None:
    """T67: where the head of the answer ends within the secret, none of it is kept."""
    echoed = SECRET.encode() * 100 + b"x" * before + SECRET.encode()
    for said in (echoed, echoed[len(SECRET) * 100 :]):
        async with web(answer("200 OK", said)) as server:
            receipt = await called(server, max_response=4096)
        assert "Bearer" not in repr(receipt)
        assert "s3c" not in repr(receipt)


async def test_a_service_without_its_secret_is_not_called() -> None:
    """An operator has to look; nothing was sent."""
    async with web() as server:
        url = f"http://127.0.0.1:{server.port}/v1/orders"
        kind = calls(service(url, secret_header="Authorization"), private=LOOPBACK)
        with pytest.raises(MisconfiguredError, match="the secret of crm is not there"):
            await ApiCaller(calls=kind).perform(await kind.prepare(proposed(url)), Line().attempt)
    assert server.connects == 0


# --- through the running gateway --------------------------------------------------------------------------


async def test_a_call_end_to_end(tmp_path: Path) -> None:
    """T16, T67: asked, approved and told by mail, called once; the secret is in no mail and no fact."""
    async with web(answer("201 Created", f"made; you sent {SECRET}".encode())) as server:
        base = f"http://127.0.0.1:{server.port}/v1/"
        (tmp_path / "crm").write_text(SECRET)
        (tmp_path / "crm").chmod(0o600)
        policy = f"""{HIGH}
[actions.api_call]
allow_private = ["127.0.0.1/32"]
[[actions.api_call.allow]]
name = "crm"
url = "{base}"
methods = ["POST"]
secret_header = "Authorization"
file = "crm"
"""
        action = {
            "action_type": NAME,
            "description": "Places the order.",
            "parameters": {"method": "POST", "url": f"{base}orders", "body": {"amount": 7}},
            "risk_level": "low",
        }
        async with Post(*PEOPLE) as post, running(tmp_path, post, policy) as gateway:
            thread = await gateway.ask(input={"proposed_action": action})
            asked = await gateway.letter("ask", ALICE)
            assert "Authorization: the secret of crm, added when sent" in asked.text
            assert server.connects == 0
            await gateway.reply(asked, "APPROVE")
            outcome = await gateway.letter("outcome", ALICE)
            assert "was answered 201 Created: made; you sent [secret]" in " ".join(outcome.text.split())
            status = await gateway.ended(thread)
            approval = status["approvals"][0]["id"]
            (sent,) = server.requests
            assert f"\r\nIdempotency-Key: {approval}\r\n".encode() in sent
            assert f"\r\nAuthorization: {SECRET}\r\n".encode() in sent
            assert "canary" not in repr([*gateway.facts(thread), status])
            assert not any(b"canary" in mail.octets for mail in post.deliveries)


async def test_a_call_in_doubt_end_to_end(tmp_path: Path) -> None:
    """F: the server falls silent: operators are told where to look, and nobody calls again."""
    async with web(HANG_UP) as server:
        base = f"http://127.0.0.1:{server.port}/"
        policy = f"""{HIGH}
[actions.api_call]
allow_private = ["127.0.0.1"]
[[actions.api_call.allow]]
name = "crm"
url = "{base}"
methods = ["POST"]
"""
        parameters = {"method": "POST", "url": f"{base}orders", "body": {"amount": 7}}
        action = {"action_type": NAME, "description": "", "parameters": parameters, "risk_level": "low"}
        async with Post(*PEOPLE) as post, running(tmp_path, post, policy) as gateway:
            await gateway.ask(input={"proposed_action": action})
            await gateway.reply(await gateway.letter("ask", ALICE), "APPROVE")
            alert = await gateway.letter("alert", OPS)
            assert "Idempotency-Key" in alert.text
            assert len(server.requests) == 1
