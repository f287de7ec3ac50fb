from pathlib import Path

from tocsin_server.config_diff import diff, merge
from tocsin_server.config_files import SourceFile, read_files, resolve


def a_file(text: str, name: str = "tocsin.yaml") -> SourceFile:
    return SourceFile(name, Path("/project"), text)


def test_all_problems_of_all_files_are_told_at_once():
    written = read_files(
        [a_file("automatons: {}\nwebhooks: {a: {}}\n"), a_file("variables: [1]\n", "other.yaml")]
    )
    told = [str(problem) for problem in written.problems]
    assert told == [
        "other.yaml:1:12: error: variables is a mapping of names",
        "tocsin.yaml:1:1: error: there is no section 'automatons' (did you mean automations?)",
        (
            "tocsin.yaml:2:1: error: 'webhooks' is not available in this version;"
            " send CloudEvents to POST /api/v1/events until then"
        ),
    ]


def test_a_name_used_in_two_files_is_a_problem_that_names_both_places():
    first = a_file("variables:\n  a: 1\n", "one.yaml")
    second = a_file("variables:\n  a: 2\n", "two.yaml")
    (problem,) = read_files([first, second]).problems
    assert str(problem) == "two.yaml:2:3: error: variable 'a' is defined twice; first at one.yaml:2:3"


def test_a_deployments_source_is_kept_absolute_from_its_files_folder():
    written = read_files(
        [a_file("deployments:\n  a: {flow: 'f.py:f', source: code}\n  b: {flow: 'f.py:f'}\n")]
    )
    found = {name: resolve(one)["source"] for name, one in written.of("deployments").items()}
    assert found == {"a": "/project/code", "b": "/project"}


def test_an_apply_adds_and_a_prune_removes_only_in_the_sections_that_were_given():
    current = {"automations": {"a": {"x": 1}, "b": {"x": 1}}, "notifiers": {"n": {}}}
    written = {"automations": {"a": {"x": 2}}}
    assert merge(current, written, prune=False)["automations"] == {"a": {"x": 2}, "b": {"x": 1}}
    pruned = merge(current, written, prune=True)
    assert pruned == {"automations": {"a": {"x": 2}}, "notifiers": {"n": {}}}
    changes = diff(current, pruned)
    assert [(one.name, one.change) for one in changes] == [("a", "update"), ("b", "delete")]
    (field,) = changes[0].fields
    assert (field.path, field.before, field.after) == ("x", 1, 2)
