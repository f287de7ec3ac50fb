"""Pages neither skip nor repeat, and a cursor that is not ours is refused, whatever it holds."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firings import fired
from notifying import make_engine
from server_process import ServerProcess
from tocsin_events.dead_letters import DeadLetters
from tocsin_notifiers.alerts import Alerts
from tocsin_notifiers.keeper import take_firing
from tocsin_server.api.paging import LARGEST, number_in, place_in, to_cursor
from tocsin_server.api.problem import Problem


@given(st.integers(-LARGEST, LARGEST), st.text())
def test_a_cursor_leads_back_to_its_place(number, text):
    assert number_in(to_cursor(number)) == number
    assert place_in(to_cursor((number, text))) == (number, text)


@given(
    st.one_of(
        st.text(), st.integers().map(str), st.binary().map(lambda raw: base64.urlsafe_b64encode(raw).decode())
    )
)
def test_whatever_else_is_refused(cursor):
    for read in (number_in, place_in):
        try:
            read(cursor)
        except Problem as problem:
            assert problem.status == 400  # noqa: PT017 - or it was one of ours


@pytest.mark.parametrize(
    "held", [None, True, "1", [1], ["1", "a"], [1, 2], [1, "a", 2], {}, 1.5, 2**63, [2**63, "a"]]
)
def test_a_cursor_of_another_form_is_refused(held):
    cursor = base64.urlsafe_b64encode(json.dumps(held).encode()).decode()
    for read in (number_in, place_in):
        with pytest.raises(Problem):
            read(cursor)


@pytest.mark.parametrize(
    "path",
    [
        f"/inbox/{2**63}",
        f"/inbox/-{2**70}",
        f"/config/revisions/{2**31}",
        f"/runs/none/logs?after={2**63}",
        "/events?since=" + "9" * 400 + "s",
        "/alerts?state=lost",
    ],
)
def test_a_number_out_of_range_is_the_askers_mistake(server: ServerProcess, path):
    with server.client() as client:
        assert client.get(path).status_code in (400, 404)


def test_what_follows_an_id_that_no_stream_gave_is_refused(server: ServerProcess):
    with server.client() as client:
        for given_ in ("-1", "9" * 30, "x", "\u00b2".encode().decode("latin-1")):
            answer = client.get("/events/stream", headers={"Last-Event-ID": given_.encode("latin-1")})
            assert answer.status_code == 400
        for given_ in ('"x"', '"' + "9" * 30 + '"'):
            answer = client.post("/config/apply", json={"files": []}, headers={"If-Match": given_})
            assert answer.status_code == 400
        assert client.post("/config/rollback", json={"revision": 2**70}).status_code == 400


async def test_letters_of_one_instant_are_all_on_some_page(tmp_path):
    engine = await make_engine(f"sqlite+aiosqlite:///{tmp_path}/letters.db")
    letters = DeadLetters(engine)
    for number in range(5):
        await letters.add("broken", "x", str(number).encode(), {}, at=7, stream="EVENTS")
    found, place = [], None
    while page := await letters.ls(limit=2, before=place):
        found += [letter.id for letter in page]
        place = page[-1].created, page[-1].id
    await engine.dispose()
    assert len(found) == len(set(found)) == 5


async def test_alerts_that_changed_at_one_instant_are_all_on_some_page(tmp_path):
    engine = await make_engine(f"sqlite+aiosqlite:///{tmp_path}/alerts.db")
    async with engine.begin() as connection:
        for number in range(5):
            await take_firing(connection, fired(alert=f"a{number}", id_=f"f{number}"), 7)
    alerts = Alerts(engine)
    found, place = [], None
    while page := await alerts.ls(limit=2, before=place):
        found += [alert.id for alert in page]
        place = page[-1].updated, page[-1].id
    await engine.dispose()
    assert sorted(found) == [f"a{number}" for number in range(5)]
