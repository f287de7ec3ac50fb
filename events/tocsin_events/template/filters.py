"""The filters and tests that templates have: Jinja's harmless ones, guarded forms of others, and some of our own."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from jinja2.exceptions import SecurityError
from jinja2.filters import FILTERS as JINJA_FILTERS
from jinja2.tests import TESTS as JINJA_TESTS

from tocsin_events.duration import format_duration
from tocsin_events.template.budget import MAX_TEXT

_MAX_WIDTH: Final = 1_000
_SECOND: Final = 1_000_000
_KINDS: Final = {
    bool: "a bool", int: "a number", float: "a number", str: "a text", list: "a list", tuple: "a list",
    dict: "a mapping", type(None): "null", datetime: "a time", timedelta: "a duration",
}  # fmt: skip


def kind(value: Any) -> str:
    """Return what sort of value it is, as messages say it."""
    return _KINDS.get(value.__class__) or str(value.__class__.__name__)


def text_of(value: Any) -> str:
    """Return a value as templates print it."""
    match value:
        case str():
            return value
        case None:
            return ""
        case datetime():
            return written_time(value)
        case timedelta():
            return duration(value)
        case bool() | list() | tuple() | dict():
            return as_json(value)
        case _:
            return str(value)


def written_time(value: datetime) -> str:
    """Return a time in RFC 3339."""
    return value.isoformat().replace("+00:00", "Z")


def as_json(value: Any) -> str:
    """``json``: the value as JSON."""
    return json.dumps(value, ensure_ascii=False, default=text_of)


def duration(value: Any) -> str:
    """``duration``: seconds (or a duration) as people write them, ``1h30m``."""
    if isinstance(value, timedelta):
        micros = value // timedelta(microseconds=1)
    elif isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e12:
        micros = round(value * _SECOND)
    else:
        raise TypeError(f"duration takes a number of seconds, not {kind(value)}")
    length, sign = abs(micros), "-" if micros < 0 else ""
    if length < _SECOND:
        return f"{sign}{round(length / 1000)}ms" if length else "0s"
    if length < 60 * _SECOND:
        return f"{sign}{round(length / _SECOND, 1):g}s"
    return sign + format_duration(round(length / _SECOND) * _SECOND)


def local(value: Any, zone: str = "UTC", pattern: str = "%Y-%m-%d %H:%M:%S %Z") -> str:
    """``local("Europe/Berlin")``: a time (or its RFC 3339 text) as a clock there shows it."""
    try:
        return strftime(moment(value).astimezone(ZoneInfo(zone)), pattern)
    except (LookupError, OSError) as problem:
        raise ValueError(
            f"{zone[:60]!r} is no time zone; write an IANA name such as Europe/Berlin"
        ) from problem


def strftime(value: Any, pattern: str = "%Y-%m-%d %H:%M:%S") -> str:
    """``strftime("%H:%M")``: a time by a pattern."""
    if len(pattern) > 100:
        raise ValueError("the pattern of a time has at most 100 characters")
    return moment(value).strftime(pattern)


def moment(value: Any) -> datetime:
    """Return a time, or the time that a text is.

    Raises:
        ValueError: it is neither.

    """
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError as problem:
            raise ValueError(f"{value[:60]!r} is no time; write it as 2026-03-01T06:00:00Z") from problem
    if not isinstance(value, datetime):
        raise TypeError(f"a time is wanted, not {kind(value)}")
    return value if value.tzinfo is not None else value.replace(tzinfo=UTC)


def truncate(value: Any, length: int = 255, end: str = "…") -> str:
    """``truncate(80)``: at most so many characters, the end included."""
    text = text_of(value)
    return text if len(text) <= length else text[: max(length - len(end), 0)] + end


def last_lines(value: Any, count: int = 10) -> str:
    """``last_lines(5)``: the end of a text."""
    lines = text_of(value).splitlines()
    return "\n".join(lines[-count:] if count > 0 else [])


def slack(value: Any) -> str:
    """``slack``: a text in which Slack sees no mention, link or mark-up."""
    return text_of(value).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def html(value: Any) -> str:
    """``html``: a text in which a browser sees no mark-up."""
    return slack(value).replace('"', "&quot;").replace("'", "&#39;")


def markdown(value: Any) -> str:
    """``markdown``: a text in which Markdown sees no mark-up."""
    return "".join("\\" + sign if sign in "\\`*_{}[]()<>#+-.!|~" else sign for sign in text_of(value))


def _replace(value: Any, old: str, new: str, count: int = -1) -> str:
    text, old, new = text_of(value), str(old), str(new)
    found = text.count(old) if count < 0 else min(text.count(old), count)
    _grown(len(text) + found * (len(new) - len(old)))
    return text.replace(old, new, count)


def _join(value: Any, between: str = "", attribute: str | None = None) -> str:
    if attribute is not None:
        value = [one.get(attribute, "") if isinstance(one, Mapping) else "" for one in value]
    texts = [text_of(one) for one in value]
    _grown(sum(map(len, texts)) + len(between) * len(texts))
    return between.join(texts)


def _center(value: Any, width: int = 80) -> str:
    return text_of(value).center(_width(width))


def _indent(value: Any, width: int = 4, first: bool = False) -> str:
    text, space = text_of(value), " " * _width(width)
    _grown(len(text) + text.count("\n") * len(space))
    return (space if first else "") + text.replace("\n", "\n" + space)


def _batch(value: Any, size: int, fill: Any = None) -> Any:
    return JINJA_FILTERS["batch"](value, _width(size), fill)


def _slice(value: Any, count: int, fill: Any = None) -> Any:
    return JINJA_FILTERS["slice"](value, _width(count), fill)


def _round(value: Any, precision: int = 0, method: str = "common") -> float:
    if abs(precision) > 15:
        raise ValueError("round takes a precision of at most 15")
    return JINJA_FILTERS["round"](value, precision, method)  # type: ignore[no-any-return]


def _sum(value: Any, attribute: str | None = None) -> Any:
    numbers = value if attribute is None else [one.get(attribute, 0) for one in value]
    if not all(isinstance(one, int | float) for one in numbers):
        raise TypeError("sum adds numbers")
    return sum(numbers)


def _split(value: Any, at: str | None = None, count: int = -1) -> list[str]:
    return text_of(value).split(at, count)


def _get(value: Any, key: Any, default: Any = None) -> Any:
    return _mapping(value).get(key, default)


def _mapping(value: Any) -> Mapping[Any, Any]:
    if not isinstance(value, Mapping):
        raise TypeError(f"a mapping is wanted, not {kind(value)}")
    return value


def _grown(length: int) -> None:
    if length > MAX_TEXT:
        raise SecurityError(
            f"the template makes a text of {length} characters; at most {MAX_TEXT} are allowed"
        )


def _width(width: int) -> int:
    if width > _MAX_WIDTH:
        raise SecurityError(f"a width or number is at most {_MAX_WIDTH}")
    return width


_OF_JINJA: Final = [
    "abs",
    "batch",
    "capitalize",
    "count",
    "d",
    "default",
    "dictsort",
    "filesizeformat",
    "first",
    "float",
    "groupby",
    "int",
    "last",
    "length",
    "list",
    "lower",
    "map",
    "max",
    "min",
    "reject",
    "rejectattr",
    "reverse",
    "select",
    "selectattr",
    "slice",
    "sort",
    "string",
    "title",
    "trim",
    "unique",
    "upper",
    "urlencode",
    "wordcount",
]

FILTERS: Final[dict[str, Callable[..., Any]]] = {
    **{name: JINJA_FILTERS[name] for name in _OF_JINJA},
    "batch": _batch,
    "center": _center,
    "duration": duration,
    "e": html,
    "endswith": lambda value, end: text_of(value).endswith(end),
    "escape": html,
    "get": _get,
    "html": html,
    "indent": _indent,
    "isoformat": lambda value: written_time(moment(value)),
    "items": lambda value: [list(pair) for pair in _mapping(value).items()],
    "join": _join,
    "json": as_json,
    "keys": lambda value: list(_mapping(value)),
    "last_lines": last_lines,
    "local": local,
    "markdown": markdown,
    "replace": _replace,
    "round": _round,
    "slack": slack,
    "slice": _slice,
    "split": _split,
    "startswith": lambda value, start: text_of(value).startswith(start),
    "strftime": strftime,
    "string": text_of,
    "sum": _sum,
    "tojson": as_json,
    "truncate": truncate,
    "values": lambda value: list(_mapping(value).values()),
}
"""Every filter by its name."""

_TESTS_OF_JINJA: Final = [
    "boolean",
    "defined",
    "divisibleby",
    "even",
    "false",
    "float",
    "in",
    "integer",
    "iterable",
    "lower",
    "mapping",
    "none",
    "number",
    "odd",
    "sequence",
    "string",
    "true",
    "undefined",
    "upper",
    "==",
    "!=",
    ">",
    ">=",
    "<",
    "<=",
    "eq",
    "equalto",
    "ne",
    "gt",
    "greaterthan",
    "ge",
    "lt",
    "lessthan",
    "le",
]

_JINJA_TESTS: Final[dict[str, Any]] = dict(JINJA_TESTS)

TESTS: Final[dict[str, Callable[..., Any]]] = {name: _JINJA_TESTS[name] for name in _TESTS_OF_JINJA}
"""Every test by its name."""
