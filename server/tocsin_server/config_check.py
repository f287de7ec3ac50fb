"""Checking what files define, section by section: every problem at its place."""

import asyncio
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError

from tocsin_automations.loader import LoadContext, load_automation
from tocsin_automations.node import Entry, Place, Scalar, Table
from tocsin_automations.plugins import action_kinds, trigger_kinds
from tocsin_automations.problem import Problem, Severity, nearest
from tocsin_automations.validation import place_of, problems_of
from tocsin_notifiers.configuration import InvalidNotifiers
from tocsin_notifiers.notifier import load_kinds
from tocsin_notifiers.setup import INBOX, parse_setup
from tocsin_server.config_diff import Content
from tocsin_server.config_files import Definition, Written, resolve
from tocsin_server.deployment import Deployment
from tocsin_server.flow_schema import FlowDescription, FlowProblem, describe_flow
from tocsin_server.notification_sections import sections_of

_AT_A_TIME: Final = 4


@dataclass(frozen=True, slots=True)
class Checked:
    """What is wrong with files, and what was found out about the flows of their deployments."""

    problems: tuple[Problem, ...]
    flows: Mapping[str, FlowDescription]


async def check(written: Written, merged: Content, in_force: Content) -> Checked:
    """Check definitions; references between them may lead to anything in ``merged``.

    What is wrong with what is ``in_force`` already, and is not in the files, is a warning: it must keep nobody from
    mending something else.
    """
    problems = [*_automations(written, merged), *_notifications(written, merged, in_force)]
    flows: dict[str, FlowDescription] = {}
    places = asyncio.Semaphore(_AT_A_TIME)

    async def look(name: str, definition: Definition) -> None:
        deployment, found = _deployment(definition)
        problems.extend(found)
        if deployment is None:
            return
        async with places:
            try:
                flows[name] = await describe_flow(deployment.flow, deployment.source)
            except FlowProblem as problem:
                problems.append(_at(definition, ("flow",), str(problem)))
            else:
                problems.extend(_unknown_parameters(definition, deployment, flows[name]))

    await asyncio.gather(*(look(name, one) for name, one in written.of("deployments").items()))
    return Checked(tuple(problems), flows)


def deployment_of(name: str, content: Mapping[str, Any]) -> Deployment:
    """Return a deployment of a checked configuration."""
    return Deployment.model_validate({**content, "name": name})


def _automations(written: Written, merged: Content) -> Iterator[Problem]:
    context = LoadContext(
        actions=action_kinds(),
        triggers=trigger_kinds(),
        notifiers=frozenset({INBOX, *merged.get("notifiers", {})}),
    )
    for name, one in written.of("automations").items():
        _, problems = load_automation(name, Entry(one.place, one.node), one.file.name, context)
        yield from problems


def _notifications(written: Written, merged: Content, in_force: Content) -> Iterator[Problem]:
    wrong = _wrong_with(merged)
    known = _wrong_with(in_force) if wrong else ()
    for one in wrong:
        yield _placed(written, *one, Severity.WARNING if one in known else Severity.ERROR)


def _wrong_with(content: Content) -> Collection[tuple[tuple[str | int, ...], str]]:
    try:
        parse_setup(sections_of(content), load_kinds())
    except InvalidNotifiers as invalid:
        return [(problem.path, problem.text) for problem in invalid.problems]
    return ()


def _placed(written: Written, path: tuple[str | int, ...], text: str, elsewhere: Severity) -> Problem:
    """Return a problem at its place; ``elsewhere``, in what is in force and in none of the files, it has no line."""
    section = str(path[0])
    name, rest = ("all", path[1:]) if section == "inhibit" else (str(path[1]), path[2:])
    definition = written.of(section).get(name)
    if definition is not None:
        return _at(definition, tuple(rest), text)
    where = f"{section.removesuffix('s').replace('_', ' ')} {name}"
    return Problem("(in force)", 1, 1, f"{where}: {text}", severity=elsewhere)


def _deployment(definition: Definition) -> tuple[Deployment | None, list[Problem]]:
    file = definition.file.name
    if not isinstance(definition.node, Table):
        return None, [_at(definition, (), "a deployment is a mapping with `flow`")]
    if "name" in definition.node.entries:
        place = definition.node.entries["name"].place
        text = "a deployment's name is its key; leave `name` out"
        return None, [Problem(file, place.line, place.column, text)]
    name = Scalar(definition.name, definition.place, definition.name)
    node = Table({**definition.node.entries, "name": Entry(definition.place, name)}, definition.node.place)
    try:
        return deployment_of(definition.name, resolve(definition)), []
    except ValidationError as invalid:
        return None, list(problems_of(invalid, node, Deployment, file))


def _unknown_parameters(
    definition: Definition, deployment: Deployment, flow: FlowDescription
) -> Iterator[Problem]:
    if flow.schema.get("additionalProperties", False) is not False:
        return
    known = flow.schema.get("properties", {})
    for name in deployment.parameters:
        if name not in known:
            yield _at(
                definition,
                ("parameters", name),
                f"the flow {flow.name!r} has no parameter {name!r}",
                nearest(name, known),
            )


def _at(
    definition: Definition, path: tuple[str | int, ...], text: str, suggestion: str | None = None
) -> Problem:
    place: Place = place_of(definition.node, path) if path else definition.place
    return Problem(definition.file.name, place.line, place.column, text, suggestion)
