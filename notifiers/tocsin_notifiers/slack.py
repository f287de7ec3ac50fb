"""Slack: by an incoming webhook, or by a bot token, which can also edit, answer in threads and have buttons."""

import logging
import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final, Self
from urllib.parse import urlencode

import msgspec
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from tocsin_notifiers import slack_history
from tocsin_notifiers.http_answer import post, shown
from tocsin_notifiers.message import FollowUp, Message, Receipt
from tocsin_notifiers.notification import Status
from tocsin_notifiers.notifier import Outside, Rejected, Retry
from tocsin_notifiers.press import Forged, Press
from tocsin_notifiers.secret import Secret, UnknownSecret
from tocsin_notifiers.slack_blocks import content, escape
from tocsin_notifiers.slack_history import Unreadable, metadata
from tocsin_notifiers.slack_press import check_request, read_presses

_log = logging.getLogger(__name__)

API: Final = "https://slack.com/api"
# Slack's words for what may pass; any other error is for good. https://docs.slack.dev/reference/methods/chat.postMessage
_PASSING: Final = frozenset(
    {"ratelimited", "rate_limited", "internal_error", "fatal_error", "service_unavailable", "request_timeout",
     "team_added_to_org", "message_limit_exceeded"}
)  # fmt: skip
_EDIT_FAILED: Final = frozenset(
    {"message_not_found", "cant_update_message", "edit_window_closed", "update_failed"}
)


_MENTIONS: Final = re.compile(r"@here|@channel|[UWS][A-Z0-9]{6,20}")


def _mention(written: str) -> str:
    if _MENTIONS.fullmatch(written) is None:
        raise ValueError(
            f"{written!r} calls nobody in Slack: give '@here', '@channel', the id of a person (U024BE7LH) or that of a "
            "user group (SAZ94GDB8); names don't work"
        )
    return written


Mention = Annotated[str, AfterValidator(_mention)]
"""Whom a message calls: who is active in a channel, everyone in it, a person by id, or a group of people by id."""


class SlackConfig(BaseModel):
    """``webhook_url`` alone, or ``token`` and ``channel``; ``signing_secret`` turns the buttons on.

    ``mention`` is whom a message calls that says that something is wrong.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    webhook_url: Secret | None = None
    token: Secret | None = None
    channel: str | None = Field(default=None, min_length=1, max_length=200)
    signing_secret: Secret | None = None
    mention: tuple[Mention, ...] = Field(default=(), max_length=20)
    api: str = API

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.webhook_url is None) == (self.token is None):
            raise ValueError("give either webhook_url, or token and channel")
        if self.token is not None and self.channel is None:
            raise ValueError("token needs a channel to post to, such as '#data-alerts'")
        return self


class Slack:
    """One Slack channel."""

    config: ClassVar = SlackConfig
    picture: ClassVar = True
    pace: ClassVar = 1.0
    """Slack takes about one message a second and channel."""

    def __init__(self, config: SlackConfig, outside: Outside) -> None:
        self._config = config
        self._outside = outside
        self.follow_ups: tuple[FollowUp, ...] = (
            ("message",) if config.token is None else ("edit", "thread", "message")
        )
        self._place = ""
        self._warned = False

    def targets(self) -> tuple[str, ...]:
        """Return the channel, or that it is a webhook's."""
        return (self._config.channel or "incoming webhook",)

    async def send(self, message: Message, previous: Receipt | None) -> Receipt:
        """Post, edit or answer."""
        if self._config.webhook_url is not None:
            return await self._post_to_webhook(message)
        return await self._call(message, previous)

    async def find(self, message: Message, previous: Receipt | None, since: int) -> Receipt | None:
        """Return the receipt of a message that is in the channel already; an edit made twice is the same edit."""
        if self._config.token is None or method_for(message, previous) == "chat.update":
            return None
        try:
            place, thread = await self._where(message, previous)
            ts = await slack_history.find(self._ask, place, message, since=since, thread=thread)
        except (Unreadable, Rejected) as problem:
            if not self._warned:
                self._warned = True
                _log.warning(
                    "whether %s has a message already can't be looked up, so it may come twice: %s",
                    self._config.channel,
                    problem,
                )
            return None
        if not ts:
            return None
        return Receipt(target=message.target, id=ts, place=place, answer="it was there already")

    def preview(self, message: Message) -> dict[str, Any]:
        """Return what Slack would be sent."""
        return payload(message, self._config)

    def pressed(self, headers: Mapping[str, str], body: bytes) -> tuple[Press, ...]:
        """Return what people asked for by our buttons, as Slack tells it in a signed request."""
        if self._config.signing_secret is None:
            raise Forged("the notifier has no signing_secret, so nothing can be known to come from Slack")
        try:
            secret = self._outside.secrets.reveal(self._config.signing_secret)
        except UnknownSecret as problem:
            raise Forged(str(problem)) from problem
        check_request(secret, headers, body, now=self._outside.clock())
        return read_presses(body)

    async def answer(self, press: Press, text: str) -> None:
        """Show a line to the one who pressed, below the message."""
        if press.answer_to:
            said = {"response_type": "ephemeral", "replace_original": False, "text": escape(text)}
            body = msgspec.json.encode(said)
            await post(self._outside.http, press.answer_to, body, _JSON, clock=self._outside.clock())

    async def _post_to_webhook(self, message: Message) -> Receipt:
        assert self._config.webhook_url is not None
        url = self._outside.secrets.reveal(self._config.webhook_url)
        body = msgspec.json.encode(payload(message, self._config))
        answer = await post(self._outside.http, url, body, _JSON, clock=self._outside.clock())
        return Receipt(target=message.target, answer=shown(answer.text))

    async def _call(self, message: Message, previous: Receipt | None) -> Receipt:
        method = method_for(message, previous)
        body = msgspec.json.encode(payload(message, self._config, previous))
        receipt = _receipt(message, await self._api(method, body, _JSON), method)
        if previous is None:
            self._place = receipt.place
        return receipt

    async def _where(self, message: Message, previous: Receipt | None) -> tuple[str, str]:
        """Return the id of the channel that a message goes to, and of the message there that it answers."""
        if message.follow_up == "thread" and previous is not None and previous.id:
            return previous.place, previous.id
        if not self._place:
            self._place = await slack_history.channel_id(self._ask, str(self._config.channel))
        return self._place, ""

    async def _ask(self, method: str, arguments: Mapping[str, str]) -> dict[str, Any]:
        # What reads takes forms: not all of these methods take JSON.
        said = await self._api(method, urlencode(arguments).encode(), _FORM)
        if said.get("ok") is True:
            return said
        error = str(said.get("error", "no reason given"))
        if error in _PASSING:
            raise Retry(f"{method}: Slack says {error}")
        needed = said.get("needed")
        raise Unreadable(f"{method}: Slack says {error}" + (f" (give the app {needed})" if needed else ""))

    async def _api(self, method: str, body: bytes, headers: Mapping[str, str]) -> dict[str, Any]:
        assert self._config.token is not None
        token = self._outside.secrets.reveal(self._config.token)
        answer = await post(
            self._outside.http,
            f"{self._config.api.rstrip('/')}/{method}",
            body,
            {**headers, "authorization": f"Bearer {token}"},
            clock=self._outside.clock(),
        )
        try:
            said = msgspec.json.decode(answer.body)
        except msgspec.DecodeError as problem:
            raise Retry("Slack's answer is not JSON") from problem
        return said if isinstance(said, dict) else {}


def method_for(message: Message, previous: Receipt | None) -> str:
    """Return the Web API method for a message."""
    return "chat.update" if message.follow_up == "edit" and previous and previous.id else "chat.postMessage"


def payload(message: Message, config: SlackConfig, previous: Receipt | None = None) -> dict[str, Any]:
    """Return the JSON that Slack is sent."""
    calls = config.mention if _calls(message, previous) else ()
    if config.webhook_url is not None:
        return content(message, buttons=False, mention=calls)
    body = content(message, buttons=config.signing_secret is not None, mention=calls)
    if previous is None or not previous.id or message.follow_up == "message":
        return {"channel": config.channel, **body, "metadata": metadata(message)}
    if message.follow_up == "edit":
        # An edit names the channel by the id that Slack gave, not by its name.
        return {"channel": previous.place, "ts": previous.id, **body}
    below = {"channel": previous.place, "thread_ts": previous.id, **body, "metadata": metadata(message)}
    return {**below, "reply_broadcast": True} if message.broadcast else below


def _calls(message: Message, previous: Receipt | None) -> bool:
    """Tell whether a message calls those whom the notifier mentions: it is posted, and news of something that is wrong."""
    is_news = message.follow_up == "message" or message.broadcast or previous is None or not previous.id
    return message.status is Status.FIRING and is_news


def _receipt(message: Message, said: dict[str, Any], method: str) -> Receipt:
    if said.get("ok") is True:
        return Receipt(
            target=message.target,
            id=str(said.get("ts", "")),
            place=str(said.get("channel", "")),
            answer=f"{method} ok",
        )
    error = str(said.get("error", "no reason given"))
    if error in _PASSING:
        raise Retry(f"Slack says {error}")
    if error in _EDIT_FAILED:
        raise Rejected(f"the message can't be edited: Slack says {error}")
    raise Rejected(f"Slack says {error}")


_JSON: Final = {"content-type": "application/json; charset=utf-8"}
_FORM: Final = {"content-type": "application/x-www-form-urlencoded"}
