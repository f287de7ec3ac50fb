"""One message for several notifications: what a group, or a night, has collected. Pure."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from tocsin_events.identity import derived_id
from tocsin_events.instant import from_micros
from tocsin_notifiers.default_message import Pages, title_of
from tocsin_notifiers.markdown import literal
from tocsin_notifiers.message import Fact, Link, Message
from tocsin_notifiers.notification import Notification, Severity, Status

LISTED: Final = 20
_RANK: Final = list(Severity)


def make_digest(
    notifications: Sequence[Notification],
    *,
    id: str,  # noqa: A002 - the message's own word
    target: str,
    pages: Pages,
    note: str = "",
) -> Message:
    """Return the message that lists notifications (at least one), the worst first: the first 20, and how many more."""
    ordered = sorted(notifications, key=lambda one: (-_RANK.index(one.severity), one.created, one.id))
    worst, over = ordered[0], all(one.status is Status.RESOLVED for one in ordered)
    lines = [_line(one, pages) for one in ordered[:LISTED]]
    if len(ordered) > LISTED:
        lines.append(f"- … and {len(ordered) - LISTED} more")
    body = "\n".join(lines)
    return Message(
        id=id,
        target=target,
        title=f"{'Resolved: ' if over else ''}{len(ordered)} alerts{_subject(ordered)}",
        body=f"{note}\n\n{body}" if note else body,
        severity=worst.severity,
        status=Status.RESOLVED if over else Status.FIRING,
        fields=(Fact(name="Severities", value=_counted([str(one.severity) for one in ordered])),),
        links=(Link(kind="alerts", label="All alerts", url=f"{pages.base}/alerts"),) if pages.base else (),
        automation=worst.automation if len({one.automation for one in ordered}) == 1 else "",
        thread=derived_id("digest", *(one.id for one in ordered)),
        at=max(one.created for one in ordered),
    )


def _line(one: Notification, pages: Pages) -> str:
    links = pages.links(one)
    title = literal(title_of(one))
    shown = f"[{title}]({links[0].url})" if links else f"**{title}**"
    since = one.alert.opened if one.alert else one.created
    return f"- {shown}, {one.severity}, since {from_micros(since):%Y-%m-%d %H:%M} UTC"


def _subject(ordered: Sequence[Notification]) -> str:
    names = list(dict.fromkeys(one.automation for one in ordered if one.automation))
    return f" of {names[0]}" if len(names) == 1 else ""


def _counted(words: Sequence[str]) -> str:
    return ", ".join(f"{count} {word}" for word, count in Counter(words).most_common())
