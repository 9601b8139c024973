"""The pages of a release lead to each other where the addresses of both UIs are known."""

import pytest

from components.base.errors import SettingsError
from components.base.settings import load_settings
from components.release.links import link_run, write_links
from components.release.record import Release

UIS = {"TIDEMILL_MLFLOW_UI": "https://mlflow.example", "TIDEMILL_PIPELINES_UI": "https://kubeflow.example/pipeline"}


def make_release(version="3"):
    return Release(
        problem="flight-delays", verdict="promote" if version else "refuse", reasons=(), version=version, aliases=(),
        champion=None, run_id="kfp-1", mlflow_run="abc", model_uri=None, storage_uri="s3://tidemill/mlflow/m-1",
        as_of="2013-07-01", family="logistic", kind="single", feature_service="f", fingerprints={}, golden_rows=1,
        registered_at="2013-07-01",
    )  # fmt: skip


def test_mlflow_leads_to_the_run_in_kubeflow():
    tags = link_run("kfp-1", load_settings(UIS))
    assert tags["kfp_run_url"] == "https://kubeflow.example/pipeline/#/runs/details/kfp-1"
    assert f"]({tags['kfp_run_url']})" in tags["mlflow.note.content"]
    assert link_run("kfp-1", load_settings({})) == {}


def test_kubeflow_leads_to_run_and_version_in_mlflow():
    links = write_links(make_release(), load_settings(UIS))
    assert "[run `abc`](https://mlflow.example/#/runs/abc)" in links
    assert "(https://mlflow.example/#/models/flight-delays/versions/3)" in links
    assert "no version: the model was refused" in write_links(make_release(None), load_settings(UIS))


def test_without_addresses_the_release_is_named_without_links():
    links = write_links(make_release(), load_settings({}))
    assert "run `abc`" in links
    assert "](" not in links


@pytest.mark.parametrize("address", ["kubeflow.example", "https://kubeflow.example/"])
def test_an_address_of_another_form_is_refused(address):
    with pytest.raises(SettingsError, match="TIDEMILL_PIPELINES_UI must be http"):
        load_settings({"TIDEMILL_PIPELINES_UI": address})
