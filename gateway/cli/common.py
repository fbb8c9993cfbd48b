"""What the commands share: exit codes, options, how they get at configuration and store, how they end."""

import asyncio
import json
import os
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar

import typer

if TYPE_CHECKING:
    from gateway.config import Config
    from gateway.service import Service

T = TypeVar("T")


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
DEFAULT_CONFIG = Path("config.toml")


def with_service(
    config: Path,
    work: "Callable[[Service], Coroutine[Any, Any, T]]",
    loaded: "Config | None" = None,
) -> T:
    """Run one use case in this process; a running gateway notices what was recorded."""
    settings = loaded or load_config(config)
    from gateway import daemon
    from gateway.log import configure

    configure(json=False, quiet=True)

    async def once() -> T:
        store = daemon.open_store(settings)
        try:
            return await work(daemon.build_service(settings, store))
        finally:
            await store.close()

    with in_words():
        return asyncio.run(once())


@contextmanager
def reading(config: Path) -> Iterator[Any]:
    """Open the database for looking."""
    settings = load_config(config)
    from gateway.store import open_reader

    with in_words(), open_reader(settings.store_path) as tx:
        yield tx


@contextmanager
def in_words() -> Iterator[None]:
    """Turn what a user can mend into one line and its exit code."""
    from gateway.store import NotFoundError, StoreUnavailableError

    try:
        yield
    except NotFoundError as error:
        fail(str(error), Exit.NOT_FOUND)
    except StoreUnavailableError as error:
        fail(str(error), Exit.UNAVAILABLE)


def load_config(path: Path) -> "Config":
    """Load the configuration, or say what is wrong with it and end."""
    from gateway.config import ConfigError, load

    try:
        return load(path, os.environ)
    except ConfigError as error:
        for problem in error.problems:
            typer.echo(f"error: {problem}", err=True)
        raise typer.Exit(Exit.BAD_CONFIG) from None


def known_graph(name: str, *names: str) -> None:
    """See that there is a graph of this name, or end."""
    if name not in names:
        fail(f"there is no graph {name!r}; one of: {', '.join(names) or 'none'}", Exit.NOT_FOUND)


def approval_number(approval: str) -> str:
    """Take an approval's number as people copy it: in any case, with the sign or brackets of the subject."""
    return approval.strip("[]# ").upper()


def item_number(approval: str) -> tuple[str, int | None]:
    """Read an approval's number with or without an item of it, `7Q2M4KXP.2`, or end."""
    number, dot, item = approval.strip("[]# ").partition(".")
    if dot and not (item.isascii() and item.isdecimal()):
        fail(f"{approval!r}: write the item as its number, such as {approval_number(number)}.2", Exit.USAGE)
    return approval_number(number), int(item) if dot else None


def json_object(text: str, option: str) -> dict[str, Any]:
    """Read a JSON object from an option, or end."""
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        fail(f"{option} is not JSON: {error}", Exit.USAGE)
    if not isinstance(value, dict):
        fail(f"{option} must be a JSON object", Exit.USAGE)
    return value


def assignment(text: str) -> tuple[str, Any]:
    """Read FIELD=JSON, or end."""
    name, equals, value = text.partition("=")
    if not equals:
        fail(f"--set {text!r}: write FIELD=JSON, such as --set 'subject=\"Hello\"'", Exit.USAGE)
    try:
        return name.strip(), json.loads(value)
    except json.JSONDecodeError:
        fail(f"--set {name}: {value!r} is not JSON; text needs quotes, such as '\"Hello\"'", Exit.USAGE)


def show_result(value: Any, text: str, *, as_json: bool) -> None:
    """Print a result for machines, or the text of it for people."""
    typer.echo(json.dumps(value, indent=2, default=str, ensure_ascii=False) if as_json else text)


def fail(message: str, code: Exit) -> NoReturn:
    """Say what is wrong and what to do, and end."""
    typer.echo(f"error: {message}", err=True)
    sys.exit(code)
