"""The kinds of values a configuration holds: each checks itself and says in a sentence what it wants."""

import json
import re
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import SplitResult, urlsplit
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, WithJsonSchema

from gateway.core import httpheaders, network, weburl
from gateway.core.address import is_address, is_domain
from gateway.core.transport import is_loopback

SQLITE = "sqlite:///"
_GRAPH_PATH = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*", re.ASCII)
_GRAPH_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_HOST = re.compile(r"[A-Za-z0-9._:-]{1,253}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
_DURATION = re.compile(r"([1-9][0-9]{0,6})([smhdw])")
_UNITS = {
    "w": timedelta(weeks=1),
    "d": timedelta(days=1),
    "h": timedelta(hours=1),
    "m": timedelta(minutes=1),
    "s": timedelta(seconds=1),
}


def spell(duration: timedelta) -> str:
    """Write a duration as the configuration has it, in the largest unit that divides it."""
    unit = next((unit for unit, size in _UNITS.items() if not duration % size), "s")
    return f"{duration // _UNITS[unit]}{unit}"


def within(least: timedelta, most: timedelta) -> AfterValidator:
    """Limit a duration."""

    def limited(duration: timedelta) -> timedelta:
        if not least <= duration <= most:
            raise ValueError(f"must be from {spell(least)} to {spell(most)}, not {spell(duration)}")
        return duration

    return AfterValidator(limited)


def _line(text: str) -> str:
    if not text.strip() or not text.isprintable():
        raise ValueError(f"must be one line of visible text, not {text!r}")
    return text


def _table_name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError(f"must be the plain name of a table, of letters, digits and _, not {text!r}")
    return text


def _file_mode(text: str) -> str:
    if not re.fullmatch(r"0?[67][0-7]{2}", text):
        raise ValueError(
            f"must be octal digits that let the owner read and write, such as '0640', not {text!r}"
        )
    return text.zfill(4)


def _quoted_mode(value: Any) -> Any:
    if isinstance(value, int) and re.fullmatch("[67][0-7]{2}", str(value)):
        raise ValueError(f'must be text, not {value}: write "0{value}"')
    return value


def _host(text: str) -> str:
    if not _HOST.fullmatch(text):
        raise ValueError(f"must be the name or the IP address of a host, not {text!r}")
    return text


def _address(text: str) -> str:
    if not is_address(text):
        raise ValueError(f"must be one bare address such as ada@example.com, not {text!r}")
    return text


def _domain(text: str) -> str:
    if not is_domain(text):
        raise ValueError(f"must be a domain such as example.com, without wildcard, not {text!r}")
    return text.lower()


def _server_name(text: str) -> str:
    name = text.lower().removesuffix(".")
    host = name.removeprefix("*.")
    if not is_domain(host) or (name != host and "." not in host):
        raise ValueError(f"must be a name such as mx.example.com, or *.example.com, not {text!r}")
    return name


def _zone(text: str) -> str:
    try:
        ZoneInfo(text)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"must be a time zone such as Europe/Berlin, not {text!r}") from None
    return text


def _duration(value: Any) -> Any:
    if isinstance(value, timedelta):
        return value
    found = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError(f"must be a number and a unit such as '30m', '24h' or '2d', not {value!r}")
    return int(found[1]) * _UNITS[found[2]]


def _moment(value: Any) -> datetime:
    """Read a day as its first moment in UTC; a time without its offset could be anywhen."""
    moment = _from_iso(value) if isinstance(value, str) else value
    if isinstance(moment, date) and not isinstance(moment, datetime):
        return datetime.combine(moment, time(), UTC)
    if not isinstance(moment, datetime) or moment.tzinfo is None:
        raise ValueError("must be a day such as 2026-01-31 or a time with its offset, 2026-01-31T08:00:00Z")
    return moment.astimezone(UTC)


def _from_iso(text: str) -> date | None:
    kinds: tuple[type[date], ...] = (date, datetime)
    for kind in kinds:
        with suppress(ValueError):
            return kind.fromisoformat(text)
    return None


def _anchored(path: Path, info: ValidationInfo) -> Path:
    """Resolve against the configuration's own directory, which the loader gives as the context."""
    if "\0" in str(path):
        raise ValueError("must be a path")
    return path if info.context is None else Path(info.context) / path


def _public_url(text: str) -> str:
    url = _web_url(text)
    if url.path not in {"", "/"} or "?" in text or "#" in text:
        raise ValueError("must end after the host: the gateway adds path and query itself")
    if url.scheme != "https" and not is_loopback(url.hostname or ""):
        raise ValueError("must begin with https://, because its links decide; http is for loopback only")
    return f"{url.scheme}://{url.netloc.lower()}"


def _api_url(text: str) -> str:
    _web_url(text)
    return text


def _web_url(text: str) -> SplitResult:
    """Take a web address apart; the text is never repeated, since it may hold a password."""
    try:
        url = urlsplit(text)
        sound = url.scheme in {"http", "https"} and _HOST.fullmatch(url.hostname or "") and url.port != 0
    except ValueError:
        sound = None
    if not sound or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError(
            "must be a plain ASCII URL such as https://gateway.example.com (IDN hosts as xn--...)"
        )
    if "@" in url.netloc:
        raise ValueError("must not hold a user name or a password")
    if (url.hostname or "").endswith("."):
        raise ValueError("must not end its host with a dot")
    return url


def _api_prefix(text: str) -> str:
    try:
        url = weburl.read(text)
    except ValueError as error:
        raise ValueError(f"must be an address such as https://api.example.com/v1/: {error}") from None
    if url.query:
        raise ValueError("must end before the query")
    return text


def _server_url(text: str) -> str:
    return _api_prefix(f"{text.rstrip('/')}/")


def _network(text: str) -> str:
    try:
        return str(network.networks([text])[0])
    except ValueError:
        raise ValueError(f"must be an address or a network such as 10.1.2.0/24, not {text!r}") from None


def _header_name(text: str) -> str:
    if not httpheaders.is_name(text):
        raise ValueError(f"must be the name of a header such as Authorization, not {text!r}")
    return text


def _graph_path(text: str) -> str:
    if not _GRAPH_PATH.fullmatch(text):
        raise ValueError(f"must be module:attribute such as my_agent.graph:graph, not {text!r}")
    return text


def _graph_name(text: str) -> str:
    if not _GRAPH_NAME.fullmatch(text):
        raise ValueError("must be named with lower-case letters, digits, - and _")
    return text


def _json_text(text: str) -> str:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError(
            f"must be JSON; a text needs quotes of its own, such as '\"yes\"', not {text!r}"
        ) from None
    return text


def _store_url(text: str, info: ValidationInfo) -> str:
    path = text.removeprefix(SQLITE)
    if text and path in {text, "", ":memory:"}:
        raise ValueError("must be sqlite:///PATH, with a fourth slash where the path is absolute")
    return text and SQLITE + str(_anchored(Path(path), info))


def _database_url(text: str, info: ValidationInfo) -> str:
    """Take a database's URL apart; the text is never repeated, since it may hold a password."""
    if text.startswith(SQLITE):
        return _store_url(text, info)
    try:
        url = urlsplit(text)
        sound = url.scheme == "postgresql" and url.port != 0 and len(url.path) > 1
    except ValueError:
        sound = False
    if not sound or not text.isprintable() or not text.isascii():
        raise ValueError("must be sqlite:///PATH or postgresql://USER@HOST/NAME")
    if url.password is not None:
        raise ValueError("must not hold a password, there is password_file for it")
    return text


Line = Annotated[str, AfterValidator(_line)]
FileMode = Annotated[str, BeforeValidator(_quoted_mode), AfterValidator(_file_mode)]
Host = Annotated[str, AfterValidator(_host)]
Port = Annotated[int, Field(strict=True, ge=1, le=65535)]
Whole = Annotated[int, Field(strict=True)]
Switch = Annotated[bool, Field(strict=True)]
Address = Annotated[str, AfterValidator(_address)]
Domain = Annotated[str, AfterValidator(_domain)]
ServerName = Annotated[str, AfterValidator(_server_name)]
Zone = Annotated[str, AfterValidator(_zone)]
Duration = Annotated[
    timedelta,
    BeforeValidator(_duration),
    WithJsonSchema({"type": "string", "pattern": f"^{_DURATION.pattern}$"}),
]
Moment = Annotated[datetime, BeforeValidator(_moment), WithJsonSchema({"type": "string"})]
Location = Annotated[Path, AfterValidator(_anchored)]
PublicUrl = Annotated[str, AfterValidator(_public_url)]
ApiUrl = Annotated[str, AfterValidator(_api_url)]
ApiPrefix = Annotated[str, AfterValidator(_api_prefix)]
ServerUrl = Annotated[str, AfterValidator(_server_url)]
NetworkAddress = Annotated[str, AfterValidator(_network)]
HeaderName = Annotated[str, AfterValidator(_header_name)]
DatabaseUrl = Annotated[str, AfterValidator(_database_url)]
TableName = Annotated[str, AfterValidator(_table_name)]
GraphPath = Annotated[str, AfterValidator(_graph_path)]
GraphName = Annotated[str, AfterValidator(_graph_name)]
JsonText = Annotated[str, AfterValidator(_json_text)]
StoreUrl = Annotated[str, AfterValidator(_store_url)]
