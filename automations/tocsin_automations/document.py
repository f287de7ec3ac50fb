"""YAML as Tocsin reads it: plain JSON values that remember where they stand.

A strict part of YAML 1.2. Only ``true``, ``false``, ``null`` (and an empty place) and decimal numbers are more than
text: ``on``, ``yes``, ``12:30:00``, ``2026-03-01``, ``0o17`` and ``007`` stay what was written. Keys are text. A key
that is written twice is an error; tags are refused; aliases and merge keys work, within bounds. Whatever the bytes,
`read` returns: what it can't read becomes a `Problem`, and reading goes on where it can.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from tocsin_automations.node import Entry, Node, Place, Scalar, Sequence, Table, walk
from tocsin_automations.problem import Problem, in_order, nearest

__all__ = ["Entry", "Node", "Parsed", "Place", "Scalar", "Sequence", "Table", "read", "walk"]

MAX_BYTES: Final = 4 * 1024 * 1024
"""The largest file that is read, in bytes of UTF-8."""
MAX_NODES: Final = 200_000
"""How many values a file may have, counting what its aliases repeat."""
MAX_DEPTH: Final = 64
"""How deep values may be nested."""

_Loader: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_NUMBER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)?(?:\.[0-9]+|(?<=[0-9])\.?)(?:[eE][-+]?[0-9]+)?")
_WORDS: Final[Mapping[str, bool | None]] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_BOM = "\ufeff"
_PLAIN_WORDS: Final[Mapping[str, str]] = {
    "mapping values are not allowed in this context": (
        "a second `: ` in one line, or a line indented more than the one before; "
        "quote the text if the colon belongs to it"
    ),
    "did not find expected key": "this line is not indented like the lines it belongs to",
    "did not find expected '-' indicator": "this line is not indented like the items of the list before it",
    "did not find expected <document start>": "text after the end of a document; begin a new one with ---",
    "could not find expected ':'": "a key without a colon",
}


@dataclass(frozen=True, slots=True)
class Parsed:
    """The documents of one file, and what is wrong with it."""

    file: str
    documents: tuple[Node, ...]
    problems: tuple[Problem, ...]


def read(source: str | bytes, file: str) -> Parsed:
    """Return the documents of a YAML file; ``file`` is the name that problems give.

    An empty document is left out. Never raises for whatever the source holds.
    """
    problems: list[Problem] = []
    text = _text(source, file, problems)
    if text is None:
        return Parsed(file, (), in_order(problems))
    reader = _Reader(text, file, problems)
    documents = tuple(reader.documents())
    return Parsed(file, documents, in_order(problems))


def _text(source: str | bytes, file: str, problems: list[Problem]) -> str | None:
    if len(source) > MAX_BYTES:
        message = f"the file is larger than {MAX_BYTES // 1024 // 1024} MiB; split it into several"
        problems.append(Problem(file, 1, 1, message))
        return None
    text = source if isinstance(source, str) else _decoded(source, file, problems)
    if text is None:
        return None
    text = text.removeprefix(_BOM)
    match = _UNPRINTABLE.search(text)
    if match is None:
        return text
    line = text.count("\n", 0, match.start()) + 1
    column = match.start() - text.rfind("\n", 0, match.start())
    message = (
        f"the character U+{ord(match.group()):04X} is not allowed; write it as an escape in double quotes"
    )
    problems.append(Problem(file, line, column, message))
    return None


def _decoded(source: bytes, file: str, problems: list[Problem]) -> str | None:
    if source.startswith((b"\xff\xfe", b"\xfe\xff")):
        problems.append(Problem(file, 1, 1, "the file is in UTF-16; save it as UTF-8"))
        return None
    try:
        return source.decode()
    except UnicodeDecodeError as problem:
        before = source[: problem.start].decode()
        line = before.count("\n") + 1
        column = len(before) - before.rfind("\n")
        problems.append(Problem(file, line, column, "the file is not UTF-8 text from here on"))
        return None


class _Stop(Exception):  # noqa: N818 - it ends the reading of a file
    """Reading can't go on; the problem has been noted."""


@dataclass(slots=True)
class _Reader:
    """Builds nodes from the parser's events, one document after another."""

    text: str
    file: str
    problems: list[Problem]
    lines: list[str] = field(default_factory=list)
    events: Iterator[Any] = field(init=False)
    anchors: dict[str, tuple[Node, int]] = field(default_factory=dict)
    open_anchors: set[str] = field(default_factory=set)
    count: int = 0
    depth: int = 0

    def documents(self) -> Iterator[Node]:
        self.lines = self.text.split("\n")
        try:
            self.events = yaml.parse(self.text, Loader=_Loader)
            for event in self.events:
                if isinstance(event, yaml.DocumentStartEvent):
                    self.anchors.clear()
                    node = self._node(next(self.events))
                    if not (isinstance(node, Scalar) and node.value is None):
                        yield node
        except yaml.YAMLError as error:
            self._not_yaml(error)
        except _Stop:
            pass

    def _not_yaml(self, error: yaml.YAMLError) -> None:
        written = str(getattr(error, "problem", None) or "this is not YAML")
        context = str(getattr(error, "context", None) or "")
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        if written == "found unexpected end of stream" and "quoted" in context:
            mark, written = error.context_mark, "this quote is never closed"  # type: ignore[attr-defined]
        elif "while parsing a flow" in context:
            opened = error.context_mark  # type: ignore[attr-defined]
            written += f" for what was opened at {opened.line + 1}:{opened.column + 1}"
        line, column = (mark.line, mark.column) if mark is not None else (0, 0)
        here = self.lines[line][column : column + 1] if line < len(self.lines) else ""
        if written == "found character that cannot start any token":
            message = (
                "a tab stands where YAML wants spaces"
                if here == "\t"
                else f"a text that begins with {here!r} needs quotes"
            )
        else:
            message = _PLAIN_WORDS.get(written, written)
        self.problems.append(Problem(self.file, line + 1, column + 1, f"not valid YAML: {message}"))

    def _problem(self, place: Place, message: str, suggestion: str | None = None) -> None:
        self.problems.append(Problem(self.file, place.line, place.column, message, suggestion))

    def _stop(self, place: Place, message: str) -> _Stop:
        self._problem(place, message)
        return _Stop()

    def _spend(self, nodes: int, place: Place) -> None:
        self.count += nodes
        if self.count > MAX_NODES:
            raise self._stop(
                place, f"the file has more than {MAX_NODES} values, counting what aliases repeat"
            )

    def _node(self, event: Any) -> Node:
        place = _place(event)
        self._spend(1, place)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(str(event.anchor), place)
        if event.tag is not None:
            self._problem(place, "tags (! and !!) are not allowed; quote a value to keep it as text")
        anchor, before = event.anchor, self.count
        if anchor is not None:
            self.open_anchors.add(anchor)
        node = self._value(event, place)
        if anchor is not None:
            self.open_anchors.discard(anchor)
            self.anchors[anchor] = node, self.count - before + 1
        return node

    def _value(self, event: Any, place: Place) -> Node:
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event, place)
        if self.depth >= MAX_DEPTH:
            raise self._stop(place, f"nested more than {MAX_DEPTH} levels deep")
        self.depth += 1
        node = self._sequence(place) if isinstance(event, yaml.SequenceStartEvent) else self._table(place)
        self.depth -= 1
        return node

    def _alias(self, anchor: str, place: Place) -> Node:
        if anchor in self.open_anchors:
            self._problem(place, f"*{anchor} stands inside the value that it names")
            return Scalar(None, place)
        if anchor not in self.anchors:
            self._problem(place, f"no &{anchor} before this in the document", nearest(anchor, self.anchors))
            return Scalar(None, place)
        node, size = self.anchors[anchor]
        self._spend(size, place)
        return node

    def _scalar(self, event: Any, place: Place) -> Scalar:
        style = event.style or ""
        if style:
            return Scalar(event.value, place, event.value, style, self._indent(place) if style == "|" else 0)
        return Scalar(self._resolve(event.value, place), place, event.value)

    def _indent(self, place: Place) -> int:
        for line in self.lines[place.line :]:
            if line.strip():
                return len(line) - len(line.lstrip(" "))
        return 0

    def _resolve(self, written: str, place: Place) -> str | int | float | bool | None:
        if written in _WORDS:
            return _WORDS[written]
        if _INTEGER.fullmatch(written):
            if len(written) <= 20 and -(2**63) <= int(written) < 2**63:
                return int(written)
            self._problem(place, "a whole number beyond 64 bits; quote it to keep it as text")
            return None
        if _NUMBER.fullmatch(written):
            number = float(written)
            if abs(number) != float("inf"):
                return number
            self._problem(place, "a number that is too large; quote it to keep it as text")
            return None
        return written

    def _sequence(self, place: Place) -> Sequence:
        items: list[Node] = []
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            items.append(self._node(event))
        return Sequence(tuple(items), place)

    def _table(self, place: Place) -> Table:
        entries: dict[str, Entry] = {}
        merged: list[tuple[Place, Node]] = []
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            at = _place(event)
            key = self._key(event, at)
            node = self._node(next(self.events))
            if key is None:
                continue
            if key == "<<" and not event.style:
                merged.append((at, node))
            elif key in entries:
                first = entries[key].place
                self._problem(
                    at, f"the key {key!r} is here twice; first at {self.file}:{first.line}:{first.column}"
                )
            else:
                entries[key] = Entry(at, node)
        for at, node in merged:
            self._merge(entries, node, at)
        return Table(entries, place)

    def _key(self, event: Any, place: Place) -> str | None:
        if isinstance(event, yaml.ScalarEvent):
            self._node(event)
            return str(event.value)
        if isinstance(event, yaml.AliasEvent):
            node = self._node(event)
            if isinstance(node, Scalar) and isinstance(node.value, str):
                return node.value
        else:
            self._node(event)
        self._problem(place, "a key must be a text")
        return None

    def _merge(self, entries: dict[str, Entry], node: Node, place: Place) -> None:
        tables = node.items if isinstance(node, Sequence) else (node,)
        for table in tables:
            if not isinstance(table, Table):
                self._problem(place, "<< takes a mapping, or a list of mappings")
                return
            self._spend(len(table.entries), place)
            for key, entry in table.entries.items():
                entries.setdefault(key, entry)


def _place(event: Any) -> Place:
    return Place(event.start_mark.line + 1, event.start_mark.column + 1)
