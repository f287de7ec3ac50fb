"""Slack's side of a pressed button: whether Slack sent the request, and what it asks for. Pure."""

import hashlib
import hmac
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qs

import msgspec

from tocsin_events.identity import derived_id
from tocsin_events.instant import SECOND
from tocsin_notifiers.press import Forged, Press, Wish

_CLOCK_SKEW: Final = 300 * SECOND
_LONGEST_STAMP: Final = len("9999999999")
_LONGEST_NAME: Final = 80
WISHES: Final[Mapping[str, Wish]] = {
    "tocsin.acknowledge": "acknowledge",
    "tocsin.silence": "silence",
    "tocsin.retry_run": "retry_run",
}
"""What each of our buttons asks for, by its ``action_id``; the others only open a page."""


class _User(msgspec.Struct):
    id: str = ""
    username: str = ""
    name: str = ""


class _Action(msgspec.Struct):
    action_id: str = ""
    action_ts: str = ""
    value: str = ""


class _Interaction(msgspec.Struct):
    type: str = ""
    user: _User = msgspec.field(default_factory=_User)
    actions: list[_Action] = msgspec.field(default_factory=list)
    response_url: str = ""


class _Value(msgspec.Struct):
    alert: str
    run: str = ""


def check_request(signing_secret: str, headers: Mapping[str, str], body: bytes, *, now: int) -> None:
    """Return for a request that Slack signed in the last five minutes.

    ``headers`` have lower-case names, ``now`` is in microseconds. Method:
    https://docs.slack.dev/authentication/verifying-requests-from-slack

    Raises:
        Forged: with what is wrong.

    """
    stamp = headers.get("x-slack-request-timestamp", "")
    given = headers.get("x-slack-signature", "")
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= _LONGEST_STAMP):
        raise Forged("it has no timestamp of Slack's")
    if abs(int(stamp) * SECOND - now) > _CLOCK_SKEW:
        raise Forged("its timestamp is more than five minutes from now")
    digest = hmac.new(signing_secret.encode(), b"v0:" + stamp.encode() + b":" + body, hashlib.sha256)
    if not hmac.compare_digest(f"v0={digest.hexdigest()}".encode(), given.encode("utf-8", "replace")):
        raise Forged("its signature is not Slack's")


def read_presses(body: bytes) -> tuple[Press, ...]:
    """Return the presses of our buttons that a request of Slack's tells of.

    Raises:
        Forged: it is no interaction as Slack sends them.

    """
    try:
        form = parse_qs(body.decode(), strict_parsing=True, max_num_fields=10)
        told = msgspec.json.decode(form["payload"][0], type=_Interaction)
        wanted = [one for one in told.actions if told.type == "block_actions" and one.action_id in WISHES]
        return tuple(_press(told, one) for one in wanted)
    except (ValueError, KeyError, RecursionError) as problem:
        raise Forged("it is no interaction of Slack's") from problem


def _press(told: _Interaction, action: _Action) -> Press:
    about = msgspec.json.decode(action.value, type=_Value)
    return Press(
        id=derived_id("slack-press", told.user.id, action.action_id, action.action_ts, action.value),
        wish=WISHES[action.action_id],
        alert=about.alert,
        by=f"{_name(told.user)} (Slack)",
        run=about.run,
        answer_to=told.response_url,
    )


def _name(user: _User) -> str:
    written = user.username or user.name or user.id or "somebody"
    return " ".join("".join(char if char.isprintable() else " " for char in written).split())[:_LONGEST_NAME]
