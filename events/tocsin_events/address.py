"""Where the bus is, and who we are to it."""

from dataclasses import dataclass, field
from typing import Self
from urllib.parse import unquote, urlsplit


@dataclass(frozen=True, slots=True)
class BusAddress:
    """The NATS server (or servers, separated by commas) of a service, and the credentials for it.

    The password is left out of the representation, so that it reaches no log.
    """

    url: str
    user: str | None = None
    password: str | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the address that a URL names; it may carry ``user:password@``.

        Raises:
            ValueError: the text is no URL of a NATS server. The message never repeats the password.

        """
        urls: list[str] = []
        user = password = None
        for one in text.split(","):
            parts = urlsplit(one.strip() if "://" in one else f"nats://{one.strip()}")
            try:
                port = parts.port
            except ValueError:
                port = -1
            if parts.scheme not in ("nats", "tls", "ws", "wss") or not parts.hostname or port == -1:
                raise ValueError(
                    "this is no address of a NATS server: write nats://HOST:PORT or nats://USER:PASSWORD@HOST:PORT"
                )
            if parts.username is not None:
                user, password = unquote(parts.username), unquote(parts.password or "")
            host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
            urls.append(f"{parts.scheme}://{host}:{port or 4222}")
        return cls(",".join(urls), user, password)

    @property
    def servers(self) -> list[str]:
        """The URLs one by one, without credentials."""
        return self.url.split(",")
