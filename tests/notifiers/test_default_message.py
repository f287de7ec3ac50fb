"""What a message says by itself, whatever strangers call their things."""

import json

import pytest
from hypothesis import given

from firings import fired
from messages import texts
from notifying import NOON, notification
from tocsin_notifiers import alerts, console, email_html, slack, teams
from tocsin_notifiers.alert import Alert, End
from tocsin_notifiers.default_message import Pages, make_message
from tocsin_notifiers.notification import Notification, Status
from tocsin_notifiers.plain_text import one_line, plain_text


def about(name: object = "pump", *, reason: str = "an event matched", **payload: object) -> Notification:
    """A notification of an event from outside."""
    firing = fired()
    firing["reason"] = reason
    firing["event"]["data"] = {
        "resource": {"kind": "thing", "id": "t1", "name": name},
        "related": [],
        "payload": payload,
    }
    return notification(firing=firing)


def made(said: Notification):
    return make_message(said, id="d1", target="somebody", pages=Pages())


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("\x1b[1;31mred\x1b[0m and \x1b]8;;https://x\x07link\x1b]8;;\x07", "red and link"),
        ("a\x00b\x07", "a\ufffdb\ufffd"),
        ("one\r\ntwo\u2028three\tfour", "one\ntwo\nthree\tfour"),
        ("invoice\u202egnp.exe", "invoice\ufffdgnp.exe"),
        ("שלום 👩‍👩‍👧", "שלום 👩‍👩‍👧"),
        ("\x1b", "\ufffd"),
        ("half \ud83d", "half \ufffd"),
    ],
)
def test_plain_text_keeps_what_people_read_and_marks_what_would_act(written, shown):
    assert plain_text(written) == shown


@given(texts)
def test_plain_text_is_done_once(text):
    assert plain_text(plain_text(text)) == plain_text(text)
    assert "\n" not in one_line(text)


def test_nothing_in_a_message_acts():
    evil = "a\x00b \x1b[31mred\x1b[0m \u202etxt"
    told = made(about(evil, error={"type": "E", "message": evil, "traceback": evil}, reason=evil))
    shown = told.title + told.body + "".join(fact.value for fact in told.fields)
    assert "a\ufffdb red \ufffdtxt" in told.title
    assert not set("\x00\x1b\u202e") & set(shown)
    written = made(about().model_copy(update={"title": evil, "body": f"**{evil}**\n"}))
    assert not set("\x00\x1b\u202e") & set(written.title + written.body)


@pytest.mark.parametrize("blank", ["", "  \n ", None])
def test_a_message_always_has_a_title(blank):
    assert made(about(blank)).title == "t1 failed"
    assert made(about().model_copy(update={"title": blank})).title == "pump failed"


def shaped(kind: str, reason: str, *, name: str = "", key: list[object] | None = None) -> Notification:
    """A notification of a firing of some kind of trigger."""
    said = about(name, reason=reason)
    said.firing["tree"] = {"kind": kind}
    said.firing["firing"]["key"] = key or []
    if not name:
        del said.firing["event"]["data"]["resource"]
        del said.firing["event"]["subject"]
    return said


@pytest.mark.parametrize(
    ("said", "title"),
    [
        (shaped("event", "an event matched", name="pump"), "pump failed"),
        (shaped("threshold", "3 of 3", name="pump"), "pump failed"),
        (shaped("absence", "it did not come within 5m", key=[17]), "17: it did not come within 5m"),
        (shaped("silence", "nothing came for 5m", name="pump"), "pump: nothing came for 5m"),
        (shaped("aggregate", "avg over 5m is 80", name="boiler", key=["b1"]), "boiler: avg over 5m is 80"),
        (shaped("deadline", "nothing came before 7"), "page-on-failure: nothing came before 7"),
        (shaped("sequence", "2 steps happened", name="pump"), "page-on-failure: pump"),
        (shaped("schedule", "it was 7"), "page-on-failure"),
        (shaped("event", "an event matched", key=["eu", 7]), "page-on-failure: eu, 7"),
    ],
)
def test_a_title_says_what_is_wrong_and_not_just_what_came_last(said: Notification, title: str):
    assert made(said).title == title


def test_several_things_are_not_taken_for_one():
    said = about("pump 3")
    others = [{"data": {"resource": {"kind": "thing", "id": name}}} for name in ("p1", "p2", "p2")]
    said.firing["events"] = [*others, said.firing["event"]]
    said.firing["firing"]["count"] = 4
    assert made(said).title == "pump 3 and 2 more failed"


def test_a_message_names_the_key_the_labels_and_the_tags():
    said = about("boiler")
    said.firing["firing"]["key"] = ["b1", None, 7]
    said.firing["event"]["data"]["resource"] |= {
        "labels": {"env": "prod", "room": "c\x00"},
        "tags": ["finance", "eu"],
    }
    told = {fact.name: fact.value for fact in made(said).fields}
    assert (told["Key"], told["Labels"], told["Tags"]) == ("b1, 7", "env=prod, room=c\ufffd", "finance, eu")
    said.firing["firing"]["key"] = ["boiler"]
    assert "Key" not in [fact.name for fact in made(said).fields]


def test_a_long_name_leaves_room_for_what_happened():
    title = made(about("n" * 2_000)).title
    assert title.endswith("n… failed")
    assert len(title) < 220


def test_a_message_says_nothing_where_there_is_nothing_to_say():
    told = made(about(error={"type": "E", "message": " ", "traceback": "\n"}))
    assert told.body == "**E**"
    assert made(about(message="")).body == ""
    assert "Because" not in [fact.name for fact in told.fields]
    assert ("Because", "3 of 3") in [(fact.name, fact.value) for fact in made(about(reason="3 of 3")).fields]


def test_no_service_shows_a_withdrawn_alert_as_one_that_is_over():
    said = notification(
        firing={**fired(), "reason": "withdrawn"}, status=Status.RESOLVED, body="All is well."
    )
    told = made(said)
    assert told.title == "Withdrawn: nightly failed"
    assert told.body.endswith("whether it is over is not known.\n\nAll is well.")
    shown = [
        json.dumps(slack.payload(told, slack.SlackConfig(webhook_url="https://hooks.example")), default=str),
        json.dumps(teams.payload(told), ensure_ascii=False),
        email_html.html(told, domain="example.com"),
        console.payload(told),
    ]
    over = ("#2e9e5b", "white_check_mark", "✅", '"Good"', "resolved", "Resolved")
    for one in shown:
        assert "Withdrawn" in one
        assert [word for word in over if word in one] == []


async def test_an_alert_is_kept_whatever_its_thing_is_called(engine):
    """PostgreSQL takes no null character."""
    alert = Alert("alert-1", "nightly", ("k",), NOON, NOON, title="a\x00b failed")
    async with engine.begin() as connection:
        await alerts.begin(connection, alert, {}, "opened")
        await alerts.change(connection, "alert-1", End("ended", NOON, "no\x00more", by="a\x00da"))
    kept = await alerts.Alerts(engine).get("alert-1")
    assert kept is not None
    assert (kept.alert.title, kept.alert.reason) == ("a\ufffdb failed", "no\ufffdmore")
    assert [(one.by, one.detail) for one in await alerts.Alerts(engine).history("alert-1")][-1] == (
        "a\ufffdda",
        "no\ufffdmore",
    )
