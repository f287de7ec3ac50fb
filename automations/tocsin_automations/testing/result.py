"""How rule tests went, as values; and the JUnit form that CI systems read."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from tocsin_automations.problem import Problem

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class RuleTestResult:
    """How one test went; ``differences`` are readable texts of one or more lines, none when it passed.

    ``line`` is where the test begins in ``file``; ``seconds`` is how long it took, where someone measured it.
    """

    file: str
    line: int
    name: str
    differences: tuple[str, ...] = ()
    seconds: float | None = None

    @property
    def passed(self) -> bool:
        """Whether all was as expected."""
        return not self.differences


@dataclass(frozen=True, slots=True)
class TestFileResult:
    """How the tests of one file went; with an error among ``problems``, none of them ran."""

    __test__ = False  # pytest: this is no test class

    file: str
    results: tuple[RuleTestResult, ...]
    problems: tuple[Problem, ...]


def junit_xml(results: Iterable[RuleTestResult], problems: Iterable[Problem] = ()) -> str:
    """Return results as JUnit XML: a suite for each file, a failure with its differences, an error for each problem."""
    suites: dict[str, ET.Element] = {}
    root = ET.Element("testsuites", name="tocsin test")
    for result in results:
        case = _case(root, suites, result.file, result.name)
        case.set("line", str(result.line))
        if result.seconds is not None:
            case.set("time", f"{result.seconds:.3f}")
        if not result.passed:
            first = result.differences[0].splitlines()[0]
            ET.SubElement(case, "failure", message=_clean(first)).text = _clean(
                "\n\n".join(result.differences)
            )
    for problem in problems:
        case = _case(root, suites, problem.file, f"{problem.file}:{problem.line}")
        ET.SubElement(case, "error", message=_clean(problem.message)).text = _clean(str(problem))
    for element in (root, *suites.values()):
        element.set("tests", str(len(element.findall(".//testcase"))))
        element.set("failures", str(len(element.findall(".//failure"))))
        element.set("errors", str(len(element.findall(".//error"))))
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _case(root: ET.Element, suites: dict[str, ET.Element], file: str, name: str) -> ET.Element:
    if file not in suites:
        suites[file] = ET.SubElement(root, "testsuite", name=_clean(file))
    return ET.SubElement(
        suites[file], "testcase", classname=_clean(file), name=_clean(name), file=_clean(file)
    )


def _clean(text: str) -> str:
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)
