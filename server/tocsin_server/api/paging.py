"""Pages: a list and the cursor of the next one."""

import base64
import binascii
import json
from typing import Any

from pydantic import BaseModel

from tocsin_server.api.problem import Problem


class Page(BaseModel):
    """One page of a list; ``next`` asks for the one after it (``?cursor=``), null at the end."""

    items: list[dict[str, Any]]
    next: str | None = None


def to_cursor(place: Any) -> str:
    """Return a place in a list (JSON) as an opaque text."""
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode().rstrip("=")


def from_cursor(cursor: str | None) -> Any:
    """Return the place that a cursor stands for, None without one.

    Raises:
        Problem: 400 for a text that is no cursor of ours.

    """
    if cursor is None:
        return None
    try:
        return json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, binascii.Error):
        raise Problem(400, "The cursor is not one that this server gave.") from None
