"""Commands for people. Each imports what it needs when it runs, so that looking something up is quick."""

import asyncio
import getpass
import json
import os
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar

import typer

from gateway import __version__
from gateway.core.address import is_address

if TYPE_CHECKING:
    from gateway.config import Config
    from gateway.service import Reply, Service
    from gateway.store import InboundRow

T = TypeVar("T")

app = typer.Typer(
    name="gateway",
    help="Ask people by mail before an agent acts, and do exactly what they approved.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
)
config_app = typer.Typer(help="Check and explain the configuration.", no_args_is_help=True)
app.add_typer(config_app, name="config")
quarantine_app = typer.Typer(
    help="Look at mails that were put aside, and release them.", no_args_is_help=True
)
app.add_typer(quarantine_app, name="quarantine")


class Exit(IntEnum):
    """What a command's exit code says."""

    DONE = 0
    NOT_SO = 1
    USAGE = 2
    NOT_FOUND = 3
    REFUSED = 4
    UNAVAILABLE = 5
    BAD_CONFIG = 78


ConfigFile = Annotated[
    Path,
    typer.Option(
        "--config", "-c", envvar="GATEWAY_CONFIG", help="The configuration file.", show_default=True
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
ApprovalId = Annotated[str, typer.Argument(help="Number of the approval, as in the mail's subject.")]
MailNumber = Annotated[int, typer.Argument(help="Number of the mail, as `quarantine list` prints it.")]
_DEFAULT_CONFIG = Path("config.toml")
_GRAPHS = ("builtin",)
_SAID = {
    "recorded": "recorded; others still have to approve",
    "modified": "changed; the changed action is asked again",
    "already-decided": "already decided",
    "already-voted": "this person has approved it before",
    "not-a-reviewer": "this person is not asked about it",
    "channel-refused": "policy takes no answers by command at this risk; see `channels` in the configuration",
    "edit-refused": "not changed",
}


def main() -> None:
    """Run the command line."""
    app()


@app.command()
def version(*, as_json: Json = False) -> None:
    """Print the version."""
    _print({"version": __version__}, __version__, as_json=as_json)


@app.command()
def run(
    config: ConfigFile = _DEFAULT_CONFIG,
    *,
    log_json: Annotated[bool, typer.Option(help="Log JSON for machines.")] = False,
) -> None:
    """Run the gateway until it is told to stop (SIGTERM or Ctrl-C)."""
    loaded = _load(config)
    from gateway import daemon, web
    from gateway.log import configure

    configure(json=log_json)

    async def until_stopped() -> None:
        stop = asyncio.Event()
        daemon.stop_on_signals(stop)
        await daemon.run(
            loaded, stop=stop, ready=lambda parts: typer.echo(f"ready on {parts.address}", err=True)
        )

    with _explained():
        try:
            asyncio.run(until_stopped())
        except web.PortTakenError as error:
            _fail(str(error), Exit.UNAVAILABLE)


@app.command()
def demo(
    *,
    as_json: Json = False,
    keep: Annotated[Path | None, typer.Option(help="Leave configuration, store and mails here.")] = None,
    debug: Annotated[bool, typer.Option(help="Also print what the gateway logs.")] = False,
) -> None:
    """Play one approval on this machine: asked, answered by mail, sent, and checked."""
    try:
        from gateway.demo import story
    except ModuleNotFoundError as error:
        _fail(f"the demo needs {error.name}: pip install 'approval-gateway[demo]'", Exit.UNAVAILABLE)
    from gateway.log import configure

    configure(json=False, quiet=not debug)
    tell: Callable[[str], None] = (lambda _: None) if as_json else typer.echo
    try:
        facts = asyncio.run(story.run(keep, tell))
    except story.DemoFailedError as error:
        _fail(str(error), Exit.NOT_SO)
    if as_json:
        typer.echo(story.as_json(facts))


@app.command()
def submit(
    text: Annotated[str, typer.Argument(help="What the agent is asked to do.")] = "",
    config: ConfigFile = _DEFAULT_CONFIG,
    *,
    action: Annotated[
        str, typer.Option(help="JSON of an action to propose as it is, without a planner.")
    ] = "",
    graph: Annotated[str, typer.Option(help="The graph to run.")] = "builtin",
    input_: Annotated[str, typer.Option("--input", help="JSON of further input for the graph.")] = "{}",
    requester: Annotated[str, typer.Option(help="Address of the person who asks; told the outcome.")] = "",
    as_json: Json = False,
) -> None:
    """Ask an agent to do something; it will ask back before it acts."""
    if bool(text) == bool(action):
        _fail("give either a TEXT or --action JSON", Exit.USAGE)
    request: dict[str, Any] = {**_object(input_, "--input"), "user_request": text}
    if graph not in _GRAPHS:
        _fail(f"there is no graph {graph!r}; one of: {', '.join(_GRAPHS)}", Exit.NOT_FOUND)
    if "@" in requester and not is_address(requester):
        _fail(f"--requester {requester!r} is not an address", Exit.USAGE)
    if action:
        request["proposed_action"] = _action(action)

    async def start(service: "Service") -> str:
        return (await service.start(graph, request, requester or getpass.getuser())).id

    thread = _with_service(config, start)
    _print({"thread_id": thread}, f"recorded as thread {thread}; see it with: gateway list", as_json=as_json)


@app.command("list")
def list_(
    config: ConfigFile = _DEFAULT_CONFIG,
    *,
    state: Annotated[str, typer.Option(help="Only approvals in this state; `all` for every state.")] = "open",
    limit: Annotated[int, typer.Option(help="At most so many.")] = 100,
    as_json: Json = False,
) -> None:
    """List approvals, and everything that waits for an operator."""
    from gateway import overview
    from gateway.core.approval import State

    if state != "all" and state not in set(State):
        _fail(f"no state {state!r}; one of: all, {', '.join(State)}", Exit.USAGE)
    states = tuple(State) if state == "all" else (State(state),)
    with _reading(config) as tx:
        listing = overview.listing(tx, states, limit)
    _print(listing, overview.listing_text(listing), as_json=as_json)


@app.command()
def show(approval: ApprovalId, config: ConfigFile = _DEFAULT_CONFIG, *, as_json: Json = False) -> None:
    """Tell the whole story of one approval."""
    from gateway import overview

    with _reading(config) as tx:
        story = overview.story(tx, _number(approval))
    _print(story, overview.story_text(story), as_json=as_json)


@app.command()
def decide(
    approval: ApprovalId,
    verdict: Annotated[str, typer.Argument(help="approve, reject or modify.")],
    config: ConfigFile = _DEFAULT_CONFIG,
    *,
    as_: Annotated[str, typer.Option("--as", help="Address of the reviewer who decides.")],
    set_: Annotated[list[str] | None, typer.Option("--set", help="FIELD=JSON, for modify.")] = None,
    comment: Annotated[str, typer.Option(help="Why.")] = "",
    as_json: Json = False,
) -> None:
    """Decide an approval on behalf of a reviewer."""
    from gateway.core.approval import Verdict

    if verdict not in set(Verdict):
        _fail(f"{verdict!r} is no decision; one of: {', '.join(Verdict)}", Exit.USAGE)
    edits = dict(_assignment(each) for each in set_ or ())
    loaded = _load(config)

    async def vote(service: "Service") -> "Reply":
        from gateway.config import policy
        from gateway.core.approval import Channel, Identity
        from gateway.service import Ballot

        person = policy(loaded).person(as_)
        ballot = Ballot(
            approval=_number(approval),
            by=person.email if person else as_,
            verdict=Verdict(verdict),
            channel=Channel.CLI,
            identity=Identity.OS_USER,
            comment=comment,
            evidence=f"user {getpass.getuser()}",
            edits=edits,
            diff_seen=True,
        )
        return await service.vote(ballot)

    _report(_with_service(config, vote, loaded), as_json=as_json)


@app.command()
def cancel(
    approval: ApprovalId,
    config: ConfigFile = _DEFAULT_CONFIG,
    *,
    reason: Annotated[str, typer.Option(help="Why; reviewers read it.")] = "",
    by: Annotated[str, typer.Option(help="Who takes it back.", show_default="you")] = "",
    as_json: Json = False,
) -> None:
    """Take a question back; reviewers are told."""
    who = by or getpass.getuser()
    reply = _with_service(config, lambda service: service.recall(_number(approval), who, reason))
    _report(reply, as_json=as_json)


@app.command()
def resolve(
    approval: ApprovalId,
    config: ConfigFile = _DEFAULT_CONFIG,
    *,
    done: Annotated[bool, typer.Option("--done/--not-done", help="Whether it was done after all.")],
    by: Annotated[str, typer.Option(help="Who looked.", show_default="you")] = "",
    as_json: Json = False,
) -> None:
    """Say whether an action in doubt was done; it is never done again by itself."""
    from gateway.service import NotInDoubtError

    who = by or getpass.getuser()
    try:
        receipt = _with_service(config, lambda service: service.resolve(_number(approval), who, done=done))
    except NotInDoubtError as error:
        _fail(str(error), Exit.NOT_SO)
    _print({"approval": _number(approval), "status": receipt.status}, receipt.summary, as_json=as_json)


@quarantine_app.command("list")
def quarantine_list(
    config: ConfigFile = _DEFAULT_CONFIG,
    *,
    limit: Annotated[int, typer.Option(help="At most so many, newest first.")] = 100,
    as_json: Json = False,
) -> None:
    """List the mails that were put aside, and why."""
    from gateway import quarantine

    with _reading(config) as tx:
        rows = quarantine.listing(tx, limit)
    _print(rows, quarantine.listing_text(rows), as_json=as_json)


@quarantine_app.command("show")
def quarantine_show(mail: MailNumber, config: ConfigFile = _DEFAULT_CONFIG, *, as_json: Json = False) -> None:
    """Show one mail as evidence: its header and text with everything hidden made visible, handles masked."""
    from gateway import quarantine

    with _reading(config) as tx:
        row = tx.inbound_numbered(mail)
    told = quarantine.evidence(row, asyncio.run(_text_of(row.octets)) if row.octets else None)
    _print(told, quarantine.evidence_text(told), as_json=as_json)


@quarantine_app.command("release")
def quarantine_release(
    mail: MailNumber,
    config: ConfigFile = _DEFAULT_CONFIG,
    *,
    by: Annotated[str, typer.Option(help="Who looked at it.", show_default="you")] = "",
    as_json: Json = False,
) -> None:
    """Have one mail read once more, by the same rules; what made it be put aside must be mended first."""
    from gateway import quarantine

    settings = _load(config)
    from gateway import daemon

    who, now = by or getpass.getuser(), datetime.now(UTC)

    async def once() -> "InboundRow":
        store = daemon.open_store(settings)
        try:
            return await store.write(lambda tx: quarantine.release(tx, mail, who, now))
        finally:
            await store.close()

    with _explained():
        try:
            row = asyncio.run(once())
        except quarantine.NotReleasableError as error:
            _fail(str(error), Exit.NOT_SO)
    said = (
        f"mail {row.n} is released; a running gateway reads it again within a few seconds, see: gateway list"
    )
    _print({"id": row.n, "filing": "releasing"}, said, as_json=as_json)


async def _text_of(octets: bytes) -> str | None:
    """Read a mail's text where it can do no harm; None if it cannot be read."""
    from gateway.log import configure
    from gateway.reading.reader import Reader, ReadingFailedError

    configure(json=False, quiet=True)
    reader = Reader()
    try:
        return await reader.text(octets)
    except ReadingFailedError:
        return None
    finally:
        await reader.close()


@config_app.command("check")
def config_check(
    file: Annotated[Path | None, typer.Argument(help="The configuration file.")] = None,
    config: ConfigFile = _DEFAULT_CONFIG,
    *,
    as_json: Json = False,
) -> None:
    """Say everything that is wrong with a configuration."""
    from gateway.config import check

    path = file or config
    problems = check(path, os.environ)
    errors = [problem for problem in problems if not problem.warning]
    rows = [
        {"key": each.key, "message": each.message, "hint": each.hint, "warning": each.warning}
        for each in problems
    ]
    lines = [f"{'warning' if each.warning else 'error'}: {each}" for each in problems]
    warnings = len(problems) - len(errors)
    verdict = f"{path}: not good ({len(errors)} to mend)" if errors else f"{path}: good"
    if warnings and not errors:
        verdict += f", with {warnings} to look at; `gateway run` refuses missing or open secrets"
    _print(
        {"file": str(path), "problems": rows, "good": not errors},
        "\n".join([*lines, verdict]),
        as_json=as_json,
    )
    if errors:
        raise typer.Exit(Exit.BAD_CONFIG)


@config_app.command("sample")
def config_sample() -> None:
    """Print an annotated configuration to begin with."""
    from gateway.config import sample

    typer.echo(sample(), nl=False)


@config_app.command("schema")
def config_schema() -> None:
    """Print the JSON Schema of the configuration, for editors."""
    from gateway.config import schema

    typer.echo(json.dumps(schema(), indent=2))


@config_app.command("describe")
def config_describe() -> None:
    """Print the manual of the configuration."""
    from gateway.config import describe

    typer.echo(describe())


def _with_service(
    config: Path,
    work: "Callable[[Service], Coroutine[Any, Any, T]]",
    loaded: "Config | None" = None,
) -> T:
    """Run one use case in this process; a running gateway notices what was recorded."""
    settings = loaded or _load(config)
    from gateway import daemon
    from gateway.log import configure

    configure(json=False, quiet=True)

    async def once() -> T:
        store = daemon.open_store(settings)
        try:
            return await work(daemon.build_service(settings, store))
        finally:
            await store.close()

    with _explained():
        return asyncio.run(once())


@contextmanager
def _reading(config: Path) -> Iterator[Any]:
    """Open the database for looking."""
    settings = _load(config)
    from gateway.store import open_reader

    with _explained(), open_reader(settings.store_path) as tx:
        yield tx


@contextmanager
def _explained() -> Iterator[None]:
    """Turn what a user can mend into one line and its exit code."""
    from gateway.store import NotFoundError, StoreUnavailableError

    try:
        yield
    except NotFoundError as error:
        _fail(str(error), Exit.NOT_FOUND)
    except StoreUnavailableError as error:
        _fail(str(error), Exit.UNAVAILABLE)


def _load(path: Path) -> "Config":
    from gateway.config import ConfigError, load

    try:
        return load(path, os.environ)
    except ConfigError as error:
        for problem in error.problems:
            typer.echo(f"error: {problem}", err=True)
        raise typer.Exit(Exit.BAD_CONFIG) from None


def _report(reply: "Reply", *, as_json: bool) -> None:
    """Print what became of a decision; the exit code tells whether it was what was asked for."""
    from gateway.core.approval import Answer

    approval = reply.approval
    row = {
        "approval": approval.id,
        "answer": reply.answer,
        "state": approval.state,
        "problems": reply.problems,
    }
    said = "; ".join((f"{approval.id}: {_SAID.get(reply.answer, reply.answer)}", *reply.problems))
    if approval.replaced_by:
        said += f"; it is now {approval.replaced_by}"
    _print(row, said, as_json=as_json)
    if reply.answer in {Answer.NOT_A_REVIEWER, Answer.CHANNEL_REFUSED, Answer.EDIT_REFUSED}:
        raise typer.Exit(Exit.REFUSED)
    if reply.answer in {Answer.ALREADY_DECIDED, Answer.ALREADY_VOTED, Answer.EXPIRED}:
        raise typer.Exit(Exit.NOT_SO)


def _number(approval: str) -> str:
    """Take an approval's number as people copy it: in any case, with the sign or brackets of the subject."""
    return approval.strip("[]# ").upper()


def _object(text: str, option: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        _fail(f"{option} is not JSON: {error}", Exit.USAGE)
    if not isinstance(value, dict):
        _fail(f"{option} must be a JSON object", Exit.USAGE)
    return value


def _action(text: str) -> dict[str, Any]:
    """Read an action as the planner would propose it, or as `show --json` prints it."""
    given = _object(text, "--action")
    kind, parameters = given.get("action_type", given.get("type")), given.get("parameters")
    if not isinstance(kind, str) or not isinstance(parameters, dict):
        _fail('--action: write {"action_type": "send_email", "parameters": {"to": [...], ...}}', Exit.USAGE)
    return {
        "action_type": kind,
        "description": str(given.get("description", "")),
        "parameters": parameters,
        "risk_level": given.get("risk_level", "low"),
    }


def _assignment(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        _fail(f"--set {text!r}: write FIELD=JSON, such as --set 'subject=\"Hello\"'", Exit.USAGE)
    try:
        return name.strip(), json.loads(value)
    except json.JSONDecodeError:
        _fail(f"--set {name}: {value!r} is not JSON; text needs quotes, such as '\"Hello\"'", Exit.USAGE)


def _print(value: Any, text: str, *, as_json: bool) -> None:
    typer.echo(json.dumps(value, indent=2, default=str, ensure_ascii=False) if as_json else text)


def _fail(message: str, code: Exit) -> NoReturn:
    typer.echo(f"error: {message}", err=True)
    sys.exit(code)
