"""``publish``: a message on a NATS subject of one's own."""

import re
from typing import Annotated, Any, Final

import msgspec
import nats.errors
from pydantic import AfterValidator, Field

from tocsin_server.actions.call import ActionFailed, Call, Done, Retry
from tocsin_server.actions.fields import Fields, OrTemplate, Text

_SUBJECT: Final = re.compile(r"[^\s.*>$][^\s.*>]*(\.[^\s.*>]+)*")


def _is_free(subject: str) -> str:
    if not _SUBJECT.fullmatch(subject):
        raise ValueError(f"{subject!r} is no subject: tokens separated by dots, no wildcards, no leading $")
    if subject.partition(".")[0] in ("tocsin", "_INBOX"):
        raise ValueError(
            f"{subject!r}: subjects under tocsin. are the service's own; emit_event puts an event on the bus"
        )
    return subject


class PublishFields(Fields):
    """``body`` is sent as JSON (a text as it is)."""

    subject: OrTemplate[Annotated[str, AfterValidator(_is_free), Field(max_length=1000)]]
    body: Any = None
    headers: dict[str, Text] = Field(default_factory=dict, max_length=50)


class Publish:
    """Publishes a message. Its ``Nats-Msg-Id`` is the idempotency key, so that a stream keeps it once."""

    name: Final = "publish"
    main: Final = "subject"
    model: Final = PublishFields
    retry: Final = Retry(times=3)

    async def perform(self, args: PublishFields, call: Call) -> Done:
        """Publish, and return once the server has taken everything that was sent."""
        body = args.body.encode() if isinstance(args.body, str) else msgspec.json.encode(args.body)
        try:
            await call.services.client.publish(
                args.subject, body, headers={**args.headers, "Nats-Msg-Id": call.key}
            )
            await call.services.client.flush()
        except (nats.errors.Error, TimeoutError, OSError) as problem:
            raise ActionFailed(f"the bus did not take it: {problem}", again=True) from problem
        return Done({"subject": args.subject, "bytes": len(body)})


kind: Final = Publish()
