"""Parameters of flows: checked, described, shown."""

from __future__ import annotations

import inspect
from datetime import date
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, SecretStr

from tocsin import ParameterError, Secret, flow
from tocsin.parameters import Parameters, describe_parameters
from tocsin.testing import CapturedEvents


class Options(BaseModel):
    limit: int = 10


def everything(
    day: date,
    /,
    table: Literal["orders", "users"],
    *parts: int,
    share: Annotated[float, Field(gt=0, le=1)] = 0.5,
    options: Options = Options(),  # noqa: B008
    json: dict[str, int] | None = None,
    copy: Any = None,
    **rest: str,
) -> None: ...


def test_values_become_what_the_hints_say() -> None:
    parameters = Parameters(everything)
    bound = parameters.bind(
        ("2026-01-02", "orders", "1", 2), {"options": {"limit": "3"}, "json": {"a": "1"}, "x": "y"}
    )
    checked = parameters.validate(bound)
    assert checked == {
        "day": date(2026, 1, 2), "table": "orders", "parts": (1, 2), "share": 0.5, "options": Options(limit=3),
        "json": {"a": 1}, "copy": None, "rest": {"x": "y"},
    }  # fmt: skip
    args, kwargs = parameters.call_with(checked)
    assert inspect.signature(everything).bind(*args, **kwargs)


def test_the_schema_describes_them_as_one_object() -> None:
    schema = Parameters(everything).schema
    assert schema["type"] == "object"
    assert set(schema["required"]) == {"day", "table"}
    assert schema["properties"]["day"]["format"] == "date"
    assert schema["properties"]["table"]["enum"] == ["orders", "users"]
    assert schema["properties"]["share"]["exclusiveMinimum"] == 0


def test_a_schema_is_made_of_what_has_no_json_form_too() -> None:
    class Connection: ...

    def load(connection: Connection, callback: Any = print) -> None: ...

    load.__annotations__["connection"] = Connection
    assert set(Parameters(load).schema["properties"]) == {"connection", "callback"}


def test_every_problem_is_named_and_no_value_repeated(events: CapturedEvents) -> None:
    @flow
    def load(count: int, password: int) -> None: ...

    load.function.__annotations__.update(count=int, password=int)
    with pytest.raises(ParameterError) as raised:
        load("three", "hunter2-hunter2")  # type: ignore[arg-type]
    assert "count: " in str(raised.value)
    assert "password: " in str(raised.value)
    assert "hunter2" not in str(raised.value)
    assert events.types == ["flow-run.failed"]
    assert b"hunter2" not in events[0].body


def test_a_wrong_call_says_what_is_wrong_like_python_does(events: CapturedEvents) -> None:
    @flow
    def load(table: str) -> None: ...

    with pytest.raises(TypeError, match="missing a required argument: 'table'"):
        load()  # type: ignore[call-arg]


def test_checking_can_be_switched_off(events: CapturedEvents) -> None:
    @flow(validate_parameters=False)
    def load(count: int) -> int:
        return count

    assert load("three") == "three"  # type: ignore[arg-type, comparison-overlap]


def test_json_parameters_are_checked_by_name() -> None:
    def load(table: str, count: int = 3) -> None: ...

    load.__annotations__.update(table=str, count=int)
    parameters = Parameters(load)
    assert parameters.from_mapping({"table": "a"}) == {"table": "a", "count": 3}
    assert parameters.from_mapping({"table": "a", "count": "4"}) == {"table": "a", "count": 4}
    with pytest.raises(ParameterError, match="no such parameter: tabel; the flow takes: table, count"):
        parameters.from_mapping({"tabel": "a"})
    with pytest.raises(ParameterError, match="missing parameter: table"):
        parameters.from_mapping({})


def test_events_carry_no_secrets_and_no_bulk() -> None:
    shown = describe_parameters(
        {
            "db_password": "hunter2", "key": SecretStr("hunter2"), "secret": Secret("sql"), "rows": list(range(5000)),
            "text": "x" * 5000, "big": [["x" * 900] * 900], "number": float("nan"), "day": date(2026, 1, 2),
        }
    )  # fmt: skip
    assert "hunter2" not in str(shown)
    assert shown["db_password"] == "(not shown)"
    assert shown["rows"] == "(list of 5000)"
    assert len(shown["text"]) == 1001
    assert shown["big"] == "(too large to show)"
    assert shown["number"] == "nan"
    assert shown["day"] == "2026-01-02"


@given(st.lists(st.integers()), st.dictionaries(st.text(min_size=1), st.integers()))
def test_binding_and_calling_are_inverse(args: list[int], kwargs: dict[str, int]) -> None:
    def collect(*args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return args, kwargs

    parameters = Parameters(collect)
    positional, named = parameters.call_with(parameters.bind(tuple(args), kwargs))
    assert collect(*positional, **named) == (tuple(args), kwargs)
