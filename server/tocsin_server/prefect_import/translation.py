"""Prefect's automations, each as one of ours, and what is to be said about it."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError

from tocsin_automations.action import ActionKind
from tocsin_automations.loader import LoadContext, load_automations
from tocsin_automations.problem import Severity
from tocsin_automations.trigger import TriggerConfig
from tocsin_events.strict_json import InvalidJson, read_json
from tocsin_server.prefect_import.actions import Actions, Written
from tocsin_server.prefect_import.conditions import Conditions, KnownNames
from tocsin_server.prefect_import.model import Action, Automation
from tocsin_server.prefect_import.report import CannotTranslateError, Notes, Remark, RemarkKind
from tocsin_server.prefect_import.templates import Templates
from tocsin_server.prefect_import.triggers import Triggers, When, written_length
from tocsin_server.prefect_import.writing import as_yaml

MAX_BYTES: Final = 4 * 1024 * 1024
"""The largest file that is read."""
MAX_DEPTH: Final = 40
"""How deep Prefect's JSON may be nested."""
MAX_AUTOMATIONS: Final = 2_000
"""How many automations a file may have."""


class NotPrefect(ValueError):  # noqa: N818 - it names what was found
    """The file holds no automations of Prefect; the message says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Translated:
    """One automation: what Prefect called it, its name here (None where it is refused), and what to know about it."""

    title: str
    name: str | None
    remarks: tuple[Remark, ...]


@dataclass(frozen=True, slots=True)
class Imported:
    """All automations of a file. ``yaml`` has those that could be carried over, and passes our own loader."""

    yaml: str
    automations: tuple[Translated, ...]

    @property
    def complete(self) -> bool:
        """Whether none was refused."""
        return all(one.name is not None for one in self.automations)


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The triggers and actions that there are here."""

    actions: Mapping[str, ActionKind]
    triggers: Mapping[str, type[TriggerConfig]]


def translate(text: bytes, vocabulary: Vocabulary, names: Mapping[str, str]) -> Imported:
    """Return the automations of Prefect's JSON as ours.

    ``names`` gives what Prefect's ids (of deployments, pools, blocks, automations) are called here.

    Raises:
        NotPrefect: it is not JSON, or not Prefect's automations.

    """
    written = list(_automations(text))
    slugs = _slugs(written)
    ids = {
        str(one["id"]): slug
        for one, slug in zip(written, slugs, strict=True)
        if isinstance(one, Mapping) and one.get("id")
    }
    ours: dict[str, Written] = {}
    told: list[Translated] = []
    for one, slug in zip(written, slugs, strict=True):
        notes = Notes()
        try:
            automation = _read(one)
            ours[slug] = _checked(
                slug, _Translation(vocabulary, names, ids, notes).of(automation), vocabulary
            )
        except CannotTranslateError as problem:
            refused = Remark(RemarkKind.REFUSED, str(problem))
            told.append(Translated(_title(one), None, (refused,)))
        else:
            told.append(Translated(_title(one), slug, notes.taken()))
    return Imported(as_yaml({"automations": ours}) if ours else "", tuple(told))


@dataclass(frozen=True, slots=True)
class _Translation:
    vocabulary: Vocabulary
    given: Mapping[str, str]
    automations: Mapping[str, str]
    notes: Notes

    def of(self, automation: Automation) -> Written:
        names = KnownNames(self.given, self.notes)
        when = Triggers(Conditions(names, self.notes), self.notes).when(automation.trigger)
        actions = Actions(
            names,
            self.vocabulary.actions,
            self.automations,
            Templates(self.notes, when.labels),
            self.notes,
        )
        then, resolving = self._actions(automation, when, actions)
        if not then:
            self.notes.left_out("no action is left: its firings are only recorded")
        limits = {"cooldown": written_length(when.cooldown)} if when.cooldown else {}
        if self.notes.unfinished and automation.enabled:
            self.notes.to_do("it is written with `enabled: false`; take that out when the rest is done")
        written: Written = {
            "description": automation.description or automation.name,
            "labels": {"tags": ", ".join(automation.tags)} if automation.tags else {},
            "enabled": automation.enabled and not self.notes.unfinished,
            "when": dict(when.written),
            "then": then,
            "then_resolve": resolving,
            "limits": limits,
        }
        left_out: dict[str, Any] = {"labels": {}, "enabled": True, "then_resolve": [], "limits": {}}
        return {name: value for name, value in written.items() if left_out.get(name) != value}

    def _actions(
        self, automation: Automation, when: When, actions: Actions
    ) -> tuple[list[Written], list[Written]]:
        both = self._written(automation.actions, actions)
        then = both + self._written(automation.actions_on_trigger, actions)
        if not automation.actions_on_resolve:
            return then, []
        resolving = self._written(automation.actions_on_resolve, actions)
        if when.opens_alert:
            return then, resolving
        if resolving:
            self.notes.left_out("actions_on_resolve: nothing says when this trigger is over; see `until`")
        return then, []

    def _written(self, listed: tuple[Action, ...], actions: Actions) -> list[Written]:
        return [written for one in listed if (written := actions.written(one)) is not None]


def _checked(name: str, written: Written, vocabulary: Vocabulary) -> Written:
    """Return what was written if our own loader takes it."""
    context = LoadContext(vocabulary.actions, vocabulary.triggers)
    loaded = load_automations([(name, as_yaml({"automations": {name: written}}))], context)
    for problem in loaded.problems:
        if problem.severity is Severity.ERROR:
            raise CannotTranslateError(f"what it became is refused here: {problem.message}")
    return written


def _automations(text: bytes) -> Iterator[Any]:
    if len(text) > MAX_BYTES:
        raise NotPrefect(f"it has {len(text)} bytes; {MAX_BYTES} are read at most")
    try:
        value = read_json(text)
    except InvalidJson as problem:
        raise NotPrefect(str(problem)) from None
    if isinstance(value, dict):
        inside = value.get("automations")
        value = inside if isinstance(inside, list) else [value]
    if not isinstance(value, list):
        raise NotPrefect("it holds neither an automation nor a list of them")
    if len(value) > MAX_AUTOMATIONS:
        raise NotPrefect(f"it has {len(value)} automations; {MAX_AUTOMATIONS} are read at most")
    if not any(isinstance(one, dict) and "trigger" in one for one in value):
        raise NotPrefect("nothing in it has a `trigger`, as an automation of Prefect has")
    yield from value


def _read(value: Any) -> Automation:
    if _deeper(value, MAX_DEPTH):
        raise CannotTranslateError(f"it is nested more than {MAX_DEPTH} deep")
    try:
        return Automation.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(step) for step in first["loc"])
        raise CannotTranslateError(f"{place}: {first['msg']}" if place else str(first["msg"])) from None


def _deeper(value: Any, depth: int) -> bool:
    if depth < 0:
        return True
    if isinstance(value, dict):
        return any(_deeper(one, depth - 1) for one in value.values())
    return isinstance(value, list) and any(_deeper(one, depth - 1) for one in value)


def _title(value: Any) -> str:
    name = value.get("name") if isinstance(value, Mapping) else None
    return name if isinstance(name, str) and name else "(without a name)"


def _slugs(values: list[Any]) -> list[str]:
    """Return a name of ours for each automation; a second one of the same name gets a number."""
    taken: dict[str, None] = {}
    for value in values:
        plain = re.sub("[^a-z0-9]+", "-", _title(value).lower()).strip("-")[:150].strip("-") or "automation"
        slug, number = plain, 1
        while slug in taken:
            number += 1
            slug = f"{plain}-{number}"
        taken[slug] = None
    return list(taken)
