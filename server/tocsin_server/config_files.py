"""Reading ``tocsin.yaml``: from the text of files to definitions, each with its place, and all problems at once."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from tocsin_automations.document import read
from tocsin_automations.node import Node, Place, Table
from tocsin_automations.problem import Problem, in_order, nearest

SECTIONS: Final = ("deployments", "automations", "notifiers", "quiet_hours", "inhibit", "variables")
"""What files can define."""

_LATER: Final[Mapping[str, str]] = MappingProxyType(
    {
        "webhooks": "send CloudEvents to POST /api/v1/events until then",
        "work_pools": "every pool that a worker names exists by itself",
        "concurrency_limits": "limit an automation with limits.concurrency until then",
    }
)


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file as the client sent it; ``folder`` is where relative paths in it begin."""

    name: str
    folder: Path
    text: str


@dataclass(frozen=True, slots=True)
class Definition:
    """One named thing in one section of a file."""

    section: str
    name: str
    node: Node
    file: SourceFile
    place: Place


@dataclass(frozen=True, slots=True)
class Written:
    """Everything that some files define, and what is wrong with them."""

    definitions: tuple[Definition, ...]
    problems: tuple[Problem, ...]

    def of(self, section: str) -> dict[str, Definition]:
        """Return a section's definitions by name."""
        return {one.name: one for one in self.definitions if one.section == section}


def read_files(files: Iterable[SourceFile]) -> Written:
    """Return what files define; a name used twice is a problem that names both places."""
    definitions: dict[tuple[str, str], Definition] = {}
    problems: list[Problem] = []
    for file in files:
        parsed = read(file.text, file.name)
        problems.extend(parsed.problems)
        for document in parsed.documents:
            _read_document(document, file, definitions, problems)
    return Written(tuple(definitions.values()), in_order(problems))


def resolve(definition: Definition) -> dict[str, Any]:
    """Return a definition as it is kept: plain values, a deployment's source made absolute."""
    value: Any = definition.node.plain()
    if definition.section != "deployments" or not isinstance(value, dict):
        return value  # type: ignore[no-any-return]
    source = value.get("source", ".")
    if isinstance(source, str) and "://" not in source:
        value["source"] = str((definition.file.folder / Path(source).expanduser()).absolute())
    return value


def _read_document(
    document: Node, file: SourceFile, found: dict[tuple[str, str], Definition], problems: list[Problem]
) -> None:
    def say(place: Place, message: str, suggestion: str | None = None) -> None:
        problems.append(Problem(file.name, place.line, place.column, message, suggestion))

    if not isinstance(document, Table):
        say(document.place, f"a file is a mapping with the sections {', '.join(SECTIONS)}")
        return
    for section, entry in document.entries.items():
        if section in _LATER:
            say(entry.place, f"{section!r} is not available in this version; {_LATER[section]}")
        elif section == "tests":
            say(entry.place, "this is a file of rule tests: run it with `tocsin test`")
        elif section not in SECTIONS:
            say(entry.place, f"there is no section {section!r}", nearest(section, SECTIONS))
        elif section == "inhibit":
            _define(Definition(section, "all", entry.node, file, entry.place), found, say)
        elif not isinstance(entry.node, Table):
            if entry.node.plain() is not None:
                say(entry.node.place, f"{section} is a mapping of names")
        else:
            for name, one in entry.node.entries.items():
                _define(Definition(section, name, one.node, file, one.place), found, say)


def _define(
    definition: Definition, found: dict[tuple[str, str], Definition], say: Callable[[Place, str], None]
) -> None:
    known = found.setdefault((definition.section, definition.name), definition)
    if known is not definition:
        at = f"{known.file.name}:{known.place.line}:{known.place.column}"
        thing = definition.section.removesuffix("s").replace("_", " ")
        say(definition.place, f"{thing} {definition.name!r} is defined twice; first at {at}")
