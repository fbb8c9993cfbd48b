"""Handles: nobody else can make one, and one is good for nothing but what it was made for."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.tokens import (
    JTI_BYTES,
    LENGTH,
    Claim,
    ForgedTokenError,
    MalformedTokenError,
    Purpose,
    Signatory,
    TokenError,
    read,
)

OLD, NEW = b"o" * 32, b"n" * 32
CLAIM = Claim(Purpose.REPLY, "7Q2M4KXP", "alice@example.com", "d" * 64)
JTI = bytes(range(JTI_BYTES))


def accepted(text: str, claim: Claim = CLAIM, keys: tuple[bytes, ...] = (NEW,)) -> bool:
    try:
        Signatory(keys).verify(read(text), claim)
    except TokenError:
        return False
    return True


def test_a_handle_fits_into_a_local_part_and_is_good_in_any_case() -> None:
    """42 characters that survive mail programs which change case."""
    handle = Signatory([NEW]).sign(JTI, CLAIM)
    assert len(handle) == LENGTH
    assert len(f"approvals+{handle}") <= 64
    assert accepted(handle)
    assert accepted(handle.upper())


@given(st.integers(0, LENGTH - 1), st.sampled_from("abcdefghijklmnopqrstuvwxyz234567"))
def test_any_changed_character_is_refused(position: int, character: str) -> None:
    """T05, T80: also the last one, whose spare bits would otherwise allow a second spelling."""
    handle = Signatory([NEW]).sign(JTI, CLAIM)
    changed = handle[:position] + character + handle[position + 1 :]
    assert accepted(changed) == (changed == handle)


def test_a_handle_is_good_for_its_own_claim_only() -> None:
    """T06: over purposes, approvals, reviewers and digests only the diagonal is accepted."""
    claims = [
        Claim(purpose, approval, reviewer, digest)
        for purpose in Purpose
        for approval in ("A1", "B2")
        for reviewer in ("alice@example.com", "bob@example.com")
        for digest in ("d" * 64, "e" * 64)
    ]
    for made, used in itertools.product(claims, claims):
        assert accepted(Signatory([NEW]).sign(JTI, made), used) == (made == used)


def test_old_keys_verify_and_the_newest_signs() -> None:
    """T79: rotation keeps mails that are out; a retired key's handles are refused."""
    old = Signatory([OLD]).sign(JTI, CLAIM)
    assert accepted(old, keys=(OLD, NEW))
    assert not accepted(old, keys=(NEW,))
    assert Signatory([OLD, NEW]).sign(JTI, CLAIM) == Signatory([NEW]).sign(JTI, CLAIM)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "a" * 41,
        "a" * 43,
        "1" * 42,
        "a" * 41 + "=",
        "a" * 41 + "\n",
        "ä" * 42,
        "a" * 100_000,
        " " + "a" * 41,
    ],
)
def test_what_is_no_handle_is_malformed(text: str) -> None:
    """Cut off, padded, wrapped or foreign: one error, nothing raised besides."""
    with pytest.raises(MalformedTokenError):
        read(text)


def test_a_forged_handle_has_a_name_of_its_own() -> None:
    """The log can tell a forgery from a broken link; strangers are told neither."""
    with pytest.raises(ForgedTokenError):
        Signatory([NEW]).verify(read(Signatory([OLD]).sign(JTI, CLAIM)), CLAIM)
