"""A message as Slack's Block Kit, within its limits, and with nothing in it that pings or pretends."""

import json
from collections.abc import Sequence
from typing import Any, Final

from tocsin_notifiers.markdown import Block, Span, parse
from tocsin_notifiers.message import Message
from tocsin_notifiers.notification import Severity, Status

_SECTION: Final = 3_000
_FIELD: Final = 2_000
_FIELDS_IN_A_SECTION: Final = 10
_MOST_BODY_BLOCKS: Final = 40
"""Of the 50 blocks that Slack takes; the rest is for fields, picture, buttons and the last line."""
_MOST_FIELDS: Final = 20
_TEXT: Final = 3_900
_URL: Final = 3_000
_VALUE: Final = 1_900
_ALT: Final = 300

COLOURS: Final = {
    Severity.INFO: "#2f7bd9",
    Severity.WARNING: "#e0a100",
    Severity.ERROR: "#d1342f",
    Severity.CRITICAL: "#8f0d2b",
}
RESOLVED_COLOUR: Final = "#2e9e5b"
WITHDRAWN_COLOUR: Final = "#6b7280"
ACKNOWLEDGED_COLOUR: Final = "#7a6ff0"
_SIGNS: Final = {
    Severity.INFO: ":information_source:",
    Severity.WARNING: ":warning:",
    Severity.ERROR: ":red_circle:",
    Severity.CRITICAL: ":rotating_light:",
}


def colour_of(message: Message) -> str:
    """Return the colour that a message's status and severity have everywhere."""
    if message.withdrawn:
        return WITHDRAWN_COLOUR
    if message.status is Status.RESOLVED:
        return RESOLVED_COLOUR
    return ACKNOWLEDGED_COLOUR if message.status is Status.ACKNOWLEDGED else COLOURS[message.severity]


def escape(text: str) -> str:
    """Return a text in which Slack finds no mention, link or entity."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def content(message: Message, *, buttons: bool, mention: Sequence[str] = ()) -> dict[str, Any]:
    """Return ``text`` and ``attachments`` of a Slack message.

    ``buttons`` adds those that act (acknowledge, silence), which need an app that Slack can call back. ``mention`` is whom
    the notifier's settings call: the only thing in a message that Slack takes for a mention.
    """
    called = "".join(f"{_mention(one)} " for one in mention)
    title = f"{_sign(message)} *{_plain_bold(message.title)}*"
    blocks = [*_body_blocks(message), *_field_blocks(message), *_picture(message)]
    elements = [*_acting_buttons(message)] if buttons else []
    elements += [
        _link_button(link.kind, link.label, link.url) for link in message.links[:5] if len(link.url) <= _URL
    ]
    if elements:
        blocks.append({"type": "actions", "elements": elements})
    blocks.append(_last_line(message))
    return {
        # Slack shows the text above the rest, and as it is in push notifications; mentions in attachments call nobody.
        "text": called + _cut(title, _TEXT),
        "attachments": [
            {"color": colour_of(message), "fallback": _cut(escape(message.title), 500), "blocks": blocks}
        ],
        "unfurl_links": False,
        "unfurl_media": False,
    }


def mrkdwn(markdown: str) -> list[str]:
    """Return a Markdown text as pieces of Slack's mrkdwn, each short enough for a section."""
    pieces: list[str] = []
    for block in parse(markdown):
        for part in _pieces(block):
            joined = pieces[-1] + ("\n" if block.kind == "item" else "\n\n") + part if pieces else ""
            if pieces and len(joined) <= _SECTION and block.kind != "code" and not pieces[-1].endswith("```"):
                pieces[-1] = joined
            else:
                pieces.append(part)
    return pieces


def _body_blocks(message: Message) -> list[dict[str, Any]]:
    pieces = mrkdwn(message.body)
    if len(pieces) > _MOST_BODY_BLOCKS:
        pieces = [*pieces[: _MOST_BODY_BLOCKS - 1], "_… shortened; the links below lead to the rest_"]
    return [
        {"type": "section", "text": {"type": "mrkdwn", "text": piece}} for piece in pieces if piece.strip()
    ]


def _field_blocks(message: Message) -> list[dict[str, Any]]:
    fields = [
        {"type": "mrkdwn", "text": _cut(f"*{_plain_bold(fact.name)}*\n{escape(fact.value) or '–'}", _FIELD)}
        for fact in message.fields[:_MOST_FIELDS]
    ]
    return [
        {"type": "section", "fields": fields[start : start + _FIELDS_IN_A_SECTION]}
        for start in range(0, len(fields), _FIELDS_IN_A_SECTION)
    ]


def _picture(message: Message) -> list[dict[str, Any]]:
    """Return the picture where Slack can load it, else what it says."""
    image = message.image
    if image is None:
        return []
    said = _cut(image.alt, _ALT)
    if not image.url or len(image.url) > _URL:
        return [{"type": "context", "elements": [{"type": "mrkdwn", "text": escape(said)}]}]
    title = {"type": "plain_text", "text": said, "emoji": False}
    return [{"type": "image", "image_url": image.url, "alt_text": said, "title": title}]


def _acting_buttons(message: Message) -> list[dict[str, Any]]:
    if message.alert is None or message.status is Status.RESOLVED:
        return []
    value = json.dumps({"alert": message.alert.id, "run": message.run})
    found = []
    if message.status is Status.FIRING:
        found.append(_button("Acknowledge", "tocsin.acknowledge", value, style="primary"))
    found.append(_button("Silence 1 h", "tocsin.silence", value))
    if message.run:
        found.append(_button("Retry run", "tocsin.retry_run", value))
    return [one for one in found if len(value) <= _VALUE]


def _button(label: str, action: str, value: str, *, style: str | None = None) -> dict[str, Any]:
    button: dict[str, Any] = {
        "type": "button",
        "action_id": action,
        "text": {"type": "plain_text", "text": label},
        "value": value,
    }
    return {**button, "style": style} if style else button


def _link_button(kind: str, label: str, url: str) -> dict[str, Any]:
    return {
        "type": "button",
        "action_id": f"tocsin.open_{kind}",
        "text": {"type": "plain_text", "text": label[:75]},
        "url": url,
    }


def _last_line(message: Message) -> dict[str, Any]:
    said = f"{message.standing} · {message.severity}" + (
        f" · {message.automation}" if message.automation else ""
    )
    return {"type": "context", "elements": [{"type": "mrkdwn", "text": escape(said)}]}


def _sign(message: Message) -> str:
    if message.withdrawn:
        return ":white_circle:"
    if message.status is Status.RESOLVED:
        return ":white_check_mark:"
    return ":eyes:" if message.status is Status.ACKNOWLEDGED else _SIGNS[message.severity]


def _mention(whom: str) -> str:
    """Return Slack's markup for a mention.

    https://docs.slack.dev/messaging/formatting-message-text
    """
    if whom.startswith("@"):
        return f"<!{whom[1:]}>"
    return f"<!subteam^{whom}>" if whom.startswith("S") else f"<@{whom}>"


def _pieces(block: Block) -> list[str]:
    if block.kind == "rule":
        return ["──────────"]
    if block.kind == "code":
        # Slack has no way to show a run of three backticks inside a block of code.
        text = escape(block.text).replace("```", "'''")
        return [f"```\n{part}\n```" for part in _split(text, _SECTION - 8)]
    text = "".join(_span(span) for span in block.spans)
    if block.kind == "heading":
        text = f"*{_plain_bold(block.text)}*"
    elif block.kind == "item":
        text = "    " * (block.depth - 1) + f"{block.mark or ' '} {text}"
    elif block.kind == "quote":
        text = "\n".join("> " + line for line in text.split("\n"))
    if len(text) <= _SECTION:
        return [text]
    # A long paragraph is split without its styles: a style that is opened in one section can't be closed in the next.
    return _split(escape(block.text), _SECTION)


def _span(span: Span) -> str:
    text = escape(span.text)
    if span.url:
        return f"<{_escape_url(span.url)}|{text.replace('|', '¦')}>"
    if span.code:
        return f"`{text}`" if text.strip() and "`" not in text else text
    for wanted, mark in ((span.strong, "*"), (span.emphasis, "_"), (span.struck, "~")):
        if wanted and text.strip():
            text = f"{mark}{text}{mark}"
    return text


def _escape_url(url: str) -> str:
    return escape(url).replace("|", "%7C")


def _plain_bold(text: str) -> str:
    return escape(text).replace("*", "\N{ASTERISK OPERATOR}")


def _split(text: str, size: int) -> list[str]:
    """Return a text in parts of at most so many characters, cut at line ends where there are any."""
    parts = []
    while len(text) > size:
        cut = text.rfind("\n", size // 2, size)
        cut = size if cut < 0 else cut
        # An entity is never cut in two: "&am" would show as such.
        tail = text.rfind("&", cut - 5, cut)
        if tail >= 0 and ";" not in text[tail:cut]:
            cut = tail
        parts.append(text[:cut])
        text = text[cut:].removeprefix("\n")
    return [*parts, text]


def _cut(text: str, size: int) -> str:
    return text if len(text) <= size else _split(text, size - 1)[0] + "…"
