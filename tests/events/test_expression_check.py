"""What is found in an expression before any event comes."""

import pytest

from tocsin_events.expression import Finding, check

FOUND = [
    ("event.type == 3", "error", "string is never equal to int"),
    ("event.type + 1 == 2", "error", "+ is not defined for string and int"),
    ("event.time > '2026'", "error", "> is not defined for timestamp and string"),
    ("deployment.labels.size > 3", "error", "> is not defined for string and int"),
    ("tags.contains('x')", "error", "contains works on texts, not on list"),
    ("event.type in 'abc'", "error", "in looks into a list or a map, not into string"),
    ("data.a && 'x'", "error", "joins conditions; one of these is string"),
    ("'text'", "error", "a condition is true or false; this is string"),
    ("size(tags)", "error", "a condition is true or false; this is int"),
    ("1 / 0 > 1", "error", "always fails: division by zero"),
    ("a &&", "error", "ends too early"),
    ("deploymnt.name == 'x'", "warning", "did you mean deployment?"),
    ("'finance' in tag", "warning", "did you mean tags?"),
    ("event.typ == 'x'", "warning", "did you mean event.type?"),
    ("deployment.label.env == 'x'", "warning", "did you mean deployment.labels?"),
    ("flow_run.state == 'x'", "warning", "flow_run has no field state"),
    ("false", "warning", "never true"),
    ("data.a > 1 && false", "warning", "never true"),
    ("a == 'x' && a == 'y'", "warning", "they exclude each other"),
    ("a in ['x', 'y'] && b && a in ['z']", "warning", "they exclude each other"),
    ("a == true && a == 1", "warning", "they exclude each other"),
    ("a in []", "warning", "an empty list has no elements"),
]


@pytest.mark.parametrize(("text", "severity", "message"), FOUND, ids=[text for text, *_ in FOUND])
def test_a_mistake_is_found(text: str, severity: str, message: str) -> None:
    (finding,) = check(text, condition=True)
    assert finding.severity == severity
    assert message in finding.message


@pytest.mark.parametrize(
    "text",
    [
        "event.type == 'flow-run.failed' && deployment.labels.env in ['prod', 'test']",
        "repository.name == 'tocsin'",
        "data.rows == 3 && data.rows == 3.0",
        "data.rows == 3 || data.rows == 4",
        "a == 'x' && b == 'y'",
        "has(data.x) || !has(worker)",
        "!has(worker)",
        "related.exists(r, r.kind == 'flow' && r.anything == 1)",
        "event.time - duration('1h') > timestamp('2026-01-01T00:00:00Z')",
        "type(event.time) == google.protobuf.Timestamp",
        "event.data.rows > 3 && event.follows == null",
        "data.x == null",
        "true",
        "[1, 2].exists(event, event == 1)",
    ],
)
def test_what_is_fine_is_left_alone(text: str) -> None:
    assert check(text, condition=True) == []


def test_what_need_not_be_a_condition_may_be_anything() -> None:
    assert check("flow.name") == check("size(tags)") == check("[flow.name, data.day]") == []


def test_names_that_are_known_in_a_place_are_no_mistakes() -> None:
    assert check("alerts.severity == 'x'") != []
    assert check("alerts.severity == 'x'", names=["alerts"]) == []


def test_a_finding_has_its_place() -> None:
    assert check("data.rows > 1 &&\n  event.type == 3") == [
        Finding("event.type == 3: string is never equal to int", "error", 2, 3)
    ]


def test_errors_come_before_warnings() -> None:
    assert [one.severity for one in check("deploymnt.x && event.type == 3")] == ["error", "warning"]
