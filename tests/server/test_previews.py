from io import StringIO
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from tocsin_notifiers.message import Fact, Link, Message
from tocsin_notifiers.notification import Severity, Status
from tocsin_server.previews import email, slack, teams

ALL = (slack, teams, email)
BODY = """Rows of **orders_2026** are *missing*, see [the run](https://example.com/run).

```
Traceback (most recent call last):
  File "a_b.py", line 1, in <module>
ValueError: *not* _a_ `number` & more
```

- first
- second"""


def message(title: str = "etl failed", body: str = BODY, **further: object) -> Message:
    fields = (Fact(name="Flow", value="load_orders"), Fact(name="Because", value='name == "a_b" && x < 1'))
    links = (Link(kind="run", label="Open run", url="http://127.0.0.1:4200/runs/1"),)
    return Message.model_validate(
        {"id": "m", "target": "t", "title": title, "body": body, "fields": fields, "links": links, **further}
    )


def drawn(kind: ModuleType, one: Message, width: int = 100) -> str:
    file = StringIO()
    Console(file=file, width=width, force_terminal=False, highlight=False).print(kind.preview(one))
    return file.getvalue()


@pytest.mark.parametrize("kind", ALL)
def test_a_preview_shows_all_that_a_message_says(kind: ModuleType):
    shown = drawn(kind, message())
    for said in (
        "etl failed",
        "orders_2026",
        "missing",
        "the run",
        'File "a_b.py", line 1, in <module>',
        "first",
        "load_orders",
        'name == "a_b" && x < 1',
        "Open run",
    ):
        assert said in shown, shown


@pytest.mark.parametrize("kind", [slack, teams])
def test_a_preview_shows_no_markup_of_the_service(kind: ModuleType):
    shown = drawn(kind, message())
    for markup in ("\\", "&lt;", "&amp;", "**", "```", "](", "|the run>", ":red_circle:"):
        assert markup not in shown, shown


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("status", list(Status))
@pytest.mark.parametrize("severity", list(Severity))
def test_every_status_and_severity_can_be_drawn(kind: ModuleType, status: Status, severity: Severity):
    assert "etl failed" in drawn(kind, message(status=status, severity=severity))


@pytest.mark.parametrize("kind", ALL)
@given(title=st.text(min_size=1, max_size=200), body=st.text(max_size=300), width=st.integers(20, 140))
@settings(max_examples=40, deadline=None)
def test_no_preview_steers_the_terminal_or_is_wider_than_it(
    kind: ModuleType, title: str, body: str, width: int
):
    shown = drawn(kind, message(f"t{title}", body, fields=(), links=()), width)
    assert all(char == "\n" or char.isprintable() for char in shown)
    assert all(cell_len(line) <= width for line in shown.split("\n"))
