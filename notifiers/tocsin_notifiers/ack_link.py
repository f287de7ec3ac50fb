"""The link in an email that acknowledges: signed, so that nobody can make one, and good for one alert and a week.

A token is ``<what>.<signature>``, both in URL-safe base64: what is JSON of the alert's id, its reader, and when it expires;
the signature is HMAC-SHA256 over it with the service's key. It is no secret of the reader's: whoever has the email can
acknowledge, in the reader's name, and do nothing else.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from tocsin_events.instant import SECOND
from tocsin_notifiers.signing import Signer, decoded, encoded

GOOD_FOR: Final = 7 * 86_400 * SECOND
"""How long a link works, in microseconds."""
_LONGEST: Final = 4_000


class InvalidLink(ValueError):  # noqa: N818 - it names what was found
    """The link is not one of ours, or was changed on its way."""


class ExpiredLink(ValueError):  # noqa: N818 - it names what was found
    """The link is too old."""


@dataclass(frozen=True, slots=True)
class Ack:
    """What a link says: who acknowledges which alert."""

    alert: str
    reader: str


class AckLinks:
    """Makes and reads the tokens in links. ``keys`` are at least one; the first signs, the others are still known."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._signer = Signer(keys, b"tocsin ack 1")

    def __repr__(self) -> str:
        return f"AckLinks({self._signer!r})"

    def token(self, alert: str, reader: str, *, now: int) -> str:
        """Return the token by which ``reader`` acknowledges an alert; ``now`` is in microseconds."""
        what = msgspec.json.encode([alert, reader, (now + GOOD_FOR) // SECOND])
        return f"{encoded(what)}.{encoded(self._signer.sign(what))}"

    def read(self, token: str, *, now: int) -> Ack:
        """Return what a token says.

        Raises:
            InvalidLink: it is not one of ours.
            ExpiredLink: it was one.

        """
        if len(token) > _LONGEST:
            raise InvalidLink("it is too long")
        written, _, signature = token.partition(".")
        try:
            what, given = decoded(written), decoded(signature)
        except ValueError as problem:
            raise InvalidLink("it is damaged") from problem
        if not self._signer.knows(what, given):
            raise InvalidLink("its signature is not ours")
        alert, reader, expires = msgspec.json.decode(what, type=tuple[str, str, int])
        if now >= expires * SECOND:
            raise ExpiredLink("it is older than a week")
        return Ack(alert, reader)
