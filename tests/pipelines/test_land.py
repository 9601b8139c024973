"""Files of a folder land as they lie there, and only those that a source takes."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from components.base.adapters.s3 import ObjectStore
from components.base.contract.problem import Problem
from components.base.errors import DataError, PermanentError
from pipelines.commands.app import app
from pipelines.commands.land import list_files, put_files, remove_files
from tests.unit.data.trips import make_problem

TRIPS = "trip,city,fare,started_at\n1,ROME,1,2013-01-01\n"


@pytest.fixture
def problem() -> Problem:
    return make_problem()


def lay(folder: Path, **files: str | bytes) -> Path:
    for name, content in files.items():
        file = folder / name.replace("__", "/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def names(store: ObjectStore) -> list[str]:
    return [entry.key for entry in store.list_objects("landing/trips/")]


def test_folder_lands_as_it_lies(tmp_path: Path, store: ObjectStore, problem: Problem) -> None:
    lay(tmp_path, **{"trips__2013-01.csv": TRIPS, "cities__2013-01-15 [b].csv": "city\nROME\n"})
    assert put_files(store, problem, tmp_path) == 2
    assert store.get_bytes("landing/trips/trips/2013-01.csv") == TRIPS.encode()
    assert names(store) == ["landing/trips/cities/2013-01-15 [b].csv", "landing/trips/trips/2013-01.csv"]


def test_files_that_no_source_takes_are_named_and_nothing_lands(
    tmp_path: Path, store: ObjectStore, problem: Problem
) -> None:
    lay(
        tmp_path, **{"trips__2013-01.csv": TRIPS, "trip__2013-01.csv": TRIPS, "notes.txt": "x", "trips__new.csv": TRIPS}
    )
    lay(tmp_path, **{"trips__2013-02.csv": b"\x1f\x8b...", "cities__2013-01-01.csv": "<html>Log in</html>"})
    with pytest.raises(DataError) as refused:
        put_files(store, problem, tmp_path)
    lines = str(refused.value).splitlines()
    assert lines[0] == f"land {tmp_path}: 5 faults."
    for words in (
        "trip/2013-01.csv: it must match the path of a source (trips/*.csv, cities/*.csv), but matches none.",
        "notes.txt: it must match the path of a source",
        "trips/new.csv: the name must begin with its period such as 2013-06, but does not.",
        "trips/2013-02.csv: it must be CSV in utf-8, but is compressed by gzip. Unpack it.",
        "cities/2013-01-01.csv: it must be CSV in utf-8, but is a page of HTML or XML.",
    ):
        assert any(words in line for line in lines)
    assert names(store) == []


def test_empty_folder_is_refused(tmp_path: Path, store: ObjectStore, problem: Problem) -> None:
    with pytest.raises(PermanentError, match=re.escape("must be a folder with files, but holds none.")):
        put_files(store, problem, tmp_path / "nowhere")


def test_list_shows_every_file_with_its_source(store: ObjectStore, problem: Problem) -> None:
    store.put_bytes("landing/trips/trips/2013-01.csv", TRIPS.encode())
    store.put_bytes("landing/trips/lost.csv", b"x")
    lost, trip = list_files(store, problem)
    assert re.fullmatch(r".* UTC +1 B +\(of no source\) +lost\.csv", lost)
    assert re.fullmatch(r".* UTC +\d+ B +trips +trips/2013-01\.csv", trip)


def test_wrongly_named_file_can_be_removed(store: ObjectStore, problem: Problem) -> None:
    for name in ("trips/2013-01.csv", "lost.csv"):
        store.put_bytes(f"landing/trips/{name}", TRIPS.encode())
    with pytest.raises(DataError, match=re.escape("lots.csv must lie in landing/trips/, but does not. Did you mean")):
        remove_files(store, problem, ["trips/2013-01.csv", "lots.csv"])
    assert len(names(store)) == 2
    remove_files(store, problem, ["lost.csv"])
    assert names(store) == ["landing/trips/trips/2013-01.csv"]


def test_command_without_anything_to_do_says_what_it_takes() -> None:
    answered = CliRunner().invoke(app, ["land", "--problem", "flight-delays"])
    assert answered.exit_code == 2
    assert "--remove FILE" in answered.output
