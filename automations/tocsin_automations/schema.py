"""JSON Schemas of our files, made from the models, for editors to complete and check with."""

from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from tocsin_automations.action import ActionKind, Retry
from tocsin_automations.automation import Automation
from tocsin_automations.loader import SECTIONS
from tocsin_automations.testing.model import RuleTests
from tocsin_automations.trigger import TriggerConfig

Schema = dict[str, Any]

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_TEMPLATE: Final[Schema] = {"type": "string", "pattern": r"\{[{%]", "description": "A template."}
_ACTIONS: Final[Schema] = {"type": "array", "items": {"$ref": "#/$defs/Action"}}
_NAME: Final = "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"


def automations_schema(
    actions: Mapping[str, ActionKind],
    triggers: Mapping[str, type[TriggerConfig]],
    items: Mapping[str, type[BaseModel]] | None = None,
) -> Schema:
    """Return the schema of ``tocsin.yaml``; ``items`` are the models of what other sections hold, by section."""
    models = dict(items or {})
    definitions, names = _definitions(actions, triggers, tuple(models.values()))
    sections: dict[str, Schema] = {name: {} for name in sorted(SECTIONS)}
    for section, model in models.items():
        _leave_out_name(definitions[names[model]])
        item = {"$ref": f"#/$defs/{names[model]}"}
        sections[section] = {"type": "object", "additionalProperties": item}
    return {
        "$schema": _DIALECT,
        "title": "Tocsin",
        "type": "object",
        "properties": {**sections, "automations": {"$ref": "#/$defs/Automations"}},
        "additionalProperties": False,
        "$defs": definitions,
    }


def rule_tests_schema(
    actions: Mapping[str, ActionKind], triggers: Mapping[str, type[TriggerConfig]]
) -> Schema:
    """Return the schema of a file of rule tests."""
    definitions, _ = _definitions(actions, triggers, (RuleTests,))
    tests = definitions["RuleTests"]
    tests["properties"]["automations"] = {
        "description": "Files, a directory, or the automations themselves.",
        "anyOf": [
            {"type": "string"},
            {"type": "array", "items": {"type": "string"}},
            {"$ref": "#/$defs/Automations"},
        ],
    }
    resource = definitions["Resource"]
    # Both may leave the id out (the name stands for it), and `related` may be a mapping of kind to resource.
    for one in (resource, definitions["RelatedResource"]):
        one.pop("required", None)
    event = definitions["GivenEvent"]
    event["properties"]["related"] = {
        "anyOf": [
            {"type": "array", "items": {"$ref": "#/$defs/RelatedResource"}},
            {"type": "object", "additionalProperties": {"$ref": "#/$defs/RelatedResource"}},
        ]
    }
    return {
        "$schema": _DIALECT,
        "title": "Tests of Tocsin's rules",
        "$ref": "#/$defs/RuleTests",
        "$defs": definitions,
    }


def _definitions(
    actions: Mapping[str, ActionKind],
    triggers: Mapping[str, type[TriggerConfig]],
    others: tuple[type[BaseModel], ...],
) -> tuple[dict[str, Schema], dict[type[BaseModel], str]]:
    models: list[type[BaseModel]] = [Automation, Retry, *others, *triggers.values()]
    models += [kind.model for kind in actions.values()]
    unique = list(dict.fromkeys(models))
    refs, made = models_json_schema(
        [(model, "validation") for model in unique], ref_template="#/$defs/{model}"
    )
    definitions: dict[str, Schema] = made.get("$defs", {})
    names = {model: refs[model, "validation"]["$ref"].removeprefix("#/$defs/") for model in unique}
    definitions["Trigger"] = {"anyOf": [{"$ref": f"#/$defs/{names[kind]}"} for kind in triggers.values()]}
    definitions["Action"] = {
        "anyOf": [_action(kind, definitions[names[kind.model]]) for _, kind in sorted(actions.items())]
    }
    for model in {names[kind.model] for kind in actions.values()}:
        del definitions[model]
    automation = definitions.pop(names[Automation])
    _leave_out_name(automation)
    automation["properties"]["then"] = automation["properties"]["then_resolve"] = _ACTIONS
    definitions["Automation"] = automation
    definitions["Automations"] = {
        "type": "object",
        "propertyNames": {"pattern": _NAME},
        "additionalProperties": {"$ref": "#/$defs/Automation"},
    }
    definitions.pop("TriggerConfig", None)
    return {name: _with_triggers(definition) for name, definition in definitions.items()}, names


def _leave_out_name(model: Schema) -> None:
    """Take the name out of a model: it stands before the colon, not among the fields."""
    model.get("properties", {}).pop("name", None)
    model["required"] = [name for name in model.get("required", ()) if name != "name"]


def _with_triggers(schema: Any) -> Any:
    """Put the schema of all kinds of triggers where a model only says that there is one."""
    match schema:
        case {"title": "Trigger", "type": "object"} if "properties" not in schema:
            return {"$ref": "#/$defs/Trigger"}
        case {"$ref": "#/$defs/TriggerConfig"}:
            return {"$ref": "#/$defs/Trigger"}
        case dict():
            return {name: _with_triggers(one) for name, one in schema.items()}
        case list():
            return [_with_triggers(one) for one in schema]
        case _:
            return schema


def _action(kind: ActionKind, model: Schema) -> Schema:
    fields: dict[str, Schema] = dict(model.get("properties", {}))
    main = fields.pop(kind.main, {})
    required = [name for name in model.get("required", ()) if name != kind.main]
    needed = kind.main in model.get("required", ())
    return {
        "title": kind.name,
        "description": model.get("description", ""),
        "type": "object",
        "properties": {
            kind.name: _or_template(main) if needed else {"anyOf": [_or_template(main), {"type": "null"}]},
            **{name: _or_template(schema) for name, schema in fields.items()},
            "if": {
                "type": "string",
                "description": "An expression: the action is left out where it is not true.",
            },
            "retry": {"$ref": "#/$defs/Retry"},
            "continue_on_error": {"type": "boolean", "default": True},
            "timeout": {"type": "string", "description": "A duration."},
        },
        "required": [kind.name, *required],
        "additionalProperties": False,
    }


def _or_template(schema: Schema) -> Schema:
    return schema if schema.get("type") == "string" else {"anyOf": [schema, _TEMPLATE]}
