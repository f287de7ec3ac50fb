"""No expression raises, hangs, or takes more than its budget, whatever it says and whatever the event holds."""

import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from expression_names import Names
from tocsin_events.expression import ExpressionSyntaxError, Fault, check, compile_expression
from tocsin_events.expression.budget import MAX_DEPTH, MAX_NESTING, MAX_TEXT

BIG = Names(
    data={
        "numbers": list(range(100_000)),
        "others": list(range(100_000)),
        "texts": ["x" * 1_000] * 500,
        "text": "a" * 400_000,
        "almost": "a" * 399_999 + "b",
    }
)


def evaluated(text: str, names: Any = BIG) -> Any:
    return compile_expression(text).evaluate(names)


@pytest.mark.parametrize(
    "text",
    [
        "data.numbers.all(a, data.numbers.all(b, a + b >= 0))",
        "data.numbers.map(a, data.numbers.map(b, data.numbers.map(c, 1)))",
        "data.numbers.all(a, data.numbers == data.others)",
        "data.numbers.all(a, a in data.others || -1 in data.others)",
        "data.numbers.exists(a, data.text == data.almost)",
        "data.numbers.exists(a, data.text.contains('b'))",
        "data.numbers.exists(a, data.text.matches('(a?){50}a{50}b'))",
        "data.numbers.exists(a, (data.text + data.text).size() == a)",
        "data.numbers.exists(a, size(data.numbers + data.others) == a)",
        "data.numbers.exists(a, data.text.lowerAscii().upperAscii() == '')",
        "data.numbers.exists(a, bytes(data.text) == b'')",
        "data.numbers.exists(a, data.text.matches(data.text))",
        " + ".join(["data.text"] * 90),
    ],
)
def test_an_evaluation_ends_when_its_steps_are_used_up(text: str) -> None:
    result = evaluated(text)
    assert isinstance(result, Fault)
    assert "budget" in result.reason


def test_nothing_absorbs_an_exceeded_budget() -> None:
    endless = "data.numbers.all(a, data.numbers.all(b, true))"
    for text in (f"{endless} || true", f"{endless} && false", f"true || {endless} ? {endless} : {endless}"):
        result = compile_expression(text).matches(BIG)
        assert isinstance(result, Fault)
        assert "budget" in result.reason


def test_values_that_double_run_out_of_budget_and_not_of_memory() -> None:
    text = "data.text"
    for variable in "abcdefghijklmnopqrstuvwxyz":
        text = f"[{text}].map({variable}, {variable} + {variable})[0]"
    assert isinstance(evaluated(text), Fault)


def test_an_evaluation_leaves_the_next_one_its_whole_budget() -> None:
    expression = compile_expression("data.numbers.filter(n, n < 10).size()")
    assert [expression.evaluate(BIG) for _ in range(3)] == [expression.evaluate(BIG)] * 3


HOSTILE = [
    "(" * 5_000,
    "(" * 2_000 + "1" + ")" * 2_000,
    "[" * 2_000 + "]" * 2_000,
    "!" * 4_000 + "true",
    "-" * 4_000 + "1",
    "a" + ".a" * 2_000,
    "a" + "[0]" * 1_300,
    "+".join("1" * 2_000),
    "1" + "==1" * 1_300,
    "true?" * 800 + "1" + ":1" * 800,
    "'" + "\\n" * 2_000,
    "'" + '"' * 4_000,
    '"' * 4_001,
    "r'" + "\\" * 4_000,
    "'''" + "\\'" * 2_000,
    "/" * 4_000,
    "9" * 4_000,
    "1e" + "9" * 4_000,
    "0." + "1" * 4_000,
    "x.map(" * 600 + "x" + ")" * 600,
    "[" + ",".join("1" * 2_000) + "]",
    "{" + ",".join(f"{n}:{n}" for n in range(400)) + "}",
    "\x00",
    "\ud800",
    "'\ud800'",
    "a\u202eb",
    "\N{FULLWIDTH LATIN SMALL LETTER A} == 1",
    "'x'.matches('" + "(" * 999 + "')",
    "'x'.matches('(a{1000}){1000}')",
    "'x'.matches('" + "a" * 1_001 + "')",
    "has(" * 600,
    "x" * (MAX_TEXT + 1),
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_text_is_refused_or_evaluated_and_nothing_else(text: str) -> None:
    check(text)
    try:
        expression = compile_expression(text)
    except ExpressionSyntaxError as refusal:
        refused = refusal
    else:
        expression.evaluate(BIG)
        expression.explain(BIG)
        return
    assert refused.line >= 1
    assert len(refused.message) < 300


def test_what_is_nested_as_deep_as_allowed_compiles_and_evaluates_on_a_small_stack() -> None:
    texts = [
        "(" * MAX_NESTING + "1" + ")" * MAX_NESTING,
        "[" * MAX_NESTING + "]" * MAX_NESTING,
        "1" + "+1" * (MAX_DEPTH - 2),
        " || ".join(f"data.n == {n}" for n in range(200)),
    ]
    before = sys.getrecursionlimit()
    expressions = [compile_expression(text) for text in texts]
    sys.setrecursionlimit(_depth() + 2 * MAX_DEPTH + 150)
    try:
        results = [expression.evaluate(Names(data={"n": 199})) for expression in expressions]
    finally:
        sys.setrecursionlimit(before)
    assert results[0] == 1
    assert results[2:] == [MAX_DEPTH - 1, True]


def _depth() -> int:
    frame, depth = sys._getframe(), 0
    while frame is not None:
        frame, depth = frame.f_back, depth + 1
    return depth


def test_values_nested_too_deeply_are_a_fault() -> None:
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    other: Any = []
    for _ in range(100_000):
        other = [other]
    result = compile_expression("data.a == data.b").matches(Names(data={"a": deep, "b": other}))
    assert isinstance(result, Fault)


PIECES = st.sampled_from(
    ["a", "data", ".b", "[0]", "['k']", "(", ")", "[", "]", "{", "}", ",", ":", "?", " && ", " || ", "!", "-", "+", " in ",
     "==", "<", "1", "2.5", "3u", "'x'", "r'\\'", "b'\\x00'", "'''", '"', "\\", "true", "null", ".map(x, ", ".all(x, ",
     ".matches(", "size(", "has(", "int(", "timestamp(", "duration(", ".getHours(", "//", "\n", "`", "é", "$", "type"]
)  # fmt: skip


@settings(max_examples=500, deadline=None)
@given(st.lists(PIECES, max_size=25).map("".join) | st.text(max_size=60))
def test_any_text_is_an_expression_or_refused(text: str) -> None:
    names = Names(a={"b": [1, "x"]}, data={"k": 1})
    check(text)
    try:
        expression = compile_expression(text)
    except ExpressionSyntaxError:
        return
    expression.evaluate(names)
    expression.matches(names)
    expression.explain(names).to_json()
    assert [conjunct.expression.matches(names) for conjunct in expression.conjuncts]


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(
        ["a + b", "a - b", "a * b", "a / b", "a % b", "a == b", "a < b", "a in b", "a[b]", "-a", "int(a)", "uint(a)",
         "double(a)", "string(a)", "bytes(a)", "timestamp(a)", "duration(a)", "a.getHours(b)", "a.matches(b)", "size(a)",
         "{a: b}", "a.map(x, x + b)", "type(a)", "bool(a)", "a.all(x, x == b)"]
    ),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.datetimes() | st.timedeltas()
        | st.binary() | st.just(10**400) | st.just((1,)) | st.just(object()),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.integers(), inner, max_size=3),
        max_leaves=4,
    ),
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.timedeltas() | st.just(10**400),
)  # fmt: skip
def test_no_value_makes_an_evaluation_raise(text: str, a: Any, b: Any) -> None:
    expression = compile_expression(text)
    expression.evaluate(Names(a=a, b=b))
    expression.explain(Names(a=a, b=b)).to_json()
