from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from tocsin_automations.document import read
from tocsin_automations.validation import validate


class Child(BaseModel):
    model_config = ConfigDict(extra="forbid")
    event: str
    count: int = Field(default=1, ge=1)


class Rule(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)
    name: str = Field(min_length=2)
    labels: dict[str, str] = {}
    when: Child | None = None
    children: tuple[Child, ...] = ()
    keys: str | list[str] = []
    either: Child | str = ""
    if_: str | None = Field(default=None, alias="if")
    mode: Literal["queue", "skip"] = "queue"
    enabled: bool = True

    @field_validator("name")
    @classmethod
    def _lower(cls, name: str) -> str:
        if name != name.lower():
            raise ValueError(f"{name!r} has capitals")
        return name


def complaints(text: str, model: Any = Rule) -> list[str]:
    [document] = read(text, "f.yaml").documents
    value, problems = validate(document, model, "f.yaml")
    assert (value is None) == bool(problems)
    return [str(problem).removeprefix("f.yaml:") for problem in problems]


def test_a_valid_value_becomes_the_model() -> None:
    [document] = read("{name: etl, if: x, children: [{event: a}]}", "f").documents
    rule, problems = validate(document, Rule, "f")
    assert problems == ()
    assert rule is not None
    assert rule.children == (Child(event="a"),)
    assert rule.if_ == "x"


def test_an_unknown_key_is_at_its_place_with_the_nearest_spelling() -> None:
    assert complaints(
        "name: etl\nwehn: 3\nchildren:\n  - event: a\n    cuont: 2\nwhen: {event: x, zzz: 1}\n"
    ) == [
        "2:1: error: unknown key 'wehn' (did you mean when?)",
        "5:5: error: unknown key 'cuont' (did you mean count?)",
        "6:18: error: unknown key 'zzz'; known here: count, event",
    ]


def test_a_missing_key_is_at_the_mapping_that_misses_it() -> None:
    assert complaints("when:\n  count: 2\n") == [
        "1:1: error: 'name' is missing",
        "2:3: error: 'event' is missing",
    ]


def test_wrong_types_are_plain_sentences() -> None:
    text = (
        "name: [a]\nlabels: {v: 1.10}\nwhen: {event: a, count: many}\nchildren: 3\nenabled: 7x\nmode: quue\n"
    )
    assert complaints(text) == [
        "1:7: error: a text is expected, got a list",
        '2:13: error: a text is expected, got the number 1.10; quote it: "1.10"',
        "3:25: error: a whole number is expected, got the text 'many'",
        "4:11: error: a list is expected, got the number 3",
        "5:10: error: true or false is expected, got the text '7x'",
        "6:7: error: 'quue' is not one of queue, skip (did you mean queue?)",
    ]


def test_limits_and_our_own_sentences_are_kept() -> None:
    assert complaints("name: ETL\nwhen: {event: a, count: 0}") == [
        "1:7: error: 'ETL' has capitals",
        "2:25: error: 'count' must be 1 or more",
    ]
    assert complaints("name: ''") == ["1:7: error: 'name' must not be empty"]


def test_a_union_gives_one_sentence_not_one_for_each_branch() -> None:
    assert complaints("name: etl\nkeys: {a: 1}") == [
        "2:7: error: a text or a list is expected, got a mapping"
    ]
    assert complaints("name: etl\nkeys: 3") == [
        '2:7: error: a text or a list is expected, got the number 3; quote it: "3"'
    ]


def test_a_union_complains_about_the_branch_that_fits() -> None:
    assert complaints("name: etl\nkeys: [a, [b]]") == ["2:11: error: a text is expected, got a list"]
    assert complaints("name: etl\neither: {count: 2}") == ["2:9: error: 'event' is missing"]


def test_a_misspelled_key_is_not_missing_too() -> None:
    assert complaints("name: etl\neither: {evnt: x}") == [
        "2:10: error: unknown key 'evnt' (did you mean event?)"
    ]


def test_errors_of_a_model_validated_inside_a_validator_keep_their_place() -> None:
    def parse(value: Any) -> Any:
        return Child.model_validate(value)

    class Outer(BaseModel):
        inner: tuple[Annotated[Child, BeforeValidator(parse)], ...]

    assert complaints("inner:\n  - event: a\n  - event: a\n    count: 0", Outer) == [
        "4:12: error: 'count' must be 1 or more"
    ]


def test_a_value_that_is_no_mapping_is_refused() -> None:
    assert complaints("- a") == ["1:1: error: a mapping is expected, got a list"]


def test_other_annotations_than_models_work() -> None:
    assert complaints("a: {event: x}\nb: {evnt: x, event: x}", dict[str, Child]) == [
        "2:5: error: unknown key 'evnt' (did you mean event?)"
    ]
