"""Who may do what on the bus: three users in two accounts, as nats-server's configuration says it.

``service`` may do everything. ``worker`` may take runs, claim them and tell of them. ``client`` is for flows and whoever
else only publishes: events, less those that the service itself obeys or vouches for, and log lines.

The client has an account of its own, which imports the two families of subjects. A list of permissions alone would not
do: JetStream sends its acknowledgement to whatever reply subject a publisher names, so that in one account the
acknowledgement of a harmless event could be written to a key-value store or to another stream. Across accounts the
server replaces the reply subject by one of its own. The client also hears nothing there but what is meant for it.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from tocsin_events.streams import EVENT_SUBJECTS, LOG_SUBJECTS, RUNS, SERVICE_KINDS

BusUser = Literal["service", "worker", "client"]

CLAIMS_BUCKET: Final = "tocsin-runs"
"""The key-value bucket of the claims on runs."""

_RUNS_API: Final = (
    f"CONSUMER.CREATE.{RUNS}.>",
    f"CONSUMER.DURABLE.CREATE.{RUNS}.>",
    f"CONSUMER.INFO.{RUNS}.>",
    f"CONSUMER.MSG.NEXT.{RUNS}.>",
)
_CLAIMS_API: Final = (
    f"STREAM.CREATE.KV_{CLAIMS_BUCKET}",
    f"STREAM.INFO.KV_{CLAIMS_BUCKET}",
    f"STREAM.MSG.GET.KV_{CLAIMS_BUCKET}",
    f"DIRECT.GET.KV_{CLAIMS_BUCKET}",
    f"DIRECT.GET.KV_{CLAIMS_BUCKET}.>",
)


@dataclass(frozen=True, slots=True)
class Permissions:
    """Subjects that a user may publish to, less the denied ones, and may listen to."""

    publish: tuple[str, ...]
    denied: tuple[str, ...]
    subscribe: tuple[str, ...] = ("_INBOX.>",)


_SAID_BY_ALL: Final = (EVENT_SUBJECTS, LOG_SUBJECTS)
_SAID_BY_SERVICE: Final = tuple(f"tocsin.events.{kind}.>" for kind in SERVICE_KINDS)

PERMISSIONS: Final[Mapping[BusUser, Permissions]] = {
    "worker": Permissions(
        (
            *_SAID_BY_ALL,
            *(f"$JS.API.{call}" for call in (*_RUNS_API, *_CLAIMS_API)),
            f"$JS.ACK.{RUNS}.>",
            f"$KV.{CLAIMS_BUCKET}.>",
        ),
        _SAID_BY_SERVICE,
    ),
    "client": Permissions(_SAID_BY_ALL, _SAID_BY_SERVICE),
}
"""What the users other than the service may do."""


def password_of(user: BusUser, secret: str) -> str:
    """Return a user's password on an embedded server: nobody who has one can find another from it."""
    return hashlib.sha256(f"{secret} {user}".encode()).hexdigest()


def accounts_config(passwords: Mapping[BusUser, str]) -> str:
    """Return the ``accounts`` block of nats-server's configuration; passwords are of letters and digits."""
    users = ",\n      ".join(_user(name, passwords[name]) for name in ("service", "worker"))
    exports = ", ".join(f'{{ service: "{subject}", accounts: [CLIENTS] }}' for subject in _SAID_BY_ALL)
    imports = ", ".join(
        f'{{ service: {{ account: TOCSIN, subject: "{subject}" }} }}' for subject in _SAID_BY_ALL
    )
    return f"""accounts {{
  TOCSIN {{
    jetstream: enabled
    users: [
      {users}
    ]
    exports: [ {exports} ]
  }}
  CLIENTS {{
    users: [
      {_user("client", passwords["client"])}
    ]
    imports: [ {imports} ]
  }}
}}
"""


def _user(name: BusUser, password: str) -> str:
    allowed = PERMISSIONS.get(name)
    rights = "" if allowed is None else f", permissions: {_permissions(allowed)}"
    return f'{{ user: "{name}", password: "{password}"{rights} }}'


def _permissions(allowed: Permissions) -> str:
    return (
        f"{{ publish: {{ allow: {_list(allowed.publish)}, deny: {_list(allowed.denied)} }}, "
        f"subscribe: {{ allow: {_list(allowed.subscribe)} }} }}"
    )


def _list(subjects: Iterable[str]) -> str:
    return "[" + ", ".join(f'"{subject}"' for subject in subjects) + "]"
