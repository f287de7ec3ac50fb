"""``call_webhook``: send an HTTP request, signed as Standard Webhooks says where a secret is given."""

import time
from typing import Any, Final, Literal

import msgspec
from pydantic import Field

from tocsin_notifiers.http_answer import send, shown
from tocsin_notifiers.notifier import Rejected
from tocsin_notifiers.notifier import Retry as Later
from tocsin_notifiers.webhook import host_of, key_of, sign
from tocsin_server.actions.call import ActionFailed, Call, Done, Retry
from tocsin_server.actions.fields import Fields, Text


class SecretName(Fields):
    """A secret by its name."""

    secret: str = Field(min_length=1, max_length=200)


class CallWebhookFields(Fields):
    """``body`` is sent as JSON (a text as it is); left out, it is the firing with the event that led to it."""

    url: Text | SecretName
    method: Literal["POST", "PUT", "PATCH", "GET", "DELETE"] = "POST"
    headers: dict[str, Text | SecretName] = Field(default_factory=dict, max_length=50)
    body: Any = None
    secret: SecretName | None = None


class CallWebhook:
    """Sends a request. A receiver knows one that comes twice by its ``webhook-id`` (also ``Idempotency-Key``)."""

    name: Final = "call_webhook"
    main: Final = "url"
    model: Final = CallWebhookFields
    retry: Final = Retry(times=3)

    async def perform(self, args: CallWebhookFields, call: Call) -> Done:
        """Send the request and take any 2xx for an answer."""
        url = await _revealed(args.url, call)
        body = _body(args, call)
        headers = {
            "content-type": "application/json",
            **{name.lower(): await _revealed(value, call) for name, value in args.headers.items()},
            "webhook-id": call.key,
            "idempotency-key": call.key,
        }
        if args.secret is not None:
            headers |= await _signature(args.secret, call, body)
        try:
            answer = await send(call.services.http, args.method, url, body, headers, clock=call.now)
        except Later as problem:
            raise ActionFailed(problem.reason, again=True, after=problem.after) from problem
        except Rejected as problem:
            raise ActionFailed(problem.reason) from problem
        return Done({"status": answer.status, "host": host_of(url), "answer": shown(answer.text)})


def _body(args: CallWebhookFields, call: Call) -> bytes:
    if isinstance(args.body, str):
        return args.body.encode()
    if args.body is not None:
        return msgspec.json.encode(args.body)
    if args.method in ("GET", "DELETE"):
        return b""
    parts = ("automation", "firing", "alert", "reason", "event")
    return msgspec.json.encode({part: call.fired.get(part) for part in parts})


async def _revealed(value: str | SecretName, call: Call) -> str:
    if isinstance(value, str):
        return value
    secret = await call.services.secrets.get(value.secret)
    if secret is None:
        raise ActionFailed(
            f"there is no secret {value.secret!r}: set it with `tocsin secrets set {value.secret}`"
        )
    return secret


async def _signature(secret: SecretName, call: Call, body: bytes) -> dict[str, str]:
    try:
        key = key_of(await _revealed(secret, call))
    except Rejected as problem:
        raise ActionFailed(problem.reason) from problem
    # Signed anew at each attempt: receivers refuse a timestamp that is minutes old.
    return sign(key, call.key, time.time_ns() // 1000, body)


kind: Final = CallWebhook()
