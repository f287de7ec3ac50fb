"""The signed link that acknowledges: made by us only, good for one alert and a week."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifying import NOON, notification
from tocsin_notifiers.ack_link import GOOD_FOR, Ack, AckLinks, ExpiredLink, InvalidLink
from tocsin_notifiers.default_message import Pages
from tocsin_notifiers.notification import Status

LINKS = AckLinks([b"key"])


@given(alert=st.text(max_size=300), reader=st.text(max_size=200))
def test_a_token_says_who_acknowledges_what_until_it_expires(alert, reader):
    token = LINKS.token(alert, reader, now=NOON)
    assert LINKS.read(token, now=NOON + GOOD_FOR - 1) == Ack(alert, reader)
    with pytest.raises(ExpiredLink):
        LINKS.read(token, now=NOON + GOOD_FOR)


@given(st.text(max_size=200) | st.binary(max_size=100).map(lambda it: base64.urlsafe_b64encode(it).decode()))
def test_whatever_else_comes_is_no_link(text):
    with pytest.raises(InvalidLink):
        LINKS.read(text, now=NOON)


@given(st.data())
def test_no_changed_token_is_taken(data):
    token = LINKS.token("alert-1", "ada@example.com", now=NOON)
    place = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.characters().filter(lambda char: char != token[place]))
    changed = token[:place] + other + token[place + 1 :]
    try:
        assert LINKS.read(changed, now=NOON) == Ack("alert-1", "ada@example.com")
    except InvalidLink:
        return
    # The last character of base64 has bits that carry nothing.
    assert place in (token.index(".") - 1, len(token) - 1)


def test_a_link_signed_with_an_older_key_still_works_and_one_of_a_removed_key_does_not():
    token = AckLinks([b"old"]).token("a", "b", now=NOON)
    assert AckLinks([b"new", b"old"]).read(token, now=NOON) == Ack("a", "b")
    with pytest.raises(InvalidLink):
        AckLinks([b"new"]).read(token, now=NOON)


def test_only_what_can_be_acknowledged_has_a_link():
    pages = Pages("http://tocsin.example", LINKS)
    (link,) = pages.ack_link(notification(), "ada@example.com", NOON)
    assert link.url.startswith("http://tocsin.example/ack/")
    assert pages.ack_link(notification(alert=None), "ada@example.com", NOON) == ()
    assert pages.ack_link(notification(status=Status.RESOLVED), "ada@example.com", NOON) == ()
    assert Pages("http://tocsin.example").ack_link(notification(), "ada@example.com", NOON) == ()
