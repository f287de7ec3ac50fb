"""A receiver that stands for Slack: checks every request with slack_sdk's models, and answers as Slack's API does."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from slack_sdk.models.attachments import Attachment
from slack_sdk.models.blocks import Block

from receivers import Answer, Request

LIMITS = {"header": 150, "section": 3000, "field": 2000, "text": 40_000}


@dataclass
class Slack:
    """One workspace: messages by ``ts``, the complaints about payloads, and what it is told to answer next."""

    token: str = "xoxb-very-secret"
    channels: dict[str, str] = field(default_factory=lambda: {"#data-alerts": "C024BE91L"})
    messages: dict[str, dict[str, Any]] = field(default_factory=dict)
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    next: list[Answer] = field(default_factory=list)

    def __call__(self, request: Request) -> Answer:
        if self.next:
            return self.next.pop(0)
        body = request.json
        self.complaints += complaints_about(body)
        if request.path.startswith("/services/"):
            return Answer(200, b"ok")
        if request.headers.get("authorization") != f"Bearer {self.token}":
            return _said(ok=False, error="invalid_auth")
        method = request.path.rpartition("/")[2]
        self.calls.append((method, body))
        return self._methods()[method](body)

    def _methods(self) -> dict[str, Callable[[dict[str, Any]], Answer]]:
        return {"chat.postMessage": self._post, "chat.update": self._update}

    def _post(self, body: dict[str, Any]) -> Answer:
        channel = self.channels.get(body["channel"])
        if channel is None and body["channel"] not in self.channels.values():
            return _said(ok=False, error="channel_not_found")
        ts = f"17723664{len(self.messages):02}.000100"
        self.messages[ts] = body
        return _said(ok=True, channel=channel or body["channel"], ts=ts, message={"text": body["text"]})

    def _update(self, body: dict[str, Any]) -> Answer:
        if body["channel"] not in self.channels.values():
            return _said(ok=False, error="channel_not_found")
        if body["ts"] not in self.messages:
            return _said(ok=False, error="message_not_found")
        self.messages[body["ts"]] = body
        return _said(ok=True, channel=body["channel"], ts=body["ts"], text=body["text"])


def complaints_about(body: dict[str, Any]) -> list[str]:
    """What Slack would not take: by slack_sdk's models, and by the limits that those leave out."""
    found = []
    if len(body.get("text", "")) > LIMITS["text"]:
        found.append("text is too long")
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


def _said(**answer: Any) -> Answer:
    return Answer(200, json.dumps(answer).encode(), {"content-type": "application/json"})
