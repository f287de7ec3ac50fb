"""Paths such as ``deployment.labels.env``: what most conditions are about, and what the rule index is made of."""

from collections.abc import Callable
from typing import Any, Final

from tocsin_events.expression.budget import Scope
from tocsin_events.expression.values import FAILURES, Absent, Fault, spoken_type
from tocsin_events.view import MISSING

Closure = Callable[[Any, Scope], Any]
Path = tuple[str, ...]

_INDEXED: Final = frozenset({str, int, float, type(None)})


def absent_at(value: Any, absent: Absent, source: str) -> Any:
    """Return why a value has no fields: it failed itself, it is null (then they are missing), or it is no map."""
    if value.__class__ in FAILURES:
        return value
    if value is None:
        return absent
    return Fault(f"{source} is {spoken_type(value)} and has no fields")


def path_closure(path: Path) -> Callable[[Any, Any], Any]:
    """Return the closure that follows a path; what is not there gives `Absent` with its name up to there."""
    match path:
        case (root,):
            return _one(root)
        case (root, field):
            return _two(root, field)
        case (root, first, second):
            return _three(root, first, second)
        case _:
            return _many(path)


def written_path(path: Path) -> str:
    """Return a path as it is written."""
    root, *fields = path
    return root + "".join(
        f".{one}" if one.isidentifier() and one.isascii() else f'["{one}"]' for one in fields
    )


def path_getter(path: Path) -> Callable[[Any], Any]:
    """Return the function that gives a view's value at a path as a key of the rule index.

    Keys are hashable and equal exactly when the language's ``==`` says so: texts, numbers and None are themselves,
    a bool is a tuple of itself. What is missing, or is no such value, gives `MISSING`.
    """
    follow = path_closure(path)

    def get(names: Any) -> Any:
        return index_key(follow(names, None))

    return get


def index_key(value: Any) -> Any:
    """Return a value as a key of the rule index; `MISSING` where it can't be one."""
    kind = value.__class__
    if kind is str:
        return value
    if kind is bool:
        return (value,)
    return value if kind in _INDEXED else MISSING


def field_closure(operand: Closure, field: str, whole: str, source: str) -> Closure:
    """Return ``operand.field``; ``whole`` and ``source`` are the path and its operand as they were written."""
    absent = Absent(whole)

    def run(names: Any, scope: Scope) -> Any:
        value = operand(names, scope)
        if value.__class__ is dict:
            return value.get(field, absent)
        return absent_at(value, absent, source)

    return run


def field_of_variable(slot: int, field: str, whole: str, source: str) -> Closure:
    """Return ``x.field`` for a macro variable."""
    absent = Absent(whole)

    def run(names: Any, scope: Scope) -> Any:  # noqa: ARG001 - one signature for all closures
        value = scope[slot]
        if value.__class__ is dict:
            return value.get(field, absent)
        return absent_at(value, absent, source)

    return run


def _one(root: str) -> Closure:
    absent = Absent(root)

    def run(names: Any, scope: Scope) -> Any:  # noqa: ARG001 - one signature for all closures
        value = names.resolve(root)
        return absent if value is MISSING else value

    return run


def _two(root: str, field: str) -> Closure:
    fail = _diagnosis((root, field))
    absent = Absent(written_path((root, field)))

    def run(names: Any, scope: Scope) -> Any:  # noqa: ARG001
        value = names.resolve(root)
        if value.__class__ is dict:
            return value.get(field, absent)
        return fail(names)

    return run


def _three(root: str, first: str, second: str) -> Closure:
    fail = _diagnosis((root, first, second))
    absent = Absent(written_path((root, first, second)))

    def run(names: Any, scope: Scope) -> Any:  # noqa: ARG001
        value = names.resolve(root)
        if value.__class__ is dict:
            value = value.get(first)
            if value.__class__ is dict:
                return value.get(second, absent)
        return fail(names)

    return run


def _many(path: Path) -> Closure:
    root, *fields = path
    last = fields.pop()
    fail = _diagnosis(path)
    absent = Absent(written_path(path))

    def run(names: Any, scope: Scope) -> Any:  # noqa: ARG001
        value = names.resolve(root)
        for field in fields:
            if value.__class__ is not dict:
                return fail(names)
            value = value.get(field)
        return value.get(last, absent) if value.__class__ is dict else fail(names)

    return run


def _diagnosis(path: Path) -> Callable[[Any], Any]:
    """Return the slow walk that says where a path breaks off."""
    sources = [written_path(path[: length + 1]) for length in range(len(path))]
    absents = [Absent(source) for source in sources]

    def run(names: Any) -> Any:
        value = names.resolve(path[0])
        if value is MISSING:
            return absents[0]
        for place, field in enumerate(path[1:], start=1):
            if value.__class__ is not dict:
                return absent_at(value, absents[place], sources[place - 1])
            if field not in value:
                return absents[place]
            value = value[field]
        return value

    return run
