"""``event`` … ``for``: stuck in a state."""

from engine_story import Story

STUCK = {"event": "flow-run.pending", "for": "10m"}


def test_it_fires_when_the_resource_has_not_left_the_state() -> None:
    story = Story(when=STUCK).event("flow-run.pending", "0s", about="flow-run/r").until("1h")
    assert story.fired == [("10m5s", "flow-run/r", ["e1"])]


def test_another_state_of_the_same_resource_stops_it_and_one_of_another_does_not() -> None:
    story = Story(when=STUCK)
    story.event("flow-run.pending", "0s", about="flow-run/r").event(
        "flow-run.pending", "0s", about="flow-run/q"
    )
    story.event("flow-run.running", "9m", about="flow-run/r").until("1h")
    assert story.fired == [("10m5s", "flow-run/q", ["e2"])]


def test_a_heartbeat_is_no_state() -> None:
    story = Story(when=STUCK).event("flow-run.pending", "0s", about="flow-run/r")
    assert story.event("flow-run.heartbeat", "5m", about="flow-run/r").until("1h").times == ["10m5s"]


def test_a_repeated_event_does_not_restart_it_and_it_fires_once() -> None:
    story = Story(when=STUCK)
    for minute in (0, 5, 9, 12, 40):
        story.event("flow-run.pending", f"{minute}m", about="flow-run/r")
    assert story.until("2h").times == ["10m5s"]


def test_leaving_closes_the_alert_and_it_may_happen_again() -> None:
    story = Story(when=STUCK).event("flow-run.pending", "0s", about="flow-run/r").until("20m")
    story.event("flow-run.running", "20m", about="flow-run/r").event(
        "flow-run.pending", "30m", about="flow-run/r"
    )
    assert story.until("1h").times == ["10m5s", "20m!", "40m5s"]


def test_leaving_at_exactly_the_end_counts_and_after_it_does_not() -> None:
    story = Story(when=STUCK).event("flow-run.pending", "0s", about="flow-run/r")
    assert story.event("flow-run.running", "10m", arrives="10m4s", about="flow-run/r").until("1h").times == []
    story = Story(when=STUCK).event("flow-run.pending", "0s", about="flow-run/r")
    story.event("flow-run.running", "10m1s", about="flow-run/r")
    assert story.until("1h").times == ["10m5s", "10m5s!"]


def test_an_end_that_overtook_its_beginning_within_the_grace_counts() -> None:
    story = Story(when=STUCK).event("flow-run.running", "1s", about="flow-run/r")
    assert story.event("flow-run.pending", "0s", arrives="4s", about="flow-run/r").until("1h").times == []


def test_any_other_event_ends_the_state_of_an_outside_kind() -> None:
    story = Story(when={"event": "order.placed", "for": "1h"})
    story.event("order.placed", "0s", about="order/1").event("anything.else", "30m", about="order/1")
    story.event("order.placed", "0s", about="order/2", arrives="31m").event(
        "anything.else", "32m", about="order/3"
    )
    assert story.until("5h").fired == [("1h5s", "order/2", ["e3"])]


def test_with_for_each_each_resource_of_a_key_has_a_clock_of_its_own() -> None:
    story = Story(when={**STUCK, "for_each": "data.flow"})
    story.event("flow-run.pending", "0s", about="flow-run/a", flow="etl")
    story.event("flow-run.pending", "1m", about="flow-run/b", flow="etl")
    story.event("flow-run.running", "2m", about="flow-run/a", flow="etl").until("20m")
    assert story.fired == [("11m5s", "etl", ["e2"])]
    assert story.event("flow-run.running", "30m", about="flow-run/b", flow="etl").times == ["11m5s", "30m!"]


def test_two_resources_of_a_key_that_fire_together_are_two_firings_and_one_alert() -> None:
    story = Story(when={**STUCK, "for_each": "data.flow"})
    story.event("flow-run.pending", "0s", about="flow-run/a", flow="etl")
    story.event("flow-run.pending", "0s", about="flow-run/b", flow="etl").until("20m")
    assert story.times == ["10m5s", "10m5s"]
    assert len(set(story.ids())) == 2
    story.event("flow-run.running", "20m", about="flow-run/a", flow="etl")
    assert len(story.times) == 2
    assert story.event("flow-run.running", "21m", about="flow-run/b", flow="etl").times[2:] == ["21m!"]


def test_a_repeated_event_that_the_end_overtook_does_not_fire_again() -> None:
    story = Story(when={"event": "t.c", "for": "1s"}, grace="3s")
    story.event("t.c", "1s", about="thing/r").event("t.a", "8s", about="thing/r")
    story.event("t.c", "6s", arrives="9s", about="thing/r")
    assert story.until("1m").times == ["5s", "8s!"]
    story = Story(when=STUCK).event("flow-run.pending", "0s", about="flow-run/r")
    story.event("flow-run.running", "2h", about="flow-run/r")
    story.event("flow-run.pending", "1h59m58s", arrives="2h1s", about="flow-run/r")
    assert story.until("4h").times == ["10m5s", "2h!"]
    assert story.state.slots == [{}]


def test_a_stay_that_was_over_before_it_was_known_fires_and_resolves_if_it_lasted() -> None:
    story = Story(when={"event": "t.c", "for": "1s"}, grace="3s").event("t.a", "8s", about="thing/r")
    assert story.event("t.c", "6s", arrives="9s", about="thing/r").until("1m").times == ["10s", "10s!"]


def test_an_entry_that_turns_out_not_to_be_the_first_does_not_fire_again() -> None:
    story = Story(when=STUCK).event("flow-run.pending", "1m", about="flow-run/r").until("20m")
    story.event("flow-run.pending", "0s", arrives="20m", about="flow-run/r")
    story.event("flow-run.running", "-1s", arrives="1h", about="flow-run/r")
    assert story.until("2h").times == ["11m5s"]


def test_an_end_that_had_come_is_still_known_when_a_held_entry_is_let_go() -> None:
    story = Story(when=STUCK).event("flow-run.running", "5s", about="flow-run/r")
    story.event("flow-run.pending", "4s", arrives="9s", about="flow-run/r", follows="lost").until("1h")
    assert (story.times, story.outcomes) == ([], ["no_match", "held", "satisfied"])


def test_an_end_that_had_come_is_still_known_when_an_entry_comes_with_the_grace() -> None:
    story = Story(when=STUCK).event("flow-run.running", "5s", about="flow-run/r")
    assert story.event("flow-run.pending", "5s", arrives="10s", about="flow-run/r").until("1h").times == [
        "10m10s"
    ]
    story = Story(when=STUCK).event("flow-run.running", "5s", about="flow-run/r")
    assert story.event("flow-run.pending", "4s", arrives="10s", about="flow-run/r").until("1h").times == []


def test_where_is_part_of_the_state() -> None:
    story = Story(when={"event": "flow-run.running", "where": "data.v > 3", "for": "10m"})
    story.event("flow-run.running", "0s", about="flow-run/r", v=4)
    assert story.event("flow-run.running", "5m", about="flow-run/r", v=1).until("1h").times == []


def test_what_is_over_is_forgotten() -> None:
    story = Story(when=STUCK).event("flow-run.pending", "0s", about="flow-run/r")
    story.event("flow-run.running", "1m", about="flow-run/r").event(
        "flow-run.completed", "2m", about="flow-run/x"
    )
    assert story.until("1h").state.slots == [{}]


def test_in_a_composite_without_a_key_every_resource_has_a_clock() -> None:
    story = Story(when={"any": [STUCK, {"event": "x"}]})
    story.event("flow-run.pending", "0s", about="flow-run/a").event(
        "flow-run.pending", "1m", about="flow-run/b"
    )
    assert story.event("flow-run.running", "5m", about="flow-run/a").until("1h").fired == [("11m5s", ["e2"])]
