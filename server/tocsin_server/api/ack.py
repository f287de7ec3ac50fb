"""``/ack/<token>``: the page behind the link in an email that acknowledges an alert.

Opening it shows a button and changes nothing: mail scanners open every link. No key: the token is signed, and good for one
alert. The page has no script, and tells nobody where it was reached from.
"""

import time
from html import escape
from typing import Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import HTMLResponse

from tocsin_notifiers.ack_link import Ack, ExpiredLink, InvalidLink
from tocsin_notifiers.alert import Alert, Refused
from tocsin_server.access import Caller
from tocsin_server.api.security import parts_of
from tocsin_server.api.small_page import small_page

router = APIRouter(include_in_schema=False)

_NO_LINK: Final = "This link is not valid"


@router.api_route("/ack/{token}", methods=["GET", "HEAD"])
async def ask(token: str, request: Request) -> HTMLResponse:
    """Show what would be acknowledged, and a button that does it."""
    try:
        ack, alert = await _read(token, request)
    except _Unusable as problem:
        return problem.page
    if alert.is_over:
        return _page(
            alert.title, f"It is {alert.state} already; there is nothing left to acknowledge.", alert
        )
    if alert.acknowledged_by:
        return _page(alert.title, f"{alert.acknowledged_by} has acknowledged it already.", alert)
    who = f"<p>You acknowledge it as <b>{escape(ack.reader)}</b>. Reminders and escalation stop, and everyone who was told hears of it.</p>"
    return _page(alert.title, "", alert, f'{who}<form method="post"><button>Acknowledge</button></form>')


@router.post("/ack/{token}")
async def acknowledge(token: str, request: Request) -> HTMLResponse:
    """Acknowledge the alert in the reader's name."""
    try:
        ack, alert = await _read(token, request)
    except _Unusable as problem:
        return problem.page
    parts = parts_of(request)
    try:
        alert = await parts.notifications.acknowledge(ack.alert, by=ack.reader)
    except Refused:
        return _page(
            alert.title,
            f"It is {alert.state} already; there is nothing left to acknowledge.",
            alert,
            status=409,
        )
    caller = Caller(id=f"link:{ack.reader}", name=ack.reader)
    await parts.audit.record(caller, "alert.acknowledged", f"alert/{ack.alert}")
    return _page(
        alert.title, f"Thank you. Everyone who was told hears that {ack.reader} takes care of it.", alert
    )


class _Unusable(Exception):  # noqa: N818 - it names what was found
    """The link leads nowhere; ``page`` says so."""

    def __init__(self, page: HTMLResponse) -> None:
        super().__init__()
        self.page = page


async def _read(token: str, request: Request) -> tuple[Ack, Alert]:
    parts = parts_of(request)
    try:
        ack = parts.ack_links.read(token, now=time.time_ns() // 1000)
    except InvalidLink:
        said = "It may have been cut off: open it from the email itself, or use tocsin alerts ack."
        raise _Unusable(_page(_NO_LINK, said, status=404)) from None
    except ExpiredLink:
        said = (
            "It is older than a week: use the one in the latest email about the alert, or tocsin alerts ack."
        )
        raise _Unusable(_page("This link has expired", said, status=410)) from None
    kept = await parts.notifications.alerts.get(ack.alert)
    if kept is None:
        raise _Unusable(_page(_NO_LINK, "The alert that it is about is no longer kept.", status=404))
    return ack, kept.alert


def _page(
    title: str, said: str, alert: Alert | None = None, more: str = "", *, status: int = 200
) -> HTMLResponse:
    above = "" if alert is None else f"{alert.state} · {alert.severity} · {alert.automation}"
    text = f"<p>{escape(said)}</p>" if said else ""
    return small_page(title, text + more, above=above, status=status)
