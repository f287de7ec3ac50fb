"""The last runs as bars and in words, and the picture that is drawn of them."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from messages import HOSTILE
from png_pixels import decoded
from tocsin_notifiers.message import RunsOf
from tocsin_notifiers.run_chart import (
    HIGHEST,
    SHOWN,
    Bar,
    Outcome,
    PastRun,
    RunChart,
    chart_of,
    duration_in_words,
    read_chart,
)
from tocsin_notifiers.run_picture import COLOURS, HEIGHT, WIDTH, draw

SECOND = 1_000_000
NIGHTLY = RunsOf(kind="deployment", name="nightly")
SLOT = 54
"""How many columns of the file a run has."""

charts = st.builds(
    RunChart,
    st.lists(
        st.builds(Bar, st.sampled_from(Outcome), st.integers(0, HIGHEST)), min_size=1, max_size=SHOWN
    ).map(tuple),
    st.none() | st.integers(0, HIGHEST),
)


def past(state, seconds, id_="r"):
    return PastRun(id_, state, started=0, ended=seconds * SECOND)


def chart(*outcomes, level=HIGHEST):
    return RunChart(tuple(Bar(one, level) for one in outcomes))


def test_runs_are_counted_in_words_and_the_median_is_that_of_those_that_ended():
    runs = [past("failed", 42)] * 3 + [past("completed", 42)] * 17
    _, said = chart_of(runs, NIGHTLY, 0)
    assert said == "The last 20 runs of nightly: 17 completed, 3 failed; median 42 s"


def test_every_outcome_has_its_word():
    runs = [
        PastRun("r", "running", started=0),
        *(past(one, 8) for one in ("completed", "failed", "timed-out", "crashed", "cancelled")),
    ]
    _, said = chart_of(runs, NIGHTLY, 60 * SECOND)
    assert said == (
        "The last 6 runs of nightly: 1 completed, 2 failed, 1 crashed, 1 cancelled, 1 running; median 8.0 s"
    )


def test_bars_stand_from_the_oldest_run_to_the_latest_as_high_as_they_took():
    runs = [past("failed", 5), past("completed", 10), past("completed", 0)]
    drawn, _ = chart_of(runs, NIGHTLY, 0)
    assert [(bar.outcome, bar.level) for bar in drawn.bars] == [
        (Outcome.COMPLETED, 0), (Outcome.COMPLETED, HIGHEST), (Outcome.FAILED, 128),
    ]  # fmt: skip


def test_a_running_run_is_as_high_as_it_has_taken_so_far():
    runs = [PastRun("r", "running", started=10 * SECOND), past("completed", 10)]
    drawn, _ = chart_of(runs, NIGHTLY, 30 * SECOND)
    assert [bar.level for bar in drawn.bars] == [128, HIGHEST]


@pytest.mark.parametrize("runs", [[], [past("completed", 1)], [PastRun("r", "scheduled")] * 5])
def test_too_few_runs_make_no_picture(runs):
    assert chart_of(runs, NIGHTLY, 0) is None


def test_the_run_that_a_message_is_about_ended_as_its_event_says_where_the_record_lags_behind():
    of = NIGHTLY.model_copy(update={"run": "r1", "state": "failed", "at": 30 * SECOND})
    runs = [PastRun("r1", "running", started=10 * SECOND), past("completed", 20)]
    drawn, said = chart_of(runs, of, 99 * SECOND)
    assert drawn.bars[-1] == Bar(Outcome.FAILED, HIGHEST)
    assert "1 failed" in said
    later = [PastRun("r1", "running", started=40 * SECOND), past("completed", 20)]
    assert chart_of(later, of, 99 * SECOND)[0].bars[-1].outcome is Outcome.RUNNING


@pytest.mark.parametrize("name", [*HOSTILE, "a" * 500, "", "\n\n"])
def test_whatever_a_flow_is_called_the_words_are_one_short_printable_line(name):
    of = RunsOf(kind="flow", name=name)
    _, said = chart_of([past("completed", 1)] * 2, of, 0)
    assert said.isprintable()
    assert len(said) < 200
    assert said.startswith("The last 2 runs")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.35, "350 ms"), (4.2, "4.2 s"), (42, "42 s"), (119, "119 s"), (720, "12 min"), (12_600, "3.5 h"), (1e6, "278 h")],
)  # fmt: skip
def test_a_duration_is_said_as_people_say_it(seconds, said):
    assert duration_in_words(round(seconds * SECOND)) == said


@given(charts)
def test_a_chart_is_read_as_it_was_written(one):
    assert read_chart(str(one)) == one


@given(st.text(alphabet="mcfxnr0123456789abcdef", max_size=80) | st.text(max_size=20))
def test_whatever_else_is_read_is_a_chart_or_refused(text):
    try:
        assert str(read_chart(text)) == text
    except ValueError:
        return


# -- the picture -------------------------------------------------------------------------------------------------------


@given(charts)
@settings(max_examples=20)
def test_every_picture_is_a_whole_png_of_less_than_5_kilobytes(one):
    png = draw(one)
    assert len(png) < 5 * 1024
    drawn = decoded(png)
    assert (drawn.width, drawn.height) == (2 * WIDTH, 2 * HEIGHT)


def test_each_run_has_its_colour_at_its_place_and_what_lies_behind_is_clear():
    drawn = decoded(draw(chart(*Outcome)))
    for place, outcome in enumerate(Outcome):
        inside = drawn.colours(place * SLOT + 9, place * SLOT + 45) - {COLOURS[Outcome.CANCELLED]}
        assert inside == {COLOURS[outcome]} - {COLOURS[Outcome.CANCELLED]}
    assert {pixel[3] for pixel in drawn.rows[0]} == {0}
    assert {pixel[3] for pixel in drawn.column(2 * WIDTH - 1)} == {0}


def test_what_did_not_complete_is_told_from_what_did_without_colours():
    drawn = decoded(draw(chart(*Outcome, level=100)))
    shapes = [
        tuple(tuple(pixel[3] for pixel in row[place * SLOT : (place + 1) * SLOT]) for row in drawn.rows)
        for place in range(len(Outcome))
    ]
    assert len(set(shapes)) == len(Outcome)
    completed, failed = (
        {pixel[3] for pixel in drawn.column(place * SLOT + 27)[160:220]} for place in range(2)
    )
    assert completed == {255}
    assert min(failed) < 128 < max(failed)


def test_a_failed_run_has_a_cross_above_its_bar_and_a_completed_one_has_nothing():
    drawn = decoded(draw(chart(Outcome.COMPLETED, Outcome.FAILED, level=0)))
    middle = 2 * HEIGHT - 8 - 8 - 8 - 12
    assert drawn.rows[middle][SLOT + 27] == (*COLOURS[Outcome.FAILED], 255)
    assert drawn.rows[middle][27][3] == 0


def test_a_longer_run_has_a_higher_bar():
    drawn = decoded(draw(RunChart((Bar(Outcome.COMPLETED, 50), Bar(Outcome.COMPLETED, 250)))))
    shorter, longer = (sum(pixel[3] == 255 for pixel in drawn.column(x)) for x in (27, SLOT + 27))
    assert longer > 3 * shorter > 0


def test_the_picture_in_the_documentation_is_what_is_drawn():
    shown = decoded((Path(__file__).parents[2] / "docs/reference/last-runs.png").read_bytes())
    assert shown == decoded(
        draw(read_chart("ma5ca5c94cbac9bc8fcbbcfecefceaca3ccccabc9df1dn31cffxa1ceff9cr78"))
    )


@pytest.mark.parametrize("behind", [(255, 255, 255), (0x1A, 0x1D, 0x21)])
def test_every_colour_stands_out_on_white_and_on_black(behind):
    for colour in COLOURS.values():
        lighter, darker = sorted((_luminance(colour), _luminance(behind)), reverse=True)
        assert (lighter + 0.05) / (darker + 0.05) >= 3


def _luminance(colour):
    """https://www.w3.org/TR/WCAG21/#dfn-relative-luminance"""
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in (one / 255 for one in colour)
    ]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
