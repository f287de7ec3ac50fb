"""Flow control: what becomes of a firing before it is one."""

from typing import Any

import pytest
from pydantic import ValidationError

from engine_story import Story, automation

EACH = {"event": "x", "for_each": "data.k"}


def test_cooldown_is_half_open_per_key_and_the_next_firing_says_how_many_were_held_back() -> None:
    story = Story(when=EACH, limits={"cooldown": "10m"})
    story.event("x", "0s", k=1).event("x", "1m", k=1).event("x", "2m", k=2).event("x", "9m59s", k=1)
    story.event("x", "10m", k=1)
    assert [(at, key) for at, key, _ in story.fired] == [("0s", 1), ("2m", 2), ("10m", 1)]
    assert story.outcomes == ["fired", "cooldown", "fired", "cooldown", "fired"]
    assert story.last.firing is not None
    assert story.last.firing.suppressed == 2


def test_cooldown_holds_whether_the_alert_is_open_or_resolved() -> None:
    story = Story(when={"event": "x"}, until={"event": "ok"}, limits={"cooldown": "1h"})
    story.event("x", "0s").event("x", "1m").event("ok", "2m").event("x", "3m").event("x", "1h")
    assert story.times == ["0s", "2m!", "1h"]


def test_a_firing_that_is_held_back_uses_its_events_up() -> None:
    story = Story(when={"event": "x", "count": 2, "within": "1h"}, limits={"cooldown": "10m"})
    for minute in (0, 1, 2, 3, 20, 21):
        story.event("x", f"{minute}m")
    assert story.fired == [("1m", ["e1", "e2"]), ("21m", ["e5", "e6"])]


def test_scope_automation_counts_all_keys_together() -> None:
    story = Story(when=EACH, limits={"cooldown": "10m", "scope": "automation"})
    assert story.event("x", "0s", k=1).event("x", "1m", k=2).outcomes == ["fired", "cooldown"]


def test_cooldown_is_forgotten_when_it_is_over() -> None:
    story = Story(when=EACH, limits={"cooldown": "10m"}).event("x", "0s", k=1).until("10m")
    assert story.state.limits == [{}]


@pytest.mark.parametrize(
    ("deliver", "events"), [("last", ["e3"]), ("first", ["e1"]), ("all", ["e1", "e2", "e3"])]
)
def test_debounce_fires_once_when_nothing_more_came(deliver: str, events: list[str]) -> None:
    story = Story(when={"event": "x"}, limits={"debounce": {"wait": "30s", "deliver": deliver}})
    story.event("x", "0s").event("x", "20s").event("x", "40s").until("5m")
    assert story.fired == [("1m10s", events)]
    assert story.outcomes == ["debounced"] * 3


def test_debounce_waits_at_most_so_long() -> None:
    story = Story(when={"event": "x"}, limits={"debounce": {"wait": "30s", "at_most": "1m"}})
    for second in (0, 20, 40, 59, 61):
        story.event("x", f"{second}s")
    assert story.until("5m").fired == [("1m", ["e4"]), ("1m31s", ["e5"])]


def test_debounce_takes_the_last_by_event_time() -> None:
    story = Story(when={"event": "x"}, limits={"debounce": {"wait": "30s"}})
    assert story.event("x", "10s").event("x", "5s", arrives="11s").until("5m").fired == [("41s", ["e1"])]


def test_batch_fires_when_full_or_when_the_time_is_over() -> None:
    story = Story(when={"event": "x"}, limits={"batch": {"size": 3, "wait": "1m"}})
    for second in (0, 1, 2, 10, 20):
        story.event("x", f"{second}s")
    assert story.until("5m").fired == [("2s", ["e1", "e2", "e3"]), ("1m10s", ["e4", "e5"])]
    assert story.outcomes == ["batched", "batched", "fired", "batched", "batched"]


def test_rate_is_a_sliding_log_over_the_whole_automation() -> None:
    story = Story(when=EACH, limits={"rate": {"max": 2, "per": "10m"}})
    for key, minute in enumerate((0, 6, 9, 10, 11, 16)):
        story.event("x", f"{minute}m", k=key)
    assert story.outcomes == ["fired", "fired", "rate_limited", "fired", "rate_limited", "fired"]


def test_a_blown_fuse_pauses_until_somebody_resumes() -> None:
    rule = automation(when={"event": "x"}, limits={"rate": {"max": 1, "per": "1m", "then": "pause"}})
    story = Story(rule).event("x", "0s").event("x", "1s")
    assert story.last.detail["pause"] is True
    story.event("x", "1h")
    assert story.outcomes == ["fired", "rate_limited", "paused"]
    story.apply(rule.model_copy(update={"enabled": False})).event("x", "2h").apply(rule).event("x", "3h")
    assert story.outcomes[3:] == ["paused", "fired"]


RUNS = {"then": [{"run_deployment": "nightly"}], "when": {"event": "x"}}


def started(story: Story, place: int) -> str:
    return story.ids()[place]


def test_concurrency_skips() -> None:
    story = (
        Story(**RUNS, limits={"concurrency": {"max": 1, "mode": "skip"}}).event("x", "0s").event("x", "1m")
    )
    assert story.outcomes == ["fired", "concurrency_skipped"]
    story.event("flow-run.completed", "2m", cause="somebody else").event("x", "3m")
    story.event("flow-run.running", "4m", cause=started(story, 0)).event("x", "5m")
    assert story.outcomes[2:] == ["concurrency_skipped"] * 2
    story.event("flow-run.failed", "6m", cause=started(story, 0)).event("x", "7m")
    assert story.outcomes[-1] == "fired"
    assert story.last.firing is not None
    assert story.last.firing.suppressed == 3


def test_concurrency_queues_and_the_end_of_a_run_lets_the_next_go() -> None:
    story = (
        Story(**RUNS, limits={"concurrency": {"max": 1}}).event("x", "0s").event("x", "1m").event("x", "2m")
    )
    assert story.times == ["0s"]
    story.event("flow-run.completed", "5m", cause=started(story, 0))
    assert story.fired[1:] == [("5m", ["e2"])]
    story.event("flow-run.crashed", "6m", cause=started(story, 1))
    assert story.fired[2:] == [("6m", ["e3"])]


def test_concurrency_restarts_and_names_what_it_replaces() -> None:
    story = (
        Story(**RUNS, limits={"concurrency": {"max": 1, "mode": "restart"}}).event("x", "0s").event("x", "1m")
    )
    assert story.last.firing is not None
    assert story.last.firing.cancels == (started(story, 0),)


@pytest.mark.parametrize(
    ("type_", "more", "frees"),
    [
        ("automation.action-failed", {}, True),
        ("automation.action-skipped", {}, True),
        ("automation.action-succeeded", {"detail": {"run": "r1", "new": False}}, True),
        ("automation.action-succeeded", {"detail": {"run": "r1", "new": True}}, False),
        ("automation.action-succeeded", {"detail": None}, False),
        ("automation.action-failed", {"kind": "notify"}, False),
    ],
)
def test_an_action_that_started_no_run_frees_its_place(type_: str, more: dict[str, Any], frees: bool) -> None:
    story = Story(**RUNS, limits={"concurrency": {"max": 1, "mode": "skip"}}).event("x", "0s")
    story.event(type_, "1s", cause=started(story, 0), **{"kind": "run_deployment", **more}).event("x", "1m")
    assert story.outcomes == ["fired", "fired" if frees else "concurrency_skipped"]


def test_every_run_of_a_firing_must_end() -> None:
    rule = {"when": {"event": "x"}, "then": [{"run_deployment": "a"}, {"run_deployment": "b"}]}
    story = Story(**rule, limits={"concurrency": {"max": 1, "mode": "skip"}}).event("x", "0s")
    story.event("flow-run.completed", "1m", cause=started(story, 0)).event("x", "2m")
    story.event("flow-run.completed", "3m", cause=started(story, 0)).event("x", "4m")
    assert story.outcomes == ["fired", "concurrency_skipped", "fired"]


def test_a_chain_of_its_own_making_ends() -> None:
    story = Story(when={"event": "x"}, limits={"chain": 2}).event("x", "0s")
    for hop in range(1, 5):
        story.event(
            "x",
            f"{hop}s",
            cause=story.ids()[-1],
            hops=story.decisions[-1].firing.hops if story.decisions[-1].firing else 9,
        )
    assert story.outcomes == ["fired", "fired", "fired", "loop", "loop"]


def test_a_long_chain_of_others_is_no_loop() -> None:
    ping, pong = (
        automation("ping", when={"event": "a"}, limits={"chain": 1}),
        automation("pong", when={"event": "b"}),
    )
    story = Story(ping, pong).event("b", "0s")
    assert story.event("a", "1s", cause=story.ids()[0], hops=5).outcomes == ["fired", "fired"]
    assert story.event("a", "2s", cause=story.ids()[1], hops=6).outcomes[-1] == "loop"
    assert story.event("a", "3s", cause="long forgotten", hops=6).outcomes[-1] == "loop"


def test_limits_apply_in_their_order() -> None:
    limits = {"debounce": {"wait": "10s"}, "cooldown": "1h"}
    story = (
        Story(when={"event": "x"}, limits=limits)
        .event("x", "0s")
        .event("x", "5s")
        .until("1m")
        .event("x", "2m")
        .until("5m")
    )
    assert story.outcomes == ["debounced"] * 3
    assert [one.outcome.value for one in story.decisions] == [
        "debounced",
        "debounced",
        "fired",
        "debounced",
        "cooldown",
    ]


def test_a_firing_that_resolves_nothing_of_what_is_collected_when_paused() -> None:
    rule = automation(when={"event": "x"}, limits={"debounce": {"wait": "10s"}})
    story = Story(rule).event("x", "0s").apply(rule.model_copy(update={"enabled": False})).until("1m")
    assert [one.outcome.value for one in story.decisions] == ["debounced", "paused"]


def test_debounce_and_batch_exclude_each_other() -> None:
    with pytest.raises(ValidationError, match="exclude"):
        automation(
            when={"event": "x"}, limits={"debounce": {"wait": "1s"}, "batch": {"size": 2, "wait": "1s"}}
        )


STUCK = {"event": "flow-run.pending", "for": "10m"}


def test_a_firing_that_is_over_before_it_is_let_through_is_told_with_its_end() -> None:
    story = Story(when=STUCK, grace="0s", limits={"debounce": {"wait": "30s"}})
    story.event("flow-run.pending", "0s", about="flow-run/r").event(
        "flow-run.running", "10m10s", about="flow-run/r"
    )
    assert story.times == []
    assert story.until("1h").times == ["10m30s", "10m30s!"]
    assert story.fired[-1][-1] == ["e2"]


def test_what_fires_again_before_it_is_let_through_is_not_over() -> None:
    story = Story(when=STUCK, grace="0s", limits={"debounce": {"wait": "20m"}})
    for at, state in (("0s", "pending"), ("11m", "running"), ("12m", "pending")):
        story.event(f"flow-run.{state}", at, about="flow-run/r")
    assert story.until("1h").times == ["42m"]
    assert story.event("flow-run.running", "2h", about="flow-run/r").times == ["42m", "2h!"]


def test_a_firing_that_is_over_while_runs_of_an_earlier_one_go_on_is_told_with_its_end() -> None:
    limits = {"concurrency": {"max": 1}, "scope": "automation"}
    story = Story(when=STUCK, grace="0s", then=[{"run_deployment": "a"}], limits=limits)
    for run in ("r", "s"):
        story.event("flow-run.pending", "0s", about=f"flow-run/{run}")
    story.until("15m").event("flow-run.running", "20m", about="flow-run/s")
    assert story.times == ["10m"]
    story.event("flow-run.completed", "30m", cause=story.ids()[0])
    assert story.times == ["10m", "30m", "30m!"]
