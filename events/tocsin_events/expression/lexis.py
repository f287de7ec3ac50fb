"""The reading of an expression's text before the grammar sees it.

String literals are decoded here and blanked for the parser, since cel-python's regular expressions for them take
exponential time on some unfinished strings and misread a raw string that ends in a backslash. Comments are blanked,
brackets counted. Blanking keeps every offset, so places in the blanked text are places in the text.
"""

import re
from typing import Any, Final, NoReturn

from tocsin_events.expression.budget import MAX_NESTING, MAX_TEXT
from tocsin_events.expression.problem import ExpressionSyntaxError
from tocsin_events.expression.values import INT_MAX, INT_MIN, UINT_MAX, UInt

_TOKEN: Final = re.compile(
    r"""(?P<comment>//[^\n\r]*)
      | (?P<string>(?<![A-Za-z0-9_])(?P<prefix>[bB]?[rR]?)(?P<quote>\"\"\"|'''|\"|'))
      | (?P<word>[A-Za-z_0-9]+)
      | (?P<open>[(\[{])
      | (?P<close>[)\]}])
      | (?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)
_SIMPLE_ESCAPES: Final = {
    "a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v",
    "\\": "\\", "'": "'", '"': '"', "`": "`", "?": "?",
}  # fmt: skip
_ESCAPE: Final = re.compile(
    r"""\\(?:(?P<simple>[abfnrtv\\'"`?])|[xX](?P<byte>[0-9a-fA-F]{2})|(?P<octal>[0-3][0-7]{2})
    |u(?P<short>[0-9a-fA-F]{4})|U(?P<long>[0-9a-fA-F]{8}))""",
    re.VERBOSE,
)
_PIECES: Final = {
    '"': re.compile(r'[^"\\\n\r]+'),
    "'": re.compile(r"[^'\\\n\r]+"),
    '"""': re.compile(r'[^"\\]+'),
    "'''": re.compile(r"[^'\\]+"),
}


def read(text: str) -> tuple[str, dict[int, str | bytes]]:
    """Return the text with strings and comments blanked, and the decoded strings by offset.

    Raises:
        ExpressionSyntaxError: the text is too long, nested too deeply, or has an unfinished or malformed string.

    """
    if len(text) > MAX_TEXT:
        raise ExpressionSyntaxError.at(
            f"the expression has {len(text)} characters; at most {MAX_TEXT} are read", text, MAX_TEXT
        )
    return _Reader(text).read()


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.blanked: list[str] = []
        self.strings: dict[int, str | bytes] = {}
        self.depth = 0

    def read(self) -> tuple[str, dict[int, str | bytes]]:
        place = 0
        while place < len(self.text):
            match = _TOKEN.match(self.text, place)
            assert match is not None
            if match["string"] is not None:
                place = self._string(match)
                continue
            self._depth(match)
            self.blanked.append(" " * len(match[0]) if match["comment"] is not None else match[0])
            place = match.end()
        return "".join(self.blanked), self.strings

    def _depth(self, match: re.Match[str]) -> None:
        if match["open"]:
            self.depth += 1
            if self.depth > MAX_NESTING:
                self._fail(f"brackets are nested more than {MAX_NESTING} deep", match.start())
        elif match["close"]:
            self.depth -= 1

    def _string(self, match: re.Match[str]) -> int:
        start, prefix, quote = match.start(), match["prefix"].lower(), match["quote"]
        raw, binary = "r" in prefix, "b" in prefix
        parts: list[str | bytes] = []
        place = match.end()
        while not self.text.startswith(quote, place):
            part, place = self._piece(place, start, quote, raw=raw, binary=binary)
            parts.append(part)
        end = place + len(quote)
        opening = match[0]
        self.blanked.append(opening + "_" * (end - len(quote) - match.end()) + quote)
        self.strings[start] = self._joined(parts, binary=binary)
        return end

    @staticmethod
    def _joined(parts: list[str | bytes], *, binary: bool) -> str | bytes:
        if binary:
            return b"".join(part if isinstance(part, bytes) else part.encode() for part in parts)
        return "".join(part for part in parts if isinstance(part, str))

    def _piece(
        self, place: int, start: int, quote: str, *, raw: bool, binary: bool
    ) -> tuple[str | bytes, int]:
        text = self.text
        if place >= len(text):
            self._fail("a string is not closed", start)
        if run := _PIECES[quote].match(text, place):
            return self._checked(run[0], place).replace("\r\n", "\n").replace("\r", "\n"), run.end()
        if text[place] == "\\" and not raw:
            return self._escape(place, binary=binary)
        if text[place] in "\n\r" and len(quote) == 1:
            self._fail("a string is not closed before the end of its line", start)
        return text[place], place + 1

    def _checked(self, run: str, place: int) -> str:
        if not run.isascii():
            try:
                run.encode()
            except UnicodeEncodeError as problem:
                self._fail("a string has half a surrogate pair", place + problem.start)
        return run

    def _escape(self, place: int, *, binary: bool) -> tuple[str | bytes, int]:
        match = _ESCAPE.match(self.text, place)
        if match is None:
            self._fail(f"{self.text[place : place + 2]} is no escape; write \\\\ for a backslash", place)
        if match["simple"]:
            return _SIMPLE_ESCAPES[match["simple"]], match.end()
        code = int(
            match["byte"] or match["short"] or match["long"] or match["octal"], 8 if match["octal"] else 16
        )
        if binary:
            if match["short"] or match["long"]:
                self._fail("bytes have no \\u escapes; write \\x", place)
            return bytes([code]), match.end()
        if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
            self._fail(f"{match[0]} is no character", place)
        return chr(code), match.end()

    def _fail(self, message: str, place: int) -> NoReturn:
        raise ExpressionSyntaxError.at(message, self.text, place)


def number(kind: str, written: str) -> Any:
    """Return the value of a number as written; ``kind`` is the grammar's name for it.

    Raises:
        ValueError: it does not fit into 64 bits.

    """
    if kind == "FLOAT_LIT":
        return float(written)
    digits = written.rstrip("uU")
    value = int(digits, 16 if "x" in digits else 10)
    if kind == "UINT_LIT":
        if not 0 <= value <= UINT_MAX:
            raise ValueError(f"{written} does not fit into an unsigned 64-bit integer")
        return UInt(value)
    if not INT_MIN <= value <= INT_MAX:
        raise ValueError(f"{written} does not fit into a 64-bit integer")
    return value
