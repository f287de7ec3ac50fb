"""Prefect's Jinja templates as ours: the same language, other names."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from jinja2 import Environment, TemplateSyntaxError

from tocsin_events.template import TemplateProblem, compile_template
from tocsin_server.prefect_import.report import Notes

_RENAMED: Final[Mapping[tuple[str, ...], tuple[str, ...]]] = {
    ("event", "event"): ("event", "type"),
    ("event", "occurred"): ("event", "time"),
    ("event", "payload"): ("data",),
    ("event", "related"): ("related",),
    ("event", "resource"): ("resource",),
    ("event", "url"): ("why_url",),
    ("flow_run", "deployment_id"): ("deployment", "id"),
    ("flow_run", "flow_id"): ("flow", "id"),
    ("flow_run", "parameters"): ("data", "parameters"),
    ("flow_run", "run_count"): ("data", "attempt"),
    ("flow_run", "state", "timestamp"): ("data", "state", "time"),
    ("flow_run", "state"): ("data", "state"),
    ("task_run", "run_count"): ("data", "attempt"),
    ("task_run", "state", "timestamp"): ("data", "state", "time"),
    ("task_run", "state"): ("data", "state"),
    ("automation", "name"): ("firing", "automation"),
    ("firing", "triggered"): ("now",),
    ("firing", "triggering_event"): ("event",),
    ("firing", "id"): ("firing", "id"),
    ("variables",): ("vars",),
}
_OBJECTS: Final = frozenset({"flow", "flow_run", "task_run", "deployment", "work_pool", "work_queue"})
_FIELDS: Final = frozenset({"id", "name", "tags", "labels"})
_EVENT: Final = frozenset({"id", "type", "time", "received", "follows"})
_LABELS: Final[Mapping[tuple[str, ...], tuple[str, ...]]] = {
    ("prefect.resource.id",): ("id",),
    ("prefect.resource.name",): ("name",),
    ("prefect.resource.role",): ("role",),
    ("labels", "prefect", "resource", "id"): ("id",),
    ("labels", "prefect", "resource", "name"): ("name",),
}
_LINKS: Final = frozenset({"ui_url", "ui_resource_events_url"})


@dataclass(frozen=True, slots=True)
class Templates:
    """Translates the templates of one automation; ``labels`` are those of its ``for_each``."""

    notes: Notes
    labels: Sequence[str]

    def text(self, template: str, where: str) -> str | None:
        """Return the template with our names, or None (and a note) where it uses what ours don't have."""
        if "{{" not in template and "{%" not in template and "{#" not in template:
            return template
        try:
            tokens = [_Token(kind, value) for _, kind, value in _LEXER.lex(template) if kind != "comment"]
            written = "".join(self._translated(tokens))
            compile_template(written)
        except TemplateSyntaxError as problem:
            self.notes.left_out(f"{where}: it is no template: {problem.message}")
            return None
        except TemplateProblem as problem:
            self.notes.left_out(f"{where}: templates here can't say it: {problem}")
            return None
        return written

    def _translated(self, tokens: "list[_Token]") -> list[str]:
        written: list[str] = []
        place = 0
        behind = ""
        while place < len(tokens):
            token = tokens[place]
            if token.kind == "name" and behind not in (".", "|") and token.text not in _WORDS:
                path, place = _path(tokens, place)
                link, after = _link(tokens, place)
                place = after
                written.append(self._linked(path) if link else _written(self._renamed(path)))
                behind = ""
                continue
            if token.kind != "whitespace":
                behind = token.text
            written.append(token.text)
            place += 1
        return written

    def _linked(self, path: tuple[str, ...]) -> str:
        if path[0] == "flow_run":
            return "run_url"
        self.notes.differs(f"the link to {'.'.join(path)} became the one that explains the firing")
        return "why_url"

    def _renamed(self, path: tuple[str, ...]) -> tuple[str, ...]:
        if path[0] == "labels" and len(path) > 1:
            return self._label(".".join(path[1:]))
        for length in range(len(path), 0, -1):
            if path[:length] in _RENAMED:
                return self._resource((*_RENAMED[path[:length]], *path[length:]))
        if path[0] in _OBJECTS and path[1:2] and path[1] not in _FIELDS:
            self.notes.differs(f"{'.'.join(path)} is not known here: it prints as missing in a message")
        if path[0] == "event" and path[1:2] and path[1] not in _EVENT:
            self.notes.differs(f"{'.'.join(path)} is not known here: it prints as missing in a message")
        return path

    def _resource(self, path: tuple[str, ...]) -> tuple[str, ...]:
        if path[0] != "resource":
            return path
        for label, ours in _LABELS.items():
            if path[1 : 1 + len(label)] == label:
                return ("resource", *ours, *path[1 + len(label) :])
        if len(path) == 2 and path[1] not in _FIELDS:
            return ("resource", "labels", path[1])
        return path

    def _label(self, label: str) -> tuple[str, ...]:
        if label in self.labels:
            return ("key", str(self.labels.index(label)))
        self.notes.differs(f"the label {label} is not among `for_each`: it prints as missing in a message")
        return ("resource", "labels", label)


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str


_LEXER: Final = Environment(keep_trailing_newline=True, autoescape=True)
_WORDS: Final = frozenset(
    {"and", "else", "elif", "endfor", "endif", "endset", "false", "False", "for", "if", "in", "is", "none", "None", "not",
     "or", "recursive", "set", "true", "True"}
)  # fmt: skip


def _path(tokens: list[_Token], place: int) -> tuple[tuple[str, ...], int]:
    """Return the names of a dotted path from a place on, and where it ends: a.b["c"] is a, b, c."""
    path = [tokens[place].text]
    place += 1
    while place + 1 < len(tokens):
        following = tokens[place + 1]
        if tokens[place].text == "." and following.kind == "name":
            path.append(following.text)
            place += 2
        elif tokens[place].text == "[" and following.kind == "string" and _closes(tokens, place + 2):
            path.append(following.text[1:-1])
            place += 3
        else:
            break
    return tuple(path), place


def _closes(tokens: list[_Token], place: int) -> bool:
    return place < len(tokens) and tokens[place].text == "]"


def _link(tokens: list[_Token], place: int) -> tuple[bool, int]:
    """Tell whether a filter for links follows, and where what it is about ends."""
    following = [at for at in range(place, min(place + 4, len(tokens))) if tokens[at].kind != "whitespace"]
    if len(following) >= 2 and tokens[following[0]].text == "|" and tokens[following[1]].text in _LINKS:
        return True, following[1] + 1
    return False, place


def _written(path: tuple[str, ...]) -> str:
    first, *rest = path
    return first + "".join(_step(one) for one in rest)


def _step(name: str) -> str:
    if name.isdecimal():
        return f"[{name}]"
    if name.isidentifier():
        return f".{name}"
    plain = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'["{plain}"]'
