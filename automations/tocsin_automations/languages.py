"""Expressions, templates and types of events in a file of automations, checked where they stand."""

from collections.abc import Collection, Iterator
from typing import Final

from tocsin_automations.node import Node, Place, Scalar, Sequence, Table, walk
from tocsin_automations.problem import Problem, Severity, nearest
from tocsin_events.catalogue import EVENT_TYPES
from tocsin_events.expression import check
from tocsin_events.template import TemplateProblem, compile_template

_TRIGGER_EXPRESSIONS: Final = ("where", "after_where", "for_each", "value")
_TRIGGER_TYPES: Final = ("event", "missing", "after")
_KINDS: Final = frozenset(one.kind for one in EVENT_TYPES.values())
_ACTION_EXPRESSIONS: Final = ("if",)
_CONDITIONS: Final = ("where", "after_where")
_EVENT_NAMES: Final = frozenset(
    {"event", "data", "resource", "related", "tags", "flow", "flow_run", "task_run", "deployment", "work_pool",
     "work_queue", "worker", "automation", "schedule"}
)  # fmt: skip
_FIRING_NAMES: Final = frozenset(
    {"events", "key", "count", "value", "suppressed", "alert", "firing", "run_url", "why_url", "now", "vars"}
)
_TEMPLATE_NAMES: Final = _EVENT_NAMES | _FIRING_NAMES

Checked = tuple[Problem, Place]
"""A problem, and the place of the value that it belongs to: what a model says of that value is said already."""


def check_languages(automation: Table, file: str) -> Iterator[Checked]:
    """Yield what is wrong or doubtful in the expressions, templates and types of events of one automation."""
    for part in ("when", "until"):
        trigger = automation.get(part)
        for table in () if trigger is None else walk(trigger):
            if isinstance(table, Table):
                for key in _TRIGGER_EXPRESSIONS:
                    yield from _expressions(table.get(key), file, condition=key in _CONDITIONS)
                for key in _TRIGGER_TYPES:
                    yield from _types(table.get(key), file)
    for part in ("then", "then_resolve"):
        actions = automation.get(part)
        for action in actions.items if isinstance(actions, Sequence) else ():
            if isinstance(action, Table):
                yield from _action(action, file)


def _action(action: Table, file: str) -> Iterator[Checked]:
    for key, entry in action.entries.items():
        if key in _ACTION_EXPRESSIONS:
            yield from _expressions(entry.node, file, condition=True, names=_FIRING_NAMES)
        else:
            for one in walk(entry.node):
                if isinstance(one, Scalar) and isinstance(one.value, str):
                    yield from _template(one.value, one, entry.node.place, file)


def _expressions(
    node: Node | None, file: str, *, condition: bool, names: Collection[str] = ()
) -> Iterator[Checked]:
    for one in _texts(node):
        for finding in check(str(one.value), condition=condition, names=names):
            place = one.inside(finding.line, finding.column)
            severity = Severity(finding.severity)
            yield Problem(file, place.line, place.column, finding.message, None, severity), one.place


def _types(node: Node | None, file: str) -> Iterator[Checked]:
    """Warn of a type that only the service could make, and that it doesn't."""
    for one in _texts(node):
        written = str(one.value)
        ours = written.partition(".")[0] in _KINDS
        if ours and not any(mark in written for mark in "*>") and written not in EVENT_TYPES:
            near = nearest(written, EVENT_TYPES)
            message = f"there is no event {written!r} among those that Tocsin makes itself"
            yield Problem(file, one.place.line, one.place.column, message, near, Severity.WARNING), one.place


def _texts(node: Node | None) -> Iterator[Scalar]:
    for one in node.items if isinstance(node, Sequence) else (node,):
        if isinstance(one, Scalar) and isinstance(one.value, str):
            yield one


def _template(text: str, node: Scalar, covers: Place, file: str) -> Iterator[Checked]:
    try:
        template = compile_template(text)
    except TemplateProblem as problem:
        place = node.place
        if problem.line is not None and node.style == "|":
            place = node.inside(problem.line, 1)
        yield Problem(file, place.line, place.column, f"bad template: {problem.message}"), covers
        return
    for name in sorted(template.names - _TEMPLATE_NAMES):
        near = nearest(name, _TEMPLATE_NAMES)
        if near is not None:
            place, message = node.place, f"templates know no {name!r} of their own"
            yield Problem(file, place.line, place.column, message, near, Severity.WARNING), covers
