"""Run records in a real object store."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from components.base.errors import DataError
from components.base.run_records import PipelineRun, RunRecords, read_records, write_record

START = datetime(2026, 11, 24, 9, tzinfo=UTC)


def make_run(number: int, pipeline: str = "monitoring", status: str = "done", **others) -> PipelineRun:
    ended = START + timedelta(hours=number)
    given = {"name": f"run-{number}", "as_of": START, "started": ended, "ended": ended, "seconds": 12.5}
    return PipelineRun(pipeline=pipeline, problem="flight-delays", status=status, **given | others)


def test_records_come_back_in_the_order_in_which_the_runs_ended(store):
    runs = [make_run(3, "training"), make_run(1, status="failed", error="step ingest: no rows"), make_run(2, "refresh")]
    for run in runs:
        write_record(store, run)
    assert read_records(store, "flight-delays") == sorted(runs, key=lambda run: run.ended)
    assert read_records(store, "flight") == []


def test_a_record_lies_under_its_pipeline_and_replaces_its_earlier_self(store):
    assert write_record(store, make_run(1)).endswith("/flight-delays/runs/monitoring/run-1.json")
    write_record(store, make_run(1, status="failed"))
    assert [run.status for run in read_records(store, "flight-delays")] == ["failed"]


def test_an_object_is_read_again_only_when_it_changed(store, monkeypatch):
    records, read = RunRecords(store, "flight-delays"), []
    get_bytes = store.get_bytes
    monkeypatch.setattr(store, "get_bytes", lambda key: read.append(key) or get_bytes(key))
    write_record(store, make_run(1))
    write_record(store, make_run(2))
    assert len(records.read()) == len(records.read()) == 2
    assert len(read) == 2
    write_record(store, make_run(2, status="failed"))
    assert [run.status for run in records.read()] == ["done", "failed"]
    assert len(read) == 3


def test_an_object_that_is_no_record_is_named(store):
    store.put_bytes("flight-delays/runs/training/odd.json", b'{"status": "odd"}')
    words = "run record flight-delays/runs/training/odd.json: it must be the record of a run, but got"
    with pytest.raises(DataError, match=re.escape(words)):
        read_records(store, "flight-delays")
