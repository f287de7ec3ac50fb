"""The links in messages lead somewhere, and tell strangers nothing."""

import httpx2
import pytest

from server_process import ServerProcess


@pytest.mark.parametrize(
    ("path", "command"),
    [
        ("runs/r-1", "tocsin runs show r-1"),
        ("firings/f-1", "tocsin events show f-1"),
        ("alerts/a-1", "tocsin alerts show a-1"),
    ],
)
def test_a_link_in_a_message_leads_to_the_command_that_shows_it(
    server: ServerProcess, path: str, command: str
) -> None:
    page = httpx2.get(f"{server.url}/{path}")
    assert page.status_code == 200
    assert command in page.text
    assert "script" not in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]


def test_what_stands_in_a_link_is_never_markup(server: ServerProcess) -> None:
    page = httpx2.get(f"{server.url}/runs/%3Cimg%20src=x%3E")
    assert page.status_code == 404
    assert "<img" not in page.text
