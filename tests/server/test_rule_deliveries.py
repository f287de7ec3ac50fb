"""Rule tests that say who would be told what: the pipeline in virtual time."""

import textwrap
from pathlib import Path

import pytest

from tocsin_automations.plugins import action_kinds, rehearsal, trigger_kinds
from tocsin_automations.sources import read_beside
from tocsin_automations.testing import TestContext, run_test_file

HEAD = """
automations:
  failing:
    when: {event: flow-run.failed, for_each: flow.name}
    until: {event: flow-run.completed}
    then: [{notify: oncall, severity: warning, title: "{{ flow.name }} is broken"}]
quiet_hours:
  night: {intervals: [{from: "22:00", to: "07:00"}], timezone: UTC, then: defer}
notifiers:
  oncall:
    console: {}
    remind: 1h
  nightly:
    console: {}
"""


def run(test: str, head: str = HEAD, **files: str) -> list[str]:
    """Return the differences of the only test of a file."""
    written = head + "tests:\n" + textwrap.indent(textwrap.dedent(test).strip(), "  ")
    context = TestContext(action_kinds(), trigger_kinds(), read_beside, rehearsal())
    result = run_test_file(written, "t.tocsin-test.yaml", context)
    assert not result.problems, [str(one) for one in result.problems]
    (only,) = result.results
    return list(only.differences)


FAILED = "{at: 0s, type: flow-run.failed, resource: {kind: flow-run, id: r1}, related: {flow: {name: etl}}}"


def test_reminders_and_the_end_are_expected_in_virtual_time() -> None:
    found = run(f"""
        - name: reminded until it is over
          events:
            - {FAILED}
            - {{at: 150m, type: flow-run.completed, resource: {{kind: flow-run, id: r2}}, related: {{flow: {{name: etl}}}}}}
          run_until: 1d
          expect: [{{at: 0s, automation: failing}}, {{at: 150m, automation: failing, state: resolved}}]
          deliveries:
            - {{at: 0s, notifier: oncall, status: firing, title: etl is broken}}
            - {{at: 1h, notifier: oncall, contains: "Reminder: still open after 1h."}}
            - {{at: 2h, notifier: oncall}}
            - {{at: 150m, notifier: oncall, status: resolved, title: "Resolved: etl is broken"}}
    """)
    assert found == []


def test_the_ends_of_a_group_are_expected_at_its_turn() -> None:
    def event(at: str, what: str, flow: str) -> str:
        return f"{{at: {at}, type: flow-run.{what}, resource: {{kind: flow-run, id: r1}}, related: {{flow: {{name: {flow}}}}}}}"

    head = HEAD.replace("console: {}", "console: {}\n    group: {wait: 30s, interval: 5m}", 1)
    found = run(
        f"""
        - name: the ends come together
          events:
            - {event("0s", "failed", "etl")}
            - {event("0s", "failed", "load")}
            - {event("0s", "failed", "report")}
            - {event("1m", "completed", "etl")}
            - {event("2m", "completed", "load")}
            - {event("20m", "completed", "report")}
          run_until: 1h
          expect:
            - {{at: 0s, automation: failing, key: [etl]}}
            - {{at: 0s, automation: failing, key: [load]}}
            - {{at: 0s, automation: failing, key: [report]}}
            - {{at: 1m, automation: failing, key: [etl], state: resolved}}
            - {{at: 2m, automation: failing, key: [load], state: resolved}}
            - {{at: 20m, automation: failing, key: [report], state: resolved}}
          deliveries:
            - {{at: 30s, notifier: oncall, status: firing, title: 3 alerts of failing}}
            - {{at: 5m30s, notifier: oncall, status: resolved, title: "Resolved: 2 alerts of failing, 1 still open", contains: [etl is broken, load is broken]}}
            - {{at: 20m30s, notifier: oncall, status: resolved, title: "Resolved: report is broken"}}
    """,
        head,
    )
    assert found == []


@pytest.mark.parametrize(
    ("deliveries", "said"),
    [
        ("[]", "not expected, but delivered:\n  at 0s  oncall > console  firing  etl is broken"),
        ("[{at: 0s, notifier: oncall, title: etl failed}]", "got       etl is broken"),
        ("[{at: 0s, notifier: oncall, contains: nothing of it}]", "expected  nothing of it"),
        (
            "[{at: 0s, notifier: oncall}, {at: 5m, notifier: nightly}]",
            "expected, but not delivered:\n  at 5m",
        ),
        (
            "[{at: 0s, notifier: oncall}, {at: 0s, notifier: oncall, suppressed: silenced}]",
            "expected, but not suppressed (silenced)",
        ),
    ],
)
def test_what_differs_is_said(deliveries: str, said: str) -> None:
    found = run(f"""
        - name: differs
          events: [{FAILED}]
          run_until: 30m
          expect: [{{at: 0s, automation: failing}}]
          deliveries: {deliveries}
    """)
    assert len(found) == 1
    assert said in found[0]


@pytest.mark.parametrize(
    ("delivery", "word", "said"),
    [
        ("{at: 0s, notifier: onkall}", "onkall", "there is no notifier 'onkall' in this test (did you mean oncall?)"),
        ("{at: 0s, notifier: inbox, suppressed: silence}", "silence}", "(did you mean silenced?)"),
        ("{at: 0s, notifier: oncall, suppressed: quiet_hours}", "quiet_", "(did you mean quiet-hours?)"),
        ("{at: 0s, notifier: inbox, suppressed: because}", "because", "there is no reason 'because': one of acknowledged,"),
        ("{at: 0s, notifier: router}", "router", "'router' leads to other notifiers: name the one that tells"),
    ],
)  # fmt: skip
def test_a_word_that_nothing_has_is_refused_at_its_place(delivery: str, word: str, said: str) -> None:
    line = f"  deliveries: [{delivery}]}}]"
    head = HEAD + "  router: {route: [{notify: oncall}]}\n"
    context = TestContext(action_kinds(), trigger_kinds(), read_beside, rehearsal())
    result = run_test_file(f"{head}tests: [{{name: a, expect: [],\n{line}", "t.tocsin-test.yaml", context)
    (only,) = result.problems
    assert (only.line, only.column) == (len(head.splitlines()) + 2, line.index(word) + 1)
    assert said in str(only)
    assert result.results == ()


def test_a_silence_of_the_test_suppresses_and_says_so() -> None:
    found = run(f"""
        - name: silenced
          silences: [{{matcher: 'flow.name == "etl"', lasts: 20m}}]
          events: [{FAILED}]
          run_until: 30m
          expect: [{{at: 0s, automation: failing}}]
          deliveries:
            - {{at: 0s, notifier: oncall, suppressed: silenced}}
            - {{at: 20m, notifier: oncall, contains: Held back}}
    """)
    assert found == []


def test_a_notification_to_nobody_goes_to_the_inbox() -> None:
    found = run(
        f"""
        - name: unrouted
          events: [{FAILED}]
          expect: [{{at: 0s, automation: failing}}]
          deliveries: [{{at: 0s, notifier: inbox}}]
        """,
        HEAD.replace(
            "console: {}\n    remind: 1h", "route: [{where: 'severity == \"critical\"', notify: nightly}]"
        ),
    )
    assert found == []


def test_notifiers_beside_the_rules_are_found(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(HEAD)
    test = tmp_path / "x.tocsin-test.yaml"
    test.write_text(
        f"automations: rules.yaml\ntests: [{{name: a, events: [{FAILED}], expect: [{{at: 0s, automation: failing}}],"
        " deliveries: [{at: 0s, notifier: oncall, title: etl is broken}]}]"
    )
    context = TestContext(action_kinds(), trigger_kinds(), read_beside, rehearsal())
    result = run_test_file(test.read_bytes(), str(test), context)
    assert [one.differences for one in result.results] == [()], [str(one) for one in result.problems]


def test_sections_that_cannot_be_used_fail_the_test_and_say_why() -> None:
    found = run(
        f"""
        - name: wrong
          events: [{FAILED}]
          expect: [{{at: 0s, automation: failing}}]
          deliveries: []
        """,
        HEAD.replace("remind: 1h", "remaind: 1h"),
    )
    assert "there is no setting 'remaind': did you mean 'remind'?" in found[0]
