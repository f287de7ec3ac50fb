"""Fields of actions: in a file they may be templates, when the action is done they are values."""

from typing import Annotated, Any, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from tocsin_events.duration import parse_duration

T = TypeVar("T")


class Fields(BaseModel):
    """The fields of a kind of action."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def is_template(value: Any) -> bool:
    """Tell whether a value is a template, so that only rendering says what it is."""
    return isinstance(value, str) and ("{{" in value or "{%" in value)


def _unless_template(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    return value if is_template(value) else handler(value)


OrTemplate = Annotated[T, WrapValidator(_unless_template)]
"""A value of a type, or a template that becomes one."""


def _duration(value: Any) -> Any:
    if not isinstance(value, str):
        raise ValueError("a duration is a text like 30s, 10m or 1h30m")  # noqa: TRY004 - pydantic's way to say so
    parse_duration(value)
    return value


Duration = OrTemplate[Annotated[str, BeforeValidator(_duration)]]
"""A duration as it is written, or a template of one."""


def _as_text(value: Any) -> Any:
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


Text = Annotated[str, BeforeValidator(_as_text), Field(max_length=10_000)]
"""A text; a number that a template gives counts as its text."""

Name = Annotated[Text, Field(min_length=1, max_length=500)]
"""A name that isn't empty."""
