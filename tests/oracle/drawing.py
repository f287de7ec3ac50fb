"""Hypothesis strategies for rules and for histories that make them meet: few keys, few types, a coarse grid."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from oracle.matter import SECOND
from tocsin_events.envelope import encode_event
from tocsin_events.instant import parse_rfc3339
from tocsin_events.view import EventView

START = parse_rfc3339("2026-01-01T00:00:00Z")
TYPES = ("t.a", "t.b", "t.c")

Spec = dict[str, Any]


@dataclass(frozen=True)
class History:
    """Events in the order of their arrival, ticks in between, and the end of the clock."""

    views: tuple[EventView, ...]
    ticks: tuple[int, ...]
    end: int
    unit: int = SECOND

    @property
    def ids(self) -> dict[int, str]:
        """The ids of the events by their numbers."""
        return {view.sequence: view.id for view in self.views}

    def __repr__(self) -> str:
        def told(at: int) -> str:
            return f"{(at - START) / self.unit:g}"

        events = " ".join(
            f"{view.id}:{view.type[2:]}@{told(view.time)}>{told(view.received)}"
            f"{'' if view.follows is None else f'~{view.follows}'}"
            f"{'' if view.data is None else sorted(view.data.items())}/{view.resource and view.resource['id']}"
            for view in self.views
        )
        return f"<{events} | ticks {[told(at) for at in self.ticks]} until {told(self.end)}>"


def view(
    number: int,
    type_: str,
    at: int,
    *,
    arrives: int | None = None,
    unit: int = SECOND,
    id_: str | None = None,
    thing: str | None = "r1",
    **data: Any,
) -> EventView:
    """An event at a place of the grid."""
    resource = None
    if thing is not None:
        resource = {
            "kind": "thing",
            "id": thing,
            "name": thing,
            "labels": {"team": f"of-{thing}"},
            "tags": [],
        }
    body = encode_event(
        id=id_ or f"e{number}",
        type=type_,
        source="test",
        time=START + at * unit,
        resource=resource,
        payload=data or None,
    )
    received = START + (at if arrives is None else arrives) * unit
    return EventView.decode(body, received=received, sequence=number)


@st.composite
def histories(
    draw: st.DrawFn,
    *,
    delay: int = 0,
    future: int = 0,
    ordered: bool = False,
    least: int = 4,
    most: int = 12,
    last: int = 20,
    unit: int = SECOND,
    tail: int = 30,
    follows: bool = False,
) -> History:
    """Histories whose events arrive at most ``delay`` late and ``future`` early, both in units of the grid.

    ``follows``: some of them follow another of their resource, or one that never comes.
    """
    drawn = draw(
        st.lists(
            st.tuples(
                st.integers(1, last),
                st.integers(-future, delay),
                st.sampled_from(TYPES),
                st.sampled_from(("r1", "r1", "r2", None)),
                st.fixed_dictionaries(
                    {}, optional={"k": st.integers(1, 2), "x": st.integers(0, 3), "j": st.integers(1, 2)}
                ),
                st.integers(0, 9),
            ),
            min_size=least,
            max_size=most,
        )
    )
    made = [
        (max(at + late, 1), at, type_, thing, data, twice) for at, late, type_, thing, data, twice in drawn
    ]
    if ordered:
        arrivals = sorted(one[0] for one in made)
        by_time = sorted(made, key=lambda one: one[1])
        made = [(max(at, one[1]), *one[1:]) for at, one in zip(arrivals, by_time, strict=True)]
    made.sort(key=lambda one: one[0])
    views: list[EventView] = []
    for arrives, at, type_, thing, data, twice in made:
        number = len(views) + 1
        if twice == 0 and views:  # the bus gives an event a second time
            again = views[draw(st.integers(0, len(views) - 1))]
            views.append(view(number, again.type, 0, arrives=arrives, unit=unit, id_=again.id))
            views[-1].time, views[-1].resource, views[-1].data = again.time, again.resource, again.data
        else:
            views.append(view(number, type_, at, arrives=arrives, unit=unit, thing=thing, **data))
    if follows:
        for one in views:
            others = [other.id for other in views if other.subject == one.subject and other is not one]
            one.follows = draw(st.sampled_from([None, "lost", *others]))
    ticks = draw(st.lists(st.integers(1, last + tail), max_size=4))
    return History(
        tuple(views), tuple(START + at * unit for at in sorted(ticks)), START + (last + tail) * unit, unit
    )


@st.composite
def caused_histories(
    draw: st.DrawFn, *, types: tuple[str, ...] = (), **options: Any
) -> tuple[History, dict[int, int]]:
    """Histories in which some events are caused by a firing, and the place of that among all until then.

    ``types`` are those that such an event may have, if not any.
    """
    history = draw(histories(**options))
    picks: dict[int, int] = {}
    for one in history.views:
        pick = draw(st.integers(-4, 5))
        if pick >= 0:
            picks[one.sequence] = pick
            one.type = draw(st.sampled_from(types)) if types else one.type
    return history, picks


def spans(low: int = 1, high: int = 6, letter: str = "s") -> st.SearchStrategy[str]:
    """Durations on the grid."""
    return st.integers(low, high).map(lambda number: f"{number}{letter}")


patterns = st.sampled_from(["t.a", "t.a", "t.b", "t.b", "t.c", ["t.a", "t.b"], "t.*", ">", "t.>", "*.c"])
conditions = st.sampled_from(["data.x >= 1", "data.x == 2", 'resource.id == "r1"', "data.k == 1"])
for_eaches = st.sampled_from(["data.k", "resource.id", ["data.k", "data.j"], ["resource.id"]])


def mappings(required: Spec, **optional: st.SearchStrategy[Any]) -> st.SearchStrategy[Spec]:
    """Mappings with fixed and optional fields."""
    return st.fixed_dictionaries(
        {
            name: value if isinstance(value, st.SearchStrategy) else st.just(value)
            for name, value in required.items()
        },
        optional=optional,
    )


event_triggers = mappings({"event": patterns}, where=conditions)
thresholds = mappings({"event": patterns, "count": st.integers(2, 3), "within": spans()}, where=conditions)
lastings = mappings({"event": patterns, "for": spans()}, where=conditions)
absences = mappings(
    {"missing": patterns, "after": patterns, "within": spans()},
    where=conditions, after_where=conditions, restart=st.booleans(),
)  # fmt: skip
silences = mappings({"missing": patterns, "within": spans()}, where=conditions)
between = spans(0, 6).map(lambda span: f"{span}500ms")
quarters = spans(0, 3).map(lambda span: f"{span}250ms")
counts = mappings(
    {"event": patterns, "aggregate": st.sampled_from(["count", "rate"]), "over": between},
    where=conditions, min_events=st.integers(1, 3), **{"for": quarters},
)  # fmt: skip
valued = mappings(
    {
        "event": patterns,
        "value": "data.x",
        "aggregate": st.sampled_from(["count", "sum", "avg", "min", "max", "p50", "p95", "p99", "rate"]),
        "over": between,
    },
    where=conditions, min_events=st.integers(1, 3), **{"for": quarters},
)  # fmt: skip
aggregates = st.builds(
    lambda spec, side, bound: {**spec, side: bound},
    counts | valued,
    st.sampled_from(["above", "below"]),
    st.sampled_from([0, 1, 1.5, 2, 3]),
)


def sequences(children: st.SearchStrategy[Spec]) -> st.SearchStrategy[Spec]:
    """Sequences of two or three steps."""
    return mappings({"sequence": st.lists(children, min_size=2, max_size=3), "within": spans()})


def alls(children: st.SearchStrategy[Spec]) -> st.SearchStrategy[Spec]:
    """All of two or three."""
    return mappings({"all": st.lists(children, min_size=2, max_size=3), "within": spans()})


def anys(children: st.SearchStrategy[Spec]) -> st.SearchStrategy[Spec]:
    """Any of two or three."""
    return mappings({"any": st.lists(children, min_size=1, max_size=3)}, within=spans())


def at_leasts(children: st.SearchStrategy[Spec]) -> st.SearchStrategy[Spec]:
    """Two of three."""
    return mappings({"at_least": 2, "of": st.lists(children, min_size=2, max_size=4), "within": spans()})


def composites(children: st.SearchStrategy[Spec]) -> st.SearchStrategy[Spec]:
    """Any kind of composite."""
    return sequences(children) | alls(children) | anys(children) | at_leasts(children)


def keyed(triggers: st.SearchStrategy[Spec], **always: Any) -> st.SearchStrategy[Spec]:
    """Triggers, some with a `for_each`."""
    return st.builds(
        lambda spec, for_each: {**spec, **always, **({} if for_each is None else {"for_each": for_each})},
        triggers,
        st.none() | for_eaches,
    )


limits = st.one_of(
    st.just({}),
    st.just({}),
    mappings({"cooldown": spans(1, 8)}, scope=st.sampled_from(["automation"])),
    mappings({"rate": mappings({"max": st.integers(1, 2), "per": spans(2, 8)})}, cooldown=spans(1, 4)),
    mappings(
        {"debounce": mappings({"wait": spans(1, 5)}, at_most=spans(5, 8), deliver=st.sampled_from(["last", "first", "all"]))},
        cooldown=spans(1, 8),
    ),
    mappings({"batch": mappings({"size": st.integers(2, 4), "wait": spans(1, 6)})}, cooldown=spans(1, 8)),
)  # fmt: skip


def ruled(
    triggers: st.SearchStrategy[Spec],
    *,
    grace: st.SearchStrategy[str],
    until: st.SearchStrategy[Any] | None = None,
    limits: st.SearchStrategy[Spec] | None = None,
) -> st.SearchStrategy[Spec]:
    """Rules around triggers."""

    def build(when: Spec, grace: str, until: Any, limits: Spec) -> Spec:
        rule: Spec = {"when": when, "grace": grace}
        if until is not None:
            rule["until"] = until
        if limits:
            rule["limits"] = limits
        return rule

    return st.builds(
        build,
        triggers,
        grace,
        st.none() if until is None else until,
        st.just({}) if limits is None else limits,
    )


Build = Callable[..., st.SearchStrategy[Spec]]
