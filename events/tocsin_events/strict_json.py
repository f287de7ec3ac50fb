"""JSON from outside, read strictly: what two readers could understand differently is refused."""

import json
from typing import Any

import msgspec


class InvalidJson(ValueError):  # noqa: N818 - it names what was found
    """Bytes that are not the JSON they should be; the message says why."""


def read_json(body: bytes) -> Any:
    """Return the value of a JSON text.

    Raises:
        InvalidJson: it is not UTF-8, not JSON (NaN and Infinity are none, a lone surrogate is none), has a key twice in
            one object, or is nested too deeply.

    """
    try:
        value = msgspec.json.decode(body)
        # What comes out again as it came in has nothing in it that is gone from the value.
        if b"{" in body and not _comes_out_again(value, body):
            _look_for_doubles(body.decode())
    except UnicodeDecodeError as problem:
        raise InvalidJson(f"it is not UTF-8 (byte {problem.start})") from problem
    except RecursionError as problem:
        raise InvalidJson("it is nested too deeply") from problem
    except msgspec.MsgspecError as problem:
        raise InvalidJson(f"it is no JSON: {problem}") from problem
    return value


def _comes_out_again(value: Any, body: bytes) -> bool:
    try:
        return msgspec.json.encode(value) == body
    except (ValueError, OverflowError, TypeError, RecursionError):
        return False


def _unique(pairs: list[tuple[str, Any]]) -> None:
    if len(dict(pairs)) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidJson(f"the key {twice[:100]!r} stands twice in one object")


_look_for_doubles = json.JSONDecoder(object_pairs_hook=_unique).decode


def write_json(value: Any) -> bytes:
    """Return a JSON text in UTF-8, without needless blanks.

    Raises:
        ValueError: the value has no form in JSON.

    """
    try:
        return msgspec.json.encode(value)
    except (OverflowError, TypeError, ValueError, RecursionError):
        # Whole numbers beyond 64 bits, which JSON allows; and clearer errors for all else.
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode()
