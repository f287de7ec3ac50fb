"""When a failed attempt is made again."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.retries import Delays, Retries, seconds

ERROR = ValueError("no")


@pytest.mark.parametrize(
    ("delay", "expected"),
    [
        (2, [2, 2, 2]),
        ("1m30s", [90, 90, 90]),
        (timedelta(seconds=5), [5, 5, 5]),
        ([1, "2s"], [1, 2, 2]),
        ([], [0, 0, 0]),
        (lambda failed: 2**failed, [2, 4, 8]),
    ],
)
def test_delays_are_one_for_all_or_one_for_each_or_computed(delay: Delays, expected: list[float]) -> None:
    retries = Retries(3, delay)
    assert [retries.delay_after(failed, ERROR, 0.0) for failed in (1, 2, 3)] == expected
    assert retries.delay_after(4, ERROR, 0.0) is None


@given(st.floats(0, 100), st.floats(0, 3), st.floats(0, 1, exclude_max=True))
def test_jitter_lengthens_by_at_most_its_share(delay: float, jitter: float, chance: float) -> None:
    waits = Retries(1, delay, jitter).delay_after(1, ERROR, chance)
    assert waits is not None
    assert delay <= waits <= delay * (1 + jitter)


@given(st.integers(0, 10), st.integers(1, 20))
def test_there_are_as_many_retries_as_asked_for(times: int, failed: int) -> None:
    assert (Retries(times).delay_after(failed, ERROR, 0.0) is None) == (failed > times)


@pytest.mark.parametrize("delay", [-1, float("nan"), float("inf"), "soon"])
def test_what_is_no_duration_is_refused(delay: float) -> None:
    with pytest.raises(ValueError, match="duration"):
        seconds(delay)
