from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from xml.etree import ElementTree as ET

from pydantic import BaseModel, ConfigDict

from tocsin_automations.decision import Outcome
from tocsin_automations.plugins import trigger_kinds
from tocsin_automations.testing import RuleTestResult, TestContext, TestFileResult, junit_xml, run_test_file


class NotifyArgs(BaseModel):
    model_config = ConfigDict(extra="forbid")
    notifier: str
    severity: str = "error"
    title: str = ""
    body: str = ""


class NamedArgs(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str | None = None
    parameters: dict[str, Any] = {}


class EmitArgs(BaseModel):
    model_config = ConfigDict(extra="forbid")
    type: str
    data: Any = None


@dataclass(frozen=True)
class Kind:
    name: str
    main: str
    model: type[BaseModel]
    lenient: frozenset[str] = field(default=frozenset())


KINDS: Mapping[str, Any] = {
    kind.name: kind
    for kind in (
        Kind("notify", "notifier", NotifyArgs, frozenset({"title", "body"})),
        Kind("run_deployment", "name", NamedArgs),
        Kind("pause_automation", "name", NamedArgs),
        Kind("emit_event", "type", EmitArgs),
    )
}
FILES = {
    "rules.yaml": b"automations:\n  from-a-file:\n    when: {event: x}\n    then: [{notify: oncall, title: hello}]\n"
}


def run(text: str) -> TestFileResult:
    def read_beside(_: str, path: str) -> Any:
        return ((path, FILES[path]),), ()

    return run_test_file(text, "t.yaml", TestContext(KINDS, trigger_kinds(), read_beside))


def problems(text: str) -> list[str]:
    result = run(text)
    assert result.results == ()
    return [str(problem).removeprefix("t.yaml:") for problem in result.problems]


def failures(text: str) -> tuple[str, ...]:
    result = run(text)
    assert [str(problem) for problem in result.problems] == []
    return tuple(difference for one in result.results for difference in one.differences)


THREE = """\
automations:
  three:
    when: {event: flow-run.failed, where: 'deployment.labels.env == "prod"', count: 3, within: 10m, for_each: flow.name}
    then:
      - notify: oncall
        if: count == 3
        title: "{{ flow.name }} failed {{ count }} times: {{ events | map(attribute='id') | join(',') }}"
        body: "{{ data.nothing }} {{ vars.team }} {{ why_url != '' }}"
      - notify: never
        if: count == 4
variables: {team: data}
tests:
  - name: three failures
    events:
      - at: 0s
        type: flow-run.failed
        resource: {kind: flow-run, id: r1}
        related: {flow: {name: etl}, deployment: {name: nightly, labels: {env: prod}}}
        repeat: {times: 3, every: 1m}
    run_until: 2h
"""


def test_what_is_as_expected_passes() -> None:
    assert failures(THREE + """\
    expect:
      - at: 2m
        automation: three
        key: [etl]
        events: [e1-1, e1-2, e1-3]
        count: 3
        actions:
          - notify: oncall
            severity: error
            title: "etl failed 3 times: e1-1,e1-2,e1-3"
            body: "⟨missing: data⟩ data true"
    decisions:
      - {event: e1-1, automation: three, outcome: pending}
      - {event: e1-3, automation: three, outcome: fired, key: [etl]}
""") == ()  # fmt: skip


def test_a_firing_too_much_is_shown() -> None:
    [difference] = failures(THREE + "    expect: []\n")
    assert (
        difference
        == 'not expected, but fired:\n  at 2m  three  key ["etl"]  firing  events ["e1-1", "e1-2", "e1-3"]'
    )


def test_a_firing_that_differs_is_shown_field_by_field() -> None:
    [difference] = failures(THREE + """\
    expect:
      - {at: 1m, automation: three, key: [etl], actions: [{notify: oncall, title: other, colour: red}]}
""")  # fmt: skip
    assert difference.split("\n") == [
        "fired otherwise than expected:",
        '  at 2m  three  key ["etl"]  firing  events ["e1-1", "e1-2", "e1-3"]',
        "    at",
        '      expected  "1m"',
        '      got       "2m"',
        "    actions[0].title",
        '      expected  "other"',
        '      got       "etl failed 3 times: e1-1,e1-2,e1-3"',
        "    actions[0].colour",
        '      expected  "red"',
        '      got       "(not there)"',
    ]


def test_a_firing_that_is_missing_shows_the_nearest_miss_with_its_tree() -> None:
    [difference] = failures(THREE.replace("times: 3, every", "times: 2, every") + """\
    expect:
      - {at: 2m, automation: three, key: [etl]}
""")  # fmt: skip
    assert difference.split("\n") == [
        "expected, but did not fire:",
        '  at 2m  three  key ["etl"]  firing',
        "  nearest miss:",
        '    at 1m, event e1-2, when key ["etl"]: pending (2 of 3, until 2026-01-01T00:10:00Z)',
        "      threshold: have 1, need 3, times [2026-01-01T00:00:00Z]",
        "        flow-run.failed: e1-2 passes, key ['etl']",
        '          deployment.labels.env == "prod" is true: deployment.labels.env is "prod"',
    ]


def test_an_event_that_does_not_match_is_the_nearest_miss_where_nothing_came_nearer() -> None:
    [difference] = failures(
        THREE.replace("env: prod}", "env: dev}") + "    expect: [{at: 2m, automation: three}]\n"
    )
    assert "event e1-3, when: no_match" in difference
    assert 'deployment.labels.env == "prod" is false: deployment.labels.env is "dev"' in difference


def test_a_rule_that_no_event_reached_says_so() -> None:
    text = THREE.replace("type: flow-run.failed", "type: other")
    [difference] = failures(text + "    expect: [{at: 2m, automation: three}]\n")
    assert "no event of this test reached three" in difference


def test_a_decision_that_was_not_made_shows_those_that_were() -> None:
    [wrong, unknown] = failures(THREE + """\
    expect: [{at: 2m, automation: three}]
    decisions:
      - {event: e1-1, automation: three, outcome: fired}
      - {event: e9, automation: three, outcome: fired}
""")  # fmt: skip
    assert wrong.startswith("expected of event e1-1 and three: fired\n  got at 0s, event e1-1, when")
    assert "no decision was made about it" in unknown


INLINE = "automations: {a: {when: {event: x, for_each: data.n}}}\ntests:\n  - name: t\n    events: [%s]\n    expect: %s\n"


def test_firings_of_one_instant_are_not_ordered_and_loose_expectations_find_their_match() -> None:
    events = "{type: x, data: {n: 1}}, {type: x, data: {n: 2}}"
    assert failures(INLINE % (events, "[{at: 0s, automation: a}, {at: 0s, automation: a, key: [1]}]")) == ()
    assert (
        failures(
            INLINE % (events, "[{at: 0s, automation: a, key: [2]}, {at: 0s, automation: a, key: [1.0]}]")
        )
        == ()
    )


def test_keys_compare_as_json() -> None:
    [difference] = failures(INLINE % ("{type: x, data: {n: true}}", "[{at: 0s, automation: a, key: [1]}]"))
    assert "expected  [1]" in difference
    assert "got       [true]" in difference


def test_arrival_moves_the_clock_and_ids_may_be_given() -> None:
    text = INLINE % (
        "{type: x, data: {n: 1}, at: 1m, arrives: 3m, id: mine, repeat: {times: 2, every: 1m}}",
        "[{at: 3m, automation: a, events: [mine-1]}, {at: 4m, automation: a, events: [mine-2]}]",
    )
    assert failures(text) == ()


def test_two_events_with_one_id_are_one() -> None:
    text = INLINE % (
        "{type: x, data: {n: 1}, id: d}, {type: x, data: {n: 1}, id: d, at: 1m}",
        "[{at: 0s, automation: a}]",
    )
    assert failures(text + "    decisions: [{event: d, automation: a, outcome: duplicate}]\n") == ()


def test_timers_due_exactly_at_the_end_fire_and_later_ones_do_not() -> None:
    text = """\
automations: {a: {when: {after: x, missing: y, within: 1m, for_each: resource.id}}}
tests:
  - name: exactly
    events: [{type: x, resource: {kind: k, id: r}}]
    run_until: 1m5s
    expect: [{at: 1m5s, automation: a, key: [r]}]
  - name: just before
    events: [{type: x, resource: {kind: k, id: r}}]
    run_until: 1m4s
    expect: []
"""
    assert failures(text) == ()


def test_a_file_may_have_several_documents_and_read_other_files() -> None:
    text = """\
automations: rules.yaml
tests: [{name: one, events: [{type: x}], expect: [{at: 0s, automation: from-a-file}]}]
---
automations: [rules.yaml]
tests: [{name: one, events: [], expect: []}]
"""
    result = run(text)
    assert result.problems == ()
    assert [(one.name, one.passed, one.line) for one in result.results] == [
        ("one", True, 2),
        ("one", True, 5),
    ]


RULES_ABOUT_RULES = """\
automations:
  first: {when: {event: x}, then: [{emit_event: y, data: {n: "{{ data.n }}"}}]}
  second: {when: {event: y, where: data.n == 1}, then: [{notify: n, title: "{{ event.cause == firing.id }}"}]}
  watcher: {when: {event: automation.fired, where: automation.name == "second"}}
  results: {when: {event: automation.action-succeeded, where: data.kind == "emit_event"}}
tests:
  - name: chain
    events: [{type: x, at: 1m, data: {n: 1}}]
    expect:
      - {at: 1m, automation: first}
      - {at: 1m, automation: second, actions: [{notify: n, title: "false"}]}
      - {at: 1m, automation: watcher}
      - {at: 1m, automation: results}
"""


def test_the_services_own_events_are_fed_back_at_the_same_instant() -> None:
    assert failures(RULES_ABOUT_RULES) == ()


def test_a_rule_that_sets_itself_off_is_stopped_by_its_chain() -> None:
    text = """\
automations: {a: {when: {event: x}, then: [{emit_event: x}], limits: {chain: 2}}}
tests: [{name: loop, events: [{type: x}], expect: [{at: 0s, automation: a}, {at: 0s, automation: a}]}]
"""
    assert failures(text) == ()


def test_the_cause_of_an_event_may_be_the_last_firing_of_an_automation() -> None:
    text = """\
automations: {a: {when: {event: x}, then: [{run_deployment: d}], limits: {concurrency: {max: 1, mode: skip}}}}
tests:
  - name: skipped while it runs
    events:
      - {type: x}
      - {type: x, at: 1m}
      - {type: flow-run.completed, at: 2m, cause: {firing: a}, resource: {kind: flow-run, id: r}}
      - {type: x, at: 3m}
    expect: [{at: 0s, automation: a}, {at: 3m, automation: a, suppressed: 1}]
    decisions: [{event: e2, automation: a, outcome: concurrency_skipped}]
  - name: nothing has fired
    events: [{type: z, cause: {firing: a}}]
    expect: []
"""
    [difference] = failures(text)
    assert difference == "event e1 is caused by a firing of a, which has not fired before it"


def test_a_run_that_was_not_to_be_started_holds_no_place() -> None:
    text = """
automations:
  a:
    when: {event: x}
    then: [{run_deployment: d, if: "data.n > 1"}]
    limits: {concurrency: {max: 1, mode: skip}}
tests:
  - name: t
    events:
      - {at: 0s, type: x, data: {n: 1}}
      - {at: 1s, type: x, data: {n: 2}}
      - {at: 2s, type: x, data: {n: 3}}
    expect:
      - {at: 0s, automation: a, actions: []}
      - {at: 1s, automation: a, actions: [{run_deployment: d}]}
    decisions: [{event: e3, automation: a, outcome: concurrency_skipped}]
"""
    assert failures(text) == ()


def test_an_automation_that_another_one_pauses_fires_no_more() -> None:
    text = """\
automations:
  a: {when: {event: x}}
  guard: {when: {event: stop}, then: [{pause_automation: a}]}
tests:
  - name: paused
    events: [{type: x}, {type: stop, at: 1m}, {type: x, at: 2m}]
    expect: [{at: 0s, automation: a}, {at: 1m, automation: guard}]
    decisions: [{event: e3, automation: a, outcome: paused}]
"""
    assert failures(text) == ()


def test_an_action_that_can_not_be_rendered_fails_a_test_that_looks_at_it() -> None:
    text = """\
automations: {a: {when: {event: x}, then: [{run_deployment: "{{ data.name }}"}]}}
tests: [{name: t, events: [{type: x}], expect: [{at: 0s, automation: a, actions: [{run_deployment: d}]}]}]
"""
    [difference] = failures(text)
    assert "actions[0] failed" in difference
    assert "data.name" in difference


def test_bad_files_say_where_and_nothing_runs() -> None:
    assert problems("""\
automations: {a: {when: {event: x}, limits: {cooldwon: 1h}}}
tests:
  - name: one
    evnts: []
    events:
      - {type: x, at: soon}
      - {tpye: x}
      - {type: x, related: {flow: etl}}
    expect: [{at: 0s, automation: a, stat: firing}]
    decisions: [{event: e1, automation: a, outcome: fird}]
""") == [
        "1:46: error: unknown key 'cooldwon' (did you mean cooldown?)",
        "4:5: error: unknown key 'evnts' (did you mean events?)",
        "6:23: error: 'soon' is not a duration: write it as 250ms, 30s, 10m, 1h30m, 2d or PT10M",
        "7:10: error: unknown key 'tpye' (did you mean type?)",
        "8:28: error: 'flow' takes a mapping with a name or an id, such as {name: etl}",
        "9:38: error: unknown key 'stat' (did you mean state?)",
        f"10:53: error: 'fird' is not one of {', '.join(Outcome)} (did you mean fired?)",
    ]  # fmt: skip


def test_mistakes_in_the_rules_and_between_rules_and_tests_are_found() -> None:
    assert problems("""\
automations: {alpha: {when: {event: x}, limits: {cooldwon: 1h}}}
notifiers: {}
tests:
  - name: one
    events: [{type: x, at: 2m}]
    run_until: 1m
    expect: [{at: 0s, automation: alhpa}]
  - name: one
    expect: []
""") == [
        "1:50: error: unknown key 'cooldwon' (did you mean cooldown?)",
        "5:14: error: the event arrives after the test has ended (`run_until: 1m`)",
        "7:35: error: there is no automation 'alhpa' in this test (did you mean alpha?)",
        "8:11: error: the test 'one' is here a second time; first at t.yaml:4:11",
    ]  # fmt: skip


def test_notifiers_are_checked_only_where_the_file_names_them() -> None:
    rule = "automations: {a: {when: {event: x}, then: [{notify: oncall}]}}\ntests: []\n"
    assert run(rule).problems == ()
    assert problems(rule + "notifiers: {on-call: {}}\n") == [
        "1:53: error: there is no notifier 'oncall' (did you mean on-call?)"
    ]


def test_an_empty_file_is_no_file_of_tests() -> None:
    assert problems("# nothing\n") == ["1:1: error: the file has no tests"]


def test_results_are_written_as_junit_xml() -> None:
    bad = RuleTestResult("b.yaml", 7, "fails <&\x07", ("expected\n  more",), 0.5)
    written = junit_xml([RuleTestResult("a.yaml", 3, "passes"), bad], run("tests: 3").problems)
    root = ET.fromstring(written)
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("4", "1", "2")
    suites = {suite.get("name"): suite for suite in root}
    case = suites["b.yaml"][0]
    assert (case.get("name"), case.get("time"), case.get("line")) == (
        "fails <&\N{REPLACEMENT CHARACTER}",
        "0.500",
        "7",
    )
    assert case[0].text == "expected\n  more"
