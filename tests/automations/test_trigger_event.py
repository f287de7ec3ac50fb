"""``event``: fires at each matching event."""

from engine_story import Story, resource


def test_each_matching_event_fires() -> None:
    story = Story(when={"event": "flow-run.failed", "where": 'deployment.labels.env == "prod"'})
    prod, test = resource("deployment/a", env="prod"), resource("deployment/b", env="test")
    story.event("flow-run.failed", "1s", related=[prod]).event("flow-run.failed", "2s", related=[test])
    story.event("flow-run.completed", "3s", related=[prod]).event("flow-run.failed", "4s", related=[prod])
    assert story.fired == [("1s", ["e1"]), ("4s", ["e4"])]


def test_patterns_are_those_of_nats_and_a_list_means_any() -> None:
    story = Story(when={"event": ["a.*", "b.>"]})
    for number, type_ in enumerate(("a", "a.x", "a.x.y", "b", "b.x", "b.x.y", "c.x")):
        story.event(type_, f"{number}s")
    assert [events for _, events in story.fired] == [["e2"], ["e5"], ["e6"]]


def test_a_missing_name_is_no_match_and_the_count_says_which() -> None:
    story = Story(when={"event": "x", "where": "data.rows > 3"}).event("x", "1s", rowz=4)
    assert story.fired == []
    assert story.state.take_counters() == {
        ("rule", "when", "no_match", "data.rows is missing, in data.rows > 3"): 1
    }


def test_a_type_error_is_a_condition_error_and_nothing_fires() -> None:
    story = Story(when={"event": "x", "where": "data.rows > 3"}).event("x", "1s", rows="many")
    assert (story.fired, story.outcomes) == ([], ["condition_error"])
    assert "data.rows > 3" in story.last.reason


def test_an_event_without_a_key_is_ignored() -> None:
    story = Story(when={"event": "x", "for_each": "data.k"}).event("x", "1s").event("x", "2s", k="a")
    assert (story.fired, story.outcomes) == ([("2s", "a", ["e2"])], ["no_key", "fired"])


def test_the_failing_conjunct_is_counted() -> None:
    story = Story(when={"event": "x", "where": "data.a == 1 && data.b > 2"})
    story.event("x", "1s", a=2, b=9).event("x", "2s", a=1, b=1).event("x", "3s", a=2, b=1)
    assert story.state.take_counters() == {
        ("rule", "when", "no_match", "data.a == 1"): 2,
        ("rule", "when", "no_match", "data.b > 2"): 1,
    }


def test_an_event_trigger_is_never_late() -> None:
    story = Story(when={"event": "x"}).event("x", "1s", arrives="9d")
    assert story.fired == [("9d", ["e1"])]
