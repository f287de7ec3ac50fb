"""The parts of a condition that the rule index can answer, and that it answers them as the language does."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from expression_names import Names
from tocsin_events.expression import compile_expression, path_getter
from tocsin_events.view import MISSING

ENV = ("deployment", "labels", "env")


def conjuncts(text: str) -> list[tuple[str, Any, Any]]:
    return [(one.source, one.path, one.constants) for one in compile_expression(text).conjuncts]


def test_a_chain_is_split_also_through_brackets() -> None:
    assert [source for source, *_ in conjuncts("a == 1 && (b > 2 && (c || d)) && !e")] == [
        "a == 1",
        "b > 2",
        "c || d",
        "!e",
    ]


def test_what_is_no_chain_is_one_conjunct() -> None:
    assert conjuncts("a || b && c") == [("a || b && c", None, None)]


@pytest.mark.parametrize(
    ("text", "path", "constants"),
    [
        ('deployment.labels.env == "prod"', ENV, {"prod"}),
        ('"prod" == deployment.labels.env', ENV, {"prod"}),
        ('deployment["labels"].env == "prod"', ENV, {"prod"}),
        ('deployment.labels.env in ["prod", "test"]', ENV, {"prod", "test"}),
        ("data.rows == 3", ("data", "rows"), {3}),
        ("data.rows == 3.0", ("data", "rows"), {3}),
        ("data.ok == true", ("data", "ok"), {(True,)}),
        ("data.x in [1, true, null]", ("data", "x"), {1, (True,), None}),
        ("kind == 'x'", ("kind",), {"x"}),
        ("data.x in []", ("data", "x"), set()),
    ],
)
def test_a_path_compared_with_constants_says_so(text: str, path: Any, constants: Any) -> None:
    assert conjuncts(text) == [(text, path, frozenset(constants))]


@pytest.mark.parametrize(
    "text",
    [
        "a != 1", "a == b", "a > 1", "1 == 1", "size(a) == 1", "a[0] == 1", "a in b", "a in [1, b]", "a == [1]", "a == b'x'",
        "a == 1u", "a == 9007199254740992", "a == 1e300", "[1].exists(a, a == 1)", "int == 1", "!(a == 1)", '"x" in a',
    ],
)  # fmt: skip
def test_anything_else_is_left_to_evaluation(text: str) -> None:
    assert conjuncts(text) == [(text, None, None)]


def test_a_path_leads_to_a_key_or_to_nothing() -> None:
    names = Names(a={"b": {"c": "x", "yes": True, "one": 1, "none": None, "list": [1], "map": {}}})
    keys = {
        name: path_getter(("a", "b", name))(names)
        for name in ("c", "yes", "one", "none", "list", "map", "zip")
    }
    assert keys == {
        "c": "x", "yes": (True,), "one": 1, "none": None, "list": MISSING, "map": MISSING, "zip": MISSING,
    }  # fmt: skip
    assert path_getter(("a", "b", "c", "d", "e"))(names) is MISSING
    assert path_getter(("z",))(names) is MISSING


CONSTANTS = ["'a'", "''", "0", "1", "-1", "1.0", "0.5", "true", "false", "null", "9007199254740991"]
VALUES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["a", "", "b", 0, 1, 1.0, True, False, 2**53 - 1, 2.0**53, 2**53 + 1])
    | st.lists(st.integers(), max_size=2)
)


@given(st.lists(st.sampled_from(CONSTANTS), min_size=1, max_size=3), VALUES, st.booleans())
def test_the_index_says_true_exactly_where_the_evaluation_does(
    constants: list[str], value: Any, there: bool
) -> None:
    names = Names(a={"b": value} if there else {})
    for text in (f"a.b in [{', '.join(constants)}]", f"a.b == {constants[0]}", f"{constants[0]} == a.b"):
        (conjunct,) = compile_expression(text).conjuncts
        assert conjunct.path is not None
        assert conjunct.constants is not None
        indexed = path_getter(conjunct.path)(names) in conjunct.constants
        assert indexed is (conjunct.expression.matches(names) is True)


def test_a_chain_whose_indexed_part_is_not_true_never_matches_and_never_faults_for_a_missing_path() -> None:
    expression = compile_expression("1 / 0 > 0 && deployment.labels.env == 'prod'")
    assert expression.matches(Names(deployment={"labels": {"env": "dev"}})) is False
    assert str(expression.matches(Names())) == "deployment is missing"
