"""``missing`` … ``after`` … ``within``: what should have followed did not."""

from engine_story import Story

AB = {"missing": "b", "after": "a", "within": "10m"}


def test_it_fires_at_the_end_of_the_window_and_the_grace() -> None:
    story = Story(when=AB).event("a", "0s").until("10m4s")
    assert story.fired == []
    assert story.until("1h").fired == [("10m5s", ["e1"])]


def test_what_was_awaited_in_time_stops_it() -> None:
    story = Story(when=AB).event("a", "0s").event("b", "9m").until("1h")
    assert (story.fired, story.outcomes) == ([], ["waiting", "satisfied"])


def test_awaited_at_exactly_the_end_and_arriving_within_the_grace_counts() -> None:
    assert Story(when=AB).event("a", "0s").event("b", "10m", arrives="10m4s").until("1h").fired == []


def test_awaited_after_the_end_does_not_count_even_if_it_comes_before_the_decision() -> None:
    story = Story(when=AB).event("a", "0s").event("b", "10m1s").until("1h")
    assert story.fired == [("10m5s", ["e1"]), ("10m5s", "resolved", ["e2"])]


def test_awaited_that_happened_in_time_but_arrived_after_the_decision_is_late_and_closes_the_alert() -> None:
    story = Story(when=AB).event("a", "0s").event("b", "9m", arrives="11m")
    assert story.fired == [("10m5s", ["e1"]), ("11m", "resolved", ["e2"])]
    assert story.outcomes == ["waiting", "late"]


def test_the_order_of_arrival_does_not_matter() -> None:
    story = Story(when=AB).event("b", "1m", arrives="1m").event("a", "0s", arrives="2m").until("1h")
    assert (story.fired, story.outcomes) == ([], ["no_match", "satisfied"])


def test_an_awaited_event_before_the_after_does_not_count() -> None:
    assert Story(when=AB).event("b", "0s").event("a", "1m").until("1h").times == ["11m5s"]


def test_the_latest_after_restarts_the_clock() -> None:
    story = Story(when=AB).event("a", "0s").event("a", "8m").until("1h")
    assert story.fired == [("18m5s", ["e2"])]


def test_without_restart_the_first_ones_clock_runs_and_later_ones_are_ignored_until_it_ends() -> None:
    when = {**AB, "restart": False}
    story = Story(when=when).event("a", "0s").event("a", "8m").until("1h").event("a", "2h").until("3h")
    assert story.fired == [("10m5s", ["e1"]), ("2h10m5s", ["e3"])]
    story = Story(when=when).event("a", "0s").event("a", "5m").event("b", "6m").until("1h")
    assert story.fired == []


def test_without_restart_one_at_exactly_the_end_of_the_first_ones_clock_is_ignored() -> None:
    # Windows are closed: at a distance of exactly `within` the first one's clock still runs.
    when = {**AB, "restart": False}
    story = Story(when=when).event("a", "0s").event("a", "10m").until("1h")
    assert (story.fired, story.outcomes) == ([("10m5s", ["e1"])], ["waiting", "waiting"])
    assert Story(when=when).event("a", "0s").event("a", "10m").event("b", "10m").until("1h").fired == []
    late = Story(when=when).event("a", "0s").until("10m5s").event("a", "10m", arrives="12m").until("1h")
    assert (late.fired, late.outcomes) == ([("10m5s", ["e1"])], ["waiting", "no_match"])
    after = Story(when=when).event("a", "0s").event("a", "10m1ms").until("1h")
    assert after.times == ["10m5s", "20m5s1ms"]


def test_one_at_exactly_the_end_of_the_clock_restarts_it() -> None:
    assert Story(when=AB).event("a", "0s").event("a", "10m").until("1h").fired == [("20m5s", ["e2"])]


def test_an_after_behind_the_end_of_an_undecided_window_does_not_save_it() -> None:
    story = Story(when=AB).event("a", "0s").event("a", "10m2s").until("1h")
    assert story.fired == [("10m5s", ["e1"]), ("20m7s", ["e2"])]


def test_a_heartbeat_first_closes_what_is_open_then_opens_its_own() -> None:
    story = Story(when={"missing": "hb", "after": "hb", "within": "10m"})
    story.event("hb", "0s").event("hb", "9m").event("hb", "18m").until("1h")
    assert story.fired == [("28m5s", ["e3"])]
    assert story.event("hb", "1h").until("2h").fired[1:] == [("1h", "resolved", ["e4"]), ("1h10m5s", ["e4"])]


def test_an_after_that_arrives_past_its_own_deadline_fires_at_once() -> None:
    story = Story(when=AB).event("a", "0s", arrives="1h")
    assert (story.fired, story.outcomes) == ([("1h", ["e1"])], ["fired"])


def test_an_after_that_arrives_late_is_satisfied_by_what_had_come() -> None:
    story = Story(when=AB).event("b", "5m").event("a", "0s", arrives="14m").until("1h")
    assert (story.fired, story.outcomes) == ([], ["no_match", "satisfied"])


def test_keys_do_not_see_each_other_and_after_where_chooses() -> None:
    when = {**AB, "for_each": "data.k", "after_where": "data.big", "where": "data.ok"}
    story = Story(when=when)
    story.event("a", "0s", k=1, big=True).event("a", "0s", k=2, big=True).event("a", "0s", k=3, big=False)
    story.event("b", "1m", k=1, ok=True).event("b", "1m", k=2, ok=False).until("1h")
    assert story.fired == [("10m5s", 2, ["e2"])]


def test_a_deadline_that_passed_while_down_fires_before_anything_newer() -> None:
    story = Story(when=AB).event("a", "0s").event("b", "3h")
    assert story.fired == [("10m5s", ["e1"]), ("3h", "resolved", ["e2"])]


def test_what_was_awaited_is_still_known_when_a_held_after_is_let_go_past_its_deadline() -> None:
    story = Story(when=AB).event("b", "1s").event("a", "0s", arrives="10m4s", about="thing/1", follows="lost")
    assert (story.until("1h").fired, story.outcomes) == ([], ["no_match", "held", "satisfied"])


def test_nothing_is_remembered_for_ever() -> None:
    story = Story(when=AB).event("a", "0s").event("b", "1m").event("b", "2m").event("a", "30m").until("2h")
    assert story.state.slots == [{}]
