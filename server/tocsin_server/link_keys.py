"""The keys that sign links: derived from those of the secrets store, so that there is nothing more to keep or to rotate."""

from pathlib import Path

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_PURPOSE = b"tocsin acknowledge links"


def link_keys(keys: str | None, file: Path) -> tuple[bytes, ...]:
    """Return a key for each of the secrets store's (commas between), or of its key file; the first one signs.

    Raises:
        OSError: there is no key file; `tocsin_server.vault.cipher_from` makes it.

    """
    written = keys if keys is not None else file.read_text(encoding="ascii")
    return tuple(_derived(key.strip()) for key in written.split(",") if key.strip())


def _derived(key: str) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=_PURPOSE).derive(key.encode())
