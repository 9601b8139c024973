"""Stored monitoring results: documents of version 1, whose fields had other names, stay readable."""

import json
import re
from types import SimpleNamespace

import pytest

from components.base.errors import DataError
from components.monitoring.results import MonitoringResult, read_results
from tests.unit.monitoring.parts import window

VERSION_1_NAMES = {
    "mean_output": "mean_probability",
    "mean_outcome": "positive_ratio",
    "psi": "shift",
    "psi_limit": "shift_limit",
    "weighted_psi": "weighted_shift",
    "greatest_relevant_psi": "greatest_relevant_shift",
    "prediction_psi": "prediction_shift",
    "prediction_psi_limit": "prediction_shift_limit",
}


def with_old_names(value):
    if isinstance(value, list):
        return [with_old_names(one) for one in value]
    if isinstance(value, dict):
        return {VERSION_1_NAMES.get(name, name): with_old_names(one) for name, one in value.items()}
    return value


def store_with(content):
    """Return a store that holds one result."""
    return SimpleNamespace(
        list_objects=lambda prefix: [SimpleNamespace(key=f"{prefix}2013-09-01T000000Z.json")],
        get_bytes=lambda key: content,
    )


def test_result_of_version_1_is_read_with_the_names_of_now():
    result = window(8)
    old = with_old_names(result.model_dump(mode="json")) | {"version": 1}
    assert set(VERSION_1_NAMES.values()) <= set(re.findall(r'"(\w+)":', json.dumps(old)))
    (found,) = read_results(store_with(json.dumps(old).encode()), "flight-delays")
    assert found == result.model_copy(update={"version": 1})


def test_result_is_written_with_the_names_of_now():
    written = window(8).model_dump_json()
    assert MonitoringResult.model_validate_json(written) == window(8)
    assert not set(VERSION_1_NAMES.values()) & set(re.findall(r'"(\w+)":', written))


def test_other_document_is_refused_with_what_to_do():
    with pytest.raises(DataError, match=re.escape("Remove it and run `make monitor`.")):
        read_results(store_with(b"{}"), "flight-delays")
