"""Why a condition has the value that it has."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from expression_names import Names
from tocsin_events.expression import Absent, compile_expression

NAMES = Names(
    event={"type": "flow-run.failed", "time": datetime(2026, 3, 1, 6, tzinfo=UTC)},
    data={"rows": 2, "files": [{"size": 1}]},
    deployment={"labels": {"env": "dev"}},
)


def said(text: str) -> list[str]:
    return compile_expression(text).explain(NAMES).lines()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            'deployment.labels.env == "prod"',
            'deployment.labels.env == "prod" is false: deployment.labels.env is "dev"',
        ),
        ("data.rows > 1", "data.rows > 1 is true: data.rows is 2"),
        ("data.zip > 1", "data.zip > 1 has no value: data.zip is missing"),
        ("data.rows / 0 > 1", "data.rows / 0 > 1 failed: division by zero; data.rows is 2"),
        ("data.rows == data.rows", "data.rows == data.rows is true: data.rows is 2"),
        (
            "data.files.exists(f, f.size > 5)",
            'data.files.exists(f, f.size > 5) is false: data.files is [{"size": 1}]',
        ),
        ("has(data.zip)", "has(data.zip) is false: data.zip is missing"),
        ("1 < 2", "1 < 2 is true"),
        (
            "event.time < timestamp('2026-01-01T00:00:00Z')",
            "event.time < timestamp('2026-01-01T00:00:00Z') is false: event.time is timestamp(\"2026-03-01T06:00:00Z\")",
        ),
    ],
)
def test_a_condition_says_its_value_and_those_of_its_operands(text: str, line: str) -> None:
    assert said(text) == [line]


def test_a_chain_explains_each_of_its_parts() -> None:
    assert said('data.rows == 2 && (deployment.labels.env == "prod" || data.zip)') == [
        'data.rows == 2 && (deployment.labels.env == "prod" || data.zip) has no value: data.zip is missing',
        "  data.rows == 2 is true: data.rows is 2",
        '  deployment.labels.env == "prod" || data.zip has no value: data.zip is missing',
        '    deployment.labels.env == "prod" is false: deployment.labels.env is "dev"',
        "    data.zip has no value: data.zip is missing",
    ]


def test_an_explanation_is_json_with_missing_names_and_faults_told_apart() -> None:
    tree = compile_expression("data.rows > 3 && worker.name == 'x' && 1 / 0 > 1").explain(NAMES).to_json()
    json.dumps(tree)
    assert tree["value"] is False
    low, missing, fault = tree["parts"]
    assert low["operands"] == [{"name": "data.rows", "value": 2}]
    assert missing["missing"] == "worker"
    assert missing["operands"] == [{"name": "worker.name", "missing": True}]
    assert fault["fault"] == "division by zero"


def test_macro_variables_are_no_operands() -> None:
    explanation = compile_expression("data.files.all(data, data.size > data.size)").explain(NAMES)
    assert [operand.name for operand in explanation.operands] == ["data.files"]


def test_long_values_are_cut() -> None:
    (line,) = compile_expression("data.text == 'x'").explain(Names(data={"text": "y" * 10_000})).lines()
    assert len(line) < 300


@given(st.sampled_from(["a && b || c", "a ? b : c", "!(a && b)", "a == b && b != c", "a.all(x, x == b)", "[a, b] == [c]"]),
       st.lists(st.none() | st.booleans() | st.integers() | st.text(), min_size=3, max_size=3))  # fmt: skip
def test_the_explanation_has_the_value_of_the_evaluation(text: str, values: list[object]) -> None:
    expression = compile_expression(text)
    names = Names(**{name: value for name, value in zip("abc", values, strict=True) if value is not None})
    result = expression.evaluate(names)
    assert expression.explain(names).value == result
    if isinstance(result, Absent):
        assert result.name in expression.explain(names).summary
