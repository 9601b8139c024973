"""The KFP faces of the data phase hand files on and nothing else."""

import json

from kfp.dsl import Artifact

from components.base.contract.load import write_problem
from components.data.steps import ingest, validate
from tests.unit.data.trips import make_problem


def test_steps_pass_the_snapshot_on_and_write_the_accepted_folder(zone, tmp_path):
    zone.land_trips("2013-01.csv", "1,ROME,5,2013-01-01")
    contract = str(tmp_path / "problem.json")
    write_problem(make_problem(), contract)
    snapshot = ingest.python_func(contract=contract, as_of="2013-04-01T00:00:00+00:00")
    accepted = Artifact(uri=str(tmp_path / "accepted"))
    validate.python_func(contract=contract, snapshot=snapshot, accepted=accepted)
    quality = json.loads((tmp_path / "accepted" / "quality.json").read_text())
    assert snapshot.startswith("s3://")
    assert (quality["snapshot"], quality["as_of"]) == (snapshot, "2013-04-01T00:00:00+00:00")
