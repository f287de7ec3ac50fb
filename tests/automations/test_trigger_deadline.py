"""``missing`` … ``by`` … ``within``: not finished in time."""

import pytest
from pydantic import ValidationError

from engine_story import Story, automation
from tocsin_events.instant import parse_rfc3339

SIX = {"missing": "done", "by": {"cron": "0 6 * * *"}, "within": "6h"}


def test_a_miss_fires_at_the_deadline_and_the_grace_each_time() -> None:
    assert Story(when=SIX).until("60h").times == ["6h5s", "1d6h5s", "2d6h5s"]


def test_an_event_in_the_time_before_satisfies_it() -> None:
    story = Story(when=SIX).event("done", "1h").until("7h")
    assert (story.times, story.outcomes) == ([], ["satisfied"])


def test_both_ends_of_the_window_count() -> None:
    when = {**SIX, "within": "2h"}
    assert Story(when=when).event("done", "4h").until("7h").times == []
    assert Story(when=when).event("done", "6h", arrives="6h4s").until("7h").times == []
    assert Story(when=when).event("done", "3h59m59s").until("7h").times == ["6h5s"]
    assert Story(when=when).event("done", "6h1s", arrives="6h2s").until("7h").times == ["6h5s", "6h5s!"]


def test_an_event_at_a_deadline_counts_for_the_next_one_exactly_a_window_later() -> None:
    story = Story(when={"missing": "x", "by": {"cron": "0 6 * * *"}, "within": "24h"})
    assert story.event("x", "6h").until("53h").times == []
    assert story.until("55h").times == ["2d6h5s"]


def test_the_next_matching_event_closes_the_alert() -> None:
    assert Story(when=SIX).event("done", "6h30m").times == ["6h5s", "6h30m!"]


def test_in_time_but_arriving_after_the_decision_is_late() -> None:
    story = Story(when={**SIX, "within": "2h"}).event("done", "5h", arrives="6h1m")
    assert (story.times, story.outcomes) == (["6h5s", "6h1m!"], ["late"])


def test_keys_are_those_expected() -> None:
    story = Story(when={**SIX, "for_each": "data.k", "keys": ["a", "b"]})
    story.event("done", "1h", k="b").event("done", "2h", k="c").until("7h")
    assert story.fired == [("6h5s", "a", [])]


def test_it_is_right_across_daylight_saving_time() -> None:
    start = parse_rfc3339("2026-03-28T00:00:00Z")
    when = {**SIX, "by": {"cron": "0 6 * * *", "timezone": "Europe/Berlin"}, "within": "8h"}
    # 06:00 is 05:00Z on the 28th and 04:00Z on the 29th, when the clocks went forward.
    assert Story(when=when, start=start).until("40h").times == ["5h5s", "1d4h5s"]
    # Eight hours of elapsed time, not of local clock, before the second deadline: 20:00Z, not 21:00Z.
    assert Story(when=when, start=start).event("done", "20h").until("30h").times == ["5h5s", "20h!"]
    assert Story(when=when, start=start).event("done", "19h59m").until("30h").times == [
        "5h5s",
        "19h59m!",
        "1d4h5s",
    ]


@pytest.mark.parametrize(
    "wrong",
    [{"for_each": "data.k"}, {"keys": ["a"]}, {"by": {"cron": "0 6 * *"}}, {"by": {"cron": "61 6 * * *"}},
     {"by": {"cron": "0 6 * * *", "timezone": "Mars/Olympus"}}, {"by": {"cron": "0 0 31 2 *"}}],
)  # fmt: skip
def test_nonsense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        automation(when={**SIX, **wrong})
