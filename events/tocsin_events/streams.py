"""The one place that says which streams there are, which subjects they carry, and what they keep.

Pure data: `tocsin_events.bus` makes it so. A token that a subject can't carry as it is (blanks, control characters,
``*``, ``>``, ``%``) is percent-encoded, and an empty token of a type is a lone ``%``, so that a type and its subject
have the same number of tokens and name each other exactly.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import Final, Literal
from urllib.parse import unquote

from tocsin_events.instant import SECOND
from tocsin_events.pattern import matches

EVENTS: Final = "EVENTS"
ACTIONS: Final = "ACTIONS"
DELIVERIES: Final = "DELIVERIES"
RUNS: Final = "RUNS"
LOGS: Final = "LOGS"

EVENT_SUBJECTS: Final = "tocsin.events.>"
TICK_SUBJECTS: Final = "tocsin.ticks.>"
"""Ticks of the engines' clocks: they stand among the events, so that time is part of the stream."""
LOG_SUBJECTS: Final = "tocsin.logs.>"

SERVICE_KINDS: Final = (
    "alert", "automation", "config", "dead-letter", "notification", "service", "silence", "webhook",
)  # fmt: skip
"""The kinds that the service alone tells of: it obeys these events, or vouches for them."""

DUPLICATE_WINDOW: Final = 600 * SECOND
"""How long the bus itself knows a message id again, in microseconds."""

MAX_SUBJECT_BYTES: Final = 3000
"""The longest subject, in bytes: nats-server ends the connection at a control line of 4096."""

_UNSAFE = re.compile(r"[\x00-\x20\x7f%*>\x85\xa0\u1680\u2000-\u200b\u2028\u2029\u202f\u205f\u3000]")
_MIB, _GIB = 1024**2, 1024**3
_DAY = 86_400 * SECOND


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """How much the bus keeps: ages in microseconds, sizes in bytes; ``replicas`` as the NATS cluster can hold.

    What the recorder or an engine has not read yet is kept whatever the limits say: ``events_bytes`` is then a wall,
    at which publishing is refused.
    """

    events_age: int = 7 * _DAY
    events_bytes: int = 10 * _GIB
    queue_bytes: int = 1 * _GIB
    logs_age: int = 1 * _DAY
    logs_bytes: int = 1 * _GIB
    replicas: int = 1


@dataclass(frozen=True, slots=True)
class Stream:
    """One stream: ``kind`` is ``log`` (kept until we trim it), ``queue`` (kept until done) or ``ring`` (oldest out)."""

    name: str
    subjects: tuple[str, ...]
    kind: Literal["log", "queue", "ring"]
    max_bytes: int
    max_age: int = 0
    replicas: int = 1
    description: str = field(default="")


def streams(limits: StreamLimits) -> tuple[Stream, ...]:
    """Return all streams of the service."""
    queue = {"max_bytes": limits.queue_bytes, "replicas": limits.replicas}
    return (
        Stream(
            EVENTS, (EVENT_SUBJECTS, TICK_SUBJECTS), "log", limits.events_bytes, replicas=limits.replicas,
            description="Everything that happened, one CloudEvent a message",
        ),
        Stream(ACTIONS, ("tocsin.actions.>",), "queue", **queue, description="Actions to be done"),
        Stream(DELIVERIES, ("tocsin.deliveries.>",), "queue", **queue, description="Notifications to be delivered"),
        Stream(RUNS, ("tocsin.runs.>",), "queue", **queue, description="Runs to be started by workers"),
        Stream(
            LOGS, (LOG_SUBJECTS,), "ring", limits.logs_bytes, limits.logs_age, limits.replicas,
            description="Lines that runs log",
        ),
    )  # fmt: skip


STREAM_OF_PREFIX: Final[Mapping[str, str]] = MappingProxyType(
    {
        "events": EVENTS,
        "ticks": EVENTS,
        "actions": ACTIONS,
        "deliveries": DELIVERIES,
        "runs": RUNS,
        "logs": LOGS,
    }
)


@lru_cache(maxsize=2048)
def event_subject(type_: str) -> str:
    """Return the subject of an event type.

    Raises:
        ValueError: the type is empty or too long to be a subject.

    """
    if not type_:
        raise ValueError("an event has a type")
    return _checked("tocsin.events." + ".".join(_token(part) for part in type_.split(".")))


def told_by_service_alone(type_: str) -> bool:
    """Tell whether nobody but the service may tell of an event of a type."""
    return type_.partition(".")[0] in SERVICE_KINDS and "." in type_


def event_type(subject: str) -> str:
    """Return the event type that a subject stands for; the inverse of `event_subject`."""
    return unquote(".".join("" if part == "%" else part for part in subject.split(".")[2:]))


def event_filters(patterns: Iterable[str]) -> list[str]:
    """Return the subjects to ask the bus for, or one for all events where the bus could not tell them apart.

    The result may let through more than the patterns: who reads checks the type.
    """
    kept = _widest(list(dict.fromkeys(patterns)))
    if not kept or len(kept) > _MOST_FILTERS or _any_collide(kept):
        return [EVENT_SUBJECTS]
    return [
        "tocsin.events." + ".".join(part if part in ("*", ">") else _token(part) for part in one.split("."))
        for one in kept
    ]


def action_subject(kind: str) -> str:
    """Return the subject of actions of a kind."""
    return _checked(f"tocsin.actions.{_whole(kind)}")


def delivery_subject(notifier: str) -> str:
    """Return the subject of deliveries through a notifier."""
    return _checked(f"tocsin.deliveries.{_whole(notifier)}")


def run_subject(pool: str, queue: str) -> str:
    """Return the subject of the runs that wait in a queue of a work pool."""
    return _checked(f"tocsin.runs.{_whole(pool)}.{_whole(queue)}")


def tick_subject(shard: str) -> str:
    """Return the subject of the ticks that move the clock of a shard's engine."""
    return _checked(f"tocsin.ticks.{_whole(shard)}")


def log_subject(run_id: str) -> str:
    """Return the subject of a run's log lines."""
    return _checked(f"tocsin.logs.{_whole(run_id)}")


_MOST_FILTERS: Final = 100


def _token(part: str) -> str:
    return _UNSAFE.sub(_percent, part) or "%"


def _whole(name: str) -> str:
    """Return a name as exactly one token, whatever is in it."""
    return _token(name).replace(".", "%2E")


def _percent(found: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in found[0].encode())


def _checked(subject: str) -> str:
    try:
        size = len(subject) if subject.isascii() else len(subject.encode())
    except UnicodeEncodeError:
        raise ValueError(f"{subject!r} has characters that UTF-8 has no form for") from None
    if size > MAX_SUBJECT_BYTES:
        raise ValueError(f"a type or name takes {size} bytes as a subject; {MAX_SUBJECT_BYTES} at most")
    return subject


def _widest(patterns: Sequence[str]) -> list[str]:
    return [one for one in patterns if not any(other != one and _covers(other, one) for other in patterns)]


def _covers(wide: str, narrow: str) -> bool:
    """Tell whether every type that fits ``narrow`` fits ``wide``."""
    return wide == narrow or (not ("*" in wide and ">" in narrow.split(".")) and matches(wide, narrow))


def _any_collide(patterns: Sequence[str]) -> bool:
    split = [one.split(".") for one in patterns]
    return any(_collide(split[i], split[j]) for i in range(len(split)) for j in range(i))


def _collide(left: Sequence[str], right: Sequence[str]) -> bool:
    """Tell whether some type fits both."""
    for ours, theirs in zip(left, right, strict=False):
        if ">" in (ours, theirs):
            return True
        if ours != theirs and "*" not in (ours, theirs):
            return False
    return len(left) == len(right)
