"""Turning any value into one that has a JSON form, for events: what has none becomes its text."""

import dataclasses
import math
from collections.abc import Mapping, Set
from datetime import date, datetime, time, timedelta
from enum import Enum
from pathlib import PurePath
from typing import Any
from uuid import UUID

_DEEPEST = 50
_LONGEST_TEXT = 10_000


def plain(value: Any, depth: int = 0) -> Any:
    """Return a value as JSON can have it; what JSON has no form for becomes its (shortened) repr."""
    if depth > _DEEPEST:
        return "…"
    match value:
        case None | bool():
            return value
        case str():
            return _text(value)
        case Enum():
            return plain(value.value, depth + 1)
        case int():
            return value if -(2**63) <= value < 2**64 else str(value)
        case float():
            return value if math.isfinite(value) else str(value)
        case datetime() | date() | time():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case UUID() | PurePath():
            return _text(str(value))
        case Mapping():
            return {_text(str(key)): plain(item, depth + 1) for key, item in value.items()}
        case list() | tuple() | Set():
            return [plain(item, depth + 1) for item in value]
    return _object(value, depth)


def _object(value: Any, depth: int) -> Any:
    dump = getattr(value, "model_dump", None)
    if callable(dump) and not isinstance(value, type):
        return plain(dump(mode="json"), depth + 1)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: plain(getattr(value, field.name), depth + 1)
            for field in dataclasses.fields(value)
            if field.repr
        }
    try:
        text = repr(value)
    except Exception as problem:  # noqa: BLE001 - a repr of the user's must not cost an event
        text = f"<{type(value).__name__}, whose repr raises {type(problem).__name__}>"
    return _text(text if len(text) <= _LONGEST_TEXT else text[:_LONGEST_TEXT] + "…")


def _text(text: str) -> str:
    # A file name that is no UTF-8 has lone surrogates, which JSON can't carry.
    return text if text.isascii() else text.encode(errors="replace").decode()
