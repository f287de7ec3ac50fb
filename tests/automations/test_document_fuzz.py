"""Whatever a file holds, loading it gives values or problems at places of the file, and never an exception."""

import json
from collections.abc import Iterable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin_automations.loader import LoadContext, load_automations
from tocsin_automations.plugins import action_kinds, trigger_kinds
from tocsin_automations.problem import Problem
from tocsin_automations.testing import TestContext, run_test_file

TRIGGERS = trigger_kinds()
RULES = LoadContext(action_kinds(), TRIGGERS, {"oncall"})
TESTS = TestContext(action_kinds(), TRIGGERS, lambda _, __: ((), ()))

_KEYS = st.sampled_from(
    ["automations", "a", "when", "then", "until", "then_resolve", "limits", "labels", "grace", "enabled", "name",
     "event", "where", "count", "within", "for_each", "missing", "after", "for", "by", "cron", "timezone", "keys", "arm",
     "aggregate", "value", "over", "above", "sequence", "all", "any", "at_least", "of", "schedule", "every", "rrule",
     "notify", "title", "run_deployment", "parameters", "emit_event", "data", "if", "retry", "times", "backoff", "kind",
     "cooldown", "debounce", "wait", "rate", "max", "per", "concurrency", "mode", "chain", "batch", "size", "wehn",
     "tests", "events", "expect", "at", "automation", "type", "resource", "related", "id", "repeat", "clock", "cause",
     "run_until", "decisions", "outcome", "notifiers", "variables", "firing", "key", "state", "actions", "<<"]
)  # fmt: skip
_TEXTS = st.sampled_from(
    ["x", "flow-run.failed", "flow-run.*", ">", "a..b", "", "10m", "0s", "-1s", "1e9d", "data.x", "data.", "data.x == 1",
     "size(data)", "1 / 0", "{{ x }}", "{{", "{% for %}", "{{ 1 / 0 }}", "{{ range(10**9) }}", "oncall", "nobody",
     "never", "0 6 * * 1-5", "* * * * *", "99 * * * *", "Europe/Berlin", "Mars/Base", "FREQ=DAILY", "always", "p95",
     "2026-01-01T00:00:00Z", "soon", "firing", "a", "FREQ=SECONDLY;INTERVAL=0"]
)  # fmt: skip
_LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 10), st.sampled_from([2**62, -(2**62), 0.5, 1e300]), _TEXTS,
    st.text(st.characters(codec="utf-8"), max_size=10),
)  # fmt: skip
_VALUES = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_KEYS, inner, max_size=4)),
    max_leaves=15,
)
_TRIGGERS = st.dictionaries(
    st.sampled_from(
        ["event", "where", "count", "within", "for_each", "missing", "after", "for", "by", "aggregate", "over", "above",
         "value", "sequence", "all", "any", "at_least", "of", "schedule", "keys", "arm"]
    ),
    st.one_of(_VALUES, st.fixed_dictionaries({"event": st.just("x")}).map(lambda one: [one, one])),
    min_size=1,
    max_size=4,
)  # fmt: skip
_AUTOMATION = st.fixed_dictionaries(
    {"when": st.one_of(_TRIGGERS, _VALUES)},
    optional={
        "then": st.one_of(
            _VALUES, st.lists(st.dictionaries(_KEYS, _VALUES, min_size=1, max_size=3), max_size=2)
        ),
        "until": st.one_of(_TRIGGERS, _VALUES),
        "limits": _VALUES,
        "grace": _LEAVES,
        "labels": _VALUES,
        "wehn": _VALUES,
    },
)
_EVENT = st.dictionaries(
    st.sampled_from(
        ["at", "arrives", "repeat", "type", "id", "resource", "related", "data", "cause", "hops", "time"]
    ),
    _VALUES,
    max_size=5,
).map(lambda event: {"type": "x", **event})


def yaml(value: Any) -> str:
    """Return JSON, which YAML reads."""
    return json.dumps(value, ensure_ascii=True)


def all_have_places(problems: Iterable[Problem]) -> None:
    for problem in problems:
        assert problem.line >= 1
        assert problem.column >= 1
        assert "\n" not in str(problem) or "\\n" in str(problem) or problem.message


@settings(max_examples=250, deadline=None)
@given(st.dictionaries(st.one_of(st.just("a"), st.text(max_size=5)), _AUTOMATION, max_size=2))
def test_no_automation_breaks_the_loader(automations: dict[str, Any]) -> None:
    loaded = load_automations([("f.yaml", yaml({"automations": automations}))], RULES)
    all_have_places(loaded.problems)
    assert loaded.ok or any(problem.severity == "error" for problem in loaded.problems)
    assert set(loaded.places) <= set(automations)


@settings(max_examples=100, deadline=None)
@given(_VALUES)
def test_no_value_breaks_the_loader(value: Any) -> None:
    all_have_places(load_automations([("f.yaml", yaml(value))], RULES).problems)


@settings(max_examples=150, deadline=None)
@given(
    automation=_AUTOMATION,
    events=st.lists(_EVENT, max_size=3),
    rest=st.dictionaries(st.sampled_from(["run_until", "clock", "decisions", "expect"]), _VALUES, max_size=2),
)
def test_no_file_of_tests_breaks_its_runner(automation: Any, events: list[Any], rest: dict[str, Any]) -> None:
    test = {"name": "t", "expect": [], "events": events, **rest}
    result = run_test_file(yaml({"automations": {"a": automation}, "tests": [test]}), "f.yaml", TESTS)
    all_have_places(result.problems)
    for one in result.results:
        assert all(one.differences)


@settings(max_examples=100, deadline=None)
@given(_VALUES)
def test_no_value_breaks_the_reader_of_tests(value: Any) -> None:
    all_have_places(run_test_file(yaml(value), "f.yaml", TESTS).problems)
