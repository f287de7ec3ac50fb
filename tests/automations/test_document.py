from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin_automations.document import MAX_BYTES, Parsed, Scalar, Table, read, walk


def values(text: str | bytes) -> list[Any]:
    parsed = read(text, "f.yaml")
    assert [str(problem) for problem in parsed.problems] == []
    return [document.plain() for document in parsed.documents]


def complaints(text: str | bytes) -> list[str]:
    return [str(problem) for problem in read(text, "f.yaml").problems]


@pytest.mark.parametrize(
    "written",
    ["yes", "no", "on", "off", "y", "12:30:00", "190:20:30", "2026-03-01", "2026-03-01T00:00:00Z", "0o17", "007",
     "0x1f", "1_000", ".inf", ".nan", "=", ".", "1.2.3", "+", "10m", "1e", "<<"],
)  # fmt: skip
def test_what_looks_like_text_stays_text(written: str) -> None:
    assert values(f"key: {written}") == [{"key": written}]


@pytest.mark.parametrize(
    ("written", "value"),
    [("true", True), ("False", False), ("null", None), ("~", None), ("", None), ("0", 0), ("-7", -7), ("+3", 3),
     ("1.5", 1.5), (".5", 0.5), ("5.", 5.0), ("-1e3", -1000.0), ("9223372036854775807", 2**63 - 1)],
)  # fmt: skip
def test_true_false_null_and_decimal_numbers_are_values(written: str, value: Any) -> None:
    [document] = values(f"key: {written}")
    assert document["key"] == value
    assert type(document["key"]) is type(value)


def test_a_quoted_value_is_text() -> None:
    assert values("""{a: "true", b: '3', c: "null"}""") == [{"a": "true", "b": "3", "c": "null"}]


def test_keys_are_text_as_written() -> None:
    assert values("on: 1\ntrue: 2\n200: 3\nnull: 4") == [{"on": 1, "true": 2, "200": 3, "null": 4}]


def test_a_number_beyond_64_bits_is_refused_not_rounded() -> None:
    assert complaints("a: 9223372036854775808") == [
        "f.yaml:1:4: error: a whole number beyond 64 bits; quote it to keep it as text"
    ]
    assert complaints("a: 1e999") == [
        "f.yaml:1:4: error: a number that is too large; quote it to keep it as text"
    ]


def test_a_key_written_twice_is_an_error_that_names_both_places() -> None:
    assert complaints("a: 1\nb:\n  c: 1\n  c: 2\na: 3") == [
        "f.yaml:4:3: error: the key 'c' is here twice; first at f.yaml:3:3",
        "f.yaml:5:1: error: the key 'a' is here twice; first at f.yaml:1:1",
    ]


def test_all_problems_of_a_file_are_found_in_one_reading() -> None:
    assert complaints("a: !!python/object x\nb: *c\n? [d]\n: 1\ne: 1\ne: 2") == [
        "f.yaml:1:4: error: tags (! and !!) are not allowed; quote a value to keep it as text",
        "f.yaml:2:4: error: no &c before this in the document",
        "f.yaml:3:3: error: a key must be a text",
        "f.yaml:6:1: error: the key 'e' is here twice; first at f.yaml:5:1",
    ]


def test_several_documents_stand_in_one_file_and_empty_ones_are_left_out() -> None:
    assert values("---\na: 1\n---\n---\n# nothing\n---\nb: 2\n") == [{"a": 1}, {"b": 2}]
    assert values("") == []


def test_every_key_and_value_knows_its_place() -> None:
    [document] = read("a:\n  b: [1, two]\n  c: |\n    x ==\n      y\n", "f").documents
    assert isinstance(document, Table)
    entry = document.entries["a"]
    assert (entry.place.line, entry.place.column) == (1, 1)
    b, one, two, c = list(walk(entry.node))[1:]
    assert [(node.place.line, node.place.column) for node in (b, one, two, c)] == [
        (2, 6),
        (2, 7),
        (2, 10),
        (3, 6),
    ]


@pytest.mark.parametrize(
    ("text", "line", "column", "found"),
    [
        ("e: data.x == 1", 1, 6, (1, 9)),
        ("e: 'data.x == 1'", 1, 6, (1, 10)),
        ("e: |\n   data.x ==\n     data.y\n", 2, 3, (3, 6)),
        ("e: |-\n\n   data.x\n", 2, 1, (3, 4)),
        ("e: >\n  data.x ==\n  data.y\n", 1, 12, (1, 4)),
    ],
)
def test_a_place_inside_a_text_is_found_in_the_file(
    text: str, line: int, column: int, found: tuple[int, int]
) -> None:
    [document] = read(text, "f").documents
    assert isinstance(document, Table)
    node = document.get("e")
    assert isinstance(node, Scalar)
    place = node.inside(line, column)
    assert (place.line, place.column) == found


def test_aliases_and_merge_keys_repeat_values() -> None:
    assert values("a: &x {p: 1, q: 1}\nb: {<<: *x, q: 2}\nc: {<<: [*x, {r: 3}]}\nd: *x") == [
        {"a": {"p": 1, "q": 1}, "b": {"p": 1, "q": 2}, "c": {"p": 1, "q": 1, "r": 3}, "d": {"p": 1, "q": 1}}
    ]
    assert complaints("a: {<<: 3}") == ["f.yaml:1:5: error: << takes a mapping, or a list of mappings"]


def test_an_alias_that_contains_itself_is_refused() -> None:
    assert complaints("a: &x [1, *x]") == ["f.yaml:1:11: error: *x stands inside the value that it names"]


def test_a_billion_laughs_are_stopped_at_once() -> None:
    lines = ["a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    [problem] = complaints("\n".join(lines))
    assert "more than 200000 values" in problem


def test_deep_nesting_is_stopped() -> None:
    assert complaints("[" * 5000) == ["f.yaml:1:65: error: nested more than 64 levels deep"]
    assert "nested more than" in complaints("\n".join(" " * n + "a:" for n in range(500)))[0]


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("a:\n\tb: 1", "f.yaml:2:1: error: not valid YAML: a tab stands where YAML wants spaces"),
        ("a: @x", "f.yaml:1:4: error: not valid YAML: a text that begins with '@' needs quotes"),
        ("b: 1\na: 'x\ny: 2", "f.yaml:2:4: error: not valid YAML: this quote is never closed"),
        ("a: b: c", "f.yaml:1:5: error: not valid YAML: a second `: ` in one line"),
        ("a: {b: 1", "f.yaml:2:1: error: not valid YAML: did not find expected ',' or '}' for what was opened at 1:4"),
        ("a: \x00", "f.yaml:1:4: error: the character U+0000 is not allowed"),
        ("a: \ud800", "f.yaml:1:4: error: the character U+D800 is not allowed"),
        (b"a: 1\nb: caf\xe9", "f.yaml:2:7: error: the file is not UTF-8 text from here on"),
        ("a: 1".encode("utf-16"), "f.yaml:1:1: error: the file is in UTF-16; save it as UTF-8"),
        ("x" * (MAX_BYTES + 1), "f.yaml:1:1: error: the file is larger than 4 MiB"),
    ],
)  # fmt: skip
def test_what_is_not_readable_says_where_and_why(source: str | bytes, problem: str) -> None:
    [found] = complaints(source)
    assert found.startswith(problem)


def test_a_byte_order_mark_is_ignored() -> None:
    assert values(b"\xef\xbb\xbfa: 1") == [{"a": 1}]


def test_documents_before_a_mistake_are_kept() -> None:
    parsed = read("a: 1\n---\nb: [", "f")
    assert [document.plain() for document in parsed.documents] == [{"a": 1}]
    assert len(parsed.problems) == 1


# Fuzzing: whatever comes in, only a Parsed comes out, soon and small.

_yaml_bits = st.lists(
    st.sampled_from(
        ["a", "b", ": ", ":", "- ", "\n", "  ", " ", "\t", "[", "]", "{", "}", ",", "&a", "*a", "<<", "!", "!!str ",
         "|", ">", "|2\n", "'", '"', "\\", "#", "? ", "---\n", "...\n", "%YAML 1.1\n", "%TAG ! x\n", "1", "0.5", "é",
         "\x85", "\u2028", "\r", "@", "`", "~", "null", "true", "\\x41", "-\n", "\ufeff"]
    ),
    max_size=60,
).map("".join)  # fmt: skip


def small(parsed: Parsed) -> None:
    for document in parsed.documents:
        document.plain()
        for node in walk(document):
            assert node.place.line >= 1
            assert node.place.column >= 1
    assert all(problem.line >= 1 and problem.column >= 1 for problem in parsed.problems)


@settings(max_examples=300, deadline=None)
@given(st.one_of(_yaml_bits, st.text(max_size=200)))
def test_no_text_breaks_the_reader(text: str) -> None:
    small(read(text, "f"))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader(body: bytes) -> None:
    small(read(body, "f"))


_json = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**63), 2**63 - 1),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(st.characters(codec="utf-8"), max_size=20),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=8), inner, max_size=4),
    ),
    max_leaves=20,
)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from("abcdef"), _json, min_size=1))
def test_json_written_as_yaml_reads_back_equal(value: dict[str, Any]) -> None:
    class Writer(yaml.SafeDumper):
        """Writes no aliases."""

        def ignore_aliases(self, data: Any) -> bool:
            return True

    Writer.add_representer(
        str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"')
    )
    assert values(yaml.dump(value, Dumper=Writer)) == [value]


@pytest.mark.parametrize(
    "bit", ["[", "{", "- ", "? ", "a: ", "'", "&a ", "*a ", "!", "|\n", "\n\t", "{a: ", "[?"]
)
def test_a_megabyte_of_one_thing_is_read_or_refused_soon(bit: str) -> None:
    small(read(bit * (200_000 // len(bit)), "f"))
