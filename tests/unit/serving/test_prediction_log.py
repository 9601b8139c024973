"""The log takes rows from requests without waiting, and decides alike about a replay."""

import dataclasses
import os
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.base.errors import NotLoggedError
from components.serving.prediction_log import log as prediction_log
from components.serving.prediction_log.log import PredictionLog, is_sampled
from components.serving.prediction_log.spool import Spool, SpoolLimits
from components.serving.prediction_log.upload import Uploader
from tests.unit.serving.prediction_rows import HEADER, ROW, make_prediction
from tests.unit.serving.test_prediction_spool import CountedRows, MemoryStore


class World:
    """A log over a folder and a store in memory."""

    def __init__(self, folder, ratio: float = 1.0, has_store: bool = True, is_synced: bool = False, **limits) -> None:
        self.folder, self.store, self.counted = folder, MemoryStore(), CountedRows()
        defaults = SpoolLimits(segment_seconds=300, segment_bytes=2**24, spool_bytes=2**30)
        self.spool = Spool(folder, HEADER.write, dataclasses.replace(defaults, **limits), is_synced=is_synced)
        uploader = Uploader(self.spool, self.store, self.counted) if has_store else None
        header = dataclasses.replace(HEADER, sampling_ratio=ratio)
        self.log = PredictionLog(header, self.spool, uploader, self.counted, is_synced=is_synced)

    def add(self, request_id: str, rows: int = 1):
        return self.log.add(request_id, [ROW] * rows, [make_prediction()] * rows)


def wait_for(condition) -> None:
    until = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_rows_are_stored_when_their_segment_is_old_enough(tmp_path):
    world = World(tmp_path, segment_seconds=0.05)
    world.add("a", rows=3)
    wait_for(lambda: world.counted["stored"] == 3)
    assert world.store.rows() == [("a", 0), ("a", 1), ("a", 2)]
    world.log.close()


def test_closing_stores_what_is_queued_and_leaves_nothing_behind(tmp_path):
    world = World(tmp_path)
    for i in range(50):
        world.add(f"r-{i}", rows=30)
    world.log.close()
    assert (world.counted["spooled"], world.counted["stored"], len(set(world.store.rows()))) == (1500, 1500, 1500)
    assert list(tmp_path.iterdir()) == []
    assert world.counted.queue_rows() == world.counted.spool_bytes() == 0


def test_what_cannot_be_stored_at_the_end_is_there_for_the_next_process(tmp_path):
    world = World(tmp_path)
    world.store.puts_left = 0
    world.add("a")
    world.log.close()
    assert (world.counted["spooled"], world.counted["stored"]) == (1, 0)
    after = World(tmp_path)
    wait_for(lambda: after.counted["stored"] == 1)
    assert after.store.rows() == [("a", 0)]
    after.log.close()


def test_without_a_store_rows_stay_in_the_spool(tmp_path):
    world = World(tmp_path, has_store=False)
    world.add("a")
    world.log.close()
    (segment,) = tmp_path.glob("*/*.jsonl")
    assert segment.read_bytes().count(b"\n") == 2


def test_a_synced_log_says_when_the_rows_of_a_request_are_on_the_disk(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fdatasync", lambda descriptor: synced.append(os.fstat(descriptor).st_size))
    world = World(tmp_path, has_store=False, is_synced=True)
    for i in range(3):
        world.add(f"r-{i}", rows=2).result(10)
        (segment,) = tmp_path.glob("*/*.jsonl")
        assert segment.read_bytes().count(b"\n") == 1 + 2 * (i + 1)
        assert synced[-1] == segment.stat().st_size
    assert world.counted["spooled"] == 6
    world.log.close()


def test_a_synced_log_says_of_each_request_that_it_cannot_be_written(tmp_path, monkeypatch):
    world = World(tmp_path, has_store=False, is_synced=True, spool_bytes=10)
    with pytest.raises(NotLoggedError, match="must be on the disk before the answer"):
        world.add("no room").result(10)

    def break_disk(_):
        raise OSError("input/output error")

    monkeypatch.setattr(os, "fdatasync", break_disk)
    broken = World(tmp_path / "broken", has_store=False, is_synced=True)
    with pytest.raises(NotLoggedError):
        broken.add("no disk").result(10)
    assert (world.counted["dropped"], broken.counted["dropped"]) == (1, 1)
    world.log.close()
    broken.log.close()


def test_a_log_that_is_not_synced_keeps_no_request_waiting(tmp_path):
    world = World(tmp_path, has_store=False)
    assert world.add("a") is None
    world.log.close()


def test_a_full_queue_drops_whole_requests_and_counts_them(tmp_path, monkeypatch):
    monkeypatch.setattr(prediction_log, "_DRAIN_SECONDS", 3600)
    monkeypatch.setattr(prediction_log, "_QUEUE_ROWS", 10)
    world = World(tmp_path)
    for request_id in ("a", "b", "c"):
        world.add(request_id, rows=4)
    assert (world.counted["dropped"], world.counted.queue_rows()) == (4, 8)
    world.log.close()
    assert {request_id for request_id, _ in world.store.rows()} == {"a", "b"}


def test_a_row_that_cannot_be_written_is_dropped_and_the_request_goes_on(tmp_path, caplog):
    world = World(tmp_path)
    for _ in range(2):
        world.log.add("a", [{**ROW, "flight": 10**30}], [make_prediction()])
    world.add("b")
    world.log.close()
    assert (world.counted["dropped"], world.store.rows()) == (2, [("b", 0)])
    assert caplog.text.count("rows that cannot be written are dropped") == 1


def test_rows_that_are_not_sampled_are_counted_and_a_replay_is_decided_alike(tmp_path):
    world = World(tmp_path, ratio=0.5)
    for i in range(100):
        world.add(f"r-{i % 50}")
    world.log.close()
    stored = [request_id for request_id, _ in world.store.rows()]
    assert 10 < len(set(stored)) < 40
    assert all(stored.count(request_id) == 2 for request_id in stored)
    assert world.counted["sampled_out"] == 100 - len(stored)


@pytest.mark.parametrize("ratio", [0.01, 0.1, 0.5, 0.9])
def test_the_share_of_sampled_requests_is_the_ratio(ratio):
    n = 20_000
    sampled = sum(is_sampled(f"request-{i}", ratio) for i in range(n))
    # Four standard errors of a binomial share.
    assert abs(sampled / n - ratio) < 4 * (ratio * (1 - ratio) / n) ** 0.5


@given(st.text(), st.floats(0, 1), st.floats(0, 1))
def test_a_higher_ratio_keeps_all_that_a_lower_one_keeps(request_id, one, other):
    lower, higher = sorted((one, other))
    assert is_sampled(request_id, higher) or not is_sampled(request_id, lower)
    assert is_sampled(request_id, 1.0)
