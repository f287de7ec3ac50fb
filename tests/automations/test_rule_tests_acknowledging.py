"""Rule tests in which somebody acknowledges an alert."""

import pytest

from tocsin_automations.plugins import action_kinds, rehearsal, trigger_kinds
from tocsin_automations.sources import read_beside
from tocsin_automations.testing import TestContext, TestFileResult, run_test_file

FILE = """\
automations:
  page:
    when: {event: flow-run.failed, for_each: flow.name}
    until: {event: flow-run.completed}
    then: [{notify: oncall, severity: critical, title: "{{ flow.name }} is broken"}]
  tell:
    when: {event: flow-run.failed}
    then: [{emit_event: told}]
notifiers:
  oncall:
    escalate: [{notify: first}, {wait: 10m, unless: acknowledged}, {notify: second}]
  first: {console: {}, remind: 1h}
  second: {console: {}}
tests:
  - name: acknowledged
    events:
      - {type: flow-run.failed, resource: {kind: flow-run, id: r1}, related: {flow: {name: etl}}}
      - {at: 1m, type: flow-run.failed, resource: {kind: flow-run, id: r2}, related: {flow: {name: load}}}
      - {at: 3h, type: flow-run.completed, resource: {kind: flow-run, id: r3}, related: {flow: {name: etl}}}
    run_until: 3h
    expect:
      - {at: 0s, automation: page, key: [etl]}
      - {at: 0s, automation: tell}
      - {at: 1m, automation: page, key: [load]}
      - {at: 1m, automation: tell}
      - {at: 3h, automation: page, key: [etl], state: resolved}
"""
BOTH = """\
    acknowledgements:
      - {at: 3m, automation: page, key: [etl], by: ada}
      - {at: 4m, automation: page, by: grace}
    deliveries:
      - {at: 0s, notifier: first, title: etl is broken}
      - {at: 1m, notifier: first, title: load is broken}
      - {at: 3m, notifier: first, status: acknowledged, contains: [etl is broken, Acknowledged by ada]}
      - {at: 4m, notifier: first, status: acknowledged, contains: [load is broken, Acknowledged by grace]}
      - {at: 3h, notifier: first, status: resolved}
      - {at: 10m, notifier: second, suppressed: acknowledged}
"""


def run(text: str) -> TestFileResult:
    return run_test_file(
        text, "t.yaml", TestContext(action_kinds(), trigger_kinds(), read_beside, rehearsal())
    )


def failures(text: str) -> list[str]:
    result = run(text)
    assert [str(problem) for problem in result.problems] == []
    return [difference for one in result.results for difference in one.differences]


def test_acknowledging_stops_escalation_and_reminders_and_is_told() -> None:
    assert failures(FILE + BOTH) == []


def test_without_it_the_same_test_fails() -> None:
    found = "\n".join(failures(FILE + BOTH.replace("{at: 3m, automation", "{at: 2h, automation")))
    assert "at 10m  second > console  firing  etl is broken" in found
    assert "at 1h  first > console  firing  etl is broken" in found


def test_what_happens_at_the_same_instant_comes_first() -> None:
    acknowledged = """\
    acknowledgements: [{at: 1m, automation: page, by: ada}, {at: 1m, automation: page, key: [etl], by: ada}]
    deliveries:
      - {at: 0s, notifier: first}
      - {at: 1m, notifier: first, title: load is broken, status: firing}
      - {at: 1m, notifier: first, status: acknowledged, contains: load}
      - {at: 1m, notifier: first, status: acknowledged, contains: etl}
      - {at: 3h, notifier: first, status: resolved}
"""
    assert failures(FILE + acknowledged) == []


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("{at: 30s, automation: page, key: [load], by: ada}", 'open: page key ["load"]\n  open then: page key ["etl"]'),
        ("{at: 3h, automation: page, key: [etl], by: ada}", 'open: page key ["etl"]\n  open then: page key ["load"]'),
        ("{at: 2m, automation: tell, by: ada}", "tell has fired, but without `until` it opens no alert"),
    ],
)  # fmt: skip
def test_what_is_not_open_can_not_be_acknowledged(written: str, said: str) -> None:
    [found] = failures(f"{FILE}    acknowledgements: [{written}]\n    deliveries: []\n")
    assert "ada can't acknowledge what is not open: " in found
    assert said in found


def test_mistakes_are_found_with_their_place() -> None:
    result = run(FILE + """\
    acknowledgements:
      - {at: 4h, automation: page, by: ada}
      - {at: 1m, automation: pgae, by: ada}
""")  # fmt: skip
    assert [str(one) for one in result.problems] == [
        "t.yaml:28:7: error: acknowledging changes only what is delivered: say under `deliveries` what that is",
        "t.yaml:28:14: error: this comes after the test has ended (`run_until: 3h`)",
        "t.yaml:29:30: error: there is no automation 'pgae' in this test (did you mean page?)",
    ]
    result = run(FILE + "    deliveries: []\n    acknowledgements: [{at: 1m, automation: page, who: ada}]\n")
    missing, unknown = (one.message for one in result.problems)
    assert "'by' is missing" in missing
    assert "unknown key 'who'" in unknown
