"""What a plain address is, for everybody who asks."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.address import ADDRESS, is_address, is_domain, is_public_address

PLAIN = (
    "ada@example.com",
    "a@b.c",
    "Ada.Lovelace+work@Mail.Example.COM",
    "o'brien_r&d-x@example.com",
    "ada@xn--bcher-kva.example",
    "ada@1.example",
    "a" * 64 + "@example.com",
    "ada@" + "b" * 63 + ".example",
    "ada@" + "b." * 124 + "bc",
)
NOT_PLAIN = (
    "",
    "ada",
    "@example.com",
    "ada@",
    "ada@@example.com",
    "ada@eve@example.com",
    "ada@example.com,eve@example.net",
    "Ada <ada@example.com>",
    "<ada@example.com>",
    "ada@example.com (Ada)",
    "ada@example.com\n",
    " ada@example.com",
    "ada@exam\tple.com",
    "ada\x00@example.com",
    '"ada"@example.com',
    "ada@[127.0.0.1]",
    "ada..l@example.com",
    ".ada@example.com",
    "ada.@example.com",
    "ada@example.com.",
    "ada@.example.com",
    "ada@example..com",
    "ada@-example.com",
    "ada@example-.com",
    "ada@ex_ample.com",
    "ada@ex\u0430mple.com",
    "\u00e4da@example.com",
    "ada@example.\u0663",
    "=?utf-8?q?eve=40example=2Enet?=@example.com",
    "a" * 65 + "@example.com",
    "ada@" + "b" * 64 + ".example",
    "ada@" + "b." * 125 + "b",
)
NAMES = st.from_regex(r"[a-z0-9.-]{1,8}", fullmatch=True)
NEARLY = st.lists(
    st.sampled_from(
        [*PLAIN, *"ada.-+@=?'\"\\,;:<>()[]\r\n\t \x00\x7f\x85\u00a0\u200b\u202e\uff20\uff0e", "=?"]
    )
    | NAMES,
    max_size=6,
).map("".join)
READ_APART = re.compile(r"[^\x21-\x7e]|[\"\\,;:<>()\[\]]")


@pytest.mark.parametrize("text", PLAIN)
def test_plain_address(text: str) -> None:
    """A dot-atom at a domain name with a dot is an address, up to the longest there can be."""
    assert is_address(text)
    assert is_public_address(text)


@pytest.mark.parametrize("text", NOT_PLAIN)
def test_everything_else_is_no_address(text: str) -> None:
    """T18: whatever else a mail program may take for an address is none."""
    assert not is_address(text)
    assert not is_public_address(text)


@pytest.mark.parametrize(
    "local",
    [
        "ada%eve.example",
        "eve.example!ada",
        "ada%example.com%eve.example",
        "SRS0=Xy=AB=eve.example=ada",
        "/var/mail/ada",
        "G=Ada/S=Lovelace",
        "|program",
        "-oQ",
        *(f"a{sign}b" for sign in "!#$%*/?=^`{|}~"),
    ],
)
def test_what_routes_is_no_public_address(local: str) -> None:
    """T18: the source routes, rewritings and pipes that RFC 5322 allows before the @ are no recipient's."""
    assert is_address(f"{local}@example.com")
    assert not is_public_address(f"{local}@example.com")


@pytest.mark.parametrize("text", ["root@localhost", "ada@mail"])
def test_single_name_is_a_domain_at_home_only(text: str) -> None:
    """A domain of one name means another machine in every network, so it is no address outside."""
    assert is_address(text)
    assert not is_public_address(text)


@given(NEARLY | st.text() | st.from_regex(ADDRESS, fullmatch=True))
def test_what_is_accepted_can_be_read_in_one_way(text: str) -> None:
    """T18: an accepted address has one @ and no white space, control, comment, quote or separator."""
    if not is_address(text):
        return
    assert text.count("@") == 1
    assert not READ_APART.search(text)
    assert "=?" not in text
    assert len(text) <= 254
    assert is_domain(text.partition("@")[2])


@given(NAMES)
def test_a_domain_is_what_an_address_can_have(name: str) -> None:
    """The same names are domains in the configuration and in addresses."""
    assert is_domain(name) == is_address(f"ada@{name}")


@pytest.mark.parametrize(
    ("name", "good"), [("b." * 126 + "b", True), ("b." * 126 + "bc", False), ("a.b\n", False), ("", False)]
)
def test_domain_has_an_end(name: str, good: bool) -> None:
    """A domain name ends after 253 characters, and nothing follows it."""
    assert is_domain(name) is good
