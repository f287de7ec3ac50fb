"""The deliverer: takes one delivery at a time off a notifier's queue and sees it through an attempt.

A delivery is marked as being sent before anything goes out, and its result is kept before the queue's message is
acknowledged. So whatever dies, a delivery is tried again only where no result was kept. What is left is the moment in which
the service has taken the message and we die, or the answer is lost, before keeping that. Then a service that can be asked is
asked before anything is sent again (Slack, with a bot token). To others, and only then, the same message goes out twice, under
the same id, which webhooks (``webhook-id``), mailboxes (``Message-ID``) and the inbox know again.
"""

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Final

import msgspec

from tocsin_events import bus
from tocsin_events.ending import end_all
from tocsin_events.instant import SECOND
from tocsin_notifiers import delivery as steps
from tocsin_notifiers.backoff import Breaker, wait_after
from tocsin_notifiers.delivery import Delivery, DeliveryStatus
from tocsin_notifiers.ledger import Claimed, Ledger, NotNow, Settled
from tocsin_notifiers.lookup import LooksUp
from tocsin_notifiers.message import Message, Receipt
from tocsin_notifiers.notifier import SEND_TIMEOUT, Notifier, Rejected, Retry, pace_of, wants_picture
from tocsin_notifiers.order import Order
from tocsin_notifiers.pictures import Pictures
from tocsin_notifiers.secret import Secrets, UnknownSecret

_log = logging.getLogger(__name__)

_SHORTEST: Final = 0.05
_CROWDED: Final = 1.0
_DRAIN: Final = 3.0
_PATIENCE: Final = 2 * SECOND


class Deliverer:
    """Delivers for one notifier. ``announce`` tells the bus of a delivery that ended; ``clock`` is in microseconds.

    ``gone`` are targets that are not to be asked, and why; ``on_gone`` keeps that another one is. Once
    its settings are no longer those that count (``is_current``), it leaves its work to its successor.
    """

    def __init__(
        self,
        name: str,
        notifier: Notifier,
        ledger: Ledger,
        *,
        secrets: Secrets,
        clock: Callable[[], int],
        announce: Callable[[Delivery], Awaitable[None]],
        concurrency: int,
        gone: Mapping[str, str] = MappingProxyType({}),
        on_gone: Callable[[str, str], Awaitable[None]],
        is_current: Callable[[], bool],
        pictures: Pictures,
    ) -> None:
        self._name = name
        self._notifier = notifier
        self._asks = notifier if isinstance(notifier, LooksUp) else None
        self._ledger = ledger
        self._secrets = secrets
        self._clock = clock
        self._announce = announce
        self._breakers: dict[str, Breaker] = {}
        self._next_slot: dict[str, int] = {}
        self._under_way: Counter[str] = Counter()
        self._gone = dict(gone)
        self._on_gone = on_gone
        self._is_current = is_current
        self._pictures = pictures
        # With several targets, one that hangs may take a part of the places, never all.
        targets = len(notifier.targets())
        self._share = concurrency if targets < 2 else max(1, concurrency // min(targets, 4))
        self._attempts: set[asyncio.Task[None]] = set()

    async def handle(self, work: bus.Work) -> None:
        """Work on a message of the queue.

        Raises:
            bus.Retry: its turn comes later.
            bus.Poison: it is no order of ours.

        """
        try:
            order = msgspec.json.decode(work.body, type=Order)
        except (msgspec.DecodeError, UnicodeDecodeError) as problem:
            raise bus.Poison(f"no delivery order: {problem}") from problem
        if not self._is_current():
            raise bus.Retry(_SHORTEST, "the notifier's settings have just changed")
        await self._wait_for_turn(order.target)
        # Stopping the service doesn't cut an attempt short: its result would be lost with it.
        attempt = asyncio.create_task(self._attempt(order), name=f"deliver-{self._name}")
        self._attempts.add(attempt)
        attempt.add_done_callback(self._ended)
        await asyncio.shield(attempt)

    async def drain(self) -> None:
        """Give the attempts under way a moment to end; one that hangs is cut short, and made again later."""
        if self._attempts:
            _, hanging = await asyncio.wait(self._attempts, timeout=_DRAIN)
            await end_all(hanging, patience=_DRAIN)

    def _ended(self, attempt: asyncio.Task[None]) -> None:
        self._attempts.discard(attempt)
        if (
            not attempt.cancelled()
            and (problem := attempt.exception())
            and not isinstance(problem, bus.Retry)
        ):
            _log.error("a delivery of %s failed in an unexpected way", self._name, exc_info=problem)

    async def _wait_for_turn(self, target: str) -> None:
        now = self._clock()
        breaker = self._breakers.get(target, Breaker())
        if not breaker.allows(now):
            raise bus.Retry(
                max((breaker.until - now) / SECOND, _SHORTEST), "the target is left alone for a while"
            )
        if self._under_way[target] >= self._share:
            raise bus.Retry(_CROWDED, "the target has as many deliveries under way as it may")
        pace = pace_of(self._notifier)
        if pace:
            slot = max(now, self._next_slot.get(target, 0))
            if slot - now > _PATIENCE:
                raise bus.Retry((slot - now) / SECOND, "the service takes no more at once")
            self._next_slot[target] = slot + pace
            if slot > now:
                await asyncio.sleep((slot - now) / SECOND)
        self._breakers[target] = breaker.begins_probe(now)

    async def _attempt(self, order: Order) -> None:
        self._under_way[order.target] += 1
        try:
            if order.again_after is not None:
                await self._ledger.reopen(order.delivery, order.again_after)
            match await self._ledger.claim(order.delivery):
                case Settled(delivery=None):
                    _log.warning("delivery %s is on the queue but not in the database", order.delivery)
                case Settled(delivery=Delivery() as delivery):
                    await self._announce(delivery)
                case NotNow(until=until):
                    raise bus.Retry(max((until - self._clock()) / SECOND, _SHORTEST), "not yet")
                case Claimed(outdated=True, delivery=delivery):
                    await self._finish(steps.dropped(delivery, now=self._clock()))
                case Claimed(delivery=delivery, first=first):
                    await self._finish(await self._sent(delivery, first))
        finally:
            self._under_way[order.target] -= 1
            if not self._under_way[order.target]:
                del self._under_way[order.target]

    async def _finish(self, delivery: Delivery) -> None:
        await self._ledger.record(delivery)
        if not delivery.is_finished:
            raise bus.Retry(max((delivery.next_at - self._clock()) / SECOND, _SHORTEST), "to be tried again")
        await self._announce(delivery)

    async def _sent(self, delivery: Delivery, first: Delivery | None) -> Delivery:
        """Return the delivery with what came of an attempt to send it."""
        started = self._clock()
        if first is not None and first.status in (DeliveryStatus.FAILED, DeliveryStatus.DROPPED):
            return steps.dropped(delivery, now=started)
        if delivery.target in self._gone:
            return steps.refused(delivery, self._gone[delivery.target], started=started, now=started)
        if started >= delivery.expires:
            return steps.refused(delivery, "it has become too old to be news", started=started, now=started)
        previous = first.receipt if first is not None else None
        try:
            async with asyncio.timeout(SEND_TIMEOUT):
                receipt = await self._taken_before(delivery, previous)
                if receipt is None:
                    receipt = await self._send(delivery.message, previous)
        except Rejected as problem:
            return await self._rejected(delivery, problem, started)
        except Retry as problem:
            return self._put_off(delivery, problem.reason, problem.after, started)
        except UnknownSecret as problem:
            # Nothing went out, so there is nothing to be unsure of.
            again = wait_after(delivery.id, delivery.attempts)
            return self._put_off(delivery, str(problem), again, started)
        except TimeoutError:
            return self._put_off(delivery, f"no answer within {SEND_TIMEOUT:.0f} s", None, started)
        except Exception as problem:  # noqa: BLE001 - plugins may raise anything
            # A plugin's mistake must not take its deliveries with it; they age out if it stays.
            _log.exception("notifier %s broke on delivery %s", self._name, delivery.id)
            return self._put_off(delivery, f"{type(problem).__name__}: {problem}", None, started)
        self._breakers[delivery.target] = Breaker()
        masked = receipt.model_copy(update={"answer": self._secrets.mask(receipt.answer)})
        return steps.delivered(delivery, masked, started=started, now=self._clock())

    async def _taken_before(self, delivery: Delivery, previous: Receipt | None) -> Receipt | None:
        """Return the receipt of an earlier attempt that was taken though nobody noted it, where the service can be asked."""
        if self._asks is None or not steps.may_have_arrived(delivery):
            return None
        return await self._asks.find(delivery.message, previous, steps.first_attempt(delivery))

    async def _send(self, message: Message, previous: Receipt | None) -> Receipt:
        """Send a message with its picture; without, where it is refused with it (Slack does, when it can't load one)."""
        illustrated = message
        if wants_picture(self._notifier):
            illustrated = await self._pictures.illustrated(message, self._clock())
        try:
            return await self._notifier.send(illustrated, previous)
        except Rejected as problem:
            if illustrated.image is None or problem.gone:
                raise
        return await self._notifier.send(message, previous)

    async def _rejected(self, delivery: Delivery, problem: Rejected, started: int) -> Delivery:
        reason = self._secrets.mask(problem.reason)
        if problem.gone:
            said = f"the target is gone ({reason}): mend the notifier's settings and apply again"
            self._gone[delivery.target] = said
            await self._on_gone(delivery.target, said)
        self._breakers[delivery.target] = Breaker()
        now = self._clock()
        if delivery.message.follow_up == "message" or problem.gone:
            return steps.refused(delivery, reason, started=started, now=now)
        # What can't be edited or answered any more is said anew.
        put_off = steps.put_off(delivery, reason, 0, started=started, now=now)
        return steps.as_message(put_off)

    def _put_off(self, delivery: Delivery, reason: str, after: int | None, started: int) -> Delivery:
        now = self._clock()
        self._breakers[delivery.target] = self._breakers.get(delivery.target, Breaker()).failed(now)
        return steps.put_off(delivery, self._secrets.mask(reason), after, started=started, now=now)


async def deliver(
    bus_: bus.Bus,
    name: str,
    deliverer: Deliverer,
    concurrency: int,
    lease: int,
    on_dead: Callable[[bus.DeadWork], Awaitable[None]],
) -> None:
    """Work through a notifier's queue until cancelled; then let what is under way end. No order of ours is ``on_dead``'s."""
    try:
        await bus_.consume(
            "DELIVERIES",
            f"notifier-{name}",
            [bus.delivery_subject(name)],
            deliverer.handle,
            concurrency=concurrency,
            ack_wait=lease / SECOND,
            max_deliver=None,
            on_dead=on_dead,
        )
    finally:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.shield(deliverer.drain())
