"""What is wrong with settings, in the words of those who wrote them: pydantic's errors as plain sentences."""

from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from typing import Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from tocsin_notifiers.secret import type_error

Path = tuple[str | int, ...]

_EXPECTED: Final = {
    "string_type": "must be a text",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "model_type": "must be a mapping, such as {key: value}",
    "model_attributes_type": "must be a mapping, such as {key: value}",
    "dict_type": "must be a mapping, such as {key: value}",
    "tuple_type": "must be a list, such as [first, second]",
    "list_type": "must be a list, such as [first, second]",
    "string_too_short": "must not be empty",
}
_WITH_LIMITS: Final[Mapping[str, str]] = {
    "greater_than_equal": "must be {ge} or more",
    "less_than_equal": "must be {le} or less",
    "string_too_long": "must be {max_length} characters long at most",
    "too_short": "needs {min_length} or more",
    "too_long": "takes {max_length} at most",
}


def mistakes_of(wrong: ValidationError, known: Callable[[], Iterable[str]]) -> list[tuple[Path, str]]:
    """Return each mistake once, with the path to it; ``known`` gives the settings that there are, for a hint."""
    errors = wrong.errors(include_url=False, include_input=False)
    places = [error["loc"] for error in errors]
    misspelled = {
        (*error["loc"][:-1], near)
        for error in errors
        if error["type"] == "extra_forbidden" and (near := _nearest(error, known))
    }
    found: dict[tuple[Path, str], None] = {}
    for error in errors:
        loc = error["loc"]
        # Entries that are wrong don't count, so that a list of one such entry would be empty, too.
        if error["type"] == "too_short" and any(other[: len(loc)] == loc != other for other in places):
            continue
        label = next((number for number, part in enumerate(loc) if _is_form_of_secret(part)), None)
        if label is not None:
            found[loc[:label], type_error] = None
        elif error["type"] != "missing" or loc not in misspelled:
            found[_place(error), _said(error, known)] = None
    return list(found)


def _is_form_of_secret(part: str | int) -> bool:
    """Tell whether a step of a path is none of the file's, but what pydantic calls a form of a secret."""
    return part == "SecretRef" or (isinstance(part, str) and "SecretStr" in part)


def _nearest(error: ErrorDetails, known: Callable[[], Iterable[str]]) -> str:
    return next(iter(get_close_matches(str(error["loc"][-1]), list(known()), n=1)), "")


def _place(error: ErrorDetails) -> Path:
    """Return the path; what is missing has no place of its own, so it is that of what lacks it."""
    return error["loc"][:-1] if error["type"] == "missing" else error["loc"]


def _said(error: ErrorDetails, known: Callable[[], Iterable[str]]) -> str:
    kind, name = error["type"], error["loc"][-1] if error["loc"] else ""
    if kind == "extra_forbidden":
        near = _nearest(error, known)
        return f"there is no setting {name!r}" + (f": did you mean {near!r}?" if near else "")
    if kind == "missing":
        return f"{name!r} is missing"
    if kind in _WITH_LIMITS:
        return _WITH_LIMITS[kind].format_map(error.get("ctx", {}))
    said = _EXPECTED.get(kind, error["msg"])
    return said.removeprefix("Value error, ").replace("Input should be ", "must be ")
