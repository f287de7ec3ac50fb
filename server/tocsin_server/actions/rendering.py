"""From an action as it is written to the values it is done with: its condition, its templates, its model."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from tocsin_events.expression import Absent, ExpressionSyntaxError, compile_expression
from tocsin_events.template import TemplateProblem, compile_template, compile_value, template_names
from tocsin_events.view import MISSING, EventView
from tocsin_server.actions.call import ActionFailed, Kind
from tocsin_server.actions.fired import Step


class _Names:
    """The names of the event, and those that only a firing has."""

    def __init__(self, view: EventView | None, extra: Mapping[str, Any]) -> None:
        self._view = view
        self._extra = extra

    def resolve(self, name: str) -> Any:
        if name in self._extra:
            return self._extra[name]
        return MISSING if self._view is None else self._view.resolve(name)


def condition_holds(text: str, view: EventView | None, extra: Mapping[str, Any]) -> tuple[bool, str]:
    """Tell whether an action's ``if`` is true, and if not, why.

    Raises:
        ActionFailed: its evaluation failed.

    """
    try:
        answer = compile_expression(text).matches(_Names(view, extra))
    except ExpressionSyntaxError as problem:
        raise ActionFailed(f"if: {problem}") from problem
    if isinstance(answer, bool):
        return answer, "" if answer else f"if: {text} is false"
    if isinstance(answer, Absent):
        return False, f"if: there is no {answer.name}"
    raise ActionFailed(f"if: {answer.reason}")


def rendered(kind: Kind, step: Step, view: EventView | None, extra: Mapping[str, Any]) -> BaseModel:
    """Return an action's fields with all templates rendered, as the kind's model.

    Fields that the kind calls ``lenient`` are texts for people: what is missing in them is shown as missing, rather
    than that nobody is told.

    Raises:
        ActionFailed: a template failed, or what came out does not fit the model.

    """
    names = template_names(view, **extra)
    lenient: frozenset[str] = getattr(kind, "lenient", frozenset())
    try:
        values = {
            field: compile_template(value).render_lenient(names)[0]
            if field in lenient and isinstance(value, str)
            else compile_value(value).render(names)
            for field, value in step.args.items()
        }
    except TemplateProblem as problem:
        raise ActionFailed(f"template: {problem}") from problem
    try:
        return kind.model.model_validate(values)
    except ValidationError as problem:
        found = problem.errors(include_input=False, include_url=False)
        lines = (f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}" for one in found)
        raise ActionFailed("; ".join(lines)) from problem
