import pytest

from gateway.core.action import Field, FieldType
from gateway.core.mailto import LENGTH, Form, link, prefilled
from letters.reading import opened

ADDRESS = "approvals+handle@example.com"
FIELDS = (
    Field("to", FieldType.STRINGS),
    Field("subject", FieldType.STRING),
    Field("body", FieldType.STRING),
)


def lines(**values: object) -> list[str]:
    return opened(prefilled(ADDRESS, "Re: x", Form("MODIFY", FIELDS, values))).lines


def test_a_link_is_encoded_for_every_mail_program() -> None:
    """Plus, space and line break are percent-encoded as RFC 6068 has them."""
    assert link(ADDRESS, "a b", ["APPROVE", "c&d"]) == (
        "mailto:approvals%2Bhandle@example.com?subject=a%20b&body=APPROVE%0D%0Ac%26d"
    )


def test_fields_are_prefilled() -> None:
    """The mail for an edit shows the values as they are, a text of several lines included."""
    shown = lines(to=["a@example.com", "b@example.com"], subject="Über uns", body="Hi,\n\nbye")
    assert shown == [
        "MODIFY",
        "",
        "to: a@example.com, b@example.com",
        "subject: Über uns",
        "body: Hi,",
        "",
        "bye",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "regards\n-- \nme",
        "> quoted",
        "see\nsubject: other",
        "spoof\u202ed",
        " indented",
        "final\n",
        "From: me",
        "",
        "long " * 20 + "line",
        "trailing \nspace",
    ],
)
def test_what_could_be_read_back_otherwise_is_left_out(text: str) -> None:
    """A value that a reply would change by itself is not prefilled."""
    assert lines(subject="kept", body=text) == ["MODIFY", "", "subject: kept"]


def test_an_ambiguous_list_is_left_out() -> None:
    """A list whose entries hold commas cannot be written in one line."""
    assert lines(to=['"Doe, J" <j@example.com>'], subject="kept") == ["MODIFY", "", "subject: kept"]


def test_a_long_value_makes_no_long_link() -> None:
    """The link stays short enough for every mail program, and other fields stay in it."""
    long = "\n".join(["ä" * 60] * 200)
    made = prefilled(ADDRESS, "Re: x", Form("MODIFY", FIELDS, {"subject": "kept", "body": long}))
    assert len(made) <= LENGTH
    assert opened(made).lines == ["MODIFY", "", "subject: kept"]
