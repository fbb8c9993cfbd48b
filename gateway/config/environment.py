"""Lay the environment over the file: `GATEWAY_SMTP__PASSWORD` is `password` of `[smtp]`.

Tables of a list are counted from 0, and one more than there are adds one: `GATEWAY_REVIEWERS__0__EMAIL`.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

from pydantic.fields import FieldInfo

from gateway.config.problems import (
    Place,
    Problem,
    dotted,
    guess,
    is_list,
    key_at,
    keys_of,
    table_at,
    table_in,
)

_PREFIX = "GATEWAY_"
_BETWEEN = "__"
_WORDS = {
    "true": True,
    "yes": True,
    "on": True,
    "1": True,
    "false": False,
    "no": False,
    "off": False,
    "0": False,
}


def overlay(raw: dict[str, Any], environ: Mapping[str, str]) -> Iterator[Problem]:
    """Put into `raw` what the environment says, and name the variables that say nothing."""
    for place, variable in sorted(_places(environ).items(), key=_in_order):
        field = key_at(place)
        if field is None or table_in(field):
            yield Problem(variable, "unknown key", _meant(place))
        elif not _put(raw, place, _parsed(environ[variable], field)):
            yield Problem(
                variable, "does not fit", "tables of a list are counted from 0: GATEWAY_KEYS__0__FILE"
            )


def given(place: Place, environ: Mapping[str, str]) -> bool:
    """Whether the value at `place` comes from the environment."""
    return place in _places(environ)


def variable_of(problem: Problem, environ: Mapping[str, str]) -> Problem:
    """Say the problem of the variable, where the value at its key came from one."""
    variables = {dotted(place): variable for place, variable in _places(environ).items()}
    key = re.sub(r"\[\d+\]$", "", problem.key)
    return replace(problem, key=variables.get(key, problem.key))


def _places(environ: Mapping[str, str]) -> dict[Place, str]:
    return {
        tuple(
            int(part) if part.isdecimal() else part for part in name[len(_PREFIX) :].lower().split(_BETWEEN)
        ): name
        for name in environ
        if name.startswith(_PREFIX) and _BETWEEN in name[len(_PREFIX) :]
    }


def _in_order(entry: tuple[Place, str]) -> list[str]:
    return [f"{part:09}" if isinstance(part, int) else part for part in entry[0]]


def _meant(place: Place) -> str:
    for depth, part in enumerate(place):
        table = table_at(place[:depth])
        if table and isinstance(part, str) and part not in keys_of(table):
            return guess(part, keys_of(table))
    return ""


def _parsed(text: str, field: FieldInfo) -> Any:
    """Read the text as the key's type; what cannot be read stays text and is refused as such later."""
    if is_list(field):
        return [part.strip() for part in text.split(",") if part.strip()]
    if field.annotation is bool:
        return _WORDS.get(text.lower(), text)
    if field.annotation is int:
        return int(text) if re.fullmatch(r"-?[0-9]{1,18}", text) else text
    return text


def _put(raw: dict[str, Any], place: Place, value: Any) -> bool:
    here: Any = raw
    for part, following in pairwise(place):
        here = _enter(here, part, [] if isinstance(following, int) else {})
    if not isinstance(here, dict):
        return False
    here[place[-1]] = value
    return True


def _enter(here: Any, part: str | int, new: Any) -> Any:
    """Step into a table or a list, adding `new` where there is nothing yet; None where there is no way."""
    if isinstance(here, dict) and isinstance(part, str):
        return here.setdefault(part, new)
    if isinstance(here, list) and isinstance(part, int):
        here.extend([new] if part == len(here) else [])
        return here[part] if part < len(here) else None
    return None
