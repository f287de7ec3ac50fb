"""Durations as people write them: ``250ms``, ``30s``, ``1h30m``, ``2d``, or ISO 8601's ``PT10M``."""

import re

from tocsin_events.instant import SECOND

_UNITS = {
    "ms": SECOND // 1000,
    "s": SECOND,
    "m": 60 * SECOND,
    "h": 3600 * SECOND,
    "d": 86_400 * SECOND,
    "w": 7 * 86_400 * SECOND,
}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)")
_WRITTEN = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h|d|w))+")
_ISO = re.compile(
    r"P(?:(?P<w>\d+)W)?(?:(?P<d>\d+)D)?(?:T(?:(?P<h>\d+)H)?(?:(?P<m>\d+)M)?(?:(?P<s>\d+(?:\.\d+)?)S)?)?"
)
_LONGEST = 3_660 * _UNITS["d"]


def parse_duration(text: str) -> int:
    """Return a duration in microseconds.

    Raises:
        ValueError: the text is no duration, or longer than ten years.

    """
    try:
        micros = _parse_written(text) if _WRITTEN.fullmatch(text) else _parse_iso(text)
    except OverflowError:
        micros = _LONGEST + 1
    if micros > _LONGEST:
        raise ValueError(f"{text!r} is longer than ten years")
    return micros


def format_duration(micros: int) -> str:
    """Return a duration in the shortest exact written form, ``1h30m``."""
    parts = []
    for unit in ("d", "h", "m", "s", "ms"):
        count, micros = divmod(micros, _UNITS[unit])
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def _parse_written(text: str) -> int:
    return sum(round(float(number) * _UNITS[unit]) for number, unit in _PART.findall(text))


def _parse_iso(text: str) -> int:
    match = _ISO.fullmatch(text)
    if match is None or not any(match.groups()):
        raise ValueError(f"{text!r} is not a duration: write it as 250ms, 30s, 10m, 1h30m, 2d or PT10M")
    return sum(
        round(float(number) * _UNITS[unit])
        for unit, number in match.groupdict().items()
        if number is not None
    )
