"""Parameters: typed by the flow's JSON schema, and nothing bent that is not text."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin_server.parameters import InvalidParameters, fit_parameters


def schema(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


INTEGER = {"type": "integer"}
OPTIONAL = {"anyOf": [{"type": "integer"}, {"type": "null"}]}


@given(st.integers(-(10**30), 10**30))
def test_the_text_of_an_integer_becomes_that_integer(number: int) -> None:
    assert fit_parameters({"n": str(number)}, schema(n=INTEGER)) == {"n": number}


@given(st.text())
def test_text_stays_text_where_text_is_wanted(text: str) -> None:
    assert fit_parameters({"t": text}, schema(t={"type": "string"})) == {"t": text}


@pytest.mark.parametrize(
    ("text", "wanted", "value"),
    [
        ("1.5", {"type": "number"}, 1.5),
        ("2", {"type": "number"}, 2),
        ("true", {"type": "boolean"}, True),
        ("False", {"type": "boolean"}, False),
        ("7", OPTIONAL, 7),
        ("null", OPTIONAL, None),
        ('["1", "2"]', {"type": "array", "items": INTEGER}, [1, 2]),
        ('{"n": "3"}', {"type": "object", "properties": {"n": INTEGER}}, {"n": 3}),
        ("b", {"enum": ["a", "b"]}, "b"),
        ("anything", {}, "anything"),
        ("5", {"anyOf": [{"type": "integer"}, {"type": "string"}]}, "5"),
    ],
)
def test_text_that_spells_a_value_becomes_it(text: str, wanted: dict[str, Any], value: Any) -> None:
    assert fit_parameters({"x": text}, schema(x=wanted)) == {"x": value}


def test_a_definition_in_the_schema_is_followed() -> None:
    wanted = {**schema(n={"$ref": "#/$defs/N"}), "$defs": {"N": INTEGER}}
    assert fit_parameters({"n": "12"}, wanted) == {"n": 12}


@pytest.mark.parametrize("text", ["12.5", "twelve", "", "1e3", "0x10", "1" * 2000, "१२x"])
def test_a_text_that_is_no_integer_is_refused_by_name(text: str) -> None:
    with pytest.raises(InvalidParameters, match=r"^n: "):
        fit_parameters({"n": text}, schema(n=INTEGER))


def test_all_problems_are_told_at_once() -> None:
    wanted = {**schema(n=INTEGER, url={"type": "string"}), "required": ["url"]}
    with pytest.raises(InvalidParameters) as refused:
        fit_parameters({"n": "x", "typo": 1}, wanted)
    assert len(refused.value.problems) == 3
    assert "typo: the flow has no such parameter (there are n, url)" in refused.value.problems


def test_a_number_from_a_template_becomes_text_where_only_text_is_allowed() -> None:
    text = schema(t={"type": "string"})
    assert fit_parameters({"t": 12}, text, templated=True) == {"t": "12"}
    with pytest.raises(InvalidParameters):
        fit_parameters({"t": 12}, text)


def test_without_a_schema_parameters_stay_as_they_are() -> None:
    assert fit_parameters({"a": "1"}, None) == {"a": "1"}


def test_a_reference_to_elsewhere_is_not_fetched() -> None:
    with pytest.raises(InvalidParameters, match="can't be followed"):
        fit_parameters({"n": 1}, schema(n={"$ref": "http://127.0.0.1:9/schema.json"}))


def test_a_schema_that_refers_to_itself_ends() -> None:
    wanted = {**schema(n={"$ref": "#/$defs/N"}), "$defs": {"N": {"anyOf": [{"$ref": "#/$defs/N"}, INTEGER]}}}
    with pytest.raises(InvalidParameters, match="can't be followed"):
        fit_parameters({"n": "x"}, wanted)
