"""The records of local runs: written whole, read across versions, and a damaged one does not hide the others."""

import json
import logging

from components.base.local_run import LocalRun, StepRecord
from pipelines.runners.records import read_records, write_record

FIELDS = {"name": "a", "problem": "wine", "as_of": "2013-07-01T00:00:00+00:00", "status": "done",
          "started": "2026-11-24T10:00:00+00:00", "seconds": 9.0}  # fmt: skip


def keep(home, name, content):
    (home / "runs" / name).mkdir(parents=True)
    (home / "runs" / name / "run.json").write_text(content)


def test_a_written_record_is_read_back_and_is_the_last_run(tmp_path):
    step = StepRecord(name="tune", status="done", seconds=3.0, own_seconds=2.5, message="60 trials")
    log = str(tmp_path / "runs" / "a" / "run.log")
    run = LocalRun(**FIELDS, pipeline="training", steps=(step,), log=log, verdict="promote", reasons=("Better.",))
    last = write_record(tmp_path, run)
    assert read_records(tmp_path) == [run]
    assert json.loads(last.read_text()) == json.loads((tmp_path / "runs" / "a" / "run.json").read_text())


def test_a_record_of_an_older_or_a_newer_version_reads(tmp_path):
    """The oldest records had no pipeline; a training's summary counts rows by fate; newer ones have other fields."""
    keep(tmp_path, "a", json.dumps({**FIELDS, "rows": {"in": 4898}, "colour": "blue"}))
    (run,) = read_records(tmp_path)
    assert (run.pipeline, run.rows, run.verdict, run.numbers) == ("training", None, None, ())


def test_a_damaged_record_is_left_out_with_a_warning_that_names_its_file(tmp_path, caplog):
    keep(tmp_path, "b", json.dumps({**FIELDS, "name": "b"}))
    keep(tmp_path, "cut", '{"status": "do')
    keep(tmp_path, "other", json.dumps({**FIELDS, "seconds": "long"}))
    with caplog.at_level(logging.WARNING):
        assert [run.name for run in read_records(tmp_path)] == ["b"]
    for name in ("cut", "other"):
        assert any(str(tmp_path / "runs" / name / "run.json") in message for message in caplog.messages)
