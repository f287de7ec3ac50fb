"""The address of something behind HTTP, checked where it is written."""

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, SecretStr

from tocsin_notifiers.secret import Secret


def _address(written: Secret) -> Secret:
    # What is only named can't be looked at before it is used.
    if isinstance(written, SecretStr):
        try:
            parts = urlsplit(written.get_secret_value())
            right = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            right = False
        if not right:
            # The address itself is not repeated: there may be a secret in it.
            raise ValueError("the address must begin with https:// or http:// and name a host")
    return written


HttpAddress = Annotated[Secret, AfterValidator(_address)]
"""The type of a setting that holds an address, as text or as a secret."""
