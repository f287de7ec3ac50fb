"""From the values of a file to a model: pydantic's errors as plain sentences at the place where they belong.

Works for any model, so every section of every file we read (automations, rule tests, deployments, notifiers …)
complains in the same voice: unknown keys with the nearest valid spelling, one sentence where a union fails, and all
errors at once.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Final, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from tocsin_automations.node import Node, Place, Scalar, Sequence, Table
from tocsin_automations.problem import Problem, in_order, nearest

T = TypeVar("T")

Loc = tuple[str | int, ...]
"""A path into a value, as pydantic gives it."""

_EXPECTED: Final[Mapping[str, str]] = {
    "string_type": "a text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "dict_type": "a mapping",
    "mapping_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "dataclass_type": "a mapping",
    "list_type": "a list",
    "tuple_type": "a list",
    "set_type": "a list",
    "frozen_set_type": "a list",
    "none_required": "nothing",
}
_SENTENCES: Final[Mapping[str, str]] = {
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be {ge} or more",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be {le} or less",
    "string_too_short": "must not be empty",
    "string_too_long": "must be {max_length} characters long at most",
    "too_short": "needs {min_length} or more, has {actual_length}",
    "too_long": "takes {max_length} at most, has {actual_length}",
    "string_pattern_mismatch": "does not match {pattern}",
}


def validate(node: Node, model: type[T] | Any, file: str) -> tuple[T | None, tuple[Problem, ...]]:
    """Return a node as a value of a model (or of any annotation), or None and what is wrong with it.

    ``file`` is the name that problems give.
    """
    adapter: TypeAdapter[T] = TypeAdapter(model)
    try:
        return adapter.validate_python(node.plain()), ()
    except ValidationError as error:
        return None, problems_of(error, node, model, file)


def problems_of(
    error: ValidationError,
    node: Node,
    model: Any,
    file: str,
    *,
    known: Callable[[Loc], Collection[str]] | None = None,
) -> tuple[Problem, ...]:
    """Return a validation error of a model as problems at the places of the node that was validated.

    ``known`` gives the keys that are right at a path, where the model's annotations don't tell.
    """
    found = [_Found.of(detail, node) for detail in error.errors(include_url=False)]
    names = known or (lambda loc: set(names_at(model, loc)))
    kept = list(_without_union_noise(found))
    meant = {
        (one.path[:-1], nearest(one.name, names(one.detail["loc"][:-1])))
        for one in kept
        if one.kind == "extra_forbidden"
    }
    return in_order(
        one.problem(names, file)
        for one in kept
        if not (one.kind == "missing" and (one.path, one.name) in meant)  # it is there, misspelled
        and not (
            one.kind == "too_short" and any(one.is_above(other) for other in kept)
        )  # wrong ones don't count
    )


def place_of(node: Node, path: Loc) -> Place:
    """Return the place of the value at a path below a node, as near as the path goes."""
    return _follow(node, path)[0].place


@dataclass(frozen=True, slots=True)
class _Found:
    """One of pydantic's errors, with the way to it through the node.

    ``path`` are the steps that are in the file; ``labels`` the others (names of union branches), each with how many
    steps were behind it.
    """

    detail: ErrorDetails
    node: Node
    key: Place | None
    path: Loc
    labels: tuple[tuple[int, str], ...]
    expected: tuple[str, ...] = ()

    @classmethod
    def of(cls, detail: ErrorDetails, root: Node) -> "_Found":
        node, path, labels, key = _follow(root, detail["loc"])
        return cls(detail, node, key, path, labels)

    @property
    def kind(self) -> str:
        return self.detail["type"]

    @property
    def name(self) -> str:
        """The last step of the way: the name of a key that is missing, unknown or wrong."""
        return str(self.detail["loc"][-1]) if self.detail["loc"] else ""

    def is_above(self, other: "_Found") -> bool:
        """Tell whether the other error is about something inside what this one is about."""
        return len(other.path) > len(self.path) and other.path[: len(self.path)] == self.path

    def problem(self, names: Callable[[Loc], Collection[str]], file: str) -> Problem:
        place, suggestion, name = self.node.place, None, self.name
        if self.expected:
            message = f"{_either(self.expected)} is expected, got {_what(self.node)}{_advice(self)}"
        elif self.kind == "missing":
            message = f"{name!r} is missing"
        elif self.kind == "extra_forbidden":
            place = self.key or place
            known = set(names(self.detail["loc"][:-1]))
            message, suggestion = f"unknown key {name!r}", nearest(name, known)
            if suggestion is None and known and len(known) <= 12:
                message += f"; known here: {', '.join(sorted(known))}"
        elif self.kind in ("literal_error", "enum"):
            message, suggestion = _choice(self)
        else:
            message = self._sentence()
        if name == "[key]":
            place = self.key or place
        return Problem(file, place.line, place.column, message, suggestion)

    def _sentence(self) -> str:
        if self.kind in _EXPECTED:
            return f"{_EXPECTED[self.kind]} is expected, got {_what(self.node)}{_advice(self)}"
        if self.kind in _SENTENCES:
            return f"{self._subject()}{_SENTENCES[self.kind].format_map(self.detail.get('ctx', {}))}"
        written = self.detail["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
        return written if self.kind == "value_error" else written[:1].lower() + written[1:]

    def _subject(self) -> str:
        return f"{self.path[-1]!r} " if self.path and isinstance(self.path[-1], str) else ""


def _follow(root: Node, loc: Loc) -> tuple[Node, Loc, tuple[tuple[int, str], ...], Place | None]:
    """Walk a path; return the last node on it, the steps taken, the steps that weren't there, the last key's place."""
    node, key = root, None
    path: list[str | int] = []
    labels: list[tuple[int, str]] = []
    for step in loc:
        if isinstance(node, Table) and str(step) in node.entries:
            entry = node.entries[str(step)]
            node, key = entry.node, entry.place
            path.append(str(step))
        elif isinstance(node, Sequence) and isinstance(step, int) and step < len(node.items):
            node = node.items[step]
            path.append(step)
        else:
            labels.append((len(path), str(step)))
    return node, tuple(path), tuple(labels), key


def _without_union_noise(found: list[_Found]) -> Iterator[_Found]:
    """Keep, where all branches of a union failed, the errors of the branch that fits best, or one for all."""
    groups: dict[Loc, dict[str, list[_Found]]] = {}
    for one in found:
        labels = [label for label in one.labels if one.kind != "missing" or label != _last(one)]
        if not labels:
            yield one
            continue
        depth, branch = labels[0]
        groups.setdefault(one.path[:depth], {}).setdefault(branch, []).append(one)
    for path, branches in groups.items():
        yield from _best(path, list(branches.values()))


def _last(one: _Found) -> tuple[int, str]:
    return (len(one.path), str(one.detail["loc"][-1]))


def _best(path: Loc, branches: list[list[_Found]]) -> list[_Found]:
    fitting = [branch for branch in branches if not any(_wrong_shape(one, path) for one in branch)]
    if fitting:
        return min(fitting, key=len)
    first = branches[0][0]
    expected = tuple(
        dict.fromkeys(_EXPECTED[one.kind] for branch in branches for one in branch if _wrong_shape(one, path))
    )
    return [_Found(first.detail, first.node, first.key, first.path, first.labels, expected)]


def _wrong_shape(one: _Found, path: Loc) -> bool:
    return one.path == path and one.kind in _EXPECTED


def _choice(one: _Found) -> tuple[str, str | None]:
    expected = str(one.detail.get("ctx", {}).get("expected", ""))
    known = [word.strip().strip("'") for word in expected.replace(" or ", ", ").split(",")]
    given = one.detail["input"]
    message = f"{given!r} is not one of {', '.join(known)}"
    return message, nearest(given, known) if isinstance(given, str) else None


def _what(node: Node) -> str:
    match node:
        case Table():
            return "a mapping"
        case Sequence():
            return "a list"
        case Scalar(value=None):
            return "nothing"
        case Scalar(value=bool() as value):
            return str(value).lower()
        case Scalar(value=int() | float(), written=written):
            return f"the number {written}"
        case Scalar(value=str() as text):
            return f"the text {_short(text)!r}"
    return "something else"


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:39] + "…"


def _advice(one: _Found) -> str:
    wants_text = one.kind == "string_type" or "a text" in one.expected
    if wants_text and isinstance(one.node, Scalar) and one.node.value is not None:
        return f'; quote it: "{one.node.written}"'
    return ""


def _either(words: tuple[str, ...]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def names_at(annotation: Any, loc: Loc) -> Iterator[str]:
    """Yield the keys that a model allows at a path, as far as its annotations tell."""
    origin = get_origin(annotation)
    arguments = get_args(annotation)
    if origin is Annotated:
        yield from names_at(arguments[0], loc)
    elif origin in (Union, UnionType):
        for member in arguments:
            yield from names_at(member, loc)
            if loc and isinstance(loc[0], str):  # the name of the branch
                yield from names_at(member, loc[1:])
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield from _names_of_model(annotation, loc)
    elif origin is not None and arguments and loc:
        yield from names_at(arguments[-1] if arguments[-1] is not Ellipsis else arguments[0], loc[1:])


def _names_of_model(model: type[BaseModel], loc: Loc) -> Iterator[str]:
    for name, field in model.model_fields.items():
        written = field.alias or name
        if not loc:
            yield written
        elif loc[0] in (written, name):
            yield from names_at(field.annotation, loc[1:])
