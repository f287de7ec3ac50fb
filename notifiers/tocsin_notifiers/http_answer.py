"""What an HTTP answer means for a delivery: taken, later, or never. The same for every service behind HTTP."""

from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Final

from tocsin_events.instant import SECOND, to_micros
from tocsin_notifiers.http_client import HttpAnswer, HttpClient, NoAnswer, Unsendable
from tocsin_notifiers.notifier import SEND_TIMEOUT, Rejected, Retry

_LATER: Final = (408, 409, 423, 425, 429)
_GONE: Final = 410
_ANSWER_CHARACTERS: Final = 500


async def post(
    http: HttpClient, url: str, body: bytes, headers: Mapping[str, str], *, clock: int
) -> HttpAnswer:
    """Post a body and return a 2xx answer.

    ``clock`` is now, in microseconds, for a ``Retry-After`` that is a date.

    Raises:
        Retry: the service is not reachable, is busy or broke.
        Rejected: it will never take this; redirects are not followed, so they are one.

    """
    try:
        answer = await http.request("POST", url, body, headers, within=SEND_TIMEOUT * 0.9)
    except Unsendable as problem:
        raise Rejected(str(problem)) from problem
    except NoAnswer as problem:
        raise Retry(str(problem)) from problem
    judge(answer.status, answer.headers, answer.text, clock=clock)
    return answer


def judge(status: int, headers: Mapping[str, str], text: str, *, clock: int) -> None:
    """Return for a 2xx answer, and raise `Retry` or `Rejected` for any other."""
    if 200 <= status < 300:
        return
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


def shown(text: str) -> str:
    """Return an answer's text in one short line."""
    return " ".join(text.split())[:_ANSWER_CHARACTERS]


def _until(date: str, clock: int) -> int:
    moment = parsedate_to_datetime(date)
    return max(0, to_micros(moment) - clock)
