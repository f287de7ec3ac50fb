"""Keeping secrets that this process has read out of what it tells others: log lines, events, error messages.

Secrets shorter than six characters are not looked for: replacing "on" everywhere would hide nothing and spoil much.
"""

from typing import Any

MASK = "••••••"
_SHORTEST = 6

# Values revealed to this process; it can't be narrower than the process, as the values may turn up in any thread.
_revealed: set[str] = set()


def remember(secret: str) -> None:
    """Mask a value from now on."""
    if len(secret) >= _SHORTEST:
        _revealed.add(secret)


def is_needed() -> bool:
    """Whether there is any value to mask."""
    return bool(_revealed)


def redact_text(text: str) -> str:
    """Return a text with the secrets masked."""
    for secret in sorted(_revealed, key=len, reverse=True):
        text = text.replace(secret, MASK)
    return text


def redact(value: Any) -> Any:
    """Return a JSON-like value with the secrets masked in all its texts."""
    match value:
        case str():
            return redact_text(value)
        case dict():
            return {redact(key): redact(item) for key, item in value.items()}
        case list() | tuple():
            return [redact(item) for item in value]
    return value
