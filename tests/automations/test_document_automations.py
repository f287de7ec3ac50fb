from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict

from tocsin_automations.loader import LoadContext, Loaded, load_automations
from tocsin_automations.plugins import trigger_kinds
from tocsin_automations.problem import Severity


class NotifyArgs(BaseModel):
    model_config = ConfigDict(extra="forbid")
    notify: str | list[str]
    title: str = ""
    body: str = ""
    fields: dict[str, str] = {}


class RunArgs(BaseModel):
    model_config = ConfigDict(extra="forbid")
    deployment: str | None = None
    parameters: dict[str, Any] = {}


@dataclass(frozen=True)
class Kind:
    name: str
    main: str
    model: type[BaseModel]


KINDS: Mapping[str, Any] = {
    "notify": Kind("notify", "notify", NotifyArgs),
    "run_deployment": Kind("run_deployment", "deployment", RunArgs),
}


def load(*texts: str, notifiers: tuple[str, ...] | None = ("oncall", "inbox")) -> Loaded:
    context = LoadContext(KINDS, trigger_kinds(), notifiers)
    return load_automations(
        ((f"{letter}.yaml", text) for letter, text in zip("abc", texts, strict=False)), context
    )


def complaints(*texts: str) -> list[str]:
    return [str(problem) for problem in load(*texts).problems]


GOOD = """\
automations:
  keeps-failing:
    description: Too many failures.
    labels: {team: data}
    when:
      event: flow-run.failed
      where: deployment.labels.env == "prod"
      count: 3
      within: 10m
      for_each: flow.name
    then:
      - notify: oncall
        title: "{{ flow.name }} failed {{ count }} times"
        if: size(data.message) > 3
      - run_deployment: clean-up
        parameters: {rows: "{{ data.rows }}", n: 3}
    until:
      event: flow-run.completed
    limits: {cooldown: 1h}
    grace: 0s
"""


def test_a_file_becomes_automations_with_their_places() -> None:
    loaded = load(GOOD)
    assert loaded.problems == ()
    [automation] = loaded.automations
    assert automation.name == "keeps-failing"
    assert [action.kind for action in automation.then] == ["notify", "run_deployment"]
    assert automation.then[1].args == {
        "deployment": "clean-up",
        "parameters": {"rows": "{{ data.rows }}", "n": 3},
    }
    file, place = loaded.places["keeps-failing"]
    assert (file, place.line, place.column) == ("a.yaml", 2, 3)


def test_several_documents_files_and_other_sections_are_accepted() -> None:
    loaded = load(
        "automations:\n  a: {when: {event: x}}\n---\nnotifiers: {}\nautomations:\n  b: {when: {event: x}}\n",
        "deployments: {}\n",
        "automations:\n",
    )
    assert loaded.problems == ()
    assert [automation.name for automation in loaded.automations] == ["a", "b"]


def test_a_name_used_twice_anywhere_names_both_places() -> None:
    one = "automations:\n  same: {when: {event: x}}\n"
    assert complaints(one, "---\n" + one) == [
        "b.yaml:3:3: error: the automation 'same' is here a second time; first at a.yaml:2:3"
    ]


def test_names_are_lower_case_letters_digits_and_dashes() -> None:
    what = "a name is of a-z, 0-9 and - (not at its ends), 200 characters at most"
    assert complaints("automations:\n  My_Rule: {when: {event: x}}\n") == [
        f"a.yaml:2:3: error: {what}; this is 'My_Rule' (did you mean my-rule?)"
    ]


def test_unknown_keys_are_found_at_every_level() -> None:
    assert complaints(
        """\
automatons: {}
automations:
  a:
    wehn: {event: x}
    when: {event: x, count: 2, wihtin: 3m}
    then:
      - notify: oncall
        titel: hello
      - notfy: oncall
      - run_deployment: x
        retyr: {}
    limits: {cooldwon: 1h}
"""
    ) == [
        "a.yaml:1:1: error: unknown section 'automatons' (did you mean automations?)",
        "a.yaml:4:5: error: unknown key 'wehn' (did you mean when?)",
        "a.yaml:5:32: error: unknown key 'wihtin' (did you mean within?)",
        "a.yaml:8:9: error: unknown key 'titel' (did you mean title?)",
        "a.yaml:9:9: error: there is no action 'notfy' (did you mean notify?)",
        "a.yaml:11:9: error: unknown key 'retyr' (did you mean retry?)",
        "a.yaml:12:14: error: unknown key 'cooldwon' (did you mean cooldown?)",
    ]


def test_expressions_are_checked_where_they_stand() -> None:
    found = complaints(
        """\
automations:
  a:
    when:
      event: x
      where: |
        data.n == 1 &&
        data.m == )
      for_each: ["data.x", "data.)"]
    then:
      - notify: oncall
        if: 'data.n + )'
"""
    )
    assert [one.split(": ")[0] for one in found] == ["a.yaml:7:19", "a.yaml:8:34", "a.yaml:11:23"]


def test_templates_are_checked_where_they_stand() -> None:
    found = complaints(
        """\
automations:
  a:
    when: {event: x}
    then:
      - notify: oncall
        title: "{{ flow.name"
        body: |
          fine
          {% if x %}
        fields: {a: "{{ flwo.name }}"}
"""
    )
    assert [one.split(": ")[0] for one in found] == ["a.yaml:6:16", "a.yaml:9:11", "a.yaml:10:21"]
    assert "bad template" in found[0]
    assert "warning: templates know no 'flwo' of their own (did you mean flow?)" in found[2]


def test_an_unknown_notifier_is_named_with_the_nearest() -> None:
    rule = (
        "automations:\n  a:\n    when: {event: x}\n    then: [{notify: onclal}, {notify: '{{ data.who }}'}]\n"
    )
    assert complaints(rule) == ["a.yaml:4:21: error: there is no notifier 'onclal' (did you mean oncall?)"]
    assert load(rule, notifiers=None).problems == ()


def test_a_trigger_that_is_none_says_what_one_has() -> None:
    assert complaints("automations:\n  a:\n    when: {evnt: x}\n") == [
        "a.yaml:3:12: error: unknown key 'evnt' (did you mean event?)"
    ]
    [problem] = complaints("automations:\n  a:\n    when: {where: x}\n")
    assert problem.startswith("a.yaml:3:11: error: no trigger has just these keys; one has ")


def test_mistakes_in_children_of_a_trigger_are_at_their_place() -> None:
    assert complaints(
        """\
automations:
  a:
    when:
      all:
        - {event: x, wher: data.a}
        - {evnt: y}
        - {sequence: [{event: a}, {missing: b, after: c, withn: 3m}], within: 1h}
        - event: z
          where: data.m == )
      within: 1h
    then:
      - notify: oncall
        retry: {tmes: 3}
"""
    ) == [
        "a.yaml:5:22: error: unknown key 'wher' (did you mean where?)",
        "a.yaml:6:12: error: unknown key 'evnt' (did you mean event?)",
        "a.yaml:7:58: error: unknown key 'withn' (did you mean within?)",
        "a.yaml:9:28: error: ')' is not expected here",
        "a.yaml:13:17: error: unknown key 'tmes' (did you mean times?)",
    ]


def test_combinations_that_make_no_sense_are_refused() -> None:
    [problem] = complaints("automations:\n  a:\n    when: {event: x}\n    then_resolve: [{notify: oncall}]\n")
    assert problem.startswith("a.yaml:3:5: error: then_resolve needs `until`")


def test_shapes_that_are_wrong_are_plain_sentences() -> None:
    assert complaints(
        "automations: [a]\n", "- x", "automations:\n  a: 3\n  b: {when: 3, then: {notify: x}}\n  c:\n"
    ) == [
        "a.yaml:1:14: error: `automations` is a mapping of names to automations",
        "b.yaml:1:1: error: a file has sections, such as `automations:`",
        "c.yaml:2:6: error: an automation is a mapping with `when` and `then`",
        "c.yaml:3:13: error: a trigger is a mapping such as `event: flow-run.failed`",
        "c.yaml:3:22: error: a list is expected, got a mapping",
        "c.yaml:4:5: error: an automation is a mapping with `when` and `then`",
    ]


def test_a_type_that_the_service_never_makes_is_a_warning() -> None:
    text = "automations:\n  a: {when: {event: [flow-run.faild, flow-run.failed, flow-run.*, order.faild]}}\n"
    what = "there is no event 'flow-run.faild' among those that Tocsin makes itself"
    assert complaints(text) == [f"a.yaml:2:22: warning: {what} (did you mean flow-run.failed?)"]


def test_a_condition_that_is_never_true_or_false_is_an_error() -> None:
    text = "automations:\n  a:\n    when: {event: x, where: '1 + 1'}\n    then: [{notify: oncall, if: count > 2}]\n"
    assert complaints(text) == ["a.yaml:3:30: error: a condition is true or false; this is int"]


def test_a_warning_keeps_nothing_from_being_loaded() -> None:
    loaded = load(
        "automations:\n  a: {when: {event: x}, then: [{notify: oncall, title: '{{ flwo.name }}'}]}\n"
    )
    assert [problem.severity for problem in loaded.problems] == [Severity.WARNING]
    assert loaded.ok
    assert len(loaded.automations) == 1
