"""Finding a message of ours in a Slack channel, by the delivery's id that stands in its metadata."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Final

from tocsin_events.instant import SECOND
from tocsin_notifiers.message import Message

EVENT_TYPE: Final = "tocsin_delivery"

Ask = Callable[[str, Mapping[str, str]], Awaitable[dict[str, Any]]]
"""Calls a method of the Web API with its arguments, and returns the answer; raises `Unreadable` or `Retry`."""

_PAGES: Final = 5
_PAGE: Final = 200
_SKEW: Final = 300 * SECOND
"""How far Slack's clock may be behind ours."""
_ID: Final = re.compile(r"[CGD][A-Z0-9]{6,}")
_KINDS: Final = ("public_channel", "private_channel")


class Unreadable(Exception):  # noqa: N818 - it names what was found
    """The channel can't be looked through; the message says why."""


def metadata(message: Message) -> dict[str, Any]:
    """Return what a message carries, unseen by people, so that it can be found."""
    return {"event_type": EVENT_TYPE, "event_payload": {"delivery": message.id}}


async def channel_id(ask: Ask, channel: str) -> str:
    """Return the id of a channel that the bot is in, by its name or id.

    Raises:
        Unreadable: there is none, or the bot may not list its channels.

    """
    if _ID.fullmatch(channel):
        return channel
    problem: Unreadable | None = None
    for kind in _KINDS:
        # One kind at a time: the scopes for the other one may be missing.
        arguments = {"types": kind, "exclude_archived": "true"}
        try:
            async for found in _all(ask, "users.conversations", arguments, "channels"):
                if found.get("name") == channel.removeprefix("#"):
                    return str(found["id"])
        except Unreadable as one:
            problem = problem or one
    raise problem or Unreadable(f"the bot is in no channel {channel}")


async def find(ask: Ask, place: str, message: Message, *, since: int, thread: str = "") -> str | None:
    """Return a message's ``ts`` in a channel, or below the message ``thread`` there; None where it isn't.

    Only what was posted after ``since`` (microseconds since the epoch) is looked through.

    Raises:
        Unreadable: the bot may not read it, or too much has been written since.

    """
    method = "conversations.replies" if thread else "conversations.history"
    arguments = {
        "channel": place,
        "oldest": f"{max(since - _SKEW, 0) / SECOND:.6f}",
        "include_all_metadata": "true",
        **({"ts": thread} if thread else {}),
    }
    wanted = metadata(message)
    async for found in _all(ask, method, arguments, "messages"):
        carried = found.get("metadata")
        if isinstance(carried, dict) and {name: carried.get(name) for name in wanted} == wanted:
            return str(found.get("ts", ""))
    return None


async def _all(
    ask: Ask, method: str, arguments: Mapping[str, str], name: str
) -> AsyncIterator[Mapping[str, Any]]:
    cursor = ""
    for _ in range(_PAGES):
        page = {**arguments, "limit": str(_PAGE), **({"cursor": cursor} if cursor else {})}
        said = await ask(method, page)
        for one in said.get(name) or ():
            if isinstance(one, dict):
                yield one
        cursor = (said.get("response_metadata") or {}).get("next_cursor") or ""
        if not cursor:
            return
    raise Unreadable(f"{method} has more than {_PAGES} pages")
