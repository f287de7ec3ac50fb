"""Pages: a list and the cursor of the next one."""

import base64
import json
from typing import Annotated, Any, Final, TypeVar

import msgspec
from pydantic import BaseModel

from tocsin_server.api.problem import Problem

LARGEST: Final = 2**63 - 1
"""The largest number that a database or a bus can be asked for."""

Place = tuple[int, str]
"""Where a list goes on: an instant in microseconds, and the id of what is last there."""

_Number = Annotated[int, msgspec.Meta(ge=-LARGEST, le=LARGEST)]
_Place = TypeVar("_Place")
_NUMBER: Final = msgspec.json.Decoder(_Number)
_PLACE: Final = msgspec.json.Decoder(tuple[_Number, str])


class Page(BaseModel):
    """One page of a list; ``next`` asks for the one after it (``?cursor=``), null at the end."""

    items: list[dict[str, Any]]
    next: str | None = None


def to_cursor(place: int | Place) -> str:
    """Return a place in a list as an opaque text."""
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode().rstrip("=")


def number_in(cursor: str | None) -> int | None:
    """Return the number that a cursor stands for, None without one.

    Raises:
        Problem: 400 for a text that is no cursor of ours.

    """
    return None if cursor is None else _read(cursor, _NUMBER)


def place_in(cursor: str | None) -> Place | None:
    """Return the instant and the id that a cursor stands for, None without one.

    Raises:
        Problem: 400 for a text that is no cursor of ours.

    """
    return None if cursor is None else _read(cursor, _PLACE)


def _read(cursor: str, decoder: msgspec.json.Decoder[_Place]) -> _Place:
    try:
        return decoder.decode(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, msgspec.MsgspecError):
        raise Problem(400, "The cursor is not one that this server gave.") from None
