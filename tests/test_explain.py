"""What a mail would be understood as: the command that shows it, with and without an installation."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gateway.cli import Exit, app
from gateway.core.tokens import Purpose
from office import open_office
from test_cli import CONFIG

REPLIES = Path(__file__).parent / "replies"
LETTERS = Path(__file__).parent / "letters"
FRAME = """\
From: Dana <dana@example.com>
To: approvals+{handle}@example.com
Subject: Re: Approve?
Content-Type: text/plain; charset=utf-8

{text}
"""


def mail(place: Path, text: str, *headers: str, handle: str = "a" * 42) -> Path:
    file = place / "reply.eml"
    file.write_text("\n".join((*headers, FRAME.format(text=text, handle=handle))), "utf-8")
    return file


def explain(*arguments: str | Path, code: Exit = Exit.DONE) -> str:
    result = CliRunner().invoke(app, ["explain", *map(str, arguments)])
    assert result.exit_code == code, result.output
    return result.stdout


def told(*arguments: str | Path) -> dict[str, Any]:
    (line,) = explain(*arguments, "--json").splitlines()
    loaded: dict[str, Any] = json.loads(line)
    return loaded


def test_one_object_a_mail_one_a_line_in_their_order() -> None:
    """Machines read a whole corpus from one process."""
    files = sorted(REPLIES.glob("0*.eml"))
    lines = [json.loads(line) for line in explain(*files, "--json").splitlines()]
    assert [line["file"] for line in lines] == [str(file) for file in files]
    for line in lines:
        assert {"verdict", "reason", "line", "comment", "edits", "auto", "sender", "token"} <= line.keys()
        assert line["sender"].keys() == {"address", "authenticated", "why"}
        assert line["token"].keys() == {"present", "valid", "approval"}


def test_an_answer_to_several_actions_is_explained_item_by_item(tmp_path: Path) -> None:
    """The letter tells how many there are; without it, numbers mean nothing."""
    file = mail(tmp_path, "1 approve\n2 reject too expensive")
    explained = told(file, "--request", LETTERS / "ask-several.eml")
    assert (explained["verdict"], explained["reason"]) == ("each", "clear")
    assert explained["items"] == [
        {"item": 1, "said": "approve", "comment": None},
        {"item": 2, "said": "reject", "comment": "too expensive"},
    ]
    text = explain(file, "--request", LETTERS / "ask-several.eml")
    assert "item:      2 reject: too expensive" in text
    assert told(file)["verdict"] == "unclear"


def test_the_contract_by_example(tmp_path: Path) -> None:
    """Every key of the contract, for a mail that nothing is known of."""
    file = mail(tmp_path, "APPROVE\n\nLooks good.")
    assert told(file) == {
        "file": str(file),
        "verdict": "approve",
        "reason": "clear",
        "line": "APPROVE",
        "comment": "Looks good.",
        "edits": {},
        "problems": [],
        "auto": False,
        "sender": {"address": "dana@example.com", "authenticated": False, "why": "not-checked"},
        "token": {"present": True, "valid": False, "approval": None},
    }


def test_people_get_lines(tmp_path: Path) -> None:
    """The same in words, with everything hidden made visible."""
    shown = explain(mail(tmp_path, "MODIFY\nsubject: Q1\u202e\n"), "--field", "subject=x")
    assert "modify (clear)" in shown
    assert "read from: MODIFY" in shown
    assert "⟦U+202E⟧" in shown or "u202e" in shown
    assert "not authenticated: not-checked" in shown


@pytest.mark.parametrize(
    ("field", "typed", "value"),
    [
        ("amount=12400", "1000", 1000),
        ("amount=12.5", "7.25", 7.25),
        ("urgent=false", "true", True),
        ('due="2026-03-31"', "2026-04-15", "2026-04-15"),
        ("due=2026-03-31", "1000", "1000"),
        ('to=["a@example.com"]', "b@example.com, c@example.com", ["b@example.com", "c@example.com"]),
        ('rule={"a": 1}', '{"a": [2]}', {"a": [2]}),
        ("until=null", "null", None),
    ],
)
def test_a_field_keeps_its_type(tmp_path: Path, field: str, typed: str, value: Any) -> None:
    """--field gives name, type and present value; what was typed becomes a value of that type."""
    name = field.partition("=")[0]
    assert told(mail(tmp_path, f"MODIFY\n{name}: {typed}"), "--field", field)["edits"] == {name: value}


def test_without_fields_any_may_be_changed(tmp_path: Path) -> None:
    """Nothing is known, so that nothing is refused, and values are what was typed."""
    text = "MODIFY\namount: 1000\ndue: 2026-04-15\nPhone: 123"
    assert told(mail(tmp_path, text))["edits"] == {"amount": "1000", "due": "2026-04-15"}


def test_a_letter_of_ours_says_what_may_be_changed(tmp_path: Path) -> None:
    """--request: the fields that the letter names, lists as lists, and nothing else."""
    file = mail(tmp_path, "MODIFY\nto: b@example.com\nfrom: c@example.com")
    known = told(file, "--request", LETTERS / "ask.eml")
    assert known["problems"] == ["from cannot be changed; you can change to, cc, subject, body"]
    assert told(mail(tmp_path, "MODIFY\nto: b@example.com"), "--request", LETTERS / "ask.eml")["edits"] == {
        "to": ["b@example.com"]
    }


def test_a_letter_that_names_no_fields_shows_them(tmp_path: Path) -> None:
    """Somebody else's request has labels and values, which are taken for what they look like."""
    request = tmp_path / "sent.eml"
    request.write_text(
        "Subject: AR-2041\n\nVendor: Northwind Ltd\nAmount: 12400\nDue: end of March\n", "utf-8"
    )
    assert told(mail(tmp_path, "MODIFY\namount: 1000"), "--request", request)["edits"] == {"amount": 1000}
    assert told(mail(tmp_path, "MODIFY\nprice: 1000"), "--request", request)["reason"] == "unknown-field"


def test_the_reviewers_language_is_named(tmp_path: Path) -> None:
    """Other languages' verbs count for who speaks them."""
    file = mail(tmp_path, "Genehmigt, danke")
    assert told(file)["verdict"] == "unclear"
    assert told(file, "--language", "de")["verdict"] == "approve"


def test_who_wrote_it_is_seen_apart_from_what_it_says(tmp_path: Path) -> None:
    """T10: the words stay what they are; whether they count is for the sender to show."""
    stamp = "Authentication-Results: mx.example.com; dmarc=pass header.from=example.com"
    file = mail(tmp_path, "APPROVE", stamp)
    authserv = ("--authserv-id", "mx.example.com")
    assert told(file, *authserv)["sender"]["authenticated"] is True
    assert told(file, *authserv)["sender"]["why"] == "dmarc"
    assert told(file, "--authserv-id", "mx.example.org")["sender"]["why"] == "foreign"
    stranger = told(file, *authserv, "--reviewer", "alice@example.com")
    assert (stranger["verdict"], stranger["sender"]["authenticated"]) == ("approve", False)
    assert stranger["sender"]["why"] == "wrong-sender"
    assert told(file, *authserv, "--reviewer", "Dana@Example.com")["sender"]["authenticated"] is True


async def test_an_installation_knows_its_tokens_and_people(tmp_path: Path) -> None:
    """With --config the token says which question and which reviewer; nothing is written."""
    (tmp_path / "config.toml").write_text(CONFIG, "utf-8")
    for name in ("secret", "key"):
        (tmp_path / name).touch(mode=0o600)
        (tmp_path / name).write_text("k" * 32, "utf-8")
    async with open_office(tmp_path / "data" / "gateway.sqlite3") as office:
        approval = await office.asked()
        handle = await office.handle(approval, Purpose.REPLY)
        link = await office.handle(approval, Purpose.LINK)
    before = (tmp_path / "data" / "gateway.sqlite3").read_bytes()
    stamp = "Authentication-Results: mx.example.com; dmarc=pass header.from=example.com"
    installed = ("--config", tmp_path / "config.toml")
    good = mail(tmp_path, "MODIFY\nfrom: x@example.com", stamp, handle=handle)
    good.write_text(good.read_text("utf-8").replace("dana@", "alice@"), "utf-8")
    known = told(good, *installed)
    assert known["token"] == {"present": True, "valid": True, "approval": approval.id}
    assert known["sender"] == {"address": "alice@example.com", "authenticated": True, "why": "dmarc"}
    assert known["problems"] == ["from cannot be changed; you can change to, cc, subject, body"]
    stranger = told(mail(tmp_path, "APPROVE", stamp, handle=handle), *installed)
    assert (stranger["token"]["valid"], stranger["sender"]["why"]) == (True, "wrong-sender")
    assert told(mail(tmp_path, "APPROVE", stamp, handle=link), *installed)["token"]["valid"] is False
    assert (tmp_path / "data" / "gateway.sqlite3").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["nowhere.eml"], Exit.NOT_FOUND),
        (["."], Exit.NOT_FOUND),
        (["--field", "amount", "x.eml"], Exit.USAGE),
        (["--language", "xx", "x.eml"], Exit.USAGE),
        (["--request", "nowhere.eml", "x.eml"], Exit.NOT_FOUND),
        (["--config", "nowhere.toml", "x.eml"], Exit.BAD_CONFIG),
        ([], Exit.USAGE),
    ],
)
def test_what_cannot_be_explained_is_said(arguments: list[str], code: Exit) -> None:
    """Each wrong word has its exit code."""
    explain(*arguments, code=code)


def test_a_missing_file_does_not_stop_the_others(tmp_path: Path) -> None:
    """A corpus with a hole is explained around it, and the exit code says so."""
    file = mail(tmp_path, "APPROVE")
    lines = explain(tmp_path / "missing.eml", file, "--json", code=Exit.NOT_FOUND).splitlines()
    assert [json.loads(line)["verdict"] for line in lines] == ["approve"]


@pytest.mark.parametrize("octets", [b"", b"\xff\xfe\x00", b"x" * 3_000_000, b"From: a\r\n" * 100_000])
def test_whatever_the_file_holds_is_explained(tmp_path: Path, octets: bytes) -> None:
    """T72: rubbish is unclear or ignored, and never an error."""
    file = tmp_path / "rubbish.eml"
    file.write_bytes(octets)
    assert told(file)["verdict"] in {"unclear", "ignored", "respond"}
