"""The parameters of a run, made to fit the JSON schema of the flow's signature.

Values that come out of a template or a command line are text; where the schema wants a number, a truth value, null, a
list or a mapping, text that spells one exactly becomes it. Nothing else is bent: `"12.5"` is no integer, and a number
stays a number where text is wanted.
"""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

_INTEGER = re.compile(r"[+-]?\d{1,1000}")
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
_TRUTH = {"true": True, "false": False}


class InvalidParameters(ValueError):  # noqa: N818 - it names what was found
    """Parameters that don't fit the flow; ``problems`` has one line for each."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(self.problems))


def fit_parameters(
    given: Mapping[str, Any], schema: Mapping[str, Any] | None, *, templated: bool = False
) -> dict[str, Any]:
    """Return parameters typed by a flow's JSON schema; without a schema, as they are.

    Values that are ``templated`` have the type that the event happened to have; a number among them becomes text
    where only text is allowed.

    Raises:
        InvalidParameters: a parameter is unknown, missing or of another type; says which, and what is wanted.

    """
    if schema is None:
        return dict(given)
    properties = schema.get("properties", {})
    fitted = {
        name: _fit(value, properties[name], schema) if name in properties else value
        for name, value in (_as_text(given, properties, schema) if templated else given).items()
    }
    problems = [*_unknown(given, schema), *_violations(fitted, schema)]
    if problems:
        raise InvalidParameters(problems)
    return fitted


def _as_text(
    given: Mapping[str, Any], properties: Mapping[str, Any], root: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        name: str(value)
        if isinstance(value, int | float)
        and not isinstance(value, bool)
        and {kind for kind, _ in _types(properties.get(name, {}), root)} - {"null"} == {"string"}
        else value
        for name, value in given.items()
    }


def _unknown(given: Mapping[str, Any], schema: Mapping[str, Any]) -> list[str]:
    if schema.get("additionalProperties", False) is not False:
        return []
    known = schema.get("properties", {})
    there = f"there are {', '.join(sorted(known))}" if known else "the flow takes none"
    return [f"{name}: the flow has no such parameter ({there})" for name in given if name not in known]


def _violations(values: Mapping[str, Any], schema: Mapping[str, Any]) -> list[str]:
    from jsonschema import Draft202012Validator
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    # An empty registry: a schema can't make the server fetch what its $ref names.
    checker = Draft202012Validator({**schema, "additionalProperties": True}, registry=Registry())
    try:
        found = sorted(checker.iter_errors(values), key=lambda one: list(map(str, one.absolute_path)))
    except (Unresolvable, RecursionError) as problem:
        return [f"the schema of the flow's parameters can't be followed: {problem}"]
    return [_sentence(error) for error in found]


def _sentence(error: Any) -> str:
    where = ".".join(str(part) for part in error.absolute_path)
    return f"{where}: {_shortened(error.message)}" if where else _shortened(error.message)


def _shortened(message: str) -> str:
    return message if len(message) <= 300 else f"{message[:300]}…"


def _fit(value: Any, schema: Any, root: Mapping[str, Any]) -> Any:
    schema = _resolve(schema, root)
    if isinstance(value, str):
        return _from_text(value, schema, root)
    if isinstance(value, list) and "items" in schema:
        return [_fit(item, schema["items"], root) for item in value]
    if isinstance(value, dict) and "properties" in schema:
        inner = schema["properties"]
        return {
            name: _fit(item, inner[name], root) if name in inner else item for name, item in value.items()
        }
    return value


def _from_text(text: str, schema: Mapping[str, Any], root: Mapping[str, Any]) -> Any:
    """Return what the text spells in one of the schema's types; the text itself wherever text is allowed."""
    wanted = list(_types(schema, root))
    if not wanted or any(kind == "string" for kind, _ in wanted):
        return text
    for kind, inner in wanted:
        value = _spelled(text.strip(), kind)
        if value is not _NOTHING:
            return _fit(value, inner, root) if isinstance(value, list | dict) else value
    return text


_NOTHING = object()


def _spelled(text: str, kind: str) -> Any:
    match kind:
        case "integer" if _INTEGER.fullmatch(text):
            return int(text)
        case "number" if _NUMBER.fullmatch(text):
            return int(text) if _INTEGER.fullmatch(text) else float(text)
        case "boolean":
            return _TRUTH.get(text.lower(), _NOTHING)
        case "null" if text in ("", "null"):
            return None
        case "array" | "object":
            return _from_json(text, list if kind == "array" else dict)
        case _:
            return _NOTHING


def _from_json(text: str, wanted: type) -> Any:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return _NOTHING
    return value if isinstance(value, wanted) else _NOTHING


def _types(schema: Any, root: Mapping[str, Any], depth: int = 0) -> Iterable[tuple[str, Mapping[str, Any]]]:
    """Yield the JSON types that a schema allows, each with the part of the schema that allows it."""
    schema = _resolve(schema, root)
    if depth > 20:
        return
    kinds = schema.get("type")
    if kinds is not None:
        for kind in [kinds] if isinstance(kinds, str) else kinds:
            yield kind, schema
        return
    if any(isinstance(value, str) for value in [*schema.get("enum", ()), schema.get("const")]):
        yield "string", schema
    for word in ("anyOf", "oneOf", "allOf"):
        for part in schema.get(word, ()):
            yield from _types(part, root, depth + 1)


def _resolve(schema: Any, root: Mapping[str, Any], depth: int = 20) -> Mapping[str, Any]:
    """Follow ``$ref`` within the document; a schema that can't be followed allows anything here."""
    while isinstance(schema, Mapping) and "$ref" in schema and depth:
        depth -= 1
        target: Any = root
        for part in str(schema["$ref"]).removeprefix("#/").split("/"):
            target = target.get(part) if isinstance(target, Mapping) else None
        schema = target
    return schema if isinstance(schema, Mapping) and "$ref" not in schema else {}
