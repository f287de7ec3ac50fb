"""Prefect's matching of resources by labels, as conditions in CEL."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from tocsin_server.prefect_import.event_types import STATES, pattern_of, quoted
from tocsin_server.prefect_import.report import CannotTranslateError, Notes

_NAMED: Final = frozenset({"deployment", "flow", "work-pool", "work-queue", "automation"})
_KINDS: Final = _NAMED | {"flow-run", "task-run", "worker"}
_ALONE: Final = frozenset({"deployment", "flow", "work-pool", "work-queue"})
"""Kinds of which a run has one, so that it may be called by its kind."""
_ID: Final = "prefect.resource.id"
_NAME: Final = "prefect.resource.name"
_ROLE: Final = "prefect.resource.role"
_STATE_TYPES: Final[Mapping[str, tuple[str, ...]]] = {
    "SCHEDULED": ("scheduled", "late", "retrying"),
    "PENDING": ("pending",),
    "RUNNING": ("running",),
    "COMPLETED": ("completed", "cached"),
    "FAILED": ("failed", "timed-out"),
    "CRASHED": ("crashed",),
    "CANCELLED": ("cancelled",),
    "CANCELLING": ("cancelling",),
    "PAUSED": ("paused", "suspended"),
}
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_GLOB: Final = re.compile(r"[*?[]")


class KnownNames:
    """What Prefect's ids are called here; a name that nobody gave is made up, and noted as to be filled in."""

    def __init__(self, given: Mapping[str, str], notes: Notes) -> None:
        self._given = given
        self._notes = notes

    def of(self, id_: str, what: str) -> str:
        """Return the name of Prefect's ``what`` with this id. Prefect itself takes names in some places."""
        if id_ in self._given:
            return self._given[id_]
        if not _UUID.fullmatch(id_):
            return id_
        made_up = f"prefect-{what.replace(' ', '-')}-{id_}"
        self._notes.to_do(
            f"replace {made_up} by the {what}'s name here, or import again with --name {id_}=NAME"
        )
        return made_up


class Conditions:
    """Translates the labels that one automation's triggers ask for."""

    def __init__(self, names: KnownNames, notes: Notes) -> None:
        self._names = names
        self._notes = notes

    def all_of(
        self, match: Mapping[str, Sequence[str]], related: Sequence[Mapping[str, Sequence[str]]]
    ) -> str | None:
        """Return the condition that a resource and its related ones match, or None where there is none."""
        clauses = self._specified(match, "resource")
        for specification in related:
            if specification:
                clauses += self._related(specification)
        return joined(clauses)

    def key(self, label: str) -> str:
        """Return the expression for a label of ``for_each``."""
        directive, _, rest = label.partition(":")
        if directive != "related" or ":" not in rest:
            return self._path("resource", label)
        role, _, wanted = rest.rpartition(":")
        if role in _KINDS:
            return self._path(role.replace("-", "_"), wanted)
        return self._path(f"related.filter(r, r.role == {quoted(role)})[0]", wanted)

    def _related(self, specification: Mapping[str, Sequence[str]]) -> list[str]:
        ids = specification.get(_ID, ())
        if ids and all(one.startswith("prefect.tag.") for one in ids):
            tags = [one.removeprefix("prefect.tag.") for one in ids]
            return [either(self._tag(tag, "tags") for tag in tags)]
        if specification.get(_ROLE) == ("creator",):
            self._notes.differs("the role `creator` is that of a deployment or an automation here")
        subject = _alone(specification)
        if subject is not None:
            rest = {label: values for label, values in specification.items() if label != _ROLE}
            return self._specified(rest, subject.replace("-", "_"))
        clauses = self._specified(specification, "r")
        return [f"related.exists(r, {joined(clauses)})"] if clauses else []

    def _specified(self, specification: Mapping[str, Sequence[str]], subject: str) -> list[str]:
        clauses: list[str] = []
        for label, values in specification.items():
            if not values:
                raise CannotTranslateError(f"no value is given for the label {label!r}, so nothing can match")
            positive = [one for one in values if not one.startswith("!")]
            negative = [one.removeprefix("!") for one in values if one.startswith("!")]
            found = [*self._any(subject, label, positive)]
            found += [f"!({self._one(subject, label, one)})" for one in negative]
            clauses.append(either(found))
        return clauses

    def _any(self, subject: str, label: str, values: Sequence[str]) -> list[str]:
        plain = [one for one in values if not _GLOB.search(one)]
        if len(plain) > 1 and label not in (
            _ID,
            "prefect.state-type",
            "prefect.state-name",
            "prefect.run-count",
        ):
            rest = [one for one in values if one not in plain]
            within = f"{self._path(subject, label)} in [{', '.join(map(quoted, plain))}]"
            return [within, *(self._one(subject, label, one) for one in rest)]
        return [self._one(subject, label, one) for one in values]

    def _one(self, subject: str, label: str, value: str) -> str:
        if label == _ID:
            return self._identified(subject, value)
        if label == "prefect.state-type" and value in _STATE_TYPES:
            return f"data.state.type in [{', '.join(map(quoted, _STATE_TYPES[value]))}]"
        if label == "prefect.state-name" and value in STATES:
            return f"data.state.type == {quoted(STATES[value])}"
        return _compared(self._path(subject, label), value)

    def _identified(self, subject: str, value: str) -> str:
        kind = next((kind for kind in _KINDS if value.startswith(f"prefect.{kind}.")), None)
        if kind is None:
            return self._from_elsewhere(subject, value)
        id_ = value.removeprefix(f"prefect.{kind}.")
        of_kind = f"{subject}.kind == {quoted(kind)}"
        if subject == kind.replace("-", "_"):
            of_kind = f"has({subject})"
            if id_ != "*":
                return self._called(subject, kind, id_)
        return of_kind if id_ == "*" else f"{of_kind} && {self._called(subject, kind, id_)}"

    def _called(self, subject: str, kind: str, id_: str) -> str:
        if _GLOB.search(id_):
            return _compared(f"{subject}.{'name' if kind in _NAMED else 'id'}", id_)
        if kind in _NAMED:
            return f"{subject}.name == {quoted(self._names.of(id_, kind.replace('-', ' ')))}"
        self._notes.to_do(
            f"the id {id_} of a {kind.replace('-', ' ')} of Prefect means nothing here: replace it"
        )
        return f"{subject}.id == {quoted(id_)}"

    def _from_elsewhere(self, subject: str, value: str) -> str:
        if value.startswith("prefect.tag."):
            return self._tag(value.removeprefix("prefect.tag."), f"{subject}.tags")
        if value.startswith("prefect"):
            self._notes.to_do(f"no resource here has the id {value}: say which one is meant")
        else:
            self._notes.differs(
                f"the id {value} is compared with what stands behind the kind: `kind/{value}`"
            )
        return _compared(f"{subject}.id", value)

    def _tag(self, tag: str, tags: str) -> str:
        if _GLOB.search(tag):
            return f"{tags}.exists(t, {_compared('t', tag)})"
        return f"{quoted(tag)} in {tags}"

    def _path(self, subject: str, label: str) -> str:
        match label:
            case "prefect.resource.id":
                return f"{subject}.id"
            case "prefect.resource.name":
                return f"{subject}.name"
            case "prefect.resource.role":
                return f"{subject}.role"
            case "prefect.state-type" | "prefect.state-name" | "prefect.state-message":
                return f"data.state.{label.removeprefix('prefect.state-')}"
            case "prefect.state-timestamp":
                return "data.state.time"
            case "prefect.run-count":
                return "string(data.attempt)"
        if label.startswith("prefect."):
            self._notes.to_do(f"resources here have no label {label}: say what should stand for it")
        return f"{subject}.labels[{quoted(label)}]"


def joined(clauses: Sequence[str]) -> str | None:
    """Return conditions that must all hold as one."""
    if len(clauses) < 2:
        return clauses[0] if clauses else None
    return " && ".join(f"({one})" if " || " in one else one for one in clauses)


def either(clauses: Iterable[str]) -> str:
    """Return conditions of which one must hold as one."""
    several = list(clauses)
    if len(several) == 1:
        return several[0]
    return " || ".join(f"({one})" if " && " in one else one for one in several)


def _compared(path: str, value: str) -> str:
    if not _GLOB.search(value):
        return f"{path} == {quoted(value)}"
    stem = value.removesuffix("*")
    if not _GLOB.search(stem):
        return f"{path}.startsWith({quoted(stem)})"
    return f"{path}.matches({quoted(pattern_of(value))})"


def _alone(specification: Mapping[str, Sequence[str]]) -> str | None:
    """Return the one kind that a specification is about, where a run has only one resource of it."""
    if set(specification) == {_ROLE}:
        return None
    roles = specification.get(_ROLE, ())
    ids = specification.get(_ID, ())
    if not all(one.startswith("prefect.") for one in ids):
        return None
    kinds = {one.split(".")[1] for one in ids} | set(roles)
    (kind,) = kinds if len(kinds) == 1 else (None,)
    return kind if kind in _ALONE else None
