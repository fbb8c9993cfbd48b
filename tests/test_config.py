"""The configuration: what is accepted, what is refused in which words, and what is generated from it."""

import json
import re
import subprocess
import sys
import tomllib
import traceback
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.config import ConfigError, check, load, policy, sample, schema
from gateway.config.problems import keys_of, table_in
from gateway.config.tables import File, Table
from gateway.core.policy import Decider, Reviewer, Risk

ROOT = Path(__file__).resolve().parent.parent
BAD = tomllib.loads((ROOT / "tests" / "bad_configs.toml").read_text(encoding="utf-8"))["case"]
KEY = "0123456789abcdef" * 4
MISFIT = "does not fit (tables of a list are counted from 0: GATEWAY_KEYS__0__FILE)"
CANARY = "hunter2-" + "canary" * 8

GOOD = """
[gateway]
base_url = "https://gateway.example.com"

[smtp]
host = "smtp.example.com"
username = "approvals"
password_file = "secrets/smtp"
from = "approvals@example.com"

[imap]
host = "imap.example.com"
username = "approvals"
password_file = "secrets/imap"

[mail]
reply_to = "approvals@example.com"
authserv_id = "mx.example.com"

[http]
host = "127.0.0.1"

[[http.tokens]]
name = "agent"
file = "secrets/token"
may = ["start", "approve"]
reviewer = "ada@example.com"

[[keys]]
file = "secrets/key"
created = 2026-01-31

[planner]
kind = "offline"

[[reviewers]]
name = "Ada"
email = "ada@example.com"
aliases = ["ada@home.example"]
roles = ["finance"]

[[reviewers]]
name = "Ben"
email = "ben@example.com"
timezone = "Europe/Berlin"

[policy.high]
expires = "2h"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    secrets = {
        "smtp": "smtp-password",
        "imap": "imap-password\n",
        "token": f"token-{KEY}\n",
        "key": f"{KEY}\n",
    }
    for name, text in secrets.items():
        put_secret(tmp_path / "secrets" / name, text.encode())
    return tmp_path


def put_secret(path: Path, contents: bytes, mode: int = 0o600) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(contents)
    path.chmod(mode)


def write(folder: Path, text: str | bytes = GOOD) -> Path:
    path = folder / "config.toml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def changed(old: str, new: str) -> str:
    assert old in GOOD, "the test must change something"
    return GOOD.replace(old, new, 1)


def errors(path: Path, environ: Mapping[str, str] | None = None) -> list[str]:
    return [str(problem) for problem in check(path, environ or {}) if not problem.warning]


def warnings(path: Path, environ: Mapping[str, str] | None = None) -> list[str]:
    return [str(problem) for problem in check(path, environ or {}) if problem.warning]


# --- what is accepted ------------------------------------------------------------------------------------


def test_good_configuration_loads(folder: Path) -> None:
    """A sound file gives typed values: defaults filled in, paths absolute, secrets read without line ends."""
    config = load(write(folder), {})
    assert config.smtp.port == 465
    assert config.imap.port == 993
    assert config.directory == folder
    assert config.gateway.data_dir == folder / "data"
    assert config.store_path == folder / "data" / "gateway.sqlite3"
    assert config.action_sender == "approvals@example.com"
    assert config.imap.password is not None
    assert config.imap.password.get_secret_value() == "imap-password"
    assert config.http.tokens[0].secret.get_secret_value() == f"token-{KEY}"
    assert config.signing_keys == (KEY.encode(),)


def test_port_follows_security(folder: Path) -> None:
    """Without a port of its own a server is reached where its kind of protection is usual."""
    config = load(write(folder, changed("[imap]", '[imap]\nsecurity = "starttls"')), {})
    assert config.imap.port == 143


def test_store_path_is_relative_to_the_file(folder: Path) -> None:
    """A relative path in the store's URL starts at the configuration, an absolute one at the root."""
    here = load(write(folder, GOOD + '[store]\nurl = "sqlite:///my.db"\n'), {})
    there = load(write(folder, GOOD + '[store]\nurl = "sqlite:////srv/my.db"\n'), {})
    assert (here.store_path, there.store_path) == (folder / "my.db", Path("/srv/my.db"))


def test_keys_are_ordered_by_date(folder: Path) -> None:
    """Keys are sorted by date, whatever their order in the file; random octets stay as they are (T79)."""
    newest, middle = b"\xff" * 31 + b"\n", b"m" * 32
    put_secret(folder / "secrets/newest", newest)
    put_secret(folder / "secrets/middle", middle)
    entries = '[[keys]]\nfile = "secrets/newest"\ncreated = 2026-03-01T08:00:00+02:00\n[[keys]]\n'
    text = changed("[[keys]]", entries + 'file = "secrets/middle"\ncreated = 2026-03-01T05:59:59Z\n[[keys]]')
    assert load(write(folder, text), {}).signing_keys == (KEY.encode(), middle, newest)


def test_policy_in_the_words_of_the_core(folder: Path) -> None:
    """Rules and people reach the core with the defaults of each risk and the gateway's time zone."""
    text = changed("[gateway]", '[gateway]\ntimezone = "Asia/Tokyo"')
    made = policy(load(write(folder, text), {}))
    assert made.rules[Risk.LOW].decide is Decider.AUTO
    assert made.rules[Risk.MEDIUM].edit_approves
    assert not made.rules[Risk.HIGH].edit_approves
    assert made.rules[Risk.HIGH].expires == timedelta(hours=2)
    ada, ben = made.reviewers
    assert ada == Reviewer(
        email="ada@example.com",
        name="Ada",
        aliases=("ada@home.example",),
        roles=("finance",),
        timezone="Asia/Tokyo",
    )
    assert ben.timezone == "Europe/Berlin"


def test_windows_line_ends(folder: Path) -> None:
    """A file written on Windows is read like any other."""
    assert errors(write(folder, GOOD.replace("\n", "\r\n"))) == []


# --- the environment -------------------------------------------------------------------------------------


def test_environment_wins_over_the_file(folder: Path) -> None:
    """Every key can come from the environment, read as the key's type."""
    environ = {
        "GATEWAY_CONFIG": "elsewhere.toml",
        "GATEWAY_GATEWAY__OPERATORS": "ops@example.com, night@example.com",
        "GATEWAY_HTTP__PORT": "9090",
        "GATEWAY_KEYS__0__CREATED": "2025-12-24",
        "GATEWAY_MAIL__PLUS_ADDRESSING": "no",
        "GATEWAY_POLICY__HIGH__ROLES": "finance",
        "GATEWAY_REVIEWERS__1__NAME": "Benjamin",
        "GATEWAY_SMTP__FROM": "gateway@example.com",
        "UNRELATED__KEY": "x",
    }
    config = load(write(folder), environ)
    assert config.gateway.operators == ("ops@example.com", "night@example.com")
    assert config.http.port == 9090
    assert config.keys[0].created.isoformat() == "2025-12-24T00:00:00+00:00"
    assert not config.mail.plus_addressing
    assert config.policy.high.roles == ("finance",)
    assert config.reviewers[1].name == "Benjamin"
    assert config.smtp.sender == "gateway@example.com"


def test_environment_alone(folder: Path) -> None:
    """An empty file is enough where the environment says everything."""
    environ = {
        "GATEWAY_GATEWAY__BASE_URL": "http://127.0.0.1:8080/",
        "GATEWAY_IMAP__HOST": "imap.example.com",
        "GATEWAY_MAIL__AUTHSERV_ID": "mx.example.com",
        "GATEWAY_IMAP__PASSWORD": "secret",
        "GATEWAY_IMAP__USERNAME": "approvals",
        "GATEWAY_KEYS__0__CREATED": "2026-01-31T08:00:00Z",
        "GATEWAY_KEYS__0__SECRET": KEY,
        "GATEWAY_MAIL__REPLY_TO": "approvals@example.com",
        "GATEWAY_PLANNER__KIND": "offline",
        "GATEWAY_REVIEWERS__0__EMAIL": "ada@example.com",
        "GATEWAY_REVIEWERS__0__NAME": "Ada",
        "GATEWAY_SMTP__FROM": "approvals@example.com",
        "GATEWAY_SMTP__HOST": "smtp.example.com",
    }
    config = load(write(folder, ""), environ)
    assert config.gateway.base_url == "http://127.0.0.1:8080"
    assert config.signing_keys == (KEY.encode(),)
    assert warnings(folder / "config.toml", environ) == []


def test_environment_replaces_a_secret_file(folder: Path) -> None:
    """A secret from the environment takes the place of one from the file, whichever way each is given."""
    config = load(write(folder), {"GATEWAY_SMTP__PASSWORD": "other"})
    assert config.smtp.password is not None
    assert config.smtp.password.get_secret_value() == "other"
    inline = changed('password_file = "secrets/smtp"', 'password = "inline"')
    config = load(write(folder, inline), {"GATEWAY_SMTP__PASSWORD_FILE": "secrets/smtp"})
    assert config.smtp.password is not None
    assert config.smtp.password.get_secret_value() == "smtp-password"


@pytest.mark.parametrize(
    ("variable", "text", "problem"),
    [
        ("GATEWAY_STMP__HOST", "x", "GATEWAY_STMP__HOST: unknown key (did you mean 'smtp'?)"),
        ("GATEWAY_SMTP__HOTS", "x", "GATEWAY_SMTP__HOTS: unknown key (did you mean 'host'?)"),
        ("GATEWAY_POLICY__HIGH", "x", "GATEWAY_POLICY__HIGH: unknown key"),
        ("GATEWAY_SMTP__PORT", "25x", "GATEWAY_SMTP__PORT: must be a whole number, not '25x'"),
        ("GATEWAY_SMTP__PORT", "9" * 18, f"GATEWAY_SMTP__PORT: must be at most 65535, not {'9' * 18}"),
        (
            "GATEWAY_MAIL__PLUS_ADDRESSING",
            "maybe",
            "GATEWAY_MAIL__PLUS_ADDRESSING: must be true or false, not 'maybe'",
        ),
        (
            "GATEWAY_GATEWAY__OPERATORS",
            "ops@example.com,ops",
            "GATEWAY_GATEWAY__OPERATORS: must be one bare address such as ada@example.com, not 'ops'",
        ),
        ("GATEWAY_IMAP__PASSWORD", "", "GATEWAY_IMAP__PASSWORD: must not be empty"),
        ("GATEWAY_KEYS__5__FILE", "x", f"GATEWAY_KEYS__5__FILE: {MISFIT}"),
        ("GATEWAY_KEYS__FILE", "x", f"GATEWAY_KEYS__FILE: {MISFIT}"),
    ],
)
def test_bad_variables(folder: Path, variable: str, text: str, problem: str) -> None:
    """What is wrong in the environment is said of the variable."""
    assert errors(write(folder), {variable: text}) == [problem]


# --- what is refused -------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["gateway", "gateway/web", "templates", "templates/letters", "."])
def test_the_program_is_no_place_for_an_agents_files(folder: Path, place: str) -> None:
    """T23: an agent cannot be let into the program and its templates."""
    root = f'"2h"\n[actions.write_file]\nroot = "{ROOT / place}"'
    (error,) = errors(write(folder, changed('"2h"', root)))
    assert error.startswith("actions.write_file.root: holds the gateway's own data")


@pytest.mark.parametrize("case", BAD, ids=[case["problems"][0].partition(" ")[0] for case in BAD])
def test_bad_configurations(folder: Path, case: dict[str, Any]) -> None:
    """Each mistake is named by its key, with what to do, and nothing else is complained of (T29)."""
    assert errors(write(folder, changed(case["old"], case["new"]))) == case["problems"]


def test_empty_file_names_all_that_is_needed(folder: Path) -> None:
    """What has no safe default must be given: addresses, people, servers, keys and the planner."""
    assert {problem.key for problem in check(write(folder, ""), {})} == {
        "gateway.base_url",
        "smtp.host",
        "smtp.from",
        "imap.host",
        "imap.username",
        "mail.reply_to",
        "keys",
        "planner.kind",
        "reviewers",
    }


def test_everything_at_once(folder: Path) -> None:
    """Mistakes in several tables are all named in one go, those between sound tables included."""
    text = (
        changed('"127.0.0.1"', "1").replace('"2h"', '"2h"\nquorum = 3').replace("[imap]", "[imap]\nhots = 1")
    )
    assert [line.partition(":")[0] for line in errors(write(folder, text))] == [
        "imap.hots",
        "http.host",
        "policy.high.quorum",
    ]


@pytest.mark.parametrize(
    ("contents", "problem"),
    [
        (b"\xef\xbb\xbf[gateway]", "begins with a byte order mark (save it as UTF-8 without BOM)"),
        (b"[gateway]\nname = 'M\xfcller'", "is not UTF-8 (at line 2)"),
        (b"[gateway]\nname = 'a\0'", "is not TOML: Found invalid character '\\x00' (at line 2, column 10)"),
        (b"[gateway]\nname =", "is not TOML: Invalid value (at end of document)"),
        (b"[gateway]\n[gateway]", "is not TOML: Cannot declare ('gateway',) twice (at line 2, column 9)"),
        (b"a = " + b"[" * 100_000, "is nested too deeply"),
        (b"#" * (1024 * 1024 + 1), "is larger than 1 MiB"),
    ],
)
def test_files_that_are_no_configuration(folder: Path, contents: bytes, problem: str) -> None:
    """A file that cannot be read as TOML is one problem, which says why and where."""
    path = write(folder, contents)
    assert errors(path) == [f"{path}: {problem}"]


def test_file_that_is_not_there(folder: Path) -> None:
    """A missing file and a directory are named, and loading refuses them too."""
    assert errors(folder / "none.toml") == [f"{folder / 'none.toml'}: there is no such file"]
    assert errors(folder) == [f"{folder}: cannot be read: Is a directory"]
    with pytest.raises(ConfigError):
        load(folder, {})


def test_deep_table(folder: Path) -> None:
    """A table nested a thousand times is an unknown key like any other."""
    path = write(folder, GOOD + f"[{'.'.join(['deep'] * 1000)}]\n")
    assert errors(path) == ["deep: unknown table"]


def plain_keys(table: type[Table] = File, prefix: str = "") -> Iterator[str]:
    """Walk all keys that hold values, in the order of the sample: a table's own before those below it."""
    inner = {key: below for key, field in keys_of(table).items() if (below := table_in(field))}
    yield from (f"{prefix}{key}" for key in keys_of(table) if key not in inner)
    for key, below in inner.items():
        yield from plain_keys(below, f"{prefix}{key}.")


@pytest.mark.parametrize(
    "value", ["1", "-1.5", "inf", "true", '""', '"\\u0000"', "[]", "[[1]]", "{}", "1979-05-27"]
)
def test_any_value_under_any_key(folder: Path, value: str) -> None:
    """Whatever stands under a key, the check answers in words and never stumbles."""
    for key in (*plain_keys(), *keys_of(File)):
        problems = check(write(folder, f"{key} = {value}"), {})
        assert all(str(problem) for problem in problems)


# --- secrets ---------------------------------------------------------------------------------------------


def test_missing_secret_files(folder: Path) -> None:
    """A secret file that is not there yet is a warning for the check and an error for the gateway."""
    path = write(folder)
    (folder / "secrets/key").unlink()
    expected = "keys[0].file: secrets/key cannot be read: No such file or directory"
    assert warnings(path) == [f"{expected} (put the secret there and chmod 600 it)"]
    assert errors(path) == []
    with pytest.raises(ConfigError, match=r"keys\[0\]\.file: secrets/key cannot be read"):
        load(path, {})


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_secret_file_open_to_others(folder: Path, mode: int) -> None:
    """A secret open to others is a warning for the check and an error for the gateway (T75)."""
    path = write(folder)
    (folder / "secrets/smtp").chmod(mode)
    assert warnings(path) == ["smtp.password_file: secrets/smtp is open to others (chmod 600)"]
    with pytest.raises(ConfigError, match="is open to others"):
        load(path, {})


@pytest.mark.parametrize("contents", [b"", b" \n", b"x" * 70_000], ids=["empty", "blank", "huge"])
def test_files_that_hold_no_secret(folder: Path, contents: bytes) -> None:
    """An empty or huge file is not taken for a secret."""
    put_secret(folder / "secrets/smtp", contents)
    with pytest.raises(ConfigError, match=r"smtp\.password_file: secrets/smtp holds no secret"):
        load(write(folder), {})


def test_directory_as_secret(folder: Path) -> None:
    """A directory is not taken for a secret."""
    with pytest.raises(ConfigError, match=r"smtp\.password_file: secrets holds no secret"):
        load(write(folder, changed('"secrets/smtp"', '"secrets"')), {})


def test_short_key_file(folder: Path) -> None:
    """A signing key shorter than 32 bytes is refused, wherever it stands."""
    put_secret(folder / "secrets/key", b"x" * 31 + b"\n")
    assert errors(write(folder)) == ["keys[0].file: is too short with 31 bytes, 32 are needed"]


def test_secret_in_the_configuration(folder: Path) -> None:
    """A secret that stands in the file itself works, with a warning."""
    path = write(folder, changed('password_file = "secrets/smtp"', 'password = "x"'))
    assert warnings(path) == [
        "smtp.password: stands in the file itself (better in a file that password_file names)"
    ]
    assert load(path, {}).smtp.password is not None


PLANTED = [
    ('password_file = "secrets/smtp"', f'password = "{CANARY}"'),
    ('password_file = "secrets/smtp"', f'password = ["{CANARY}"]'),
    ('password_file = "secrets/smtp"', f'passwrod = "{CANARY}"'),
    ('file = "secrets/key"', f'secret = "{CANARY}"'),
    ('file = "secrets/key"', f'secret = {{ is = "{CANARY}" }}'),
    ('file = "secrets/token"', f'secret = "{CANARY}"'),
    ('"offline"', f'"openai"\nmodel = "m"\napi_key = "{CANARY}"'),
    ('"2h"', f'"2h"\n[[actions.api_call.allow]]\nname = "crm"\nsecret = "{CANARY}"'),
    ('"https://gateway.example.com"', f'"https://me:{CANARY}@gateway.example.com"'),
]


@pytest.mark.parametrize("fault", ["", "[nonsense]\n"], ids=["alone", "with a fault"])
@pytest.mark.parametrize(("old", "new"), PLANTED)
def test_secrets_are_never_shown(folder: Path, old: str, new: str, fault: str) -> None:
    """Neither problems nor tracebacks nor the printed configuration repeat a secret (T62)."""
    path = write(folder, fault + changed(old, new))
    try:
        shown = repr(load(path, {}))
    except ConfigError as error:
        shown = "".join(traceback.format_exception(error)) + repr(error.problems)
    assert CANARY not in shown + repr(check(path, {}))


# --- what is generated -----------------------------------------------------------------------------------


def test_sample_is_sound(tmp_path: Path) -> None:
    """The shipped sample passes the check; all that is missing are its secret files."""
    problems = check(write(tmp_path, sample()), {})
    assert all(problem.warning for problem in problems)
    assert [problem.key for problem in problems] == [
        "smtp.password_file",
        "imap.password_file",
        "http.tokens[0].file",
        "keys[0].file",
    ]


@pytest.mark.parametrize(
    ("settings", "received"),
    [
        ('authserv_id = "MX.Example.com."', 1),
        ('authserv_id = "*.example.com"\nauthserv_received = 2', 2),
        ('authserv = "microsoft365"', 3),
        ('authserv = "microsoft365"\nauthserv_received = 4', 4),
    ],
)
def test_whose_word_is_taken(folder: Path, settings: str, received: int) -> None:
    """T43: a mail server is named, or expressly the one without name; Received lines default by its kind."""
    mail = load(write(folder, changed('authserv_id = "mx.example.com"', settings)), {}).mail
    assert mail.authserv_received == received
    assert mail.sender_auth == "dmarc"
    assert mail.authserv_id in {"mx.example.com", "*.example.com", None}


def test_believing_from_is_warned_about(folder: Path) -> None:
    """T10: `address` runs, and the check says what it means."""
    path = write(folder, changed('authserv_id = "mx.example.com"', 'sender_auth = "address"'))
    assert load(path, {}).mail.sender_auth == "address"
    (warning,) = warnings(path)
    assert warning.startswith("mail.sender_auth: believes every From line, and anybody can forge one")


def test_sample_shows_every_key_at_its_default(tmp_path: Path) -> None:
    """Taking defaults and optional tables out of their comments leaves it sound, and no key is left out."""
    lines = sample().splitlines()
    opened = [line[1:] if re.match(r"#[a-z\[]", line) and "..." not in line else line for line in lines]
    assert errors(write(tmp_path, "\n".join(opened))) == []
    settings = (re.match(r"#?(\w+) = ", line) for line in lines)
    shown = [found[1] for found in settings if found]
    assert shown == [key.rpartition(".")[2] for key in plain_keys()]


def test_schema_is_for_the_file() -> None:
    """The JSON Schema speaks of keys and values as the file has them, and demands what the check demands."""
    made: dict[str, Any] = json.loads(json.dumps(schema()))
    assert set(made["properties"]) == set(tomllib.loads(GOOD)) | {"store", "graphs", "actions"}
    assert set(made["required"]) == {"gateway", "smtp", "imap", "mail", "keys", "planner", "reviewers"}
    assert made["$defs"]["HighRule"]["properties"]["expires"]["default"] == "1d"
    assert "from" in made["$defs"]["Smtp"]["required"]


def test_generated_files_are_unchanged() -> None:
    """The sample, the manual and the picture of the states are what the code would write."""
    done = subprocess.run(
        [sys.executable, "-m", "docs.generate", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_import_is_light() -> None:
    """Reading the configuration loads neither the web framework, nor the graph engine, nor the log."""
    heavy = "{'structlog', 'fastapi', 'langgraph', 'langchain_core', 'aiosmtplib', 'aioimaplib'}"
    code = f"import sys, gateway.config; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
