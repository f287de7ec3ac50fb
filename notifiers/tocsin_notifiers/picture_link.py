"""The address of a picture: it holds what is drawn, signed, so that a chat's server can load it without a key. Pure.

A token is ``<chart>.<signature>``: the chart as `tocsin_notifiers.run_chart` writes it, and HMAC-SHA256 over it with the
service's key. It tells no more than the picture does: no name, no instant. The picture is drawn from the token alone, so
whoever has the address sees this picture and nothing else, and it stays the same for as long as a message is kept.
"""

import ipaddress
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

from tocsin_notifiers.run_chart import RunChart, read_chart
from tocsin_notifiers.signing import Signer, decoded, encoded

PATH: Final = "/pictures/"
_LONGEST: Final = 200
_INSIDE: Final = ("localhost", "local", "internal", "lan", "home", "test", "invalid")
"""Last labels of names that only a private network knows."""


class NoPicture(ValueError):  # noqa: N818 - it names what was found
    """The token is not one of ours, or was changed on its way."""


class PictureLinks:
    """Makes and reads addresses. ``keys`` are at least one: the first signs, the others are still known.

    ``base`` is where anybody can reach the service, as `public_base` says; without one there are no addresses.
    """

    def __init__(self, keys: Sequence[bytes], base: str = "") -> None:
        self._signer = Signer(keys, b"tocsin picture 1")
        self._base = base

    def __repr__(self) -> str:
        return f"PictureLinks({self._signer!r}, {self._base!r})"

    def url(self, chart: RunChart) -> str:
        """Return the address of a chart's picture; empty where nobody outside could load it."""
        return f"{self._base}{PATH}{self.token(chart)}.png" if self._base else ""

    def token(self, chart: RunChart) -> str:
        """Return the part of the address that says what is drawn."""
        written = str(chart)
        return f"{written}.{encoded(self._signer.sign(written.encode()))}"

    def read(self, token: str) -> RunChart:
        """Return the chart in a token.

        Raises:
            NoPicture: it is not one of ours.

        """
        if len(token) > _LONGEST or not token.isascii():
            raise NoPicture("it is too long, or has letters that ours don't have")
        written, _, signature = token.partition(".")
        try:
            given = decoded(signature)
        except ValueError as problem:
            raise NoPicture("it is damaged") from problem
        if not self._signer.knows(written.encode(), given):
            raise NoPicture("its signature is not ours")
        return read_chart(written)


def public_base(url: str | None) -> str:
    """Return where anybody can reach the service, from ``server.public_url``; empty where only some can.

    Anybody can by https, under a name or an address of the public internet.
    """
    parts = urlsplit(url or "")
    host = (parts.hostname or "").rstrip(".").lower()
    if parts.scheme != "https" or not _is_public(host):
        return ""
    return (url or "").rstrip("/")


def _is_public(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        return "." in host and host.rpartition(".")[2] not in _INSIDE
