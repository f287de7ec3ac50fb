"""A pytest plugin: collects the tests of rules in every ``*.tocsin-test.yaml``, one item for each test."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from _pytest._code.code import TerminalRepr

    from tocsin_automations.testing import RuleTestCase

_SUFFIXES = (".tocsin-test.yaml", ".tocsin-test.yml")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> "RuleTestFile | None":
    """Collect a file of rule tests."""
    if file_path.name.endswith(_SUFFIXES):
        return RuleTestFile.from_parent(parent, path=file_path)
    return None


class RuleTestsInvalid(Exception):  # noqa: N818 - it names what was found
    """A file of rule tests, or one that it reads, is not right; the message has all problems."""


class RuleTestFailed(Exception):  # noqa: N818 - it names what was found
    """A test of rules did not go as expected; the message has all differences."""


class RuleTestFile(pytest.File):
    """A file of rule tests."""

    def collect(self) -> Iterator["RuleTestItem"]:
        """Yield the tests of the file.

        Raises:
            RuleTestsInvalid: the file is not right.

        """
        from tocsin_automations.plugins import action_kinds, rehearsal, trigger_kinds
        from tocsin_automations.problem import has_errors
        from tocsin_automations.sources import read_beside
        from tocsin_automations.testing import TestContext, load_tests

        context = TestContext(action_kinds(), trigger_kinds(), read_beside, rehearsal())
        loaded = load_tests(self.path.read_bytes(), str(self.path), context)
        if has_errors(loaded.problems):
            raise RuleTestsInvalid("\n".join(map(str, loaded.problems)))
        for case in loaded.cases:
            yield RuleTestItem.from_parent(self, name=case.name, case=case)

    def repr_failure(
        self,
        excinfo: pytest.ExceptionInfo[BaseException],
        style: Any = None,  # noqa: ARG002 - pytest passes it by name
    ) -> "str | TerminalRepr":
        """Show problems as they are, without a traceback."""
        if isinstance(excinfo.value, RuleTestsInvalid):
            return str(excinfo.value)
        return super().repr_failure(excinfo)


class RuleTestItem(pytest.Item):
    """One test of rules."""

    def __init__(self, *, case: "RuleTestCase", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.case = case

    def runtest(self) -> None:
        """Run the test.

        Raises:
            RuleTestFailed: it did not go as expected.

        """
        result = self.case.run()
        if not result.passed:
            raise RuleTestFailed("\n\n".join(result.differences))

    def repr_failure(
        self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None
    ) -> "str | TerminalRepr":
        """Show differences as they are, without a traceback."""
        if isinstance(excinfo.value, RuleTestFailed):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Return where the test stands."""
        return self.path, self.case.line - 1, self.name
