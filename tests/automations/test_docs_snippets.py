"""Every YAML block of the pages about rules is right; blocks that are tests pass."""

import re
from pathlib import Path

import pytest

from tocsin_automations.document import Table, read
from tocsin_automations.loader import LoadContext, load_automations
from tocsin_automations.plugins import action_kinds, rehearsal, trigger_kinds
from tocsin_automations.sources import read_beside
from tocsin_automations.testing import TestContext, run_test_file

DOCS = Path(__file__).parents[2] / "docs"
PAGES = [
    DOCS / "reference" / "automations.md",
    DOCS / "how-to" / "write-a-rule.md",
    DOCS / "how-to" / "test-a-rule.md",
    DOCS / "tutorial" / "first-rule.md",
]
_BLOCK = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def snippets() -> list[tuple[str, str]]:
    found = []
    for page in PAGES:
        text = page.read_text()
        for block in _BLOCK.finditer(text):
            line = text.count("\n", 0, block.start()) + 2
            found.append((f"{page.stem}-{line}", block.group(1)))
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the files that snippets of tests read, as the tutorial has them."""
    tutorial = [text for name, text in snippets() if name.startswith("first-rule") and "deployments:" in text]
    (tmp_path / "tocsin.yaml").write_text("\n---\n".join(tutorial))
    return tmp_path


@pytest.mark.parametrize("text", [text for _, text in snippets()], ids=[name for name, _ in snippets()])
def test_a_snippet_of_the_documentation_is_right(text: str, folder: Path) -> None:
    parsed = read(text, "snippet.yaml")
    if any(isinstance(one, Table) and "tests" in one.entries for one in parsed.documents):
        file = str(folder / "snippet.tocsin-test.yaml")
        result = run_test_file(
            text, file, TestContext(action_kinds(), trigger_kinds(), read_beside, rehearsal())
        )
        assert [str(problem) for problem in result.problems] == []
        assert [one.differences for one in result.results if not one.passed] == []
        assert result.results
    else:
        loaded = load_automations([("snippet.yaml", text)], LoadContext(action_kinds(), trigger_kinds()))
        assert [str(problem) for problem in loaded.problems] == []
