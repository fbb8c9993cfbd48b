"""Read a configuration from its file, the environment and the secret files, and find all that is wrong."""

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from gateway.config.environment import overlay, variable_of
from gateway.config.problems import ConfigError, Problem, explain, guess, is_list
from gateway.config.rules import broken
from gateway.config.secret_files import resolve
from gateway.config.tables import Config, File

_LARGEST_FILE = 1024 * 1024
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def load(path: Path, environ: Mapping[str, str]) -> Config:
    """Read the configuration that the gateway is to run with.

    Raises:
        ConfigError: something is wrong, secret files included; it names everything at once.
    """
    tables, problems = _examine(path, environ, running=True)
    errors = [problem for problem in problems if not problem.warning]
    if errors:
        raise ConfigError(errors)
    return Config(**tables, directory=path.absolute().parent)


def check(path: Path, environ: Mapping[str, str]) -> tuple[Problem, ...]:
    """Say all that is wrong; secret files that are missing or open to others are only warned about."""
    try:
        return _examine(path, environ, running=False)[1]
    except ConfigError as error:
        return error.problems


def _examine(
    path: Path, environ: Mapping[str, str], *, running: bool
) -> tuple[dict[str, Any], tuple[Problem, ...]]:
    """Return the sound tables and all problems, in the order of the file's tables."""
    raw, base = _parse(path), path.absolute().parent
    problems = [*overlay(raw, environ), *resolve(raw, environ, base, running=running)]
    tables, refused = _validate(raw, base)
    problems += [*refused, *broken(tables)]
    problems = [variable_of(problem, environ) for problem in sorted(problems, key=_position)]
    return tables, tuple(problems)


def _parse(path: Path) -> dict[str, Any]:
    """Read the file as TOML.

    Raises:
        ConfigError: there is no table in it to look at; the one problem says why.
    """
    octets = _octets(path)
    if octets.startswith(_BYTE_ORDER_MARK):
        raise ConfigError(
            [Problem(str(path), "begins with a byte order mark", "save it as UTF-8 without BOM")]
        )
    try:
        return tomllib.loads(octets.decode())
    except UnicodeDecodeError as error:
        line = octets.count(b"\n", 0, error.start) + 1
        raise ConfigError([Problem(str(path), f"is not UTF-8 (at line {line})")]) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([Problem(str(path), f"is not TOML: {error}")]) from None
    except RecursionError:
        raise ConfigError([Problem(str(path), "is nested too deeply")]) from None


def _octets(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            octets = file.read(_LARGEST_FILE + 1)
    except FileNotFoundError:
        raise ConfigError([Problem(str(path), "there is no such file")]) from None
    except OSError as error:
        raise ConfigError([Problem(str(path), f"cannot be read: {error.strerror}")]) from None
    if len(octets) > _LARGEST_FILE:
        raise ConfigError([Problem(str(path), "is larger than 1 MiB")])
    return octets


def _validate(raw: Mapping[str, Any], base: Path) -> tuple[dict[str, Any], list[Problem]]:
    """Look at each table by itself, so that a fault in one hides none in the others."""
    problems = [
        Problem(name, "unknown table", guess(name, File.model_fields))
        for name in raw.keys() - File.model_fields
    ]
    tables: dict[str, Any] = {}
    for name, kind in File.__annotations__.items():
        given = raw.get(name, [] if is_list(File.model_fields[name]) else {})
        try:
            tables[name] = TypeAdapter(kind).validate_python(given, context=base)
        except ValidationError as error:
            problems += _explained(name, error)
    return tables, problems


def _explained(name: str, error: ValidationError) -> Iterator[Problem]:
    for detail in error.errors(include_url=False):
        if not _is_echo(detail):
            # pydantic tells a table's own name from what stands in it by a last step of its own.
            place = detail["loc"][:-1] if detail["loc"][-1:] == ("[key]",) else detail["loc"]
            yield explain((name, *place), detail)


def _is_echo(detail: ErrorDetails) -> bool:
    """Whether pydantic only repeats that a part was wrong: a default that waits for it, a list without it."""
    kind = detail["type"]
    return kind == "default_factory_not_called" or (kind == "too_short" and bool(detail["input"]))


def _position(problem: Problem) -> int:
    name = problem.key.partition(".")[0].partition("[")[0]
    return list(File.model_fields).index(name) if name in File.model_fields else -1
