"""The record of a run on a cluster says which step failed and why, and carries the age of the data."""

import json
from datetime import UTC, datetime

import pytest

from components.base.run_records import read_records
from components.base.step_faults import StepFault, write_fault
from components.data.quality import Quality
from components.data.run_end import ClusterRun, find_earlier_quality, publish_quality, record_cluster_run

AS_OF = "2013-04-01T00:00:00+00:00"


def make_run(state):
    created = datetime.now(UTC).isoformat(timespec="seconds")
    return ClusterRun("refresh", "trips", AS_OF, "0a1b2c3d-4e5f", "trips refresh 2013/04", created, state)


@pytest.mark.parametrize("state", ["SUCCEEDED", "COMPLETE", "RUNNING"])
def test_a_run_that_did_not_fail_is_recorded_as_done(store, state):
    record = record_cluster_run(store, make_run(state))
    assert (record.status, record.error, record.name) == ("done", None, "trips-refresh-2013-04-0a1b2c3d")
    assert read_records(store, "trips") == [record]
    assert 0 <= record.seconds < 60


def test_a_failed_run_names_the_step_that_failed_first_and_its_reason(store):
    for minute, step in ((2, "materialize"), (1, "build")):
        at = datetime(2026, 1, 1, 0, minute, tzinfo=UTC)
        write_fault(store, "0a1b2c3d-4e5f", StepFault(step=step, reason="disk is full.", is_transient=False, at=at))
    record = record_cluster_run(store, make_run("FAILED"))
    assert (record.status, record.error) == ("failed", "build failed. disk is full.")


def test_a_failed_run_without_a_reason_says_where_to_look(store):
    error = record_cluster_run(store, make_run("FAILED")).error
    assert error is not None
    assert "kubectl get pods -l pipeline/runid=0a1b2c3d-4e5f" in error


def test_the_record_carries_the_age_of_each_source_at_its_time(store):
    rows = {"in": 1, "accepted": 1, "filtered": 0, "quarantined": 0}
    source = {
        "description": "Trips", "kind": "events", "rows_in": 1, "accepted": 1, "filtered": 0, "quarantined": 0,
        "not_yet_available": 0, "drops": [], "missing_months": [], "unknown_columns": [], "filters": [],
        "problems": [], "quarantine_ratio": 0.0, "quarantine_limit": 0.1, "volume": None, "references": [],
        "freshness": {"newest": AS_OF, "age_hours": 30.5, "warn_hours": 24, "stop_hours": 48, "status": "warn"},
    }  # fmt: skip
    quality = {
        "problem": "trips", "as_of": AS_OF, "snapshot": "s3://b/trips/snapshots/1/", "rows": rows, "verdict": "warn",
        "faults": [], "warnings": [], "sources": {"trips": source, "zones": {**source, "freshness": None}},
        "assumptions": [],
        "outcomes": {"source": "trips", "target": "late", "totals": {"rows": 1, "positive": 0}, "months": []},
    }  # fmt: skip
    change = {"source": "trips", "column": "city", "kind": "category", "words": "trips.city has 'OSLO'."}
    quality["sources"]["zones"]["changes"] = [change]
    publish_quality(store, Quality.model_validate_json(json.dumps(quality)))
    record_cluster_run(store, make_run("SUCCEEDED"))
    (record,) = read_records(store, "trips")
    assert record.source_age_hours == {"trips": 30.5}
    assert record.source_changes == {"trips": 0, "zones": 1}


def test_the_earlier_report_is_the_newest_that_is_a_day_older(store):
    empty = {"rows": {"in": 0, "accepted": 0, "filtered": 0, "quarantined": 0}, "faults": [], "warnings": []}
    outcomes = {"source": "trips", "target": "late", "totals": {"rows": 0, "positive": 0}, "months": []}
    rest = {"snapshot": "s3://b/1/", "verdict": "pass", "sources": {}, "assumptions": [], "outcomes": outcomes, **empty}
    times = [datetime(2013, 4, day, hour, tzinfo=UTC) for day, hour in ((1, 5), (1, 6), (2, 5), (2, 6))]
    for time in times:
        publish_quality(store, Quality.model_validate({"problem": "trips", "as_of": time, **rest}))
    found = [find_earlier_quality(store, "trips", time) for time in times]
    assert [report and report.as_of for report in found] == [None, None, times[0], times[1]]
