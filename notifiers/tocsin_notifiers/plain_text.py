"""Text as people read it: without the characters that act instead of being shown."""

import re
from typing import Final

# What programs write to colour a terminal; error messages and tracebacks bring it along.
_ANSI: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
_LINE_END: Final = re.compile("\r\n|[\r\v\f\x1c-\x1e\x85\u2028\u2029]")
# Control characters (no database and no mail takes them all), what turns the direction of the text after it, and
# halves of characters.
_ACTING: Final = re.compile(
    "[\x00-\x08\x0e-\x1b\x1f\x7f-\x84\x86-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def plain_text(text: str) -> str:
    """Return a text with its lines and tabs, without colours, and with a mark for each character that would act."""
    return _ACTING.sub("\N{REPLACEMENT CHARACTER}", _LINE_END.sub("\n", _ANSI.sub("", text)))


def one_line(text: str) -> str:
    """Return a text in one line of plain text, without space at its ends."""
    return " ".join(plain_text(text).split())
