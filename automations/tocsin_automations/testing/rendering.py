"""What the actions of a firing come to, rendered as the action runner renders them, but not done."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError

from tocsin_automations.action import Action, ActionKind
from tocsin_automations.decision import Firing
from tocsin_events.expression import compile_expression
from tocsin_events.instant import from_micros
from tocsin_events.template import TemplateProblem, compile_template, compile_value, template_names
from tocsin_events.view import MISSING, EventView

BASE_URL: Final = "http://127.0.0.1:4200"
"""Where links lead in a test."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """One action, rendered.

    ``written`` are its fields as a rule writes them, ``done`` as the action's model has them, with all defaults.
    ``failed`` says why it could not be done.
    """

    number: int
    kind: str
    written: Mapping[str, Any]
    done: Mapping[str, Any]
    failed: str | None = None


class _Names:
    """The names of the event, and those that only a firing has."""

    def __init__(self, view: EventView | None, extra: Mapping[str, Any]) -> None:
        self._view = view
        self._extra = extra

    def resolve(self, name: str) -> Any:
        if name in self._extra:
            return self._extra[name]
        return MISSING if self._view is None else self._view.resolve(name)


class Renderer:
    """Renders the actions of firings; what was compiled once is kept."""

    def __init__(self, kinds: Mapping[str, ActionKind], variables: Mapping[str, Any]) -> None:
        self._kinds = kinds
        self._variables = dict(variables)
        self._compiled: dict[tuple[str, str, int], _Compiled] = {}

    def render(
        self, firing: Firing, payload: Mapping[str, Any], actions: Sequence[Action]
    ) -> tuple[Rendered, ...]:
        """Return the actions of a firing whose ``if`` holds; ``payload`` is that of the firing's event."""
        extra = _extra(firing, payload, self._variables)
        rendered: list[Rendered] = []
        for number, action in enumerate(actions, 1):
            holds, failed = _condition(action, firing.event, extra)
            if failed is not None:
                one = Rendered(number, action.kind, {action.kind: None}, {}, failed)
            elif holds:
                compiled = self._of(firing, number, action)
                one = compiled.render(number, template_names(firing.event, **extra))
            else:
                continue
            rendered.append(one)
            if one.failed is not None and not action.continue_on_error:
                break
        return tuple(rendered)

    def _of(self, firing: Firing, number: int, action: Action) -> "_Compiled":
        key = firing.automation, firing.state, number
        compiled = self._compiled.get(key)
        if compiled is None:
            compiled = self._compiled[key] = _Compiled(action, self._kinds[action.kind])
        return compiled


class _Compiled:
    """An action with its templates compiled."""

    def __init__(self, action: Action, kind: ActionKind) -> None:
        self._args = action.args
        self._kind = kind
        lenient: frozenset[str] = getattr(kind, "lenient", frozenset())
        texts = {
            name: value for name, value in action.args.items() if name in lenient and isinstance(value, str)
        }
        self._texts = {name: compile_template(value) for name, value in texts.items()}
        self._values = {
            name: compile_value(value) for name, value in action.args.items() if name not in texts
        }

    def render(self, number: int, names: Mapping[str, Any]) -> Rendered:
        kind = self._kind
        try:
            rendered = {name: value.render(names) for name, value in self._values.items()}
        except TemplateProblem as problem:
            return Rendered(number, kind.name, _written(kind, self._args), {}, f"template: {problem}")
        rendered |= {name: text.render_lenient(names)[0] for name, text in self._texts.items()}
        values = {name: rendered[name] for name in self._args}
        try:
            done = kind.model.model_validate(values).model_dump(mode="json", by_alias=True)
        except ValidationError as error:
            return Rendered(number, kind.name, _written(kind, values), {}, "; ".join(_reasons(error)))
        return Rendered(number, kind.name, _written(kind, values), done)


def _extra(firing: Firing, payload: Mapping[str, Any], variables: Mapping[str, Any]) -> dict[str, Any]:
    run = firing.event.resolve("flow_run") if firing.event is not None else None
    return {
        "events": [view.resolve("event") for view in firing.events],
        "key": list(firing.key),
        "count": firing.count,
        "value": firing.value,
        "suppressed": firing.suppressed,
        "alert": payload.get("alert"),
        "firing": {**payload["firing"], "reason": payload.get("reason")},
        "now": from_micros(firing.at),
        "run_url": f"{BASE_URL}/runs/{run['id']}" if isinstance(run, Mapping) else "",
        "why_url": f"{BASE_URL}/firings/{firing.id}",
        "vars": dict(variables),
    }


def _condition(action: Action, view: EventView | None, extra: Mapping[str, Any]) -> tuple[bool, str | None]:
    if action.if_ is None:
        return True, None
    answer = compile_expression(action.if_).matches(_Names(view, extra))
    if isinstance(answer, bool):
        return answer, None
    reason = getattr(answer, "reason", None)
    return False, None if reason is None else f"if: {reason}"


def _reasons(error: ValidationError) -> Iterator[str]:
    for one in error.errors(include_input=False, include_url=False):
        yield f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}"


def _written(kind: ActionKind, values: Mapping[str, Any]) -> dict[str, Any]:
    others = {name: value for name, value in values.items() if name != kind.main}
    return {kind.name: values.get(kind.main), **others}
