"""The examples in the reference of triggers are rule tests, and pass; every kind has one."""

import re
from pathlib import Path

import pytest

from tocsin_automations.plugins import action_kinds, trigger_kinds
from tocsin_automations.sources import read_beside
from tocsin_automations.testing import TestContext, run_test_file

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "triggers.md").read_text()
EXAMPLES = re.findall(r"^## (.*?)\n.*?^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(("title", "text"), EXAMPLES, ids=[title for title, _ in EXAMPLES])
def test_the_example_passes(title: str, text: str, tmp_path: Path) -> None:
    context = TestContext(action_kinds(), trigger_kinds(), read_beside)
    result = run_test_file(text, str(tmp_path / "x.tocsin-test.yaml"), context)
    assert [str(problem) for problem in result.problems] == []
    assert [one.differences for one in result.results if not one.passed] == []
    assert result.results


def test_every_kind_is_documented() -> None:
    titles = {word.strip(" `") for title, _ in EXAMPLES for word in title.split(",")}
    assert set(trigger_kinds()) == titles
