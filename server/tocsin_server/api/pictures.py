"""``/pictures/<token>.png``: the picture in a message, for chats that load it by its address.

No key: the token is signed, and the picture is drawn from it alone. Nothing is looked up, so there is nothing to find by
trying, and a picture shows for good what it showed when the message was sent.
"""

from typing import Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from tocsin_notifiers.picture_link import PATH, NoPicture
from tocsin_notifiers.run_picture import draw
from tocsin_server.api.security import parts_of

router = APIRouter(include_in_schema=False)

_HEADERS: Final = {
    "Cache-Control": "public, max-age=3600",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
}


# Not a coroutine: drawing takes some milliseconds, in which the server shall answer others.
@router.api_route(PATH + "{token}.png", methods=["GET", "HEAD"])
def picture(token: str, request: Request) -> Response:
    """Return the picture that a token of ours stands for."""
    try:
        chart = parts_of(request).picture_links.read(token)
    except NoPicture:
        return Response("There is no such picture.\n", 404, {"Cache-Control": "no-store"}, "text/plain")
    return Response(draw(chart), headers=_HEADERS, media_type="image/png")
