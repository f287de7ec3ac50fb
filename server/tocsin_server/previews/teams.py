"""A message as Teams shows it: the Adaptive Card."""

import re
from collections.abc import Iterator, Mapping
from html import unescape
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from tocsin_notifiers.message import Message
from tocsin_notifiers.teams import payload
from tocsin_server.previews.drawing import CODE, COLOURS, Markup, buttons, marked_up, safe

_MARKUP: Final[tuple[Markup, ...]] = (
    (re.compile(r"(?<!\\)\[((?:\\.|[^\]\\])*)\]\(([^)]*)\)"), lambda found: (found[1], "underline")),
    (re.compile(r"(?<!\\)\*\*(.+?)(?<!\\)\*\*", re.DOTALL), lambda found: (found[1], "bold")),
    (re.compile(r"(?<![\\\w])_(.+?)(?<!\\)_(?!\w)", re.DOTALL), lambda found: (found[1], "italic")),
)
_ESCAPED: Final = re.compile(r"\\([\\`*_\[\]()#~])")
# Of uncertain width in terminals, each with a sign that is not.
_NARROW: Final = str.maketrans({"⚠": "🟠", "ℹ": "🔵", "\N{VARIATION SELECTOR-16}": None})  # noqa: RUF001 - the sign itself


def preview(message: Message) -> RenderableType:
    """Draw a message as its card."""
    return Group(
        *(
            part
            for attachment in payload(message)["attachments"]
            for part in (*_elements(attachment["content"]["body"]), _actions(attachment["content"]))
        )
    )


def _elements(elements: list[dict[str, Any]]) -> Iterator[RenderableType]:
    for element in elements:
        match element:
            case {"type": "TextBlock", "text": text}:
                yield _text(text, element)
            case {"type": "Container", "items": items}:
                yield Padding(Group(*_elements(items)), (0, 0, 0, 2))
            case {"type": "FactSet", "facts": facts}:
                yield _facts(facts)
            case {"type": "Image", "altText": text}:
                yield Text(f"[{safe(text)}]", style="dim")


def _text(text: str, element: Mapping[str, Any]) -> Text:
    styles = [
        COLOURS.get(element.get("color", ""), ""),
        "bold" if element.get("weight") == "Bolder" else "",
        "dim" if element.get("isSubtle") else "",
        CODE if element.get("fontType") == "Monospace" else "",
    ]
    # In a card a line ends where a blank line follows.
    return marked_up(text.replace("\n\n", "\n"), _MARKUP, _plain, " ".join(filter(None, styles)))


def _facts(facts: list[dict[str, str]]) -> Table:
    table = Table.grid(padding=(0, 3, 0, 0))
    for fact in facts:
        title, value = (marked_up(fact[part], _MARKUP, _plain) for part in ("title", "value"))
        title.stylize("bold")
        table.add_row(title, value)
    return table


def _actions(card: Mapping[str, Any]) -> Text:
    return buttons(action["title"] for action in card["actions"])


def _plain(text: str) -> str:
    return unescape(_ESCAPED.sub(r"\1", text)).translate(_NARROW)
