"""Fixtures of the SDK's tests."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tocsin.testing import CapturedEvents, capture_events


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder of the test's own, and no setting from outside; also for processes that it starts."""
    for name in [name for name in os.environ if name.startswith("TOCSIN_")]:
        monkeypatch.delenv(name)
    folder = tmp_path / "data"
    monkeypatch.setenv("TOCSIN_DATA_DIR", str(folder))
    monkeypatch.setenv("HOME", str(tmp_path))
    return folder


@pytest.fixture
def events() -> Iterator[CapturedEvents]:
    """The events that the test's flows emit."""
    with capture_events() as captured:
        yield captured
