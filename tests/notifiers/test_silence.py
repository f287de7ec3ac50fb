"""Which silences may be made."""

import pytest

from notifying import NOON
from tocsin_events.instant import SECOND
from tocsin_notifiers.conditions import Conditions
from tocsin_notifiers.silence import NoCondition, Silence, TooWide, check_silence


def check(matcher: str, *, everything: bool = False) -> None:
    silence = Silence("s1", matcher, NOON, NOON + 3_600 * SECOND, "ada")
    check_silence(silence, Conditions(), now=NOON, everything=everything)


@pytest.mark.parametrize(
    "matcher",
    [
        "true",
        "!false",
        "1 < 2",
        'alert.id != ""',
        'automation.name.matches(".*")',
        'severity in ["info", "warning", "error", "critical"]',
        'severity != "none"',
        "alert.count > 0",
        "size(automation.name) > 0",
        "has(alert.opened)",
        'alert.status == "open" || alert.status == "acknowledged"',
        '!(flow.name == "etl") || true',
    ],
)
def test_a_silence_of_everything_has_to_be_meant(matcher: str):
    with pytest.raises(TooWide, match="--everything"):
        check(matcher)
    check(matcher, everything=True)


@pytest.mark.parametrize(
    "matcher",
    [
        'flow.name == "etl"',
        'flow.name != "etl"',
        'severity == "warning"',
        'severity in ["info", "warning"]',
        'alert.status == "open"',
        "alert.count > 3",
        'automation.labels.team == "data"',
        '"finance" in tags',
        'resource.name.startsWith("pump")',
        'alert.opened < timestamp("2026-03-01T00:00:00Z")',
    ],
)
def test_a_silence_of_some_alerts_may_be_made(matcher: str):
    check(matcher)


@pytest.mark.parametrize("matcher", ['"etl"', "automation.name", "alert.count", "[1]"])
def test_a_matcher_that_is_no_condition_is_refused(matcher: str):
    with pytest.raises(NoCondition, match="is no condition"):
        check(matcher)
    with pytest.raises(NoCondition):
        check(matcher, everything=True)
