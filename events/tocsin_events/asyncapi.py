"""The AsyncAPI document of the bus, for those who publish to it or read from it themselves."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from faststream.nats import NatsBroker
from faststream.specification import AsyncAPI

from tocsin_events.streams import StreamLimits, streams


@dataclass(frozen=True, slots=True)
class Channel:
    """Subjects of the bus: ``{name}`` stands for one token; ``schema`` is the model of the messages' JSON."""

    subject: str
    title: str
    description: str
    schema: Any = None


EVENTS_CHANNEL = Channel(
    "tocsin.events.{type}",
    "events",
    "Everything that happened: CloudEvents 1.0 in structured JSON, Nats-Msg-Id set to source and id. "
    "Data of the schema tocsin:event is {resource, related, payload}. Publish with a reply and wait for JetStream's "
    "acknowledgement; read with an ordered consumer.",
)


def asyncapi_document(
    version: str, channels: Sequence[Channel] = (), *, url: str = "nats://localhost:4222"
) -> dict[str, Any]:
    """Return the document: the channel of events, those given, and which streams keep them.

    ``version`` is Tocsin's. The broker that it is drawn from is never connected.
    """
    broker = NatsBroker(url, logger=None)
    for channel in (EVENTS_CHANNEL, *channels):
        broker.publisher(
            channel.subject,
            title=channel.title,
            description=channel.description,
            schema=channel.schema or dict,
        )
    kept = "; ".join(
        f"{one.name} ({', '.join(one.subjects)}): {one.description}" for one in streams(StreamLimits())
    )
    document = AsyncAPI(
        broker, title="Tocsin's bus", version=version, description=f"JetStream's streams: {kept}."
    )
    found: dict[str, Any] = document.to_specification().to_jsonable()
    return found
