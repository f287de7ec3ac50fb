"""Markdown taken apart into plain blocks and spans, from which each channel writes its own form.

Nothing survives that a channel could take for markup of its own: HTML is text, images are links, and a link leads
to http, https or mailto or is no link. So what a stranger writes into a message is shown, and does nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from markdown_it import MarkdownIt
from markdown_it.token import Token

_LINKS: Final = ("http://", "https://", "mailto:")
_parser: Final = (
    MarkdownIt("commonmark", {"html": False, "breaks": True}).disable("image").enable("strikethrough")
)

BlockKind = Literal["text", "heading", "code", "item", "quote", "rule"]


@dataclass(frozen=True, slots=True)
class Span:
    """A run of characters in one style; ``url`` makes it a link."""

    text: str
    strong: bool = False
    emphasis: bool = False
    code: bool = False
    struck: bool = False
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Block:
    """A paragraph, heading, list item (``depth`` from 1, ``mark`` its bullet or number), quote, rule or code."""

    kind: BlockKind
    spans: tuple[Span, ...] = ()
    depth: int = 0
    mark: str = ""

    @property
    def text(self) -> str:
        """The block's characters without their styles."""
        return "".join(span.text for span in self.spans)


def parse(markdown: str) -> tuple[Block, ...]:
    """Return the blocks of a Markdown text, in order."""
    blocks: list[Block] = []
    lists: list[int | None] = []
    mark = ""
    quoted = heading = 0
    for token in _parser.parse(markdown):
        match token.type:
            case "bullet_list_open":
                lists.append(None)
            case "ordered_list_open":
                lists.append(int(token.attrs.get("start", 1)))
            case "bullet_list_close" | "ordered_list_close":
                lists.pop()
            case "list_item_open":
                mark, lists[-1:] = _next_mark(lists[-1])
            case "blockquote_open" | "blockquote_close":
                quoted += 1 if token.nesting > 0 else -1
            case "heading_open" | "heading_close":
                heading += 1 if token.nesting > 0 else -1
            case "inline":
                kind = _kind_of(in_list=bool(lists), quoted=bool(quoted), heading=bool(heading))
                blocks.append(Block(kind, _spans(token.children or []), len(lists), mark))
                mark = ""
            case "fence" | "code_block":
                blocks.append(Block("code", (Span(token.content.rstrip("\n"), code=True),), len(lists)))
            case "hr":
                blocks.append(Block("rule"))
    return tuple(blocks)


def as_plain(blocks: tuple[Block, ...]) -> str:
    """Return blocks as plain text; a link's address stands behind its words."""
    return join((block, _plain_block(block)) for block in blocks)


def literal(text: str) -> str:
    """Return a text as Markdown that shows exactly these characters (one line)."""
    return "".join("\\" + char if char in _PUNCTUATION else char for char in " ".join(text.split()))


def fenced(text: str) -> str:
    """Return a text as a Markdown code block that nothing inside it can close."""
    longest = run = 0
    for char in text:
        run = run + 1 if char == "`" else 0
        longest = max(longest, run)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text}\n{fence}"


_PUNCTUATION: Final = frozenset("\\`*_{}[]<>()#+-.!|~&")


def _kind_of(*, in_list: bool, quoted: bool, heading: bool) -> BlockKind:
    if heading:
        return "heading"
    if in_list:
        return "item"
    return "quote" if quoted else "text"


def _next_mark(number: int | None) -> tuple[str, list[int | None]]:
    if number is None:
        return "•", [None]
    return f"{number}.", [number + 1]


def _spans(tokens: list[Token]) -> tuple[Span, ...]:
    spans: list[Span] = []
    strong = emphasis = struck = 0
    url: str | None = None
    for token in tokens:
        step = token.nesting
        match token.type:
            case "strong_open" | "strong_close":
                strong += step
            case "em_open" | "em_close":
                emphasis += step
            case "s_open" | "s_close":
                struck += step
            case "link_open":
                address = str(token.attrs.get("href", ""))
                url = address if address.lower().startswith(_LINKS) else None
            case "link_close":
                url = None
            case "softbreak" | "hardbreak":
                spans.append(Span("\n"))
            case _ if token.content:
                spans.append(
                    Span(
                        token.content, strong > 0, emphasis > 0, token.type == "code_inline", struck > 0, url
                    )
                )
    return tuple(spans)


def _plain_block(block: Block) -> str:
    if block.kind == "rule":
        return "-" * 20
    if block.kind == "code":
        return "\n".join("    " + line for line in block.text.split("\n"))
    text = "".join(
        f"{span.text} <{span.url}>" if span.url and span.url != span.text else span.text
        for span in block.spans
    )
    if block.kind == "item":
        return "  " * (block.depth - 1) + (f"{block.mark} {text}" if block.mark else f"  {text}")
    if block.kind == "quote":
        return "\n".join("> " + line for line in text.split("\n"))
    return text


def join(parts: Iterable[tuple[Block, str]]) -> str:
    """Return written blocks as one text: a blank line between them, none between the items of a list."""
    text = ""
    before: Block | None = None
    for block, part in parts:
        if before is not None:
            text += "\n" if block.kind == before.kind == "item" else "\n\n"
        text += part
        before = block
    return text
