"""The event: the one noun that travels on the bus."""

import json
import re
from datetime import UTC, datetime
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)

from tocsin_events.envelope import OUR_SCHEMA
from tocsin_events.identity import message_key
from tocsin_events.resource import RelatedResource, Resource


def _utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("it lies outside the years 1 to 9999") from None


def _plain(text: str) -> str:
    if _CONTROL.search(text):
        raise ValueError("it has control characters")
    return text


_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_Plain = Annotated[str, AfterValidator(_plain)]


class Event(BaseModel):
    """Something that happened, immutable; its JSON form is a CloudEvents 1.0 structured event.

    ``source`` and ``id`` together are unique: a second event with both is the same event. ``time`` is when it
    happened (UTC, microseconds). ``resource`` is what it is about (CloudEvents' ``subject``), ``related`` what else
    it concerns. ``follows`` is the id of the event right before it for the same resource; ``cause`` the id of the
    event or firing that led to it, and ``hops`` how many such steps lie behind it. ``extensions``,
    ``datacontenttype``, ``dataschema`` and ``data_base64`` keep what an outside CloudEvent brought along.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: _Plain = Field(min_length=1, max_length=500)
    type: _Plain = Field(min_length=1, max_length=500)
    source: _Plain = Field(min_length=1, max_length=2000)
    time: Annotated[AwareDatetime, AfterValidator(_utc)]
    resource: Resource | None = None
    related: tuple[RelatedResource, ...] = ()
    data: Any = None
    follows: str | None = Field(default=None, max_length=500)
    cause: str | None = Field(default=None, max_length=500)
    hops: int = Field(default=0, ge=0, le=1_000_000)
    traceparent: str | None = Field(default=None, max_length=200)
    datacontenttype: str | None = None
    dataschema: str | None = OUR_SCHEMA
    data_base64: str | None = None
    extensions: dict[str, str | int | bool] = Field(default_factory=dict)

    @field_validator("data")
    @classmethod
    def _is_json(cls, value: Any) -> Any:
        try:
            json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
        except (TypeError, ValueError, RecursionError) as problem:
            raise ValueError(f"data is not JSON: {problem}") from problem
        return value

    @model_validator(mode="after")
    def _fits_its_schema(self) -> Self:
        if self.dataschema == OUR_SCHEMA:
            if self.data_base64 is not None:
                raise ValueError(f"an event of the schema {OUR_SCHEMA} has no data_base64")
        elif self.related or (
            self.resource is not None and self.resource != Resource.from_subject(self.resource.subject)
        ):
            raise ValueError(
                f"only an event of the schema {OUR_SCHEMA} can say more of resources than one subject"
            )
        if self.data is not None and self.data_base64 is not None:
            raise ValueError("an event has data or data_base64, not both")
        return self

    @property
    def key(self) -> str:
        """What makes the event unique, as the bus's message id: its source and id."""
        return message_key(self.source, self.id)
