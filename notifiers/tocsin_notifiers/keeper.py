"""The alert keeper: turns firings into alerts, each once, and tells everyone when one is over."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from tocsin_notifiers import alerts
from tocsin_notifiers.alert import Alert, End, Fired
from tocsin_notifiers.default_message import default_title, ends_withdrawn
from tocsin_notifiers.follower import Follower
from tocsin_notifiers.notification import AlertRef, Notification, Severity, Status
from tocsin_notifiers.scene import Scene

_RANK = list(Severity)


async def take_firing(connection: AsyncConnection, firing: Mapping[str, Any], now: int) -> Alert | None:
    """Open or update the alert of a firing's payload; None where it has none. Doing so again changes nothing."""
    ref = alert_ref(firing)
    if ref is None:
        return None
    cause, at = _cause(firing), now
    first = _first(firing, ref)
    if await alerts.begin(connection, first, firing, cause) is not None:
        return first
    changed = await alerts.change(connection, ref.id, Fired(cause, at, ref.count), firing)
    return None if changed is None else changed[0]


async def take_resolution(firing: Mapping[str, Any], follower: Follower, scene: Scene) -> None:
    """End the alert of a resolution's payload, and tell those who were told of it."""
    ref = alert_ref(firing)
    if ref is None:
        return
    first = _first(firing, ref)
    # The resolution may overtake the firing: the alert is then opened and ended at once.
    await alerts.begin(scene.connection, first, firing, f"{ref.id} opened")
    reason = str(firing.get("reason") or "")
    end = End(_cause(firing), scene.now, reason, withdrawn=ends_withdrawn(firing))
    changed = await alerts.change(scene.connection, ref.id, end)
    if changed is not None and changed[1] is not None:
        await follower.follow(changed[0], Status.RESOLVED, scene)


def alert_ref(firing: Mapping[str, Any]) -> AlertRef | None:
    """Return the alert that a payload names."""
    written = firing.get("alert")
    return AlertRef.model_validate(written) if isinstance(written, Mapping) else None


def _first(firing: Mapping[str, Any], ref: AlertRef) -> Alert:
    automation = firing.get("automation") or {}
    about = firing.get("firing") or {}
    severity = _severity(firing)
    titled = Notification(
        id=ref.id, notifier="-", created=ref.opened, alert=ref, firing=dict(firing), severity=severity
    )
    return Alert(
        id=ref.id,
        automation=str(automation.get("name") or about.get("automation") or ""),
        key=tuple(about.get("key") or ()),
        opened=ref.opened,
        updated=ref.opened,
        count=max(ref.count, 1),
        severity=severity,
        title=_title(firing) or default_title(titled),
        labels=tuple(sorted((str(k), str(v)) for k, v in (automation.get("labels") or {}).items())),
    )


def _severity(firing: Mapping[str, Any]) -> Severity:
    """Return the worst severity that the firing's notify actions name."""
    named = [args.get("severity") for args in _notify_actions(firing)]
    known = [Severity(one) for one in named if one in _RANK]
    return max(known, key=_RANK.index, default=Severity.ERROR)


def _title(firing: Mapping[str, Any]) -> str:
    titles = [args.get("title") for args in _notify_actions(firing)]
    # A title with a template in it is rendered by whoever runs the action; here it would show its braces.
    return next((one for one in titles if isinstance(one, str) and "{{" not in one and "{%" not in one), "")


def _notify_actions(firing: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [
        action
        for action in firing.get("actions") or ()
        if isinstance(action, Mapping) and action.get("kind") == "notify"
    ]


def _cause(firing: Mapping[str, Any]) -> str:
    return str((firing.get("firing") or {}).get("id") or "")
