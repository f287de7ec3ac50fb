"""Signatures in addresses that we give away: HMAC-SHA256 with the service's keys, for one purpose each. Pure."""

import base64
import hashlib
import hmac
from collections.abc import Sequence


class Signer:
    """Signs with the first of ``keys``, and still knows the others; ``purpose`` keeps its signatures apart from others'."""

    def __init__(self, keys: Sequence[bytes], purpose: bytes) -> None:
        if not keys or not all(keys):
            raise ValueError("addresses can't be signed without a key")
        self._keys = tuple(keys)
        self._purpose = purpose

    def __repr__(self) -> str:
        return f"Signer({len(self._keys)} keys, {self._purpose!r})"

    def sign(self, what: bytes) -> bytes:
        """Return the signature of something."""
        return self._signature(self._keys[0], what)

    def knows(self, what: bytes, signature: bytes) -> bool:
        """Tell whether a signature is one of ours."""
        return any(hmac.compare_digest(self._signature(key, what), signature) for key in self._keys)

    def _signature(self, key: bytes, what: bytes) -> bytes:
        return hmac.new(key, self._purpose + b"\n" + what, hashlib.sha256).digest()


def encoded(data: bytes) -> str:
    """Return bytes in URL-safe base64, without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decoded(text: str) -> bytes:
    """Return what `encoded` was given.

    Raises:
        ValueError: it gave no such text.

    """
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
