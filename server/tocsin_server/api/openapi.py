"""The OpenAPI document: what FastAPI finds out by itself, the route for events that it doesn't serve, and how errors look."""

from typing import Any, Final

from fastapi import FastAPI

from tocsin_events.cloudevent import BATCH, STRUCTURED

_PROBLEM: Final = "#/components/schemas/Problem"
_SCHEMAS: Final = {
    "Problem": {
        "title": "Problem",
        "description": "What is wrong, as RFC 9457 says it.",
        "type": "object",
        "required": ["type", "title", "status", "detail"],
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string", "description": "The status in words."},
            "status": {"type": "integer"},
            "detail": {"type": "string", "description": "What happened, and what to do about it."},
            "errors": {
                "type": "array",
                "description": "Where in the request it is wrong.",
                "items": {
                    "type": "object",
                    "properties": {"path": {"type": "string"}, "detail": {"type": "string"}},
                },
            },
        },
    },
    "CloudEvent": {
        "title": "CloudEvent",
        "description": "An event in CloudEvents 1.0's JSON format.",
        "type": "object",
        "required": ["specversion", "id", "source", "type"],
        "properties": {
            "specversion": {"const": "1.0"},
            "id": {"type": "string", "minLength": 1},
            "source": {
                "type": "string",
                "minLength": 1,
                "description": "With `id` it makes an event unique.",
            },
            "type": {"type": "string", "minLength": 1},
            "time": {"type": "string", "format": "date-time"},
            "subject": {"type": "string"},
            "dataschema": {"type": "string"},
            "datacontenttype": {"type": "string"},
            "data": {},
            "data_base64": {"type": "string", "contentEncoding": "base64"},
        },
    },
}
CLOUD_EVENT: Final = {"$ref": "#/components/schemas/CloudEvent"}
"""What operations call an event in their schemas."""

_POST_EVENTS: Final = {
    "tags": ["events"],
    "summary": "Post Events",
    "description": (
        "Take CloudEvents: one, many, or one in binary mode (`ce-…` headers and any body). Answered when the bus has"
        " acknowledged all of them; a batch is refused whole. Repeating a request changes nothing."
    ),
    "operationId": "post_events",
    "requestBody": {
        "required": True,
        "content": {
            STRUCTURED: {"schema": CLOUD_EVENT},
            BATCH: {"schema": {"type": "array", "items": CLOUD_EVENT}},
        },
    },
    "responses": {
        "202": {
            "description": "The bus has them.",
            "content": {
                "application/json": {
                    "schema": {
                        "type": "object",
                        "required": ["accepted"],
                        "properties": {"accepted": {"type": "integer"}},
                    }
                }
            },
        },
    },
}


def openapi(app: FastAPI, *, events_path: str) -> dict[str, Any]:
    """Return the document of an application; events are posted to ``events_path``."""
    document = app.openapi()
    found = document["paths"]
    paths = {**found, events_path: {"post": _POST_EVENTS, **found.get(events_path, {})}}
    operations = {
        path.replace("_}", "}"): {method: _told(operation) for method, operation in methods.items()}
        for path, methods in paths.items()
    }
    schemas = document.get("components", {}).get("schemas", {})
    ours = {name: schema for name, schema in schemas.items() if name not in _FASTAPIS_OWN}
    return {
        **document,
        "paths": operations,
        "components": {
            "schemas": {**ours, **_SCHEMAS},
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"key": []}],
    }


_FASTAPIS_OWN: Final = ("HTTPValidationError", "ValidationError")
_ANSWER: Final = {
    "description": "It could not be done; the answer says why.",
    "content": {"application/problem+json": {"schema": {"$ref": _PROBLEM}}},
}


def _told(operation: dict[str, Any]) -> dict[str, Any]:
    """Return an operation with our errors in place of FastAPI's, which never occur, and names without Python's underscore."""
    answers = {status: answer for status, answer in operation["responses"].items() if status != "422"}
    named = [{**one, "name": one["name"].removesuffix("_")} for one in operation.get("parameters", ())]
    return {
        **operation,
        **({"parameters": named} if named else {}),
        "responses": {**answers, "default": _ANSWER},
    }
