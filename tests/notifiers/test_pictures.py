"""The picture of the last runs on its way into messages: by whom it is shown, and that it never holds one up."""

import asyncio
import base64
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firings import fired
from mail_server import mail_server
from messages import HOSTILE, any_message, message
from notifying import NOON, SECRETS, delivered, notification, until
from png_pixels import decoded
from receivers import Answer, receiver
from slack_receiver import Slack as SlackThere
from slack_receiver import complaints_about, shown
from tocsin_notifiers.email import EmailConfig
from tocsin_notifiers.email import payload as mail_of
from tocsin_notifiers.firing import runs_of
from tocsin_notifiers.message import Image, RunsOf
from tocsin_notifiers.picture_link import NoPicture, PictureLinks, public_base
from tocsin_notifiers.pictures import Pictures
from tocsin_notifiers.run_chart import PastRun, read_chart
from tocsin_notifiers.run_picture import COLOURS, Outcome, draw
from tocsin_notifiers.slack import SlackConfig
from tocsin_notifiers.slack import payload as slack_of
from tocsin_notifiers.teams import LIMIT
from tocsin_notifiers.teams import payload as card_of

SECOND = 1_000_000
CHART = "m7fcffc80f20"
ALT = "The last 3 runs of nightly: 2 completed, 1 failed; median 20 s"
HERE = Image(alt=ALT, chart=CHART)
THERE = Image(alt=ALT, chart=CHART, url=f"https://tocsin.example/pictures/{CHART}.sig.png")
MAIL = EmailConfig.model_validate(
    {"to": ["a@example.com"], "from": "tocsin@example.com", "smtp": {"host": "mail"}}
)
BOT = SlackConfig(token={"secret": "t"}, channel="#x")
LINKS = PictureLinks([b"key"], "https://tocsin.example")


class Record:
    """A record of runs: two that completed, and then the one that failed."""

    def __init__(self):
        self.asked = []

    async def last_runs(self, of, limit):
        self.asked.append((of.kind, of.name, limit))
        states = (("failed", 5), ("completed", 20), ("completed", 40))
        return [PastRun(f"r{n}", state, 0, took * SECOND) for n, (state, took) in enumerate(states, 1)]


# -- where it comes from -----------------------------------------------------------------------------------------------


def test_a_message_is_about_the_runs_of_its_deployment_or_without_one_of_its_flow():
    firing = fired(at="2026-03-01T12:00:00Z")
    assert runs_of(firing) == RunsOf(kind="deployment", name="nightly", run="r1", state="failed", at=NOON)
    firing["event"]["data"]["related"].pop()
    assert runs_of(firing) == RunsOf(kind="flow", name="etl", run="r1", state="failed", at=NOON)
    firing["event"]["data"]["related"].clear()
    assert runs_of(firing) is None
    assert runs_of({}) is None


async def test_a_message_gets_the_picture_of_its_runs_with_what_it_says():
    record = Record()
    made = (await Pictures(record, LINKS).illustrated(message(), NOON)).image
    assert record.asked == [("deployment", "nightly", 20)]
    assert made.alt == ALT
    assert LINKS.read(made.url.removeprefix("https://tocsin.example/pictures/").removesuffix(".png")) == (
        read_chart(made.chart)
    )


async def test_without_a_public_address_or_runs_there_is_none():
    assert (await Pictures(Record(), PictureLinks([b"key"])).illustrated(message(), NOON)).image.url == ""
    assert (await Pictures(Record()).illustrated(message(), NOON)).image.url == ""
    assert (await Pictures(Record()).illustrated(message(runs_of=None), NOON)).image is None


async def test_a_record_that_never_answers_or_breaks_costs_only_the_picture():
    class Silent:
        async def last_runs(self, of, limit):
            await asyncio.Event().wait()

    class Broken:
        async def last_runs(self, of, limit):
            raise OSError("database is locked")

    plain = message()
    assert await Pictures(Silent(), patience=0.01).illustrated(plain, NOON) == plain
    assert await Pictures(Broken()).illustrated(plain, NOON) == plain


# -- its address -------------------------------------------------------------------------------------------------------


@given(st.text(max_size=250) | st.binary(max_size=60).map(lambda it: base64.urlsafe_b64encode(it).decode()))
def test_whatever_else_comes_is_no_picture(text):
    for token in (text, f"{CHART}.{text}", f"{text}.{LINKS.token(read_chart(CHART)).partition('.')[2]}"):
        if token != LINKS.token(read_chart(CHART)):
            with pytest.raises(NoPicture):
                LINKS.read(token)


def test_an_address_signed_with_an_older_key_still_leads_to_its_picture():
    chart = read_chart(CHART)
    token = PictureLinks([b"old"]).token(chart)
    assert PictureLinks([b"new", b"old"]).read(token) == chart
    with pytest.raises(NoPicture):
        PictureLinks([b"new"]).read(token)


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("https://tocsin.example.com/", "https://tocsin.example.com"),
        ("https://example.com:8443/tocsin/", "https://example.com:8443/tocsin"),
        ("https://93.184.215.14", "https://93.184.215.14"),
        ("http://tocsin.example.com", ""), ("https://localhost:4200", ""), ("https://127.0.0.1", ""),
        ("https://[::1]:4200", ""), ("https://10.0.0.7", ""), ("https://tocsin", ""), ("https://tocsin.local", ""),
        ("https://tocsin.corp.internal.", ""), ("not a url", ""), ("https://", ""), ("", ""), (None, ""),
    ],
)  # fmt: skip
def test_only_what_anybody_can_reach_by_https_is_a_public_address(url, base):
    assert public_base(url) == base


# -- who shows it ------------------------------------------------------------------------------------------------------


def test_a_mail_carries_the_picture_and_shows_it_where_it_stands():
    mail = mail_of(message(image=HERE), MAIL)
    page = mail.get_body(("related",))
    (part,) = page.iter_attachments()
    assert (part.get_content_type(), part.get_content_disposition()) == ("image/png", "inline")
    assert part.get_content() == draw(read_chart(CHART))
    assert f'src="cid:{part["Content-ID"].strip("<>")}"' in page.get_body(("html",)).get_content()
    assert ALT in mail.get_body(("plain",)).get_content()
    assert not list(mail_of(message(), MAIL).get_body(("html",)).iter_attachments())


@pytest.mark.parametrize("name", [*HOSTILE, '" onerror="alert(1)', "'><img src=x>"])
async def test_a_picture_of_a_flow_with_a_hostile_name_is_no_markup(name):
    about = message(runs_of=RunsOf(kind="flow", name=name), title="t", body="", fields=())
    made = await Pictures(Record(), LINKS).illustrated(about, NOON)
    page = mail_of(made, MAIL).get_body(("html",)).get_content()
    assert page.count("<img") == 1
    assert "<script" not in page
    assert 'onerror="' not in page
    for image in (made.image, made.image.model_copy(update={"url": ""})):
        said = slack_of(made.model_copy(update={"image": image}), BOT)
        assert complaints_about(said) == []
        assert "<!" not in shown({**said, "attachments": [_without_plain_text(said)]})
        caption = _bodies(card_of(made.model_copy(update={"image": image})))[-1]["text"]
        assert "<" not in caption
        assert "](" not in caption


def test_slack_shows_the_picture_by_its_address_and_else_what_it_says():
    (image,) = [one for one in _blocks(message(image=THERE)) if one["type"] == "image"]
    assert (image["image_url"], image["alt_text"], image["title"]["text"]) == (THERE.url, ALT, ALT)
    blocks = _blocks(message(image=HERE))
    assert not [one for one in blocks if one["type"] == "image"]
    assert ALT in json.dumps(blocks)


@given(any_message, st.sampled_from([HERE, THERE]))
@settings(max_examples=40)
def test_slacks_limits_hold_with_a_picture(any_one, image):
    assert complaints_about(slack_of(any_one.model_copy(update={"image": image}), BOT)) == []


def test_teams_shows_the_picture_by_its_address_and_else_within_the_card():
    for image in (HERE, THERE):
        picture, caption = _bodies(card_of(message(image=image)))[-2:]
        assert (picture["type"], picture["altText"], caption["text"]) == ("Image", ALT, ALT)
        if image is THERE:
            assert picture["url"] == THERE.url
        else:
            png = picture["url"].removeprefix("data:image/png;base64,")
            assert base64.b64decode(png, validate=True) == draw(read_chart(CHART))


@given(any_message, st.sampled_from([HERE, THERE]))
@settings(max_examples=40)
def test_a_card_with_a_picture_is_never_larger_than_teams_takes(any_one, image):
    written = card_of(any_one.model_copy(update={"image": image}))
    assert len(json.dumps(written, ensure_ascii=False).encode()) <= LIMIT


def test_a_text_that_teams_has_no_room_for_comes_before_the_picture():
    long = message(image=HERE, body="word " * 1_000 + "\n\n" + ("more " * 1_000 + "\n\n") * 6)
    kinds = [one["type"] for one in _bodies(card_of(long))]
    assert "Image" not in kinds


# -- through the whole service -----------------------------------------------------------------------------------------


async def test_the_mail_that_arrives_has_the_picture_of_the_failed_run_in_it(serving, tmp_path):
    async with mail_server(tmp_path, password=SECRETS["smtp"]) as server:
        notifiers = {"mail": {"email": server.written()}}
        async with serving(notifiers, pictures=Pictures(Record())) as service:
            await service.submit(notification(notifier="mail"))
            await until(lambda: delivered(service, "n1"))
    (mail,) = server.mails
    (part,) = mail.get_body(("related",)).iter_attachments()
    drawn = decoded(part.get_content())
    assert (drawn.width, drawn.height) == (1080, 240)
    assert COLOURS[Outcome.FAILED] in drawn.colours(2 * 54 + 9, 2 * 54 + 45)
    assert COLOURS[Outcome.FAILED] not in drawn.colours(0, 2 * 54)
    assert ALT in mail.get_body(("plain",)).get_content()


async def test_slack_gets_the_message_without_the_picture_that_it_could_not_load(serving):
    slack = SlackThere()
    refused = {"ok": False, "error": "invalid_blocks", "errors": ["downloading image failed"]}

    def answer(request):
        with_picture = "image_url" in request.body.decode()
        return _json(refused) if with_picture else slack(request)

    async with receiver(answer) as there:
        config = {"token": {"secret": "slack-token"}, "channel": "#data-alerts", "api": f"{there.url}/api"}
        async with serving({"hook": {"slack": config}}, pictures=Pictures(Record(), LINKS)) as service:
            await service.submit(notification())
            (done,) = await until(lambda: delivered(service, "n1"))
    assert done.attempts == 1
    assert len(there.requests) == 2
    assert len(slack.messages) == 1
    assert slack.complaints == []


async def test_a_preview_shows_the_picture_and_says_what_is_attached(serving):
    written = {"to": ["a@example.com"], "from": "t@example.com", "smtp": {"host": "mail"}}
    async with serving({"mail": {"email": written}}, pictures=Pictures(Record())) as service:
        (one,) = await service.preview(notification(notifier="mail"))
    assert one.message.image.alt == ALT
    (attached,) = one.payload["attached"]
    assert (attached["name"], attached["type"]) == ("last-runs.png", "image/png")
    assert json.loads(one.message.model_dump_json())["image"]["alt"] == ALT


def _blocks(one):
    return slack_of(one, BOT)["attachments"][0]["blocks"]


def _without_plain_text(body):
    """What Slack would look for mentions in: it looks into no plain text, nor into what is said instead of a picture."""
    return [one for one in body["attachments"][0]["blocks"] if one["type"] != "image"]


def _bodies(card):
    return card["attachments"][0]["content"]["body"]


def _json(body):
    return Answer(200, json.dumps(body).encode(), {"content-type": "application/json"})
