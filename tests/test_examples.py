"""The graphs of docs/examples, each run by the whole gateway and decided by mail, page or API."""

import asyncio
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.cli import Exit
from gateway.graphs import Graphs, load, sqlite_saver
from running import (
    ALICE,
    BOB,
    HIGH,
    OPS,
    PEOPLE,
    RITA,
    TEAM,
    VOTER,
    Gateway,
    Letter,
    install,
    running,
    serving,
)
from servers.post import Post
from website import defaults

EXAMPLES = Path(__file__).parent.parent / "docs" / "examples"
GRAPHS = """
[graphs.refunds]
path = "langchain_agent:graph"

[graphs.posts]
path = "agent_inbox:graph"
medium_risk = ["publish"]

[graphs.release]
path = "several_questions:make"

[graphs.invitations]
path = "email_drafts:graph"
"""
EVERY_DOOR = HIGH + 'channels = ["reply", "link", "cli", "api"]\n'


@asynccontextmanager
async def with_examples(place: Path, policy: str = HIGH) -> AsyncIterator[Gateway]:
    """A gateway with the four graphs as files beside its configuration."""
    for example in EXAMPLES.glob("*.py"):
        shutil.copy(example, place)
    async with Post(*PEOPLE) as post, running(place, post, policy + GRAPHS) as gateway:
        yield gateway


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    async with with_examples(tmp_path) as gateway:
        yield gateway


async def answered(
    gateway: Gateway, letter: Letter, text: str, thread: str, told: str = "receipt"
) -> dict[str, Any]:
    """Reply, wait until that is recorded, and then for the end of the thread."""
    await gateway.reply(letter, text)
    await gateway.letter(told, letter.delivered.recipient)
    return await gateway.ended(thread)


def shown(letter: Letter) -> list[str]:
    """The lines that say what exactly would be done."""
    part = letter.text.partition("What exactly would be done:\n\n")[2].partition("\n\n")[0]
    return [" ".join(line.split()) for line in part.splitlines()]


# --- a LangChain agent ------------------------------------------------------------------------------------


async def test_an_agents_tool_call_is_approved_by_reply(gateway: Gateway) -> None:
    """The letter shows the tool and every argument; after APPROVE the agent's own tool has run, once."""
    thread = await gateway.ask("refund A17 2500", graph="refunds")
    letter = await gateway.letter("ask", ALICE)
    assert shown(letter)[:3] == ["Tool: refund", "order: A17", "cents: 2500"]
    status = await answered(gateway, letter, "APPROVE", thread)
    assert (status["status"], status["approval_status"]) == ("finished", "approved")
    assert status["result"] == "refunded 2500 cents for order A17"
    assert not gateway.emails
    assert "The agent does it by itself" in " ".join(letter.text.split())
    assert "The agent was told" in (await gateway.client.get(letter.link)).text


async def test_an_agents_tool_call_is_rejected_by_reply(gateway: Gateway) -> None:
    """The model is told why, in the middleware's own words, and the tool does not run."""
    thread = await gateway.ask("refund A17 2500", graph="refunds")
    letter = await gateway.letter("ask", ALICE)
    status = await answered(gateway, letter, "REJECT\n\nIt was never paid.", thread)
    assert status["approval_status"] == "rejected"
    assert "rejected the tool call for `refund` with reason: It was never paid." in status["result"]


async def test_an_agents_tool_call_is_changed_by_reply(gateway: Gateway) -> None:
    """A number stays a number: the changed call is asked again, and the tool gets what was approved then."""
    thread = await gateway.ask("refund A17 2500", graph="refunds")
    await gateway.reply(await gateway.letter("ask", ALICE), "MODIFY\n\ncents: 1200")
    await gateway.letter("receipt", ALICE)
    again = await gateway.letter("ask", ALICE)
    assert "-| 2500" in again.text
    assert "+| 1200" in again.text
    status = await answered(gateway, again, "APPROVE", thread)
    assert status["approval_status"] == "modified"
    assert "refunded 1200 cents for order A17" in status["result"]


async def test_an_agents_tool_call_is_answered_in_words(gateway: Gateway) -> None:
    """A reply without a verb is what the model gets in place of the tool's result."""
    thread = await gateway.ask("refund A17 2500", graph="refunds")
    letter = await gateway.letter("ask", ALICE)
    assert "is given to the agent as your answer" in " ".join(letter.text.split())
    status = await answered(gateway, letter, "We have paid that by hand already.", thread, told="outcome")
    assert (status["approval_status"], status["result"]) == (
        "answered",
        "We have paid that by hand already.",
    )
    told = await gateway.letter("outcome", BOB)
    assert "The agent was answered" in told.text
    assert "Answered in words by you" in (await gateway.client.get(letter.link)).text


@pytest.mark.parametrize(
    ("form", "result"),
    [
        ({"decision": "approve"}, "refunded 2500 cents for order A17"),
        ({"decision": "reject", "comment": "No."}, "with reason: No."),
        ({"decision": "respond", "comment": "Paid by hand."}, "Paid by hand."),
    ],
)
async def test_an_agents_tool_call_is_decided_on_the_page(
    gateway: Gateway, form: dict[str, str], result: str
) -> None:
    """The page offers what the middleware allows, and each of it arrives."""
    thread = await gateway.ask("refund A17 2500", graph="refunds")
    letter = await gateway.letter("ask", ALICE)
    assert (await gateway.choose(letter.link, **form)).status_code == 303
    assert result in (await gateway.ended(thread))["result"]


async def test_a_number_is_edited_on_the_page(gateway: Gateway) -> None:
    """What is typed is read as the field's JSON; what is not JSON is asked for again."""
    thread = await gateway.ask("refund A17 2500", graph="refunds")
    letter = await gateway.letter("ask", ALICE)
    wrong = await gateway.choose(letter.link, decision="modify", **{"edit.cents": "twelve"})
    assert wrong.status_code == 422
    assert "cents must be JSON" in wrong.text
    preview = await gateway.choose(letter.link, decision="modify", **{"edit.cents": "1200"})
    await gateway.client.post(letter.link, data=defaults(preview.text))
    again = await gateway.letter("ask", ALICE)
    await gateway.choose(again.link, decision="approve")
    assert "refunded 1200 cents" in (await gateway.ended(thread))["result"]


async def test_two_calls_in_one_turn_are_decided_together(gateway: Gateway) -> None:
    """A batch is one approval that shows both; one word stands for both, and none can be edited alone."""
    thread = await gateway.ask("refund A17 2500 and refund B8 100", graph="refunds")
    letter = await gateway.letter("ask", ALICE)
    first = ["1. Tool: refund", "1. order: A17", "1. cents: 2500"]
    assert shown(letter) == [*first, "2. Tool: refund", "2. order: B8", "2. cents: 100"]
    assert "MODIFY" not in letter.text
    status = await answered(gateway, letter, "APPROVE", thread)
    assert status["result"] == "refunded 2500 cents for order A17; refunded 100 cents for order B8"
    assert len(status["approvals"]) == 1


async def test_two_calls_in_one_turn_are_decided_one_by_one(gateway: Gateway) -> None:
    """Each line of a reply is for its call: the agent runs one and is told why not the other, at once."""
    thread = await gateway.ask("refund A17 2500 and refund B8 100", graph="refunds")
    letter = await gateway.letter("ask", ALICE)
    assert '"2 REJECT too expensive"' in " ".join(letter.text.split())
    await gateway.reply(letter, "2 APPROVE")
    receipt = await gateway.letter("receipt", ALICE)
    assert "Still undecided: 1" in " ".join(receipt.text.split())
    assert (await gateway.status(thread))["approval_status"] == "pending"
    status = await answered(gateway, letter, "1 REJECT never paid", thread)
    assert status["approval_status"] == "decided"
    assert "refunded 100 cents for order B8" in status["result"]
    assert "rejected the tool call for `refund` with reason: never paid" in status["result"]
    assert "refunded 2500" not in status["result"]
    told = await gateway.letter("outcome", BOB)
    assert "rejected by alice@example.com: never paid" in " ".join(told.text.split())
    assert [kind for kind in gateway.kinds(thread) if kind in {"VoteCounted", "Settled", "Granted"}] == [
        "VoteCounted",
        "VoteCounted",
        "Settled",
    ]


async def test_calls_of_a_batch_are_decided_on_the_page(gateway: Gateway) -> None:
    """One of them is answered in words there, and the agent takes that for its result."""
    thread = await gateway.ask("refund A17 2500 and refund B8 100", graph="refunds")
    letter = await gateway.letter("ask", ALICE)
    form = {"decision.1": "approve", "decision.2": "respond", "comment.2": "Paid by hand."}
    assert (await gateway.choose(letter.link, **form)).status_code == 303
    status = await gateway.ended(thread)
    assert "refunded 2500 cents for order A17" in status["result"]
    assert "Paid by hand." in status["result"]


# --- Agent Inbox ------------------------------------------------------------------------------------------


async def test_a_draft_is_told_what_to_change_and_then_accepted(gateway: Gateway) -> None:
    """A loop that asks again is a new question each time, and each answer goes to the one it was given to."""
    thread = await gateway.ask("we moved", graph="posts")
    first = await gateway.letter("ask", ALICE)
    await gateway.reply(first, "Please say where to.")
    second = await gateway.letter("ask", ALICE)
    assert "News: we moved (Please say where to.)" in second.text
    await gateway.reply(first, "APPROVE")
    late = await gateway.letter("already-decided", ALICE)
    assert "had been answered in words by alice@example.com" in " ".join(late.text.split())
    assert (await gateway.status(thread))["approval_status"] == "pending"
    status = await answered(gateway, second, "APPROVE", thread)
    assert status["result"] == "published: News: we moved (Please say where to.)"


async def test_a_draft_is_edited_through_the_api(tmp_path: Path) -> None:
    """Typed JSON stays what it is, and under the medium rule the edit approves itself."""
    async with with_examples(tmp_path) as gateway:
        thread = await gateway.ask("we moved", graph="posts")
        (asked,) = (await gateway.status(thread))["approvals"]
        assert (asked["risk"], sorted(asked["offers"])) == (
            "medium",
            ["approve", "modify", "reject", "respond"],
        )
        decision = {"decision": "modified", "modified_parameters": {"pinned": True}}
        body = {"approval_id": asked["id"], **decision}
        assert (await gateway.api("POST", "/approve", token=VOTER, json=body))["http"] == 200
        assert (await gateway.ended(thread))["result"] == "published and pinned: News: we moved"


# --- several questions at once ----------------------------------------------------------------------------


async def test_several_questions_are_asked_at_once_and_answered_in_any_order(gateway: Gateway) -> None:
    """T08: parallel nodes, a subgraph and a node that asks twice: each is resumed once, by its id."""
    thread = await gateway.ask("v2", graph="release")
    secrets = await gateway.letter("ask", ALICE, about="secrets")
    licences = await gateway.letter("ask", ALICE, about="licences")
    await asyncio.gather(gateway.reply(licences, "APPROVE"), gateway.reply(secrets, "APPROVE"))
    keys = await gateway.letter("ask", ALICE, about="keys")
    for _ in range(2):
        await gateway.letter("receipt", ALICE)
    status = await answered(gateway, keys, "REJECT\n\nNext week.", thread)
    assert status["result"] == (
        "Are the keys of v2 rotated? reject; Are the licences of v2 fine? approve;"
        " Is v2 free of secrets? approve"
    )
    assert sorted(each["state"] for each in status["approvals"]) == ["approved", "approved", "rejected"]


# --- emails by the gateway --------------------------------------------------------------------------------


async def test_an_email_is_sent_by_the_gateway_for_a_foreign_graph(gateway: Gateway) -> None:
    """`act` is one interrupt: approved by reply, sent by us, and the node goes on with the receipt."""
    thread = await gateway.ask(TEAM, graph="invitations")
    letter = await gateway.letter("ask", ALICE)
    status = await answered(gateway, letter, "APPROVE", thread)
    assert status["result"] == "done: Email sent to team@example.com"
    (email,) = gateway.emails
    assert str(email.message["Subject"]) == "Quarterly review"
    assert gateway.kinds(thread).count("EffectRequested") == 1


async def test_an_email_that_is_changed_is_sent_as_changed(gateway: Gateway) -> None:
    """An edit makes a new question on the same interrupt, and only that one is ever sent."""
    thread = await gateway.ask(TEAM, graph="invitations")
    await gateway.reply(await gateway.letter("ask", ALICE), "MODIFY\n\nsubject: Yearly review")
    await gateway.letter("receipt", ALICE)
    status = await answered(gateway, await gateway.letter("ask", ALICE), "APPROVE", thread)
    assert status["result"] == "done: Email sent to team@example.com"
    assert [str(email.message["Subject"]) for email in gateway.emails] == ["Yearly review"]


async def test_an_email_that_is_rejected_is_a_refused_receipt(gateway: Gateway) -> None:
    """The node learns why, and nothing is sent."""
    thread = await gateway.ask(TEAM, graph="invitations")
    letter = await gateway.letter("ask", ALICE)
    status = await answered(gateway, letter, "REJECT\n\nNot this week.", thread)
    assert status["result"] == "refused: Not this week."
    assert not gateway.emails


# --- the operator -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["refunds", "posts", "release", "invitations"])
async def test_every_example_is_found_in_order(gateway: Gateway, name: str) -> None:
    """`gateway graphs check` says what each of them is, without a word of warning."""
    report = await gateway.command("graphs", "check", name)
    assert report["nodes"]
    assert report["warnings"] == []


async def test_a_thread_that_was_started_elsewhere_is_adopted(gateway: Gateway) -> None:
    """`gateway adopt` asks what it waits for, of a thread that another program began over our checkpoints."""
    checkpoints = gateway.config.parent / "data" / "checkpoints.sqlite3"
    async with sqlite_saver(checkpoints) as saver:
        elsewhere = Graphs(saver, {}, foreign={"g": load("agent_inbox:graph", gateway.config.parent, saver)})
        await elsewhere.start("g", "from/elsewhere", {"user_request": "we moved"})
    assert (await gateway.command("adopt", "posts", "from/elsewhere", "--requester", RITA))["pending"] == 1
    await gateway.reply(await gateway.letter("ask", ALICE), "APPROVE")
    await gateway.letter("receipt", ALICE)
    again = await gateway.shell("adopt", "posts", "from/elsewhere")
    unknown = await gateway.shell("adopt", "posts", "never-started")
    assert (again, unknown) == (Exit.NOT_SO, Exit.NOT_FOUND)


async def test_a_graph_that_cannot_be_loaded_is_said_by_check_and_by_run(tmp_path: Path) -> None:
    """The check exits 1 and a start 78, each naming the graph."""
    async with Post(*PEOPLE) as post:
        config = install(tmp_path, post, HIGH + '[graphs.gone]\npath = "no_such_module:graph"\n')
        for command, code in ((["graphs", "check", "gone"], Exit.NOT_SO), (["run"], Exit.BAD_CONFIG)):
            program = Path(sys.executable).with_name("gateway")
            process = await asyncio.create_subprocess_exec(
                program, *command, "--config", config, stderr=asyncio.subprocess.PIPE
            )
            _, said = await process.communicate()
            assert process.returncode == code
            assert b"graphs.gone: there is no module 'no_such_module'" in said


async def test_a_graph_that_was_taken_out_parks_its_threads(tmp_path: Path) -> None:
    """The answer is recorded and given to nobody; operators learn which graph is missing."""
    for example in EXAMPLES.glob("*.py"):
        shutil.copy(example, tmp_path)
    async with Post(*PEOPLE) as post:
        config = install(tmp_path, post, HIGH + GRAPHS)
        async with serving(config, post) as gateway:
            thread = await gateway.ask("we moved", graph="posts")
            letter = await gateway.letter("ask", ALICE)
        config.write_text(config.read_text().replace("[graphs.posts]", "[graphs.renamed]"))
        async with serving(config, post) as gateway:
            await gateway.reply(letter, "APPROVE")
            alert = await gateway.letter("alert", OPS)
            assert "there is no graph 'posts'" in alert.text
            assert (await gateway.status(thread))["status"] == "parked"


async def test_a_changed_graph_is_parked_and_not_answered(tmp_path: Path) -> None:
    """F49: after a deployment that has one node more, the approval is not given to other code."""
    for example in EXAMPLES.glob("*.py"):
        shutil.copy(example, tmp_path)
    async with Post(*PEOPLE) as post:
        config = install(tmp_path, post, HIGH + GRAPHS)
        async with serving(config, post) as gateway:
            thread = await gateway.ask("we moved", graph="posts")
            letter = await gateway.letter("ask", ALICE)
        source = (tmp_path / "agent_inbox.py").read_text()
        more = 'graph.add_node("audit", write)\ngraph.add_edge("audit", "review")\n'
        (tmp_path / "agent_inbox_2.py").write_text(source + more)
        config.write_text(config.read_text().replace("agent_inbox:graph", "agent_inbox_2:graph"))
        async with serving(config, post) as gateway:
            await gateway.reply(letter, "APPROVE")
            alert = await gateway.letter("alert", OPS)
            assert "no longer what people were shown" in " ".join(alert.text.split())
            assert (await gateway.status(thread))["status"] == "parked"
