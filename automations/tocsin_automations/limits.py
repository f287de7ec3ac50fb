"""Flow control: how often an automation may fire, whatever its trigger says."""

from typing import Annotated, Literal, Self

import msgspec
from pydantic import BaseModel, ConfigDict, Field, model_validator

from tocsin_automations.decision import Outcome
from tocsin_automations.trigger import Fire, Ref
from tocsin_automations.words import Duration


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Debounce(_Part):
    """Fire once, when no further match came for ``wait``, at the latest ``at_most`` after the first."""

    wait: Duration
    at_most: Duration | None = None
    deliver: Literal["last", "first", "all"] = "last"


class Batch(_Part):
    """Collect up to ``size`` matches from the first one on for at most ``wait``; fire once with all of them."""

    size: Annotated[int, Field(ge=1, le=10_000)]
    wait: Duration


class Rate(_Part):
    """A fuse over the whole automation: at most ``max`` firings in any time of length ``per``."""

    max: Annotated[int, Field(ge=1, le=100_000)]
    per: Duration
    then: Literal["suppress", "pause"] = "suppress"


class Concurrency(_Part):
    """At most ``max`` firings whose runs have not ended; what becomes of a further one."""

    max: Annotated[int, Field(ge=1, le=10_000)]
    mode: Literal["queue", "skip", "restart"] = "queue"


class Limits(_Part):
    """Flow control, per key unless ``scope`` is ``automation``; ``rate`` is always about the whole automation."""

    scope: Literal["key", "automation"] = "key"
    chain: Annotated[int, Field(ge=0, le=1_000)] = 8
    debounce: Debounce | None = None
    batch: Batch | None = None
    cooldown: Duration | None = None
    rate: Rate | None = None
    concurrency: Concurrency | None = None

    @model_validator(mode="after")
    def _one_way_to_collect(self) -> Self:
        if self.debounce is not None and self.batch is not None:
            raise ValueError("debounce and batch exclude each other: keep one")
        return self

    @property
    def remember(self) -> bool:
        """Tell whether any of them needs to remember firings."""
        return bool(self.debounce or self.batch or self.cooldown or self.rate or self.concurrency)

    def place(self, key: str) -> str:
        """Return under which key they remember the firings of a key."""
        return "" if self.scope == "automation" else key


class Match(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A trigger fired for a key: a firing, if the limits let it pass. ``at`` is the clock."""

    id: str
    key: str
    at: int
    fire: Fire


class Active(msgspec.Struct, gc=False, array_like=True):
    """A firing whose runs have not all ended."""

    firing: str
    runs: int


class LimitState(msgspec.Struct, gc=False, array_like=True):
    """What the limits remember of one key (or of the whole automation).

    ``last`` is the latest firing, ``suppressed`` how many were held back since; ``collected`` waits for a debounce
    or a batch, ``queue`` for runs to end; ``log`` are the firings that the fuse counts. ``over`` are the keys of firings
    that still wait although their natural opposite has happened, with the event that showed it.
    """

    last: int | None = None
    suppressed: int = 0
    collected: list[Match] = []
    queue: list[Match] = []
    active: list[Active] = []
    log: list[int] = []
    over: dict[str, Ref | None] = {}

    def waits(self, key: str) -> bool:
        """Tell whether a firing of a key waits to be let through."""
        return any(match.key == key for match in (*self.collected, *self.queue))

    def due(self, limits: Limits) -> int | None:
        """Return when what is collected must fire, or when a cooldown that held nothing back can be forgotten."""
        if self.collected:
            first, latest = self.collected[0].at, self.collected[-1].at
            if limits.debounce is not None:
                ends = latest + limits.debounce.wait
                most = limits.debounce.at_most
                return ends if most is None else min(ends, first + most)
            if limits.batch is not None:
                return first + limits.batch.wait
        if self.is_idle and self.last is not None:
            return self.last + (limits.cooldown or 0)
        return None

    def is_over(self, limits: Limits, now: int) -> bool:
        """Tell whether no cooldown runs."""
        return self.last is None or now >= self.last + (limits.cooldown or 0)

    @property
    def is_idle(self) -> bool:
        """Tell whether nothing but a cooldown is remembered."""
        return not (self.suppressed or self.collected or self.queue or self.active or self.log)


def collect(limits: Limits, state: LimitState, match: Match) -> tuple[Outcome | None, Match | None]:
    """Put a match to those that wait for a debounce or a batch.

    Returns the outcome for this match, or None with the match that fires now.
    """
    if limits.debounce is None and limits.batch is None:
        return None, match
    state.collected.append(match)
    if limits.debounce is not None:
        return Outcome.DEBOUNCED, None
    if limits.batch is not None and len(state.collected) >= limits.batch.size:
        return None, release(limits, state)
    return Outcome.BATCHED, None


def release(limits: Limits, state: LimitState) -> Match:
    """Return what was collected as one match; those that are dropped count as suppressed."""
    matches = sorted(state.collected, key=lambda match: match.fire.time)
    state.collected = []
    deliver = limits.debounce.deliver if limits.debounce is not None else "all"
    if deliver != "all":
        state.suppressed += len(matches) - 1
        return matches[0 if deliver == "first" else -1]
    last = matches[-1]
    events = tuple(sorted({ref for match in matches for ref in match.fire.events}))
    fire = msgspec.structs.replace(last.fire, events=events, count=len(events))
    return msgspec.structs.replace(last, fire=fire)


def in_cooldown(limits: Limits, state: LimitState, at: int) -> bool:
    """Tell whether the last firing was less than the cooldown ago."""
    return limits.cooldown is not None and state.last is not None and at < state.last + limits.cooldown


def over_rate(limits: Limits, fuse: LimitState, at: int) -> bool:
    """Tell whether the fuse has let as many firings pass as it may."""
    rate = limits.rate
    if rate is None:
        return False
    fuse.log = [then for then in fuse.log if then > at - rate.per]
    return len(fuse.log) >= rate.max
