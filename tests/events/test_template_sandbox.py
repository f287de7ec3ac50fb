"""No template gets at Python, or burns time or memory, whatever it says and whatever the event holds."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin_events.template import TemplateProblem, compile_template, compile_value
from tocsin_events.template.budget import MAX_OUTPUT, MAX_SOURCE, MAX_TEXT

BIG = {
    "data": {
        "text": "a" * 400_000,
        "numbers": list(range(100_000)),
        "others": list(range(100_000)),
        "lines": "x\n" * 100_000,
        "rows": 5,
        "name": "etl",
        "map": {str(n): n for n in range(1_000)},
    },
    "event": {"time": datetime(2026, 3, 1, tzinfo=UTC)},
    "tags": ["a", "b"],
}

FORBIDDEN = [
    "{{ ''.__class__ }}",
    "{{ data.__class__.__mro__ }}",
    "{{ data['__class__'] }}",
    "{{ data | attr('__class__') }}",
    "{{ [data] | map(attribute='__class__') | list }}",
    "{{ [''] | map(attribute='format') | first }}",
    "{{ tags | map('~counted', -1000000) | list }}",
    "{{ tags | map('~select', '__class__', 'x') | list }}",
    "{{ data.text.format(1) }}",
    "{{ '%1000000000d' % 1 }}",
    "{{ '{0.__class__}'.format(data) }}",
    "{{ '{:>1000000000}'.format(1) }}",
    "{{ data.rows.to_bytes(1000000000) }}",
    "{{ event.time.__reduce__ }}",
    "{{ tags.append('x') }}",
    "{{ data.clear() }}",
    "{{ data.update({'a': 1}) }}",
    "{{ self }}",
    "{{ self.__init__.__globals__ }}",
    "{{ cycler('a').__init__.__globals__ }}",
    "{{ lipsum(n=1000) }}",
    "{{ joiner.__init__ }}",
    "{{ namespace.__init__.__globals__ }}",
    "{% set n = namespace() %}{{ n['__class__'] }}",
    "{% set n = namespace() %}{% set n.__class__ = 1 %}",
    "{{ range.__class__ }}",
    "{{ loop.__class__ }}",
    "{% for x in tags %}{{ loop.__init__ }}{% endfor %}",
    "{% for x in tags %}{{ loop['_iterable'] }}{% endfor %}",
    "{% for x in tags %}{{ loop.changed(data) }}{% endfor %}",
    "{% for x in tags %}{{ loop(tags) }}{% endfor %}",
    "{% for x in tags recursive %}{{ loop([[1]]) }}{% endfor %}",
    "{% include 'x' %}",
    "{% import 'x' as y %}",
    "{% from 'x' import y %}",
    "{% extends 'x' %}",
    "{% block a %}{{ self.a() }}{% endblock %}",
    "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "{% call f() %}{% endcall %}",
    "{{ f(*tags) }}",
    "{{ data.numbers.sort() }}",
    "{{ tags() }}",
    "{{ ('a' | upper)() }}",
    "{{ event.time.now() }}",
    "{{ event.time.tzinfo }}",
    "{{ context }}",
    "{{ environment }}",
    "{{ undefined }}",
    "{% do x %}",
    "{% autoescape true %}{% endautoescape %}",
]


@pytest.mark.parametrize("template", FORBIDDEN)
def test_what_is_forbidden_is_a_problem(template: str) -> None:
    with pytest.raises(TemplateProblem):
        compile_template(template).render(BIG)


EXPENSIVE = [
    "{{ 'x' * 10**9 }}",
    "{{ 10**9 * 'x' }}",
    "{{ tags * 10**9 }}",
    "{{ 'x' | center(10**9) }}",
    "{{ 'x' | indent(10**9, true) }}",
    "{{ data.lines | indent(1000) }}",
    "{{ (data.text ~ data.text) | replace('a', data.text) }}",
    "{{ data.text.replace('', data.text) }}",
    "{{ data.numbers | join(data.text) }}",
    "{{ range(10**9) }}",
    "{{ range(-10**9, 10**9, 1) | list }}",
    "{{ 9 ** 9999 ** 2 }}",
    "{{ (10 ** 300) ** 4 }}",
    "{{ 5 | round(10**9) }}",
    "{{ 5 | round(-10**9, 'floor') }}",
    "{{ tags | batch(10**9, 'x') }}",
    "{{ tags | slice(10**9) }}",
    "{{ event.time | strftime('%Y' * 1000) }}",
    "{% for a in range(1000) %}{% for b in range(1000) %}{% endfor %}{% endfor %}",
    "{% for a in data.numbers %}{% for b in data.numbers %}x{% endfor %}{% endfor %}",
    "{% for a in range(900) %}{{ data.numbers == data.others }}{% endfor %}",
    "{% for a in range(900) %}{{ -1 in data.numbers }}{% endfor %}",
    "{% for a in range(900) %}{{ data.text | upper | length }}{% endfor %}",
    "{% for a in range(900) %}{{ data.numbers | sort | first }}{% endfor %}",
    "{% for a in range(900) %}{{ data.numbers[1:] | first }}{% endfor %}",
    "{% for a in range(900) %}{{ (data.numbers + data.others) | first }}{% endfor %}",
    "{% for a in range(900) %}{{ (data.text ~ a) | length }}{% endfor %}",
    "{% for a in range(900) %}{{ data.numbers | map('string') | list | length }}{% endfor %}",
    "{% for a in range(900) %}{{ data | json | length }}{% endfor %}",
    "{% for a in range(900) %}{{ data.map | dictsort | length }}{% endfor %}",
    "{% for a in range(900) %}{{ data.numbers | select('gt', 5) | list | length }}{% endfor %}",
    "{% set a = 'xxxxxxxx' %}" + "{% set a = a ~ a %}" * 60 + "{{ a | length }}",
    "{% set a = 'xxxxxxxx' %}" + "{% set a = a + a %}" * 60 + "{{ a | length }}",
    "{% set a = [1] %}" + "{% set a = a + a %}" * 60 + "{{ a | length }}",
    "{% set a = [1] %}" + "{% set a = [a, a] %}" * 60 + "{{ a }}",
    "{% set a = [1] %}" + "{% set a = [a, a] %}" * 60 + "{{ a == [a] }}",
    "{% set a = {'x': 1} %}" + "{% set a = {'x': a, 'y': a} %}" * 60 + "{{ a | string }}",
    "{% set n = namespace(a='xxxx') %}{% for i in range(99) %}{% set n.a = n.a ~ n.a %}{% endfor %}{{ n.a }}",
    "{% set n = namespace(a=7) %}{% for i in range(99) %}{% set n.a = n.a * n.a %}{% endfor %}{{ n.a }}",
    "{% set n = namespace(a=[1]) %}{% for i in range(900) %}{% set n.a = [n.a] * 2 %}{% endfor %}{{ n.a }}",
    "{{ data.text }}",
    "{{ data.numbers }}",
    "{% for a in range(1000) %}{{ 'x' * 100 }}{% endfor %}",
    "{% set x %}{% for a in range(1000) %}{{ data.text[:20000] }}{% endfor %}{% endset %}{{ x | length }}",
    "{% set x %}{% for a in range(1000) %}{% for b in range(1000) %}"
    + "x" * 20_000
    + "{% endfor %}{% endfor %}{% endset %}",
    "{% set x %}{% for a in range(1000) %}{{ data.text }}{% endfor %}{% endset %}",
    "{% filter upper %}{% for a in range(1000) %}{{ data.text[:20000] }}{% endfor %}{% endfilter %}",
    "((" * MAX_SOURCE,
    "{{ " + "(" * 10_000 + "1" + ")" * 10_000 + " }}",
    "{{ " + "-" * 10_000 + "1 }}",
    "{{ " + "not " * 5_000 + "1 }}",
    "{{ 1" + " + 1" * 5_000 + " }}",
    "{{ 'a'" + " ~ 'a'" * 5_000 + " ~ zip }}",
    "{{ a" + ".a" * 5_000 + " }}",
    "{{ a" + "|upper" * 3_000 + " }}",
    "{{ " + "[" * 5_000 + "]" * 5_000 + " }}",
    "{% if 1 %}" * 200 + "{% endif %}" * 200,
    "{% for a in tags %}" * 40 + "{% endfor %}" * 40,
    "{{ 1 if 1 else " * 2_000 + "1" + " }}",
    "{{ " + "9" * 5_000 + " }}",
]


@pytest.mark.parametrize("template", EXPENSIVE, ids=[f"{n}-{one[:40]}" for n, one in enumerate(EXPENSIVE)])
def test_what_costs_too_much_is_a_problem(template: str) -> None:
    with pytest.raises(TemplateProblem):
        compile_template(template).render(BIG)


@pytest.mark.parametrize("template", EXPENSIVE, ids=[f"{n}-{one[:40]}" for n, one in enumerate(EXPENSIVE)])
def test_a_lenient_rendering_is_as_bounded(template: str) -> None:
    try:
        compiled = compile_template(template)
    except TemplateProblem:
        return
    text, problems = compiled.render_lenient(BIG)
    assert problems
    assert len(text) <= MAX_OUTPUT + 1_000


def test_a_rendering_leaves_the_next_one_its_whole_budget() -> None:
    template = compile_template("{% for n in data.numbers[:5000] %}x{% endfor %}")
    assert [len(template.render(BIG)) for _ in range(3)] == [5_000] * 3


def test_the_largest_field_of_an_event_can_be_cut_to_size() -> None:
    assert compile_template("{{ data.text | truncate(10) }}").render(BIG) == "aaaaaaaaa…"
    assert len(BIG["data"]["text"]) <= MAX_TEXT  # type: ignore[index]


def test_values_that_nest_too_deeply_are_a_problem() -> None:
    deep: Any = "x"
    for _ in range(50_000):
        deep = [deep]
    for template in ("{{ a }}", "{{ a | json }}", "{{ a == [a] }}", "{{ a | string | length }}"):
        with pytest.raises(TemplateProblem):
            compile_template(template).render({"a": deep})
    with pytest.raises(TemplateProblem):
        compile_value("{{ a }}").render({"a": deep})


PIECES = st.sampled_from(
    ["{{ ", " }}", "{% ", " %}", "{# ", " #}", "for x in ", "endfor", "if ", "endif", "else", "set y = ", "data", "tags", "x",
     ".a", "[0]", "['k']", "(", ")", "[", "]", "{", "}", "|", "upper", "default('z')", "join(',')", "json", "length", "local",
     "duration", "map('", "attribute='a'", " + ", " * ", " ** ", " ~ ", " == ", " in ", " is ", "defined", "1", "1000000", "2.5",
     "'text'", '"', "'", "range(3)", "loop", ".index", "self", "__class__", "namespace()", " if ", " else ", "-", "\n", "é", "raw"]
)  # fmt: skip


@settings(max_examples=500, deadline=None)
@given(st.lists(PIECES, max_size=25).map("".join) | st.text(max_size=60))
def test_any_text_is_a_template_or_refused_and_a_lenient_rendering_never_raises(text: str) -> None:
    names = {"data": {"a": [1, "x"], "k": None}, "tags": ["a"], "x": {"a": 1}}
    try:
        template = compile_template(text)
    except TemplateProblem:
        return
    template.render_lenient(names)
    for render in (template.render, template.render_native):
        try:
            render(names)
        except TemplateProblem:
            continue


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.datetimes() | st.timedeltas()
    | st.just(10**400) | st.just(object()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=4,
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(
        ["{{ a }}", "{{ a + b }}", "{{ a - b }}", "{{ a * b }}", "{{ a / b }}", "{{ a // b }}", "{{ a % b }}", "{{ a ** b }}",
         "{{ a ~ b }}", "{{ a == b }}", "{{ a < b }}", "{{ a in b }}", "{{ a[b] }}", "{{ a.b }}", "{{ -a }}", "{{ a[b:] }}",
         "{{ a | duration }}", "{{ a | local }}", "{{ a | json }}", "{{ a | join(b) }}", "{{ a | replace(b, b) }}", "{{ a | sort }}",
         "{{ a | round }}", "{{ a | int }}", "{{ a | truncate(3) }}", "{{ a | sum }}", "{{ a | dictsort }}", "{{ a | batch(2) }}",
         "{{ a | map('upper') }}", "{{ a | groupby('x') }}", "{{ a | urlencode }}", "{{ a | filesizeformat }}", "{{ a | split(b) }}",
         "{% for x in a %}{{ x }}{{ loop.length }}{% endfor %}", "{% if a %}{{ b }}{% endif %}", "{{ a is divisibleby b }}",
         "{{ a | local('UTC', b) }}", "{{ a | strftime(b) }}", "{{ a | max }}", "{{ a | unique }}", "{{ a | last_lines(b) }}"]
    ),
    VALUES,
    VALUES,
)  # fmt: skip
def test_no_value_makes_a_rendering_raise_anything_else(text: str, a: Any, b: Any) -> None:
    template = compile_template(text)
    template.render_lenient({"a": a, "b": b})
    try:
        template.render_native({"a": a, "b": b})
    except TemplateProblem:
        return
