"""What the doctor reads of the chart: requests, volumes and objects of an environment, rendered by Helm."""

import pytest

from components.base.errors import PermanentError
from pipelines.cluster.doctor.rendering import Requests, render_chart, sum_chart
from pipelines.cluster.environment import load_environment
from tests.chart.rendering import find_helm


@pytest.fixture(autouse=True)
def _helm():
    find_helm()


def test_the_services_of_the_small_profile_reserve_what_its_file_says():
    """0.3 CPU and 1.3 GiB, and for some minutes the Job of the installation."""
    together, largest = sum_chart(render_chart(load_environment("test")))
    job = Requests(0.1, 320 * 2**20)
    assert (together - job).fit_in(Requests(0.35, 1.35 * 2**30))
    assert largest.memory == 512 * 2**20


def test_every_environment_is_rendered_with_its_volumes_and_roles():
    objects = render_chart(load_environment("production"))
    assert {one["metadata"]["namespace"] for one in objects} == {"tidemill", "kubeflow"}
    kinds = [one["kind"] for one in objects]
    assert (kinds.count("StatefulSet"), "PrometheusRule" in kinds) == (3, True)


def test_values_that_the_chart_refuses_are_said_in_its_words(tmp_path):
    wrong = tmp_path / "values.yaml"
    wrong.write_text("governer: {enabled: false}\n")
    environment = load_environment("test").model_copy(update={"values": (wrong,)})
    with pytest.raises(PermanentError, match=r"the chart must take its values, but got: [^$]*governer"):
        render_chart(environment)
