"""Prefect's event names, and the types of ours that say the same."""

import re
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Final

from tocsin_events.catalogue import EVENT_TYPES
from tocsin_events.pattern import check_pattern
from tocsin_server.prefect_import.report import CannotTranslateError, Notes

STATES: Final[Mapping[str, str]] = {
    "Scheduled": "scheduled",
    "Late": "late",
    "AwaitingRetry": "retrying",
    "Pending": "pending",
    "Running": "running",
    "Retrying": "running",
    "Completed": "completed",
    "Cached": "cached",
    "Failed": "failed",
    "TimedOut": "timed-out",
    "Crashed": "crashed",
    "Cancelled": "cancelled",
    "Cancelling": "cancelling",
    "Paused": "paused",
    "Suspended": "suspended",
    "Resuming": "resumed",
}
"""Prefect's names of states, and the words of our event types."""

_AUTOMATION: Final[Mapping[str, str]] = {
    "created": "created",
    "updated": "updated",
    "deleted": "deleted",
    "triggered": "fired",
    "resolved": "resolved",
    "action.executed": "action-succeeded",
    "action.failed": "action-failed",
}


def _table() -> dict[str, str]:
    runs = {
        f"prefect.{kind}.{state}": f"{kind}.{word}"
        for kind in ("flow-run", "task-run")
        for state, word in STATES.items()
        if f"{kind}.{word}" in EVENT_TYPES
    }
    same = {
        f"prefect.{type_}": type_
        for type_, entry in EVENT_TYPES.items()
        if entry.kind in ("deployment", "work-pool", "work-queue", "worker") or type_ == "flow-run.heartbeat"
    }
    told = {
        f"{origin}.automation.{theirs}": f"automation.{ours}"
        for origin in ("prefect", "prefect-cloud")
        for theirs, ours in _AUTOMATION.items()
    }
    return {**runs, **same, **told}


_KNOWN: Final = _table()
_NEARLY: Final = {
    "Retrying": "a retry that starts is {kind}.running here, as every start is; data.attempt tells which attempt it is",
    "AwaitingRetry": "{kind}.retrying is what waits for its next attempt",
}


def types_of(names: Iterable[str], notes: Notes) -> tuple[tuple[str, ...], str | None]:
    """Return the patterns of our types for Prefect's event names, and a condition that they need beside them, if any.

    Raises:
        CannotTranslateError: a name is nothing that an event can be called.

    """
    patterns: list[str] = []
    globs: list[str] = []
    for name in names:
        found = _patterns(name, notes)
        if found is None:
            globs.append(name)
        patterns.extend(found or ())
    if not globs:
        return tuple(dict.fromkeys(patterns)) or (">",), None
    exact = [f"event.type.matches({quoted(pattern_of(glob))})" for glob in globs]
    exact += [f"event.type.matches({quoted(_regular(pattern))})" for pattern in dict.fromkeys(patterns)]
    return (">",), " || ".join(exact)


def _patterns(name: str, notes: Notes) -> list[str] | None:
    """Return the patterns for one name; None where it has wildcards that ours can't say."""
    if name.startswith("!"):
        raise CannotTranslateError(
            f"the event name {name!r} is negated, which never matches in Prefect either"
        )
    if name in _KNOWN:
        _tell_of_near_ones(name, notes)
        return [_KNOWN[name]]
    if not re.search(r"[*?[]", name):
        return [_from_outside(name, notes)]
    known = [ours for theirs, ours in _KNOWN.items() if fnmatchcase(theirs, name)]
    if known:
        return _together(known)
    if name == "*":
        return [">"]
    stem = name.removesuffix(".*")
    if stem != name and not re.search(r"[*?[]", stem):
        return [f"{_from_outside(stem, notes)}.>"]
    notes.differs(
        f"the events {name} are looked for among all events, which costs more than naming their types"
    )
    return None


def _from_outside(name: str, notes: Notes) -> str:
    if problem := check_pattern(name):
        raise CannotTranslateError(f"no event can be called that: {problem}")
    if name.startswith(("prefect.", "prefect-cloud.")):
        notes.to_do(f"nothing in Tocsin makes the event {name}: name what should stand for it")
    return name


def _tell_of_near_ones(name: str, notes: Notes) -> None:
    _, kind, state = name.split(".", 2)
    if state in _NEARLY:
        notes.differs(f"{name}: {_NEARLY[state].format(kind=kind)}")


def _together(types: list[str]) -> list[str]:
    """Return all types of a kind as one pattern where Prefect's wildcard meant all of them."""
    found: dict[str, None] = {}
    for kind in dict.fromkeys(type_.split(".")[0] for type_ in types):
        here = {type_ for type_ in types if type_.startswith(f"{kind}.")}
        all_ = {ours for ours in _KNOWN.values() if ours.startswith(f"{kind}.")}
        found.update(dict.fromkeys([f"{kind}.*"] if here == all_ else sorted(here)))
    return list(found)


def pattern_of(glob: str) -> str:
    """Return a shell pattern as a regular expression for the whole text."""
    parts: list[str] = []
    rest = glob
    while rest:
        if bracket := re.match(r"\[(!?)(\]?[^\]]*)\]", rest):
            inside = re.sub(r"([\\^\[\]])", r"\\\1", bracket[2])
            parts.append(f"[{'^' if bracket[1] else ''}{inside}]" if inside else re.escape(bracket[0]))
            rest = rest[bracket.end() :]
            continue
        parts.append({"*": ".*", "?": "."}.get(rest[0]) or re.escape(rest[0]))
        rest = rest[1:]
    return f"(?s)^{''.join(parts)}$"


def _regular(pattern: str) -> str:
    tokens = [{"*": r"[^.]+", ">": ".+"}.get(token) or re.escape(token) for token in pattern.split(".")]
    return "^" + r"\.".join(tokens) + "$"


def quoted(text: str) -> str:
    """Return a text as a literal of CEL."""
    plain = text.replace("\\", "\\\\").replace('"', '\\"')
    escapes = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
    return '"' + "".join(escapes.get(char) or _visible(char) for char in plain) + '"'


def _visible(char: str) -> str:
    return char if char.isprintable() else f"\\U{ord(char):08x}"
