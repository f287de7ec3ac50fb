"""Time: what happened when, what arrived late, twice, too early, or in the wrong order."""

from engine_story import Story

RUN = "flow-run/r"
DONE = {"missing": "flow-run.completed", "after": "flow-run.running", "within": "10m"}


def test_an_event_from_the_future_is_taken_as_its_arrival() -> None:
    story = (
        Story(when={"event": "x", "count": 2, "within": "10m"})
        .event("x", "2d", arrives="0s")
        .event("x", "9m")
    )
    assert story.times == ["9m"]
    assert story.last.firing is not None
    assert story.last.firing.events[0].time == story.start + 2 * 86_400_000_000


def test_within_the_grace_a_time_ahead_is_believed() -> None:
    story = (
        Story(when={"event": "x", "count": 2, "within": "10m"})
        .event("x", "5s", arrives="0s")
        .event("x", "10m5s")
    )
    assert story.times == ["10m5s"]


def test_timers_due_at_an_arrival_fire_before_the_event() -> None:
    story = Story(when={"missing": "b", "after": "a", "within": "10m"}).event("a", "0s")
    story.event("b", "9m", arrives="10m5s")
    assert story.fired == [("10m5s", ["e1"]), ("10m5s", "resolved", ["e2"])]


def test_timers_that_passed_while_down_fire_in_the_order_of_their_times() -> None:
    story = Story(when={"missing": "hb", "within": "10m", "for_each": "data.k"})
    story.event("hb", "0s", k="b").event("hb", "1s", k="a").event("hb", "2s", k="c").jump("5h")
    assert [(at, key) for at, key, _ in story.fired] == [("10m5s", "b"), ("10m6s", "a"), ("10m7s", "c")]


def test_an_event_that_overtook_what_it_follows_is_held_until_that_comes() -> None:
    story = Story(when=DONE).event("flow-run.pending", "0s", about=RUN, id="p")
    story.event("flow-run.completed", "2s", about=RUN, id="c", follows="r")
    assert story.outcomes == ["held"]
    story.event("flow-run.running", "1s", arrives="3s", about=RUN, id="r", follows="p").until("1h")
    assert (story.outcomes, story.times) == (["held", "waiting", "satisfied"], [])


def test_it_is_held_no_longer_than_the_grace() -> None:
    story = Story(when=DONE).event("flow-run.completed", "2s", about=RUN, follows="r").until("6s")
    assert story.outcomes == ["held"]
    assert story.until("7s").outcomes == ["held", "no_match"]


def test_nothing_is_held_without_grace() -> None:
    assert Story(when=DONE, grace="0s").event(
        "flow-run.completed", "2s", about=RUN, follows="r"
    ).outcomes == ["no_match"]


def test_event_and_threshold_never_wait() -> None:
    assert Story(when={"event": "flow-run.failed"}).event(
        "flow-run.failed", "0s", about=RUN, follows="r"
    ).times == ["0s"]


def test_a_held_event_that_came_in_time_counts_when_a_timer_of_its_key_is_due() -> None:
    story = Story(when={**DONE, "for_each": "flow_run.id"}).event("flow-run.running", "0s", about=RUN, id="r")
    story.event("flow-run.completed", "9m59s", arrives="10m4s", about=RUN, follows="something lost").until(
        "1h"
    )
    assert (story.outcomes, story.times) == (["waiting", "held", "satisfied"], [])


def test_a_timer_lets_go_of_nothing_that_concerns_another_key() -> None:
    other = "flow-run/o"
    story = Story(when={**DONE, "for_each": "flow_run.id"}).event("flow-run.running", "0s", about=RUN, id="r")
    story.event("flow-run.completed", "10m3s", arrives="10m4s", about=other, follows="o")
    story.until("10m5s")
    assert (story.outcomes, story.times) == (["waiting", "held"], ["10m5s"])
    story.event("flow-run.running", "10m2s", arrives="10m6s", about=other, id="o", follows=None)
    assert story.outcomes == ["waiting", "held", "waiting", "satisfied"]


def test_a_held_event_counts_as_well_when_the_timer_of_a_child_is_due() -> None:
    story = Story(when={"any": [DONE, {"event": "x"}], "for_each": "flow_run.id"})
    story.event("flow-run.running", "0s", about=RUN, id="r")
    story.event("flow-run.completed", "9m59s", arrives="10m4s", about=RUN, follows="something lost")
    assert story.until("1h").times == []


def test_several_held_events_are_let_go_in_their_order() -> None:
    when = {"sequence": [{"event": "a"}, {"event": "b"}, {"event": "c"}], "within": "10m"}
    story = Story(when=when, grace="1m")
    story.event("c", "0s", arrives="1s", about=RUN, id="3", follows="2").event(
        "b", "0s", arrives="2s", about=RUN, id="2", follows="1"
    )
    story.event("a", "0s", arrives="3s", about=RUN, id="1")
    # All have the same time; their order is that of `follows`.
    assert [at for at, *_ in story.fired] == ["3s"]


def test_a_predecessor_of_long_ago_is_known() -> None:
    story = Story(when=DONE).event("flow-run.running", "0s", about=RUN, id="r").until("9h")
    assert story.event("flow-run.completed", "9h", about=RUN, follows="r").outcomes == ["waiting", "no_match"]


def test_a_duplicate_counts_again_after_an_hour() -> None:
    story = (
        Story(when={"event": "x"})
        .event("x", "0s", id="a")
        .event("x", "1h", id="a")
        .event("x", "1h1ms", id="a")
    )
    assert story.outcomes == ["fired", "duplicate", "fired"]


def test_a_duplicate_does_not_restart_a_clock_or_close_anything() -> None:
    story = (
        Story(when={"missing": "b", "after": "a", "within": "10m"})
        .event("a", "0s", id="1")
        .event("b", "1m", id="2")
    )
    story.event("a", "0s", id="1", arrives="2m").until("1h")
    assert (story.times, story.outcomes) == ([], ["waiting", "satisfied", "duplicate"])


def test_a_duplicate_whose_condition_fails_is_a_duplicate_and_no_second_error() -> None:
    story = Story(when={"event": "x", "where": "1 / data.n > 0"})
    story.event("x", "0s", id="a", n=0).event("x", "1s", id="a", n=0)
    assert story.outcomes == ["condition_error", "duplicate"]
    counted = {key[2]: count for key, count in story.state.take_counters().items()}
    assert counted == {"condition_error": 1, "duplicate": 1}


def test_a_duplicate_without_a_key_is_a_duplicate() -> None:
    story = Story(when={"event": "x", "for_each": "data.k"}).event("x", "0s", id="a").event("x", "1s", id="a")
    assert story.outcomes == ["no_key", "duplicate"]


def test_a_duplicate_that_concerns_nobody_is_counted_as_no_match() -> None:
    story = Story(when={"event": "x", "where": "data.n > 1"})
    story.event("x", "0s", id="a", n=0).event("x", "1s", id="a", n=0)
    assert story.outcomes == []
    assert story.state.take_counters() == {("rule", "when", "no_match", "data.n > 1"): 2}


def test_the_clock_never_goes_back() -> None:
    story = Story(when={"event": "x"}).event("x", "5s").event("x", "1s", arrives="4s")
    assert story.times == ["5s", "5s"]
