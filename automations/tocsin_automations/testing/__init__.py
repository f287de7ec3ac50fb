"""Tests of rules, on the production engine in virtual time: no server, no network, no waiting (automations.md, 6).

`run_test_file` runs a file's tests and returns values; the command line, the pytest plugin and CI print them.
"""

from tocsin_automations.testing.case import (
    LoadedTests,
    RuleTestCase,
    TestContext,
    load_tests,
    run_test_file,
)
from tocsin_automations.testing.result import RuleTestResult, TestFileResult, junit_xml

__all__ = [
    "LoadedTests",
    "RuleTestCase",
    "RuleTestResult",
    "TestContext",
    "TestFileResult",
    "junit_xml",
    "load_tests",
    "run_test_file",
]
