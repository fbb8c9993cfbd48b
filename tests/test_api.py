"""The JSON API over real sockets: who may call it, what it records, and how it says no."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from builders import BOB, policy, rule
from gateway.core.approval import Approval, Channel, State, Verdict
from gateway.core.execution import Receipt, ReceiptStatus
from gateway.graphs import Pending, Progress
from gateway.web import ApiToken
from office import BOTH, FOREIGN, question
from website import ADMIN, LIMITED, VOTER, Site, open_site

ASKED = {"user_request": "Send the Q1 report", "user_id": "rita@example.com"}


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with open_site(tmp_path / "gateway.sqlite3") as opened:
        yield opened


async def call(
    site: Site, method: str, path: str, body: Any = None, token: ApiToken = ADMIN, key: str | None = None
) -> httpx.Response:
    headers = bearer(token) | ({"Idempotency-Key": key} if key else {})
    return await site.client.request(method, path, json=body, headers=headers)


async def approve(site: Site, approval: Approval, decision: str = "approved", **more: Any) -> httpx.Response:
    body = {"approval_id": approval.id, "decision": decision, **more}
    return await call(site, "POST", "/approve", body, VOTER)


# --- who may call -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/start"), ("POST", "/approve"), ("GET", "/status/x"), ("GET", "/approvals")],
)
@pytest.mark.parametrize(
    "credentials", [None, "Bearer wrong", "Bearer", "Basic s3cret-admin", "Bearer s3cret-admi"]
)
async def test_without_a_token_nothing_is_answered(
    site: Site, method: str, path: str, credentials: str | None
) -> None:
    """A missing, wrong or cut-off token is 401 with a challenge, before the body is looked at."""
    before = await site.office.fingerprint()
    headers = {"Authorization": credentials} if credentials else {}
    answer = await site.client.request(method, path, json={"bad": 1}, headers=headers)
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert answer.json()["error"] == "unauthorized"
    assert await site.office.fingerprint() == before


async def test_a_token_may_only_what_it_was_given(site: Site) -> None:
    """A token without the right, or without a reviewer, is 403."""
    approval = await site.office.asked()
    decided = {"approval_id": approval.id, "decision": "approved"}
    assert (await call(site, "POST", "/start", ASKED, VOTER)).json()["error"] == "forbidden"
    assert (await call(site, "POST", "/approve", decided, ADMIN)).json()["error"] == "forbidden"
    assert (await call(site, "GET", "/approvals", None, LIMITED)).json()["error"] == "forbidden"
    assert (await call(site, "POST", "/approve", decided, LIMITED)).json()["error"] == "not-a-reviewer"
    assert await site.office.state(approval) is State.OPEN


# --- starting -----------------------------------------------------------------------------------------------


async def test_a_request_is_recorded_at_once(site: Site) -> None:
    """Starting answers with the thread before the agent has done anything."""
    answer = await call(site, "POST", "/start", ASKED | {"input": {"customer": 7}})
    assert answer.status_code == 202
    started = answer.json()
    assert (started["status"], started["approvals"]) == ("running", [])
    thread = await site.office.store.read(lambda tx: tx.thread(started["thread_id"]))
    assert thread.request == {"user_request": ASKED["user_request"], "customer": 7}
    assert thread.requester == "rita@example.com"


async def test_without_a_user_the_token_asks(site: Site) -> None:
    """The requester of an anonymous request is the program that sent it."""
    started = (await call(site, "POST", "/start", {"user_request": "x"})).json()
    assert (await site.office.store.read(lambda tx: tx.thread(started["thread_id"]))).requester == "admin"


async def test_waiting_ends_with_the_first_question(site: Site) -> None:
    """With `wait` the answer carries the question as soon as the agent has asked it."""
    asking = asyncio.create_task(
        site.client.post("/start?wait=60", json=ASKED, headers=bearer(ADMIN), timeout=60)
    )
    await site.office.service.work_waits.wait()
    (row,) = await site.office.claimed()
    asked = Progress((Pending("interrupt-1", question()),), finished=False)
    await site.office.service.graph_stopped(row, asked)
    started = (await asking).json()
    assert started["status"] == "waiting"
    assert started["approvals"][0]["action"]["parameters"]["to"] == ["team@example.com"]


async def test_the_same_key_starts_one_thread(site: Site) -> None:
    """A repeat with the same Idempotency-Key is the same thread; another body with it is refused."""
    first = await call(site, "POST", "/start", ASKED, key="order-7")
    again = await call(site, "POST", "/start", ASKED, key="order-7")
    assert first.json() == again.json()
    other = await call(site, "POST", "/start", {"user_request": "Other"}, key="order-7")
    assert (other.status_code, other.json()["error"]) == (422, "idempotency-key-reused")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"user_request": ""},
        {"user_request": "x" * 20_001},
        {"user_request": 7},
        {"user_request": "x", "graph": "unknown"},
        {"user_request": "x", "user_id": "two words"},
        {"user_request": "x", "user_id": "rita@example.com, eve@evil.test"},
        {"user_request": "x", "user_id": "a..b@example.com"},
        {"user_request": "x", "more": 1},
        {"user_request": "x", "input": [1]},
    ],
)
async def test_a_bad_request_is_named(site: Site, body: dict[str, Any]) -> None:
    """What is missing, unknown or unfit is said in one sentence, and nothing is started."""
    before = await site.office.fingerprint()
    answer = await call(site, "POST", "/start", body)
    assert answer.status_code == 422
    assert set(answer.json()) == {"error", "detail"}
    assert await site.office.fingerprint() == before


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[" * 100_000,
        b'{"user_request": "\\ud800"}',
        b'{"user_request": "x", "\\ud800": 1}',
        b'{"user_request": "x", "input": {"a": NaN}}',
        b'{"user_request": "x", "input": {"a": 1e999}}',
        b'{"user_request": "x", "input": {"a": "\\udfff"}}',
        b'{"user_request": "x", "input": {"a": ' + b"[" * 5_000 + b"]" * 5_000 + b"}}",
        b'{"user_request": "x", "input": {"a": ' + b"[" * 400 + b"]" * 400 + b"}}",
        b'{"user_request": "' + b"x" * 3_000_000 + b'"}',
    ],
)
async def test_hostile_json_is_refused(site: Site, body: bytes) -> None:
    """Broken, endless, oversized or unstorable JSON is a client's error, never ours."""
    headers = bearer(ADMIN) | {"Content-Type": "application/json"}
    answer = await site.client.post("/start", content=body, headers=headers)
    assert answer.status_code in {400, 413, 422}
    assert set(answer.json()) == {"error", "detail"}


# --- deciding -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("decision", "state"), [("approved", State.APPROVED), ("rejected", State.REJECTED)])
async def test_a_decision_counts_as_the_tokens_reviewer(site: Site, decision: str, state: State) -> None:
    """The vote is the reviewer's, by whichever address the token names that person."""
    approval = await site.office.asked()
    answer = await approve(site, approval, decision, feedback="Fine.")
    assert answer.status_code == 200
    wanted = {"approval_id": approval.id, "thread_id": approval.thread, "answer": decision, "state": state}
    assert answer.json() == {**wanted, "undecided": [], "replaced_by": None}
    (vote,) = (await site.office.approval(approval)).votes
    assert (vote.by, vote.channel, vote.comment) == ("alice@example.com", Channel.API, "Fine.")


async def test_one_item_of_several_is_decided_by_its_number(tmp_path: Path) -> None:
    """The answer says which still wait, and the status how each was decided and by whom."""
    async with open_site(tmp_path / "gateway.sqlite3", FOREIGN) as site:
        approval = await site.office.asked_at_once(BOTH, BOTH)
        missing = await approve(site, approval, item=3)
        assert (missing.status_code, missing.json()["error"]) == (422, "no-such-item")
        assert (await approve(site, approval, item=0)).status_code == 422
        first = (await approve(site, approval, "rejected", item=2, feedback="no")).json()
        assert (first["answer"], first["state"], first["undecided"]) == ("recorded", "open", [1])
        late = await approve(site, approval, item=2)
        assert (late.status_code, late.json()["error"]) == (409, "already-decided")
        last = (await approve(site, approval)).json()
        assert (last["answer"], last["state"], last["undecided"]) == ("decided", "decided", [])
        status = (await call(site, "GET", f"/status/{approval.thread}")).json()
        assert status["approval_status"] == "decided"
        (shown,) = status["approvals"]
        assert [(each["verdict"], each["approved_by"]) for each in shown["actions"]] == [
            ("approve", ["alice@example.com"]),
            ("reject", []),
        ]
        assert [each["item"] for each in shown["votes"]] == [2, None]


async def test_a_late_answer_that_names_the_thread_reaches_no_later_question(site: Site) -> None:
    """T08: the same post again is about the question that its sender saw, which is decided."""
    first = await site.office.asked()
    decided = {"thread_id": first.thread, "decision": "approved"}
    assert (await call(site, "POST", "/approve", decided, VOTER)).status_code == 200
    await site.office.stops(first.thread, Pending("interrupt-2", question()))
    late = await call(site, "POST", "/approve", decided, VOTER)
    assert (late.status_code, late.json()["error"]) == (409, "changed")
    (second,) = late.json()["approvals"]
    assert second != first.id


async def test_one_item_of_several_is_not_edited(tmp_path: Path) -> None:
    """Neither by its number nor without it; nothing is replaced."""
    async with open_site(tmp_path / "gateway.sqlite3", FOREIGN) as site:
        approval = await site.office.asked_at_once((*BOTH, "edit"), BOTH)
        for item in ({"item": 1}, {}):
            answer = await approve(site, approval, "modified", modified_parameters={"order": "A7"}, **item)
            assert (answer.status_code, answer.json()["error"]) == (422, "not-offered")
        assert await site.office.state(approval) is State.OPEN


async def test_a_thread_names_its_open_approval(site: Site) -> None:
    """With one open approval the thread is enough; with none or several nothing is guessed."""
    approval = await site.office.asked()
    decided = {"thread_id": approval.thread, "decision": "rejected"}
    assert (await call(site, "POST", "/approve", decided, VOTER)).json()["answer"] == "rejected"
    none = await call(site, "POST", "/approve", decided, VOTER)
    assert (none.status_code, none.json()["error"]) == (409, "none-open")
    thread = await site.office.started()
    await site.office.stops(thread, Pending("i1", question()), Pending("i2", question()))
    several = await call(site, "POST", "/approve", {"thread_id": thread, "decision": "approved"}, VOTER)
    assert (several.status_code, several.json()["error"]) == (409, "several-open")
    assert len(several.json()["approvals"]) == 2


async def test_an_edited_action_is_not_decided_by_its_thread(site: Site) -> None:
    """T09: whoever names only the thread may have seen what it asked before the edit."""
    approval = await site.office.asked()
    await site.office.votes(approval, Verdict.MODIFY, edits={"subject": "Q1 figures"}, by=BOB.email)
    decided = {"thread_id": approval.thread, "decision": "approved"}
    refused = await call(site, "POST", "/approve", decided, VOTER)
    assert (refused.status_code, refused.json()["error"]) == (409, "changed")
    (new,) = refused.json()["approvals"]
    named = await call(site, "POST", "/approve", {"approval_id": new, "decision": "approved"}, VOTER)
    assert named.json()["answer"] == "approved"


async def test_typed_parameters_make_a_new_question(site: Site) -> None:
    """T20: modified parameters keep their JSON types; the answer names the question that they made."""
    approval = await site.office.asked()
    answer = await approve(site, approval, "modified", modified_parameters={"to": ["ada@example.com"]})
    assert (answer.status_code, answer.json()["answer"]) == (200, "modified")
    edited = await site.office.store.read(lambda tx: tx.approval(answer.json()["replaced_by"]))
    assert edited.items[0].action.parameters["to"] == ["ada@example.com"]


@pytest.mark.parametrize(
    "parameters", [{"to": "not an address"}, {"from": "eve@evil.test"}, {"body": 7}, {"subject": "Q1 report"}]
)
async def test_a_bad_edit_is_explained(site: Site, parameters: dict[str, Any]) -> None:
    """An edit that cannot be is 422 with every problem, and changes nothing."""
    approval = await site.office.asked()
    answer = await approve(site, approval, "modified", modified_parameters=parameters)
    assert (answer.status_code, answer.json()["error"]) == (422, "edit-refused")
    assert answer.json()["problems"]
    assert await site.office.state(approval) is State.OPEN


async def test_whoever_is_late_is_told(site: Site) -> None:
    """T07: a decided or expired approval is 409 with its word."""
    decided, lapsed = await site.office.asked(), await site.office.asked()
    await site.office.votes(decided, Verdict.REJECT, by=BOB.email)
    assert (await approve(site, decided)).json()["error"] == "already-decided"
    site.office.later(hours=24)
    late = await approve(site, lapsed)
    assert (late.status_code, late.json()["error"]) == (409, "expired")


async def test_policy_may_refuse_the_api(tmp_path: Path) -> None:
    """A risk that takes no votes through the API is 403; a second vote of one person is 409."""
    rules = {
        "medium": rule(channels=("reply", "link")),
        "high": rule(quorum=2, roles=("senior",)),
    }
    async with open_site(tmp_path / "gateway.sqlite3", policy(**rules)) as site:
        refused = await approve(site, await site.office.asked())
        assert (refused.status_code, refused.json()["error"]) == (403, "channel-refused")
        outside = await site.office.asked(outside_mail())
        assert (await approve(site, outside)).json()["answer"] == "recorded"
        again = await approve(site, outside)
        assert (again.status_code, again.json()["error"]) == (409, "already-voted")


async def test_who_is_not_asked_cannot_decide(tmp_path: Path) -> None:
    """A token's reviewer whom policy does not ask is 403."""
    async with open_site(
        tmp_path / "gateway.sqlite3", policy(medium=rule(roles=("nobody-but-bob",), quorum=0))
    ) as site:
        refused = await approve(site, await site.office.asked())
        assert (refused.status_code, refused.json()["error"]) == (403, "not-a-reviewer")


@pytest.mark.parametrize(
    "body",
    [
        {"decision": "approved"},
        {"approval_id": "X", "thread_id": "Y", "decision": "approved"},
        {"approval_id": "X", "decision": "yes"},
        {"approval_id": "X", "decision": "modified"},
        {"approval_id": "X", "decision": "approved", "modified_parameters": {"to": []}},
        {"approval_id": "../X", "decision": "approved"},
    ],
)
async def test_an_unclear_decision_is_no_decision(site: Site, body: dict[str, Any]) -> None:
    """Whatever does not name one approval and one decision is 422."""
    assert (await call(site, "POST", "/approve", body, VOTER)).status_code == 422


async def test_what_does_not_exist_is_not_found(site: Site) -> None:
    """Unknown approvals and threads are 404 with a word and a sentence."""
    for answer in (
        await call(site, "POST", "/approve", {"approval_id": "NONE", "decision": "approved"}, VOTER),
        await call(site, "POST", "/approve", {"thread_id": "NONE", "decision": "approved"}, VOTER),
        await call(site, "GET", "/status/NONE"),
    ):
        assert (answer.status_code, answer.json()["error"]) == (404, "not-found")


# --- looking ------------------------------------------------------------------------------------------------


async def test_status_follows_a_request(site: Site) -> None:
    """A thread's status tells of its question, the decision, the action and the result."""
    approval = await site.office.asked()

    async def status() -> dict[str, Any]:
        told: dict[str, Any] = (await call(site, "GET", f"/status/{approval.thread}")).json()
        return told

    told = await status()
    assert (told["status"], told["approval_status"], told["result"]) == ("waiting", "pending", None)
    (shown,) = told["approvals"]
    assert (shown["id"], shown["state"], shown["risk"]) == (approval.id, "open", "medium")
    assert shown["action"]["parameters"] == approval.items[0].action.parameters
    await approve(site, approval)
    row = await site.office.in_flight(approval)
    assert (await status())["approvals"][0]["execution"] == "in_flight"
    await site.office.service.performed(row, Receipt(ReceiptStatus.DONE, "Email sent", {}))
    await site.office.stops(approval.thread, result="Email sent to team@example.com")
    told = await status()
    assert (told["status"], told["approval_status"]) == ("finished", "approved")
    assert (told["result"], told["error"]) == ("Email sent to team@example.com", None)
    assert told["approvals"][0]["execution"] == "done"


@pytest.mark.parametrize(
    ("decision", "word"), [("rejected", "rejected"), ("modified", "pending"), ("confirmed", "modified")]
)
async def test_approval_status_speaks_the_seeds_words(site: Site, decision: str, word: str) -> None:
    """What was approved after an edit is `modified`; until then its new question is pending."""
    approval = await site.office.asked()
    if decision == "rejected":
        await approve(site, approval, "rejected")
    else:
        made = await approve(site, approval, "modified", modified_parameters={"subject": "Q2"})
        if decision == "confirmed":
            confirmed = {"approval_id": made.json()["replaced_by"], "decision": "approved"}
            await call(site, "POST", "/approve", confirmed, VOTER)
    assert (await call(site, "GET", f"/status/{approval.thread}")).json()["approval_status"] == word


async def test_a_graph_that_breaks_shows_its_error(site: Site) -> None:
    """An error is told apart from a result."""
    thread = await site.office.started()
    await site.office.service.graph_failed(await site.office.row(thread), "ValueError: no")
    told = (await call(site, "GET", f"/status/{thread}")).json()
    assert (told["status"], told["result"], told["error"]) == ("parked", None, "ValueError: no")
    assert told["approval_status"] is None


async def test_approvals_are_listed_by_state(site: Site) -> None:
    """The list is newest first, can be narrowed to states, and is bounded."""
    first, second = await site.office.asked(), await site.office.asked()
    await approve(site, first, "rejected")

    async def listed(query: str) -> list[str]:
        return [each["id"] for each in (await call(site, "GET", f"/approvals{query}")).json()["approvals"]]

    assert set(await listed("")) == {first.id, second.id}
    assert await listed("?state=open") == [second.id]
    assert await listed("?state=rejected&state=expired") == [first.id]
    assert len(await listed("?limit=1")) == 1
    assert (await call(site, "GET", "/approvals?state=odd")).status_code == 422
    assert (await call(site, "GET", "/approvals?limit=0")).status_code == 422


async def test_health_names_the_part_that_is_not_well(site: Site) -> None:
    """Alive is not ready: a part that is away makes readyz 503 and is named, without a token."""
    assert (await site.client.get("/healthz")).json() == {"status": "ok", "parts": {}}
    assert (await site.client.get("/readyz")).status_code == 200
    site.health["mailbox"] = "login refused"
    answer = await site.client.get("/readyz")
    assert (answer.status_code, answer.json()["parts"]["mailbox"]) == (503, "login refused")
    assert (await site.client.get("/healthz")).status_code == 200


async def test_errors_are_json_for_programs(site: Site) -> None:
    """A wrong method or path under the API's roof is an object, anything else a page."""
    wrong = await site.client.get("/start")
    assert (wrong.status_code, wrong.json()["error"]) == (405, "wrong-method")
    missing = await site.client.get("/status")
    assert (missing.status_code, missing.json()["error"]) == (404, "not-found")
    page = await site.client.delete("/a/x")
    assert page.status_code == 405
    assert page.headers["Content-Type"].startswith("text/html")


async def test_the_schema_tells_the_whole_api(site: Site) -> None:
    """OpenAPI has every route with typed answers, the bearer scheme, and not the pages."""
    described = (await site.client.get("/openapi.json")).json()
    assert set(described["paths"]) == {
        "/start",
        "/approve",
        "/status/{thread_id}",
        "/approvals",
        "/healthz",
        "/readyz",
    }
    assert described["components"]["securitySchemes"]["HTTPBearer"]["scheme"] == "bearer"
    for path in ("/start", "/approve", "/status/{thread_id}", "/approvals"):
        for operation in described["paths"][path].values():
            assert operation["security"] == [{"HTTPBearer": []}]
            assert all(
                "schema" in each["content"]["application/json"] for each in operation["responses"].values()
            )
    assert "s3cret" not in json.dumps(described)


def bearer(token: ApiToken) -> dict[str, str]:
    return {"Authorization": f"Bearer {token.secret}"}


def outside_mail() -> dict[str, Any]:
    parameters = {"to": ["customer@elsewhere.test"], "cc": [], "subject": "Offer", "body": "Hello.\n"}
    return {"action_type": "send_email", "description": "", "parameters": parameters, "risk_level": "low"}
