"""What the previews share: text that is safe to print, marked-up text, a bar along a side, buttons."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.segment import Segment
from rich.style import Style
from rich.text import Text

CODE: Final = "dim"
"""The style of code, wherever it stands."""

Markup = tuple[re.Pattern[str], Callable[[re.Match[str]], tuple[str, str]]]
"""A pattern, and what a match of it says: the text and the style to show it in."""


def safe(text: str) -> str:
    """Return a text in which nothing steers the terminal; line ends stay, a no-break space becomes a plain one."""
    return "".join(
        char
        if char == "\n" or char.isprintable()
        else " "
        if char == "\u00a0"
        else "\N{REPLACEMENT CHARACTER}"
        for char in text
    )


def marked_up(text: str, markup: Iterable[Markup], plain: Callable[[str], str], style: str = "") -> Text:
    """Return a text in which what the patterns match has a style; ``plain`` takes the escapes out of every piece."""
    rules = list(markup)
    shown = Text(style=style)
    while text:
        found = [(match, rule) for pattern, rule in rules if (match := pattern.search(text))]
        if not found:
            break
        match, rule = min(found, key=lambda one: one[0].start())
        said, its_style = rule(match)
        shown.append(safe(plain(text[: match.start()])))
        shown.append(safe(plain(said)), its_style)
        text = text[match.end() :]
    return shown.append(safe(plain(text)))


def buttons(labels: Iterable[str]) -> Text:
    """Return a row of buttons."""
    return Text("  ").join(Text(f"[ {safe(label)} ]", style="bold") for label in labels)


class Barred:
    """Something with a coloured bar along its left side."""

    def __init__(self, inside: RenderableType, colour: str) -> None:
        self._inside = inside
        self._style = Style.parse(colour)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        narrower = options.update(width=max(options.max_width - 2, 1))
        for line in console.render_lines(self._inside, narrower, pad=False):
            yield Segment("▌ ", self._style)
            yield from line
            yield Segment.line()


COLOURS: Final[Mapping[str, str]] = {
    "Attention": "red",
    "Warning": "yellow",
    "Good": "green",
    "Accent": "blue",
}
"""The colours of an Adaptive Card, as a terminal has them."""
