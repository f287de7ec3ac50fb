"""Where the links in messages lead until there are pages for runs, firings and alerts: to the command that shows them.

Whoever follows a link has no key, so a signpost tells nothing but what stands in the link itself.
"""

import re
from collections.abc import Mapping
from html import escape
from typing import Final

from fastapi import APIRouter
from starlette.responses import HTMLResponse

from tocsin_server.api.small_page import small_page

router = APIRouter(include_in_schema=False)

_COMMANDS: Final[Mapping[str, tuple[str, ...]]] = {
    "run": ("tocsin runs show {id}", "tocsin runs logs {id}"),
    "firing": ("tocsin events show {id}",),
    "alert": ("tocsin alerts show {id}", "tocsin alerts ack {id}"),
}
_ID: Final = re.compile(r"[\w.:-]{1,200}")


@router.api_route("/runs/{id_}", methods=["GET", "HEAD"])
async def point_at_run(id_: str) -> HTMLResponse:
    """Name the commands that show a run."""
    return _signpost("run", id_)


@router.api_route("/firings/{id_}", methods=["GET", "HEAD"])
async def point_at_firing(id_: str) -> HTMLResponse:
    """Name the command that shows a firing."""
    return _signpost("firing", id_)


@router.api_route("/alerts/{id_}", methods=["GET", "HEAD"])
async def point_at_alert(id_: str) -> HTMLResponse:
    """Name the commands that show an alert."""
    return _signpost("alert", id_)


def _signpost(noun: str, id_: str) -> HTMLResponse:
    if not _ID.fullmatch(id_):
        return small_page("There is nothing here", "<p>The link may have been cut off.</p>", status=404)
    lines = "".join(f"<p><code>{escape(command.format(id=id_))}</code></p>" for command in _COMMANDS[noun])
    said = "<p>Where the command line can reach this server, this shows it:</p>"
    return small_page(f"{noun.capitalize()} {id_}", said + lines, above=f"Tocsin · {noun}")
