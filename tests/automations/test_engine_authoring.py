"""Automations as people write them: what is accepted, what is refused and where."""

import pytest
from pydantic import ValidationError

from engine_story import KINDS, automation
from tocsin_automations.action import parse_action
from tocsin_automations.automation import Automation
from tocsin_automations.plugins import trigger_kinds
from tocsin_automations.triggers.event import EventTrigger


def places(error: ValidationError) -> list[tuple[str | int, ...]]:
    return [detail["loc"] for detail in error.errors()]


@pytest.mark.parametrize(
    ("written", "kind"),
    [
        ({"event": "x"}, "event"),
        ({"event": "x", "count": 2, "within": "1m"}, "threshold"),
        ({"event": "x", "for": "1m"}, "lasting"),
        ({"event": "x", "aggregate": "count", "over": "1m", "above": 1, "for": "1m"}, "aggregate"),
        ({"missing": "x", "after": "y", "within": "1m"}, "absence"),
        ({"missing": "x", "within": "1m"}, "silence"),
        ({"missing": "x", "by": {"cron": "0 6 * * *"}, "within": "1h"}, "deadline"),
        ({"sequence": [{"event": "x"}, {"event": "y"}], "within": "1m"}, "sequence"),
        ({"all": [{"event": "x"}], "within": "1m"}, "all"),
        ({"any": [{"event": "x"}]}, "any"),
        ({"at_least": 1, "of": [{"event": "x"}], "within": "1m"}, "at_least"),
        ({"schedule": {"every": "1h"}}, "schedule"),
    ],
)
def test_the_kind_of_a_trigger_follows_from_its_fields(written: dict[str, object], kind: str) -> None:
    assert automation(when=written).when.kind == kind
    assert kind in trigger_kinds()


def test_an_automation_survives_its_json_form() -> None:
    rule = automation(
        when={
            "all": [{"event": ["a", "b.>"], "for": "10m"}, {"event": "c"}],
            "within": "1h30m",
            "for_each": "data.k",
        },
        then=[
            {
                "notify": "oncall",
                "if": "data.x > 1",
                "timeout": "5s",
                "retry": {"times": 2},
                "title": "{{ data.x }}",
            }
        ],
        until={"event": "d"},
        limits={"cooldown": "1h"},
        grace="10s",
    )
    written = rule.model_dump(mode="json", by_alias=True)
    again = Automation.model_validate(written, context={"action_kinds": KINDS})
    assert again == rule
    assert again.when.fingerprint() == rule.when.fingerprint()


def test_python_may_give_trigger_objects() -> None:
    rule = Automation(name="rule", when=EventTrigger(event="x"))  # type: ignore[arg-type]
    assert rule.when.kind == "event"


def test_problems_are_told_all_at_once_and_where_they_are() -> None:
    with pytest.raises(ValidationError) as caught:
        automation(
            when={"all": [{"event": "x..y"}, {"event": "x", "where": "data."}], "within": "soon"},
            then=[{"notify": "a"}, {"notfy": "b"}],
            limits={"cooldwn": "1h"},
        )
    assert set(places(caught.value)) >= {
        ("when", "all", 0, "event"), ("when", "all", 1, "where"), ("when", "within"), ("then", 1), ("limits", "cooldwn"),
    }  # fmt: skip


@pytest.mark.parametrize(
    "wrong",
    [{"name": "Not_Good"}, {"when": {"evnt": "x"}}, {"when": []}, {"when": {"event": "x", "within": "1m"}},
     {"grace": 5}, {"grace": "-1s"}, {"until": {"what": 1}}, {"until": "sometime"}, {"colour": "red"}],
)  # fmt: skip
def test_nonsense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Automation.model_validate({"name": "rule", "when": {"event": "x"}, **wrong})


def test_an_action_is_named_by_its_first_field() -> None:
    action = parse_action(
        {"run_deployment": "nightly", "parameters": {"day": "{{ data.day }}"}, "if": "true"}, KINDS
    )
    assert (action.kind, action.args, action.if_) == (
        "run_deployment", {"deployment": "nightly", "parameters": {"day": "{{ data.day }}"}}, "true"
    )  # fmt: skip
    assert parse_action({"run_deployment": None}, KINDS).args == {}
    assert parse_action({"kind": "notify", "to": "a"}, KINDS) == parse_action({"notify": "a"}, KINDS)


def test_an_unknown_action_comes_with_the_nearest_name() -> None:
    with pytest.raises(ValueError, match="did you mean 'notify'"):
        parse_action({"notfy": "a"}, KINDS)


def test_a_bad_template_is_refused_where_it_stands() -> None:
    with pytest.raises(ValidationError) as caught:
        automation(when={"event": "x"}, then=[{"notify": "a", "title": "{{ oops"}])
    assert places(caught.value) == [("then", 0, "title")]


def test_descriptions_and_actions_are_no_part_of_the_fingerprint() -> None:
    one, two = (
        automation(when={"event": "x"}),
        automation(when={"event": "x"}, description="more", grace="1m"),
    )
    assert (
        one.when.fingerprint() == two.when.fingerprint() != automation(when={"event": "y"}).when.fingerprint()
    )
