"""Hypothesis strategies that tests of several rooms share."""

import base64
from datetime import UTC
from typing import Any

from hypothesis import strategies as st

from tocsin_events.envelope import OUR_SCHEMA
from tocsin_events.event import Event
from tocsin_events.resource import RelatedResource, Resource

texts = st.text(st.characters(codec="utf-8"), max_size=30)
names = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=30)
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
moments = st.datetimes(timezones=st.just(UTC))
labels = st.dictionaries(texts, texts, max_size=3)
tags = st.lists(texts, max_size=3).map(tuple)

resources = st.builds(Resource, kind=texts, id=names, name=texts, labels=labels, tags=tags)
related_resources = st.builds(
    RelatedResource, kind=texts, id=names, name=texts, labels=labels, tags=tags, role=texts
)

_known = {
    "specversion", "id", "type", "source", "time", "subject", "data", "datacontenttype", "dataschema", "follows",
    "cause", "hops", "traceparent",
}  # fmt: skip
extension_names = st.from_regex(r"[a-z0-9]{1,20}", fullmatch=True).filter(lambda name: name not in _known)
extensions = st.dictionaries(
    extension_names, st.booleans() | st.integers(-(2**31), 2**31 - 1) | texts, max_size=3
)

_common = {
    "id": names,
    "type": names,
    "source": names,
    "time": moments,
    "follows": st.none() | names,
    "cause": st.none() | names,
    "hops": st.integers(0, 1_000_000),
    "traceparent": st.none() | names,
    "extensions": extensions,
}

our_events = st.builds(
    Event,
    resource=st.none() | resources,
    related=st.lists(related_resources, max_size=3).map(tuple),
    data=json_values,
    datacontenttype=st.just("application/json"),
    dataschema=st.just(OUR_SCHEMA),
    **_common,
)
"""Events as Tocsin itself makes them."""

outside_events = st.builds(
    Event,
    resource=st.none() | names.map(Resource.from_subject),
    data=st.none() | json_values,
    datacontenttype=st.none()
    | st.sampled_from(["application/json", "application/x.order+json; charset=utf-8"]),
    dataschema=st.none() | st.just("https://example.org/schema"),
    **_common,
)
"""CloudEvents of others, with JSON in them."""

binary_events = st.builds(
    Event,
    data_base64=st.binary(min_size=1).map(lambda data: base64.b64encode(data).decode()),
    datacontenttype=st.just("application/octet-stream"),
    dataschema=st.none(),
    **_common,
)
"""CloudEvents of others, with bytes in them."""
