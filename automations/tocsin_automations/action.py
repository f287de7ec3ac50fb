"""Actions: what an automation does when it fires. The kinds themselves live where they act, and come as an argument."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Annotated, Any, Final, Protocol, Self, cast, runtime_checkable

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_serializer
from pydantic_core import InitErrorDetails, PydanticCustomError

from tocsin_automations.words import Duration, ExpressionText
from tocsin_events.duration import format_duration

_COMMON: Final = frozenset({"if", "retry", "continue_on_error", "timeout"})


@runtime_checkable
class ActionKind(Protocol):
    """A kind of action: its name, its arguments, and which of them stands behind the name in a file.

    ``main`` is the field that the kind's own key holds: in ``run_deployment: nightly`` it is ``deployment``.
    """

    name: str
    main: str
    model: type[BaseModel]


class Retry(BaseModel):
    """How often a failed action is tried again, and the pause before the first retry (it doubles)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    times: Annotated[int, Field(ge=0, le=100)]
    backoff: Duration = 10_000_000


class Action(BaseModel):
    """One step of an automation's `then`: a kind and its arguments, templates still unrendered.

    In a file it is a mapping whose first field may name the kind and its main argument; the other arguments stand
    beside it. ``args`` has them all by name, the main one under the kind's ``main``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    kind: str
    args: Mapping[str, Any] = Field(default_factory=dict)
    if_: ExpressionText | None = Field(default=None, alias="if")
    retry: Retry | None = None
    continue_on_error: bool = True
    timeout: Duration | None = None

    @model_serializer
    def _written(self) -> dict[str, Any]:
        written: dict[str, Any] = {"kind": self.kind, **self.args}
        if self.if_ is not None:
            written["if"] = self.if_
        if self.retry is not None:
            written["retry"] = self.retry.model_dump(mode="json")
        if not self.continue_on_error:
            written["continue_on_error"] = False
        if self.timeout is not None:
            written["timeout"] = format_duration(self.timeout)
        return written

    def __hash__(self) -> int:
        return hash((self.kind, self.if_))

    def __copy__(self) -> Self:
        return self


def parse_action(written: Any, kinds: Mapping[str, ActionKind]) -> Action:
    """Return the action that a mapping of a file means.

    Raises:
        ValidationError: no such kind, or wrong arguments; the locations are those of the mapping.
        ValueError: it is no mapping that names one kind.

    """
    if isinstance(written, Action):
        return written
    if not isinstance(written, Mapping):
        raise ValueError("an action is a mapping such as `notify: oncall`")  # noqa: TRY004 - pydantic's way to say so
    name, args = _kind_and_args(dict(written), kinds)
    common = {key: args.pop(key) for key in _COMMON if key in args}
    kind = kinds[name]
    problems = [
        *_problems(kind.model, args, _main_names(kind, name)),
        *_problems(Action, {"kind": name, **common}, {}),
    ]
    if problems:
        raise ValidationError.from_exception_data("Action", problems)
    _check_templates(args, _main_names(kind, name))
    return Action.model_validate({"kind": name, "args": args, **common})


def _kind_and_args(written: dict[str, Any], kinds: Mapping[str, ActionKind]) -> tuple[str, dict[str, Any]]:
    if isinstance(written.get("kind"), str):
        name = str(written.pop("kind"))
        if name not in kinds:
            raise ValueError(_unknown(name, kinds))
        return name, written
    named = [key for key in written if key in kinds]
    if not named:
        raise ValueError(_unknown(str(next(iter(written), "")), kinds))
    # A field of the first kind may carry another kind's name (`notify` has none today): the first one in the file wins.
    name = named[0]
    main = written.pop(name)
    args = dict(written)
    if main is not None:
        args = {kinds[name].main: main, **args}
    return name, args


def _unknown(name: str, kinds: Mapping[str, ActionKind]) -> str:
    near = get_close_matches(name, kinds, n=1)
    hint = f": did you mean {near[0]!r}?" if near else f"; known are {', '.join(sorted(kinds))}"
    return f"unknown action {name!r}{hint}" if name else "an action names its kind, such as `notify: oncall`"


def _main_names(kind: ActionKind, name: str) -> Mapping[str, str]:
    """Errors of the main argument belong to the key that stands in the file: the kind's name."""
    return {kind.main: name}


def _problems(
    model: type[BaseModel], values: Mapping[str, Any], renamed: Mapping[str, str]
) -> list[InitErrorDetails]:
    try:
        model.model_validate(values)
    except ValidationError as error:
        return [
            InitErrorDetails(
                type=PydanticCustomError(
                    cast("Any", detail["type"]), "{text}", {"text": detail["msg"], **_context(detail)}
                ),
                loc=tuple(
                    renamed.get(str(step), step) if place == 0 else step
                    for place, step in enumerate(detail["loc"])
                ),
                input=detail["input"],
            )
            for detail in error.errors(include_url=False)
        ]
    return []


def _context(detail: Any) -> dict[str, Any]:
    return {key: str(value) for key, value in detail.get("ctx", {}).items() if key != "text"}


def _check_templates(args: Mapping[str, Any], renamed: Mapping[str, str]) -> None:
    from tocsin_events.template import TemplateProblem, compile_value  # Jinja2 is heavy

    problems = []
    for name, value in args.items():
        try:
            compile_value(value)
        except TemplateProblem as problem:
            error = PydanticCustomError("template", "{text}", {"text": f"bad template: {problem}"})
            problems.append(InitErrorDetails(type=error, loc=(renamed.get(name, name),), input=value))
    if problems:
        raise ValidationError.from_exception_data("Action", problems)
