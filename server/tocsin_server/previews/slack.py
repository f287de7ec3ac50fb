"""A message as Slack shows it: the sender's line, the text, and the attachment's blocks beside its coloured bar."""

import re
from collections.abc import Iterator, Mapping
from html import unescape
from typing import Any, Final

from pydantic import SecretStr
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tocsin_notifiers.message import Message
from tocsin_notifiers.slack import SlackConfig, payload
from tocsin_server.previews.drawing import CODE, Barred, Markup, buttons, marked_up, safe

_CONFIG: Final = SlackConfig(channel="#data-alerts", token=SecretStr("xoxb-preview"))
_EMOJI: Final[Mapping[str, str]] = {
    "eyes": "👀",
    "information_source": "🔵",  # the sign itself is of uncertain width in terminals
    "red_circle": "🔴",
    "rotating_light": "🚨",
    "warning": "🟠",  # as is this one
    "white_check_mark": "✅",
}
_MARKUP: Final[tuple[Markup, ...]] = (
    (re.compile(r"```\n?(.*?)\n?```", re.DOTALL), lambda found: (found[1], CODE)),
    (re.compile(r"`([^`\n]+)`"), lambda found: (found[1], CODE)),
    (re.compile(r"<([^|>]*)\|([^>]*)>"), lambda found: (found[2], "underline")),
    (re.compile(r"\*([^*\n]+)\*"), lambda found: (found[1], "bold")),
    (re.compile(r"(?<!\w)_([^_\n]+)_(?!\w)"), lambda found: (found[1], "italic")),
    (re.compile(r":([a-z_]+):"), lambda found: (_EMOJI.get(found[1], found[0]), "")),
)


def preview(message: Message) -> RenderableType:
    """Draw a message as it would stand in a channel."""
    body = payload(message, _CONFIG)
    drawn: list[RenderableType] = [Text.assemble(("Tocsin", "bold"), " ", ("APP", "reverse dim"))]
    drawn.append(_mrkdwn(body["text"]))
    for attachment in body["attachments"]:
        blocks = [part for block in attachment["blocks"] for part in _block(block)]
        drawn.append(Barred(Group(*blocks), attachment["color"]))
    return Group(*drawn)


def _block(block: Mapping[str, Any]) -> Iterator[RenderableType]:
    match block:
        case {"type": "section", "fields": fields}:
            yield _columns(fields)
        case {"type": "section", "text": {"text": text}}:
            yield _mrkdwn(text)
        case {"type": "actions", "elements": elements}:
            yield buttons(one["text"]["text"] for one in elements)
        case {"type": "context", "elements": elements}:
            yield Text.assemble(*(_mrkdwn(one["text"]) for one in elements), style="dim")
        case {"type": "image", "alt_text": text}:
            yield Text(f"[{safe(text)}]", style="dim")


def _columns(fields: list[dict[str, Any]]) -> Table:
    table = Table.grid(padding=(0, 3, 0, 0), expand=False)
    texts = [_mrkdwn(field["text"]) for field in fields]
    for start in range(0, len(texts), 2):
        table.add_row(*texts[start : start + 2])
    return table


def _mrkdwn(text: str) -> Text:
    return marked_up(text, _MARKUP, unescape)
