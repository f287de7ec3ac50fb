"""Ids are what they say they are."""

import json
from uuid import NAMESPACE_URL, UUID, uuid5

from hypothesis import given
from hypothesis import strategies as st

from tocsin_events.identity import derived_id, message_key, new_id


@given(
    st.lists(
        st.one_of(
            st.text(st.characters(exclude_categories=["Cs"])), st.integers(-(2**63), 2**63 - 1), st.none()
        )
    )
)
def test_a_derived_id_is_the_standard_library_s_uuid5_of_the_parts_as_json(parts: list[object]) -> None:
    name = json.dumps(["tocsin", *parts], separators=(",", ":"), ensure_ascii=False)
    assert UUID(derived_id(*parts)).version == 5
    if name.isprintable():
        assert derived_id(*parts) == str(uuid5(NAMESPACE_URL, name))


def test_new_ids_are_version_7_and_in_the_order_of_time() -> None:
    ids = [UUID(new_id()) for _ in range(100)]
    assert {one.version for one in ids} == {7}
    assert len(set(ids)) == 100
    assert sorted(one.int >> 80 for one in ids) == [one.int >> 80 for one in ids]


@given(st.text(min_size=1), st.text(min_size=1), st.text(min_size=1), st.text(min_size=1))
def test_different_events_have_different_message_keys(
    source: str, id_: str, other: str, other_id: str
) -> None:
    def encodable(*texts: str) -> bool:
        return all(not any(0xD800 <= ord(character) < 0xE000 for character in text) for text in texts)

    if encodable(source, id_, other, other_id):
        same = message_key(source, id_) == message_key(other, other_id)
        assert same == ((source, id_) == (other, other_id))
        assert message_key(source, id_).isascii()
