"""The examples are right, tested, and pass."""

from pathlib import Path

import pytest

from tocsin_automations.loader import LoadContext, load_automations
from tocsin_automations.plugins import action_kinds, rehearsal, trigger_kinds
from tocsin_automations.sources import read_beside, read_sources
from tocsin_automations.testing import TestContext, run_test_file

EXAMPLES = Path(__file__).parents[2] / "examples"
CONTEXT = TestContext(action_kinds(), trigger_kinds(), read_beside, rehearsal())


@pytest.mark.parametrize(
    "file", sorted((EXAMPLES / "tests").glob("*.yaml")), ids=lambda file: file.stem.split(".")[0]
)
def test_the_tests_of_an_example_pass(file: Path) -> None:
    result = run_test_file(file.read_bytes(), str(file), CONTEXT)
    assert [str(problem) for problem in result.problems] == []
    assert [difference for one in result.results for difference in one.differences] == []
    assert len(result.results) >= 2


def test_there_are_ten_examples_each_with_tests() -> None:
    rules = {file.stem for file in (EXAMPLES / "automations").glob("*.yaml")}
    tests = {file.name.removesuffix(".tocsin-test.yaml") for file in (EXAMPLES / "tests").glob("*.yaml")}
    assert len(rules) == 10
    assert tests == rules


def test_all_examples_together_are_one_project() -> None:
    sources, unreadable = read_sources([EXAMPLES])
    loaded = load_automations(sources, LoadContext(action_kinds(), trigger_kinds(), {"inbox"}))
    assert [str(problem) for problem in (*unreadable, *loaded.problems)] == []
    assert len(loaded.automations) == 10
