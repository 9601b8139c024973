"""What the spool took is stored exactly once, whatever process, disk or store dies in between."""

import collections
import dataclasses
import io
import logging
import os
import resource

import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

from components.base.errors import StoreUnavailableError
from components.serving.prediction_log.spool import Spool, SpoolLimits
from components.serving.prediction_log.upload import Uploader
from tests.unit.serving.prediction_rows import HEADER, READ_AT, ROW, make_prediction, write_lines

LIMITS = SpoolLimits(segment_seconds=300, segment_bytes=1000, spool_bytes=2**30)
LINE = write_lines("r-0", [ROW], [make_prediction()], READ_AT)[0]


class MemoryStore:
    """Objects by key; refuses from the given put on."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.puts_left = 10**9

    def put_bytes(self, place: str, content: bytes) -> str:
        if self.puts_left <= 0:
            raise StoreUnavailableError("put: the object store must answer, but is gone.")
        self.puts_left -= 1
        self.objects[place] = content
        return place

    def rows(self) -> list[tuple[str, int]]:
        tables = [pq.read_table(io.BytesIO(content)) for content in self.objects.values()]
        return [(row["request_id"], row["row"]) for table in tables for row in table.to_pylist()]


class CountedRows(collections.Counter):
    """Rows by outcome."""

    def count(self, outcome: str, rows: int) -> None:
        self[outcome] += rows

    def watch(self, queue_rows, spool_bytes) -> None:
        self.queue_rows, self.spool_bytes = queue_rows, spool_bytes


def open_spool(folder, **limits) -> Spool:
    return Spool(folder, HEADER.write, dataclasses.replace(LIMITS, **limits))


def kill(spool: Spool, torn: bytes = b"") -> None:
    """Do what the kernel does: every descriptor is closed, and half a line may have been written."""
    if spool._open is not None:
        os.write(spool._open._descriptor, torn)
        spool._open.close()
    for lock in spool._locks.values():
        os.close(lock)


def append_on_full_disk(spool: Spool, lines: list[bytes], room: int) -> bool:
    """Append while no file may grow beyond some bytes: the kernel writes what fits and refuses the rest."""
    size = spool._open.size_bytes if spool._open else 0
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + room, hard))
    try:
        return spool.append(lines)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


rows = st.integers(1, 8)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("append"), rows),
        st.tuples(st.just("full disk"), rows, st.integers(0, 1500)),
        st.tuples(st.just("close"), st.booleans()),
        st.tuples(st.just("upload"), st.integers(0, 3)),
        st.tuples(st.just("kill"), st.integers(0, 200)),
    ),
    max_size=25,
)


# A busy disk is no fault.
@settings(deadline=None)
@given(steps, st.booleans())
def test_every_row_that_was_taken_is_stored_exactly_once(tmp_path_factory, sequence, over_midnight):
    folder, store, counted = tmp_path_factory.mktemp("spool"), MemoryStore(), CountedRows()
    spool, taken = open_spool(folder), []
    days = [READ_AT, READ_AT + 86_400 * over_midnight]
    for i, (kind, *rest) in enumerate(sequence):
        if kind in ("append", "full disk"):
            predictions = [make_prediction(read_at=days[j % 2]) for j in range(rest[0])]
            lines = write_lines(f"r-{i}", [ROW] * rest[0], predictions, READ_AT)
            done = spool.append(lines) if kind == "append" else append_on_full_disk(spool, lines, rest[1])
            taken += [(f"r-{i}", j) for j in range(rest[0]) if done]
        elif kind == "close":
            spool.close_segment() if rest[0] else spool.close_due()
        elif kind == "upload":
            store.puts_left = rest[0]
            try:
                Uploader(spool, store, counted).upload_all()
            except StoreUnavailableError:
                assert store.puts_left == 0
        else:
            kill(spool, LINE[: rest[0] % len(LINE)])
            spool = open_spool(folder)
            spool.adopt()
    kill(spool)
    last = open_spool(folder)
    last.adopt()
    store.puts_left = 10**9
    Uploader(last, store, counted).upload_all()
    assert sorted(store.rows()) == sorted(taken)
    assert counted["stored"] == len(taken)
    last.release()
    assert (last.size_bytes, list(folder.glob("*/*"))) == (0, [])


def test_a_segment_is_closed_by_size_and_by_age(tmp_path):
    by_size, by_age = open_spool(tmp_path / "a", segment_bytes=2000), open_spool(tmp_path / "b", segment_seconds=1e-6)
    for spool in (by_size, by_age):
        spool.append([LINE])
        spool.close_due()
    assert by_size.first_closed() is None
    assert by_age.first_closed() is not None
    by_size.append([LINE] * 20)
    by_size.close_due()
    assert by_size.first_closed() is not None


def test_a_spool_over_its_limit_takes_no_more_until_rows_are_stored(tmp_path, caplog):
    spool = open_spool(tmp_path, spool_bytes=1500)
    taken = [spool.append([LINE]) for _ in range(20)]
    assert taken == sorted(taken, reverse=True)
    assert 0 < taken.count(True) < 20
    assert spool.size_bytes <= 1500
    assert caplog.text.count("Rows are dropped.") == 1
    spool.close_segment()
    Uploader(spool, MemoryStore(), CountedRows()).upload_all()
    assert spool.append([LINE])
    assert "takes rows again" in caplog.text


def test_segments_of_a_living_process_are_left_alone(tmp_path):
    living, other = open_spool(tmp_path), open_spool(tmp_path)
    for has_uploaded in (False, True):
        living.append([LINE])
        living.close_segment()
        living.append([LINE])
        if has_uploaded:
            Uploader(living, MemoryStore(), CountedRows()).upload_all()
        other.adopt()
        assert other.first_closed() is None
    living.release()
    other.adopt()
    assert other.first_closed() is not None


def test_nothing_is_made_before_the_first_row(tmp_path):
    spool = open_spool(tmp_path / "spool")
    spool.adopt()
    spool.close_due()
    assert not (tmp_path / "spool").exists()


def test_a_spool_that_cannot_be_made_drops_rows_until_it_can(tmp_path):
    (tmp_path / "file").write_text("in the way")
    spool = open_spool(tmp_path / "file")
    assert not spool.append([LINE])
    (tmp_path / "file").unlink()
    assert spool.append([LINE])


def test_a_segment_of_another_format_is_kept_aside_and_does_not_hold_up_the_others(tmp_path, caplog):
    folder = tmp_path / "20130701T000000-abc"
    folder.mkdir()
    (folder / "20130701T000000-old.jsonl").write_bytes(b'{"format": 9}\n' + LINE)
    spool, store, counted = open_spool(tmp_path), MemoryStore(), CountedRows()
    spool.adopt()
    spool.append([LINE])
    spool.close_segment()
    Uploader(spool, store, counted).upload_all()
    assert store.rows() == [("r-0", 0)]
    assert (folder / "20130701T000000-old.damaged").is_file()
    assert "the first line must be the header" in caplog.text


def test_a_segment_that_somebody_removed_does_not_hold_up_the_others(tmp_path, caplog):
    spool, store = open_spool(tmp_path), MemoryStore()
    for _ in range(2):
        spool.append([LINE])
        spool.close_segment()
    spool.first_closed().unlink()
    Uploader(spool, store, CountedRows()).upload_all()
    assert store.rows() == [("r-0", 0)]
    assert "somebody removed it" in caplog.text


def test_a_dead_store_is_told_once_and_gets_all_when_it_is_back(tmp_path, caplog):
    caplog.set_level(logging.WARNING)
    spool, store, counted = open_spool(tmp_path), MemoryStore(), CountedRows()
    store.puts_left = 0
    uploader = Uploader(spool, store, counted)
    for _ in range(3):
        spool.append([LINE])
        spool.close_segment()
        uploader._pass()
    assert caplog.text.count("rows stay in the spool") == 1
    store.puts_left = 10
    uploader._pass()
    assert (len(store.objects), counted["stored"]) == (3, 3)
    assert caplog.text.count("reach the object store again") == 1
