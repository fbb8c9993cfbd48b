"""Commands about mail that arrived: what lies in quarantine, and what a mail would be understood as."""

import asyncio
import getpass
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.common import (
    DEFAULT_CONFIG,
    ConfigFile,
    Exit,
    Json,
    MailNumber,
    fail,
    in_words,
    load_config,
    reading,
    show_result,
)

if TYPE_CHECKING:
    from gateway.core.reply import Context
    from gateway.explain import Setting
    from gateway.store import InboundRow

app = typer.Typer()

quarantine_app = typer.Typer(
    help="Look at mails that were put aside, and release them.", no_args_is_help=True
)


@quarantine_app.command("list")
def quarantine_list(
    config: ConfigFile = DEFAULT_CONFIG,
    *,
    limit: Annotated[int, typer.Option(help="At most so many, newest first.")] = 100,
    as_json: Json = False,
) -> None:
    """List the mails that were put aside, and why."""
    from gateway import quarantine

    with reading(config) as tx:
        rows = quarantine.listing(tx, limit)
    show_result(rows, quarantine.listing_text(rows), as_json=as_json)


@quarantine_app.command("show")
def quarantine_show(mail: MailNumber, config: ConfigFile = DEFAULT_CONFIG, *, as_json: Json = False) -> None:
    """Show one mail as evidence: its header and text with everything hidden made visible, handles masked."""
    from gateway import quarantine

    with reading(config) as tx:
        row = tx.inbound_numbered(mail)
    told = quarantine.evidence(row, asyncio.run(_text_of(row.octets)) if row.octets else None)
    show_result(told, quarantine.evidence_text(told), as_json=as_json)


@quarantine_app.command("release")
def quarantine_release(
    mail: MailNumber,
    config: ConfigFile = DEFAULT_CONFIG,
    *,
    by: Annotated[str, typer.Option(help="Who looked at it.", show_default="you")] = "",
    as_json: Json = False,
) -> None:
    """Have one mail read once more, by the same rules; what made it be put aside must be mended first."""
    from gateway import quarantine

    settings = load_config(config)
    from gateway import daemon

    who, now = by or getpass.getuser(), datetime.now(UTC)

    async def once() -> "InboundRow":
        store = daemon.open_store(settings)
        try:
            return await store.write(lambda tx: quarantine.release(tx, mail, who, now))
        finally:
            await store.close()

    with in_words():
        try:
            row = asyncio.run(once())
        except quarantine.NotReleasableError as error:
            fail(str(error), Exit.NOT_SO)
    said = (
        f"mail {row.n} is released; a running gateway reads it again within a few seconds, see: gateway list"
    )
    show_result({"id": row.n, "filing": "releasing"}, said, as_json=as_json)


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


@app.command()
def explain(
    files: Annotated[list[Path], typer.Argument(help="Mails as files; `-` is standard input.")],
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            "-c",
            envvar="GATEWAY_CONFIG",
            help="An installation whose tokens, reviewers and mail server are to be known.",
        ),
    ] = None,
    *,
    reviewer: Annotated[str, typer.Option(help="Address of the person who should have answered.")] = "",
    field: Annotated[
        list[str] | None, typer.Option(help="NAME=JSON: what may be changed, and what it is now.")
    ] = None,
    request: Annotated[
        Path | None, typer.Option(help="The letter that was sent; its fields and words are known then.")
    ] = None,
    language: Annotated[str, typer.Option(help="The reviewer's language, besides English.")] = "",
    authserv_id: Annotated[
        str, typer.Option(help="Name of our mail server in Authentication-Results, to see who wrote a mail.")
    ] = "",
    as_json: Json = False,
) -> None:
    """Say what mails would be understood as, from which line, and why; nothing is recorded or sent.

    Where neither --field, --request nor a known token says what may be changed, anything may be.
    """
    from gateway.core.authentication import Trust
    from gateway.explain import Setting, explained, explained_text

    setting = Setting(
        context=_context(field or [], request, language),
        addresses=frozenset({reviewer.lower()} if reviewer else ()),
        trust=Trust(server=authserv_id) if authserv_id else None,
    )
    missing = False
    with _known_to(config, setting) as known:
        for file in files:
            try:
                octets = _octets(file)
            except OSError as error:
                typer.echo(f"error: {file} cannot be read: {error.strerror}", err=True)
                missing = True
                continue
            told = {"file": str(file), **explained(octets, known)}
            typer.echo(json.dumps(told, ensure_ascii=False) if as_json else explained_text(told))
    if missing:
        raise typer.Exit(Exit.NOT_FOUND)


def _context(fields: Sequence[str], request: Path | None, language: str) -> "Context":
    """Gather what was said on the command line of the question that the mails answer."""
    from gateway.core.mail import MailError
    from gateway.core.vocabulary import LANGUAGES
    from gateway.explain import ANYTHING, learned, with_fields

    if language and language not in LANGUAGES:
        fail(f"--language {language!r} is not known; one of: {', '.join(LANGUAGES)}", Exit.USAGE)
    try:
        context = learned(_octets(request)) if request else ANYTHING
    except MailError as error:
        fail(f"--request {request} cannot be read: {error}", Exit.NOT_SO)
    except OSError as error:
        fail(f"--request {request} cannot be read: {error.strerror}", Exit.NOT_FOUND)
    if fields:
        context = with_fields(context, dict(_field(each) for each in fields))
    return replace(context, languages=(language,) if language else ())


def _field(text: str) -> tuple[str, Any]:
    """Read NAME=JSON; what is no JSON is a text, as shells take quotes away."""
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        fail(f"--field {text!r}: write NAME=JSON, such as --field amount=1000", Exit.USAGE)
    try:
        return name.strip(), json.loads(value)
    except ValueError:
        return name.strip(), value


@contextmanager
def _known_to(config: Path | None, setting: "Setting") -> Iterator["Setting"]:
    """Hold the mails against an installation too, if there is one."""
    if config is None:
        yield setting
        return
    settings = load_config(config)
    from gateway import daemon
    from gateway.store import open_reader

    if not settings.store_path.exists():
        yield daemon.explaining(settings, None, setting)
        return
    with in_words(), open_reader(settings.store_path) as tx:
        yield daemon.explaining(settings, tx, setting)


def _octets(file: Path) -> bytes:
    """Read a mail, but no more of it than would be looked at."""
    from gateway.core.mail import MAX_BYTES

    if str(file) == "-":
        return sys.stdin.buffer.read(MAX_BYTES + 1)
    with file.open("rb") as opened:
        return opened.read(MAX_BYTES + 1)
