"""The definition of each trigger (section 3 of the contract), each over the whole history of each key."""

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Iterator, Mapping
from copy import deepcopy
from itertools import combinations, pairwise, product
from typing import Any

from oracle.aggregates import aggregate
from oracle.cron import is_cron_time
from oracle.matter import (
    Back,
    Fire,
    Key,
    Seen,
    Setting,
    Signals,
    in_order,
    matches,
    micros,
    number_of,
)

SELECTED = (("event", "where"), ("missing", "where"), ("after", "after_where"))
"""The fields that name events, each with that of its condition."""


class Trigger(ABC):
    """Takes in events as they come, and looks at the clock at every instant."""

    def __init__(self, spec: Mapping[str, Any], setting: Setting) -> None:
        self.spec = spec
        self.setting = setting.inside(spec)
        self.grace = setting.grace

    @abstractmethod
    def see(self, seen: Seen, now: int) -> Signals:
        """An event came."""

    def look(self, now: int) -> Signals:
        """The clock reached an instant; no event of that instant has been seen yet."""
        return []

    def opposites(self) -> bool:
        """Whether it has a natural opposite."""
        return False

    def ordered(self) -> bool:
        """Whether order matters so much that an event waits for the one that it follows."""
        return False

    def concerns(self, seen: Seen) -> set[Key]:
        """The keys for which it wants an event."""
        key = self.setting.key(seen.view)
        wanted = [(self.spec[name], self.spec.get(where)) for name, where in SELECTED if name in self.spec]
        return {key} if key is not None and any(matches(*one, seen) for one in wanted) else set()

    def deciding(self, now: int) -> set[Key]:
        """The keys for which its timer decides something at an instant."""
        return {key for key, signal in deepcopy(self).look(now) if isinstance(signal, Fire)}

    def span(self, name: str) -> int:
        """A duration of the trigger."""
        return micros(self.spec[name])


class OfEvent(Trigger):
    """Fires at each matching event."""

    def see(self, seen: Seen, now: int) -> Signals:
        key = self.setting.key(seen.view)
        if key is None or not matches(self.spec["event"], self.spec.get("where"), seen):
            return []
        return [(key, Fire(seen.time, (seen,)))]


class Threshold(Trigger):
    """Fires when the n most recent unused events lie within w of each other."""

    def __init__(self, spec: Mapping[str, Any], setting: Setting) -> None:
        super().__init__(spec, setting)
        self.unused: dict[Key, list[Seen]] = defaultdict(list)

    def see(self, seen: Seen, now: int) -> Signals:
        key, within, count = self.setting.key(seen.view), self.span("within"), self.spec["count"]
        if key is None or not matches(self.spec["event"], self.spec.get("where"), seen):
            return []
        if seen.view.received > seen.time + within + self.grace:
            return []  # late
        unused = self.unused[key]
        unused.append(seen)
        ordered = in_order(unused)
        for last in range(len(ordered), count - 1, -1):
            chosen = ordered[last - count : last]
            if seen in chosen and chosen[-1].time - chosen[0].time <= within:
                self.unused[key] = [one for one in unused if one not in chosen]
                return [(key, Fire(chosen[-1].time, chosen))]
        return []


class Lasting(Trigger):
    """Fires w after a resource came into a state, unless it left before."""

    def __init__(self, spec: Mapping[str, Any], setting: Setting) -> None:
        super().__init__(spec, setting)
        self.by_subject = not self.setting.for_each
        self.lives: dict[tuple[Key, str], list[Seen]] = defaultdict(list)
        self.fired: set[Seen] = set()

    def opposites(self) -> bool:
        return True

    def ordered(self) -> bool:
        return True

    def concerns(self, seen: Seen) -> set[Key]:
        key: Key | None = (seen.view.subject,) if self.by_subject else self.setting.key(seen.view)
        return set() if key is None else {key}

    def _is_in(self, seen: Seen) -> bool:
        return matches(self.spec["event"], self.spec.get("where"), seen)

    def see(self, seen: Seen, now: int) -> Signals:
        subject = seen.view.subject
        key: Key | None = (subject,) if self.by_subject else self.setting.key(seen.view)
        if subject is None or key is None:
            return []
        life = self.lives[key, subject]
        had = any(one in self.fired and one.order < seen.order for one in life)
        life.append(seen)
        back: Signals = [(key, Back())] if had and not self._is_in(seen) else []
        return back + self._due(key, life, now)  # an event that comes past its own end fires at once

    def look(self, now: int) -> Signals:
        return [signal for (key, _), life in self.lives.items() for signal in self._due(key, life, now)]

    def _due(self, key: Key, life: list[Seen], now: int) -> Signals:
        signals: Signals = []
        ordered = in_order(life)
        for place, start in enumerate(ordered):
            if not self._is_in(start) or (place and self._is_in(ordered[place - 1])):
                continue  # no event that comes into the state
            end = start.time + self.span("for")
            left = any(not self._is_in(one) and one.time <= end for one in ordered[place + 1 :])
            run = {start}
            for one in ordered[place + 1 :]:
                if not self._is_in(one):
                    break
                run.add(one)
            if not left and end + self.grace <= now and not run & self.fired:
                self.fired.add(start)
                signals.append((key, Fire(end, (start,))))
                if any(not self._is_in(one) for one in ordered[place + 1 :]):
                    signals.append((key, Back()))  # it left since, while the grace ran
        return signals


class Absence(Trigger):
    """Fires w after an `after` event without a `missing` one in between."""

    def __init__(self, spec: Mapping[str, Any], setting: Setting) -> None:
        super().__init__(spec, setting)
        self.came: dict[Key, list[Seen]] = defaultdict(list)
        self.fired: dict[Seen, int] = {}  # and how many events had come by then
        self.count = 0
        self.number: dict[Seen, int] = {}

    def opposites(self) -> bool:
        return True

    def ordered(self) -> bool:
        return True

    def _opens(self, seen: Seen) -> bool:
        return matches(self.spec["after"], self.spec.get("after_where"), seen)

    def _awaited(self, seen: Seen) -> bool:
        return matches(self.spec["missing"], self.spec.get("where"), seen)

    def see(self, seen: Seen, now: int) -> Signals:
        key = self.setting.key(seen.view)
        if key is None or not (self._opens(seen) or self._awaited(seen)):
            return []
        self.number[seen] = self.count
        self.count += 1
        self.came[key].append(seen)
        signals: Signals = []
        if self._awaited(seen):
            signals.append((key, Back()))
        return signals + self._due(key, now)

    def look(self, now: int) -> Signals:
        return [signal for key in list(self.came) for signal in self._due(key, now)]

    def _due(self, key: Key, now: int) -> Signals:
        signals: Signals = []
        for start in self._unanswered(key):
            end = start.time + self.span("within")
            if start not in self.fired and end + self.grace <= now:
                self.fired[start] = self.count
                signals.append((key, Fire(end, (start,))))
                if any(self._awaited(one) and one.order > start.order for one in self.came[key]):
                    signals.append((key, Back()))  # it came since, while the grace ran
        return signals

    def _unanswered(self, key: Key) -> Iterator[Seen]:
        within, open_, restart = self.span("within"), None, self.spec.get("restart", True)
        for seen in in_order(self.came[key]):
            if open_ is not None and (
                seen.time > open_.time + within
                or (restart and open_ in self.fired and self.number[seen] >= self.fired[open_])
            ):
                yield open_
                open_ = None
            if self._awaited(seen) and not (open_ in self.fired and self.number[seen] >= self.fired[open_]):
                open_ = None
            if self._opens(seen) and (open_ is None or restart):
                open_ = seen
        if open_ is not None:
            yield open_


class Silence(Trigger):
    """Fires at each gap between events that is longer than w, when w and the grace are over."""

    def __init__(self, spec: Mapping[str, Any], setting: Setting) -> None:
        super().__init__(spec, setting)
        self.came: dict[Key, list[Seen]] = defaultdict(list)
        self.silent: set[tuple[Key, int]] = set()
        self.decided: dict[Key, int] = {}
        self.armed = set(expected_keys(spec)) if spec.get("arm") == "always" else set()

    def opposites(self) -> bool:
        return True

    def ordered(self) -> bool:
        return True

    def see(self, seen: Seen, now: int) -> Signals:
        key = self.setting.key(seen.view)
        if key is None or not matches(self.spec["missing"], self.spec.get("where"), seen):
            return []
        if seen.time <= self.decided.get(key, 0):
            return []  # late: what was decided is not decided again
        self.came[key].append(seen)
        return [(key, Back()), *self.look(now)]

    def look(self, now: int) -> Signals:
        signals: Signals = []
        for key in {*self.came, *self.armed}:
            ordered = in_order(self.came[key])
            starts = [(one.time, (one,)) for one in ordered]
            if key in self.armed:
                starts = [(self.setting.applied, ()), *starts]
            for number, (time, events) in enumerate(starts):
                end = time + self.span("within")
                over = number + 1 < len(starts) and starts[number + 1][0] <= end
                if not over and (key, time) not in self.silent and end + self.grace <= now:
                    self.silent.add((key, time))
                    self.decided[key] = end
                    signals.append((key, Fire(end, events)))
                    if number + 1 < len(starts):
                        signals.append((key, Back()))  # it came since, while the grace ran
        return signals


class Deadline(Trigger):
    """Fires at each cron time without a matching event in the time before it."""

    def __init__(self, spec: Mapping[str, Any], setting: Setting) -> None:
        super().__init__(spec, setting)
        self.came: dict[Key, list[Seen]] = {key: [] for key in expected_keys(spec)}

    def opposites(self) -> bool:
        return True

    def ordered(self) -> bool:
        return True

    def see(self, seen: Seen, now: int) -> Signals:
        key = self.setting.key(seen.view)
        if key not in self.came or not matches(self.spec["missing"], self.spec.get("where"), seen):
            return []
        self.came[key].append(seen)
        return [(key, Back())]

    def look(self, now: int) -> Signals:
        time = now - self.grace
        if time <= self.setting.applied or not is_cron_time(self.spec["by"]["cron"], time):
            return []
        signals: Signals = []
        for key, came in self.came.items():
            if not any(time - self.span("within") <= one.time <= time for one in came):
                signals.append((key, Fire(time, ())))
                if any(one.time > time for one in came):
                    signals.append((key, Back()))
        return signals


class Schedule(Trigger):
    """Fires at times, whatever happens."""

    def see(self, seen: Seen, now: int) -> Signals:
        return []

    def look(self, now: int) -> Signals:
        when, since = self.spec["schedule"], now - self.setting.applied
        if since <= 0:
            return []
        right = since % micros(when["every"]) == 0 if "every" in when else is_cron_time(when["cron"], now)
        return [((), Fire(now, ()))] if right else []


class Aggregate(Trigger):
    """Fires when the aggregate over the sliding window crosses the bound, and has stayed so.

    The aggregate is a function of event time; it changes where an event is and where one leaves the window. Events
    come in the order of their times here, so what lies before the latest is final.
    """

    def __init__(self, spec: Mapping[str, Any], setting: Setting) -> None:
        super().__init__(spec, setting)
        self.came: dict[Key, list[Seen]] = defaultdict(list)
        self.told: set[tuple[Key, int, str]] = set()
        self.stays = micros(spec["for"]) if "for" in spec else 0

    def opposites(self) -> bool:
        return True

    def see(self, seen: Seen, now: int) -> Signals:
        key = self.setting.key(seen.view)
        if key is None or not matches(self.spec["event"], self.spec.get("where"), seen):
            return []
        if "value" in self.spec and number_of(self.spec["value"], seen.view) is None:
            return []
        self.came[key].append(seen)
        return self._news(key, seen.time, now)

    def look(self, now: int) -> Signals:
        signals: Signals = []
        for key, came in self.came.items():
            signals += self._news(key, max(came[-1].time, now - self.grace), now)
        return signals

    def _news(self, key: Key, known: int, now: int) -> Signals:
        """What the function up to an event time says that was not said yet."""
        signals: Signals = []
        edges = self._edges(key, known)
        for number, (time, beyond, window, left) in enumerate(edges):
            if left and beyond and now - self.grace < time:
                break  # a timer decides that something fires because a value left
            if not beyond:
                if (key, time, "back") not in self.told:
                    self.told.add((key, time, "back"))
                    signals.append((key, Back()))
                continue
            end = time + self.stays
            stayed = number + 1 == len(edges) or edges[number + 1][0] > end
            reached = now - self.grace >= end if self.stays else known >= end
            if not stayed or (key, time, "fire") in self.told:
                continue
            if not reached:
                break  # what came after it is said after it
            self.told.add((key, time, "fire"))
            signals.append((key, Fire(end, window)))
        return signals

    def _edges(self, key: Key, known: int) -> list[tuple[int, bool, tuple[Seen, ...], bool]]:
        came, over = in_order(self.came[key]), self.span("over")
        looks = [(one.time, one.place) for one in came]  # none of them waits for another
        looks += [(one.time + over, -1) for one in came if one.time + over <= known]
        edges: list[tuple[int, bool, tuple[Seen, ...], bool]] = []
        was = False
        for time, last in sorted(looks):
            window = tuple(
                one
                for one in came
                if time - over < one.time and ((one.time, one.place) <= (time, last) or one.time < time)
            )
            beyond = self._crossed(window)
            if beyond != was:
                edges.append((time, beyond, window, last < 0))
            was = beyond
        return edges

    def _crossed(self, window: tuple[Seen, ...]) -> bool:
        values = [
            (number_of(self.spec["value"], one.view) or 0.0) if "value" in self.spec else 1.0
            for one in window
        ]
        value = aggregate(self.spec["aggregate"], values, self.span("over"))
        if value is None or len(values) < self.spec.get("min_events", 1):
            return False
        return bool(value > self.spec["above"] if "above" in self.spec else value < self.spec["below"])


Candidate = tuple[int, Fire]
"""A firing of a child, with the child's number."""


def place(fire: Fire) -> tuple[int, int, int]:
    """The place of a child's firing in the order of events; what a timer fired comes before the events of its time."""
    last = max(fire.events, key=lambda seen: seen.order, default=None)
    return last.order if last is not None and last.time == fire.time else (fire.time, -1, -1)


class Composite(Trigger):
    """Fires on firings of its children; a child's firing is a candidate until an event of it is used up."""

    def __init__(self, spec: Mapping[str, Any], setting: Setting) -> None:
        super().__init__(spec, setting)
        self.children = [
            make(child, self.setting.inside({}, nested=True)) for child in spec[self.children_field(spec)]
        ]
        self.candidates: dict[Key, list[Candidate]] = defaultdict(list)
        self.within = micros(spec["within"]) if "within" in spec else None

    @staticmethod
    def children_field(spec: Mapping[str, Any]) -> str:
        """The field that holds the children."""
        return next(name for name in ("sequence", "all", "any", "of") if name in spec)

    def see(self, seen: Seen, now: int) -> Signals:
        fresh: dict[Key, list[Candidate]] = defaultdict(list)
        for number, child in enumerate(self.children):
            for key, signal in child.see(seen, now):
                if isinstance(signal, Fire) and not (
                    self.within is not None and seen.view.received > signal.time + self.within + self.grace
                ):
                    fresh[key].append((number, signal))
        return [one for key, fires in fresh.items() for one in self._combine(key, fires)]

    def ordered(self) -> bool:
        return any(child.ordered() for child in self.children)

    def concerns(self, seen: Seen) -> set[Key]:
        return {key for child in self.children for key in child.concerns(seen)}

    def deciding(self, now: int) -> set[Key]:
        return {key for child in self.children for key in child.deciding(now)}

    def look(self, now: int) -> Signals:
        fresh: dict[Key, list[Candidate]] = defaultdict(list)
        for number, child in enumerate(self.children):
            for key, signal in child.look(now):
                if isinstance(signal, Fire):
                    fresh[key].append((number, signal))
        return [one for key, fires in fresh.items() for one in self._combine(key, fires)]

    def _combine(self, key: Key, fresh: list[Candidate]) -> Signals:
        self.candidates[key] += fresh
        signals: Signals = []
        for one in sorted(fresh, key=lambda one: (place(one[1]), one[0])):
            best = self._choose(self.candidates[key], one) if one in self.candidates[key] else None
            if best is not None:
                fires = [fire for _, fire in best]
                events = in_order([seen for fire in fires for seen in fire.events])
                self.candidates[key] = [
                    other
                    for other in self.candidates[key]
                    if other not in best and not set(other[1].events) & set(events)
                ]
                signals.append((key, Fire(max(fire.time for fire in fires), events)))
        return signals

    @abstractmethod
    def _choose(self, candidates: list[Candidate], fresh: Candidate) -> list[Candidate] | None:
        """Which candidates, the fresh one among them, make it fire."""


class Sequence(Composite):
    """Of all choices of one firing for each step, in order, the one that starts latest."""

    def ordered(self) -> bool:
        return True

    def _choose(self, candidates: list[Candidate], fresh: Candidate) -> list[Candidate] | None:
        steps = [[one for one in candidates if one[0] == step] for step in range(len(self.children))]
        steps[fresh[0]] = [fresh]
        fitting = [choice for choice in product(*steps) if self._fits([fire for _, fire in choice])]
        return list(max(fitting, key=lambda choice: [place(fire) for _, fire in choice], default=())) or None

    def _fits(self, fires: list[Fire]) -> bool:
        assert self.within is not None
        return (
            all(place(earlier) < place(later) for earlier, later in pairwise(fires))
            and not any(set(one.events) & set(other.events) for one, other in combinations(fires, 2))
            and fires[-1].time - fires[0].time <= self.within
        )


class AtLeast(Composite):
    """n different children fired within w of each other.

    The contract leaves open which of several choices is taken. Here: the window that starts latest, and in it the
    latest firings of the other children.
    """

    def _choose(self, candidates: list[Candidate], fresh: Candidate) -> list[Candidate] | None:
        assert self.within is not None
        needed = self.spec.get("at_least", len(self.children))
        starts = {fire.time for _, fire in candidates if fire.time <= fresh[1].time}
        for start in sorted(starts, reverse=True):
            if fresh[1].time > start + self.within:
                continue
            inside = [one for one in candidates if start <= one[1].time <= start + self.within]
            latest: dict[int, Candidate] = {}
            for one in sorted(inside, key=lambda one: place(one[1])):
                latest[one[0]] = one
            latest[fresh[0]] = fresh
            if len(latest) >= needed:
                others = sorted(
                    (one for one in latest.values() if one is not fresh),
                    key=lambda one: (place(one[1]), -one[0]),
                    reverse=True,
                )
                return [fresh, *others[: needed - 1]]
        return None


class AnyOf(Composite):
    """Each firing of a child; once for each event or instant."""

    def _combine(self, key: Key, fresh: list[Candidate]) -> Signals:
        events = in_order([seen for _, fire in fresh for seen in fire.events])
        return [(key, Fire(max(fire.time for _, fire in fresh), events))]

    def _choose(self, candidates: list[Candidate], fresh: Candidate) -> list[Candidate] | None:
        return [fresh]


def expected_keys(spec: Mapping[str, Any]) -> list[Key]:
    """The keys that are watched from the application on."""
    if "for_each" not in spec:
        return [()]
    return [tuple(key) if isinstance(key, list) else (key,) for key in spec.get("keys", ())]


def make(spec: Mapping[str, Any], setting: Setting) -> Trigger:
    """The trigger that a mapping of a file means."""
    kinds: list[tuple[set[str], type[Trigger]]] = [
        ({"missing", "after"}, Absence),
        ({"missing", "by"}, Deadline),
        ({"missing"}, Silence),
        ({"aggregate"}, Aggregate),
        ({"sequence"}, Sequence),
        ({"all"}, AtLeast),
        ({"at_least"}, AtLeast),
        ({"any"}, AnyOf),
        ({"schedule"}, Schedule),
        ({"event", "for"}, Lasting),
        ({"event", "count"}, Threshold),
        ({"event"}, OfEvent),
    ]
    return next(kind for marks, kind in kinds if marks <= set(spec))(spec, setting)
