"""What a file of rule tests says, as it is written (automations.md, section 6)."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from tocsin_automations.decision import Outcome
from tocsin_events.duration import parse_duration
from tocsin_events.instant import parse_rfc3339
from tocsin_events.resource import RelatedResource, Resource

MAX_REPEAT = 10_000
"""How often one event of a test may be repeated."""


def _duration(value: Any) -> Any:
    return parse_duration(value) if isinstance(value, str) else value


def _instant(value: Any) -> Any:
    return parse_rfc3339(value) if isinstance(value, str) else value


def _named(value: Any) -> Any:
    """Let a resource's name stand for its id where it has none."""
    if isinstance(value, dict) and "id" not in value and isinstance(value.get("name"), str):
        return {**value, "id": value["name"]}
    return value


def _by_kind(value: Any) -> Any:
    """Turn a mapping of kind (which is the role, too) to resource into the list that it is short for."""
    if not isinstance(value, dict):
        return value
    related = []
    for kind, one in value.items():
        if not isinstance(one, dict):
            raise ValueError(f"{kind!r} takes a mapping with a name or an id, such as {{name: etl}}")  # noqa: TRY004 - pydantic wants it so
        related.append({"kind": kind, "role": kind, **one})
    return related


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Duration = Annotated[int, BeforeValidator(_duration, json_schema_input_type=str), Field(ge=0)]
"""A duration as users write it, in microseconds."""
Instant = Annotated[int, BeforeValidator(_instant, json_schema_input_type=str)]
"""An RFC 3339 time, in microseconds since the epoch."""


_DEFAULT_CLOCK = parse_rfc3339("2026-01-01T00:00:00Z")


class _Written(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Repeat(_Written):
    """An event that happens several times, at equal distances; `every` is in microseconds."""

    times: int = Field(ge=1, le=MAX_REPEAT)
    every: Duration


class FiringRef(_Written):
    """A firing that the test can't know the id of: the last one of an automation (and key) so far."""

    firing: str
    key: list[Any] | None = None


class GivenEvent(_Written):
    """An event of a test; any field of an event, and when it happens and arrives, from the test's start."""

    at: Duration = 0
    arrives: Duration | None = None
    repeat: Repeat | None = None
    type: str = Field(min_length=1, max_length=500)
    id: str | None = Field(default=None, min_length=1, max_length=500)
    source: str = Field(default="/test", min_length=1, max_length=2000)
    time: Instant | None = None
    resource: Annotated[Resource, BeforeValidator(_named)] | None = None
    related: Annotated[
        tuple[Annotated[RelatedResource, BeforeValidator(_named)], ...], BeforeValidator(_by_kind)
    ] = ()
    data: Any = None
    follows: str | None = None
    cause: str | FiringRef | None = None
    hops: int = Field(default=0, ge=0)
    traceparent: str | None = None
    datacontenttype: str | None = None
    dataschema: str | None = None
    data_base64: str | None = None
    extensions: dict[str, Any] = Field(default_factory=dict)


class ExpectedFiring(_Written):
    """A firing that must happen; what is left out (but for ``at`` and ``automation``) is not compared."""

    at: Duration
    automation: str
    key: list[Any] | None = None
    state: Literal["firing", "resolved"] = "firing"
    events: list[str] | None = None
    actions: list[dict[str, Any]] | None = None
    count: int | None = None
    value: float | None = None
    suppressed: int | None = None


class ExpectedDecision(_Written):
    """A decision that must be among those made; what is left out is not compared."""

    event: str
    automation: str
    outcome: Outcome
    part: Literal["when", "until"] | None = None
    key: list[Any] | None = None


class ExpectedDelivery(_Written):
    """A message that must be delivered, or with ``suppressed`` one that must not; what is left out is not compared.

    ``contains`` are texts that must be in the message: in its title, body, facts or links, as plain text.
    """

    at: Duration
    notifier: str
    target: str | None = None
    status: Literal["firing", "acknowledged", "resolved"] | None = None
    title: str | None = None
    contains: Annotated[list[str], BeforeValidator(_listed, json_schema_input_type=str | list[str])] = Field(
        default_factory=list
    )
    suppressed: str | None = None


class GivenSilence(_Written):
    """A silence of a test, from its start on."""

    matcher: str
    at: Duration = 0
    lasts: Duration


class GivenAcknowledgement(_Written):
    """That somebody acknowledges the alert that an automation (and key) opened last, after all that happens at that instant."""

    at: Duration
    automation: str
    key: list[Any] | None = None
    by: str = Field(min_length=1, max_length=200)


class RuleTest(_Written):
    """One test: events in, and exactly the firings that must come out."""

    name: str = Field(min_length=1)
    clock: Instant = _DEFAULT_CLOCK
    events: list[GivenEvent] = Field(default_factory=list)
    run_until: Duration | None = None
    expect: list[ExpectedFiring]
    decisions: list[ExpectedDecision] = Field(default_factory=list)
    deliveries: list[ExpectedDelivery] | None = None
    silences: list[GivenSilence] = Field(default_factory=list)
    acknowledgements: list[GivenAcknowledgement] = Field(default_factory=list)


class RuleTests(_Written):
    """One document of a file of rule tests."""

    automations: str | list[str] | dict[str, Any]
    notifiers: dict[str, Any] | None = None
    quiet_hours: dict[str, Any] | None = None
    inhibit: list[dict[str, Any]] | None = None
    variables: dict[str, Any] = Field(default_factory=dict)
    tests: list[RuleTest]
