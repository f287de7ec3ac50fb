"""Ids: new ones, and derived ones that come out the same whenever the same thing is made twice."""

import os
import time
from hashlib import sha1
from typing import Final
from urllib.parse import quote
from uuid import NAMESPACE_URL

import msgspec

_SAFE: Final = "/:@!$&'()*+,;=-._~#?"
_NAMESPACE: Final = NAMESPACE_URL.bytes

_encode = msgspec.json.Encoder().encode


def message_key(source: str, id_: str) -> str:
    """Return the bus's message id of an event: its source and id, unambiguous and safe in a header."""
    return f"{_header_safe(source)} {_header_safe(id_)}"


def derived_id(*parts: object) -> str:
    """Return the id (UUIDv5, RFC 9562) that the same JSON values always give: what is made twice is kept once."""
    digest = sha1(_NAMESPACE + _encode(["tocsin", *parts]), usedforsecurity=False).digest()[:16]
    return _uuid(int.from_bytes(digest, "big"), 5)


def new_id() -> str:
    """Return a new UUIDv7 (RFC 9562): unique, and sorted by the millisecond it was made in."""
    return _uuid((time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10), "big"), 7)


def _uuid(value: int, version: int) -> str:
    value = value & ~(0xF << 76) | version << 76
    value = value & ~(0x3 << 62) | 2 << 62
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _header_safe(text: str) -> str:
    if text.isascii() and text.isprintable() and " " not in text and "%" not in text:
        return text
    return quote(text, safe=_SAFE)
