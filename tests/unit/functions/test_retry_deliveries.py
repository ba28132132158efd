"""The minute's function."""

import pytest

from chalicelib.webhooks.delivery import worker
from functions import retry_deliveries


def test_each_minute_sweeps_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The schedule's event leads to one sweep."""
    swept = []
    monkeypatch.setattr(worker, "run_minute", lambda: swept.append(1))
    retry_deliveries.handler({}, None)
    assert swept == [1]
