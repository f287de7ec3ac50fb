"""``notify``: tell somebody."""

from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import Field

from tocsin_events.identity import derived_id
from tocsin_events.instant import parse_rfc3339
from tocsin_notifiers.notification import AlertRef, Notification, Severity, Status
from tocsin_server.actions.call import Call, Done, Retry
from tocsin_server.actions.fields import Fields, Name, OrTemplate


class NotifyFields(Fields):
    """``notifier`` names whom to tell; ``title`` and ``body`` (Markdown) are those of the default message if left out."""

    notifier: Name
    severity: OrTemplate[Severity] = Severity.ERROR
    title: Annotated[str | None, Field(max_length=100_000)] = None
    body: Annotated[str | None, Field(max_length=400_000)] = None


class Notify:
    """Hands a notification to the notification service, which keeps each once."""

    name: Final = "notify"
    main: Final = "notifier"
    model: Final = NotifyFields
    retry: Final = Retry(times=3)
    repeatable: Final = True
    lenient: Final = frozenset({"title", "body"})

    async def perform(self, args: NotifyFields, call: Call) -> Done:
        """Submit the notification."""
        notification = notification_of(args, call.fired, key=call.key, now=call.now)
        await call.services.notifications.submit(notification)
        return Done({"notification": notification.id, "notifier": args.notifier})


def notification_of(args: NotifyFields, fired: Mapping[str, Any], *, key: str, now: int) -> Notification:
    """Return what a firing asks for; ``fired`` is the payload of its event, ``key`` the action's own."""
    alert = fired.get("alert")
    resolved = (fired.get("firing") or {}).get("state") == "resolved"
    return Notification(
        id=derived_id("notification", key),
        notifier=args.notifier,
        created=now,
        title=args.title,
        body=args.body,
        severity=Severity(args.severity),
        status=Status.RESOLVED if resolved else Status.FIRING,
        alert=alert_of(alert) if isinstance(alert, dict) else None,
        firing=dict(fired),
    )


def alert_of(alert: dict[str, object]) -> AlertRef:
    """Return the alert that a firing's payload names; its opening is written as RFC 3339 or in microseconds."""
    opened = alert.get("opened")
    return AlertRef(
        id=str(alert.get("id")),
        opened=opened if isinstance(opened, int) else parse_rfc3339(str(opened)),
        count=int(str(alert.get("count") or 1)),
    )


kind: Final = Notify()
