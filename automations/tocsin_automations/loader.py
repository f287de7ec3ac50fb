"""From files to automations: everything that can be known to be wrong before an event comes, with its place.

Expressions, templates and names are checked here, beside the model that checks them again, because only here it is
known where in a file each of their characters stands.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from pydantic import ValidationError

from tocsin_automations.action import ActionKind, Retry
from tocsin_automations.automation import Automation
from tocsin_automations.document import read
from tocsin_automations.languages import Checked, check_languages
from tocsin_automations.node import Entry, Node, Place, Scalar, Sequence, Table
from tocsin_automations.problem import Problem, Severity, has_errors, in_order, nearest
from tocsin_automations.trigger import TriggerConfig
from tocsin_automations.validation import Loc, names_at, problems_of

SECTIONS: Final = frozenset(
    {"automations", "concurrency_limits", "deployments", "inhibit", "notifiers", "quiet_hours", "variables",
     "webhooks", "work_pools"}
)  # fmt: skip
"""The sections that a file of ours may have; all but ``automations`` are left to others."""

_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,198}[a-z0-9])?")
_COMMON: Final = frozenset({"if", "retry", "continue_on_error", "timeout"})
_ACTION_LISTS: Final = ("then", "then_resolve")


@dataclass(frozen=True, slots=True)
class LoadContext:
    """What automations are checked against.

    ``notifiers`` are the names that `notify` may use; None doesn't check them.
    """

    actions: Mapping[str, ActionKind]
    triggers: Mapping[str, type[TriggerConfig]]
    notifiers: Collection[str] | None = None


@dataclass(frozen=True, slots=True)
class Loaded:
    """The automations that are right, in the order written, where each stands, and all problems of all files."""

    automations: tuple[Automation, ...]
    places: Mapping[str, tuple[str, Place]]
    problems: tuple[Problem, ...]

    @property
    def ok(self) -> bool:
        """Whether there is no error (there may be warnings)."""
        return not has_errors(self.problems)


def load_automations(sources: Iterable[tuple[str, str | bytes]], context: LoadContext) -> Loaded:
    """Return the automations of files, each given by its name and its text."""
    loading = _Loading(context)
    for file, text in sources:
        parsed = read(text, file)
        loading.problems.extend(parsed.problems)
        for document in parsed.documents:
            loading.document(document, file)
    return loading.loaded()


def load_section(sections: Iterable[tuple[str, Node]], context: LoadContext) -> Loaded:
    """Return the automations of mappings of name to automation, each given by its file's name and its node."""
    loading = _Loading(context)
    for file, node in sections:
        loading.section(node, file)
    return loading.loaded()


def load_automation(
    name: str, entry: Entry, file: str, context: LoadContext
) -> tuple[Automation | None, tuple[Problem, ...]]:
    """Return the automation that a name and what stands behind it mean, or None; and all problems with it."""
    node = entry.node
    if not isinstance(node, Table):
        return None, (_problem(file, node.place, "an automation is a mapping with `when` and `then`"),)
    checked = [
        *check_languages(node, file),
        *_action_problems(node, file, context),
        *_trigger_problems(node, file, context),
    ]
    found = [*(one for one, _ in checked), *_name_problems(name, entry, file)]
    covered = {(place.line, place.column) for one, place in checked if one.severity is Severity.ERROR}
    automation = None
    try:
        kinds = {"action_kinds": context.actions, "trigger_kinds": context.triggers}
        written = {**node.plain(), "name": name if _NAME.fullmatch(name) else "unnamed"}
        automation = Automation.model_validate(written, context=kinds)
    except ValidationError as error:
        found += [
            one
            for one in problems_of(
                error, node, Automation, file, known=lambda loc: _known(node, loc, context)
            )
            if (one.line, one.column) not in covered
        ]
    return (None if has_errors(found) else automation), in_order(found)


@dataclass(slots=True)
class _Loading:
    context: LoadContext
    automations: dict[str, Automation] = field(default_factory=dict)
    places: dict[str, tuple[str, Place]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def loaded(self) -> Loaded:
        return Loaded(tuple(self.automations.values()), self.places, in_order(self.problems))

    def document(self, document: Node, file: str) -> None:
        if not isinstance(document, Table):
            self.problems.append(
                _problem(file, document.place, "a file has sections, such as `automations:`")
            )
            return
        for name, entry in document.entries.items():
            if name == "automations":
                self.section(entry.node, file)
            elif name not in SECTIONS:
                self.problems.append(_unknown_section(file, entry.place, name))

    def section(self, node: Node, file: str) -> None:
        if isinstance(node, Scalar) and node.value is None:
            return
        if not isinstance(node, Table):
            message = "`automations` is a mapping of names to automations"
            self.problems.append(_problem(file, node.place, message))
            return
        for name, entry in node.entries.items():
            self.automation(name, entry, file)

    def automation(self, name: str, entry: Entry, file: str) -> None:
        automation, problems = load_automation(name, entry, file, self.context)
        self.problems.extend(problems)
        if name in self.places:
            first, place = self.places[name]
            message = (
                f"the automation {name!r} is here a second time; first at {first}:{place.line}:{place.column}"
            )
            self.problems.append(_problem(file, entry.place, message))
            return
        self.places[name] = file, entry.place
        if automation is not None:
            self.automations[name] = automation


def _problem(file: str, place: Place, message: str, suggestion: str | None = None) -> Problem:
    return Problem(file, place.line, place.column, message, suggestion)


def _unknown_section(file: str, place: Place, name: str) -> Problem:
    if name == "tests":
        return _problem(file, place, "this is a file of rule tests: run it with `tocsin test`")
    return _problem(file, place, f"unknown section {name!r}", nearest(name, SECTIONS))


def _name_problems(name: str, entry: Entry, file: str) -> Iterator[Problem]:
    if not _NAME.fullmatch(name):
        near = re.sub("[^a-z0-9]+", "-", name.lower()).strip("-")[:200]
        message = (
            f"a name is of a-z, 0-9 and - (not at its ends), 200 characters at most; this is {name[:200]!r}"
        )
        yield _problem(file, entry.place, message, near or None)
    if isinstance(entry.node, Table) and "name" in entry.node.entries:
        place = entry.node.entries["name"].place
        yield _problem(file, place, f"an automation's name is its key, here {name!r}; leave `name` out")


def _actions(automation: Table) -> Iterator[Node]:
    for part in _ACTION_LISTS:
        actions = automation.get(part)
        if isinstance(actions, Sequence):
            yield from actions.items


def _action_problems(automation: Table, file: str, context: LoadContext) -> Iterator[Checked]:
    for action in _actions(automation):
        if not isinstance(action, Table) or not action.entries:
            yield (
                _problem(file, action.place, "an action is a mapping such as `notify: oncall`"),
                action.place,
            )
            continue
        kind = _action_kind(action, context)
        if kind is None:
            first, entry = next(iter(action.entries.items()))
            near = nearest(first, context.actions)
            known = "" if near else f"; known are {', '.join(sorted(context.actions))}"
            yield _problem(file, entry.place, f"there is no action {first!r}{known}", near), action.place
        elif kind == "notify" and context.notifiers is not None:
            for problem in _notifier_problems(action, file, context.notifiers):
                yield problem, Place(problem.line, problem.column)


def _action_kind(action: Table, context: LoadContext) -> str | None:
    named = action.get("kind")
    if isinstance(named, Scalar) and named.value in context.actions:
        return str(named.value)
    return next((key for key in action.entries if key in context.actions), None)


def _notifier_problems(action: Table, file: str, notifiers: Collection[str]) -> Iterator[Problem]:
    named = action.get("notify")
    for one in named.items if isinstance(named, Sequence) else (named,):
        if isinstance(one, Scalar) and isinstance(one.value, str):
            name = one.value
            if "{{" not in name and "{%" not in name and name not in notifiers:
                near = nearest(name, notifiers)
                known = "" if near else f"; known are {', '.join(sorted(notifiers)) or 'none'}"
                yield _problem(file, one.place, f"there is no notifier {name!r}{known}", near)


def _trigger_problems(automation: Table, file: str, context: LoadContext) -> Iterator[Checked]:
    for part in ("when", "until"):
        trigger = automation.get(part)
        if isinstance(trigger, Table):
            for one in _with_children(trigger):
                if _trigger_kind(one, context) is None:
                    yield _no_trigger(one, file, context), one.place


def _with_children(trigger: Table) -> Iterator[Table]:
    """Yield a trigger and, where it is made of others, all of them: its lists of mappings."""
    yield trigger
    for key, entry in trigger.entries.items():
        if isinstance(entry.node, Sequence) and key != "keys":
            for child in entry.node.items:
                if isinstance(child, Table):
                    yield from _with_children(child)


def _trigger_kind(trigger: Table, context: LoadContext) -> type[TriggerConfig] | None:
    fields = trigger.entries.keys()
    fitting = [kind for kind in context.triggers.values() if kind.marks <= fields]
    return max(fitting, key=lambda kind: (len(kind.marks), kind.priority, kind.kind), default=None)


def _no_trigger(trigger: Table, file: str, context: LoadContext) -> Problem:
    marks = {mark for kind in context.triggers.values() for mark in kind.marks}
    fields = {name for kind in context.triggers.values() for name in names_at(kind, ())}
    for key, entry in trigger.entries.items():
        if key not in fields:
            near = nearest(key, marks) or nearest(key, fields)
            return _problem(file, entry.place, f"unknown key {key!r}", near)
    choices = sorted({" + ".join(sorted(kind.marks)) for kind in context.triggers.values()})
    return _problem(file, trigger.place, f"no trigger has just these keys; one has {', or '.join(choices)}")


def _known(automation: Table, loc: Loc, context: LoadContext) -> set[str]:
    """Return the keys that are right at a path: of the trigger or the action there, where it is inside one."""
    tables: list[tuple[int, Table]] = []
    node: Node | None = automation
    for depth, step in enumerate(loc, 1):
        if isinstance(node, Table):
            node = node.get(str(step))
        elif isinstance(node, Sequence) and isinstance(step, int) and step < len(node.items):
            node = node.items[step]
        if isinstance(node, Table):
            tables.append((depth, node))
    inside = loc[0] if loc else None
    for depth, table in reversed(tables):
        if inside in ("when", "until"):
            trigger = _trigger_kind(table, context)
            if trigger is not None:
                return set(names_at(trigger, loc[depth:]))
        elif inside in _ACTION_LISTS and depth == 2:
            kind = _action_kind(table, context)
            if kind is not None:
                return _action_keys(kind, loc[depth:], context)
    return set(names_at(Automation, loc)) - {"name"}


def _action_keys(kind: str, rest: Loc, context: LoadContext) -> set[str]:
    if rest[:1] == ("retry",):
        return set(names_at(Retry, rest[1:]))
    known = set(names_at(context.actions[kind].model, rest))
    return known if rest else (known - {context.actions[kind].main}) | _COMMON
