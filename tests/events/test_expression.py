"""What the language means: values, types, errors, absence; a table of cases for each part."""

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from expression_names import Names
from tocsin_events.expression import Absent, ExpressionSyntaxError, Fault, compile_expression

NAMES = Names(
    event={"type": "flow-run.failed", "time": datetime(2026, 3, 1, 6, tzinfo=UTC)},
    data={
        "rows": 3,
        "ratio": 0.5,
        "ok": True,
        "nothing": None,
        "text": "héllo",
        "list": [1, 2.0, "x", None, True],
        "files": [{"name": "a.csv", "size": 10}, {"name": "b.txt", "size": 20}],
        "map": {"a": 1, "b": 2, "in between": 3},
    },
    deployment={"labels": {"env": "prod"}, "name": "nightly"},
    tags=["finance", "daily"],
)


def value(text: str) -> Any:
    return compile_expression(text).evaluate(NAMES)


VALUES: list[tuple[str, Any]] = [
    # numbers
    ("1 + 2 * 3", 7),
    ("7 / 2", 3),
    ("-7 / 2", -3),
    ("-7 % 3", -1),
    ("7 % -3", 1),
    ("7.0 / 2.0", 3.5),
    ("1.0 / 0.0", float("inf")),
    ("0x10 + 1", 17),
    ("5u - 3u", 2),
    ("-data.rows", -3),
    ("--1", 1),
    ("-9223372036854775808", -(2**63)),
    # equality and order cross the number types, and no other
    ("1 == 1.0 && 1 == 1u && 1.0 == 1u", True),
    ("true == 1", False),
    ("'1' == 1", False),
    ("null == false", False),
    ("data.nothing == null", True),
    ("1 < 1.5 && 2u > 1 && 1.5 <= 2u", True),
    ("9007199254740993 == 9007199254740992.0", True),
    ("'a' < 'b' && b'a' < b'b' && false < true", True),
    ("[1, 2] == [1.0, 2u]", True),
    ("[1, 2] == [2, 1]", False),
    ("{'a': 1, 'b': 2} == {'b': 2.0, 'a': 1}", True),
    ("double('NaN') == double('NaN')", False),
    ("[double('NaN')] == [double('NaN')]", False),
    ("{1: 'a'} == {1u: 'a'}", True),
    # texts, bytes
    ("'a' + 'b'", "ab"),
    ("b'a' + b'\\xff'", b"a\xff"),
    ("size('héllo') == 5 && size(b'h\\303\\251') == 3", True),
    ("data.text.contains('llo') && data.text.startsWith('h') && data.text.endsWith('lo')", True),
    ("data.text.matches('^h.*o$')", True),
    ("matches(data.text, 'l{2}')", True),
    ("data.text.matches(deployment.name)", False),
    (r"r'\d+' + '\u00e9\x41\101\U0001F600\n'", "\\d+éAA😀\n"),
    (r"""r'\' + "\"" + '''a"b'c
d'''""", "\\\"a\"b'c\nd"),
    ("'AbC'.lowerAscii() + 'AbC'.upperAscii() + '  x '.trim()", "abcABCx"),
    # lists, maps
    ("[1] + [2]", [1, 2]),
    ("data.list[1]", 2.0),
    ("data.list[1.0] == data.list[1u]", True),
    ("data.map['in between']", 3),
    ("{'a': {'b': 1}}.a.b", 1),
    ("{true: 'yes', 1: 'one'}[true]", "yes"),
    ("2 in data.list && !(3 in data.list) && 'finance' in tags", True),
    ("true in [1]", False),
    ("1.0 in {1: 'a'}", True),
    ("'a' in data.map && !('z' in data.map)", True),
    ("size(data.map) + data.list.size()", 8),
    ("has(data.rows) && has(data.nothing) && !has(data.zip) && !has(data.map.z)", True),
    ("has(deployment) && !has(worker)", True),
    # macros
    ("data.files.exists(f, f.name.endsWith('.csv') && f.size == 10)", True),
    ("data.files.all(f, f.size > 10)", False),
    ("[].all(x, false) && ![].exists(x, true)", True),
    ("data.files.exists_one(f, f.size > 15)", True),
    ("data.files.filter(f, f.size > 15).map(f, f.name)", ["b.txt"]),
    ("data.files.map(f, f.size > 15, f.name)", ["b.txt"]),
    ("[1, 2].map(x, [10, 20].map(y, x * y))", [[10, 20], [20, 40]]),
    ("[1, 2].map(x, [x].map(x, x + 1))", [[2], [3]]),
    ("data.map.filter(k, data.map[k] > 1).size()", 2),
    ("{true: 1}.map(k, k)", [True]),
    # logic
    ("data.rows > 2 ? 'many' : 'few'", "many"),
    ("data.ok && !false || 1 / 0 > 0", True),
    ("1 / 0 > 0 || true", True),
    ("missing || true", True),
    ("missing && false", False),
    ("'text' && false", False),
    ("[0, 1].exists(x, 1 / x == 1)", True),
    ("[0, 1].all(x, 1 / x == 2)", False),
    # conversions and types
    ("int('42') + int(3.9) + int(-3.9) + int(5u)", 47),
    ("uint(7) == 7u", True),
    ("double('1e3') + double(1)", 1001.0),
    ("string(1) + string(1.5) + string(true) + string(b'x') + string(1e21)", "11.5truex1e+21"),
    ("string(3.0) + string(0.0001) + string(-0.5)", "30.0001-0.5"),
    ("bool('true') && !bool('f')", True),
    ("bytes('é') == b'\\xc3\\xa9'", True),
    ("type(1) == int && type(1u) == uint && type('') == string && type(null) == null_type", True),
    ("type(event.time) == google.protobuf.Timestamp && type(type(1)) == type", True),
    ("type(data) == map && type(tags) == list", True),
    ("dyn(1) == 1", True),
    # times
    ("event.time == timestamp('2026-03-01T06:00:00Z')", True),
    ("timestamp('2026-03-01T07:00:00+01:00') == event.time", True),
    ("event.time + duration('1h30m')", datetime(2026, 3, 1, 7, 30, tzinfo=UTC)),
    ("event.time - timestamp('2026-03-01T00:00:00Z')", timedelta(hours=6)),
    ("duration('1h') + duration('-30m')", timedelta(minutes=30)),
    ("event.time > timestamp('2026-01-01T00:00:00Z')", True),
    ("event.time.getFullYear() * 100 + event.time.getMonth()", 202602),
    ("[event.time.getDate(), event.time.getDayOfMonth(), event.time.getDayOfWeek(), event.time.getDayOfYear()]",
     [1, 0, 0, 59]),
    ("[event.time.getHours(), event.time.getHours('Europe/Berlin'), event.time.getHours('-02:30')]", [6, 7, 3]),
    ("duration('3h5m7s').getMinutes()", 185),
    ("string(duration('1m1.5s')) + string(event.time)", "61.5s2026-03-01T06:00:00Z"),
    ("int(timestamp('1970-01-01T00:01:00Z')) + int(timestamp(90))", 150),
    # the rest of the syntax
    ("deployment['labels']['env']", "prod"),
    (".deployment.labels.env", "prod"),
    ("// a comment\n 1 // and another", 1),
    ("(((1)))", 1),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), VALUES, ids=[text for text, _ in VALUES])
def test_an_expression_has_its_value(text: str, expected: Any) -> None:
    result = value(text)
    assert result == expected
    assert type(result) is type(expected)


ABSENT = [
    ("nothing_of_ours", "nothing_of_ours"),
    ("worker.labels.env == 'x'", "worker"),
    ("deployment.labels.team == 'x'", "deployment.labels.team"),
    ("deployment.annotations.team", "deployment.annotations"),
    ("deployment['labels'].team", "deployment.labels.team"),
    ("data.map['in the middle']", 'data.map["in the middle"]'),
    ("data.nothing.field", "data.nothing.field"),
    ("data.list[7]", "data.list[7]"),
    ("data.files[0].owner.name", "data.files[0].owner"),
    ("data.files.map(f, f.owner)", "f.owner"),
    ("has(worker.labels)", "worker"),
    ("missing || false", "missing"),
    ("1 / 0 > 0 && missing", "missing"),
    ("missing && 1 / 0 > 0", "missing"),
    ("!missing", "missing"),
    ("missing ? 1 : 2", "missing"),
    ("missing in [1]", "missing"),
    ("[missing]", "missing"),
    ("size(missing)", "missing"),
]


@pytest.mark.parametrize(("text", "name"), ABSENT, ids=[text for text, _ in ABSENT])
def test_what_ends_in_a_missing_name_says_its_full_path(text: str, name: str) -> None:
    assert value(text) == Absent(name)


FAULTS = [
    ("1 / 0", "division by zero"),
    ("1 % 0", "modulus by zero"),
    ("9223372036854775807 + 1", "64 bits"),
    ("-9223372036854775808 - 1", "64 bits"),
    ("-9223372036854775808 / -1", "64 bits"),
    ("-(-9223372036854775808)", "64 bits"),
    ("5000000000 * 5000000000", "64 bits"),
    ("1u - 2u", "64 bits"),
    ("data.rows + 1.5", "+ is not defined for int and double"),
    ("data.text + 1", "+ is not defined for string and int"),
    ("data.text * 3", "* is not defined"),
    ("data.text < 3", "< is not defined"),
    ("null < null", "< is not defined"),
    ("-data.text", "- is not defined"),
    ("!data.rows", "true or false, not int"),
    ("data.rows && true", "true or false, not int"),
    ("data.rows ? 1 : 2", "true or false, not int"),
    ("data.rows.field", "data.rows is int and has no fields"),
    ("data.list[-1]", "not negative"),
    ("data.list['x']", "is list and has no fields"),
    ("data.rows[0]", "has no elements"),
    ("'x' in data.text", "in is not defined"),
    ("size(1)", "size is not defined for int"),
    ("data.rows.contains('x')", "contains is not defined"),
    ("data.text.matches(data.text + '(')", "no regular expression"),
    ("int('x')", "'x' is no int"),
    ("int('1e3')", "no int"),
    ("int(1e30)", "does not fit"),
    ("int(double('NaN'))", "does not fit"),
    ("uint(-1)", "unsigned"),
    ("bool('maybe')", "no bool"),
    ("string(b'\\xff')", "UTF-8"),
    ("string(tags)", "list can't become string"),
    ("timestamp('yesterday')", "no timestamp"),
    ("timestamp('2026-02-30T00:00:00Z')", "no timestamp"),
    ("duration('soon')", "no duration"),
    ("timestamp('9999-12-31T23:59:59Z') + duration('1h')", "out of range"),
    ("event.time.getHours('Mars/Olympus')", "no time zone"),
    ("event.time.getHours('../../etc/passwd')", "no time zone"),
    ("{'a': 1, 'a': 2}", "same key twice"),
    ("{1.5: 1}", "key of a map"),
    ("data.rows.map(x, x)", "list or a map"),
    ("[1, 2].all(x, x)", "true or false, not int"),
    ("[0].map(x, 1 / x)", "division by zero"),
]


@pytest.mark.parametrize(("text", "reason"), FAULTS, ids=[text for text, _ in FAULTS])
def test_what_goes_wrong_is_a_fault_with_its_reason(text: str, reason: str) -> None:
    result = value(text)
    assert isinstance(result, Fault)
    assert reason in result.reason


REFUSED = [
    ("", "is empty", 1, 1),
    ("  \n ", "is empty", 1, 1),
    ("a &&", "ends too early", 1, 5),
    ("a = b", "write == to compare", 1, 3),
    ("a and b", "write && for and", 1, 3),
    ("not a", "write ! for not", 1, 5),
    ("a ==\n  ]", "']' is not expected here", 2, 3),
    ("'abc", "a string is not closed", 1, 1),
    ("'abc\n'", "a string is not closed before the end of its line", 1, 1),
    (r"'\q'", r"\q is no escape", 1, 2),
    (r"'\ud800'", "is no character", 1, 2),
    (r"b'\u0041'", "bytes have no", 1, 3),
    ("9223372036854775808", "64-bit integer", 1, 1),
    ("1 + 0xG", "not expected here", 1, 6),
    ("a.b.\n frobnicate(1)", "there is no function frobnicate", 1, 1),
    ("data.text.startswith('x')", "did you mean startsWith?", 1, 1),
    ("contains('a', 'b')", "contains is written x.contains(…)", 1, 1),
    ("x.int()", "int is written int(x)", 1, 1),
    ("size(1, 2)", "does not take that many arguments", 1, 1),
    ("data.all(x)", "all takes a name and a condition", 1, 1),
    ("data.all(1, true)", "is a name for the element", 1, 10),
    ("has(a + b)", "has(…) takes one path", 1, 1),
    ("has(a[0])", "has(…) takes one path", 1, 1),
    ("Message{a: 1}", "write a map", 1, 1),
    ("a.matches('(')", "no regular expression", 1, 11),
    ("while + 1", "reserved word", 1, 1),
    ("a.in", "can't follow a dot", 1, 3),
    ("@", "not expected here", 1, 1),
]


@pytest.mark.parametrize(
    ("text", "message", "line", "column"), REFUSED, ids=[repr(case[0]) for case in REFUSED]
)
def test_what_is_no_expression_is_refused_at_its_place(
    text: str, message: str, line: int, column: int
) -> None:
    with pytest.raises(ExpressionSyntaxError) as refusal:
        compile_expression(text)
    assert message in refusal.value.message
    assert (refusal.value.line, refusal.value.column) == (line, column)


def test_matches_gives_true_false_or_the_failure_and_failures_are_falsy() -> None:
    def matches(text: str) -> Any:
        return compile_expression(text).matches(NAMES)

    assert matches("data.rows == 3") is True
    assert matches("data.rows == 4") is False
    assert matches("worker.name == 'x'") == Absent("worker")
    assert isinstance(matches("data.rows"), Fault)
    assert not matches("data.rows")
    assert not matches("worker.name == 'x'")


def test_a_map_with_keys_that_python_takes_for_one_keeps_both() -> None:
    assert value("size({true: 'yes', 1: 'one'})") == 2
    assert value("{1: 'one', true: 'yes'}[1]") == "one"


def test_an_expression_is_read_once_however_often_it_is_compiled() -> None:
    text = "flow.labels.read == 'once'"
    assert compile_expression(text) is compile_expression(text)


def test_threads_share_an_expression() -> None:
    expression = compile_expression("data.files.filter(f, f.size > n).map(f, f.size + n)")
    wrong: list[Any] = []

    def evaluate(n: int) -> None:
        files = [{"size": size} for size in range(20)]
        names = Names(data={"files": files}, n=n)
        for _ in range(300):
            result = expression.evaluate(names)
            if result != [size + n for size in range(n + 1, 20)]:
                wrong.append(result)

    threads = [threading.Thread(target=evaluate, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_threads_may_compile_at_the_same_time() -> None:
    made: list[Any] = []
    threads = [
        threading.Thread(target=lambda n=n: made.append(value(f"[{n}].map(x, x * 2)[0]"))) for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(made) == [2 * n for n in range(8)]
