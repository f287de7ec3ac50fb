"""What an HTTP answer means for a delivery: taken, later, or never. The same for every service behind HTTP."""

from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import urljoin, urlsplit

from tocsin_events.instant import SECOND, to_micros
from tocsin_notifiers.http_client import HttpAnswer, HttpClient, NoAnswer, Unsendable
from tocsin_notifiers.notifier import SEND_TIMEOUT, Rejected, Retry

_LATER: Final = (408, 409, 423, 425, 429)
_GONE: Final = 410
_ANSWER_CHARACTERS: Final = 500


async def post(
    http: HttpClient, url: str, body: bytes, headers: Mapping[str, str], *, clock: int
) -> HttpAnswer:
    """Post a body within an attempt's time and return a 2xx answer; otherwise as `send`."""
    return await send(http, "POST", url, body, headers, clock=clock, within=SEND_TIMEOUT * 0.9)


async def send(
    http: HttpClient,
    method: str,
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    clock: int,
    within: float | None = None,
) -> HttpAnswer:
    """Send a request and return a 2xx answer.

    ``clock`` is now, in microseconds, for a ``Retry-After`` that is a date; ``within`` is in seconds.

    Raises:
        Retry: the service is not reachable, is busy or broke.
        Rejected: it will never take this; redirects are not followed, so they are one.

    """
    try:
        answer = await http.request(method, url, body, headers, within=within)
    except Unsendable as problem:
        raise Rejected(str(problem)) from problem
    except NoAnswer as problem:
        raise Retry(str(problem)) from problem
    judge(answer.status, answer.headers, answer.text, clock=clock, url=url)
    return answer


def judge(status: int, headers: Mapping[str, str], text: str, *, clock: int, url: str = "") -> None:
    """Return for a 2xx answer, and raise `Retry` or `Rejected` for any other; ``url`` is what was asked."""
    if 200 <= status < 300:
        return
    if 300 <= status < 400:
        leads = leads_to(url, headers.get("location", ""))
        raise Rejected(f"HTTP {status}: redirects are not followed{leads}; give the right address itself")
    said = f"HTTP {status} {shown(text)}".strip()
    if status in _LATER or status >= 500:
        raise Retry(said, after=retry_after(headers, clock=clock))
    raise Rejected(said, gone=status == _GONE)


def retry_after(headers: Mapping[str, str], *, clock: int) -> int | None:
    """Return how long the service asks to wait, in microseconds, if it says so."""
    value = headers.get("retry-after", "").strip()
    if not value:
        return None
    try:
        return max(0, round(float(value) * SECOND)) if value[0].isdigit() else _until(value, clock)
    except (ValueError, OverflowError):
        return None


def leads_to(url: str, location: str) -> str:
    """Return where on its own host a redirect leads, as words to go on with, without what may be secret in either address."""
    try:
        asked, there = urlsplit(url), urlsplit(urljoin(url, location))
        port = f":{there.port}" if there.port else ""
    except ValueError:
        return ""
    if not location or not asked.hostname or not there.hostname:
        return ""
    if there.hostname != asked.hostname:
        return " (this one leads to another host)"
    known = {part for part in asked.path.split("/") if part}
    path = "/".join("…" if part in known else part for part in there.path.split("/"))
    return f" (this one leads to {there.scheme}://{there.hostname}{port}{shown(path)})"


def shown(text: str) -> str:
    """Return an answer's text in one short line."""
    return " ".join(text.split())[:_ANSWER_CHARACTERS]


def _until(date: str, clock: int) -> int:
    moment = parsedate_to_datetime(date)
    return max(0, to_micros(moment) - clock)
