"""Microsoft Teams, by the webhook of a Workflow, with an Adaptive Card."""

import base64
from bisect import bisect_left
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Final

import msgspec
from pydantic import AfterValidator, BaseModel, ConfigDict, SecretStr

from tocsin_notifiers.http_answer import post, shown
from tocsin_notifiers.markdown import Block, Span, parse
from tocsin_notifiers.message import FollowUp, Message, Receipt
from tocsin_notifiers.notification import Severity, Status
from tocsin_notifiers.notifier import Outside
from tocsin_notifiers.run_chart import read_chart
from tocsin_notifiers.run_picture import draw
from tocsin_notifiers.secret import Secret

LIMIT: Final = 28 * 1024
"""The largest message that Teams takes, in bytes."""
_ROOM: Final = LIMIT - 1024
_COLOURS: Final = {
    Severity.INFO: "Accent",
    Severity.WARNING: "Warning",
    Severity.ERROR: "Attention",
    Severity.CRITICAL: "Attention",
}
_SIGNS: Final = {Severity.INFO: "ℹ️", Severity.WARNING: "⚠️", Severity.ERROR: "🔴", Severity.CRITICAL: "🚨"}  # noqa: RUF001 - the sign itself
_CAPTION: Final = {"type": "TextBlock", "isSubtle": True, "size": "Small", "spacing": "Small", "wrap": True}
_CARD: Final = "application/vnd.microsoft.card.adaptive"
# What Teams' Markdown would take for markup.
_MARKUP: Final = str.maketrans(
    {char: "\\" + char for char in "\\`*_[]()#~"} | {"<": "&lt;", ">": "&gt;", "&": "&amp;"}
)


def _address(written: Secret) -> Secret:
    if isinstance(written, SecretStr) and not written.get_secret_value().startswith(("https://", "http://")):
        raise ValueError("the address must begin with https://")
    return written


class TeamsConfig(BaseModel):
    """``webhook_url``: the address that the Workflow "Post to a channel when a webhook request is received" shows."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    webhook_url: Annotated[Secret, AfterValidator(_address)]


class Teams:
    """One Teams channel."""

    config: ClassVar = TeamsConfig
    follow_ups: ClassVar[tuple[FollowUp, ...]] = ("message",)
    picture: ClassVar = True
    pace: ClassVar = 0.25
    """Teams takes four messages a second."""

    def __init__(self, config: TeamsConfig, outside: Outside) -> None:
        self._outside = outside
        self._url = outside.secrets.reveal(config.webhook_url)

    def targets(self) -> tuple[str, ...]:
        """Return that it is the Workflow's channel; its name is known only to Teams."""
        return ("workflow",)

    async def send(self, message: Message, previous: Receipt | None) -> Receipt:  # noqa: ARG002 - the protocol's own
        """Post the card."""
        body = msgspec.json.encode(payload(message))
        answer = await post(
            self._outside.http,
            self._url,
            body,
            {"content-type": "application/json"},
            clock=self._outside.clock(),
        )
        return Receipt(target=message.target, answer=f"HTTP {answer.status} {shown(answer.text)}")

    def preview(self, message: Message) -> dict[str, Any]:
        """Return the JSON that would be posted."""
        return payload(message)


def payload(message: Message) -> dict[str, Any]:
    """Return the message with its card, shortened until Teams takes it."""
    blocks = parse(message.body)
    facts = [
        {"title": escape(_cut(fact.name, 100)), "value": escape(_cut(fact.value, 500))}
        for fact in message.fields
    ]
    # What was said comes before how it looks: a text that needs all the room has no picture below it.
    for picture in (_picture(message), ()):
        whole = _envelope(_card(message, blocks, facts, picture, shortened=False))
        if _fits(whole):
            return whole

    def shortened(kept: int) -> dict[str, Any]:
        return _envelope(_card(message, blocks[:kept], facts, (), shortened=True))

    most = bisect_left(range(len(blocks)), True, key=lambda kept: not _fits(shortened(kept))) - 1
    return shortened(most) if most >= 0 else _envelope(_card(message, (), facts[:10], (), shortened=True))


def escape(text: str) -> str:
    """Return a text in which a card finds no markup."""
    return text.translate(_MARKUP)


def _fits(body: dict[str, Any]) -> bool:
    return len(msgspec.json.encode(body)) <= _ROOM


def _card(
    message: Message,
    blocks: tuple[Block, ...],
    facts: list[dict[str, str]],
    picture: Sequence[dict[str, Any]],
    *,
    shortened: bool,
) -> dict[str, Any]:
    body = [_title(message), *(_block(block) for block in blocks)]
    if shortened:
        body.append(
            {"type": "TextBlock", "text": "… shortened; the links below lead to the rest", "isSubtle": True}
        )
    if facts:
        body.append({"type": "FactSet", "facts": facts[:30], "separator": True})
    body += picture
    return {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "fallbackText": _cut(message.title, 300),
        "msteams": {"width": "Full"},
        "body": body,
        "actions": [
            {"type": "Action.OpenUrl", "title": link.label, "url": link.url}
            for link in message.links[:6]
            if len(link.url) <= 2_000
        ],
    }


def _picture(message: Message) -> tuple[dict[str, Any], ...]:
    """Return the picture by its address or, where Teams could not load it, within the card, and what it says."""
    image = message.image
    if image is None:
        return ()
    drawn = base64.b64encode(draw(read_chart(image.chart))).decode() if not image.url else ""
    return (
        {
            "type": "Image",
            "url": image.url or f"data:image/png;base64,{drawn}",
            "altText": _cut(image.alt, 300),
        },
        {**_CAPTION, "text": escape(_cut(image.alt, 300))},
    )


def _title(message: Message) -> dict[str, Any]:
    sign, colour = _SIGNS[message.severity], _COLOURS[message.severity]
    if message.withdrawn:
        sign, colour = "⚪", "Default"
    elif message.status is Status.RESOLVED:
        sign, colour = "✅", "Good"
    elif message.status is Status.ACKNOWLEDGED:
        sign = "👀"
    return {
        "type": "TextBlock",
        "text": f"{sign} {escape(_cut(message.title, 300))}",
        "size": "Large",
        "weight": "Bolder",
        "wrap": True,
        "color": colour,
    }


def _block(block: Block) -> dict[str, Any]:
    element: dict[str, Any] = {"type": "TextBlock", "wrap": True}
    if block.kind == "code":
        # A code block keeps its lines only where each ends in a blank one: Teams joins single line ends.
        text = escape(_cut(block.text, 6_000)).replace("\n", "\n\n").replace("  ", "\u00a0\u00a0")
        return {
            "type": "Container",
            "style": "emphasis",
            "items": [{**element, "text": text, "fontType": "Monospace", "size": "Small"}],
        }
    text = "".join(_span(span) for span in block.spans)
    match block.kind:
        case "heading":
            return {**element, "text": escape(_cut(block.text, 500)), "weight": "Bolder"}
        case "rule":
            return {**element, "text": "—"}
        case "item":
            text = "\u00a0" * 4 * (block.depth - 1) + f"{escape(block.mark)} {text}"
        case "quote":
            return {**element, "text": _fitting(text, block), "isSubtle": True}
    return {**element, "text": _fitting(text, block)}


def _fitting(text: str, block: Block) -> str:
    return text if len(text) <= 8_000 else escape(_cut(block.text, 6_000))


def _span(span: Span) -> str:
    text = escape(span.text)
    if span.url:
        return f"[{text}]({span.url.replace('(', '%28').replace(')', '%29').replace(' ', '%20')})"
    for wanted, mark in ((span.strong, "**"), (span.emphasis, "_"), (span.struck, "~~")):
        if wanted and text.strip() == text != "":
            text = f"{mark}{text}{mark}"
    return text.replace("\n", "\n\n")


def _envelope(card: dict[str, Any]) -> dict[str, Any]:
    return {"type": "message", "attachments": [{"contentType": _CARD, "contentUrl": None, "content": card}]}


def _cut(text: str, size: int) -> str:
    return text if len(text) <= size else text[: size - 1] + "…"
