"""Gives messages their picture of the last runs when they are sent, and never holds one up for it."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Final, Protocol

from tocsin_notifiers.message import Image, Message, RunsOf
from tocsin_notifiers.picture_link import PictureLinks
from tocsin_notifiers.run_chart import SHOWN, PastRun, chart_of

PATIENCE: Final = 2.0
"""How long the record of runs may take to answer, in seconds; a message then goes without a picture."""

_log = logging.getLogger(__name__)


class RunHistory(Protocol):
    """The record of runs, as far as pictures need it."""

    async def last_runs(self, of: RunsOf, limit: int) -> Sequence[PastRun]:
        """Return the last runs that have begun or ended, the latest first; and, at its place, the run ``of.run``."""
        ...


class NoHistory:
    """The record of nothing: messages have no pictures."""

    async def last_runs(self, of: RunsOf, limit: int) -> Sequence[PastRun]:  # noqa: ARG002 - the protocol's own
        """Return no run."""
        return ()


class Pictures:
    """Pictures of the last runs in ``history``; ``links`` makes their addresses, ``patience`` is in seconds."""

    def __init__(
        self, history: RunHistory, links: PictureLinks | None = None, *, patience: float = PATIENCE
    ) -> None:
        self._history = history
        self._links = links
        self._patience = patience

    async def illustrated(self, message: Message, now: int) -> Message:
        """Return a message with the picture of the runs that it is about, where there are enough of them.

        ``now`` is in microseconds.
        """
        if message.runs_of is None:
            return message
        try:
            async with asyncio.timeout(self._patience):
                runs = await self._history.last_runs(message.runs_of, SHOWN)
        except Exception as problem:  # noqa: BLE001 - whatever ails the record, the message must go out
            _log.warning("message %s goes without its picture: %r", message.id, problem)
            return message
        made = chart_of(runs, message.runs_of, now)
        if made is None:
            return message
        chart, said = made
        url = "" if self._links is None else self._links.url(chart)
        return message.model_copy(update={"image": Image(alt=said, chart=str(chart), url=url)})
