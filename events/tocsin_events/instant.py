"""Instants: how every part of Tocsin counts time.

Inside the service an instant is an ``int`` of microseconds since 1970-01-01 UTC: exact, cheap to compare,
and the same on every machine. Datetimes (always aware, always UTC) appear only at the edges.
"""

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SECOND = 1_000_000
"""One second in microseconds."""

_NAIVE_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - for writing: UTC is said by the Z
_MICROSECOND = timedelta(microseconds=1)


def to_micros(moment: datetime) -> int:
    """Return an aware datetime as microseconds since the epoch."""
    return (moment - EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """Return microseconds since the epoch as an aware UTC datetime."""
    return EPOCH + timedelta(microseconds=micros)


def to_rfc3339(micros: int) -> str:
    """Return an instant as RFC 3339 in UTC, with as many decimals as it needs."""
    seconds, rest = divmod(micros, SECOND)
    return (_NAIVE_EPOCH + timedelta(0, seconds, rest)).isoformat() + "Z"


def in_utc(text: str) -> str:
    """Return an RFC 3339 text as `to_rfc3339` writes its instant; otherwise as `parse_rfc3339`."""
    if not text.endswith("Z"):
        return to_rfc3339(parse_rfc3339(text))
    return datetime.fromisoformat(text).replace(tzinfo=None).isoformat() + "Z"


def parse_rfc3339(text: str) -> int:
    """Return the instant that an RFC 3339 text names.

    Raises:
        ValueError: the text is not RFC 3339, or has no offset.

    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no offset: add Z for UTC, or +01:00")
    return to_micros(moment)
