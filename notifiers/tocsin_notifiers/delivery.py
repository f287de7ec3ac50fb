"""The delivery: one message on its way to one target, and the outcomes that an attempt can have. Pure."""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

from tocsin_events.identity import derived_id
from tocsin_events.instant import SECOND
from tocsin_notifiers.backoff import wait_after
from tocsin_notifiers.message import Message, Receipt

LEASE: Final = 30 * SECOND
"""How long a claimed delivery belongs to the process that claimed it; longer than an attempt may take."""


class DeliveryStatus(StrEnum):
    """How far a delivery is."""

    PENDING = "pending"
    SENDING = "sending"
    RETRYING = "retrying"
    DELIVERED = "delivered"
    FAILED = "failed"
    DROPPED = "dropped"
    """Needless: the message that it follows up on never arrived."""


UNFINISHED: Final = (DeliveryStatus.PENDING, DeliveryStatus.SENDING, DeliveryStatus.RETRYING)


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message for one target. ``after`` is the delivery whose receipt it follows up on."""

    id: str
    way: str
    notification: str
    alert: str | None
    notifier: str
    target: str
    kind: str
    message: Message
    created: int
    expires: int
    status: DeliveryStatus = DeliveryStatus.PENDING
    after: str | None = None
    attempts: int = 0
    log: tuple[dict[str, Any], ...] = ()
    receipt: Receipt | None = None
    next_at: int = 0
    finished: int | None = None

    @property
    def is_finished(self) -> bool:
        """Tell whether nothing more will happen to it."""
        return self.status not in UNFINISHED


def delivery_id(way: str, target: str) -> str:
    """Return the id of the one delivery that a way makes to a target."""
    return derived_id("delivery", way, target)


def delivered(delivery: Delivery, receipt: Receipt, *, started: int, now: int) -> Delivery:
    """Return a delivery that was taken."""
    return replace(
        delivery,
        status=DeliveryStatus.DELIVERED,
        receipt=receipt,
        finished=now,
        log=_logged(delivery, "delivered", receipt.answer, started, now),
    )


def refused(delivery: Delivery, reason: str, *, started: int, now: int) -> Delivery:
    """Return a delivery that will never be taken."""
    return replace(
        delivery,
        status=DeliveryStatus.FAILED,
        finished=now,
        log=_logged(delivery, "rejected", reason, started, now),
    )


def put_off(delivery: Delivery, reason: str, asked: int | None, *, started: int, now: int) -> Delivery:
    """Return a delivery whose attempt failed: to be tried again, or given up where that would be too late.

    A service that says when to come back (``asked``, microseconds) has not taken it; of any other failure that is unsure.
    """
    log = _logged(delivery, "retry", reason, started, now, unsure=asked is None)
    again = now + wait_after(delivery.id, delivery.attempts, asked)
    if again >= delivery.expires:
        return replace(delivery, status=DeliveryStatus.FAILED, finished=now, log=log)
    return replace(delivery, status=DeliveryStatus.RETRYING, next_at=again, log=log)


def may_have_arrived(delivery: Delivery) -> bool:
    """Tell whether an attempt before the one under way may have been taken: nobody saw its end, or it ended in a break."""
    return bool(_unrecorded(delivery)) or any(
        line["outcome"] == "unknown" or line.get("unsure") for line in delivery.log
    )


def first_attempt(delivery: Delivery) -> int:
    """Return an instant, in microseconds, before which no attempt was made."""
    first = delivery.log[0] if delivery.log else {}
    return int(first["at"]) if first.get("attempt") == 1 and "at" in first else delivery.created


def dropped(delivery: Delivery, *, now: int) -> Delivery:
    """Return a delivery that nobody needs any more."""
    return replace(delivery, status=DeliveryStatus.DROPPED, finished=now, attempts=delivery.attempts - 1)


def as_message(delivery: Delivery) -> Delivery:
    """Return a delivery whose edit or thread failed for good, as a new message to be sent at once."""
    message = delivery.message.model_copy(update={"follow_up": "message"})
    return replace(delivery, message=message, status=DeliveryStatus.RETRYING, next_at=0)


_ANSWER: Final = 1_000
_KEPT_ATTEMPTS: Final = 200


def _logged(
    delivery: Delivery, outcome: str, answer: str, started: int, now: int, *, unsure: bool = False
) -> tuple[dict[str, Any], ...]:
    line: dict[str, Any] = {
        "attempt": delivery.attempts,
        "at": started,
        "took": now - started,
        "outcome": outcome,
    }
    if answer:
        line["answer"] = answer[:_ANSWER]
    if unsure:
        line["unsure"] = True
    # Attempts that died without a word get their line now, so that every attempt has one.
    missing = [
        {"attempt": number, "outcome": "unknown", "answer": "the process ended during this attempt"}
        for number in _unrecorded(delivery)
    ]
    return (*delivery.log, *missing, line)[-_KEPT_ATTEMPTS:]


def _unrecorded(delivery: Delivery) -> range:
    """Return the numbers of attempts before the one under way that left no line."""
    last = int(delivery.log[-1]["attempt"]) if delivery.log else 0
    return range(last + 1, delivery.attempts)
