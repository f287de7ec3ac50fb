"""Instants in answers: RFC 3339 in UTC."""

from collections.abc import Mapping
from typing import Any, Final

from tocsin_events.instant import to_rfc3339

_INSTANTS: Final = frozenset(
    {
        "at", "acknowledged_at", "created", "created_at", "expires_at", "opened_at", "received", "resolved_at",
        "revoked_at", "time", "updated", "updated_at",
    }
)  # fmt: skip


def with_times(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row whose instants (microseconds) are RFC 3339 texts."""
    return {
        name: to_rfc3339(value) if name in _INSTANTS and isinstance(value, int) else value
        for name, value in row.items()
    }
