"""Commands for people. Each imports what it needs when it runs, so that looking something up is quick."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from gateway import __version__
from gateway.cli import approvals, graphs, mails
from gateway.cli.common import (
    DEFAULT_CONFIG,
    ConfigFile,
    Exit,
    Json,
    fail,
    in_words,
    load_config,
    show_result,
)
from gateway.cli.configuration import config_app

__all__ = ["Exit", "app", "main"]

app = typer.Typer(
    name="gateway",
    help="Ask people by mail before an agent acts, and do exactly what they approved.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
)
app.add_typer(approvals.app)
app.add_typer(mails.app)
app.add_typer(mails.quarantine_app, name="quarantine")
app.add_typer(graphs.app)
app.add_typer(graphs.graphs_app, name="graphs")
app.add_typer(config_app, name="config")


def main() -> None:
    """Run the command line."""
    app()


@app.command()
def version(*, as_json: Json = False) -> None:
    """Print the version."""
    show_result({"version": __version__}, __version__, as_json=as_json)


@app.command()
def run(
    config: ConfigFile = DEFAULT_CONFIG,
    *,
    log_json: Annotated[bool, typer.Option(help="Log JSON for machines.")] = False,
) -> None:
    """Run the gateway until it is told to stop (SIGTERM or Ctrl-C)."""
    loaded = load_config(config)
    from gateway import daemon, web
    from gateway.graphs import GraphLoadError
    from gateway.log import configure

    configure(json=log_json)

    async def until_stopped() -> None:
        stop = asyncio.Event()
        daemon.stop_on_signals(stop)
        await daemon.run(
            loaded, stop=stop, ready=lambda parts: typer.echo(f"ready on {parts.address}", err=True)
        )

    with in_words():
        try:
            asyncio.run(until_stopped())
        except web.PortTakenError as error:
            fail(str(error), Exit.UNAVAILABLE)
        except GraphLoadError as error:
            fail(str(error), Exit.BAD_CONFIG)


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
        fail(f"the demo needs {error.name}: pip install 'approval-gateway[demo]'", Exit.UNAVAILABLE)
    from gateway.log import configure

    configure(json=False, quiet=not debug)
    tell: Callable[[str], None] = (lambda _: None) if as_json else typer.echo
    try:
        facts = asyncio.run(story.run(keep, tell))
    except story.DemoFailedError as error:
        fail(str(error), Exit.NOT_SO)
    if as_json:
        typer.echo(story.as_json(facts))
