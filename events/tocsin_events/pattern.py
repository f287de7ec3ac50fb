"""Patterns of event types: NATS's, with ``*`` for one token and a trailing ``>`` for one or more."""

import re
from collections.abc import Iterable

_TOKEN = re.compile(r"[^\s.*>]+")


def check_pattern(pattern: str) -> str | None:
    """Return what is wrong with a pattern, or None."""
    tokens = pattern.split(".")
    for place, written in enumerate(tokens):
        if written == ">" and place < len(tokens) - 1:
            return f"{pattern!r}: > stands only at the end"
        if written not in ("*", ">") and not _TOKEN.fullmatch(written):
            return f"{pattern!r}: a token is empty or mixes wildcards with text; use * for a whole token"
    return None


def matches(pattern: str, type_: str) -> bool:
    """Tell whether an event type fits a pattern."""
    if pattern == type_:
        return True
    wanted = pattern.split(".")
    tokens = type_.split(".")
    if wanted[-1] == ">":
        if len(tokens) < len(wanted):
            return False
        wanted = wanted[:-1]
    elif len(tokens) != len(wanted):
        return False
    return all(want in ("*", token) for want, token in zip(wanted, tokens, strict=False))


def matches_any(patterns: Iterable[str], type_: str) -> bool:
    """Tell whether an event type fits one of the patterns."""
    return any(matches(pattern, type_) for pattern in patterns)
