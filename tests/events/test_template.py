"""Texts and values from templates: names, filters, typed values, what is missing."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tocsin_events.envelope import encode_event
from tocsin_events.template import TemplateProblem, compile_template, compile_value, template_names
from tocsin_events.view import EventView

NAMES: dict[str, Any] = {
    "event": {"time": datetime(2026, 3, 1, 6, tzinfo=UTC), "type": "flow-run.failed"},
    "data": {
        "rows": 5,
        "ratio": 0.5,
        "ok": True,
        "nothing": None,
        "items": [1, 2],
        "keys": "k",
        "values": "v",
        "get": "g",
        "update": "u",
        "message": "boom",
        "seconds": 5400,
        "nested": {"a": {"b": "deep"}},
        "files": [{"name": "a.csv", "size": 10}, {"name": "b.csv", "size": 20}],
    },
    "flow": {"name": "etl", "labels": {"env": "prod", "team": "data"}},
    "tags": ["finance", "daily"],
    "count": 3,
}


def text(template: str) -> str:
    return compile_template(template).render(NAMES)


RENDERED = [
    ("no template", "no template"),
    ("{{ flow.name }} failed {{ count }} times", "etl failed 3 times"),
    ("{{ data.nested.a.b }} {{ data['nested']['a'].b }}", "deep deep"),
    ("{{ data.items }} {{ data.keys }} {{ data.values }} {{ data.get }} {{ data.update }}", "[1, 2] k v g u"),
    ("{{ data.files[0].name }} {{ data.files[-1]['size'] }} {{ tags.0 }}", "a.csv 20 finance"),
    ("{{ tags[1:] }} {{ flow.name[:2] }}", '["daily"] et'),
    ("{{ data.ok }} {{ data.nothing }}| {{ data.ratio }}", "true | 0.5"),
    ("{{ event.time }} {{ event.time.year }}", "2026-03-01T06:00:00Z 2026"),
    ("{{ event.time | local('Europe/Berlin') }}", "2026-03-01 07:00:00 CET"),
    ("{{ event.time | local('Asia/Tokyo', '%H:%M') }}", "15:00"),
    ("{{ '2026-07-01T06:00:00Z' | local('Europe/Berlin', '%H:%M %Z') }}", "08:00 CEST"),
    ("{{ event.time | strftime('%d.%m.') }} {{ event.time.isoformat() }}", "01.03. 2026-03-01T06:00:00Z"),
    ("{{ data.seconds | duration }} {{ 0.25 | duration }} {{ 12.5 | duration }}", "1h30m 250ms 12.5s"),
    ("{{ 'a long text' | truncate(6) }} {{ 'short' | truncate(6) }}", "a lon… short"),
    ("{{ data.nested | json }} {{ data.files | map(attribute='size') | tojson }}", '{"a": {"b": "deep"}} [10, 20]'),
    ("{{ data.zip | default('none') }} {{ zip.zap.zop | d('none') }}", "none none"),
    ("{{ 'x' if data.zip is defined }}{{ 'y' if data.rows is defined else 'z' }}", "y"),
    ("{% for k, v in flow.labels.items() %}{{ k }}={{ v }};{% endfor %}", "env=prod;team=data;"),
    ("{% for k, v in flow.labels | items %}{{ k }}={{ v }};{% endfor %}", "env=prod;team=data;"),
    ("{{ flow.labels.get('env') }} {{ flow.labels.get('zip', '-') }} {{ flow.labels.keys() | join(',') }}", "prod - env,team"),
    ("{% for t in tags %}{{ loop.index }}/{{ loop.length }} {{ t }}{{ ', ' if not loop.last }}{% endfor %}",
     "1/2 finance, 2/2 daily"),
    ("{% for t in [] %}x{% else %}none{% endfor %}", "none"),
    ("{% if count > 2 and 'finance' in tags %}many{% elif count %}few{% endif %}", "many"),
    ("{% set n = count * 2 %}{{ n }} {{ n / 4 }} {{ n // 4 }} {{ n % 4 }} {{ 2 ** 10 }}", "6 1.5 1 2 1024"),
    ("{% set ns = namespace(x=0) %}{% for f in data.files %}{% set ns.x = ns.x + f.size %}{% endfor %}{{ ns.x }}", "30"),
    ("{{ data.files | map(attribute='size') | sum }} {{ data.files | sum(attribute='size') }}", "30 30"),
    ("{{ data.files | selectattr('size', 'gt', 15) | map(attribute='name') | join(', ') }}", "b.csv"),
    ("{% for g in data.files | groupby('size') %}{{ g.grouper }}:{{ g.list | length }} {% endfor %}", "10:1 20:1 "),
    ("{{ tags | sort | first }} {{ tags | map('upper') | join('+') }}", "daily FINANCE+DAILY"),
    ("{{ flow.name.upper() }} {{ flow.name.replace('e', 'a') }} {{ 'a-b'.split('-') }}", 'ETL atl ["a", "b"]'),
    ("{{ flow.name ~ '/' ~ count }} {{ 'ab' * 2 }} {{ 'a' + 'b' }}", "etl/3 abab ab"),
    ("{{ 'one\ntwo\nthree' | last_lines(2) }}|{{ 'a\nb' | indent(2) }}", "two\nthree|a\n  b"),
    ("{{ '<!channel> & co' | slack }} {{ '<b>\"' | html }} {{ '*x*' | markdown }}",
     "&lt;!channel&gt; &amp; co &lt;b&gt;&quot; \\*x\\*"),
    ("{# a comment #}{% raw %}{{ x }}{% endraw %}", "{{ x }}"),
    ("{{ event.time - (event.time - event.time) }}", "2026-03-01T06:00:00Z"),
]  # fmt: skip


@pytest.mark.parametrize(("template", "expected"), RENDERED, ids=[template for template, _ in RENDERED])
def test_a_template_gives_its_text(template: str, expected: str) -> None:
    assert text(template) == expected
    assert compile_template(template).render_lenient(NAMES) == (expected, ())


MISSING = [
    ("{{ data.foo }}", "data.foo is missing"),
    ("{{ data.foo.bar }}", "data.foo is missing"),
    ("{{ worker.name }}", "worker is missing"),
    ("{{ data['foo bar'] }}", 'data["foo bar"] is missing'),
    ("{{ data.files[7].name }}", "data.files[7] is missing"),
    ("{{ data.foo | upper }}", "data.foo is missing"),
    ("{{ data.foo + 1 }}", "data.foo is missing"),
    ("{{ 'x' ~ data.foo }}", "data.foo is missing"),
    ("{% for x in data.foo %}{% endfor %}", "data.foo is missing"),
    ("{{ data.rows.real }}", "data.rows.real is missing"),
    ("{{ flow.name.zfill }}", "flow.name.zfill is missing"),
]


@pytest.mark.parametrize(("template", "problem"), MISSING, ids=[template for template, _ in MISSING])
def test_what_is_missing_is_named_in_full(template: str, problem: str) -> None:
    with pytest.raises(TemplateProblem, match="missing") as raised:
        text(template)
    assert raised.value.message.startswith(problem)


@pytest.mark.parametrize(("template", "problem"), MISSING, ids=[template for template, _ in MISSING])
def test_a_lenient_rendering_goes_on_past_what_is_missing(template: str, problem: str) -> None:
    result, problems = compile_template("before " + template + " after {{ flow.name }}").render_lenient(NAMES)
    assert result.startswith("before ")
    assert result.endswith(" after etl")
    assert problems == (problem,)


def test_a_lenient_rendering_shows_what_is_missing() -> None:
    result, problems = compile_template(
        "{{ data.foo }} | {{ worker.name | upper }} | {{ count }}"
    ).render_lenient(NAMES)
    assert result == "⟨missing: data.foo⟩ | ⟨missing: worker⟩ | 3"
    assert problems == ("data.foo is missing", "worker is missing")


def test_a_lenient_rendering_keeps_what_came_before_a_failure() -> None:
    result, problems = compile_template("{{ flow.name }}: {{ 1 / 0 }} lost").render_lenient(NAMES)
    assert result == "etl: ⟨template failed: division by zero (line 1)⟩"
    assert problems == ("division by zero (line 1)",)


def test_a_missing_condition_is_false_in_a_lenient_rendering() -> None:
    template = "{% if data.foo %}a{% elif data.foo > 3 or data.foo == 3 %}b{% else %}c{% endif %}"
    assert compile_template(template).render_lenient(NAMES)[0] == "c"


PROBLEMS = [
    ("{{ x", "unexpected end of template", 1),
    ("a\n{% if %}", "Expected an expression", 2),
    ("a\nb {{ 1 / 0 }}", "division by zero", 2),
    ("\n\n{{ data.rows + 'x' }}", "+ is not defined for a number and a text", 3),
    ("{{ data.rows | local }}", "a time is wanted, not a number", 1),
    ("{{ event.time | local('Mars') }}", "'Mars' is no time zone", 1),
    ("{{ 'soon' | local }}", "'soon' is no time", 1),
    ("{{ flow | duration }}", "duration takes a number of seconds, not a mapping", 1),
    ("{{ data.nothing | items }}", "a mapping is wanted, not null", 1),
    ("{% for x in count %}{% endfor %}", "a loop goes over a list, not a number", 1),
    ("{{ x | nosuch }}", "No filter named 'nosuch'", 1),
    ("{{ x is nosuch }}", "No test named 'nosuch'", 1),
]


@pytest.mark.parametrize(
    ("template", "message", "line"), PROBLEMS, ids=[template for template, *_ in PROBLEMS]
)
def test_a_problem_says_what_and_in_which_line(template: str, message: str, line: int) -> None:
    with pytest.raises(TemplateProblem) as problem:
        text(template)
    assert message in problem.value.message
    assert problem.value.line == line


NATIVE = [
    ("{{ data.rows }}", 5),
    ("  {{ data.rows + 1 }}\n", 6),
    ("{{ data.ratio }}", 0.5),
    ("{{ data.ok }}", True),
    ("{{ data.nothing }}", None),
    ("{{ data.files | map(attribute='size') }}", [10, 20]),
    ("{{ {'a': tags, 'b': count} }}", {"a": ["finance", "daily"], "b": 3}),
    ("{{ flow.labels }}", {"env": "prod", "team": "data"}),
    ("{{ (1, 2) }}", [1, 2]),
    ("{{ event.time }}", "2026-03-01T06:00:00Z"),
    ("{{ data.rows if false }}", None),
    ("{{ '5' }}", "5"),
    ("{{ data.rows }}!", "5!"),
    ("{{ data.rows }}{{ data.rows }}", "55"),
    ("{% if true %}{{ data.rows }}{% endif %}", "5"),
    ("5", "5"),
]


@pytest.mark.parametrize(("template", "expected"), NATIVE, ids=[template for template, _ in NATIVE])
def test_a_template_that_is_one_expression_gives_its_typed_value(template: str, expected: Any) -> None:
    result = compile_template(template).render_native(NAMES)
    assert result == expected
    assert type(result) is type(expected)


def test_a_native_value_is_one_that_json_has() -> None:
    for template in ("{{ 1e308 * 10 }}", "{{ range }}", "{{ namespace(a=1) }}"):
        with pytest.raises(TemplateProblem, match="JSON"):
            compile_template(template).render_native(NAMES)


def test_arguments_are_rendered_with_their_types_at_any_depth() -> None:
    value = compile_value(
        {
            "name": "run-{{ count }}",
            "parameters": {"rows": "{{ data.rows }}", "list": ["{{ tags }}", 1]},
            "n": 2,
        }
    )
    assert value.render(NAMES) == {
        "name": "run-3",
        "parameters": {"rows": 5, "list": [["finance", "daily"], 1]},
        "n": 2,
    }
    assert value.names == {"count", "data", "tags"}


def test_a_problem_in_an_argument_names_its_place() -> None:
    with pytest.raises(TemplateProblem, match=r"^parameters\.days\[1\]: unexpected"):
        compile_value({"parameters": {"days": ["x", "{{ oops"]}})
    with pytest.raises(TemplateProblem, match=r"^parameters\.days\[0\]: data\.foo is missing"):
        compile_value({"parameters": {"days": ["{{ data.foo }}"]}}).render(NAMES)


def test_a_template_knows_the_names_it_asks_for() -> None:
    template = "{% for t in tags %}{{ t }}{{ vars.X }}{% set y = 1 %}{{ y }}{{ range(3) }}{% endfor %}"
    assert compile_template(template).names == {"tags", "vars"}


def test_the_names_of_a_view_are_those_of_the_event_and_the_given_ones() -> None:
    body = encode_event(
        id="e1", type="t", source="s", time=0, payload={"rows": 3},
        resource={"kind": "flow-run", "id": "r1", "name": "jumpy", "tags": ["a"]},
    )  # fmt: skip
    names = template_names(EventView.decode(body, received=0), count=2, elapsed=timedelta(minutes=90))
    template = "{{ flow_run.name }} {{ data.rows }} {{ tags }} {{ count }} {{ event.time }} {{ elapsed }}"
    assert compile_template(template).render(names) == 'jumpy 3 ["a"] 2 1970-01-01T00:00:00Z 1h30m'
    assert "worker" not in names
    assert list(template_names(None, count=2)) == ["count"]


def test_a_rendering_changes_nothing_that_it_was_given() -> None:
    given: dict[str, Any] = {"a": [3, 1, 2], "d": {"x": 1}}
    compile_template("{% set a = a | sort %}{{ a | reverse | list }}{{ d | dictsort }}").render(given)
    assert given == {"a": [3, 1, 2], "d": {"x": 1}}
