"""Ids: new ones, and derived ones that come out the same whenever the same thing is made twice."""

import os
import time
from hashlib import sha1, sha256
from typing import Final
from urllib.parse import quote
from uuid import NAMESPACE_URL

import msgspec

_SAFE: Final = "/:@!$&'()*+,;=-._~#?"
_NAMESPACE: Final = NAMESPACE_URL.bytes
_VARIANTS: Final = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}

_LONGEST_KEY: Final = 800
"""The longest text in an index, in bytes: PostgreSQL takes 2,700 for all columns of an index together."""

_encode = msgspec.json.Encoder().encode


def message_key(source: str, id_: str) -> str:
    """Return the bus's message id of an event: its source and id, unambiguous and safe in a header."""
    return f"{_header_safe(source)} {_header_safe(id_)}"


def derived_id(*parts: object) -> str:
    """Return the id (UUIDv5, RFC 9562) that the same JSON values always give: what is made twice is kept once."""
    return _uuid(sha1(_NAMESPACE + _encode(["tocsin", *parts]), usedforsecurity=False).hexdigest(), 5)


def new_id() -> str:
    """Return a new UUIDv7 (RFC 9562): unique, and sorted by the millisecond it was made in."""
    return _uuid(f"{time.time_ns() // 1_000_000:012x}{os.urandom(10).hex()}", 7)


def indexed(text: str) -> str:
    """Return a text as it stands in an index: a very long one by its beginning and its digest.

    Also without NUL, which PostgreSQL does not take. Searches must ask for the same form.
    """
    if len(text) <= _LONGEST_KEY // 4 or len(text.encode()) <= _LONGEST_KEY:
        return text.replace("\0", "\N{REPLACEMENT CHARACTER}") if "\0" in text else text
    return f"{indexed(text[:100])}…{sha256(text.encode()).hexdigest()}"


def _uuid(digits: str, version: int) -> str:
    """Return the first 32 hexadecimal digits as a UUID; the version and the variant take the place of six bits."""
    variant = _VARIANTS[digits[16]]
    return f"{digits[:8]}-{digits[8:12]}-{version}{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:32]}"


def _header_safe(text: str) -> str:
    if text.isascii() and text.isprintable() and " " not in text and "%" not in text:
        return text
    return quote(text, safe=_SAFE)
