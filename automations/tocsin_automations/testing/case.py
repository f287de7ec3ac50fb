"""From the text of a file of rule tests to tests that can be run, and to their results."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tocsin_automations.action import ActionKind
from tocsin_automations.automation import Automation
from tocsin_automations.document import read
from tocsin_automations.loader import LoadContext, Loaded, load_automations, load_section
from tocsin_automations.node import Node, Place, Scalar, Sequence, Table
from tocsin_automations.problem import Problem, has_errors, in_order, nearest
from tocsin_automations.sources import Source
from tocsin_automations.testing.compare import differences
from tocsin_automations.testing.deliveries import (
    NothingToAcknowledge,
    RehearseDeliveries,
    Script,
    acknowledged,
    delivery_differences,
    unknown_words,
)
from tocsin_automations.testing.given import arrivals, last_instant
from tocsin_automations.testing.model import RuleTest, RuleTests
from tocsin_automations.testing.player import Played, Unplayable, play
from tocsin_automations.testing.result import RuleTestResult, TestFileResult
from tocsin_automations.trigger import TriggerConfig
from tocsin_automations.validation import place_of, validate
from tocsin_events.duration import format_duration

ReadBeside = Callable[[str, str], tuple[tuple[Source, ...], tuple[Problem, ...]]]
"""Gives the files that a path in a test file stands for: of the test file's name and the path."""


@dataclass(frozen=True, slots=True)
class TestContext:
    """What rule tests are run with: the kinds of actions and triggers, and where files come from."""

    __test__ = False  # pytest: this is no test class

    actions: Mapping[str, ActionKind]
    triggers: Mapping[str, type[TriggerConfig]]
    read_beside: ReadBeside
    rehearse: RehearseDeliveries | None = None
    """What the notification pipeline would deliver; without it, tests that expect deliveries can't be run."""


@dataclass(frozen=True, slots=True)
class RuleTestCase:
    """One test, ready to run; ``line`` is where it begins in ``file``."""

    file: str
    line: int
    test: RuleTest
    automations: tuple[Automation, ...]
    actions: Mapping[str, ActionKind]
    variables: Mapping[str, Any]
    sections: Mapping[str, Any] = field(default_factory=dict)
    rehearse: RehearseDeliveries | None = None

    @property
    def name(self) -> str:
        """The test's name."""
        return self.test.name

    def run(self) -> RuleTestResult:
        """Play the test, and return how it went."""
        try:
            played = play(self.test, self.automations, self.actions, self.variables)
        except Unplayable as problem:
            return RuleTestResult(self.file, self.line, self.name, (str(problem),))
        found = [*differences(self.test, played.happened, played.decided)]
        if self.test.deliveries is not None:
            found += self._deliveries(played)
        return RuleTestResult(self.file, self.line, self.name, tuple(found))

    def _deliveries(self, played: Played) -> list[str]:
        test = self.test
        if self.rehearse is None:
            return ["the test expects deliveries, and no notification pipeline is installed (tocsin[server])"]
        try:
            script = Script(
                self.sections,
                played.asked,
                tuple(test.silences),
                acknowledged(test.acknowledgements, played.asked),
                clock=test.clock,
                lasts=last_instant(test),
            )
            return [*delivery_differences(test, self.rehearse(script))]
        except NothingToAcknowledge as problem:
            return [str(problem)]
        except ValueError as problem:
            return [f"the deliveries can't be rehearsed: {problem}"]


@dataclass(frozen=True, slots=True)
class LoadedTests:
    """The tests of a file, none if it has an error, and all problems with it."""

    file: str
    cases: tuple[RuleTestCase, ...]
    problems: tuple[Problem, ...]


def load_tests(text: str | bytes, file: str, context: TestContext) -> LoadedTests:
    """Return the tests of a file; ``file`` is its name, from whose folder the paths in it begin."""
    parsed = read(text, file)
    problems = [*parsed.problems]
    cases: list[RuleTestCase] = []
    for document in parsed.documents:
        tests, found = validate(document, RuleTests, file)
        problems += found
        if not isinstance(document, Table):
            continue
        loaded = _automations(document, file, context)
        problems += loaded.problems
        if tests is None:
            continue
        sections = _sections(document, file, context)
        problems += _test_problems(document, tests, loaded, file)
        problems += _unknown_words(document, tests, sections, file, context)
        cases += _cases(document, tests, loaded, sections, file, context)
    if not parsed.documents and not problems:
        problems.append(Problem(file, 1, 1, "the file has no tests"))
    return LoadedTests(file, () if has_errors(problems) else tuple(cases), in_order(problems))


def run_test_file(text: str | bytes, file: str, context: TestContext) -> TestFileResult:
    """Run all tests of a file, and return how they went; with an error in the file, none is run."""
    loaded = load_tests(text, file, context)
    return TestFileResult(file, tuple(case.run() for case in loaded.cases), loaded.problems)


def _cases(
    document: Table,
    tests: RuleTests,
    loaded: Loaded,
    sections: Mapping[str, Any],
    file: str,
    context: TestContext,
) -> Iterator[RuleTestCase]:
    for number, test in enumerate(tests.tests):
        line = place_of(document, ("tests", number)).line
        yield RuleTestCase(
            file, line, test, loaded.automations, context.actions, tests.variables, sections, context.rehearse
        )


def _sections(document: Table, file: str, context: TestContext) -> Mapping[str, Any]:
    """Return what is said about notifications: in the files of the rules, and before them in the test's own."""
    found: dict[str, Any] = {}
    beside = [*_beside(document, file, context)]
    for name in ("notifiers", "quiet_hours", "inhibit"):
        nodes = [*(one.get(name) for one in beside), document.get(name)]
        parts = [node.plain() for node in nodes if node is not None]
        if name == "inhibit":
            found[name] = {"all": [rule for part in parts if isinstance(part, list) for rule in part]}
        else:
            found[name] = {
                key: value for part in parts if isinstance(part, dict) for key, value in part.items()
            }
    return found


def _beside(document: Table, file: str, context: TestContext) -> Iterator[Table]:
    """Yield the documents of the files that hold the rules."""
    written = document.get("automations")
    for node in written.items if isinstance(written, Sequence) else (written,):
        if isinstance(node, Scalar) and isinstance(node.value, str):
            for name, text in context.read_beside(file, node.value)[0]:
                yield from (one for one in read(text, name).documents if isinstance(one, Table))


def _automations(document: Table, file: str, context: TestContext) -> Loaded:
    named = document.get("notifiers")
    notifiers = frozenset(named.entries) if isinstance(named, Table) else None
    against = LoadContext(context.actions, context.triggers, notifiers)
    written = document.get("automations")
    if isinstance(written, Table):
        return load_section([(file, written)], against)
    sources: list[Source] = []
    problems: list[Problem] = []
    for node in written.items if isinstance(written, Sequence) else (written,):
        if isinstance(node, Scalar) and isinstance(node.value, str):
            found, unreadable = context.read_beside(file, node.value)
            sources += found
            problems += [_problem(file, node.place, f"{one.file}: {one.message}") for one in unreadable]
    loaded = load_automations(dict(sources).items(), against)
    return Loaded(loaded.automations, loaded.places, (*problems, *loaded.problems))


def _test_problems(document: Table, tests: RuleTests, loaded: Loaded, file: str) -> Iterator[Problem]:
    names: dict[str, Place] = {}
    for number, test in enumerate(tests.tests):
        here = ("tests", number)
        place = place_of(document, (*here, "name"))
        if test.name in names:
            first = names[test.name]
            message = (
                f"the test {test.name!r} is here a second time; first at {file}:{first.line}:{first.column}"
            )
            yield _problem(file, place, message)
        names.setdefault(test.name, place)
        if test.run_until is not None:
            yield from _late_events(document, test, here, file)
        yield from _acknowledgement_problems(document, test, here, file)
        named = [("expect", number, one.automation) for number, one in enumerate(test.expect)]
        named += [("decisions", number, one.automation) for number, one in enumerate(test.decisions)]
        named += [
            ("acknowledgements", number, one.automation) for number, one in enumerate(test.acknowledgements)
        ]
        for part, place_in_list, name in named:
            if name not in loaded.places:
                at = place_of(document, (*here, part, place_in_list, "automation"))
                near = nearest(name, loaded.places)
                yield _problem(file, at, f"there is no automation {name!r} in this test", near)


def _unknown_words(
    document: Table, tests: RuleTests, sections: Mapping[str, Any], file: str, context: TestContext
) -> Iterator[Problem]:
    if context.rehearse is None:
        return
    for number, test in enumerate(tests.tests):
        for path, said, near in unknown_words(test, sections, context.rehearse):
            yield _problem(file, place_of(document, ("tests", number, *path)), said, near)


def _late_events(document: Node, test: RuleTest, here: tuple[str | int, ...], file: str) -> Iterator[Problem]:
    given = {id(event): number for number, event in enumerate(test.events)}
    late = [one for one in arrivals(test) if one.arrives > (test.run_until or 0)]
    for number in dict.fromkeys(given[id(one.given)] for one in late):
        until = format_duration(test.run_until or 0)
        message = f"the event arrives after the test has ended (`run_until: {until}`)"
        yield _problem(file, place_of(document, (*here, "events", number)), message)


def _acknowledgement_problems(
    document: Node, test: RuleTest, here: tuple[str | int, ...], file: str
) -> Iterator[Problem]:
    if test.acknowledgements and test.deliveries is None:
        message = "acknowledging changes only what is delivered: say under `deliveries` what that is"
        yield _problem(file, place_of(document, (*here, "acknowledgements")), message)
    for number, one in enumerate(test.acknowledgements):
        if test.run_until is not None and one.at > test.run_until:
            place = place_of(document, (*here, "acknowledgements", number, "at"))
            until = format_duration(test.run_until)
            yield _problem(file, place, f"this comes after the test has ended (`run_until: {until}`)")


def _problem(file: str, place: Place, message: str, suggestion: str | None = None) -> Problem:
    return Problem(file, place.line, place.column, message, suggestion)
