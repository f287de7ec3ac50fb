"""Our evaluator against CEL's C++ implementation (`cel-expr-python`), on generated expressions and events."""

import math
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from expression_names import Names
from tocsin_events.expression import ExpressionSyntaxError, Failure, compile_expression

cel = pytest.importorskip("cel_expr_python.cel", reason="cel-expr-python has no wheel for this machine")

FAILED = "failed"
ROOTS = ("data", "tags", "deployment", "missing")
ENVIRONMENT = cel.NewEnv(variables=dict.fromkeys(ROOTS, cel.Type.DYN))


def theirs(text: str, names: dict[str, Any]) -> Any:
    expression = ENVIRONMENT.compile(text, disable_check=True)
    try:
        result = expression.eval(data=names)
    except Exception:  # noqa: BLE001 - whatever it raises is its way to say that the evaluation failed
        return FAILED
    return FAILED if result.type() == cel.Type.ERROR else normal(result.plain_value())


def ours(text: str, names: dict[str, Any]) -> Any:
    result = compile_expression(text).evaluate(Names(**names))
    return FAILED if isinstance(result, Failure) else normal(result)


def normal(value: Any) -> Any:
    """Return a value in which types are told apart by more than Python's ``==``."""
    match value:
        case bool():
            return ("bool", value)
        case float():
            return ("double", "nan" if math.isnan(value) else value)
        case bytearray():
            return ("bytes", bytes(value))
        case datetime():
            return ("time", value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC))
        case list():
            return [normal(one) for one in value]
        case dict():
            return {str(key): normal(one) for key, one in value.items()}
        case _:
            return (type(value).__name__, value)


INTS = st.sampled_from(["0", "1", "2", "-1", "-3", "7", "9223372036854775807", "-9223372036854775808"])
LITERALS = st.one_of(
    INTS,
    st.sampled_from(["0u", "3u", "18446744073709551615u"]),
    st.sampled_from(["0.0", "1.0", "-1.5", "2.5", "1e300"]),
    st.sampled_from(["''", "'a'", "'prod'", "'finance'", "'é'", "b'a'"]),
    st.sampled_from(["true", "false", "null"]),
    st.sampled_from(["timestamp('2026-03-01T06:00:00Z')", "duration('90s')", "duration('-1h')"]),
)
PATHS = st.sampled_from(
    [
        "data", "data.rows", "data.ratio", "data.name", "data.ok", "data.none", "data.list", "data.map", "data.zip.zap",
        "data['rows']", "data.list[0]", "data.list[9]", "data.map.a", "tags", "tags[1]", "deployment.labels.env",
        "deployment.labels.team", "missing", "missing.name", "has(data.rows)", "has(data.zip)", "has(data.map.a)",
    ]
)  # fmt: skip
VARIABLES = st.sampled_from(["x", "x.a", "x + 1", "x == 'a'", "x > 1", "x in [1, 'a']", "size(x)"])


def compound(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    binary = st.sampled_from(["+", "-", "*", "/", "%", "==", "!=", "<", "<=", ">", ">=", "in", "&&", "||"])
    body = st.one_of(VARIABLES, inner)
    return st.one_of(
        st.builds(lambda left, sign, right: f"({left} {sign} {right})", inner, binary, inner),
        st.builds(lambda sign, one: f"{sign}({one})", st.sampled_from(["!", "-"]), inner),
        st.builds(lambda one, two, three: f"({one} ? {two} : {three})", inner, inner, inner),
        st.builds(lambda items: f"[{', '.join(items)}]", st.lists(inner, max_size=3)),
        st.builds(lambda one: f"{{'a': {one}}}", inner),
        st.builds(lambda one, key: f"{one}[{key}]", inner, inner),
        st.builds(
            lambda name, one: f"{name}({one})",
            st.sampled_from(["size", "bool", "bytes", "dyn", "timestamp", "duration"]),
            inner,
        ),
        # int(true) is 1 for the C++ implementation, though the definition of the language doesn't have it.
        st.builds(
            lambda name, one: f"{name}({one})",
            st.sampled_from(["int", "uint", "double", "bytes"]),
            LITERALS.filter(lambda one: one not in ("true", "false")),
        ),
        st.builds(
            lambda one, name, two: f"({one}).{name}({two})",
            inner,
            st.sampled_from(["contains", "startsWith", "endsWith", "matches"]),
            st.sampled_from(["'a'", "'p.*d'", "''"]) | inner,
        ),
        st.builds(
            lambda one, macro, two: f"({one}).{macro}(x, {two})",
            inner,
            st.sampled_from(["all", "exists", "exists_one", "filter", "map"]),
            body,
        ),
        st.builds(
            lambda one, name: f"({one}).{name}()",
            inner,
            st.sampled_from(
                ["getHours", "getMinutes", "getFullYear", "getDayOfWeek", "getDayOfYear", "getMilliseconds"]
            ),
        ),
    )


EXPRESSIONS = st.recursive(LITERALS | PATHS, compound, max_leaves=8)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | st.sampled_from(["", "a", "prod"])
)
EVENTS = st.fixed_dictionaries(
    {
        "data": st.fixed_dictionaries(
            {
                "list": st.lists(SCALARS, max_size=3),
                "map": st.dictionaries(st.sampled_from("abc"), SCALARS, max_size=3),
            },
            optional={
                "rows": st.integers(-5, 5),
                "ratio": SCALARS,
                "name": SCALARS,
                "ok": SCALARS,
                "none": st.none(),
            },
        ),
        "tags": st.lists(st.sampled_from(["finance", "daily", "a"]), max_size=3),
        "deployment": st.fixed_dictionaries(
            {"labels": st.fixed_dictionaries({}, optional={"env": st.just("prod")})}
        ),
    }
)


def known_difference(text: str) -> bool:
    """Tell whether an expression asks for what we do differently on purpose (docs/reference/expressions.md)."""
    return (
        "string(" in text  # C++ writes doubles with six digits
        or ("e300" in text and "int(" in text)
    )


@settings(
    max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)
@given(EXPRESSIONS.filter(lambda text: not known_difference(text)), EVENTS)
def test_a_generated_expression_has_the_value_that_cel_gives_it(text: str, names: dict[str, Any]) -> None:
    try:
        result = ours(text, names)
    except ExpressionSyntaxError:
        return
    assert result == theirs(text, names)
