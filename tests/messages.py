"""Messages for tests, tame and hostile."""

from typing import Any

from hypothesis import strategies as st

from firings import fired
from notifying import notification
from tocsin_notifiers.default_message import Pages, make_message
from tocsin_notifiers.message import Fact, Link, Message
from tocsin_notifiers.notification import AlertRef, Severity, Status

HOSTILE = (
    "<!channel>", "<@U024BE7LH>", "<!here|here>", "</script><script>alert(1)</script>", "[x](javascript:alert(1))",
    "[all](<!channel>)", "<https://evil.example|click>", "![p](https://evil.example/pixel.png)", "```\nout", "&lt;!channel&gt;",
    "a\r\nBcc: everyone@example.com", "\x1b[31mred\x07", "<at>everyone</at>", "{{ 7*7 }}", "*_~`>", "\u202egnp.exe",
)  # fmt: skip
"""What strangers call their flows."""


def message(**changes: Any) -> Message:
    """A realistic message."""
    made = make_message(
        notification(id_="n1", firing=fired(count=3)),
        id="delivery-1",
        target="somebody",
        pages=Pages("http://tocsin.example"),
    )
    return made.model_copy(update=changes)


texts = st.one_of(
    st.sampled_from(HOSTILE),
    st.text(max_size=300),
    st.lists(st.sampled_from(HOSTILE), max_size=5).map("\n\n".join),
    st.text(alphabet="a \n`*_<>&|[]()#-", max_size=5_000),
    st.integers(1, 60_000).map("&<".__mul__),
)

any_message = st.builds(
    Message,
    id=st.uuids().map(str),
    target=st.just("somebody"),
    title=texts.map(lambda text: " ".join(text.split())[:250] or "title"),
    body=texts,
    severity=st.sampled_from(Severity),
    status=st.sampled_from(Status),
    fields=st.lists(st.builds(Fact, name=st.text(min_size=1, max_size=80), value=texts), max_size=30).map(
        tuple
    ),
    links=st.just(
        (
            Link(kind="run", label="Open run", url="http://tocsin.example/runs/r1"),
            Link(kind="why", label="Why?", url="http://tocsin.example/firings/f1"),
        )
    ),
    alert=st.none() | st.just(AlertRef(id="alert-1", opened=1, count=2)),
    automation=texts,
    thread=st.just("alert-1"),
    at=st.just(1_772_366_400_000_000),
)
