"""What an answer says to those who read why nothing arrived."""

import pytest

from tocsin_notifiers.http_answer import judge
from tocsin_notifiers.notifier import Rejected


@pytest.mark.parametrize(
    ("url", "location", "leads"),
    [
        ("http://a.example/in/s3cret", "https://a.example/in/s3cret/", " (this one leads to https://a.example/…/…/)"),
        ("https://a.example/s3cret", "/login?next=s3cret#s3cret", " (this one leads to https://a.example/login)"),
        ("https://u:s3cret@a.example:8443/x", "/y", " (this one leads to https://a.example:8443/y)"),
        ("https://a.example/x", "https://u:s3cret@b.example/s3cret", " (this one leads to another host)"),
        ("https://a.example/x", "//b.example/", " (this one leads to another host)"),
        ("https://a.example/x", "", ""),
        ("https://a.example/x", "http://[::1/", ""),
        ("https://a.example/x", "https://a.example:s3cret/", ""),
        ("", "/y", ""),
    ],
)  # fmt: skip
def test_a_redirect_says_that_it_is_not_followed_and_tells_no_secret(url: str, location: str, leads: str):
    with pytest.raises(Rejected) as refused:
        judge(302, {"location": location}, "<html>moved</html>", clock=0, url=url)
    assert (
        refused.value.reason == f"HTTP 302: redirects are not followed{leads}; give the right address itself"
    )
