"""Values with templates in them: the arguments of actions."""

from collections.abc import Iterator, Mapping
from typing import Any

from tocsin_events.template.compiled import Template, compile_template
from tocsin_events.template.problem import TemplateProblem


class ValueTemplate:
    """A JSON value in which texts are templates; a text that is exactly one ``{{ … }}`` gives a typed value."""

    def __init__(self, value: Any) -> None:
        self.value = value
        self._compiled = _compiled(value, "")

    def __repr__(self) -> str:
        return f"ValueTemplate({self.value!r})"

    @property
    def names(self) -> frozenset[str]:
        """The top-level names that the templates ask for."""
        return frozenset(name for template in _templates(self._compiled) for name in template.names)

    def render(self, names: Mapping[str, Any]) -> Any:
        """Return the value with every template rendered.

        Raises:
            TemplateProblem: a template failed; the message begins with its place in the value.

        """
        return _rendered(self._compiled, names, "")


def compile_value(value: Any) -> ValueTemplate:
    """Return the compiled form of a JSON value with templates in it.

    Raises:
        TemplateProblem: a text is no template; the message begins with its place in the value.

    """
    return ValueTemplate(value)


def _compiled(value: Any, place: str) -> Any:
    match value:
        case str():
            try:
                return compile_template(value)
            except TemplateProblem as problem:
                raise _placed(problem, place) from None
        case Mapping():
            return {
                key: _compiled(one, f"{place}.{key}" if place else str(key)) for key, one in value.items()
            }
        case list() | tuple():
            return [_compiled(one, f"{place}[{number}]") for number, one in enumerate(value)]
        case _:
            return value


def _rendered(compiled: Any, names: Mapping[str, Any], place: str) -> Any:
    match compiled:
        case Template():
            try:
                return compiled.render_native(names)
            except TemplateProblem as problem:
                raise _placed(problem, place) from None
        case dict():
            return {
                key: _rendered(one, names, f"{place}.{key}" if place else str(key))
                for key, one in compiled.items()
            }
        case list():
            return [_rendered(one, names, f"{place}[{number}]") for number, one in enumerate(compiled)]
        case _:
            return compiled


def _placed(problem: TemplateProblem, place: str) -> TemplateProblem:
    return TemplateProblem(f"{place}: {problem.message}" if place else problem.message, problem.line)


def _templates(compiled: Any) -> Iterator[Template]:
    match compiled:
        case Template():
            yield compiled
        case dict():
            for one in compiled.values():
                yield from _templates(one)
        case list():
            for one in compiled:
                yield from _templates(one)
