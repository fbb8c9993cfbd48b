"""The decision page over real sockets: what scanners, other sites, strangers and reviewers can do with it."""

import asyncio
import contextlib
import re
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from builders import ALICE, BOB, policy, rule
from gateway import web
from gateway.core.approval import Channel, State, Verdict
from gateway.core.execution import Receipt, ReceiptStatus
from gateway.web.forms import Nonces
from office import BOTH, FOREIGN, PROPOSED
from website import NONCE_KEY, VOTER, Site, defaults, elements, open_site

DAMAGE = '{"secret": "inside"}'
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
SENT = Receipt(ReceiptStatus.DONE, "Email sent to team@example.com", {})


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with open_site(tmp_path / "gateway.sqlite3") as opened:
        yield opened


@pytest.fixture
async def several(tmp_path: Path) -> AsyncIterator[Site]:
    """A site for the questions of somebody else's graph."""
    async with open_site(tmp_path / "gateway.sqlite3", FOREIGN) as opened:
        yield opened


def said(page: httpx.Response) -> str:
    """The page's text as it is read, on one line."""
    return " ".join(re.sub(r"<[^>]+>", " ", page.text).split())


def proposed(**changes: Any) -> dict[str, Any]:
    parameters: Any = PROPOSED["parameters"]
    return {**PROPOSED, "parameters": {**parameters, **changes}}


async def closed_links(site: Site) -> dict[State, str]:
    """Bring one question to each of its ends, and return the links that are left."""
    office = site.office
    links: dict[State, str] = {}
    for state in State:
        approval = await office.asked()
        links[state] = await site.link(approval)
        match state:
            case State.APPROVED:
                await office.votes(approval, by=BOB.email)
            case State.REJECTED:
                await office.votes(approval, Verdict.REJECT, by=BOB.email, comment="Not this quarter.")
            case State.CANCELLED:
                await office.service.recall(approval.id, "rita@example.com", "sent by hand")
            case State.SUPERSEDED:
                await office.votes(approval, Verdict.MODIFY, by=BOB.email, edits={"subject": "Q2"})
    office.later(hours=25)
    await office.service.strike()
    links[State.EXPIRED] = links.pop(State.OPEN)
    return links


# --- looking ------------------------------------------------------------------------------------------------


async def test_looking_changes_nothing(site: Site) -> None:
    """T01, T96: no route writes on GET, HEAD, OPTIONS or TRACE, whoever asks and whatever state it is in."""
    links = [*(await closed_links(site)).values(), await site.link(await site.office.asked())]
    paths = [*links, "/a/x", "/", "/start", "/approve", "/approvals", "/status/x", "/healthz", "/readyz"]
    before = await site.office.fingerprint()
    for path in (*paths, "/static/page.css", "/favicon.ico", "/openapi.json"):
        for method in ("GET", "HEAD", "OPTIONS", "TRACE"):
            bot = {"User-Agent": "Slackbot-LinkExpanding 1.0", "Authorization": f"Bearer {VOTER.secret}"}
            answer = await site.client.request(method, path, headers=bot)
            assert answer.status_code < 500
    assert await site.office.fingerprint() == before


async def test_the_link_names_no_decision(site: Site) -> None:
    """T04: there is one neutral link a reviewer, and it stays the same through a decision."""
    approval = await site.office.asked()
    path = await site.link(approval)
    assert re.fullmatch(r"/a/[a-z2-7]{42}", path)
    assert (await site.choose(path, decision="reject")).headers["Location"] == path


async def test_the_open_page_shows_everything_exactly(site: Site) -> None:
    """Risk, summary, every fact, who asked, and when it ends with zone and exact rest stand on the page."""
    body = "Dear team,\n\nthe  report: 1250.00 EUR\n"
    approval = await site.office.asked(proposed(cc=["head@example.com"], body=body))
    site.office.later(minutes=20)
    page = await site.client.get(await site.link(approval))
    text = said(page)
    for shown in (
        "MEDIUM risk",
        "Send email to team@example.com",
        "head@example.com",
        "Q1 report",
        approval.id,
    ):
        assert shown in text
    assert "rita@example.com" in text
    assert "Tuesday 3 March 2026, 09:30 UTC, in 23 hours 40 minutes" in text
    assert 'dir="auto"><span class="mark">| </span>the  report: 1250.00 EUR</div>' in page.text
    assert text.index("Confirm") < text.index("The agent's own words") < text.index("Sends the Q1 report.")


async def test_a_link_works_in_any_case(site: Site) -> None:
    """A mail program that changes the case of an address does not break the link."""
    path = await site.link(await site.office.asked())
    assert (await site.client.get(f"/a/{path[3:].upper()}")).status_code == 200


async def test_no_page_acts_by_itself(site: Site) -> None:
    """T02: no page has a script, a handler, a refresh, a foreign address or an inline style."""
    links = [*(await closed_links(site)).values(), await site.link(await site.office.asked()), "/a/unknown"]
    pages = [(await site.client.get(path)).text for path in links]
    change = {"decision": "modify", "edit.subject": "Q2"}
    pages += [(await site.choose(links[-2], **fields)).text for fields in ({}, change)]
    for html in pages:
        for tag, attributes in elements(html):
            assert tag not in {"script", "style", "iframe", "object", "embed", "img", "base"}
            assert not [
                name for name in attributes if name.startswith("on") or name in {"style", "http-equiv"}
            ]
            assert attributes.get("href", "/")[0] in "/#" or attributes["href"] == "data:,"
            assert "checked" not in attributes


async def test_posting_the_defaults_decides_nothing(site: Site) -> None:
    """T03: a scanner that presses every button with what is filled in is asked to choose."""
    approval = await site.office.asked()
    path = await site.link(approval)
    before = await site.office.fingerprint()
    form = await site.form(path)
    assert "decision" not in form
    for fields in (form, form | {"decision": ""}, form | {"decision": "yes"}, form | {"again": "yes"}):
        answer = await site.post(path, fields)
        assert answer.status_code == 422
        assert "Choose one of the answers first" in said(answer)
    assert await site.office.fingerprint() == before


async def test_every_answer_has_the_safe_headers(site: Site) -> None:
    """T32, T35, T36: pages, API, errors and the style sheet are all framed, cached and referred the same."""
    path = await site.link(await site.office.asked())
    for each in (
        path,
        "/a/x",
        "/nothing",
        "/start",
        "/openapi.json",
        "/healthz",
        "/static/page.css",
        "/favicon.ico",
    ):
        answer = await site.client.get(each)
        rules = answer.headers["Content-Security-Policy"].split("; ")
        assert {
            "default-src 'none'",
            "style-src 'self'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        } < set(rules)
        assert "unsafe" not in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert "noindex" in answer.headers["X-Robots-Tag"]
        assert (answer.headers["Cache-Control"] == "no-store") == (each != "/static/page.css")
        assert "Set-Cookie" not in answer.headers
        assert "Server" not in answer.headers


async def test_the_style_sheet_is_found_under_the_address_on_the_page(site: Site) -> None:
    """A page is styled, and its style may be kept because a new one has a new address."""
    page = await site.client.get(await site.link(await site.office.asked()))
    (address,) = re.findall(r'<link rel="stylesheet" href="([^"]+)"', page.text)
    sheet = await site.client.get(address)
    assert sheet.headers["Content-Type"].startswith("text/css")
    assert "immutable" in sheet.headers["Cache-Control"]


# --- strangers ----------------------------------------------------------------------------------------------


async def test_strangers_all_get_the_same_page(site: Site) -> None:
    """T82: malformed, forged, unknown and wrong-purpose links, and any unknown path, cannot be told apart."""
    approval = await site.office.asked()
    good = (await site.link(approval)).removeprefix("/a/")
    forged = good[:-3] + ("aaa" if good[-3:] != "aaa" else "bbb")
    unknown = "a" * 42
    paths = [f"/a/{each}" for each in ("x", good[:-1], forged, unknown, f"{good}x")] + [
        "/",
        "/nothing",
        "/a/",
    ]
    before = await site.office.fingerprint()
    answers = [await site.client.get(path) for path in paths]
    answers += [await site.post(path, {"decision": "approve"}) for path in paths[:5]]
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.content for answer in answers}) == 1
    assert approval.id not in answers[0].text
    assert await site.office.fingerprint() == before


@pytest.mark.parametrize("host", ["evil.test", "evil.test:443", "gateway.example.com.evil.test", ""])
async def test_a_request_for_another_host_is_refused(site: Site, host: str) -> None:
    """T40: the name that a request uses never gets into a page, and only our own names are answered."""
    path = await site.link(await site.office.asked())
    answer = await site.client.get(path, headers={"Host": host})
    assert answer.status_code == 400
    assert "evil" not in answer.text


@pytest.mark.parametrize(
    "host", ["gateway.example.com", "GATEWAY.example.com:8443", "localhost:1", "[::1]:8080"]
)
async def test_our_own_names_are_answered(site: Site, host: str) -> None:
    """The configured host and loopback names work on any port, as behind a proxy."""
    path = await site.link(await site.office.asked())
    assert (await site.client.get(path, headers={"Host": host})).status_code == 200


PAYLOADS = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</textarea><script>alert(1)</script>",
    "</title><svg/onload=alert(1)>",
    "{{7*7}}{% raw %}",
    "javascript:alert(1)",
    "\u202egnp.exe\u202c and a \u200b zero width",
    "' autofocus onfocus=alert(1) x='",
]


@pytest.mark.parametrize("payload", PAYLOADS)
async def test_text_of_the_agent_stays_text(site: Site, payload: str) -> None:
    """T41: markup, templates and hidden characters are shown as what they are, in every field."""
    action = {**proposed(subject=f"About {payload}", body=f"See {payload}\n"), "description": payload}
    approval = await site.office.asked(action)
    path = await site.link(approval)
    fields = {"decision": "modify", "edit.body": f"Now {payload}\n", "comment": payload}
    shown = await site.client.get(path)
    preview = await site.choose(path, **fields)
    refused = await site.choose(path, **{"decision": "approve", "edit.body": payload, "comment": payload})
    await site.office.votes(approval, Verdict.REJECT, by=BOB.email, comment=payload)
    for page in (shown, preview, refused, await site.client.get(path)):
        assert page.status_code in {200, 422}
        for tag, attributes in elements(page.text):
            assert tag not in {"script", "img", "svg"}
            assert not [name for name in attributes if name.startswith("on") or name == "autofocus"]
        assert not re.search("[\u202e\u202c\u200b]", page.text)
        assert "{{7*7}}" in page.text or "7*7" not in payload


# --- other sites and broken posts ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, 303),
        ({"Sec-Fetch-Site": "none"}, 303),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "null"}, 303),
        ({"Origin": "null"}, 303),
        ({"Origin": "OURS"}, 303),
        ({}, 303),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "OURS"}, 403),
        ({"Origin": "https://evil.test"}, 403),
        ({"Origin": "http://127.0.0.1.evil.test"}, 403),
        ({"Origin": "http://[::1"}, 403),
    ],
)
async def test_only_our_own_pages_can_post(site: Site, headers: dict[str, str], status: int) -> None:
    """T34: what a browser says of the posting site decides; `null` is what our own no-referrer pages send."""
    approval = await site.office.asked()
    path = await site.link(approval)
    ours = {name: value.replace("OURS", f"http://127.0.0.1:{site.port}") for name, value in headers.items()}
    fields = await site.form(path) | {"decision": "approve"}
    assert (await site.post(path, fields, headers=ours)).status_code == status
    assert await site.office.state(approval) is (State.APPROVED if status == 303 else State.OPEN)


@pytest.mark.parametrize("nonce", [None, "", "0" * 64, "OTHER REVIEWER", "OTHER APPROVAL"])
async def test_a_post_needs_the_page_that_was_opened(site: Site, nonce: str | None) -> None:
    """T34: without the nonce of this very link nothing is decided, whatever the origin."""
    approval, other = await site.office.asked(), await site.office.asked()
    path = await site.link(approval)
    fields = await site.form(path) | {"decision": "approve"}
    del fields["nonce"]
    if nonce is not None:
        stranger = {
            "OTHER REVIEWER": await site.form(await site.link(approval, BOB.email)),
            "OTHER APPROVAL": await site.form(await site.link(other)),
        }
        fields["nonce"] = stranger.get(nonce, {"nonce": nonce})["nonce"]
    answer = await site.post(path, fields)
    assert answer.status_code == 403
    assert "Open the link in your mail again" in said(answer)
    assert await site.office.state(approval) is State.OPEN


@pytest.mark.parametrize("kind", ["multipart/form-data; boundary=x", "text/plain", "application/json", ""])
async def test_only_plain_forms_are_parsed(site: Site, kind: str) -> None:
    """T34, T84: every other encoding is refused unread."""
    path = await site.link(await site.office.asked())
    answer = await site.client.post(path, content=b"decision=approve", headers={"Content-Type": kind})
    assert answer.status_code == 415


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"&".join(b"f%d=x" % n for n in range(10_000)), 400),
        (b"&".join(b"f%d=" % n for n in range(51)), 400),
        (b"comment=" + b"x" * 1_100_000, 413),
        (b"decision=approve&decision=reject", 400),
        (b"decision=reject&decision=reject", 400),
        (b"decision=%ff%fe", 400),
        (b"decision=\xff", 400),
        (b"decision", 400),
        (b"", 403),
    ],
)
async def test_a_broken_form_is_refused(site: Site, body: bytes, status: int) -> None:
    """T84: size and number of fields are bounded, each field counts once, and the encoding is strict."""
    approval = await site.office.asked()
    path = await site.link(approval)
    answer = await site.client.post(path, content=body, headers=FORM)
    assert answer.status_code == status
    assert answer.headers["Content-Type"].startswith("text/html")
    assert await site.office.state(approval) is State.OPEN


async def test_a_body_without_a_length_is_bounded_too(site: Site) -> None:
    """T84: a chunked body is cut off where the limit is, not read to its end."""
    path = await site.link(await site.office.asked())

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(2000):
            yield b"comment=" + b"x" * 1000

    answer = await site.client.post(path, content=endless(), headers=FORM)
    assert answer.status_code == 413


# --- deciding -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("decision", "state"), [("approve", State.APPROVED), ("reject", State.REJECTED)])
async def test_choosing_and_confirming_decides(site: Site, decision: str, state: State) -> None:
    """T97: a decision is recorded with its evidence and answered by a redirect, so a reload posts nothing."""
    approval = await site.office.asked()
    path = await site.link(approval)
    answer = await site.choose(path, decision=decision, comment="Fine.\r\nReally.")
    assert (answer.status_code, answer.headers["Location"]) == (303, path)
    (vote,) = (await site.office.approval(approval)).votes
    assert (vote.by, vote.channel, vote.comment) == (ALICE.email, Channel.LINK, "Fine.\nReally.")
    assert re.fullmatch(r"[0-9a-f]{20}", vote.evidence)
    before = await site.office.fingerprint()
    page = await site.client.get(path)
    assert f"{state.value.capitalize()} by you" in said(page)
    assert (await site.office.state(approval), await site.office.fingerprint()) == (state, before)


async def test_each_of_several_items_is_chosen_apart(several: Site) -> None:
    """T97: one group for each with nothing chosen before; choices and reasons are recorded together."""
    approval = await several.office.asked_at_once(BOTH, (*BOTH, "respond"))
    path = await several.link(approval)
    page = await several.client.get(path)
    radios = [found for tag, found in elements(page.text) if found.get("type") == "radio"]
    assert [(each["name"], each["value"]) for each in radios] == [
        ("decision.1", "approve"),
        ("decision.1", "reject"),
        ("decision.2", "approve"),
        ("decision.2", "reject"),
        ("decision.2", "respond"),
    ]
    assert not [each for each in radios if "checked" in each]
    assert "cannot be changed" in said(page)
    fields = {"decision.1": "reject", "comment.1": "too expensive", "decision.2": "approve"}
    answer = await several.choose(path, **fields)
    assert (answer.status_code, answer.headers["Location"]) == (303, path)
    decided = await several.office.approval(approval)
    assert [(each.verdict, each.reason) for each in decided.standings] == [
        (Verdict.REJECT, "too expensive"),
        (Verdict.APPROVE, ""),
    ]
    before = await several.office.fingerprint()
    told = said(await several.client.get(path))
    assert "refund(order=A1): rejected by Alice: too expensive" in told
    assert "refund(order=A2): approved by Alice" in told
    assert "The actions were not all decided alike" in told
    assert await several.office.fingerprint() == before


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({}, "Action 1 has no answer yet"),
        ({"decision.1": "approve"}, "Action 2 has no answer yet"),
        ({"decision": "approve"}, "Action 1 has no answer yet"),
        ({"decision.1": "approve", "decision.2": "perhaps"}, "Action 2 has no answer yet"),
        ({"decision.1": "approve", "decision.2": "respond"}, "Action 2: Write the answer"),
        ({"decision.1": "approve", "decision.2": "reject", "comment.2": "x" * 4001}, "Action 2: The comment"),
    ],
)
async def test_an_item_without_a_good_choice_keeps_the_others_from_counting(
    several: Site, fields: dict[str, str], problem: str
) -> None:
    """T03: the form comes back with what was chosen and what is missing; nothing is recorded."""
    approval = await several.office.asked_at_once(BOTH, (*BOTH, "respond"))
    path = await several.link(approval)
    form = await several.form(path)
    before = await several.office.fingerprint()
    page = await several.post(path, form | fields)
    assert page.status_code == 422
    assert problem in said(page)
    assert await several.office.fingerprint() == before
    kept = defaults(page.text)
    assert kept.get("decision.1") == fields.get("decision.1")


async def test_the_form_asks_for_what_is_still_undecided(several: Site) -> None:
    """What others decided is shown and has no choice; a form from before is counted for the rest."""
    approval = await several.office.asked_at_once(BOTH, BOTH)
    path = await several.link(approval)
    old = await several.form(path)
    await several.office.votes(approval, Verdict.REJECT, by=BOB.email, item=1, comment="no budget")
    page = await several.client.get(path)
    assert "It is rejected by Bob: no budget." in said(page)
    assert {found.get("name") for _, found in elements(page.text) if found.get("type") == "radio"} == {
        "decision.2"
    }
    stale = {"decision.1": "approve", "decision.2": "approve"}
    assert (await several.post(path, old | stale)).status_code == 303
    decided = await several.office.approval(approval)
    assert [each.verdict for each in decided.standings] == [Verdict.REJECT, Verdict.APPROVE]


async def test_who_has_approved_an_item_may_leave_it_or_refuse_it(tmp_path: Path) -> None:
    """T66: under a quorum nobody is asked twice to approve; who wants to take it back still can."""
    people = replace(FOREIGN, rules=policy(high=rule(quorum=2)).rules)
    async with open_site(tmp_path / "gateway.sqlite3", people) as site:
        approval = await site.office.asked_at_once(BOTH, BOTH)
        path = await site.link(approval)
        await site.choose(path, **{"decision.1": "approve", "decision.2": "approve"})
        page = await site.client.get(path)
        assert "You approved this; it is still undecided, approved so far by Alice." in said(page)
        assert 'value="approve"' not in page.text
        assert (await site.choose(path)).status_code == 422
        assert (await site.choose(path, **{"decision.1": "reject"})).status_code == 303
        standing = await site.office.approval(approval)
        assert [each.verdict for each in standing.standings] == [Verdict.REJECT, None]


async def test_of_many_at_once_one_decides(site: Site) -> None:
    """T07: 50 posts at the same moment make one decision; the others are shown it."""
    approval = await site.office.asked()
    path = await site.link(approval)
    form = await site.form(path)
    choices = ("approve", "reject")
    posts = [site.post(path, form | {"decision": choices[n % 2]}, timeout=60) for n in range(50)]
    answers = await asyncio.gather(*posts)
    assert sorted(answer.status_code for answer in answers) == [303] + [409] * 49
    assert all("by you" in said(answer) for answer in answers if answer.status_code == 409)
    assert len((await site.office.approval(approval)).votes) == 1


async def test_posting_again_or_changing_ones_mind_changes_nothing(site: Site) -> None:
    """T97: back, and the other answer, shows what was decided by whom and when."""
    approval = await site.office.asked()
    path, mine = await site.link(approval), await site.link(approval, BOB.email)
    form = await site.form(mine)
    await site.choose(path, decision="approve")
    before = await site.office.fingerprint()
    answer = await site.post(mine, form | {"decision": "reject"})
    assert answer.status_code == 409
    assert "Approved by Alice" in said(answer)
    assert "Monday 2 March 2026, 09:30 UTC" in said(answer)
    assert await site.office.fingerprint() == before


async def test_a_comment_that_is_too_long_is_not_cut(site: Site) -> None:
    """A reason is recorded whole or not at all, and what was typed is kept."""
    path = await site.link(await site.office.asked())
    answer = await site.choose(path, decision="reject", comment="x" * 4001)
    assert answer.status_code == 422
    assert defaults(answer.text)["comment"] == "x" * 4001


@pytest.mark.parametrize(
    ("state", "status", "words"),
    [
        (State.APPROVED, 200, "Approved by Bob"),
        (State.REJECTED, 200, "Rejected by Bob"),
        (State.EXPIRED, 410, "Nobody decided in time"),
        (State.CANCELLED, 410, "By rita@example.com"),
        (State.SUPERSEDED, 410, "Bob changed the action on"),
    ],
)
async def test_every_dead_end_is_explained(site: Site, state: State, status: int, words: str) -> None:
    """T37: a link to a closed question says how it ended, has no form, and takes no answer."""
    links = await closed_links(site)
    page = await site.client.get(links[state])
    assert page.status_code == status
    assert words in said(page)
    assert "<form" not in page.text
    assert {State.REJECTED: "Not this quarter.", State.CANCELLED: "sent by hand"}.get(state, "") in said(page)


async def test_a_question_past_its_time_is_shown_as_expired_before_the_clock_strikes(site: Site) -> None:
    """Opening a late link neither offers a decision nor makes the clock's own."""
    approval = await site.office.asked()
    path = await site.link(approval)
    form = await site.form(path)
    site.office.later(hours=24)
    before = await site.office.fingerprint()
    assert (await site.client.get(path)).status_code == 410
    assert (await site.post(path, form | {"decision": "approve"})).status_code == 410
    assert await site.office.fingerprint() == before


async def test_the_page_follows_the_action_to_its_end(site: Site) -> None:
    """An approved action is on its way, then done, and the page says so from what is recorded."""
    approval = await site.office.asked()
    path = await site.link(approval)
    await site.choose(path, decision="approve")
    assert "It is on its way" in said(await site.client.get(path))
    row = await site.office.in_flight(approval)
    assert "It is on its way" in said(await site.client.get(path))
    await site.office.service.performed(row, SENT)
    page = said(await site.client.get(path))
    assert "It was done" in page
    assert "Email sent to team@example.com" in page


async def test_a_doubt_and_a_failure_are_said(site: Site) -> None:
    """What failed or is in doubt is never shown as done."""
    for ends, words in (("doubt", "not known whether it was done"), ("failure", "It failed")):
        approval = await site.office.asked()
        path = await site.link(approval)
        await site.choose(path, decision="approve")
        row = await site.office.in_flight(approval)
        if ends == "doubt":
            await site.office.service.doubted(row, "no answer")
        else:
            await site.office.service.performed(row, Receipt(ReceiptStatus.FAILED, "550 no such user", {}))
        assert words in said(await site.client.get(path))


async def test_one_of_two_needed_is_told_so_and_may_still_refuse(tmp_path: Path) -> None:
    """After half a quorum the page shows who has agreed, offers no second approval, and takes a rejection."""
    async with open_site(tmp_path / "gateway.sqlite3", policy(medium=rule(quorum=2))) as site:
        approval = await site.office.asked()
        path = await site.link(approval)
        form = await site.form(path)
        assert (await site.post(path, form | {"decision": "approve"})).status_code == 303
        page = await site.client.get(path)
        assert "1 of 2 people have agreed" in said(page)
        assert 'value="approve"' not in page.text
        assert (await site.post(path, form | {"decision": "approve"})).status_code == 409
        assert (await site.post(path, form | {"decision": "reject"})).status_code == 303
        assert await site.office.state(approval) is State.REJECTED


async def test_policy_may_close_this_door(tmp_path: Path) -> None:
    """Where links do not decide, the page shows the question and sends the reviewer to the reply."""
    async with open_site(tmp_path / "gateway.sqlite3", policy(medium=rule(channels=("reply",)))) as site:
        approval = await site.office.asked()
        path = await site.link(approval)
        page = await site.client.get(path)
        assert "<form" not in page.text
        assert "reply to the mail" in said(page)
        nonce = Nonces(NONCE_KEY).page(await site.office.service.view(path.removeprefix("/a/")))
        answer = await site.post(path, {"nonce": nonce, "decision": "approve"})
        assert answer.status_code == 403
        assert await site.office.state(approval) is State.OPEN


# --- changing -----------------------------------------------------------------------------------------------


async def test_a_change_is_shown_as_a_diff_and_recorded_only_when_confirmed(site: Site) -> None:
    """T20: editing shows old and new lines; confirming makes the new question, the rest stays as it was."""
    approval = await site.office.asked(proposed(cc=["head@example.com"]))
    path = await site.link(approval)
    before = await site.office.fingerprint()
    change = {
        "decision": "modify",
        "edit.to": "team@example.com\r\n\r\n ada@example.com \r\n",
        "comment": "Ada too.",
    }
    preview = await site.choose(path, **change)
    assert preview.status_code == 200
    assert "+| ada@example.com" in said(preview)
    assert await site.office.fingerprint() == before
    assert (await site.post(path, defaults(preview.text))).status_code == 303
    replaced = await site.office.approval(approval)
    assert (replaced.state, replaced.votes[0].comment) == (State.SUPERSEDED, "Ada too.")
    edited = await site.office.store.read(lambda tx: tx.approval(str(replaced.replaced_by)))
    wanted = {**approval.items[0].action.parameters, "to": ["team@example.com", "ada@example.com"]}
    assert edited.items[0].action.parameters == wanted
    page = await site.client.get(path)
    assert page.status_code == 200
    assert f"question #{edited.id} has been mailed to you" in said(page)
    assert "What Alice has changed" in said(await site.client.get(await site.link(edited, BOB.email)))


async def test_a_diff_that_was_not_shown_is_not_confirmed(site: Site) -> None:
    """The confirmation belongs to exactly the edits that were on the page; others are shown first."""
    approval = await site.office.asked()
    path = await site.link(approval)
    preview = defaults((await site.choose(path, **{"decision": "modify", "edit.subject": "Q2"})).text)
    for fields in (
        preview | {"edit.subject": "Q3"},
        preview | {"confirmed": "1"},
        preview | {"edit.cc": "x@evil.test"},
    ):
        answer = await site.post(path, fields)
        assert answer.status_code == 200
        assert "Are these your changes?" in said(answer)
    assert await site.office.state(approval) is State.OPEN


async def test_an_edit_that_counts_is_an_approval_too(tmp_path: Path) -> None:
    """Where policy says so, confirming the diff approves the changed action, and the page says it before."""
    async with open_site(tmp_path / "gateway.sqlite3", policy(medium=rule(edit_approves=True))) as site:
        path = await site.link(await site.office.asked())
        preview = await site.choose(path, **{"decision": "modify", "edit.subject": "Q2"})
        assert "your answer approves the changed version" in said(preview)
        await site.post(path, defaults(preview.text))
        assert "It is approved" in said(await site.client.get(path))


async def test_change_again_keeps_what_was_typed(site: Site) -> None:
    """From the diff one can go back to the fields as they were edited, with nothing recorded."""
    path = await site.link(await site.office.asked())
    change = {"decision": "modify", "edit.body": "First\r\n\r\n<b>second</b>\r\n", "comment": "hm"}
    preview = await site.choose(path, **change)
    again = await site.post(path, defaults(preview.text) | {"again": "yes"})
    assert again.status_code == 200
    form = defaults(again.text)
    assert {name: form[name] for name in change} == change


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("edit.to", "not an address", "to: not a plain address"),
        ("edit.to", "", "to: at least one recipient"),
        ("edit.subject", "two\r\nlines", "subject: line breaks"),
        ("edit.body", " ", "body: a text is needed"),
    ],
)
async def test_a_bad_edit_is_refused_at_its_field(site: Site, field: str, value: str, problem: str) -> None:
    """What cannot be done is said above and at the field; everything typed is still there."""
    path = await site.link(await site.office.asked())
    change = {"decision": "modify", "comment": "as agreed", field: value}
    answer = await site.choose(path, **change)
    assert answer.status_code == 422
    form = defaults(answer.text)
    assert {name: form[name] for name in change} == change
    (marked,) = re.findall(r'<textarea name="([^"]+)"[^>]*aria-invalid', answer.text)
    assert marked == field
    assert said(answer).count(problem) == 2


async def test_what_is_not_changed_is_no_edit(site: Site) -> None:
    """Choosing to change and changing nothing, or only what is filled in anyway, is said, not recorded."""
    approval = await site.office.asked()
    path = await site.link(approval)
    for fields in ({}, {"edit.body": "Here it is."}, {"edit.to": " team@example.com \r\n"}):
        answer = await site.choose(path, decision="modify", **fields)
        assert answer.status_code == 422
    assert await site.office.state(approval) is State.OPEN


async def test_edits_with_the_choice_to_approve_are_not_dropped(site: Site) -> None:
    """Who has edited and then approves is asked which of the two it is."""
    approval = await site.office.asked()
    path = await site.link(approval)
    answer = await site.choose(path, **{"decision": "approve", "edit.subject": "Q2"})
    assert answer.status_code == 422
    assert "chose to approve it as it was shown" in said(answer)
    assert await site.office.state(approval) is State.OPEN


async def test_hidden_characters_survive_an_edit_as_what_they_are(site: Site) -> None:
    """A mark in the text area stands for its character: left alone it stays, taken out it goes."""
    body = "A\u200bB\tC\n"
    path = await site.link(await site.office.asked(proposed(body=body)))
    form = await site.form(path)
    assert form["edit.body"] == "A⟦U+200B⟧B⟦U+0009⟧C\r\n"
    edits = {"decision": "modify", "edit.body": "AB⟦U+0009⟧C!\r\n"}
    await site.post(path, defaults((await site.post(path, form | edits)).text))
    (latest, *_) = await site.office.store.read(lambda tx: tx.approvals([State.OPEN]))
    assert latest.items[0].action.parameters["body"] == "AB\tC!\n"


# --- serving ------------------------------------------------------------------------------------------------


async def test_a_fault_of_ours_tells_nothing(site: Site) -> None:
    """An unforeseen error is a page or an object without any of its text, and the next request works."""
    broken, whole = await site.office.asked(), await site.office.asked(interrupt="interrupt-2")
    path, other = await site.link(broken), await site.link(whole)
    headers = {"Authorization": f"Bearer {VOTER.secret}"}
    await site.office.store.write(
        lambda tx: tx._execute(
            "UPDATE approvals SET data = :x WHERE id = :id", {"x": DAMAGE, "id": broken.id}
        )
    )
    page, api = await site.client.get(path), await site.client.get("/approvals", headers=headers)
    assert (page.status_code, api.status_code) == (500, 500)
    assert "secret" not in page.text + api.text
    assert api.json()["error"] == "broken"
    assert page.headers["X-Frame-Options"] == "DENY"
    assert (await site.client.get(other)).status_code == 200


async def test_a_store_that_is_away_is_said(site: Site) -> None:
    """Without its tables nothing is decided; the page says to try again, and nothing of the fault."""
    path = await site.link(await site.office.asked())
    await site.office.store.write(lambda tx: tx._execute("ALTER TABLE handles RENAME TO secret_handles", {}))
    page = await site.client.get(path)
    assert page.status_code == 503
    assert "handles" not in page.text


async def test_no_token_gets_into_the_log(site: Site, capfd: pytest.CaptureFixture[str]) -> None:
    """T33: neither links nor bearer tokens are logged, whatever comes of the request."""
    path = await site.link(await site.office.asked())
    headers = {"Authorization": f"Bearer {VOTER.secret}"}
    await site.choose(path, decision="reject")
    await site.client.post(path, headers=headers)
    await site.client.delete(path, headers=headers)
    await site.client.post("/start", headers=headers)
    logged = "".join(capfd.readouterr())
    assert "wrong-method" in logged
    assert path.removeprefix("/a/") not in logged
    assert VOTER.secret not in logged


def test_a_port_that_is_taken_is_named() -> None:
    """A second gateway on the same port fails with what to do, not with a traceback."""
    with web.bind("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with pytest.raises(web.PortTakenError, match=f"127.0.0.1:{port}: another program listens there"):
            web.bind("127.0.0.1", port)


async def test_stopping_is_quick_with_a_connection_open(tmp_path: Path) -> None:
    """An idle client does not hold the daemon up, and the signal handlers of the process stay its own."""
    async with open_site(tmp_path / "gateway.sqlite3") as site:
        await site.client.get("/healthz")
        idle = socket.create_connection(("127.0.0.1", site.port))
    with contextlib.closing(idle):
        idle.settimeout(5)
        assert idle.recv(1) == b""
