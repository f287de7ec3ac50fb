"""Golden histories: recorded streams with the firings that were worked out by hand; they must not change."""

import json
from pathlib import Path
from typing import Any

import pytest

from engine_story import automation
from oracle.engine import Life
from tocsin_automations.engine import Rules, Tick
from tocsin_automations.replay import replay
from tocsin_events.instant import from_micros, parse_rfc3339
from tocsin_events.view import EventView

HISTORIES = sorted((Path(__file__).parents[1] / "histories").glob("*.jsonl"))


def read(path: Path) -> tuple[dict[str, Any], list[EventView], list[dict[str, Any]]]:
    """A history: its rules in the first line, then events as they came, then what fired."""
    head, *lines = [json.loads(line) for line in path.read_text().splitlines()]
    views = [
        EventView.decode(
            json.dumps(line["event"]).encode(), received=parse_rfc3339(line["received"]), sequence=number
        )
        for number, line in enumerate((line for line in lines if "event" in line), 1)
    ]
    return head, views, [line["fires"] for line in lines if "fires" in line]


def told(decisions: Any, views: list[EventView]) -> list[dict[str, Any]]:
    """Firings as a history writes them."""
    return [
        {
            "at": from_micros(one.firing.at).isoformat().replace("+00:00", "Z"),
            "automation": one.automation,
            "key": list(one.firing.key),
            "state": one.firing.state,
            "events": [views[number - 1].id for number in one.firing.sequences],
        }
        for one in decisions
        if one.firing is not None
    ]


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: path.stem)
@pytest.mark.parametrize("restarts", [False, True], ids=["in one go", "with restarts"])
def test_a_recorded_history_fires_as_it_did(path: Path, restarts: bool) -> None:
    head, views, expected = read(path)
    applied, end = parse_rfc3339(head["applied"]), parse_rfc3339(head["until"])
    rules = Rules.build([automation(name, **rule) for name, rule in head["automations"].items()], 1, applied)
    life = Life(rules, applied)
    for one in [*views, Tick(end)]:
        life.step(one)
        if restarts:
            life.restart()
    order = [(fires["at"], fires["automation"], fires["state"] != "firing") for fires in expected]
    assert order == sorted(order, key=lambda one: one[0])
    got = told(life.decisions, views)
    assert sorted(map(json.dumps, got)) == sorted(map(json.dumps, expected))
    assert told(replay(rules, views, start=applied, until=end), views) == got


def test_there_are_histories() -> None:
    assert HISTORIES
