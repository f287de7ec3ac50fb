"""The words that automations are written with: durations, expressions, patterns, as pydantic types."""

from datetime import timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, WithJsonSchema

from tocsin_events.duration import format_duration, parse_duration
from tocsin_events.expression import compile_expression
from tocsin_events.instant import SECOND
from tocsin_events.pattern import check_pattern

_DURATION_SCHEMA = {
    "type": "string",
    "description": "A duration: 250ms, 30s, 10m, 1h30m, 2d, or ISO 8601 (PT10M).",
    "pattern": r"^((\d+(\.\d+)?(ms|s|m|h|d|w))+|P.+)$",
}


def _duration(value: Any) -> int:
    if isinstance(value, timedelta):
        return round(value.total_seconds() * SECOND)
    if isinstance(value, str):
        return parse_duration(value)
    if type(value) is int and value == 0:
        return 0
    raise ValueError(f"{value!r} is not a duration: write it with its unit, 30s or 10m")


def _positive(micros: int) -> int:
    if micros <= 0:
        raise ValueError("must be longer than 0s")
    return micros


def _expression(text: str) -> str:
    compile_expression(text)
    return text


def _patterns(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


def _checked(patterns: tuple[str, ...]) -> tuple[str, ...]:
    if not patterns:
        raise ValueError("name at least one event type")
    problems = [problem for problem in map(check_pattern, patterns) if problem is not None]
    if problems:
        raise ValueError("; ".join(problems))
    return patterns


def _several(value: Any) -> Any:
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else value


def _keys(value: Any) -> tuple[tuple[Any, ...], ...]:
    if not isinstance(value, list | tuple):
        raise ValueError("keys is a list of the values that are expected")  # noqa: TRY004 - pydantic's way to say so
    return tuple(tuple(one) if isinstance(one, list | tuple) else (one,) for one in value)


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as problem:
        raise ValueError(f"{name!r} is not an IANA time zone such as Europe/Berlin") from problem
    return name


Span = Annotated[
    int,
    BeforeValidator(_duration),
    PlainSerializer(format_duration, when_used="json"),
    WithJsonSchema(_DURATION_SCHEMA),
]
"""A duration that may be zero: written as text, microseconds inside."""

Duration = Annotated[Span, AfterValidator(_positive)]
"""A duration longer than zero."""

ExpressionText = Annotated[str, AfterValidator(_expression)]
"""A CEL expression, checked; its text is kept."""

Patterns = Annotated[
    tuple[str, ...],
    BeforeValidator(_patterns),
    AfterValidator(_checked),
    WithJsonSchema(
        {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}
    ),
]
"""One pattern of event types, or several."""

ForEach = Annotated[
    tuple[ExpressionText, ...],
    BeforeValidator(_several),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]
"""One CEL expression, or several: an independent state for each value."""

Keys = Annotated[
    tuple[tuple[Any, ...], ...],
    BeforeValidator(_keys),
    WithJsonSchema({"type": "array", "items": {}}),
]
"""The values of `for_each` that are expected from the start."""

ZoneName = Annotated[str, AfterValidator(_zone)]
"""An IANA time zone."""
