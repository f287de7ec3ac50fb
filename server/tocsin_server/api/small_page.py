"""A small page for who comes from a link in a message: one card, no script, no other host."""

from base64 import b64encode
from hashlib import sha256
from html import escape
from typing import Final

from starlette.responses import HTMLResponse

_STYLE: Final = """
body{font:16px/1.5 system-ui,sans-serif;margin:0;background:#f3f4f6;color:#14171c}
main{max-width:32rem;margin:12vh auto;padding:1.75rem 2rem;background:#fff;border:1px solid #e2e5ea;border-radius:10px}
h1{font-size:1.3rem;line-height:1.3;margin:.2rem 0 .8rem;overflow-wrap:anywhere}p{margin:.5rem 0;overflow-wrap:anywhere}
.s{font-size:.75rem;font-weight:600;letter-spacing:.05em;text-transform:uppercase;color:#6b7280;margin:0}
code{font:.95rem ui-monospace,monospace;background:#f3f4f6;padding:.15rem .4rem;border-radius:4px;overflow-wrap:anywhere}
button{font:600 1rem system-ui,sans-serif;margin-top:1rem;padding:.6rem 1.3rem;border:0;border-radius:6px;
background:#1f2937;color:#fff;cursor:pointer}button:focus-visible{outline:3px solid #1d5fbf;outline-offset:2px}
@media(prefers-color-scheme:dark){body{background:#14171c;color:#e8eaee}main{background:#1d2128;border-color:#343a44}
code{background:#14171c}button{background:#e8eaee;color:#14171c}.s{color:#9aa2af}}
"""
_HEADERS: Final = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{b64encode(sha256(_STYLE.encode()).digest()).decode()}'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
}


def small_page(title: str, body: str, *, above: str = "", status: int = 200) -> HTMLResponse:
    """Return a page with a title and ``above`` it a line in small letters; ``body`` is HTML, the other two are text."""
    line = f'<p class="s">{escape(above)}</p>' if above else ""
    return HTMLResponse(
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)} – Tocsin</title><style>{_STYLE}</style>"
        f"<main>{line}<h1>{escape(title)}</h1>{body}</main></html>",
        status,
        headers=_HEADERS,
    )
