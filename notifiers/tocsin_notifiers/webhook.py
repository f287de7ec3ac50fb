"""A webhook of one's own, signed as Standard Webhooks says (https://www.standardwebhooks.com)."""

import base64
import binascii
import hashlib
import hmac
from typing import Any, ClassVar, Final

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from tocsin_events.instant import SECOND, to_rfc3339
from tocsin_notifiers.http_address import HttpAddress
from tocsin_notifiers.http_answer import post, shown
from tocsin_notifiers.message import FollowUp, Message, Receipt
from tocsin_notifiers.notifier import Outside, Rejected
from tocsin_notifiers.secret import Secret

_PREFIX: Final = "whsec_"


class WebhookConfig(BaseModel):
    """``url``, the ``secret`` that signs (``whsec_…``, or any text), and further ``headers``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: HttpAddress
    signing_secret: Secret | None = None
    headers: dict[str, Secret] = Field(default_factory=dict)


class Webhook:
    """One address that takes our JSON."""

    config: ClassVar = WebhookConfig
    follow_ups: ClassVar[tuple[FollowUp, ...]] = ("message",)
    resends_safely: ClassVar = True
    """A receiver knows a message that comes twice by its ``webhook-id``."""

    def __init__(self, config: WebhookConfig, outside: Outside) -> None:
        self._outside = outside
        reveal = outside.secrets.reveal
        self._url = reveal(config.url)
        self._key = None if config.signing_secret is None else key_of(reveal(config.signing_secret))
        self._headers = {name.lower(): reveal(value) for name, value in config.headers.items()}

    def targets(self) -> tuple[str, ...]:
        """Return the address' host: the rest of it may be a secret."""
        return (host_of(self._url),)

    async def send(self, message: Message, previous: Receipt | None) -> Receipt:  # noqa: ARG002 - the protocol's own
        """Post the signed message."""
        body = msgspec.json.encode(payload(message))
        now = self._outside.clock()
        headers = {**self._headers, "content-type": "application/json", "webhook-id": message.id}
        if self._key is not None:
            headers |= sign(self._key, message.id, now, body)
        answer = await post(self._outside.http, self._url, body, headers, clock=now)
        return Receipt(
            target=message.target, id=message.id, answer=f"HTTP {answer.status} {shown(answer.text)}"
        )

    def preview(self, message: Message) -> dict[str, Any]:
        """Return the JSON that would be posted."""
        return payload(message)


def payload(message: Message) -> dict[str, Any]:
    """Return the JSON of a message: ``type``, ``timestamp`` and ``data``, as Standard Webhooks proposes."""
    return {
        "type": f"notification.{message.status}",
        "timestamp": to_rfc3339(message.at),
        "data": message.model_dump(mode="json", exclude={"target", "follow_up", "broadcast", "at"}),
    }


def sign(key: bytes, id_: str, now: int, body: bytes) -> dict[str, str]:
    """Return the signature's headers; ``now`` is in microseconds."""
    stamp = str(now // SECOND)
    digest = hmac.new(key, f"{id_}.{stamp}.".encode() + body, hashlib.sha256).digest()
    return {"webhook-timestamp": stamp, "webhook-signature": f"v1,{base64.b64encode(digest).decode()}"}


def key_of(secret: str) -> bytes:
    """Return the key that a secret stands for: base64 after ``whsec_``, else the text's own bytes.

    Raises:
        Rejected: what follows ``whsec_`` is no base64.

    """
    if not secret.startswith(_PREFIX):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix(_PREFIX) + "==")
    except (binascii.Error, ValueError) as problem:
        raise Rejected("the signing secret is not base64 after whsec_") from problem


def host_of(url: str) -> str:
    """Return the host and port in an address, without the secrets that it may hold."""
    host = url.partition("://")[2].partition("/")[0].partition("?")[0]
    return host.rpartition("@")[2] or "webhook"
