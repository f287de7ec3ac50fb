"""A file with one JSON message a line: for tests, and for programs that read along."""

import asyncio
import os
from pathlib import Path
from typing import ClassVar

import msgspec
from pydantic import BaseModel, ConfigDict

from tocsin_notifiers.message import FollowUp, Message, Receipt
from tocsin_notifiers.notifier import Outside, Retry
from tocsin_notifiers.webhook import payload


class FileConfig(BaseModel):
    """``path`` of the file, made if it isn't there."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: Path


class File:
    """Appends messages to a file."""

    config: ClassVar = FileConfig
    follow_ups: ClassVar[tuple[FollowUp, ...]] = ("message",)

    def __init__(self, config: FileConfig, outside: Outside) -> None:  # noqa: ARG002 - the protocol's own
        self._path = config.path

    def targets(self) -> tuple[str, ...]:
        """Return the file's path."""
        return (str(self._path),)

    async def send(self, message: Message, previous: Receipt | None) -> Receipt:  # noqa: ARG002 - the protocol's own
        """Append the message as one line."""
        try:
            await asyncio.to_thread(_append, self._path, msgspec.json.encode(payload(message)) + b"\n")
        except OSError as problem:
            raise Retry(f"{self._path} can't be written: {problem.strerror}") from problem
        return Receipt(target=message.target, answer="appended")


def _append(path: Path, line: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, line)
    finally:
        os.close(descriptor)
