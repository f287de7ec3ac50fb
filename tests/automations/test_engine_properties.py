"""Laws of the engine over random rules and random streams: late, early, doubled and out of order."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from engine_story import Story, automation

TYPES = ["a", "b", "c", "flow-run.pending", "flow-run.running"]
spans = st.sampled_from(["1s", "3s", "10s", "1m"])
patterns = st.sampled_from([*TYPES, ">", "flow-run.*"])
wheres = st.sampled_from([None, "data.v > 1", "data.k == 'x'", "data.missing == 1"])


def _without_none(**fields: Any) -> dict[str, Any]:
    return {name.rstrip("_"): value for name, value in fields.items() if value is not None}


@st.composite
def leaves(draw: st.DrawFn) -> dict[str, Any]:
    within, pattern, where = draw(spans), draw(patterns), draw(wheres)
    kind = draw(st.sampled_from(["event", "threshold", "lasting", "absence", "silence", "aggregate"]))
    match kind:
        case "event":
            return _without_none(event=pattern, where=where)
        case "threshold":
            return _without_none(event=pattern, where=where, count=draw(st.integers(1, 3)), within=within)
        case "lasting":
            return _without_none(event=pattern, where=where, for_=within)
        case "absence":
            restart = draw(st.booleans())
            return _without_none(
                missing=pattern, where=where, after=draw(patterns), within=within, restart=restart
            )
        case "silence":
            return _without_none(missing=pattern, where=where, within=within)
        case _:
            return _without_none(
                event=pattern, where=where, value="data.v", aggregate=draw(st.sampled_from(["avg", "count", "p50", "max"])),
                over=within, above=draw(st.integers(0, 3)), for_=draw(st.none() | spans), min_events=draw(st.integers(0, 2)),
            )  # fmt: skip


def composed(children: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    several = st.lists(children, min_size=2, max_size=3)
    return (
        st.builds(lambda of, within: {"sequence": of, "within": within}, several, spans)
        | st.builds(lambda of, within: {"all": of, "within": within}, several, spans)
        | st.builds(lambda of: {"any": of}, several)
        | st.builds(lambda of, within: {"at_least": 2, "of": of, "within": within}, several, spans)
    )


triggers = st.recursive(leaves(), composed, max_leaves=4)
limits = st.sampled_from(
    [{}, {"cooldown": "5s"}, {"debounce": {"wait": "2s", "deliver": "all"}}, {"batch": {"size": 2, "wait": "3s"}},
     {"rate": {"max": 2, "per": "10s"}}, {"cooldown": "2s", "scope": "automation"}]
)  # fmt: skip


@st.composite
def rules(draw: st.DrawFn) -> dict[str, Any]:
    for_each = draw(st.sampled_from([None, "data.k", "resource.id"]))
    until = draw(st.none() | leaves())
    when = {**draw(triggers), **({} if for_each is None else {"for_each": for_each})}
    return _without_none(
        when=when, until=until, limits=draw(limits), grace=draw(st.sampled_from(["0s", "2s", "5s"]))
    )


@st.composite
def streams(draw: st.DrawFn) -> list[dict[str, Any]]:
    arrives, events = 0, []
    for number in range(draw(st.integers(1, 12))):
        arrives += draw(st.sampled_from([0, 0, 100, 1000, 2500, 11_000]))
        time = max(0, arrives - draw(st.sampled_from([0, 0, 0, 500, 3000, 9000, -1000])))
        event = {"type": draw(st.sampled_from(TYPES)), "at": f"{time}ms", "arrives": f"{arrives}ms",
                 "k": draw(st.sampled_from(["x", "y"])), "v": draw(st.integers(0, 4)),
                 "about": draw(st.sampled_from(["flow-run/1", "flow-run/2", "order/1"]))}  # fmt: skip
        if number and draw(st.booleans()):
            event["follows"] = f"e{draw(st.integers(1, number + 2))}"
        if number and draw(st.integers(0, 9)) == 0:
            event["id"] = f"e{number}"
        events.append(event)
    return events


@settings(max_examples=150, deadline=None)
@given(st.lists(rules(), min_size=1, max_size=3), streams())
def test_restarts_anywhere_change_nothing_and_nothing_goes_wrong(
    written: list[dict[str, Any]], stream: list[dict[str, Any]]
) -> None:
    story = Story(*[automation(f"r{number}", **rule) for number, rule in enumerate(written)])
    for event in stream:
        story.event(**event)
    story.until("10m")
    # A condition of these rules can't go wrong: an error would be the engine's own.
    assert "condition_error" not in story.outcomes
    assert len(story.ids()) == len(set(story.ids()))


@settings(max_examples=80, deadline=None)
@given(st.lists(rules(), min_size=2, max_size=3), streams())
def test_rules_do_not_see_each_other(written: list[dict[str, Any]], stream: list[dict[str, Any]]) -> None:
    automations = [automation(f"r{number}", **rule) for number, rule in enumerate(written)]
    together = Story(*automations)
    apart = [Story(one) for one in automations]
    for story in (together, *apart):
        for event in stream:
            story.event(**event)
        story.until("10m")
    assert sorted(together.ids()) == sorted(id_ for story in apart for id_ in story.ids())


@settings(max_examples=80, deadline=None)
@given(rules(), streams())
def test_memory_ends_with_the_windows(written: dict[str, Any], stream: list[dict[str, Any]]) -> None:
    story = Story(automation(**written))
    for event in stream:
        story.event(**event)
    story.until("30m")
    kept = [kept for slots in story.state.slots for kept in slots.values()]
    # What is left waits for something that has happened and not ended: a state, a level, an open alert.
    assert all(_is_level(state) for state in kept)
    assert not story.state.held


def _is_level(state: Any) -> bool:
    if hasattr(state, "children"):
        return not any(state.candidates) and all(one is None or _is_level(one) for one in state.children)
    return type(state).__name__ == "_Resources" or getattr(state, "outside", False)
