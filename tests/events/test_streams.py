"""Subjects and streams."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin_events.asyncapi import Channel, asyncapi_document
from tocsin_events.pattern import matches, matches_any
from tocsin_events.streams import (
    StreamLimits,
    delivery_subject,
    event_filters,
    event_subject,
    event_type,
    log_subject,
    run_subject,
    streams,
)

types = st.text(st.characters(codec="utf-8"), min_size=1, max_size=40) | st.lists(
    st.sampled_from(["a", "b", "", "*", ">", " ", "%", "ü"]), min_size=1, max_size=5
).map(".".join).filter(bool)
tokens = st.sampled_from(["a", "b", "*"])
patterns = st.builds(
    lambda head, tail: ".".join([*head, *tail]),
    st.lists(tokens, min_size=1, max_size=3),
    st.sampled_from([[], [">"]]),
)


@given(types)
def test_a_type_and_its_subject_name_each_other(type_: str) -> None:
    subject = event_subject(type_)
    assert event_type(subject) == type_
    tokens = subject.split(".")
    assert all(tokens)
    assert len(tokens) == 2 + len(type_.split("."))
    assert not any(character.isspace() or character in "*>" for character in subject)


@given(types, types)
def test_two_types_have_two_subjects(one: str, other: str) -> None:
    assert (event_subject(one) == event_subject(other)) == (one == other)


@given(
    st.lists(patterns, max_size=4),
    st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=4).map(".".join),
)
def test_what_fits_the_patterns_is_asked_of_the_bus(wanted: list[str], type_: str) -> None:
    filters = event_filters(wanted)
    if not wanted or matches_any(wanted, type_):
        assert matches_any(filters, event_subject(type_))


@given(st.lists(patterns, min_size=2, max_size=4))
def test_no_two_subjects_asked_of_the_bus_overlap(wanted: list[str]) -> None:
    filters = event_filters(wanted)
    for left in filters:
        for right in filters:
            if left != right:
                assert not matches(left, right)


def test_names_are_one_token_each() -> None:
    assert run_subject("my pool", "a.b") == "tocsin.runs.my%20pool.a%2Eb"
    assert delivery_subject("slack") == "tocsin.deliveries.slack"
    assert log_subject("*") == "tocsin.logs.%2A"


def test_a_type_that_has_no_subject_is_an_error() -> None:
    with pytest.raises(ValueError, match="has a type"):
        event_subject("")
    with pytest.raises(ValueError, match="bytes"):
        event_subject("x" * 4000)
    with pytest.raises(ValueError, match="UTF-8"):
        event_subject("\ud800")


def test_every_stream_has_subjects_of_its_own() -> None:
    subjects = [subject for stream in streams(StreamLimits()) for subject in stream.subjects]
    assert len(set(subjects)) == len(subjects)


def test_the_bus_is_described_in_asyncapi() -> None:
    runs = Channel("tocsin.runs.{pool}.{queue}", "runs", "Runs to be started")
    document = asyncapi_document("1.2.3", [runs])
    assert document["asyncapi"].startswith("3.")
    assert {channel["address"] for channel in document["channels"].values()} == {
        "tocsin.events.{type}",
        "tocsin.runs.{pool}.{queue}",
    }
    assert "EVENTS (tocsin.events.>" in document["info"]["description"]
