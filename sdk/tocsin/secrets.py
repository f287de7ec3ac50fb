"""Secrets and variables that the server keeps for flows."""

import os
import re
from typing import Any
from urllib.parse import quote

from tocsin import redaction

_UNFIT = re.compile(r"[^A-Z0-9]")


class Secret:
    """A secret by name; only `get` ever gives its value, and from then on this process's logs and events mask it.

    It comes from the environment (``TOCSIN_SECRET_SQL_PASSWORD`` for ``sql-password``) or else from the server.
    """

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def get(self) -> str:
        """Return the value.

        Raises:
            tocsin.client.NotFound: there is no such secret.
            tocsin.client.ApiError: the server can't be reached, or does not give it to us.

        """
        value = _from_environment("SECRET", self.name)
        if value is None:
            value = str(_from_server("secrets", self.name))
        redaction.remember(value)
        return value

    def __repr__(self) -> str:
        return f"Secret({self.name!r})"


class Variable:
    """A plain value by name, kept by the server; TOCSIN_VARIABLE_NAME in the environment comes first."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def get(self) -> Any:
        """Return the value; from the environment it is a text.

        Raises:
            tocsin.client.NotFound: there is no such variable.
            tocsin.client.ApiError: the server can't be reached, or does not give it to us.

        """
        value = _from_environment("VARIABLE", self.name)
        return _from_server("variables", self.name) if value is None else value

    def __repr__(self) -> str:
        return f"Variable({self.name!r})"


def _from_environment(kind: str, name: str) -> str | None:
    return os.environ.get(f"TOCSIN_{kind}_{_UNFIT.sub('_', name.upper())}")


def _from_server(collection: str, name: str) -> Any:
    from tocsin.client import Client

    with Client.find() as client:
        return client.get(f"{collection}/{quote(name, safe='')}")["value"]
