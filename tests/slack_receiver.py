"""A receiver that stands for Slack: checks every request with slack_sdk's models, and answers as Slack's API does."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from slack_sdk.models.attachments import Attachment
from slack_sdk.models.blocks import Block
from slack_sdk.models.metadata import Metadata

from receivers import Answer, Request

SCOPES = {
    "chat.postMessage": "chat:write",
    "chat.update": "chat:write",
    "conversations.history": "channels:history",
    "conversations.replies": "channels:history",
    "users.conversations": "channels:read",
}
LIMITS = {"header": 150, "section": 3000, "field": 2000, "text": 40_000}


@dataclass
class Slack:
    """One workspace: messages by ``ts``, the complaints about payloads, and what it is told to answer next.

    ``slow`` is how long it takes, in seconds, to say that it has taken a message, ``cut`` how many times its answer is lost;
    ``page`` is the most that it lists at once.
    """

    token: str = "xoxb-very-secret"
    channels: dict[str, str] = field(default_factory=lambda: {"#data-alerts": "C024BE91L"})
    messages: dict[str, dict[str, Any]] = field(default_factory=dict)
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    next: list[Answer] = field(default_factory=list)
    scopes: set[str] = field(default_factory=lambda: set(SCOPES.values()))
    slow: float = 0.0
    cut: int = 0
    page: int = 200

    def __call__(self, request: Request) -> Answer:
        if self.next:
            return self.next.pop(0)
        if request.headers.get("content-type", "").startswith("application/json"):
            body = request.json
            self.complaints += complaints_about(body)
        else:
            body = dict(parse_qsl(request.body.decode(), strict_parsing=True))
        if request.path.startswith("/services/"):
            return Answer(200, b"ok")
        if request.headers.get("authorization") != f"Bearer {self.token}":
            return _said(ok=False, error="invalid_auth")
        method = request.path.rpartition("/")[2]
        self.calls.append((method, body))
        if SCOPES[method] not in self.scopes:
            return _said(
                ok=False, error="missing_scope", needed=SCOPES[method], provided=",".join(self.scopes)
            )
        return self._methods()[method](body)

    def _methods(self) -> dict[str, Callable[[dict[str, Any]], Answer]]:
        return {
            "chat.postMessage": self._post,
            "chat.update": self._update,
            "conversations.history": self._history,
            "conversations.replies": self._replies,
            "users.conversations": self._channels,
        }

    def _post(self, body: dict[str, Any]) -> Answer:
        channel = self.channels.get(body["channel"])
        if channel is None and body["channel"] not in self.channels.values():
            return _said(ok=False, error="channel_not_found")
        ts = f"{time.time():.0f}.{len(self.messages) + 100:06}"
        self.messages[ts] = body
        said = {"channel": channel or body["channel"], "ts": ts, "message": {"text": body["text"]}}
        self.cut, cut = max(self.cut - 1, 0), self.cut > 0
        return _said(delay=self.slow, reset=cut, ok=True, **said)

    def _update(self, body: dict[str, Any]) -> Answer:
        if body["channel"] not in self.channels.values():
            return _said(ok=False, error="channel_not_found")
        if body["ts"] not in self.messages:
            return _said(ok=False, error="message_not_found")
        before = self.messages[body["ts"]]
        kept = {name: before[name] for name in ("metadata", "thread_ts") if name in before}
        self.messages[body["ts"]] = {**kept, **body}
        return _said(ok=True, channel=body["channel"], ts=body["ts"], text=body["text"])

    def _history(self, body: dict[str, Any]) -> Answer:
        return self._read(body, lambda one: "thread_ts" not in one)

    def _replies(self, body: dict[str, Any]) -> Answer:
        return self._read(body, lambda one: one.get("thread_ts") == body["ts"])

    def _read(self, body: dict[str, Any], wanted: Callable[[dict[str, Any]], bool]) -> Answer:
        if body["channel"] not in self.channels.values():
            return _said(ok=False, error="channel_not_found")
        carried = ("text", "metadata") if body.get("include_all_metadata") == "true" else ("text",)
        found = [
            {"type": "message", "ts": ts, **{name: one[name] for name in carried if name in one}}
            for ts, one in reversed(self.messages.items())
            if wanted(one) and float(ts) > float(body.get("oldest", "0"))
        ]
        return self._paged(body, "messages", found)

    def _channels(self, body: dict[str, Any]) -> Answer:
        names = self.channels if body["types"] == "public_channel" else {}
        return self._paged(
            body, "channels", [{"id": id_, "name": name.removeprefix("#")} for name, id_ in names.items()]
        )

    def _paged(self, body: dict[str, Any], name: str, found: list[dict[str, Any]]) -> Answer:
        start, size = int(body.get("cursor", "0")), min(self.page, int(body["limit"]))
        more = str(start + size) if start + size < len(found) else ""
        page = {name: found[start : start + size], "response_metadata": {"next_cursor": more}}
        return _said(ok=True, has_more=bool(more), **page)


def complaints_about(body: dict[str, Any]) -> list[str]:
    """What Slack would not take: by slack_sdk's models, and by the limits that those leave out."""
    found = []
    if len(body.get("text", "")) > LIMITS["text"]:
        found.append("text is too long")
    if "metadata" in body:
        Metadata(**body["metadata"]).validate_json()
    for attachment in body.get("attachments", ()):
        blocks = attachment["blocks"]
        if len(blocks) > 50:
            found.append(f"{len(blocks)} blocks")
        for written in blocks:
            block = Block.parse(written)
            if block is None:
                found.append(f"no block: {written}")
                continue
            try:
                block.validate_json()
            except Exception as problem:  # noqa: BLE001 - whatever the models raise is a complaint
                found.append(f"{written['type']}: {problem}")
            sizes = [len(one["text"]) for one in written.get("fields", ())]
            found += [f"a field of {size} characters" for size in sizes if not 1 <= size <= LIMITS["field"]]
            text = written.get("text")
            if isinstance(text, dict) and not 1 <= len(text["text"]) <= LIMITS["section"]:
                found.append(f"a text of {len(text['text'])} characters")
            found += _button_complaints(written)
        Attachment(text="", fallback=attachment["fallback"]).validate_json()
    return found


def shown(body: dict[str, Any]) -> str:
    """Everything that Slack would parse for mentions."""
    return json.dumps(body, ensure_ascii=False)


def _button_complaints(written: dict[str, Any]) -> list[str]:
    elements = written.get("elements", ()) if written["type"] == "actions" else ()
    found = [f"a label of {len(one['text']['text'])}" for one in elements if len(one["text"]["text"]) > 75]
    ids = [one["action_id"] for one in elements]
    return [*found, "an action_id twice"] if len(ids) != len(set(ids)) else found


def _said(*, delay: float = 0.0, reset: bool = False, **answer: Any) -> Answer:
    headers = {"content-type": "application/json"}
    return Answer(200, json.dumps(answer).encode(), headers, delay=delay, reset=reset)
