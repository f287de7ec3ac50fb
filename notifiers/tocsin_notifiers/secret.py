"""Secrets in settings: named, looked up late, and never shown.

A setting that holds a secret is written as ``{secret: name}``, or as plain text where somebody must. Neither form
shows its value in a repr, a dump, a log or an error.
"""

from collections.abc import Callable
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

MASK: Final = "********"

type_error = "a secret is a text, or {secret: name}"


class SecretRef(BaseModel):
    """The name of a secret that the service keeps; its value is asked for when a notifier is made."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    secret: str = Field(min_length=1, max_length=200)


class UnknownSecret(LookupError):  # noqa: N818 - it names what was not found
    """No secret of that name is kept; the message says which."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"there is no secret {name!r}: set it with `tocsin secrets set {name}`, which counts within 2 s"
        )
        self.name = name


def _plain_or_reference(value: Any) -> Any:
    if isinstance(value, str | SecretStr | SecretRef | dict):
        return value
    raise ValueError(type_error)


Secret = Annotated[SecretRef | SecretStr, BeforeValidator(_plain_or_reference)]
"""The type of a setting that holds a secret."""


class Secrets:
    """Reveals secrets to notifiers, and masks every value it has revealed in texts that are kept.

    ``look_up`` returns the value of a named secret, or raises `LookupError`.
    """

    def __init__(self, look_up: Callable[[str], str]) -> None:
        self._look_up = look_up
        self._revealed: set[str] = set()

    def __repr__(self) -> str:
        return f"Secrets({len(self._revealed)} revealed)"

    def reveal(self, secret: SecretRef | SecretStr) -> str:
        """Return a secret's value.

        Raises:
            UnknownSecret: no secret of that name is kept.

        """
        value = secret.get_secret_value() if isinstance(secret, SecretStr) else self._find(secret.secret)
        if len(value) >= _SHORTEST_MASKED:
            self._revealed.add(value)
        return value

    def mask(self, text: str) -> str:
        """Return a text with every revealed value replaced by asterisks."""
        for value in sorted(self._revealed, key=len, reverse=True):
            text = text.replace(value, MASK)
        return text

    def _find(self, name: str) -> str:
        try:
            return self._look_up(name)
        except LookupError:
            raise UnknownSecret(name) from None


# A shorter value is no secret worth the name, and masking it would tear ordinary words apart.
_SHORTEST_MASKED: Final = 4
