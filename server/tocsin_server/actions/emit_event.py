"""``emit_event``: put an event on the bus."""

from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field

from tocsin_events.bus import event_subject
from tocsin_events.catalogue import EVENT_TYPES
from tocsin_events.envelope import MAX_EVENT_BYTES, encode_event
from tocsin_events.identity import derived_id, message_key
from tocsin_events.resource import RelatedResource, Resource
from tocsin_server.actions.call import ActionFailed, Call, Done, Retry
from tocsin_server.actions.fields import Fields, Name, is_template
from tocsin_server.outgoing import Message


def _resource(value: Any) -> Any:
    if isinstance(value, str) and not is_template(value):
        return Resource.from_subject(value).model_dump()
    return value


def _related(value: Any) -> Any:
    """Take a mapping of role (which is the kind, too) to a resource as well as a list."""
    if not isinstance(value, dict):
        return value
    return [
        {"role": role, "kind": role, **(one if isinstance(one, dict) else {"id": one})}
        for role, one in value.items()
    ]


class EmitEventFields(Fields):
    """``resource`` is a mapping (``kind``, ``id``, ``name``, ``labels``, ``tags``) or ``kind/id``."""

    type: Name
    resource: Annotated[Resource | str | None, BeforeValidator(_resource)] = None
    related: Annotated[tuple[RelatedResource, ...], BeforeValidator(_related)] = Field(
        default=(), max_length=100
    )
    data: Any = None


class EmitEvent:
    """Puts an event on the bus, once: its id is derived from the firing and the action's number."""

    name: Final = "emit_event"
    main: Final = "type"
    model: Final = EmitEventFields
    retry: Final = Retry()
    repeatable: Final = True

    async def perform(self, args: EmitEventFields, call: Call) -> Done:
        """Make the event, which goes out once the action is recorded."""
        if args.type in EVENT_TYPES:
            raise ActionFailed(
                f"{args.type!r} is an event of the service's own, which only the service tells"
            )
        id_ = derived_id("emitted", call.key)
        source = f"/automations/{call.automation}"
        resource = args.resource if isinstance(args.resource, Resource) else None
        body = encode_event(
            id=id_,
            type=args.type,
            source=source,
            time=call.now,
            resource=resource.model_dump() if resource is not None else None,
            related=[one.model_dump() for one in args.related],
            payload=args.data,
            cause=call.firing_id,
            hops=call.hops,
        )
        if len(body) > MAX_EVENT_BYTES:
            raise ActionFailed(f"the event has {len(body)} bytes; {MAX_EVENT_BYTES} at most")

        message = Message(event_subject(args.type), message_key(source, id_), body)
        return Done({"event": id_, "source": source, "type": args.type}, (message,))


kind: Final = EmitEvent()
