"""JSON schemas (draft 2020-12) of what our own events carry in ``data.payload``.

They promise what is there, and leave room: a later version may say more.
"""

from collections.abc import Mapping
from typing import Any, Final

Schema = Mapping[str, Any]

TEXT: Final[Schema] = {"type": "string"}
NUMBER: Final[Schema] = {"type": "number"}
COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
MOMENT: Final[Schema] = {"type": "string", "format": "date-time"}
FLAG: Final[Schema] = {"type": "boolean"}
ANYTHING: Final[Schema] = {}


def maybe(schema: Schema) -> Schema:
    """Return the schema of a value that may be null."""
    return {"anyOf": [schema, {"type": "null"}]}


def record(required: Mapping[str, Schema] | None = None, **optional: Schema) -> Schema:
    """Return the schema of an object with these fields, and possibly more."""
    required = required or {}
    schema: dict[str, Any] = {"type": "object", "properties": {**required, **optional}}
    if required:
        schema["required"] = sorted(required)
    return schema


def described(schema: Schema, description: str) -> Schema:
    """Return a schema with a sentence about it."""
    return {**schema, "description": description}


STATE: Final = record(
    {
        "type": described(TEXT, "The state's type, such as failed"),
        "name": described(TEXT, "What the state is called, such as Failed or AwaitingRetry"),
    },
    message=maybe(TEXT),
    time=MOMENT,
)

ERROR: Final = record(
    {"type": described(TEXT, "The exception's class"), "message": TEXT},
    traceback=described(maybe(TEXT), "The last lines of the traceback"),
)

TRANSITION: Final = record(
    {"state": STATE},
    previous=maybe(STATE),
    attempt=described(maybe(COUNT), "Which attempt this is, from 1"),
    duration=described(maybe(NUMBER), "Seconds since the run started"),
    parameters=described(ANYTHING, "The run's parameters, without secrets"),
    error=maybe(ERROR),
    message=described(maybe(TEXT), "What happened, in one line"),
)

HEARTBEAT: Final = record()

CHANGE: Final = described(record(reason=TEXT, by=described(TEXT, "Who did it")), "What changed, and why")

WORKER: Final = record(limit=described(maybe(COUNT), "How many runs it takes at a time"))

FIRING: Final = record(
    {
        "firing": record(
            {
                "id": TEXT,
                "automation": TEXT,
                "revision": described(COUNT, "The revision of the rules that it fired by"),
                "key": described({"type": "array"}, "What for_each told apart"),
                "state": {"enum": ["firing", "resolved"]},
            },
            at=MOMENT,
            count=COUNT,
            value=described(ANYTHING, "What an aggregate came to"),
            suppressed=described(COUNT, "How many firings its limits kept back since the last one"),
        ),
    },
    alert=described(maybe(record({"id": TEXT}, opened=MOMENT, count=COUNT)), "The alert it belongs to"),
    reason=described(TEXT, "Why it fired, in one line"),
    tree=described(ANYTHING, "The trigger as it was evaluated, with values"),
    event=described(ANYTHING, "The event that made it fire, as a CloudEvent"),
    events=described({"type": "array"}, "The newest events that made it fire, 20 at most"),
    actions=described({"type": "array"}, "What is to be done"),
    automation=record({"name": TEXT}, description=TEXT, labels={"type": "object"}),
)

ACTION: Final = record(
    {
        "firing": TEXT,
        "action": described(COUNT, "Its place among the firing's actions"),
        "kind": described(TEXT, "The kind of action, such as notify"),
        "outcome": TEXT,
    },
    detail=ANYTHING,
    reason=maybe(TEXT),
    attempts=COUNT,
    duration=described(NUMBER, "Seconds"),
)

ALERT: Final = record(
    automation=TEXT,
    severity=TEXT,
    status=TEXT,
    opened=MOMENT,
    count=COUNT,
    reason=maybe(TEXT),
    by=described(maybe(TEXT), "Who acknowledged, escalated or resolved it"),
)

NOTIFICATION: Final = record(
    {"notifier": TEXT},
    target=maybe(TEXT),
    attempts=COUNT,
    reason=described(maybe(TEXT), "Why it failed or was suppressed"),
    alert=maybe(TEXT),
    severity=maybe(TEXT),
    status=maybe(TEXT),
)

SILENCE: Final = record(
    {"matcher": described(TEXT, "The condition in CEL")},
    starts=MOMENT,
    ends=MOMENT,
    author=TEXT,
    comment=TEXT,
)

WEBHOOK: Final = record(
    reason=described(maybe(TEXT), "Why it was rejected"),
    status=described(COUNT, "The HTTP status that was answered"),
    produced=described(maybe(TEXT), "The id of the event it became"),
)

DEAD_LETTER: Final = record(
    {"reason": described(TEXT, "Why it could not be processed"), "subject": TEXT},
    stream=TEXT,
    attempts=COUNT,
    bytes=COUNT,
    message=TEXT,
)

CONFIG: Final = record(revision=COUNT, author=TEXT, note=TEXT, changes={"type": "array"})

SERVICE: Final = record(
    version=TEXT,
    pid=COUNT,
    message=TEXT,
)

LAGGING: Final = record(
    {"reader": described(TEXT, "Who is behind"), "behind": described(COUNT, "By how many events")},
    used=described(NUMBER, "The part of the bus's room that is taken, 0 to 1"),
    message=TEXT,
)

OVERFLOW: Final = record(
    {"lost": described(COUNT, "How many events were not kept")},
    since=ANYTHING,
    message=TEXT,
)
