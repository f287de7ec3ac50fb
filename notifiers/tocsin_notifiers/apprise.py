"""Everything else: about 170 services by Apprise's URLs, each its own target with its own result.

An Apprise URL is as powerful as a program (some write files, some run commands), so those that act on this machine
are refused, and URLs are best kept as secrets. Those that lead to a private address are refused as webhooks are; but the
service looks its host up once more by itself, so a name that changes between the two is not caught.
"""

import asyncio
from typing import Annotated, Any, ClassVar, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

from tocsin_notifiers.address_guard import HOW_TO_ALLOW, AddressGuard, AddressRefused
from tocsin_notifiers.markdown import as_plain, parse
from tocsin_notifiers.message import FollowUp, Message, Receipt
from tocsin_notifiers.notification import Severity, Status
from tocsin_notifiers.notifier import SEND_TIMEOUT, Outside, Rejected, Retry
from tocsin_notifiers.secret import Secret

# Schemas that run something on the server itself, or show something on its screen.
_LOCAL: Final = frozenset(
    {"dbus", "gnome", "glib", "kde", "macosx", "qt", "syslog", "windows", "exec", "script"}
)
_TYPES: Final = {
    Severity.INFO: "info",
    Severity.WARNING: "warning",
    Severity.ERROR: "failure",
    Severity.CRITICAL: "failure",
}


_REFUSED: Final = "this service acts on the server itself, which is refused"
_PRIVATE: Final = f"the URL leads to a private address; {HOW_TO_ALLOW}"
# A mail server may well be next door, as that of the email notifier may.
_MAIL: Final = frozenset({"mailto", "mailtos"})


def _url(written: Secret) -> Secret:
    if isinstance(written, SecretStr):
        scheme, separator, _ = written.get_secret_value().partition("://")
        if not separator:
            raise ValueError("an Apprise URL begins with its service, such as pover://")
        if scheme.lower() in _LOCAL:
            raise ValueError(_REFUSED)
    return written


class AppriseConfig(BaseModel):
    """``urls`` of Apprise, as texts or secrets."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    urls: tuple[Annotated[Secret, AfterValidator(_url)], ...] = Field(min_length=1, max_length=100)


class Apprise:
    """Services behind Apprise."""

    config: ClassVar = AppriseConfig
    follow_ups: ClassVar[tuple[FollowUp, ...]] = ("message",)

    def __init__(self, config: AppriseConfig, outside: Outside) -> None:
        self._guard = outside.guard
        self._urls: dict[str, str] = {}
        for number, secret in enumerate(config.urls, start=1):
            url = outside.secrets.reveal(secret)
            self._urls[f"{url.partition('://')[0].lower()}-{number}"] = url

    def targets(self) -> tuple[str, ...]:
        """Return each URL's service and number; the rest of a URL is often a secret."""
        return tuple(self._urls)

    async def send(self, message: Message, previous: Receipt | None) -> Receipt:  # noqa: ARG002 - the protocol's own
        """Hand the message to the target's service."""
        url = self._urls.get(message.target)
        if url is None:
            raise Rejected(f"{message.target} is no longer among this notifier's URLs")
        scheme = message.target.rpartition("-")[0]
        if scheme in _LOCAL:
            raise Rejected(_REFUSED)
        service = await asyncio.to_thread(_service, url)
        if service is None:
            raise Rejected("Apprise doesn't understand this URL: see its list of services for the right form")
        if scheme not in _MAIL and await _is_private(service, self._guard):
            raise Rejected(_PRIVATE)
        # Apprise tells success from failure and nothing else, so every failure may pass.
        if not await asyncio.to_thread(service.notify, **payload(message)):
            raise Retry("the service didn't take it (Apprise gives no reason)")
        return Receipt(target=message.target, answer="taken")


def payload(message: Message) -> dict[str, Any]:
    """Return what Apprise is given: plain text, which every service of its can show."""
    parts = [
        as_plain(parse(message.body)),
        "\n".join(f"{fact.name}: {fact.value}" for fact in message.fields),
    ]
    parts.append("\n".join(f"{link.label}: {link.url}" for link in message.links))
    over = "info" if message.withdrawn else "success"
    kind = over if message.status is Status.RESOLVED else _TYPES[message.severity]
    return {
        "title": message.title,
        "body": "\n\n".join(part for part in parts if part) or message.title,
        "notify_type": kind,
    }


async def _is_private(service: Any, guard: AddressGuard) -> bool:
    host = str(getattr(service, "host", None) or "")
    try:
        if host:
            await guard.resolve(host, int(getattr(service, "port", None) or 443))
    except AddressRefused:
        return True
    except OSError:
        # Many services put a token where the host stands; one that has no address leads nowhere either.
        return False
    return False


def _service(url: str) -> Any:
    import apprise

    service = apprise.Apprise.instantiate(url, suppress_exceptions=True)
    if service is None or isinstance(service, bool):
        return None
    # A redirect leads to where nobody has looked.
    service.redirects = False
    service.socket_connect_timeout = min(service.socket_connect_timeout, SEND_TIMEOUT / 4)
    service.socket_read_timeout = min(service.socket_read_timeout, SEND_TIMEOUT / 2)
    return service
