"""The parameters of a flow: checked against its type hints, described as JSON schema, shown in events.

pydantic does the checking; it is imported only when a value does not already have exactly the type that is asked for.
"""

import inspect
import typing
import warnings
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tocsin.plain import plain

if TYPE_CHECKING:
    from pydantic import BaseModel

_EXACT = (str, int, float, bool, bytes)
_LONGEST_TEXT = 1_000
_MOST_BYTES = 16_000
_SECRET_WORDS = ("password", "passwd", "secret", "token", "api_key", "apikey", "private_key", "credential")
_HIDDEN = "(not shown)"
_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


class ParameterError(TypeError):
    """Parameters that don't fit a flow's signature; says which, and what is wrong, but never repeats a value."""

    __module__ = "tocsin"  # where users find it


class Parameters:
    """The parameters of a function; ``skip`` leading ones (``self``) are not the caller's to give."""

    def __init__(self, function: Callable[..., Any], skip: int = 0) -> None:
        self._function = function
        signature = inspect.signature(function)
        kept = list(signature.parameters.values())[skip:]
        self.signature = signature.replace(parameters=kept)
        self._names = tuple(parameter.name for parameter in kept)

    def bind(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments of a call by name, defaults included.

        Raises:
            ParameterError: they don't fit the signature.

        """
        if not self._names and not args and not kwargs:
            return {}
        try:
            bound = self.signature.bind(*args, **kwargs)
        except TypeError as problem:
            raise ParameterError(f"{self._function.__qualname__}(): {problem}") from None
        bound.apply_defaults()
        return bound.arguments

    def call_with(self, arguments: Mapping[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return positional and keyword arguments for the function; the inverse of `bind`."""
        bound = inspect.BoundArguments(self.signature, dict(arguments))
        return bound.args, bound.kwargs

    def from_mapping(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments that a JSON mapping of parameters stands for, checked.

        Raises:
            ParameterError: a parameter is unknown, missing or of another type.

        """
        parameters = self.signature.parameters
        extra = next((p.name for p in parameters.values() if p.kind is inspect.Parameter.VAR_KEYWORD), None)
        unknown = [name for name in given if name not in parameters]
        if unknown and extra is None:
            known = ", ".join(parameters) or "none"
            raise ParameterError(f"no such parameter: {', '.join(unknown)}; the flow takes: {known}")
        arguments: dict[str, Any] = {}
        missing = []
        for name, parameter in parameters.items():
            if name == extra:
                arguments[name] = {key: given[key] for key in unknown} | dict(given.get(name) or {})
            elif name in given:
                arguments[name] = given[name]
            elif parameter.kind is inspect.Parameter.VAR_POSITIONAL:
                arguments[name] = ()
            elif parameter.default is inspect.Parameter.empty:
                missing.append(name)
            else:
                arguments[name] = parameter.default
        if missing:
            raise ParameterError(f"missing parameter: {', '.join(missing)}")
        return self.validate(arguments)

    def validate(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments as their type hints want them (``"3"`` for an ``int`` becomes 3).

        Raises:
            ParameterError: a value does not fit.

        """
        if all(self._fits(name, value) for name, value in arguments.items()):
            return dict(arguments)
        from pydantic import ValidationError

        try:
            checked = self._model.model_validate({name: arguments[name] for name in self._fields})
        except ValidationError as problem:
            raise ParameterError(_explain(problem)) from None
        return {name: getattr(checked, field) for name, field in self._fields.items()}

    @cached_property
    def schema(self) -> dict[str, Any]:
        """The JSON schema of the parameters as one object; what has no JSON form is described as anything."""
        from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

        class Lenient(GenerateJsonSchema):
            def handle_invalid_for_json_schema(self, schema: Any, error_info: str) -> JsonSchemaValue:  # noqa: ARG002
                return {}

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            schema = self._model.model_json_schema(schema_generator=Lenient)
        schema["title"] = "Parameters"
        schema.pop("description", None)
        schema.setdefault("properties", {})
        return schema

    def _fits(self, name: str, value: Any) -> bool:
        wanted = self._hints.get(name, Any)
        if wanted is Any or wanted is inspect.Parameter.empty:
            return True
        return wanted in _EXACT and type(value) is wanted

    @cached_property
    def _hints(self) -> dict[str, Any]:
        hints = _type_hints(self._function)
        # A lone *args or **kwargs without a hint takes anything; with one, pydantic looks at each value.
        return {name: hints.get(name, Any) for name in self._names}

    @cached_property
    def _fields(self) -> dict[str, str]:
        # Fields have names of our own: a parameter may be called `json` or `copy`, which a model can't have.
        return {name: f"p{number}" for number, name in enumerate(self._names)}

    @cached_property
    def _model(self) -> "type[BaseModel]":
        from pydantic import ConfigDict, Field, create_model

        fields: dict[str, Any] = {}
        for name, parameter in self.signature.parameters.items():
            hint = self._hints[name]
            options: dict[str, Any] = {"alias": name, "title": name}
            match parameter.kind:
                case inspect.Parameter.VAR_POSITIONAL:
                    hint, options["default"] = tuple.__class_getitem__((hint, ...)), ()
                case inspect.Parameter.VAR_KEYWORD:
                    hint, options["default_factory"] = dict.__class_getitem__((str, hint)), dict
                case _ if parameter.default is not inspect.Parameter.empty:
                    # By a function, as pydantic copies or rejects some defaults that Python takes.
                    options["default_factory"] = _giver(parameter.default)
                    if _is_shown(parameter.default):
                        options["json_schema_extra"] = {"default": parameter.default}
            fields[self._fields[name]] = (hint, Field(**options))
        config = ConfigDict(arbitrary_types_allowed=True, extra="forbid", protected_namespaces=())
        return create_model("Parameters", __config__=config, **fields)


def describe_parameters(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments as an event may carry them: JSON, long values shortened, what sounds secret left out."""
    shown: dict[str, Any] = {}
    left = _MOST_BYTES
    for name, value in arguments.items():
        if any(word in name.lower() for word in _SECRET_WORDS):
            shown[name] = _HIDDEN
            continue
        text = _short(value)
        size = len(str(text))
        if size > left:
            shown[name] = "(too large to show)"
            continue
        shown[name] = text
        left -= size
    return shown


def _short(value: Any) -> Any:
    if isinstance(value, str):
        return value if len(value) <= _LONGEST_TEXT else value[:_LONGEST_TEXT] + "…"
    if isinstance(value, (bool, int, float, type(None))):
        return plain(value)
    if isinstance(value, (list, tuple, set, frozenset, dict)) and len(value) > _LONGEST_TEXT:
        return f"({type(value).__name__} of {len(value)})"
    return plain(value)


def _type_hints(function: Callable[..., Any]) -> dict[str, Any]:
    raw = getattr(function, "__annotations__", {})
    if not any(isinstance(hint, str) for hint in raw.values()):
        return dict(raw)
    try:
        return typing.get_type_hints(function, include_extras=True)
    except Exception:  # noqa: BLE001 - a hint that only exists while type checking can't be checked here
        return {name: hint for name, hint in raw.items() if not isinstance(hint, str)}


def _giver(value: Any) -> Callable[[], Any]:
    return lambda: value


def _is_shown(default: Any) -> bool:
    return (
        default is None
        or type(default) in (str, int, float, bool)
        or (type(default) in (list, tuple) and all(_is_shown(item) for item in default))
    )


def _explain(problem: Any) -> str:
    lines = [
        f"{'.'.join(str(part) for part in error['loc'])}: {error['msg']}"
        for error in problem.errors(include_url=False, include_context=False, include_input=False)
    ]
    return "the parameters don't fit: " + "; ".join(lines)
