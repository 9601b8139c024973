"""Two runs of one contract at one time are compared output by output, and the first difference names its step."""

import re

import pytest

from components.base import documents
from components.base.adapters.s3 import open_store
from components.base.errors import DataError
from components.reports.release.compare import STEPS, compare_runs, read_run
from components.reports.release.material import read_material
from components.reports.release.summary import summarise
from pipelines.commands.app import main
from tests.unit.reports import release_documents as docs

MADE = {name: f"{number:064x}" for number, name in enumerate(STEPS) if name != "verdict"}


@pytest.fixture
def run(tmp_path):
    """Write the folder of a run with these fingerprints; return its place."""

    def write(name, **changed):
        material = read_material(
            docs.task(), name, docs.AS_OF, docs.write_places(tmp_path / name, docs.all_documents())
        )
        summary = summarise(material).model_copy(update={"fingerprints": MADE | changed})
        documents.write(summary, tmp_path / "runs" / name / "summary.json")
        return str(tmp_path / "runs" / name)

    return write


def test_two_runs_that_made_the_same_are_equal(run, capsys):
    assert main(["compare-places", run("laptop"), run("cluster")]) == 0
    assert "Both runs made the same." in capsys.readouterr().out


@pytest.mark.parametrize("name", MADE)
def test_first_difference_is_named_with_its_step(run, capsys, name):
    later = dict.fromkeys(list(STEPS)[list(STEPS).index(name) :], "f" * 64)
    assert main(["compare-places", run("laptop"), run("cluster", **later)]) == 1
    assert f"The runs part at the step {STEPS[name]}: another {name}." in capsys.readouterr().out


def test_output_that_a_run_does_not_have_is_a_difference(run, store_settings):
    first, second = (read_run(run(name), store_settings) for name in ("laptop", "cluster"))
    older = second.model_copy(update={"fingerprints": {"contract": MADE["contract"]}})
    unequal = [one.name for one in compare_runs(first, older) if not one.is_equal]
    assert unequal == [name for name in MADE if name != "contract"]


def test_run_of_a_cluster_is_read_from_its_object_store(run, store_settings):
    place = run("laptop")
    summary = read_run(place, store_settings)
    uri = open_store(store_settings).put_bytes("flight-delays/reports/training/x/summary.json",
                                               summary.model_dump_json().encode())  # fmt: skip
    assert read_run(uri, store_settings) == summary


def test_runs_of_two_times_are_not_compared(run, store_settings):
    first = read_run(run("laptop"), store_settings)
    with pytest.raises(DataError, match=re.escape("both runs must be of one problem and as_of, but got")):
        compare_runs(first, first.model_copy(update={"as_of": "2013-08-01T00:00:00+00:00"}))
