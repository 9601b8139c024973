"""One instant query against canned answers of Prometheus."""

import math
import re

import httpx
import pytest

from components.base.adapters import prometheus_api
from components.base.adapters.prometheus_api import SeriesValue, query_prometheus, read_number
from components.base.errors import PermanentError, TransientError

URL = "http://prometheus:9090"


def answer(monkeypatch, status, content):
    monkeypatch.setattr(prometheus_api.httpx, "get", lambda url, **_: httpx.Response(status, json=content))


def test_samples_have_labels_and_a_number(monkeypatch):
    result = [{"metric": {"le": "0.5"}, "value": [1.0, "3"]}, {"metric": {"le": "+Inf"}, "value": [1.0, "NaN"]}]
    answer(monkeypatch, 200, {"status": "success", "data": {"result": result}})
    first, second = query_prometheus(URL, "x")
    assert first == SeriesValue({"le": "0.5"}, 3.0)
    assert math.isnan(second.value)


def test_a_query_without_series_is_no_number(monkeypatch):
    answer(monkeypatch, 200, {"status": "success", "data": {"result": []}})
    assert math.isnan(read_number(URL, "x"))


def test_a_refused_query_and_a_silent_prometheus_are_told_apart(monkeypatch):
    answer(monkeypatch, 400, {"status": "error", "error": "parse error"})
    with pytest.raises(PermanentError, match=re.escape("must accept 'x(', but got: parse error")):
        query_prometheus(URL, "x(")
    answer(monkeypatch, 503, {})
    with pytest.raises(TransientError, match="must answer a query, but got 503"):
        query_prometheus(URL, "x")
    monkeypatch.undo()
    with pytest.raises(TransientError, match="Check TIDEMILL_PROMETHEUS_URL"):
        query_prometheus("http://127.0.0.1:9", "x")
