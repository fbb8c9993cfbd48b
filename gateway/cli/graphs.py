"""Commands about graphs of your own: look at one, and take a thread of one over."""

import asyncio
import getpass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.common import (
    DEFAULT_CONFIG,
    ConfigFile,
    Exit,
    Json,
    fail,
    known_graph,
    load_config,
    show_result,
    with_service,
)
from gateway.core.address import is_address

if TYPE_CHECKING:
    from gateway.config import Config
    from gateway.graphs import Foreign, Progress

app = typer.Typer()
graphs_app = typer.Typer(help="Look at the graphs of your own.", no_args_is_help=True)
GraphName = Annotated[str, typer.Argument(help="Name of the graph: NAME of a table graphs.NAME.")]


@graphs_app.command("check")
def graphs_check(name: GraphName, config: ConfigFile = DEFAULT_CONFIG, *, as_json: Json = False) -> None:
    """Import a graph, or ask its server, and say what was found; nothing of it is run."""
    loaded = load_config(config)
    known_graph(name, *loaded.graphs)
    if loaded.graphs[name].url is not None:
        served = asyncio.run(_ask(loaded, name))
        said = f"{name}: {served['assistant']} at {served['url']}, where {served['waiting']} threads wait"
        show_result(served, said, as_json=as_json)
        return
    from gateway import daemon
    from gateway.graphs import GraphLoadError, scratch_saver

    try:
        found = daemon.load_graph(loaded, name, scratch_saver())
    except GraphLoadError as error:
        fail(str(error), Exit.NOT_SO)
    report = _report(loaded, name, found)
    lines = [
        f"{name}: a {report['kind']} at {report['path']}",
        f"nodes: {', '.join(report['nodes'])}",
        f"started with: {', '.join(report['inputs']) or 'whatever it is given'}",
        f"checkpoints: {report['checkpoints']}, saved before each step",
        f"after a crash in a node: {'it runs again' if report['replay'] else 'the thread is parked'}",
        *(f"tool: {tool} ({risk} risk)" for tool, risk in report["tools"].items()),
        *(f"warning: {warning}" for warning in report["warnings"]),
    ]
    show_result(report, "\n".join(lines), as_json=as_json)


@app.command()
def adopt(
    graph: GraphName,
    thread: Annotated[str, typer.Argument(help="Id of the thread.")],
    config: ConfigFile = DEFAULT_CONFIG,
    *,
    requester: Annotated[str, typer.Option(help="Address of the person it runs for; told the outcome.")] = "",
    as_json: Json = False,
) -> None:
    """Take over a thread that was started elsewhere over the gateway's checkpoints."""
    loaded = load_config(config)
    known_graph(graph, *loaded.graphs)
    if "@" in requester and not is_address(requester):
        fail(f"--requester {requester!r} is not an address", Exit.USAGE)
    progress = asyncio.run(_look(loaded, graph, thread))
    if not progress.pending and not progress.finished:
        fail(f"no thread {thread} of {graph} waits or has ended", Exit.NOT_FOUND)
    from gateway.service import ThreadKnownError

    try:
        with_service(
            config, lambda service: service.adopt(graph, thread, requester or getpass.getuser()), loaded
        )
    except ThreadKnownError as error:
        fail(str(error), Exit.NOT_SO)
    asked = len(progress.pending)
    show_result(
        {"thread_id": thread, "pending": asked},
        f"adopted thread {thread}, which {f'asks {asked} times' if asked else 'has ended'}",
        as_json=as_json,
    )


async def _ask(loaded: "Config", name: str) -> dict[str, Any]:
    from gateway import daemon
    from gateway.graphs import GraphsError, GraphsUnavailableError

    try:
        async with daemon.open_servers(loaded) as servers:
            waiting = await servers[name].waiting()
    except GraphsUnavailableError as error:
        fail(str(error), Exit.UNAVAILABLE)
    except GraphsError as error:
        fail(str(error), Exit.NOT_SO)
    table = loaded.graphs[name]
    return {"name": name, "url": table.url, "assistant": table.assistant, "waiting": len(waiting)}


async def _look(loaded: "Config", graph: str, thread: str) -> "Progress":
    from gateway import daemon
    from gateway.graphs import GraphLoadError, GraphsError

    try:
        async with daemon.open_servers(loaded) as servers, daemon.open_graphs(loaded, servers) as graphs:
            return await graphs.pending(graph, thread)
    except (GraphLoadError, GraphsError) as error:
        fail(str(error), Exit.NOT_SO)


def _report(loaded: "Config", name: str, found: "Foreign") -> dict[str, Any]:
    table = loaded.graphs[name]
    named = dict.fromkeys(table.low_risk, "low") | dict.fromkeys(table.medium_risk, "medium")
    tools = {tool: named.get(tool, "high") for tool in (*found.tools, *sorted(named.keys() - {*found.tools}))}
    return {
        "name": name,
        "path": table.path,
        "kind": found.kind,
        "nodes": list(found.nodes),
        "inputs": sorted(found.inputs),
        "checkpoints": str(loaded.gateway.data_dir / "checkpoints.sqlite3"),
        "replay": table.replay,
        "tools": tools,
        "fingerprint": found.fingerprint,
        "warnings": list(_warnings(loaded, name, found)),
    }


def _warnings(loaded: "Config", name: str, found: "Foreign") -> list[str]:
    table = loaded.graphs[name]
    warnings = []
    if found.had_saver:
        warnings.append("it was compiled with a saver of its own, which is not used; see `gateway adopt`")
    if found.breakpoints:
        nodes = ", ".join(found.breakpoints)
        warnings.append(f"it stops at {nodes} without asking anything, and is parked there; use interrupt()")
    if found.tools and (unknown := {*table.low_risk, *table.medium_risk} - {*found.tools}):
        warnings.append(f"no tool was found that is named {', '.join(sorted(unknown))}")
    if table.low_risk and loaded.policy.low.decide == "auto":
        warnings.append(f"nobody is asked about {', '.join(table.low_risk)}: [policy.low] lets them pass")
    return warnings
