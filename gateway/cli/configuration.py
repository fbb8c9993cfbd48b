"""Commands about the configuration."""

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.common import DEFAULT_CONFIG, ConfigFile, Exit, Json, show_result

config_app = typer.Typer(help="Check and explain the configuration.", no_args_is_help=True)


@config_app.command("check")
def config_check(
    file: Annotated[Path | None, typer.Argument(help="The configuration file.")] = None,
    config: ConfigFile = DEFAULT_CONFIG,
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
    show_result(
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
