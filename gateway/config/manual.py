"""What the tables say of themselves: the annotated sample, the manual and the JSON Schema."""

import json
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import SecretBytes, SecretStr
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import PydanticUndefined

from gateway.config.kinds import spell
from gateway.config.problems import is_list, is_named, keys_of, table_in
from gateway.config.tables import File, Table

_SAMPLE_OPENING = """\
# The gateway's configuration, with every key there is. Generated: docs/configuration.md says more,
# `gateway config check` says what is wrong.
#
# A key behind a `#` without space, such as `#port = 8080`, is left at its default; a table behind one is not
# there, and what it would switch on is off.
# Paths are relative to this file's directory. A duration is a number and a unit: 30s, 15m, 24h, 2d, 1w.
"""

_MANUAL_OPENING = """\
# Configuration

The gateway reads one TOML file: `-c FILE`, else the file that `GATEWAY_CONFIG` names, else `config.toml` in
the current directory. The annotated sample [`config.toml`](../config.toml) and this page are generated from
the same tables, `gateway/config/tables.py`.

- `gateway config check` names everything that is wrong at once; `gateway config schema` prints a JSON Schema.
- Unknown keys are errors, so that a misspelt limit is not silently ignored.
- Paths are relative to the directory of the file.
- A duration is a number and a unit: `30s`, `15m`, `24h`, `2d`, `1w`.

## Environment

Every key may come from the environment, which wins over the file: table and key in upper case, joined by two
underscores, after `GATEWAY_`. Lists are separated by commas; tables of a list are counted from 0.

| Variable | Key |
| --- | --- |
| `GATEWAY_SMTP__HOST` | `host` of `[smtp]` |
| `GATEWAY_POLICY__HIGH__ROLES=finance,legal` | `roles` of `[policy.high]` |
| `GATEWAY_REVIEWERS__0__EMAIL` | `email` of the first `[[reviewers]]` |

## Secrets

Passwords, keys and tokens stand in files of their own (`password_file`, `api_key_file`, `file`), or in the
environment. The files must be readable by the gateway alone (`chmod 600`): `gateway run` refuses others, and
files that are missing; `gateway config check` only warns. An end of line after the secret does not count.

A signing key is 32 random bytes or more, for example from `openssl rand -hex 32`. To change keys, add one
with its date, and keep the old one until the last question that it signed is answered: the newest signs, all
of them are accepted.

## Who wrote a reply

A reply decides only if its token belongs to the reviewer, its one From address is theirs, and, with
`sender_auth = "dmarc"`, your mail server vouches for that address. The gateway does not check signatures
again: it reads what your mail server wrote into `Authentication-Results` when it took the mail. Open a mail
in the gateway's mailbox to find the name in front of the topmost one, and count the `Received` lines above
it; save it as a file, and `gateway explain -c config.toml mail.eml` says whether its writer is believed.

| Mail server | `[mail]` |
| --- | --- |
| Postfix with OpenDKIM or OpenDMARC, Dovecot by LMTP | `authserv_id = "mx.example.com"` |
| the same, delivered without LMTP | `authserv_id = "mx.example.com"`, `authserv_received = 0` |
| Gmail, Google Workspace | `authserv_id = "mx.google.com"`, `authserv_received = 2` |
| Fastmail | `authserv_id = "*.messagingengine.com"`, `authserv_received = 2` |
| Microsoft 365 | `authserv = "microsoft365"` |

OpenDKIM with Dovecot by LMTP is what our tests run; the other rows come from headers of such mails, so look
at one of yours. Only the topmost header is read. It counts with `dmarc=pass` for exactly the From domain;
where it says nothing of DMARC, or that the domain asks for none, with `auth=pass` for the From address, or
with `dkim=pass` or `spf=pass` for exactly its domain. A failure of the same check, two results of DMARC, or a
line that programs could read in two ways is no pass. What showed the writer is kept with the vote. A mail
that is not vouched for goes to quarantine, with the reason in the log.

Your mail server must write the header into every mail, also into those that it could not check, and take out
those that came in under its own name. OpenDKIM does both with `AlwaysAddARHeader yes` and `RemoveARAll yes`;
OpenDMARC comes behind it in `smtpd_milters`, so that its result is the topmost.

Mail that your own people hand in to Postfix is signed there and not checked. Let the submission service say
who has logged in, here where logins are addresses:

```text
# master.cf, below submission or smtps
  -o smtpd_data_restrictions=check_sasl_access,regexp:/etc/postfix/logins
# /etc/postfix/logins
/^(.+)$/ PREPEND Authentication-Results: mx.example.com; auth=pass smtp.auth=$1
```

Microsoft 365 writes no name into its header, so that only the place of the header says whose it is: a mail
that reached the mailbox without having been checked, for example through a connector of your own, can bring
a forged one. Mail within one tenant usually carries no pass and decides nothing: colleagues use the page.

`sender_auth = "address"` trusts the From line. Use it only where your mail server refuses forged senders.
"""

_KINDS: dict[Any, str] = {
    str: "text",
    int: "whole number",
    bool: "`true` or `false`",
    timedelta: "duration",
    datetime: "date or time",
    Path: "path",
    SecretStr: "secret",
    SecretBytes: "secret",
}


def sample() -> str:
    """Return the annotated `config.toml`: sound but for its secret files, which are not there."""
    tables = (_sampled(*found) for found in _tables(File) if _plain_keys(found[1]))
    return "\n".join([_SAMPLE_OPENING, *tables])


def describe() -> str:
    """Return the manual of the configuration, in Markdown."""
    tables = (_described(*found) for found in _tables(File) if _plain_keys(found[1]))
    return "\n".join([_MANUAL_OPENING, *tables])


def schema() -> dict[str, Any]:
    """Return the JSON Schema that editors check the file with."""
    return File.model_json_schema(schema_generator=_Schema)


class _Schema(GenerateJsonSchema):
    def encode_default(self, dft: Any) -> Any:
        """Write durations as the file has them."""
        return spell(dft) if isinstance(dft, timedelta) else super().encode_default(dft)


def _tables(table: type[Table], prefix: str = "") -> Iterator[tuple[str, type[Table]]]:
    """Walk all tables below `table`, each with its heading as the file has it."""
    for key, field in keys_of(table).items():
        inner = table_in(field)
        if inner:
            name = f"{prefix}{key}.NAME" if is_named(field) else f"{prefix}{key}"
            heading = f"[[{name}]]" if is_list(field) else f"[{name}]"
            yield heading, inner
            yield from _tables(inner, f"{name}.")


def _plain_keys(table: type[Table]) -> dict[str, FieldInfo]:
    return {key: field for key, field in keys_of(table).items() if not table_in(field)}


def _sampled(heading: str, table: type[Table]) -> str:
    defaults = _defaults(table)
    keys = (_sampled_key(key, field, defaults.get(key)) for key, field in _plain_keys(table).items())
    parts = (heading.replace("NAME", "my-agent"), *keys)
    lines = [line for part in parts for line in part.split("\n")]
    if table.is_switch or "NAME" in heading:
        # Nobody has tables of these kinds to begin with.
        lines = [line if line.startswith("#") else f"#{line}" for line in lines]
    return "\n".join([f"# {table.__doc__}", *lines, ""])


def _sampled_key(key: str, field: FieldInfo, default: Any) -> str:
    sentence = f"# {field.description}"
    choices = _choices(field)
    if any(choice not in sentence for choice in choices):
        sentence += f" One of: {', '.join(choices)}."
    if field.examples:
        return f"{sentence}\n{key} = {_toml(field.examples[0])}"
    return f"{sentence}\n#{key} = {_toml('...' if _is_unset(default) else default)}"


def _described(heading: str, table: type[Table]) -> str:
    defaults = _defaults(table)
    rows = (
        f"| `{key}` | {_kind(field)} | {_default(field, defaults.get(key))} | {field.description} |"
        for key, field in _plain_keys(table).items()
    )
    opening = [f"## `{heading}`", "", str(table.__doc__), "", "| Key | Value | Default | Meaning |"]
    return "\n".join([*opening, "| --- | --- | --- | --- |", *rows, ""])


def _kind(field: FieldInfo) -> str:
    choices = ", ".join(f"`{choice}`" for choice in _choices(field))
    if choices:
        return f"list of {choices}" if is_list(field) else " or ".join(choices.rsplit(", ", 1))
    name = next(_KINDS[kind] for kind in _nested(field.annotation) if kind in _KINDS)
    return f"list of {name}" if is_list(field) else name


def _nested(kind: Any) -> Iterator[Any]:
    """Yield a type and all that it is made of."""
    yield kind
    for part in get_args(kind):
        yield from _nested(part)


def _choices(field: FieldInfo) -> list[str]:
    """List the words that a value can be, where they are few."""
    kind = get_args(field.annotation)[0] if is_list(field) else field.annotation
    words = next((each for each in _nested(kind) if get_origin(each) is Literal), None)
    if words:
        return list(get_args(words))
    return list(kind) if isinstance(kind, type) and issubclass(kind, StrEnum) else []


def _default(field: FieldInfo, default: Any) -> str:
    if field.is_required():
        return "required"
    return "" if _is_unset(default) or default in ("", ()) else f"`{_toml(default)}`"


def _defaults(table: type[Table]) -> dict[str, Any]:
    """Compute the defaults in order, since one may depend on those before it."""
    found: dict[str, Any] = {}
    for name, field in table.model_fields.items():
        found[name] = field.get_default(call_default_factory=True, validated_data=found)
    return {key: found[name] for name, key in zip(table.model_fields, keys_of(table), strict=True)}


def _is_unset(default: Any) -> bool:
    return default is None or default is PydanticUndefined or isinstance(default, SecretStr | SecretBytes)


def _toml(value: Any) -> str:
    """Write a value as TOML has it."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, timedelta):
        return json.dumps(spell(value))
    if isinstance(value, date):
        return value.isoformat()
    return json.dumps(str(value) if isinstance(value, Path) else value, ensure_ascii=False)
