"""A firing's event carries what acting on it takes, and is never too large for the bus."""

import msgspec

from tocsin_automations.automation import Automation
from tocsin_automations.decision import Decision, Outcome
from tocsin_automations.engine import initial_state, step
from tocsin_automations.firing_event import firing_event, pause_event
from tocsin_automations.rules import Rules
from tocsin_events.envelope import MAX_EVENT_BYTES
from tocsin_events.instant import SECOND
from tocsin_events.view import EventView

NOON = 1_767_960_000 * SECOND


def fired(when: dict[str, object], *views: EventView) -> tuple[bytes, dict[str, object]]:
    automation = Automation.model_validate({"name": "rule", "when": when})
    rules = Rules.build([automation], 1, NOON)
    state = initial_state(rules, NOON)
    firings = []
    for view in views:
        state, decisions = step(rules, state, view)
        firings += [decision.firing for decision in decisions if decision.firing is not None]
    body = firing_event(firings[-1], automation)
    return body, msgspec.json.decode(body)["data"]["payload"]


def ping(number: int, data: object) -> EventView:
    return EventView(
        id=f"e{number}",
        type="ping",
        source="/test",
        time=NOON + number,
        received=NOON + number,
        sequence=number,
        data=data,
    )


def test_it_has_the_events_that_made_it_and_the_tree() -> None:
    _, payload = fired({"event": "ping", "count": 2, "within": "1m"}, ping(1, 1), ping(2, 2))
    assert [event["id"] for event in payload["events"]] == ["e1", "e2"]  # type: ignore[attr-defined]
    assert payload["event"]["id"] == "e2"  # type: ignore[index]
    assert payload["tree"]


def test_the_same_firing_gives_the_same_bytes() -> None:
    one, _ = fired({"event": "ping"}, ping(1, {"b": 1, "a": 2}))
    other, _ = fired({"event": "ping"}, ping(1, {"b": 1, "a": 2}))
    assert one == other


def test_large_events_are_left_out_so_that_the_firing_fits_on_the_bus() -> None:
    large = {"text": "x" * 400_000}
    where = 'data.text.startsWith("x")'
    body, payload = fired(
        {"event": "ping", "where": where, "count": 3, "within": "1m"},
        ping(1, large),
        ping(2, large),
        ping(3, large),
    )
    assert len(body) <= MAX_EVENT_BYTES
    assert payload["firing"]["count"] == 3  # type: ignore[index]
    assert payload["event"]["id"] == "e3"  # type: ignore[index]


def test_a_pause_says_which_limit_made_it_and_whom_the_automation_tells() -> None:
    automation = Automation.model_validate(
        {
            "name": "rule",
            "when": {"event": "ping"},
            "limits": {"rate": {"max": 10, "per": "1h", "then": "pause"}},
            "then": [{"notify": "oncall"}, {"emit_event": "x.y"}, {"notify": "team"}, {"notify": "oncall"}],
        }
    )
    blown = Decision(
        automation="rule", part="when", outcome=Outcome.RATE_LIMITED, at=NOON, event_id="e1", source="/t"
    )
    type_, _, body = pause_event(blown, automation)
    payload = msgspec.json.decode(body)["data"]["payload"]
    assert type_ == "automation.paused"
    assert payload["notifiers"] == ["oncall", "team"]
    assert payload["rate"] == {"max": 10, "per": "1h", "then": "pause"}
    assert pause_event(blown, automation)[2] == body
