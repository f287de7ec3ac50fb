"""Prefect's automations as its API writes them. Read leniently: what isn't known here is ignored, as Prefect does."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag

_LONGEST = timedelta(days=3650)


def _each(value: Any) -> Any:
    """Return a specification with several values for each label; it may have been written with one."""
    if isinstance(value, Mapping):
        return {label: (one,) if isinstance(one, str) else one for label, one in value.items()}
    return value


def _several(value: Any) -> Any:
    return (value,) if isinstance(value, Mapping) else value


def _sorted(value: Any) -> Any:
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return sorted(set(value))
    return value


Seconds = Annotated[timedelta, Field(ge=timedelta(0), le=_LONGEST)]
"""A length of time: a number of seconds, or ISO 8601."""
Labels = Annotated[dict[str, tuple[str, ...]], BeforeValidator(_each)]
"""What labels must be like: one of the values for each."""
Names = Annotated[tuple[str, ...], BeforeValidator(_sorted)]
"""A set of texts."""


class _Lenient(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class _Matching(_Lenient):
    match: Labels = Field(default_factory=dict)
    match_related: Annotated[tuple[Labels, ...], BeforeValidator(_several)] = ()


class EventTrigger(_Matching):
    """Events that happen (Reactive) or fail to (Proactive)."""

    after: Names = ()
    expect: Names = ()
    for_each: Names = ()
    posture: Literal["Reactive", "Proactive"] = "Reactive"
    threshold: int = 1
    within: Seconds = timedelta(0)


class Metric(_Lenient):
    """A figure that Prefect derives from its events, and its bound."""

    name: str
    threshold: Annotated[float, Field(allow_inf_nan=False)]
    operator: Literal["<", "<=", ">", ">="]
    range: Annotated[Seconds, Field(gt=timedelta(0))] = timedelta(minutes=5)
    firing_for: Seconds = timedelta(minutes=5)


class MetricTrigger(_Matching):
    """A metric that crosses its bound."""

    metric: Metric


class _Composite(_Lenient):
    triggers: "tuple[AnyTrigger, ...]"
    within: Seconds | None = None


class CompoundTrigger(_Composite):
    """Some number of triggers, in any order."""

    require: Annotated[int, Field(strict=True)] | Literal["any", "all"]


class SequenceTrigger(_Composite):
    """Triggers in an order."""


def _kind(value: Any) -> str:
    if not isinstance(value, Mapping):
        return "event"
    if isinstance(value.get("type"), str):
        return str(value["type"])
    if "triggers" in value:
        return "compound" if "require" in value else "sequence"
    return "metric" if value.get("posture") == "Metric" else "event"


AnyTrigger = Annotated[
    Annotated[EventTrigger, Tag("event")]
    | Annotated[MetricTrigger, Tag("metric")]
    | Annotated[CompoundTrigger, Tag("compound")]
    | Annotated[SequenceTrigger, Tag("sequence")],
    Discriminator(_kind),
]
"""A trigger of any kind."""


class Action(_Lenient):
    """An action of any kind: which fields it has depends on its type."""

    type: str
    source: str = "selected"
    deployment_id: str | None = None
    work_pool_id: str | None = None
    work_queue_id: str | None = None
    automation_id: str | None = None
    block_document_id: str | None = None
    parameters: dict[str, Any] | None = None
    job_variables: dict[str, Any] | None = None
    schedule_after: Seconds = timedelta(0)
    subject: str | None = None
    body: str | None = None
    payload: Any = None
    state: str | None = None


class Automation(_Lenient):
    """An automation; its id is there when it comes from the API."""

    id: str | None = None
    name: str
    description: str = ""
    enabled: bool = True
    tags: tuple[str, ...] = ()
    trigger: AnyTrigger
    actions: tuple[Action, ...] = ()
    actions_on_trigger: tuple[Action, ...] = ()
    actions_on_resolve: tuple[Action, ...] = ()


for _model in (CompoundTrigger, SequenceTrigger, Automation):
    _model.model_rebuild()
