"""Draws the last runs as a small picture: a bar for each, its height how long it took. Pure.

It is twice as large as it is shown, so that it is sharp on every screen, and clear behind, so that it stands on white as on
black: each colour has a contrast of at least 3:1 with both. Colour alone says nothing: what did not complete has a pattern
of its own, and a sign above it.
"""

from collections.abc import Callable
from functools import cache, lru_cache
from math import hypot
from typing import Final

from tocsin_notifiers.png import Canvas, Colour
from tocsin_notifiers.run_chart import HIGHEST, SHOWN, Bar, Outcome, RunChart

WIDTH, HEIGHT = 540, 120
"""The size in which it is shown; in the file, each side has twice as many pixels."""
COLOURS: Final = {
    Outcome.COMPLETED: (0x1B, 0x8F, 0x7E),
    Outcome.FAILED: (0xD6, 0x3D, 0x33),
    Outcome.CRASHED: (0xB0, 0x4A, 0xA8),
    Outcome.CANCELLED: (0x7C, 0x85, 0x92),
    Outcome.RUNNING: (0x2F, 0x7B, 0xD9),
}

_DOTS_PER_METRE: Final = 5_669
"""144 to the inch: twice the usual."""
_GREY: Final = (0x7C, 0x85, 0x92)
_SLOT, _BAR = 54, 36
_SIGN: Final = 24
_TOP: Final = 8 + _SIGN + 8
"""Where the highest bar begins, below its sign."""
_FOOT: Final = 2 * HEIGHT - 8
_LOWEST: Final = 8
_RADIUS: Final = 6
_PERIOD: Final = 16
_EDGE: Final = 3
_DASH: Final = 12
_STRONG, _WEAK = 255, 80
_FINE: Final = 16
"""Opacities are multiples of this, so that few colours do."""

Pattern = Callable[[int, int, int], int]
"""The opacity at a bar's pixel: its column, and how many rows are below it and above it."""


@lru_cache(maxsize=64)
def draw(chart: RunChart) -> bytes:
    """Return the picture of a chart as PNG: the latest run at the right, a dashed line at the median."""
    bars = chart.bars[-SHOWN:]
    right = _SLOT * len(bars)
    canvas = Canvas(2 * WIDTH, 2 * HEIGHT)
    canvas.fill(0, _FOOT, right, _FOOT + 2, (*_GREY, 160))
    if chart.median is not None:
        y = _FOOT - _height(chart.median)
        for x in range(0, right, _DASH):
            canvas.fill(x, y, x + _DASH // 2, y + 2, (*_GREY, 208))
    for place, bar in enumerate(bars):
        _bar(canvas, place * _SLOT + (_SLOT - _BAR) // 2, bar)
    return canvas.png(dots_per_metre=_DOTS_PER_METRE)


def _bar(canvas: Canvas, left: int, bar: Bar) -> None:
    height = _height(bar.level)
    for below in range(height):
        # What a row looks like depends on how near an end it is, and repeats in between.
        nearly = below if below < _PERIOD else _PERIOD + below % _PERIOD
        canvas.line(left, _FOOT - 1 - below, _row(bar.outcome, nearly, min(height - 1 - below, _RADIUS)))
    top = _FOOT - height - 8 - _SIGN
    for y, row in enumerate(_sign(bar.outcome), top):
        canvas.line(left + (_BAR - _SIGN) // 2, y, row)


@cache
def _row(outcome: Outcome, below: int, above: int) -> tuple[Colour, ...]:
    """Return a bar's row: its pattern, and the rounded corners at its top."""
    pattern = _PATTERNS[outcome]
    opacities: list[float] = [pattern(column, below, above) for column in range(_BAR)]
    for column, share in enumerate(_corner(above)):
        opacities[column] *= share
        opacities[-1 - column] *= share
    return tuple(_shade(COLOURS[outcome], one) for one in opacities)


def _height(level: int) -> int:
    return max(round((_FOOT - _TOP) * level / HIGHEST), _LOWEST)


def _shade(colour: tuple[int, int, int], opacity: float) -> Colour:
    return (*colour, min(round(opacity / _FINE) * _FINE, 255))


def _corner(row: int) -> tuple[float, ...]:
    """Return how much of each pixel from the side is inside a rounded corner, in a row counted from the top."""
    if row >= _RADIUS:
        return ()
    return tuple(
        _inside(_RADIUS - hypot(_RADIUS - column - 0.5, _RADIUS - row - 0.5)) for column in range(_RADIUS)
    )


def _inside(distance: float) -> float:
    """Return how much of a pixel is inside an edge that is so far away, in pixels."""
    return min(max(distance + 0.5, 0.0), 1.0)


# -- patterns ----------------------------------------------------------------------------------------------------------


def _full(column: int, below: int, above: int) -> int:  # noqa: ARG001 - a pattern's own
    return _STRONG


def _rising(column: int, below: int, above: int) -> int:  # noqa: ARG001 - a pattern's own
    return _stripe(column - below)


def _falling(column: int, below: int, above: int) -> int:  # noqa: ARG001 - a pattern's own
    return _stripe(column + below)


def _stripe(place: int) -> int:
    """Return the opacity across a slanted stripe, with soft edges."""
    return (_STRONG if place % _PERIOD < _PERIOD // 2 else _WEAK) if place % 8 else (_STRONG + _WEAK) // 2


def _hollow(column: int, below: int, above: int) -> int:
    return _STRONG if min(column, _BAR - 1 - column, below, above) < _EDGE else 0


def _half_full(column: int, below: int, above: int) -> int:
    return _hollow(column, below, above) or _WEAK


_PATTERNS: Final[dict[Outcome, Pattern]] = {
    Outcome.COMPLETED: _full,
    Outcome.FAILED: _rising,
    Outcome.CRASHED: _falling,
    Outcome.CANCELLED: _hollow,
    Outcome.RUNNING: _half_full,
}

# -- signs -------------------------------------------------------------------------------------------------------------

Stroke = tuple[float, float, float, float]
"""A line with round ends, from (x, y) to (x, y); the sign's sides are 1."""

_THICK: Final = 5.0
_SIGNS: Final[dict[Outcome, tuple[Stroke, ...]]] = {
    Outcome.FAILED: ((0.15, 0.15, 0.85, 0.85), (0.15, 0.85, 0.85, 0.15)),
    Outcome.CRASHED: ((0.5, 0.1, 0.5, 0.58), (0.5, 0.9, 0.5, 0.9)),
    Outcome.CANCELLED: ((0.15, 0.5, 0.85, 0.5),),
    Outcome.RUNNING: ((0.12, 0.5, 0.12, 0.5), (0.5, 0.5, 0.5, 0.5), (0.88, 0.5, 0.88, 0.5)),
}


@cache
def _sign(outcome: Outcome) -> tuple[tuple[Colour, ...], ...]:
    """Return the rows of an outcome's sign; none, where it has none."""
    strokes = _SIGNS.get(outcome, ())
    return tuple(
        tuple(
            _shade(
                COLOURS[outcome],
                255 * max(_inside(_THICK / 2 - _away(x + 0.5, y + 0.5, one)) for one in strokes),
            )
            for x in range(_SIGN)
        )
        for y in range(_SIGN if strokes else 0)
    )


def _away(x: float, y: float, stroke: Stroke) -> float:
    """Return how far a point is from a stroke's middle, in pixels."""
    left, top, right, bottom = (place * _SIGN for place in stroke)
    along, down = right - left, bottom - top
    length = along * along + down * down
    share = min(max(((x - left) * along + (y - top) * down) / length, 0.0), 1.0) if length else 0.0
    return hypot(x - left - share * along, y - top - share * down)
