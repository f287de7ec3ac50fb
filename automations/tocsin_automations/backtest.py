"""Backtests: what rules would have done over stored history, beside what really fired. Runs no action.

`Backtest` is fed the events and keeps what fires; `report_of` makes the report. Both pure: whoever reads the store feeds
them.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from tocsin_automations.automation import Automation
from tocsin_automations.decision import Decision, Firing
from tocsin_automations.engine import Tick, initial_state, step, warm_up
from tocsin_automations.rules import Rules
from tocsin_events.instant import SECOND, to_rfc3339
from tocsin_events.view import EventView

_NOTIFY: Final = "notify"
_MOST_NAMED: Final = 20
_HOUR, _DAY = 3_600 * SECOND, 86_400 * SECOND

_encode = msgspec.json.Encoder(order="sorted").encode


@dataclass(frozen=True)
class Fired:
    """A firing, as two histories are compared by it; ``key`` is its JSON text."""

    at: int
    automation: str
    state: str
    key: str


@dataclass(frozen=True, slots=True)
class Grouping:
    """How a notifier groups: its first message after ``wait``, changes after ``interval``, in microseconds."""

    wait: int = 0
    interval: int = 0


@dataclass(frozen=True, slots=True)
class Tested:
    """What one automation would have done: its firings over time and by key, and how that differs from what was."""

    name: str
    fired: int
    resolved: int
    suppressed: int
    notifications: int
    keys: Mapping[str, int]
    timeline: Mapping[int, int]
    same: int
    new: Sequence[Fired]
    gone: Sequence[Fired]

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values; of the differences and keys the first 20."""
        return {
            "name": self.name,
            "fired": self.fired,
            "resolved": self.resolved,
            "suppressed": self.suppressed,
            "notifications": self.notifications,
            "keys": len(self.keys),
            "top_keys": [
                {"key": msgspec.json.decode(key), "fired": count}
                for key, count in sorted(self.keys.items(), key=lambda one: (-one[1], one[0]))[:_MOST_NAMED]
            ],
            "timeline": [
                {"at": to_rfc3339(at), "fired": count} for at, count in sorted(self.timeline.items())
            ],
            "really": {
                "same": self.same,
                "new": len(self.new),
                "gone": len(self.gone),
                "first_new": [_named(one) for one in self.new[:_MOST_NAMED]],
                "first_gone": [_named(one) for one in self.gone[:_MOST_NAMED]],
            },
        }


class Backtest:
    """Rules over history, from the instant ``since`` on (microseconds), as if they had been applied then."""

    def __init__(self, automations: Sequence[Automation], since: int) -> None:
        self.automations: Final = automations
        self.since: Final = since
        self.rules: Final = Rules.build(automations, 0, since)
        self.firings: list[Firing] = []
        self.events = 0
        self._state = initial_state(self.rules, since)

    @property
    def horizon(self) -> int:
        """How far back before ``since`` events matter, in microseconds."""
        return self.rules.horizon()

    def patterns(self) -> list[str] | None:
        """Return the types of events that can matter; None where all can."""
        if self.rules.follows_matter or any(one.limits.concurrency for one in self.automations):
            return None
        return sorted(
            {pattern for part in self.rules.parts for one in part.selectors for pattern in one.patterns}
        )

    def warm_up(self, views: Iterable[EventView]) -> None:
        """Take in the events before ``since`` that the windows need."""
        self._state = warm_up(self.rules, self._state, views, [one.name for one in self.automations])

    def feed(self, views: Iterable[EventView]) -> None:
        """Take in the next events, in the order of the bus."""
        for view in views:
            self._state, decisions = step(self.rules, self._state, view)
            self.events += 1
            self._keep(decisions)

    def finish(self, until: int) -> None:
        """Let the timers fire that are due until the end."""
        self._state, decisions = step(self.rules, self._state, Tick(until))
        self._keep(decisions)

    def _keep(self, decisions: Iterable[Decision]) -> None:
        self.firings += [decision.firing for decision in decisions if decision.firing is not None]


def report_of(
    test: Backtest, until: int, real: Collection[Fired], grouping: Mapping[str, Grouping]
) -> list[Tested]:
    """Return what each automation would have done, beside what fired in life in the same time.

    ``grouping`` is how the notifiers group, by name; the estimate of notifications takes every alert of a notifier
    for one group.
    """
    by_name: dict[str, list[Firing]] = defaultdict(list)
    for firing in test.firings:
        by_name[firing.automation].append(firing)
    bucket = _HOUR if until - test.since <= 3 * _DAY else _DAY
    return [
        _tested(automation, by_name[automation.name], real, grouping, bucket)
        for automation in test.automations
    ]


def fired_as(at: int, automation: str, state: str, key: Sequence[Any]) -> Fired:
    """Return a firing in the form in which histories are compared."""
    return Fired(at, automation, state, _encode(list(key)).decode())


def _tested(
    automation: Automation,
    firings: Sequence[Firing],
    real: Collection[Fired],
    grouping: Mapping[str, Grouping],
    bucket: int,
) -> Tested:
    ours = [fired_as(one.at, one.automation, one.state, one.key) for one in firings]
    theirs = [one for one in real if one.automation == automation.name]
    fired = [one for one in ours if one.state == "firing"]
    return Tested(
        name=automation.name,
        fired=len(fired),
        resolved=len(ours) - len(fired),
        suppressed=sum(one.suppressed for one in firings),
        notifications=_notifications(automation, firings, grouping),
        keys=Counter(one.key for one in fired),
        timeline=Counter(one.at // bucket * bucket for one in fired),
        same=len(set(ours) & set(theirs)),
        new=sorted(set(ours) - set(theirs), key=_when),
        gone=sorted(set(theirs) - set(ours), key=_when),
    )


def _notifications(
    automation: Automation, firings: Sequence[Firing], grouping: Mapping[str, Grouping]
) -> int:
    """Estimate the messages: one when an alert opens and one when it closes, less what grouping puts together."""
    told = [str(one.args.get("notifier")) for one in automation.then if one.kind == _NOTIFY]
    told_after = [str(one.args.get("notifier")) for one in automation.then_resolve if one.kind == _NOTIFY]
    sent: dict[str, list[int]] = defaultdict(list)
    for firing in firings:
        if firing.state == "resolved":
            names = told + told_after
        else:
            names = told if firing.alert is None or firing.alert.count == 1 else []
        for name in names:
            sent[name].append(firing.at)
    return sum(_grouped(times, grouping.get(name, Grouping())) for name, times in sent.items())


def _grouped(times: Sequence[int], grouping: Grouping) -> int:
    if not grouping.wait and not grouping.interval:
        return len(times)
    messages, leaves = 0, -1
    for at in sorted(times):
        if at <= leaves:
            continue
        leaves = at + grouping.wait if leaves < 0 else max(at + grouping.wait, leaves + grouping.interval)
        messages += 1
    return messages


def _named(one: Fired) -> dict[str, Any]:
    return {"at": to_rfc3339(one.at), "state": one.state, "key": msgspec.json.decode(one.key)}


def _when(one: Fired) -> tuple[int, str]:
    return one.at, one.key
