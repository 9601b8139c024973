"""What is installed in an environment: the image, the contracts, and what the cluster lacks."""

import re

import pytest

from components.base.errors import PermanentError
from pipelines.cluster.deploy import Platform, choose_image, keeps_schedules, name_contracts
from pipelines.cluster.drill import Drill, check_drill, check_embedded
from pipelines.cluster.environment import load_environment
from pipelines.cluster.helm import Revision, merge_values

VALUES = {"image": {"repository": "tidemill", "tag": "", "digest": ""}}
DIGEST = f"sha256:{'a' * 64}"


def test_the_image_is_the_one_given_then_that_of_the_values_then_that_of_the_commit():
    assert choose_image(VALUES, None, "0123abc") == ("--set-string", "image.tag=0123abc")
    pinned = {"image": {**VALUES["image"], "digest": DIGEST}}
    assert choose_image(pinned, None, "0123abc") == ()
    assert choose_image(pinned, "registry:5000/ml/tidemill:x", "0123abc") == (
        "--set-string",
        "image.repository=registry:5000/ml/tidemill,image.tag=x,image.digest=",
    )
    assert choose_image(VALUES, f"ml/tidemill@{DIGEST}", "0123abc")[1].endswith(f"image.tag=,image.digest={DIGEST}")


@pytest.mark.parametrize("image", ["tidemill", "registry:5000/tidemill", ":x"])
def test_an_image_that_does_not_say_which_one_is_refused(image):
    with pytest.raises(PermanentError, match=re.escape(f"it must be name:tag or name@sha256:…, but got {image!r}")):
        choose_image(VALUES, image, "0123abc")


def test_every_contract_of_the_checkout_is_passed():
    words = name_contracts()
    assert words[0] == "--set-file"
    assert any(word.startswith("problems.flight-delays=") for word in words)


def test_what_the_cluster_lacks_is_said_and_left_out():
    assert Platform(True, True).warnings == ()
    assert Platform(True, True).words == ()
    lacking = Platform(has_pipelines=False, has_kserve=False)
    assert "bootstrap.schedules=false" in lacking.words
    assert [warning.split(" is not there")[0] for warning in lacking.warnings] == ["Kubeflow Pipelines", "KServe"]


def test_recurring_runs_are_kept_unless_the_values_or_the_cluster_say_otherwise():
    whole = Platform(has_pipelines=True, has_kserve=True)
    assert keeps_schedules({}, whole)
    assert not keeps_schedules({"bootstrap": {"schedules": False}}, whole)
    assert not keeps_schedules({}, Platform(has_pipelines=False, has_kserve=True))


def test_the_values_of_an_environment_are_merged_as_helm_does():
    values = merge_values(load_environment("test"))
    assert values["settings"]["predictionLog"] == "on"
    assert values["settings"]["bucket"] == "tidemill-test"
    assert values["postgresql"]["storage"]["size"] == "2Gi"


@pytest.mark.parametrize(
    ("status", "is_interrupted"),
    [("pending-install", True), ("pending-upgrade", True), ("uninstalling", True), ("deployed", False)],
)
def test_a_revision_whose_helm_was_killed_is_known_as_interrupted(status, is_interrupted):
    assert Revision(3, status).is_interrupted is is_interrupted


def test_a_drill_writes_into_no_store_that_others_use():
    values = merge_values(load_environment("production"))
    check_embedded(values)
    with pytest.raises(PermanentError, match="but redis is external"):
        check_embedded({**values, "redis": {"embedded": False}})


def test_a_drill_that_differs_or_takes_too_long_is_not_passed():
    check_drill(Drill((), 100.0, 400.0))
    with pytest.raises(PermanentError, match="at most 600 seconds, but took 700"):
        check_drill(Drill((), 100.0, 600.0))
    with pytest.raises(PermanentError, match="rulings must be 3, but got 2"):
        check_drill(Drill(("rulings must be 3, but got 2.",), 1.0, 1.0))
