"""A canvas of few colours, and its bytes as a PNG: what a small flat picture needs, with nothing but zlib. Pure.

https://www.w3.org/TR/png-3/
"""

import struct
import zlib
from typing import Final

Colour = tuple[int, int, int, int]
"""Red, green, blue and opacity, 0 to 255 each."""

_CLEAR: Final = (0, 0, 0, 0)
_MOST_COLOURS: Final = 256
_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"


class Canvas:
    """Rows of pixels, clear at first; what lies outside is not drawn. Colours are replaced, not mixed."""

    def __init__(self, width: int, height: int) -> None:
        self.width = width
        self.height = height
        self._colours: dict[Colour, int] = {_CLEAR: 0}
        self._lines: dict[tuple[Colour, ...], bytes] = {}
        self._rows = [bytearray(width) for _ in range(height)]

    def fill(self, left: int, top: int, right: int, bottom: int, colour: Colour) -> None:
        """Fill the pixels from (left, top) up to, and not with, (right, bottom)."""
        for y in range(top, bottom):
            self.line(left, y, (colour,) * (right - left))

    def line(self, left: int, y: int, colours: tuple[Colour, ...]) -> None:
        """Set pixels of a row from ``left`` on; clear ones leave what is there."""
        if not 0 <= y < self.height:
            return
        row, numbers = self._rows[y], self._numbered(colours)
        if 0 not in numbers and left >= 0 and left + len(numbers) <= self.width:
            row[left : left + len(numbers)] = numbers
            return
        for x, number in enumerate(numbers, left):
            if number and 0 <= x < self.width:
                row[x] = number

    def png(self, *, dots_per_metre: int) -> bytes:
        """Return the picture as PNG, with a palette."""
        palette = list(self._colours)
        header = struct.pack(">IIBBBBB", self.width, self.height, 8, 3, 0, 0, 0)
        density = struct.pack(">IIB", dots_per_metre, dots_per_metre, 1)
        pixels = zlib.compress(b"".join(b"\0" + row for row in self._rows), 9)
        return _SIGNATURE + b"".join(
            (
                _chunk(b"IHDR", header),
                _chunk(b"pHYs", density),
                _chunk(b"PLTE", b"".join(bytes(colour[:3]) for colour in palette)),
                _chunk(b"tRNS", bytes(colour[3] for colour in palette)),
                _chunk(b"IDAT", pixels),
                _chunk(b"IEND", b""),
            )
        )

    def _numbered(self, colours: tuple[Colour, ...]) -> bytes:
        known = self._lines.get(colours)
        if known is None:
            known = self._lines[colours] = bytes(self._number(colour) for colour in colours)
        return known

    def _number(self, colour: Colour) -> int:
        if not colour[3]:
            return 0
        number = self._colours.setdefault(colour, len(self._colours))
        if number == _MOST_COLOURS:
            raise ValueError(f"a picture has at most {_MOST_COLOURS} colours")
        return number


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
