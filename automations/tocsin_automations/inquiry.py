"""Asking the stored history why: the way that the engine went, gone again for one automation.

The rules change at the same messages as in life, windows are warmed up as in life, and what paused the automation
pauses it again; so the answer is what the engine really decided, not what it would decide today.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tocsin_automations.automation import Automation
from tocsin_automations.live import CONTROL_TYPES, Live
from tocsin_automations.replay import Why, why
from tocsin_automations.revising import Reviser
from tocsin_automations.revisions import Revisions
from tocsin_automations.rules import Rules
from tocsin_events.search import StoredEvent
from tocsin_events.store import EventStore
from tocsin_events.view import EventView

MOST_EVENTS: Final = 2_000_000
"""How many events are replayed for one answer."""

_ABOUT_ITSELF: Final = "automation.>"


class CannotExplain(LookupError):  # noqa: N818 - it names what happened
    """There is no such automation or event, or too much would have to be replayed; the message says which."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What an automation made of an event, under which revision; ``note`` says what to bear in mind."""

    why: Why
    revision: int
    note: str = ""


async def ask_why(
    log: EventStore, revisions: Revisions, name: str, event_id: str, source: str | None = None
) -> Answer:
    """Return what an automation made of a stored event.

    Where the automation was not in force when the event came, the answer is what its present form would have made of
    it, and the note says so.

    Raises:
        CannotExplain: there is no such automation or event, or it would take more than `MOST_EVENTS`.

    """
    stored = await log.get(event_id, source)
    if stored is None:
        raise CannotExplain(f"there is no event {event_id!r} in the log")
    reviser = Reviser(revisions, log, only=name)
    forms = await _forms(log, reviser, name, stored)
    if not forms:
        return await _as_if(reviser, revisions, name, stored)
    live = await reviser.restore(None)
    seen = 0
    events = log.between(
        first=forms[0][0].sequence, last=stored.sequence - 1, patterns=_patterns([form for _, form in forms])
    )
    async for view in events:
        live.take(view)
        await reviser.change(live, view)
        seen += 1
        if seen > MOST_EVENTS:
            raise CannotExplain(f"more than {MOST_EVENTS:,} events would have to be replayed")
    return _answer(live, stored, name)


async def _forms(
    log: EventStore, reviser: Reviser, name: str, stored: StoredEvent
) -> list[tuple[EventView, Automation]]:
    """Return the messages since which the automation was there without a break, and its form at each."""
    forms: list[tuple[EventView, Automation]] = []
    async for view in log.between(last=stored.sequence - 1, patterns=["config.applied"]):
        configured = await reviser.announced(view)
        if configured is None:
            continue
        automation = configured.automations.get(name)
        if automation is None:
            forms.clear()
        else:
            forms.append((view, automation))
    return forms


async def _as_if(reviser: Reviser, revisions: Revisions, name: str, stored: StoredEvent) -> Answer:
    latest = await revisions.latest()
    configured = None if latest is None else await reviser.revision(latest.revision)
    if configured is None or name not in configured.automations:
        raise CannotExplain(f"there is no automation {name!r}")
    live = await reviser.restore(None)
    live.sequence, live.clock = stored.sequence, stored.received
    await reviser.apply(live, configured)
    note = "the automation was not in force when the event came; this is what it would have made of it"
    answer = _answer(live, stored, name)
    return Answer(answer.why, answer.revision, note)


def _answer(live: Live, stored: StoredEvent, name: str) -> Answer:
    _, told = why(live.rules, live.state, stored.view(), name)
    return Answer(told, live.configured.revision)


def _patterns(forms: Sequence[Automation]) -> list[str] | None:
    """Return the types of events that can matter to an automation; None where all can."""
    rules = [Rules.build([form], 0, 0) for form in forms]
    if any(one.follows_matter for one in rules) or any(form.limits.concurrency for form in forms):
        return None
    selectors = [selector for one in rules for part in one.parts for selector in part.selectors]
    listened = {pattern for selector in selectors for pattern in selector.patterns}
    return sorted(listened | CONTROL_TYPES | {_ABOUT_ITSELF})
