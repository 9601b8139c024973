"""Quarantined rows come back after a fix."""

import json
import re

import pandas as pd
import pytest

from components.base.errors import DataError
from components.data.classify_rows import FateCounts
from components.data.ingest import ingest_sources
from components.data.requeue import requeue_rows
from components.data.validate import validate_snapshot
from tests.unit.data.trips import AS_OF, make_problem


@pytest.fixture
def accepted(zone, store, tmp_path):
    """The accepted folder of a run that set four trips aside."""
    zone.land_trips(
        "2013-01.csv",
        "1,ROME,5,2013-01-01",
        "2,ROME,150,2013-01-02",
        "3,ROME,abc,2013-01-03",
        "4,OSLO,150,2013-01-04",
        "1,ROME,150,2013-01-01",
    )
    problem = make_problem()
    validate_snapshot(problem, ingest_sources(problem, AS_OF, store), tmp_path / "accepted")
    return tmp_path / "accepted"


def raise_limit(problem):
    source = problem.sources["trips"]
    fare = source.columns["fare"].model_copy(update={"maximum": 200})
    source = source.model_copy(update={"columns": {**source.columns, "fare": fare}})
    return problem.model_copy(update={"sources": {**problem.sources, "trips": source}})


def requeue(problem, accepted, folder):
    return requeue_rows(problem, accepted / "quarantine.parquet", accepted, folder)


def test_unchanged_contract_sets_the_same_rows_aside_for_the_same_reasons(accepted, tmp_path):
    counts = requeue(make_problem(), accepted, tmp_path / "requeued")
    assert counts == {"trips": FateCounts(rows_in=4, accepted=0, filtered=0, quarantined=4)}
    before, after = (pd.read_parquet(tmp_path / name / "quarantine.parquet") for name in ("accepted", "requeued"))
    pd.testing.assert_frame_equal(before, after)


def test_wider_limit_accepts_what_it_allows_and_accepted_keys_stand(accepted, tmp_path):
    counts = requeue(raise_limit(make_problem()), accepted, tmp_path / "requeued")
    assert counts == {"trips": FateCounts(rows_in=4, accepted=1, filtered=1, quarantined=2)}
    requeued = pd.read_parquet(tmp_path / "requeued" / "trips.parquet")
    assert requeued[["trip", "fare"]].to_numpy().tolist() == [[2, 150.0]]
    still = pd.read_parquet(tmp_path / "requeued" / "quarantine.parquet")
    assert [list(checks) for checks in still["checks"]] == [["fare.type"], ["city.reference"]]
    assert still["row"].tolist() == [4, 5]


def test_mended_text_is_accepted(accepted, tmp_path):
    quarantine = pd.read_parquet(accepted / "quarantine.parquet")
    mended = quarantine["raw"].map(lambda raw: json.dumps({**json.loads(raw), "fare": "7"}))
    quarantine.assign(raw=mended).to_parquet(accepted / "quarantine.parquet")
    counts = requeue(make_problem(), accepted, tmp_path / "requeued")["trips"]
    assert (counts.accepted, counts.filtered, counts.quarantined) == (2, 1, 1)


def test_source_that_left_the_contract_is_named(accepted, tmp_path):
    quarantine = pd.read_parquet(accepted / "quarantine.parquet").assign(source="tripz")
    quarantine.to_parquet(accepted / "quarantine.parquet")
    words = "every source must be in the contract, but tripz is not. Did you mean 'trips'?"
    with pytest.raises(DataError, match=re.escape(words)):
        requeue(make_problem(), accepted, tmp_path / "requeued")


def test_empty_quarantine_requeues_nothing(accepted, tmp_path):
    pd.read_parquet(accepted / "quarantine.parquet").head(0).to_parquet(accepted / "quarantine.parquet")
    assert requeue(make_problem(), accepted, tmp_path / "requeued") == {}
