"""Reads a PNG with a palette back into pixels, and checks its chunks, for tests of what is drawn."""

import struct
import zlib
from dataclasses import dataclass


@dataclass(frozen=True)
class Pixels:
    """A picture: rows of (red, green, blue, opacity)."""

    width: int
    height: int
    rows: list[list[tuple[int, int, int, int]]]

    def column(self, x: int) -> list[tuple[int, int, int, int]]:
        """The pixels at ``x``, from top to bottom."""
        return [row[x] for row in self.rows]

    def colours(self, left: int, right: int) -> set[tuple[int, int, int]]:
        """The colours, whatever their opacity, of what is not clear between two columns."""
        return {pixel[:3] for row in self.rows for pixel in row[left:right] if pixel[3]}


def decoded(png: bytes) -> Pixels:
    """Return the pixels of a PNG of 8 bits with a palette."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    chunks, place = {}, 8
    while place < len(png):
        (length,) = struct.unpack_from(">I", png, place)
        kind, data = png[place + 4 : place + 8], png[place + 8 : place + 8 + length]
        assert struct.unpack_from(">I", png, place + 8 + length) == (zlib.crc32(kind + data),)
        chunks[kind] = data
        place += 12 + length
    kinds = list(chunks)
    assert (kinds[0], kinds[-1]) == (b"IHDR", b"IEND")
    width, height, depth, colour_type, *rest = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    assert (depth, colour_type, rest) == (8, 3, [0, 0, 0])
    palette = [
        (*chunks[b"PLTE"][3 * number : 3 * number + 3], opacity)
        for number, opacity in enumerate(chunks[b"tRNS"])
    ]
    raw = zlib.decompress(chunks[b"IDAT"])
    assert len(raw) == height * (width + 1)
    assert set(raw[:: width + 1]) == {0}
    lines = (raw[y * (width + 1) + 1 : (y + 1) * (width + 1)] for y in range(height))
    return Pixels(width, height, [[palette[number] for number in line] for line in lines])
