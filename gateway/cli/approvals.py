"""Commands about approvals: ask, look, decide, take back, resolve."""

import getpass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.common import (
    DEFAULT_CONFIG,
    ApprovalId,
    ConfigFile,
    Exit,
    Json,
    approval_number,
    assignment,
    fail,
    item_number,
    json_object,
    known_graph,
    load_config,
    reading,
    show_result,
    with_service,
)
from gateway.core.address import is_address
from gateway.core.execution import BUILTIN

if TYPE_CHECKING:
    from gateway.service import Reply, Service

app = typer.Typer()

_SAID = {
    "recorded": "recorded; it waits for others, or for the rest of it",
    "modified": "changed; the changed action is asked again",
    "already-decided": "already decided",
    "already-voted": "this person has approved it before",
    "not-a-reviewer": "this person is not asked about it",
    "channel-refused": "policy takes no answers by command at this risk; see `channels` in the configuration",
    "edit-refused": "not changed",
    "not-offered": "the agent's question does not take that decision",
    "unclear": "an answer in words needs --comment",
    "answered": "the agent is given the comment as its answer",
    "decided": "all of it is decided, not alike; the agent is told what for each item",
    "no-such-item": "it has no item of this number",
}


@app.command()
def submit(
    text: Annotated[str, typer.Argument(help="What the agent is asked to do.")] = "",
    config: ConfigFile = DEFAULT_CONFIG,
    *,
    action: Annotated[
        str, typer.Option(help="JSON of an action to propose as it is, without a planner.")
    ] = "",
    graph: Annotated[str, typer.Option(help="The graph to run.")] = BUILTIN,
    input_: Annotated[str, typer.Option("--input", help="JSON of further input for the graph.")] = "{}",
    requester: Annotated[str, typer.Option(help="Address of the person who asks; told the outcome.")] = "",
    as_json: Json = False,
) -> None:
    """Ask an agent to do something; it will ask back before it acts."""
    if bool(text) == bool(action):
        fail("give either a TEXT or --action JSON", Exit.USAGE)
    request: dict[str, Any] = {**json_object(input_, "--input"), "user_request": text}
    loaded = load_config(config)
    known_graph(graph, BUILTIN, *loaded.graphs)
    if "@" in requester and not is_address(requester):
        fail(f"--requester {requester!r} is not an address", Exit.USAGE)
    if action:
        request["proposed_action"] = _action(action)

    async def start(service: "Service") -> str:
        return (await service.start(graph, request, requester or getpass.getuser())).id

    thread = with_service(config, start, loaded)
    show_result(
        {"thread_id": thread},
        f"recorded as thread {thread}; see what becomes of it with: gateway show {thread}",
        as_json=as_json,
    )


@app.command("list")
def list_(
    config: ConfigFile = DEFAULT_CONFIG,
    *,
    state: Annotated[str, typer.Option(help="Only approvals in this state; `all` for every state.")] = "open",
    limit: Annotated[int, typer.Option(help="At most so many.")] = 100,
    as_json: Json = False,
) -> None:
    """List approvals, and everything that waits for an operator."""
    from gateway import overview
    from gateway.core.approval import State

    if state != "all" and state not in set(State):
        fail(f"no state {state!r}; one of: all, {', '.join(State)}", Exit.USAGE)
    states = tuple(State) if state == "all" else (State(state),)
    with reading(config) as tx:
        listing = overview.listing(tx, states, limit)
    show_result(listing, overview.listing_text(listing), as_json=as_json)


@app.command()
def show(
    approval: Annotated[str, typer.Argument(help="Number of the approval, or id of a thread.")],
    config: ConfigFile = DEFAULT_CONFIG,
    *,
    as_json: Json = False,
) -> None:
    """Tell the whole story of one approval, or what became of a thread and all that it asked."""
    from gateway import overview
    from gateway.store import NotFoundError

    with reading(config) as tx:
        try:
            thread = overview.thread_story(tx, approval.strip())
        except NotFoundError:
            story = overview.story(tx, approval_number(approval))
        else:
            show_result(thread, overview.thread_text(thread), as_json=as_json)
            return
    show_result(story, overview.story_text(story), as_json=as_json)


@app.command()
def decide(
    approval: Annotated[
        str,
        typer.Argument(
            help="Number of the approval, as in the mail's subject; with .2 behind it, of its second item."
        ),
    ],
    verdict: Annotated[str, typer.Argument(help="approve, reject, modify or respond.")],
    config: ConfigFile = DEFAULT_CONFIG,
    *,
    as_: Annotated[str, typer.Option("--as", help="Address of the reviewer who decides.")],
    set_: Annotated[list[str] | None, typer.Option("--set", help="FIELD=JSON, for modify.")] = None,
    comment: Annotated[str, typer.Option(help="Why.")] = "",
    as_json: Json = False,
) -> None:
    """Decide an approval, or one item of it, on behalf of a reviewer.

    Without an item it is all that are still undecided. One of several items cannot be modified.
    """
    from gateway.core.approval import Verdict

    if verdict not in set(Verdict):
        fail(f"{verdict!r} is no decision; one of: {', '.join(Verdict)}", Exit.USAGE)
    edits = dict(assignment(each) for each in set_ or ())
    number, item = item_number(approval)
    loaded = load_config(config)

    async def vote(service: "Service") -> "Reply":
        from gateway.config import policy
        from gateway.core.approval import Channel, Identity
        from gateway.service import Ballot

        person = policy(loaded).person(as_)
        ballot = Ballot(
            approval=number,
            by=person.email if person else as_,
            verdict=Verdict(verdict),
            channel=Channel.CLI,
            identity=Identity.OS_USER,
            comment=comment,
            evidence=f"user {getpass.getuser()}",
            edits=edits,
            diff_seen=True,
            item=item,
        )
        return await service.vote(ballot)

    _report(with_service(config, vote, loaded), as_json=as_json)


@app.command()
def cancel(
    approval: ApprovalId,
    config: ConfigFile = DEFAULT_CONFIG,
    *,
    reason: Annotated[str, typer.Option(help="Why; reviewers read it.")] = "",
    by: Annotated[str, typer.Option(help="Who takes it back.", show_default="you")] = "",
    as_json: Json = False,
) -> None:
    """Take a question back; reviewers are told."""
    who = by or getpass.getuser()
    reply = with_service(config, lambda service: service.recall(approval_number(approval), who, reason))
    _report(reply, as_json=as_json)


@app.command()
def resolve(
    approval: ApprovalId,
    config: ConfigFile = DEFAULT_CONFIG,
    *,
    done: Annotated[
        bool | None,
        typer.Option("--done/--not-done", help="Whether it was done after all; one of the two is needed."),
    ] = None,
    by: Annotated[str, typer.Option(help="Who looked.", show_default="you")] = "",
    as_json: Json = False,
) -> None:
    """Say whether an action in doubt was done; it is never done again by itself."""
    from gateway.service import NotInDoubtError

    asked = approval_number(approval)
    if done is None:
        fail("say --done or --not-done", Exit.USAGE)
    who = by or getpass.getuser()
    try:
        receipt = with_service(config, lambda service: service.resolve(asked, who, done=done))
    except NotInDoubtError as error:
        fail(str(error), Exit.NOT_SO)
    show_result({"approval": asked, "status": receipt.status}, receipt.summary, as_json=as_json)


def _report(reply: "Reply", *, as_json: bool) -> None:
    """Print what became of a decision; the exit code tells whether it was what was asked for."""
    from gateway.core.approval import Answer

    approval = reply.approval
    row = {
        "approval": approval.id,
        "answer": reply.answer,
        "state": approval.state,
        "undecided": approval.undecided,
        "problems": reply.problems,
    }
    said = "; ".join((f"{approval.id}: {_SAID.get(reply.answer, reply.answer)}", *reply.problems))
    if approval.undecided and len(approval.items) > 1:
        said += f"; still undecided: {', '.join(map(str, approval.undecided))}"
    if approval.replaced_by:
        said += f"; it is now {approval.replaced_by}"
    show_result(row, said, as_json=as_json)
    if reply.answer in {
        Answer.NOT_A_REVIEWER,
        Answer.CHANNEL_REFUSED,
        Answer.EDIT_REFUSED,
        Answer.NOT_OFFERED,
        Answer.NO_SUCH_ITEM,
        Answer.UNCLEAR,
    }:
        raise typer.Exit(Exit.REFUSED)
    if reply.answer in {Answer.ALREADY_DECIDED, Answer.ALREADY_VOTED, Answer.EXPIRED}:
        raise typer.Exit(Exit.NOT_SO)


def _action(text: str) -> dict[str, Any]:
    """Read an action as the planner would propose it, or as `show --json` prints it."""
    given = json_object(text, "--action")
    kind, parameters = given.get("action_type", given.get("type")), given.get("parameters")
    if not isinstance(kind, str) or not isinstance(parameters, dict):
        fail('--action: write {"action_type": "send_email", "parameters": {"to": [...], ...}}', Exit.USAGE)
    return {
        "action_type": kind,
        "description": str(given.get("description", "")),
        "parameters": parameters,
        "risk_level": given.get("risk_level", "low"),
    }
