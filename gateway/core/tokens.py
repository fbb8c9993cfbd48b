"""Sign and read the handles in reply addresses and links.

A handle is 42 characters of lower-case base32: an 80-bit random jti and the first 128 bits of an HMAC-SHA256.
The jti finds the row that says what the handle is for; the MAC covers all of it, so a row cannot be changed
or guessed. Expiry and use are the store's business, not the token's.
"""

import base64
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256

from itsdangerous import Signer

JTI_BYTES = 10
_MAC_BYTES = 16
LENGTH = 42
PATTERN = re.compile(rf"[a-z2-7]{{{LENGTH}}}", re.IGNORECASE)
"""Finds a handle in text; what it finds still has to be read and verified."""


class Purpose(StrEnum):
    """What a handle may be used for; each signs with a salt of its own."""

    REPLY = "reply"
    LINK = "link"


class TokenError(ValueError):
    """The handle is no good; strangers are told nothing more."""


class MalformedTokenError(TokenError):
    """Not a handle: cut off, wrapped, or something else altogether."""


class ForgedTokenError(TokenError):
    """Well-formed, but not signed by us for this use."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What a handle stands for; looked up by its jti."""

    purpose: Purpose
    approval: str
    reviewer: str
    digest: str


class ReplacedTokenError(TokenError):
    """Signed by us for this use, and since replaced by another; `claim` is what it stood for."""

    def __init__(self, claim: Claim) -> None:
        super().__init__("this token was replaced by another")
        self.claim = claim


@dataclass(frozen=True, slots=True)
class Handle:
    """A handle taken apart, not yet verified."""

    jti: bytes
    mac: bytes


class Signatory:
    """Signs with the newest of `keys` (oldest first) and verifies with any of them."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        if not keys:
            raise ValueError("at least one key is needed")
        self._keys = [{purpose: _signer(key, purpose) for purpose in Purpose} for key in keys]

    def sign(self, jti: bytes, claim: Claim) -> str:
        """Make the handle for `claim` out of `jti`, which must be `JTI_BYTES` fresh random bytes."""
        return _encode(jti + _mac(self._keys[-1][claim.purpose], jti, claim))

    def verify(self, handle: Handle, claim: Claim) -> None:
        """Check that we signed `handle` for exactly `claim`.

        Raises:
            ForgedTokenError: no key of ours made it for this claim.
        """
        good = [
            hmac.compare_digest(handle.mac, _mac(key[claim.purpose], handle.jti, claim)) for key in self._keys
        ]
        if not any(good):
            raise ForgedTokenError("this token was not signed for this use")


def read(text: str) -> Handle:
    """Take a handle apart.

    Raises:
        MalformedTokenError: wrong length or alphabet, or not the one spelling of its bytes.
    """
    if not PATTERN.fullmatch(text):
        raise MalformedTokenError("not a token")
    raw = base64.b32decode(text.upper() + "=" * (-len(text) % 8))
    if _encode(raw) != text.lower():
        raise MalformedTokenError("not the canonical spelling of a token")
    return Handle(raw[:JTI_BYTES], raw[JTI_BYTES:])


def _encode(raw: bytes) -> str:
    return base64.b32encode(raw).decode().rstrip("=").lower()


def _signer(key: bytes, purpose: Purpose) -> tuple[Signer, bytes]:
    signer = Signer(key, salt=f"gateway.{purpose}", key_derivation="hmac", digest_method=sha256)
    return signer, signer.derive_key()


def _mac(signer: tuple[Signer, bytes], jti: bytes, claim: Claim) -> bytes:
    """Length-prefix each part, so that no two claims read the same."""
    parts = (
        b"v1",
        claim.purpose.encode(),
        jti,
        claim.approval.encode(),
        claim.reviewer.encode(),
        claim.digest.encode(),
    )
    message = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    algorithm, key = signer[0].algorithm, signer[1]
    return algorithm.get_signature(key, message)[:_MAC_BYTES]
